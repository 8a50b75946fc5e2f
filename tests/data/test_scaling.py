from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from pellucid.data import Standardization, load, standardize
from pellucid.errors import DataError


@given(st.integers(0, 1000), st.integers(1, 20), st.integers(1, 4))
def test_it_is_scikit_learns_standard_scaler(seed: int, rows: int, features: int) -> None:
    r = np.random.default_rng(seed)
    x, other = r.normal(3, 10, (rows, features)), r.normal(size=(2, features))
    scale, theirs = Standardization.of(x), StandardScaler().fit(x)
    assert scale(other) == pytest.approx(theirs.transform(other))
    assert scale.undo(scale(other)) == pytest.approx(other)
    assert np.array_equal(standardize(x), scale(x))


def test_the_result_has_mean_zero_and_deviation_one_and_the_float_type_of_the_input() -> None:
    r = np.random.default_rng(0)
    x = r.normal(5, 3, (100, 4, 4, 1)).astype(np.float32)
    z = standardize(x)
    assert z.dtype == np.float32
    assert z.shape == x.shape
    assert z.mean(axis=0) == pytest.approx(np.zeros((4, 4, 1)), abs=1e-5)
    assert z.std(axis=0) == pytest.approx(np.ones((4, 4, 1)), abs=1e-5)
    assert standardize([[1], [3]]).dtype == np.float64


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1e30])
def test_a_constant_feature_becomes_exactly_zero(value: float) -> None:
    assert standardize(np.full((7, 2), value)).tolist() == [[0.0, 0.0]] * 7
    assert standardize(np.full((7, 2), value, np.float32)).tolist() == [[0.0, 0.0]] * 7


def test_a_data_set_is_standardised_by_its_training_examples() -> None:
    raw = load("wine")
    data = raw.standardized()
    assert data.x_train.dtype == np.float32
    assert data.x_train.mean(axis=0) == pytest.approx(np.zeros(13), abs=1e-5)
    assert data.x_test == pytest.approx((raw.x_test - raw.x_train.mean(0)) / raw.x_train.std(0), abs=1e-3)
    assert data.feature_names == raw.feature_names
    assert raw.x_train.mean() > 10  # unchanged


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 2)), "standardize takes examples [N, ...] with N of at least 1, not [0, 2]."),
        (3.0, "standardize takes examples [N, ...] with N of at least 1, not []."),
        ([[1.0], [np.nan]], "standardize: x has values that are not finite."),
        ([["a"]], "standardize takes numbers, not an array of str"),
    ],
)
def test_unsuitable_examples_are_refused(x: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        standardize(x)
    assert str(caught.value).startswith(message)


def test_examples_of_another_shape_name_both() -> None:
    with pytest.raises(DataError) as caught:
        Standardization.of(np.eye(3))(np.ones((4, 2)))
    assert str(caught.value) == "Standardization: the examples must have the shape [?, 3], not [4, 2]."
