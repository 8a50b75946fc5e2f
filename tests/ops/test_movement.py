"""Reshape, transpose, flip, broadcast, sum: against NumPy, on drawn shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.ops.strategies import arrays, counted, shapes

from pellucid import dtypes, ops
from pellucid.errors import ShapeError
from pellucid.ops.movement import sum_to, swap_last
from pellucid.tensor import Tensor


@given(shapes, st.data())
def test_transpose_orders_axes_like_numpy(shape: tuple, data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    signed = [axis - len(shape) if data.draw(st.booleans()) else axis for axis in axes]
    x = counted(shape)
    np.testing.assert_array_equal(ops.transpose(Tensor(x), signed).numpy(), np.transpose(x, axes))
    np.testing.assert_array_equal(Tensor(x).T.numpy(), x.T)


@given(shapes, st.data())
def test_flip_and_sum_take_any_axes(shape: tuple, data: st.DataObject) -> None:
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ())
    x = counted(shape)
    np.testing.assert_array_equal(ops.flip(Tensor(x), axes).numpy(), np.flip(x, axes))
    for keepdims in (False, True):
        np.testing.assert_array_equal(ops.sum(Tensor(x), axes, keepdims).numpy(), x.sum(axes, keepdims=keepdims))
    np.testing.assert_array_equal(ops.sum(Tensor(x)).numpy(), x.sum())


@given(shapes, st.data())
def test_sum_to_is_the_transpose_of_broadcasting(shape: tuple, data: st.DataObject) -> None:
    """<broadcast x, y> = <x, sum_to y>."""
    small = tuple(data.draw(st.sampled_from([1, n])) for n in shape[data.draw(st.integers(0, len(shape))) :])
    x, y = data.draw(arrays(small)), data.draw(arrays(shape))
    stretched = ops.broadcast_to(Tensor(x), shape)
    assert stretched.shape == shape
    back = sum_to(Tensor(y), small)
    assert back.shape == small
    np.testing.assert_allclose((stretched * y).sum().item(), (back * x).sum().item(), rtol=1e-12, atol=1e-9)


@given(shapes, st.data())
def test_reshape_keeps_elements_in_order(shape: tuple, data: st.DataObject) -> None:
    x = counted(shape)
    np.testing.assert_array_equal(ops.reshape(Tensor(x), (-1,)).numpy(), x.reshape(-1))
    new = tuple(data.draw(st.permutations(shape)))
    np.testing.assert_array_equal(ops.reshape(Tensor(x), new).numpy(), x.reshape(new))


@given(hnp.array_shapes(max_dims=4, max_side=3), st.data())
def test_expand_and_squeeze_undo_each_other(shape: tuple, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    wide = ops.expand_dims(Tensor(counted(shape)), axis)
    assert wide.shape == np.expand_dims(counted(shape), axis).shape
    assert ops.squeeze(wide, axis).shape == shape
    assert ops.squeeze(wide).shape == tuple(n for n in shape if n != 1)


def test_nothing_to_do_gives_the_operand_itself() -> None:
    x = Tensor(np.zeros((2, 3)))
    assert ops.reshape(x, (2, -1)) is x
    assert ops.transpose(x, (0, 1)) is x
    assert ops.broadcast_to(x, (2, 3)) is x
    assert sum_to(x, (2, 3)) is x
    assert ops.sum(x, ()) is x


def test_axes_may_be_numpy_integers() -> None:
    x = counted((2, 3))
    assert ops.sum(x, np.int64(1)).shape == (2,)
    assert ops.transpose(x, np.argsort([1, 0])).shape == (3, 2)
    assert ops.softmax(x, np.int32(0)).shape == (2, 3)


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda d: d.name)
def test_sums_of_small_integers_do_not_wrap(dtype: np.dtype) -> None:
    x = np.full(400, 1, dtype)
    total = ops.sum(x)
    assert total.item() == 400
    narrow = dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize < 4)
    assert total.dtype == (dtypes.int32 if narrow else dtype)


def test_swap_last_transposes_each_matrix() -> None:
    x = counted((2, 3, 4))
    np.testing.assert_array_equal(swap_last(Tensor(x)).numpy(), np.swapaxes(x, -1, -2))


@given(shapes)
def test_the_size_of_a_tensor_is_the_product_of_its_axes(shape: tuple) -> None:
    x = Tensor(counted(shape))
    assert (x.size, x.ndim) == (math.prod(shape), len(shape))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.reshape(x, (4, 2)), "reshape: 6 elements [2, 3] do not fill the shape [4, 2] of 8"),
        (lambda x: ops.reshape(x, (4, -1)), "reshape: 6 elements [2, 3] do not divide into the shape [4, -1]"),
        (lambda x: ops.reshape(x, (-1, -1)), "reshape: the shape [-1, -1] has more than one -1"),
        (lambda x: ops.transpose(x, (0, 0)), "transpose: axes (0, 0) are not an ordering of the 2 axes of [2, 3]"),
        (lambda x: ops.transpose(x, (0, 2)), "transpose: axes (0, 2) are not an ordering of the 2 axes of [2, 3]"),
        (lambda x: ops.broadcast_to(x, (2, 4)), "broadcast_to: shapes [2, 3] and [2, 4] do not broadcast: 3 != 4"),
        (lambda x: ops.broadcast_to(x, (3,)), "broadcast_to: shape [2, 3] does not stretch to [3]"),
        (lambda x: ops.sum(x, 2), "axis 2 does not exist in an array of 2 axes"),
        (lambda x: ops.sum(x, (0, -2)), "axes (0, -2) name one axis twice"),
        (lambda x: ops.squeeze(x, 1), "squeeze: axis 1 of [2, 3] has size 3, not 1"),
    ],
)
def test_impossible_shapes_are_explained(call: object, message: str) -> None:
    with pytest.raises(ShapeError) as error:
        call(Tensor(counted((2, 3))))
    assert str(error.value).startswith(message)
