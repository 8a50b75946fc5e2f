from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from pellucid.data import BagOfWords, split_words
from pellucid.errors import ConfigurationError, DataError

words = st.sampled_from(["free", "prize", "call me", "at home", "Free", "NOW", "straße", "été", "2nd", "a", "I", "x1"])
texts = st.lists(st.lists(words, max_size=8).map(" ".join), min_size=1, max_size=8)
PEERS = {"counts": CountVectorizer(), "binary": CountVectorizer(binary=True), "tfidf": TfidfVectorizer()}


def test_words_are_lower_case_runs_of_two_or_more() -> None:
    assert split_words("Don't PANIC: 42 is_it, été & ÜBER a b-cd") == [
        "don",
        "panic",
        "42",
        "is_it",
        "été",
        "über",
        "cd",
    ]


@given(texts, texts, st.sampled_from(list(PEERS)))
def test_vocabulary_and_numbers_are_those_of_scikit_learn(measured: list[str], others: list[str], form: str) -> None:
    if not any(split_words(text) for text in measured):
        return
    bag, theirs = BagOfWords.of(measured, form), PEERS[form].fit(measured)  # type: ignore[arg-type]
    assert list(bag.vocabulary) == theirs.get_feature_names_out().tolist()
    assert bag.encode(others) == pytest.approx(theirs.transform(others).toarray(), abs=1e-6)


def test_the_most_frequent_words_are_kept_and_ties_follow_the_alphabet() -> None:
    texts = ["red red blue", "green blue", "amber green red"]
    assert BagOfWords.of(texts, most_words=1).vocabulary == ("red",)
    assert BagOfWords.of(texts, most_words=2).vocabulary == ("blue", "red")
    assert BagOfWords.of(texts, least_texts=2).vocabulary == ("blue", "green", "red")
    assert BagOfWords.of(texts, "tfidf", most_words=2).idf == pytest.approx([np.log(4 / 3) + 1] * 2)


def test_a_text_without_a_known_word_is_a_row_of_zeros() -> None:
    bag = BagOfWords.of(["free prize"], "tfidf")
    assert bag.encode(["", "hello"]).tolist() == [[0, 0], [0, 0]]
    assert bag.encode([]).shape == (0, 2)


def test_unsuitable_texts_are_refused() -> None:
    bag = BagOfWords.of(["free prize"])
    with pytest.raises(DataError) as caught:
        bag.encode("free prize")
    assert str(caught.value) == "BagOfWords takes a list of texts, not one text.\nHint: write [text]"
    with pytest.raises(DataError, match=r"^BagOfWords: element 1 is not a text but 3\.$"):
        bag.encode(["free", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"^BagOfWords: the 2 texts have no word that 2 of them share\.$"):
        BagOfWords.of(["free prize", "see you"], least_texts=2)


def test_parts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^BagOfWords: 'tfidf' needs 1 idf factors, 0 are given\.$"):
        BagOfWords(("free",), "tfidf")
    with pytest.raises(ConfigurationError, match=r"^BagOfWords: the vocabulary must be different words"):
        BagOfWords(("free", "free"))
    with pytest.raises(ConfigurationError, match=r"^BagOfWords: weighting must be one of 'counts', 'binary', 'tfidf'"):
        BagOfWords(("free",), "idf")  # type: ignore[arg-type]
