"""The numbers of every epoch, from whatever kept them."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from pellucid import History, Sequential, estimators
from pellucid.classic import AdalineGD, Perceptron
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense
from pellucid.plot.record import falls, record_of

X = np.random.default_rng(0).normal(size=(40, 2))
Y = (X[:, 0] > 0).astype(int)


def history():
    made = History()
    made.append(4, {"loss": 2.0, "val_loss": 3.0, "confusion_matrix": np.eye(2)}, 0.5)
    made.append(5, {"loss": 1.0, "val_loss": math.nan, "confusion_matrix": np.eye(2)}, 0.25)
    return made


def test_a_history_gives_its_single_numbers_epochs_and_seconds():
    made = history()
    record = record_of("f", made)
    assert {key: values.tolist() for key, values in record.curves.items()}["loss"] == [2.0, 1.0]
    assert "confusion_matrix" not in record.curves
    assert record.epochs.tolist() == [5, 6]
    assert np.array(record.seconds).tolist() == [0.5, 0.25]
    assert (record.keys, record.stopped) == (["loss"], False)
    made.stopped_by = "early stopping"
    assert record_of("f", made).stopped


def test_a_fitted_model_gives_its_history():
    model = Sequential([Dense(1)])
    model.compile("mse")
    model.fit(X, Y.astype(float), epochs=3, seed=0, verbose=0)
    kept: Any = model.history
    np.testing.assert_array_equal(record_of("f", model).curves["loss"], kept["loss"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("estimator", "attributes"),
    [
        (Perceptron(), {"errors": "errors_"}),
        (AdalineGD(0.001), {"cost": "cost_"}),
        (MLPClassifier((3,), max_iter=4), {"loss": "loss_curve_"}),
        (
            MLPClassifier((3,), max_iter=4, early_stopping=True),
            {"loss": "loss_curve_", "val_accuracy": "validation_scores_"},
        ),
        (
            MLPRegressor(hidden_layer_sizes=(3,), max_iter=4, early_stopping=True),
            {"loss": "loss_curve_", "val_r2": "validation_scores_"},
        ),
        (
            estimators.MLPClassifier((3,), max_iter=4, early_stopping=True),
            {"loss": "loss_curve_", "val_loss": "validation_loss_curve_", "val_accuracy": "validation_scores_"},
        ),
    ],
)
def test_an_estimator_gives_what_it_kept(estimator, attributes):
    estimator.fit(X, Y)
    record = record_of("f", estimator)
    assert record.curves.keys() == attributes.keys()
    for key, name in attributes.items():
        np.testing.assert_array_equal(record.curves[key], getattr(estimator, name))
    assert record.epochs.tolist() == list(range(1, len(record.epochs) + 1))


def test_an_estimator_with_a_history_gives_that():
    classifier = estimators.NeuralNetClassifier(epochs=2, validation_split=0.25, random_state=0).fit(X, Y)
    record = record_of("f", classifier)
    assert record.keys == ["loss"]
    np.testing.assert_array_equal(record.curves["val_loss"], classifier.history_["val_loss"])
    assert record_of("f", SimpleNamespace(history_=history())).keys == ["loss"]


def test_lists_are_taken_as_they_are():
    assert record_of("f", [3.0, 2.0]).curves["loss"].tolist() == [3.0, 2.0]
    assert record_of("f", np.array([3, 2])).curves["loss"].dtype == np.float64
    assert record_of("f", {"val_mae": [3, 2]}).keys == ["val_mae"]


def test_the_best_epoch_is_of_finite_numbers_only():
    record = record_of(
        "f", {"loss": [2, math.nan, 1, math.inf], "accuracy": [0.5, math.inf, 0.9, 0.1], "none": [math.nan] * 4}
    )
    assert (record.best("loss"), record.best("accuracy"), record.best("none")) == (2, 2, None)


def test_errors_and_costs_fall_too():
    assert [falls(key) for key in ("errors", "cost", "val_loss", "val_accuracy")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (History(), ConfigurationError, "f: the history is empty: there is nothing to plot."),
        ([], ConfigurationError, "f: the history is empty: there is nothing to plot."),
        ({"loss": [1, 2], "mae": [1]}, DataError, "f: 'mae' has 1 numbers, but there were 2 epochs."),
        (["a"], DataError, "f: the numbers per epoch must be lists of numbers."),
        (
            LinearRegression().fit(X, Y), ConfigurationError,
            "f: LinearRegression holds no numbers per epoch.\n"
            "Hint: pass a History, a fitted Model or an estimator with loss_curve_, cost_ or errors_, or a list",
        ),
    ],
)  # fmt: skip
def test_what_holds_no_numbers_is_told(source, error, text):
    with pytest.raises(error) as caught:
        record_of("f", source)
    assert str(caught.value) == text


def test_a_model_that_was_not_fitted_holds_no_numbers():
    with pytest.raises(
        ConfigurationError, match=r'^f: the model "sequential" has not been fitted: it has no history\.$'
    ):
        record_of("f", Sequential([Dense(1)]))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_the_csv_file_of_a_run_is_its_history(frame):
    columns = {"epoch": [3, 4], "loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "seconds": [0.5, 0.25]}
    record = record_of("f", frame(columns))
    assert list(record.curves) == ["loss", "val_loss"]
    assert record.epochs.tolist() == [3, 4]
    assert record.seconds.tolist() == [0.5, 0.25]
    with pytest.raises(DataError, match=r"^f: the column 'epoch' must hold whole numbers\.$"):
        record_of("f", frame({"epoch": [0.5], "loss": [1.0]}))


def test_a_series_is_one_list_and_a_table_of_numbers_is_refused():
    assert record_of("f", pd.Series([3.0, 2.0])).curves["loss"].tolist() == [3.0, 2.0]
    with pytest.raises(DataError, match=r"^f: the numbers per epoch must be lists of numbers\.$"):
        record_of("f", np.ones((3, 2)))


def test_the_last_number_of_a_training_that_left_the_range_is_none():
    record = record_of("f", {"loss": [3.0, np.inf, 2.0], "val_loss": [2.0, 1.0, np.nan]})
    assert np.isnan(record.last("loss"))
    assert record.last("val_loss") == 1.0
