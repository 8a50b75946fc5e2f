"""Estimators that record: the fit keeps its bits, and the recording is that of a Model's fit."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid.analysis import diagnose
from pellucid.errors import ConfigurationError
from pellucid.estimators import CNNClassifier, MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor
from pellucid.estimators.checks import DivergedError
from pellucid.train import Recorder, Recording

X, Y = load_iris(return_X_y=True)
ALL = [
    MLPClassifier((6,), max_iter=8, random_state=0), MLPRegressor(hidden_layer_sizes=(6,), max_iter=8, random_state=0),
    NeuralNetClassifier(epochs=8, random_state=0), NeuralNetRegressor(epochs=8, random_state=0),
    CNNClassifier((2,), dense=(4,), epochs=8, random_state=0),
]  # fmt: skip
EVERY = pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)


@pytest.fixture(autouse=True)
def _few_epochs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fitted(estimator, **parameters):
    return clone(estimator).set_params(**parameters).fit(X, Y)


@EVERY
@pytest.mark.parametrize("record", ["stats", "full", Recorder("stats", every=3)], ids=["stats", "full", "recorder"])
def test_a_recorded_fit_predicts_the_same_bits(estimator, record):
    plain, recorded = fitted(estimator), fitted(estimator, record=record)
    assert plain.recording_ is None
    assert isinstance(recorded.recording_, Recording)
    np.testing.assert_array_equal(plain.predict(X), recorded.predict(X))
    curves = [getattr(e, "loss_curve_", None) or e.history_["loss"] for e in (plain, recorded)]
    assert curves[0] == curves[1]


@EVERY
def test_what_cannot_be_recorded_is_refused_by_fit(estimator):
    with pytest.raises(ConfigurationError, match="record must be 'off', 'stats', 'full' or a Recorder, not 'all'"):
        fitted(estimator, record="all")
    with pytest.raises(ConfigurationError, match="Unknown layer 'hidden'"):
        fitted(estimator, record=Recorder("stats", layers=["hidden"]))


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"early_stopping": True}, {"batch_size": 64}, {"batch_size": 75}, {"solver": "sgd"}, {"dropout": 0.3},
        {"callbacks": [lambda epoch, logs: None]},
    ],
    ids=["blocks", "early stopping", "two sizes", "one size", "sgd", "dropout", "callbacks"],
)  # fmt: skip
@pytest.mark.parametrize("level", ["stats", "full"])
def test_a_perceptron_records_the_steps_that_were_asked_for(settings, level):
    own = MLPClassifier((6,), max_iter=9, random_state=0, **settings)
    plain, recorded = own.fit(X, Y), fitted(own, record=Recorder(level, every=4))
    assert all(np.array_equal(a, b) for a, b in zip(plain.coefs_, recorded.coefs_, strict=True))
    steps, epochs = (recorded.recording_.frame("steps", "numpy")[name] for name in ("step", "epoch"))
    per_epoch = -(-int(recorded.t_ / recorded.n_iter_) // min(settings.get("batch_size", 200), 150))
    last = 9 * per_epoch
    assert steps.tolist() == sorted({*range(1, last + 1, 4), last})
    np.testing.assert_array_equal(epochs, (steps - 1) // per_epoch + 1)


def test_recorded_gradients_and_losses_are_those_of_the_first_batch():
    own = MLPClassifier((6,), max_iter=1, alpha=0.0, batch_size=150, shuffle=False, random_state=0, record="full")
    recording = own.fit(X, Y).recording_
    w, b = (recording.weights(1, "dense")[name] for name in ("kernel", "bias"))
    v, c = (recording.weights(1, "dense_1")[name] for name in ("kernel", "bias"))
    hidden = np.maximum(X @ w + b, 0)
    z = hidden @ v + c
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    delta = (p - np.eye(3)[Y]) / len(X)
    np.testing.assert_allclose(recording.activations(1, "dense"), hidden, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(recording.gradients(1, "dense_1")["kernel"], hidden.T @ delta, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(
        recording.gradients(1, "dense")["kernel"], X.T @ ((delta @ v.T) * (hidden > 0)), rtol=1e-9, atol=1e-14
    )
    np.testing.assert_array_equal(recording.rows(1), np.arange(150))
    loss = recording.frame("steps", "numpy")["loss"][0]
    assert loss == pytest.approx(-np.log(p[np.arange(150), Y]).mean())
    assert loss == pytest.approx(own.loss_curve_[0])


def test_partial_fit_and_warm_start_go_on_counting_steps_and_record_each_fit_for_itself():
    network = MLPClassifier((6,), random_state=0, record=Recorder("stats", every=1), batch_size=75)
    network.partial_fit(X, Y, classes=np.unique(Y))
    assert network.recording_.steps == [1, 2]
    network.partial_fit(X, Y)
    assert network.recording_.steps == [3, 4]
    assert network.recording_.frame("steps", "numpy")["epoch"].tolist() == [2, 2]
    warm = NeuralNetClassifier(epochs=2, batch_size=75, warm_start=True, random_state=0, record="stats").fit(X, Y)
    first = warm.recording_.steps
    assert warm.fit(X, Y).recording_.steps[0] == first[-1] + 1


def test_lbfgs_has_no_updates_to_record():
    with pytest.raises(ConfigurationError, match="solver='lbfgs' makes steps of another kind"):
        MLPClassifier((3,), solver="lbfgs", record="stats").fit(X, Y)
    assert MLPClassifier((3,), solver="lbfgs", max_iter=5, random_state=0).fit(X, Y).recording_ is None


@pytest.mark.parametrize(
    "own",
    [
        MLPRegressor(solver="sgd", learning_rate_init=1e6, random_state=0, record=Recorder("stats", every=1)),
        NeuralNetRegressor(optimizer="sgd", learning_rate=1e12, random_state=0, record=Recorder("stats", steps=[1, 2])),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_fit_that_diverges_leaves_its_recording(own):
    with pytest.raises(DivergedError):
        own.fit(X * 100, Y)
    assert own.recording_.steps[0] == 1
    assert "learning_rate_too_high" in diagnose(own.recording_)


@EVERY
def test_a_recorded_estimator_can_be_pickled_and_cloned(estimator):
    own = fitted(estimator, record="stats")
    again = pickle.loads(pickle.dumps(own))  # scikit-learn's way of keeping estimators
    assert again.recording_.steps == own.recording_.steps
    assert clone(own).record == "stats"


def test_the_best_of_a_search_in_a_pipeline_has_its_recording():
    pipe = make_pipeline(StandardScaler(), MLPClassifier((6,), max_iter=5, random_state=0))
    grid = {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__record": ["stats"]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, Y)
    assert search.best_estimator_[-1].recording_.layers == ["dense", "dense_1"]


def test_a_folder_is_written_to(tmp_path):
    own = fitted(ALL[0], record=Recorder("stats", every=2, path=tmp_path / "run"))
    assert Recording.load(tmp_path / "run").steps == own.recording_.steps
