"""Picking, placing and joining elements: against NumPy, on drawn shapes and keys."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.ops.strategies import counted, shapes

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.compile import compile
from pellucid.errors import DataError, DTypeError, ShapeError
from pellucid.ops.indexing import index
from pellucid.tensor import Tensor

filled_shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@given(shapes, st.data())
def test_basic_keys_pick_like_numpy(shape: tuple, data: st.DataObject) -> None:
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = counted(shape)
    np.testing.assert_array_equal(index(Tensor(x), key).numpy(), x[key])


@pytest.mark.parametrize("size", range(6))
def test_every_slice_of_a_short_axis_picks_like_numpy(size: int) -> None:
    x = counted((size,))
    bounds = [None, *range(-size - 1, size + 2)]
    for start, stop, step in itertools.product(bounds, bounds, (None, 1, 2, 3, -1, -2, -3)):
        picked = index(Tensor(x), slice(start, stop, step))
        assert picked.tolist() == x[start:stop:step].tolist(), (start, stop, step)


@given(shapes, st.data())
def test_the_gradient_of_a_basic_key_lands_where_it_picked(shape: tuple, data: st.DataObject) -> None:
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    expected = np.zeros(shape)
    weights = counted(np.zeros(shape)[key].shape) + 1
    expected[key] = weights
    gradient = grad(lambda x: (x[key] * weights).sum())(counted(shape))
    np.testing.assert_array_equal(gradient.numpy(), expected)


def one_array_keys(shape: tuple, data: st.DataObject) -> tuple:
    """A key with one integer array or mask, slices elsewhere, and new axes anywhere."""
    axis = data.draw(st.integers(0, len(shape) - 1))
    n = shape[axis]
    if data.draw(st.booleans()):
        special: Any = data.draw(hnp.arrays(bool, (n,)))
    else:
        indices = data.draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
        special = data.draw(
            hnp.arrays(data.draw(st.sampled_from(["int8", "int64"])), indices, elements=st.integers(-n, n - 1))
        )
    key: list[Any] = [data.draw(hnp.basic_indices((m,), min_dims=1)) for m in shape]
    key = [k[0] if isinstance(k, tuple) else k for k in key]
    key = [k if isinstance(k, slice) else slice(None) for k in key]
    key[axis] = special
    for _ in range(data.draw(st.integers(0, 2))):
        key.insert(data.draw(st.integers(0, len(key))), None)
    return tuple(key)


@given(filled_shapes, st.data())
def test_keys_with_one_array_pick_like_numpy(shape: tuple, data: st.DataObject) -> None:
    key = one_array_keys(shape, data)
    x = counted(shape)
    np.testing.assert_array_equal(index(Tensor(x), key).numpy(), x[key])
    as_tensors = tuple(Tensor(k) if isinstance(k, np.ndarray) else k for k in key)
    np.testing.assert_array_equal(index(Tensor(x), as_tensors).numpy(), x[key])


@given(filled_shapes, st.data())
def test_the_gradient_of_an_array_key_adds_up_where_it_repeats(shape: tuple, data: st.DataObject) -> None:
    key = one_array_keys(shape, data)
    expected = np.zeros(shape)
    weights = counted(expected[key].shape) + 1
    np.add.at(expected, key, weights)
    gradient = grad(lambda x: (x[key] * weights).sum())(counted(shape))
    np.testing.assert_array_equal(gradient.numpy(), expected)


def test_an_integer_beside_an_array_removes_its_axis_first() -> None:
    """NumPy would move the array's axis to the front here; each axis keeps its place instead."""
    x = counted((2, 3, 4))
    np.testing.assert_array_equal(Tensor(x)[1, :, [0, 2]].numpy(), x[1][:, [0, 2]])


def test_indices_that_are_traced_may_be_negative_too() -> None:
    x = np.array([1.0, 2.0, 3.0])
    picked = compile(lambda a, i: a[i])(x, np.array([-1, 0]))
    assert picked.tolist() == [3.0, 1.0]


def test_an_empty_list_picks_nothing() -> None:
    assert Tensor(counted((3, 2)))[[]].shape == (0, 2)


