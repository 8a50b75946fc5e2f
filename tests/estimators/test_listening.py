"""Callbacks of the multi-layer perceptrons."""

import numpy as np
import pytest

from pellucid import load_model
from pellucid.errors import ConfigurationError
from pellucid.estimators import MLPClassifier, MLPRegressor, NeuralNetClassifier, PaperAdam
from pellucid.estimators.listening import Listeners
from pellucid.train import BatchReport, Callback, Checkpoint, CSVLog, EarlyStopping, LearningRateSchedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = ["adam", "sgd", "rmsprop", "lbfgs"]


class Ledger(Callback):
    """Writes down what it is told, and ends the training where that is asked."""

    def __init__(self, into, last=None):
        self.into, self.last = into, last

    def __deepcopy__(self, memo):
        return Ledger(self.into, self.last)

    def on_train_begin(self, logs=None):
        self.into.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.into.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.into.append(dict(logs))
        if epoch == self.last:
            self.model.stop_training = "that is enough"

    def on_train_end(self, logs=None):
        self.into.append("end")


def told(settings, data):
    """The logs of every epoch, and the fitted estimator."""
    logs = []
    found = MLPClassifier((5,), random_state=0, callbacks=lambda epoch, now: logs.append(now), **settings).fit(*data)
    return logs, found


@pytest.mark.parametrize("early_stopping", [False, True])
def test_whoever_listens_changes_nothing_and_is_told_the_loss_curve(data, early_stopping):
    settings = {"max_iter": 12, "early_stopping": early_stopping}
    logs, found = told(settings, data["iris"])
    alone = MLPClassifier((5,), random_state=0, **settings).fit(*data["iris"])
    assert all(np.array_equal(a, b) for a, b in zip(found.coefs_, alone.coefs_, strict=True))
    assert [each["loss"] for each in logs] == alone.loss_curve_
    if early_stopping:
        assert [each["val_accuracy"] for each in logs] == alone.validation_scores_
        assert [each["val_loss"] for each in logs] == alone.validation_loss_curve_


def test_a_regressor_tells_r2(data):
    logs: list = []
    listening = MLPRegressor(max_iter=4, early_stopping=True, random_state=0, callbacks=lambda _, now: logs.append(now))
    found = listening.fit(*data["diabetes"])
    assert [each["val_r2"] for each in logs] == found.validation_scores_


def test_lbfgs_tells_the_loss_of_every_iteration(data):
    logs, found = told({"solver": "lbfgs", "max_iter": 6}, data["wine"])
    alone = MLPClassifier((5,), solver="lbfgs", max_iter=6, random_state=0).fit(*data["wine"])
    assert len(logs) == found.n_iter_ == 6
    assert logs[-1]["loss"] == found.loss_ == alone.loss_
    assert np.diff([each["loss"] for each in logs]).max() < 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_callback_ends_the_training(data, solver, recwarn):
    ledger = []
    found = MLPClassifier((5,), solver=solver, random_state=0, callbacks=Ledger(ledger, last=2)).fit(*data["iris"])
    assert found.n_iter_ == 3
    assert [each for each in ledger if isinstance(each, str)] == ["begin", "epoch 0", "epoch 1", "epoch 2", "end"]
    assert not recwarn.list  # what was asked for is no failure to converge


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_by_the_loss_restores_the_best_weights(data, solver):
    stopper = EarlyStopping("loss", patience=2, min_delta=100.0)  # nothing is as good as the first epoch
    found = MLPClassifier((5,), solver=solver, random_state=0, callbacks=[stopper]).fit(*data["iris"])
    first = MLPClassifier((5,), solver=solver, random_state=0, max_iter=1).fit(*data["iris"])
    assert found.n_iter_ == 3
    assert stopper.best_epoch is None  # every fit has a copy of its own
    assert all(np.array_equal(a, b) for a, b in zip(found.coefs_, first.coefs_, strict=True))


@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_a_callback_sets_the_learning_rate(data, learning_rate):
    schedule = LearningRateSchedule(lambda epoch: 0.1 if epoch < 3 else 1e-300)
    settings = {"solver": "sgd", "momentum": 0.0, "max_iter": 6, "shuffle": False}
    found = MLPClassifier(
        (5,), learning_rate=learning_rate, random_state=0, callbacks=schedule, **settings
    ).fit(*data["iris"])  # fmt: skip
    fixed = MLPClassifier((5,), learning_rate_init=0.1, random_state=0, **settings).fit(*data["iris"])
    assert found.loss_curve_[:4] == fixed.loss_curve_[:4]
    assert found.loss_curve_[3] == found.loss_curve_[4] == found.loss_curve_[5]


def test_epochs_are_counted_over_several_fits(data):
    ledger = []
    model = MLPClassifier((5,), warm_start=True, max_iter=2, random_state=0, callbacks=Ledger(ledger))
    model.fit(*data["iris"]).fit(*data["iris"]).partial_fit(*data["iris"])
    epochs = [each for each in ledger if isinstance(each, str) and each.startswith("epoch")]
    assert epochs == [f"epoch {number}" for number in range(5)]


def test_files_of_a_training_hold_its_network(data, tmp_path):
    x, y = data["iris"]
    callbacks = [Checkpoint(tmp_path / "{epoch}.safetensors"), CSVLog(tmp_path / "log.csv")]
    found = MLPClassifier((5,), max_iter=3, random_state=0, callbacks=callbacks).fit(x, y)
    saved = load_model(tmp_path / "3.safetensors", custom=[PaperAdam])
    np.testing.assert_allclose(saved.predict(x), found.predict_proba(x), rtol=1e-12)
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert rows == ["epoch,loss", *(f"{epoch},{loss!r}" for epoch, loss in enumerate(found.loss_curve_, 1))]


def test_an_error_of_a_callback_comes_through_after_the_end_was_told(data):
    ledger = []

    def fails(epoch, logs):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        MLPClassifier(callbacks=[Ledger(ledger), fails]).fit(*data["iris"])
    assert ledger[-1] == "end"


def test_the_end_is_printed_with_its_reason(data, capsys):
    MLPClassifier((5,), verbose=True, random_state=0, callbacks=Ledger([], last=0)).fit(*data["iris"])
    assert capsys.readouterr().out.splitlines()[1:] == ["A callback ends the training: that is enough."]


def test_what_cannot_listen_is_told(data):
    x, y = data["iris"]
    with pytest.raises(ConfigurationError, match=r"MLPClassifier: callbacks are told of epochs, not of batches"):
        MLPClassifier(callbacks=BatchReport((x, y))).fit(x, y)
    with pytest.raises(ConfigurationError, match="A callback must be a Callback or a function"):
        MLPRegressor(callbacks=[3]).fit(x, y)
    with pytest.raises(ConfigurationError, match=r"a callback set the learning rate to 0\.5, but learning_rate='invsc"):
        MLPClassifier(
            solver="sgd", learning_rate="invscaling", callbacks=LearningRateSchedule(lambda epoch: 0.5)
        ).fit(x, y)  # fmt: skip


def test_nobody_listens_by_default():
    assert not Listeners("MLPClassifier", (), None, ())


def test_networks_of_ones_own_tell_of_batches_too(data, capsys):
    x, y = data["iris"]
    report = BatchReport((x, np.eye(3)[y]), every=100)
    NeuralNetClassifier(epochs=1, random_state=0, loss="mse", callbacks=report).fit(x, y)
    assert capsys.readouterr().out.startswith("0-0 > Loss: ")
