"""Python's operators and methods mean the operations of the same name."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest

from pellucid.op import Spec
from pellucid.tensor import Tensor

X, Y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[4.0, 2.0], [0.5, 1.0]])
BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_operators_agree_with_numpy_whatever_stands_on_the_left(function: Callable) -> None:
    expected = function(X, Y)
    for left, right in ((Tensor(X), Tensor(Y)), (Tensor(X), Y), (X, Tensor(Y))):
        result = function(left, right)
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("function", [f for f in BINARY if f is not operator.matmul], ids=lambda f: f.__name__)
@pytest.mark.parametrize("scalar", [2, 0.5, np.float64(0.5), np.float32(0.5), np.int64(2), [1.0, 2.0]], ids=repr)
def test_operators_take_numbers_on_both_sides(function: Callable, scalar: object) -> None:
    np.testing.assert_array_equal(function(Tensor(X), scalar).numpy(), function(X, scalar))
    np.testing.assert_array_equal(function(scalar, Tensor(X)).numpy(), function(scalar, X))


def test_unary_operators() -> None:
    x = Tensor([-1.0, 2.0])
    assert (-x).tolist() == [1.0, -2.0]
    assert +x is x
    assert abs(x).tolist() == [1.0, 2.0]


def test_methods_agree_with_numpy() -> None:
    x = Tensor(X)
    np.testing.assert_array_equal(x.sum(0).numpy(), X.sum(0))
    np.testing.assert_array_equal(x.mean(1, keepdims=True).numpy(), X.mean(1, keepdims=True))
    np.testing.assert_array_equal(x.max(0).numpy(), X.max(0))
    np.testing.assert_array_equal(x.min().numpy(), X.min())
    np.testing.assert_array_equal(x.argmax().numpy(), X.argmax(-1))
    np.testing.assert_array_equal(x.reshape(4).numpy(), X.reshape(4))
    np.testing.assert_array_equal(x.reshape((1, -1)).numpy(), X.reshape(1, 4))
    np.testing.assert_array_equal(x.reshape([4, 1]).numpy(), X.reshape(4, 1))
    np.testing.assert_array_equal(x.transpose().numpy(), X.T)
    np.testing.assert_array_equal(x.transpose(0, 1).numpy(), X)
    np.testing.assert_array_equal(x.transpose((1, 0)).numpy(), X.T)
    assert x.astype("int32").dtype == np.int32


def test_shape_attributes() -> None:
    x = Tensor(np.zeros((2, 3)))
    assert (x.shape, x.dtype, x.ndim, x.size, len(x)) == ((2, 3), np.float64, 2, 6, 2)
    assert x.spec == Spec((2, 3), np.dtype("float64"))
    assert str(x.spec) == "float64[2, 3]"


def test_a_tensor_is_hashed_by_identity() -> None:
    x, y = Tensor(1.0), Tensor(1.0)
    assert {x: "x", y: "y"}[x] == "x"
    assert len({x, y}) == 2
