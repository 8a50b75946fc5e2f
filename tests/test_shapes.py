"""Shape arithmetic against NumPy, on drawn shapes, and the words of its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid import shapes
from pellucid.errors import ConfigurationError, ShapeError

any_shape = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4).map(tuple)


@given(st.lists(any_shape, min_size=1, max_size=4))
def test_broadcast_is_numpys(drawn: list) -> None:
    try:
        expected = np.broadcast_shapes(*drawn)
    except ValueError:
        with pytest.raises(ShapeError, match="do not broadcast"):
            shapes.broadcast(*drawn)
    else:
        assert shapes.broadcast(*drawn) == expected


def test_the_axis_that_does_not_broadcast_is_named() -> None:
    with pytest.raises(ShapeError) as error:
        shapes.broadcast((5, 2, 3), (4, 3))
    assert str(error.value) == "shapes [5, 2, 3] and [4, 3] do not broadcast: 2 != 4 (axis -2 counted from the right)"


@given(any_shape)
def test_size_is_the_number_of_elements(shape: tuple) -> None:
    assert shapes.size(shape) == np.zeros(shape).size


def test_unknown_sizes_are_shown_as_question_marks() -> None:
    assert shapes.show((None, 784)) == "[?, 784]"
    assert shapes.show(()) == "[]"


@given(any_shape, st.integers(-6, 6))
def test_an_axis_is_counted_from_either_end(shape: tuple, axis: int) -> None:
    rank = len(shape)
    if -rank <= axis < rank:
        assert shapes.normalize_axis(axis, rank) == list(range(rank))[axis]
    else:
        with pytest.raises(ShapeError, match=rf"^axis {axis} does not exist in an array of {rank} axes$"):
            shapes.normalize_axis(axis, rank)


def test_axes_are_sorted_plain_and_distinct() -> None:
    assert shapes.normalize_axes((-1, 0), 3) == (0, 2)
    assert shapes.normalize_axes(None, 2) == (0, 1)
    assert shapes.normalize_axes(np.int64(1), 2) == (1,)
    assert all(type(axis) is int for axis in shapes.normalize_axes(np.arange(2), 2))
    with pytest.raises(ShapeError, match=r"^axes \(0, -2\) name one axis twice$"):
        shapes.normalize_axes((0, -2), 2)


@given(any_shape, st.booleans(), st.data())
def test_reduced_shapes_are_numpys(shape: tuple, keepdims: bool, data: st.DataObject) -> None:
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else ()
    assert shapes.reduced(shape, axes, keepdims) == np.zeros(shape).sum(axes, keepdims=keepdims).shape


@given(any_shape, st.lists(st.integers(-1, 6), max_size=4))
def test_reshape_is_resolved_like_numpys(old: tuple, new: list) -> None:
    try:
        expected = np.zeros(old).reshape(new).shape
    except ValueError:
        with pytest.raises(ShapeError):
            shapes.resolve_reshape(old, new)
    else:
        assert shapes.resolve_reshape(old, new) == expected


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"^the shape \[2, -3\] has a negative size$"):
        shapes.resolve_reshape((6,), (2, -3))


def test_one_number_stands_for_every_spatial_axis() -> None:
    assert shapes.spatial_tuple(3, 2, "strides") == (3, 3)
    assert shapes.spatial_tuple(np.int64(3), 2, "strides") == (3, 3)
    assert shapes.spatial_tuple([1, 2], 2, "strides") == (1, 2)


@pytest.mark.parametrize("value", [0, -1, 1.0, "2", None, (1,), (1, 2, 3), (1, 0), (1, 1.5)])
def test_what_is_no_window_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError) as error:
        shapes.spatial_tuple(value, 2, "strides")
    assert str(error.value) == f"strides must be a positive integer or 2 of them, not {value!r}."


@pytest.mark.parametrize("value", [-1, 1.0, None, (1,), ((1, 2, 3), (1, 2)), ((1, -1), 0), (1.0, 2)])
def test_what_is_no_padding_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError) as error:
        shapes.resolve_padding(value, (5, 5), (3, 3), (1, 1), (1, 1))
    assert str(error.value) == f"padding must give a number or a pair of numbers for each of 2 axes: {value!r}."


def test_padding_is_a_word_a_number_or_pairs() -> None:
    def resolve(padding: Any) -> Any:
        return shapes.resolve_padding(padding, (5, 6), (3, 2), (1, 2), (1, 1))

    assert resolve("valid") == ((0, 0), (0, 0))
    assert resolve("same") == ((1, 1), (0, 0))
    assert resolve(2) == ((2, 2), (2, 2))
    assert resolve((1, (0, 3))) == ((1, 1), (0, 3))
    for padding in ((2, 0), ((2, 0),)):
        assert shapes.resolve_padding(padding, (5,), (3,), (1,), (1,)) == ((2, 0),)
    with pytest.raises(ConfigurationError, match=r"^padding must be 'valid', 'same' or numbers, not 'full'\.$"):
        resolve("full")


window = st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))


@given(window)
def test_same_padding_divides_by_the_stride_with_the_odd_zero_after(drawn: tuple) -> None:
    n, k, s, d = drawn
    ((before, after),) = pads = shapes.resolve_padding("same", (n,), (k,), (s,), (d,))
    assert 0 <= after - before <= 1
    assert shapes.window_output((n,), (k,), (s,), pads, (d,)) == (-(-n // s),)


@given(window)
def test_a_window_is_counted_as_often_as_it_fits(drawn: tuple) -> None:
    n, k, s, d = drawn
    extent = d * (k - 1) + 1
    starts = [start for start in range(0, n, s) if start + extent <= n]
    if starts:
        assert shapes.window_output((n,), (k,), (s,), ((0, 0),), (d,)) == (len(starts),)
    else:
        with pytest.raises(ShapeError, match=rf"^a window of {extent} does not fit on spatial axis 0 of size {n} "):
            shapes.window_output((n,), (k,), (s,), ((0, 0),), (d,))


def test_the_lectures_output_size() -> None:
    """ceil((W - F + 1) / S), unpadded."""
    for w, f, s in ((5, 3, 1), (5, 3, 2), (28, 5, 1), (7, 2, 3)):
        assert shapes.window_output((w,), (f,), (s,), ((0, 0),), (1,)) == (-(-(w - f + 1) // s),)
