"""Texts as rows of numbers: a bag of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, Integer, optional, require

Weighting = Literal["counts", "binary", "tfidf"]

_WORD = re.compile(r"\b\w\w+\b")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case: runs of at least two letters, digits or underscores.

    >>> split_words("Win a FREE prize - it's 100% free!")
    ['win', 'free', 'prize', 'it', '100', 'free']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class BagOfWords:
    """A text as one number per word of a vocabulary, whatever the order of its words.

    ``"counts"``: how often the word occurs. ``"binary"``: whether it occurs. ``"tfidf"``: the count times
    idf = ln((1 + N) / (1 + n)) + 1, where n of the N texts measured have the word; each row is then divided by its
    Euclidean norm. A text without a known word is a row of zeros.

    Args:
        vocabulary: The words, in the order of the columns.
        weighting: ``"counts"``, ``"binary"`` or ``"tfidf"``.
        idf: For ``"tfidf"``: one factor per word.

    Raises:
        ConfigurationError: The parts contradict each other.

    Source: Salton, Buckley, "Term-weighting approaches in automatic text retrieval", 1988; the forms of scikit-learn.

    >>> bag = BagOfWords.of(["free prize", "see you at home", "free home loan"])
    >>> bag.vocabulary
    ('at', 'free', 'home', 'loan', 'prize', 'see', 'you')
    >>> bag.encode(["Free, free, FREE!"])
    array([[0., 3., 0., 0., 0., 0., 0.]], dtype=float32)
    """

    vocabulary: tuple[str, ...]
    weighting: Weighting = "counts"
    idf: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require("BagOfWords", "weighting", self.weighting, Choice(*get_args(Weighting)))
        if not self.vocabulary or len(set(self.vocabulary)) != len(self.vocabulary):
            raise ConfigurationError("BagOfWords: the vocabulary must be different words, at least one.")
        wanted = len(self.vocabulary) if self.weighting == "tfidf" else 0
        if len(self.idf) != wanted:
            raise ConfigurationError(
                f"BagOfWords: {self.weighting!r} needs {wanted} idf factors, {len(self.idf)} are given."
            )

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        weighting: Weighting = "counts",
        *,
        most_words: int | None = None,
        least_texts: int = 1,
    ) -> BagOfWords:
        """Measure the vocabulary (sorted) of some texts, and for ``"tfidf"`` how many of them have each word.

        Args:
            texts: The texts, for instance those of the training part only.
            weighting: ``"counts"``, ``"binary"`` or ``"tfidf"``.
            most_words: Keep so many of the most frequent words; None keeps all.
            least_texts: Keep words that occur in at least so many texts.

        Raises:
            ConfigurationError: An argument is outside its range.
            DataError: There is no word to keep, or something is not a text.
        """
        require("BagOfWords", "most_words", most_words, optional(Integer(1)))
        require("BagOfWords", "least_texts", least_texts, Integer(1))
        rows = _word_lists(texts)
        total: Counter[str] = Counter(word for row in rows for word in row)
        spread: Counter[str] = Counter(word for row in rows for word in set(row))
        kept = [word for word in sorted(total) if spread[word] >= least_texts]
        # Among equally frequent words the alphabet decides, as sorted() is stable.
        kept = sorted(sorted(kept, key=lambda word: -total[word])[:most_words])
        if not kept:
            raise DataError(f"BagOfWords: the {len(rows)} texts have no word that {least_texts} of them share.")
        factors = tuple(float(np.log((1 + len(rows)) / (1 + spread[word])) + 1) for word in kept)
        return cls(tuple(kept), weighting, factors if weighting == "tfidf" else ())

    def encode(self, raw: Sequence[str]) -> np.ndarray:
        """Rows of numbers for texts.

        Args:
            raw: N texts.

        Returns:
            float32 [N, words].

        Raises:
            DataError: Something is not a text.
        """
        rows = _word_lists(raw)
        column = {word: k for k, word in enumerate(self.vocabulary)}
        x = np.zeros((len(rows), len(self.vocabulary)), dtype=np.float32)
        for line, row in zip(x, rows, strict=True):
            for word, count in Counter(row).items():
                if word in column:
                    line[column[word]] = count
        if self.weighting == "binary":
            return np.minimum(x, 1)
        if self.weighting == "tfidf":
            x *= np.array(self.idf, dtype=np.float32)
            norms = np.sqrt((x * x).sum(axis=1, keepdims=True))
            x /= np.where(norms > 0, norms, 1)
        return x


def _word_lists(texts: Iterable[str]) -> list[list[str]]:
    if isinstance(texts, str):
        raise DataError("BagOfWords takes a list of texts, not one text.", hint="write [text]")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"BagOfWords: element {number} is not a text but {text!r}.")
    return [split_words(text) for text in texts]
