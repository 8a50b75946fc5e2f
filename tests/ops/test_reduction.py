"""Maximum, minimum, product, ordering and running sums: against NumPy, and their gradients at ties and zeros."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.ops.strategies import arrays, shapes

from pellucid import dtypes, ops
from pellucid.autodiff import grad, hessian
from pellucid.errors import ShapeError
from pellucid.tensor import Tensor

filled_shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def drawn_axes(shape: tuple, data: st.DataObject) -> tuple:
    return tuple(data.draw(st.sets(st.integers(-len(shape), -1)))) if shape else ()


@given(filled_shapes, st.booleans(), st.data())
def test_extremes_are_numpys(shape: tuple, keepdims: bool, data: st.DataObject) -> None:
    x, axes = data.draw(arrays(shape)), drawn_axes(shape, data)
    np.testing.assert_array_equal(ops.max(Tensor(x), axes, keepdims).numpy(), x.max(axis=axes, keepdims=keepdims))
    np.testing.assert_array_equal(ops.min(Tensor(x), axes, keepdims).numpy(), x.min(axis=axes, keepdims=keepdims))
    assert ops.max(Tensor(x)).item() == x.max()
    assert ops.min(Tensor(x)).item() == x.min()


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda d: d.name)
def test_extremes_of_every_type_reach_its_limits(dtype: np.dtype) -> None:
    if dtype.kind == "b":
        low, high = False, True
    else:
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        low, high = limits.min.item() if dtype.kind == "f" else limits.min, limits.max
    x = Tensor(np.array([low, high, 1], dtype))
    assert ops.min(x).item() == low
    assert ops.max(x).item() == np.array(high, dtype).item()
    assert ops.min(x).dtype == ops.max(x).dtype == dtype


@given(shapes, st.booleans(), st.data())
def test_products_are_numpys(shape: tuple, keepdims: bool, data: st.DataObject) -> None:
    x, axes = data.draw(arrays(shape)), drawn_axes(shape, data)
    ours = ops.prod(Tensor(x), axes, keepdims).numpy()
    np.testing.assert_allclose(ours, x.prod(axis=axes, keepdims=keepdims), rtol=1e-12)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("length", [1, 3, 4, 7])
def test_gradients_of_products_with_zeros_are_products_of_the_others(zeros: int, length: int) -> None:
    x = np.arange(2.0, 2 + length)
    x[: min(zeros, length)] = 0
    others = [np.prod(np.delete(x, i)) for i in range(length)]
    assert grad(ops.prod)(x).tolist() == others
    second = hessian(ops.prod)(x).numpy()
    for i, j in itertools.product(range(length), repeat=2):
        expected = 0.0 if i == j else np.prod(np.delete(x, [i, j]))
        assert second[i, j] == expected


def test_equal_winners_share_the_gradient() -> None:
    x = np.array([[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 1.0, 0.0]])
    assert grad(lambda v: ops.max(v, 1).sum())(x).tolist() == [[0, 1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0, 0]]
    assert grad(lambda v: ops.min(v, 1).sum())(x).tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


@given(filled_shapes, st.data())
def test_order_and_running_sums_are_numpys(shape: tuple, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    assert ops.argmax(x, axis).dtype == np.int64
    np.testing.assert_array_equal(ops.argmax(x, axis).numpy(), x.argmax(axis))
    np.testing.assert_array_equal(ops.argsort(x, axis).numpy(), np.argsort(x, axis, kind="stable"))
    np.testing.assert_allclose(ops.cumsum(x, axis).numpy(), x.cumsum(axis), rtol=1e-12)


@given(st.lists(st.integers(0, 3), max_size=60))
def test_sorting_is_stable(keys: list[int]) -> None:
    order = ops.argsort(np.array(keys, "int32")).tolist()
    assert order == sorted(range(len(keys)), key=lambda i: keys[i])


def test_sorted_values_have_gradients_through_their_indices() -> None:
    x = np.array([3.0, 1.0, 2.0])
    weights = np.array([1.0, 10.0, 100.0])
    gradient = grad(lambda v: (ops.gather(v, ops.argsort(v)) * weights).sum())(x)
    assert gradient.tolist() == [100.0, 1.0, 10.0]


def test_a_running_sum_of_booleans_counts() -> None:
    assert ops.cumsum(Tensor([True, False, True])).tolist() == [1, 1, 2]


def test_a_product_over_nothing_is_one() -> None:
    assert ops.prod(Tensor(np.zeros((0, 2))), 0).tolist() == [1.0, 1.0]
    assert math.isclose(ops.prod(Tensor(7.0)).item(), 7.0)


@pytest.mark.parametrize("function", [ops.max, ops.min, ops.argmax])
def test_nothing_has_no_extreme(function: object) -> None:
    with pytest.raises(ShapeError) as error:
        function(Tensor(np.zeros((2, 0), "float32"), name="scores"), 1)
    assert str(error.value).startswith(
        f"{function.__name__}: axis 1 of [2, 0] is empty: there is no element to choose\n"
        '  x: float32[2, 0]   "scores"\n'
        "  at test_reduction.py:"
    )
