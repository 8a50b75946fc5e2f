"""Pooling: against loops over windows, and where the gradient goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ops.strategies import arrays

from pellucid import dtypes, ops
from pellucid.autodiff import grad
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.tensor import Tensor


def windows_by_loops(x: np.ndarray, window: tuple, strides: tuple, pads: tuple) -> dict[tuple, np.ndarray]:
    """The elements of the image in each window, per position and channel; padding is left out."""
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=np.nan)
    sizes = [(n - k) // s + 1 for n, k, s in zip(padded.shape[1:-1], window, strides, strict=True)]
    found = {}
    for place in np.ndindex(x.shape[0], *sizes, x.shape[-1]):
        slices = tuple(slice(o * s, o * s + k) for o, s, k in zip(place[1:-1], strides, window, strict=True))
        values = padded[(place[0], *slices, place[-1])].ravel()
        found[place] = values[~np.isnan(values)]
    return found


@st.composite
def pools(draw: st.DrawFn) -> tuple:
    rank = draw(st.integers(1, 2))
    window = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    pads = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in window)
    sizes = tuple(k + draw(st.integers(0, 3)) for k in window)
    x = draw(arrays((draw(st.integers(0, 2)), *sizes, draw(st.integers(1, 2)))))
    return x, window, strides, pads


@given(pools())
def test_pooling_is_its_definition(drawn: tuple) -> None:
    x, window, strides, pads = drawn
    largest, average = ops.max_pool(x, window, strides, pads), ops.avg_pool(x, window, strides, pads)
    expected = windows_by_loops(x, window, strides, pads)
    assert largest.size == average.size == len(expected)
    for place, values in expected.items():
        assert largest.numpy()[place] == values.max()
        np.testing.assert_allclose(average.numpy()[place], values.mean(), rtol=1e-12, atol=1e-12)


@given(pools())
def test_gradients_of_pooling_add_up_to_the_number_of_windows(drawn: tuple) -> None:
    x, window, strides, pads = drawn
    count = len(windows_by_loops(x, window, strides, pads))
    for function in (ops.max_pool, ops.avg_pool):
        gradient = grad(lambda v, pool=function: pool(v, window, strides, pads).sum())(x)
        assert gradient.shape == x.shape
        np.testing.assert_allclose(gradient.sum().item(), count, rtol=1e-12)


def test_the_lectures_example() -> None:
    x = np.array([[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]], "float32")
    pooled = ops.max_pool(x.reshape(1, 4, 4, 1), 2)
    assert pooled[0, :, :, 0].tolist() == [[20, 30], [112, 37]]


def test_of_equal_winners_the_first_gets_the_gradient() -> None:
    x = np.array([[[5.0], [5.0], [1.0], [5.0]]])
    assert grad(lambda v: ops.max_pool(v, 2).sum())(x)[0, :, 0].tolist() == [1, 0, 0, 1]


def test_an_element_that_wins_two_windows_gets_both_gradients() -> None:
    x = np.array([[[1.0], [9.0], [2.0]]])
    assert grad(lambda v: (ops.max_pool(v, 2, 1) * np.array([[[1.0], [10.0]]])).sum())(x)[0, :, 0].tolist() == [
        0,
        11,
        0,
    ]


def test_padding_never_wins_even_over_minus_infinity() -> None:
    x = np.array([[[-np.inf], [-3.0]]])
    assert ops.max_pool(x, 2, 1, 1)[0, :, 0].tolist() == [-np.inf, -3.0, -3.0]


def test_padding_is_not_counted_in_the_average() -> None:
    x = np.array([[[2.0], [4.0]]])
    assert ops.avg_pool(x, 2, 1, 1)[0, :, 0].tolist() == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda d: d.name)
def test_every_type_has_a_largest_element(dtype: np.dtype) -> None:
    x = np.array([[[0], [1], [0]]], dtype)
    pooled = ops.max_pool(x, 2, 2, 1)
    assert pooled.dtype == dtype
    assert pooled[0, :, 0].tolist() == [0, 1]


@pytest.mark.parametrize("function", [ops.max_pool, ops.avg_pool])
@pytest.mark.parametrize(
    ("shape", "arguments", "error", "message"),
    [
        ((4, 4), (2,), ShapeError, "pooling: images need at least 3 axes [batch, spatial..., channel], not [4, 4]"),
        ((1, 4, 1), (2, 1, 2), ShapeError, "pooling: padding (2, 2) leaves a window of 2 with no element of the image"),
        ((1, 4, 1), (0,), ConfigurationError, "the pooling window must be a positive integer or 1 of them, not 0."),
        ((1, 4, 1), ((2, 2),), ConfigurationError, "the pooling window must be a positive integer or 1 of them"),
    ],
)
def test_impossible_pools_are_explained(
    function: Any, shape: tuple, arguments: tuple, error: type, message: str
) -> None:
    with pytest.raises(error) as caught:
        function(Tensor(np.zeros(shape, "float32")), *arguments)
    assert str(caught.value).startswith(message)


def test_a_window_larger_than_the_image_is_explained() -> None:
    with pytest.raises(ShapeError) as error:
        ops.max_pool(np.zeros((1, 2, 1), "float32"), 3)
    line = test_a_window_larger_than_the_image_is_explained.__code__.co_firstlineno + 2
    assert str(error.value) == (
        "max_pool_index: a window of 3 does not fit on spatial axis 0 of size 2 + padding 0\n"
        "  x: float32[1, 2, 1]\n"
        f"  at test_pooling.py:{line} in test_a_window_larger_than_the_image_is_explained"
    )


def test_many_windows_of_one_channel_have_their_own_winners():
    x = np.random.default_rng(0).normal(size=(81, 20, 12, 1)).astype("float32")
    found = grad(lambda v: ops.max_pool(v, (1, 2)).sum())(x)
    pairs = x.reshape(81, 20, 6, 2, 1)
    np.testing.assert_array_equal(found, (pairs == pairs.max(3, keepdims=True)).reshape(x.shape).astype("float32"))
