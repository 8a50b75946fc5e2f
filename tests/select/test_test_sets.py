import json
import multiprocessing
import warnings

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.select.nets import X, Y, net

from pellucid.errors import DataError
from pellucid.select import TestSetSeenWarning, evaluate_once
from pellucid.select.test_sets import Look, _append, fingerprint, looks

JOURNAL = "test_sets.jsonl"


def test_the_first_look_is_silent_and_the_second_is_named(tmp_path):
    model = net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = evaluate_once(model, X, Y, folder=tmp_path)
    assert first.first
    assert first.scores == model.evaluate(X, Y, return_dict=True)
    assert "looked at for the first time" in str(first)
    with pytest.warns(TestSetSeenWarning, match="looked at once before, first on 20"):
        evaluate_once(net(3), X, Y, folder=tmp_path)
    with pytest.warns(TestSetSeenWarning, match="looked at 2 times before, first on 20.*, last on 20"):
        third = evaluate_once(model, X, Y, folder=tmp_path)
    assert third.earlier[0].scores["loss"] == first.scores["loss"]
    assert "as an estimate the scores are too good" in str(third)


def test_another_test_set_has_not_been_seen(tmp_path):
    tree = DecisionTreeClassifier(random_state=0).fit(X, Y)
    evaluate_once(tree, X, Y, folder=tmp_path)
    assert evaluate_once(tree, X[:-1], Y[:-1], folder=tmp_path).first
    assert evaluate_once(tree, X + 1e-3, Y, folder=tmp_path).first


def test_the_same_numbers_are_known_again_in_another_form(tmp_path):
    narrow = X.astype("float32")
    assert (
        fingerprint(narrow, Y)
        == fingerprint(narrow.astype(float), Y.astype("int8"))
        == fingerprint(narrow.tolist(), list(Y))
    )
    assert fingerprint(X, Y) != fingerprint(X[::-1], Y[::-1])
    assert fingerprint({"a": X, "b": X}, Y) == fingerprint((X, X), Y) != fingerprint(X, Y)
    assert fingerprint(X, ["a"] * 150) != fingerprint(X, ["b"] * 150)


def test_the_same_numbers_rounded_to_float32_are_known_again(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    tree = DecisionTreeClassifier().fit(x, y)
    evaluate_once(tree, x, y, folder=tmp_path)
    with pytest.warns(TestSetSeenWarning):
        assert not evaluate_once(tree, x.astype(np.float32), y, folder=tmp_path).first


def test_the_journal_is_in_the_cache_folder_and_holds_no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "new"))
    evaluate_once(net(), X, Y)
    line = (tmp_path / "new" / JOURNAL).read_text().strip()
    assert set(json.loads(line)) == {"test_set", "when", "model", "scores"}


def test_what_a_crash_cut_off_spoils_no_other_line(tmp_path):
    journal = tmp_path / JOURNAL
    journal.write_text('{"test_set": "abc", "wh')
    _append(journal, "abc", Look("today", "m", {"loss": 1.0}))
    with journal.open("ab") as file:
        file.write(b'\xff\xfe{"test_set": "abc"}\n[1]\n')
    assert looks(journal, "abc") == (Look("today", "m", {"loss": 1.0}),)
    assert looks(tmp_path / "none", "abc") == ()


def _write(path, number):
    for _ in range(50):
        _append(path, str(number), Look("now", "m" * 100, {}))


def test_processes_that_look_at_once_lose_no_line(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(tmp_path / JOURNAL, k)) for k in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [len(looks(tmp_path / JOURNAL, str(k))) for k in range(2)] == [50, 50]


def test_what_cannot_be_evaluated_is_refused(tmp_path):
    with pytest.raises(DataError, match="takes a Model or a fitted estimator"):
        evaluate_once(np.mean, X, Y, folder=tmp_path)
    assert not (tmp_path / JOURNAL).exists()
