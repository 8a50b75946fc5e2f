"""What every linear model promises: scikit-learn's own checks, typed errors, and a record of each epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

from pellucid.classic import (
    AdalineGD,
    AdalineSGD,
    LinearRegressionGD,
    LogisticRegressionGD,
    NotFittedError,
    Perceptron,
)
from pellucid.errors import ConfigurationError, DataError, DTypeError, NonFiniteError, NotBuiltError

CLASSIFIERS = [Perceptron, AdalineGD, AdalineSGD, LogisticRegressionGD]
MODELS = [*CLASSIFIERS, LinearRegressionGD]
X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [3.0, 2.0]])
Y = np.array([0, 0, 1, 1])


def sklearn_checks() -> list[Any]:
    models = [model() for model in MODELS] + [LogisticRegressionGD(batch_size=8), Perceptron(shuffle=True)]
    found = []
    for model in models:
        for estimator, check in estimator_checks_generator(model):
            name = getattr(check, "func", check).__name__
            if name != "check_array_api_input":  # needs SCIPY_ARRAY_API=1 before SciPy is imported
                found.append(pytest.param(estimator, check, id=f"{model!r}-{name}"))
    return found


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks())
def test_scikit_learns_own_checks_pass(estimator: BaseEstimator, check: Callable[[BaseEstimator], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks themselves
        check(estimator)


@pytest.mark.parametrize("model", MODELS)
def test_settings_are_kept_as_given_and_cloned(model: type[Any]) -> None:
    made = model(learning_rate=0.5, epochs=3)
    assert clone(made).get_params() == made.get_params()
    assert made.get_params()["learning_rate"] == 0.5
    assert is_regressor(made) == (model is LinearRegressionGD)
    assert is_classifier(made) == (model is not LinearRegressionGD)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("learning_rate", 0, "a finite number above 0"),
        ("learning_rate", "fast", "a finite number above 0"),
        ("epochs", 0, "a whole number of at least 1"),
        ("epochs", 2.0, "a whole number of at least 1"),
    ],
)
def test_a_setting_outside_its_range_is_a_typed_value_error(
    model: type[Any], setting: str, value: object, wanted: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        model(**{setting: value}).fit(X, Y)
    assert str(caught.value) == f"{model.__name__}: {setting} must be {wanted}, not {value!r}."
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("model", MODELS)
def test_unsuitable_data_are_typed_errors(model: type[Any]) -> None:
    with pytest.raises(DataError, match="Input X contains NaN"):
        model().fit(np.where(X == 0, np.nan, X), Y)
    with pytest.raises(DataError, match="inconsistent numbers of samples"):
        model().fit(X, Y[:3])
    fitted = model().fit(X, Y)
    with pytest.raises(DataError, match="X has 3 features"):
        fitted.predict(np.ones((1, 3)))
    import scipy.sparse

    with pytest.raises(DTypeError, match="Sparse data"):
        model().fit(scipy.sparse.csr_array(X), Y)


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_labels_that_are_no_classes_are_typed_errors(model: type[Any]) -> None:
    with pytest.raises(DataError, match="Unknown label type"):
        model().fit(X, [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(DataError) as caught:
        model().fit(X, [7, 7, 7, 7])
    assert str(caught.value) == f"{model.__name__}: y must have at least two classes, but has one class, 7."


@pytest.mark.parametrize("model", MODELS)
def test_use_before_fit_is_an_error_of_both_libraries(model: type[Any]) -> None:
    with pytest.raises(NotFittedError, match=f"This {model.__name__} instance is not fitted yet") as caught:
        model().predict(X)
    assert isinstance(caught.value, NotBuiltError)
    assert isinstance(caught.value, SklearnNotFittedError)


@pytest.mark.parametrize("model", MODELS)
def test_the_weights_of_every_epoch_are_kept(model: type[Any]) -> None:
    short, long = model(epochs=2, learning_rate=0.01).fit(X, Y), model(epochs=4, learning_rate=0.01).fit(X, Y)
    assert len(long.coef_history_) == len(long.intercept_history_) == long.n_iter_
    assert np.array_equal(long.coef_history_[1], short.coef_)
    assert np.array_equal(long.intercept_history_[1], short.intercept_)
    assert np.array_equal(long.coef_history_[-1], long.coef_)
    assert long.n_features_in_ == 2


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_three_classes_have_three_units_each_trained_as_if_alone(model: type[Any]) -> None:
    r = np.random.default_rng(0)
    x = np.concatenate([r.normal(centre, 0.4, (20, 2)) for centre in ((0, 0), (4, 0), (0, 4))]) - 1
    y = np.repeat(["c", "a", "b"], 20)
    settings = {"learning_rate": 0.005, "epochs": 30}
    fitted = model(**settings).fit(x, y)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert fitted.coef_.shape == (3, 2)
    assert fitted.decision_function(x).shape == (60, 3)
    assert fitted.score(x, y) > 0.9
    for k, name in enumerate(fitted.classes_):
        alone = model(**settings).fit(x, y == name)
        # A perceptron alone stops when it is done; in the group it goes on, but nothing changes.
        assert alone.coef_[0] == pytest.approx(fitted.coef_[k], rel=1e-9)


@pytest.mark.parametrize("model", [AdalineGD, AdalineSGD, LinearRegressionGD])
def test_a_cost_without_bound_is_reported_with_the_learning_rate(model: type[Any]) -> None:
    with pytest.raises(NonFiniteError) as caught:
        model(learning_rate=9.0, epochs=500).fit(100 * X, Y)
    assert f"{model.__name__}: the cost left the range of float64 in epoch " in str(caught.value)
    assert str(caught.value).endswith(
        ": the learning rate 9.0 is too large for these data.\n"
        "Hint: lower learning_rate, or standardise the inputs (pellucid.data.standardize)"
    )


def test_the_decision_boundary_is_drawn_by_scikit_learn() -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from sklearn.inspection import DecisionBoundaryDisplay

    fitted = Perceptron().fit(X, Y)
    display = DecisionBoundaryDisplay.from_estimator(fitted, X, response_method="predict", grid_resolution=20)
    assert set(np.unique(display.response)) == {0, 1}
    pyplot.close("all")