def test_small_integer_types_reach_far_axes() -> None:
    x = Tensor(counted((300,)))
    assert x[np.array([-1, 5], "int8")].tolist() == [299.0, 5.0]
    assert x[np.array([255], "uint8")].tolist() == [255.0]


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, ShapeError, "index: 3 lies outside axis 0 of [3, 4]"),
        ((0, -5), ShapeError, "index: -5 lies outside axis 1 of [3, 4]"),
        ((0, 0, 0), ShapeError, "index: 3 indices for 2 axes"),
        ((..., ...), ShapeError, "index: '...' may stand only once"),
        (([0], [1]), ShapeError, "index: at most one axis can be indexed by an array"),
        (np.ones(4, bool), ShapeError, "index: a mask of [4] does not fit an axis of 3"),
        (np.ones((3, 4), bool), ShapeError, "index: a mask of [3, 4] does not fit an axis of 3"),
        (True, ShapeError, "index: a mask of [] does not fit an axis of 3"),
        ([3], DataError, "gather: the index 3 lies outside 0..2."),
        ([-4], DataError, "gather: the index -1 lies outside 0..2."),
        ([0.5], DTypeError, "gather: indices must be integers, not float32"),
    ],
)
def test_wrong_keys_are_explained(key: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        Tensor(counted((3, 4)))[key]
    assert str(caught.value).startswith(message)


@given(shapes, st.data())
def test_pad_places_elements_between_zeros(shape: tuple, data: st.DataObject) -> None:
    """Interior zeros, then zeros before and after, counted by hand."""
    low, high, interior = (tuple(data.draw(st.integers(0, 2)) for _ in shape) for _ in range(3))
    x = counted(shape) + 1
    padded = ops.pad(Tensor(x), low, high, interior).numpy()
    assert padded.shape == tuple(
        a + n + max(n - 1, 0) * between + b for n, a, b, between in zip(shape, low, high, interior, strict=True)
    )
    assert padded.sum() == x.sum()
    for position, value in np.ndenumerate(x):
        place = tuple(p * (between + 1) + a for p, a, between in zip(position, low, interior, strict=True))
        assert padded[place] == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1], [0]), "pad: padding (-1,), (0,), (0,) has a negative number"),
        (([1, 1], [0, 0]), "pad: padding (1, 1), (0, 0), (0, 0) does not give one number for each axis of [2]"),
        (([1], [0, 0]), "pad: padding (1,), (0, 0), (0,) does not give one number for each axis of [2]"),
    ],
)
def test_wrong_padding_is_explained(arguments: tuple, message: str) -> None:
    with pytest.raises(ShapeError) as error:
        ops.pad(Tensor([1.0, 2.0]), *arguments)
    assert str(error.value).startswith(message)


@given(filled_shapes, st.data())
def test_concatenate_and_stack_join_like_numpy(shape: tuple, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = []
    for number, length in enumerate(lengths):
        part = list(shape)
        part[axis] = length
        parts.append(Tensor(counted(tuple(part)) + 100 * number))
    np.testing.assert_array_equal(ops.concatenate(parts, axis).numpy(), np.concatenate(parts, axis))
    same = [Tensor(counted(shape)), Tensor(counted(shape) + 1)]
    new = data.draw(st.integers(-len(shape) - 1, len(shape)))
    np.testing.assert_array_equal(ops.stack(same, new).numpy(), np.stack([x.numpy() for x in same], new))


def test_parts_that_do_not_join_are_explained() -> None:
    with pytest.raises(ShapeError) as error:
        ops.concatenate([np.zeros((2, 3), "float32"), np.zeros((3, 3), "float32")], 1)
    line = test_parts_that_do_not_join_are_explained.__code__.co_firstlineno + 2
    assert str(error.value) == (
        "concatenate: part 1 [3, 3] does not join [2, 3] along axis 1\n"
        "  operand 0: float32[2, 3]\n"
        "  operand 1: float32[3, 3]\n"
        f"  at test_indexing.py:{line} in test_parts_that_do_not_join_are_explained"
    )
    with pytest.raises(ShapeError, match=r"^concatenate: there are no parts to join$"):
        ops.concatenate([])


@given(filled_shapes, st.data())
def test_gather_and_scatter_add_are_transposes(shape: tuple, data: st.DataObject) -> None:
    """<gather x, y> = <x, scatter_add y>, along every axis, counted from either end."""
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    indices = data.draw(hnp.arrays("int64", places, elements=st.integers(0, shape[axis] - 1)))
    x = counted(shape) + 1
    picked = ops.gather(x, indices, axis)
    np.testing.assert_array_equal(picked.numpy(), np.take(x, indices, axis))
    y = counted(picked.shape) + 2
    placed = ops.scatter_add(y, indices, shape[axis], axis)
    assert placed.shape == shape
    assert (picked * y).sum().item() == (placed * x).sum().item()
    again = ops.scatter_add(y, indices, shape[axis], axis - len(shape))
    np.testing.assert_array_equal(again.numpy(), placed.numpy())


@given(filled_shapes, st.data())
def test_take_and_add_along_an_axis_are_transposes(shape: tuple, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    places = list(shape)
    places[axis] = data.draw(st.integers(0, 3))
    indices = data.draw(hnp.arrays("int64", tuple(places), elements=st.integers(0, shape[axis] - 1)))
    x = counted(shape) + 1
    picked = ops.take_along_axis(x, indices, axis)
    np.testing.assert_array_equal(picked.numpy(), np.take_along_axis(x, indices, axis))
    y = counted(picked.shape) + 2
    placed = ops.add_along_axis(y, indices, shape[axis], axis)
    assert placed.shape == shape
    assert (picked * y).sum().item() == (placed * x).sum().item()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "uint64"])
@pytest.mark.parametrize("n_classes", [3, 256, 300])
def test_one_hot_marks_each_label_once(dtype: str, n_classes: int) -> None:
    rows = ops.one_hot(np.array([2, 0, 1], dtype), n_classes)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows.numpy(), np.eye(n_classes)[[2, 0, 1]])


@pytest.mark.parametrize("function", [ops.gather, ops.take_along_axis])
@pytest.mark.parametrize("bad", [-1, 3])
def test_labels_outside_the_axis_are_data_errors(function: Any, bad: int) -> None:
    name = function.__name__
    with pytest.raises(DataError) as error:
        function(np.zeros(3, "float32"), np.array([0, bad]), 0)
    assert str(error.value) == f"{name}: the index {bad} lies outside 0..2."


def test_sliced_rows_of_a_matrix_iterate() -> None:
    rows = [row.tolist() for row in Tensor(counted((2, 3)))]
    assert rows == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    with pytest.raises(ShapeError, match=r"^len: a single number has no length$"):
        len(Tensor(1.0))
