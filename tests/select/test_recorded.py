"""Cross-validations that record every fit."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from tests.select.nets import X, Y, line, net, regression

from pellucid import set_seed
from pellucid.analysis import diagnose
from pellucid.errors import ConfigurationError
from pellucid.estimators import MLPClassifier
from pellucid.select import cross_validate
from pellucid.select.recorded import joined
from pellucid.train import Recorder

GRID = {"learning_rate": [0.01, 0.1], "batch_size": [16, 32]}


def test_recording_changes_no_bit_and_every_fit_has_its_recording():
    options = {"cv": 3, "epochs": 3, "seeds": 2, "grid": GRID, "seed": 4}
    plain, found = cross_validate(net(), X, Y, **options), cross_validate(net(), X, Y, record="stats", **options)
    assert len(found.recordings) == len(found.results) == 4 * 3 * 2
    for a, b in zip(plain.scores.outcomes, found.scores.outcomes, strict=True):
        np.testing.assert_array_equal(a.outputs, b.outputs)
        assert a.test == b.test
    assert plain.recordings == [None] * 24
    rates = [recording.frame("steps", "numpy")["learning_rate"][0] for recording in found.recordings]
    np.testing.assert_array_equal(rates, found.results["learning_rate"])


def test_the_recording_of_a_fold_is_that_of_the_fit_alone():
    found = cross_validate(net(), X, Y, cv=3, epochs=2, record="full", every=3, seed=5)
    fold = found.folds[1]
    set_seed(5)
    history = net().fit(X[fold.train], Y[fold.train], epochs=2, seed=5, record="full", every=3, verbose=0)
    own, alone = found.recordings[1], history.recording
    assert own.frame("stats").equals(alone.frame("stats"))
    np.testing.assert_array_equal(own.gradients(4, "dense")["kernel"], alone.gradients(4, "dense")["kernel"])


def test_all_recordings_are_one_table_that_tells_the_fits_apart():
    found = cross_validate(net(), X, Y, cv=2, epochs=2, seeds=[3, 7], grid={"learning_rate": [0.01, 0.1]},
                           record=Recorder("stats", every=4))  # fmt: skip
    steps = found.recorded("steps")
    assert steps.column_names[:6] == ["configuration", "repeat", "fold", "seed", "step", "epoch"]
    each = [recording.frame("steps").num_rows for recording in found.recordings]
    for name in ("configuration", "repeat", "fold", "seed"):
        np.testing.assert_array_equal(steps[name], np.repeat(found.results[name], each))
    stats = found.recorded()
    assert set(stats["layer"].to_pylist()) == {"dense", "dense_1"}
    assert stats.num_rows == sum(recording.frame().num_rows for recording in found.recordings)


def test_joined_tables_keep_their_rows():
    pa = pytest.importorskip("pyarrow")
    empty = pa.table({"step": pa.array([], pa.int64())})
    found = joined([({"fold": 0}, empty), ({"fold": 1}, pa.table({"step": [5]}))])
    assert found.to_pydict() == {"fold": [1], "step": [5]}


def test_other_processes_send_the_recordings_back():
    options = {"cv": 2, "epochs": 2, "record": "stats"}
    here = cross_validate(net(), X, Y, **options)
    there = cross_validate(net(), X, Y, executor="processes", n_jobs=2, **options)
    assert here.recorded().equals(there.recorded())


def test_a_fit_that_fails_has_its_recording_and_can_be_diagnosed():
    x, y = regression()
    found = cross_validate(line(), x, y, cv=2, grid={"learning_rate": [0.01, 1e30]}, epochs=4, record="stats", every=1)
    failed = [n for n, outcome in enumerate(found.scores.outcomes) if outcome.history is None]
    assert failed == [2, 3]
    for number in failed:
        assert found.recordings[number].steps[0] == 1
        assert "learning_rate_too_high" in diagnose(found.recordings[number])


def test_an_estimator_records_by_its_own_parameter():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_validate(MLPClassifier((4,), max_iter=3, record="stats"), X, Y, cv=3)
    assert [recording.layers for recording in found.recordings] == [["dense", "dense_1"]] * 3
    assert set(found.recorded("steps")["fold"].to_pylist()) == {0, 1, 2}
    with pytest.raises(ConfigurationError, match="record='stats' is for models; MLPClassifier is an estimator"):
        cross_validate(MLPClassifier(), X, Y, record="stats")
    assert cross_validate(LogisticRegression(max_iter=1000), X, Y, cv=2).recordings == [None, None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record": "all"}, "Unknown level of recording 'all'"),
        ({"every": 5}, "nothing is recorded"),
        ({"record": Recorder("stats", path="folder")}, "would all write to one folder, 'folder'"),
        ({"record": Recorder("stats", layers=["hidden"])}, "Unknown layer 'hidden'"),
    ],
)
def test_what_cannot_be_recorded_is_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        cross_validate(net(), X, Y, cv=2, **options)


def test_without_a_recording_there_is_no_table():
    with pytest.raises(ConfigurationError, match="No fit was recorded"):
        cross_validate(net(), X, Y, cv=2).recorded()
