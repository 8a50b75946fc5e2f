"""Convolutions of every kind against the reference: forward, and both gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import compile, grad, ops


@given(st.data())
def test_convolutions_and_their_gradients_equal_the_reference(data):
    rank = data.draw(st.integers(1, 2))
    draw_axes = lambda low, high: [data.draw(st.integers(low, high)) for _ in range(rank)]  # noqa: E731
    window, strides, dilation = draw_axes(1, 4), draw_axes(1, 3), draw_axes(1, 2)
    pads = [(data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))) for _ in range(rank)]
    sizes = [
        max(data.draw(st.integers(1, 12)), d * (k - 1) + 1 - sum(p))
        for k, d, p in zip(window, dilation, pads, strict=True)
    ]
    groups = data.draw(st.integers(1, 2))
    channels, outs = (groups * data.draw(st.integers(1, 3)) for _ in range(2))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    r = np.random.default_rng(0)
    x = r.normal(size=(data.draw(st.integers(1, 3)), *sizes, channels)).astype(dtype)
    w = r.normal(size=(*window, channels // groups, outs)).astype(dtype)

    def loss(x, w):
        return ops.sum(ops.sin(ops.conv(x, w, strides, pads, dilation, groups)))

    def everything(x, w):
        return ops.conv(x, w, strides, pads, dilation, groups), grad(loss, (0, 1))(x, w)

    found, (dx, dw) = compile(everything, backend="cpu")(x, w)
    expected, (dx_expected, dw_expected) = compile(everything, backend="reference")(x, w)
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    for ours, theirs in ((found, expected), (dx, dx_expected), (dw, dw_expected)):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("outs", [1, 6, 15, 16, 17, 40])
def test_any_number_of_channels_fills_registers_right(outs):
    r = np.random.default_rng(outs)
    x, w = r.normal(size=(2, 9, 11, 3)), r.normal(size=(3, 3, 3, outs))
    found = np.asarray(compile(lambda x, w: ops.conv(x, w), backend="cpu")(x, w))
    np.testing.assert_allclose(found, np.asarray(ops.conv(x, w)), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("channels", "outs"), [(1, 8), (1, 40), (3, 16), (4, 4), (6, 17), (8, 8), (9, 30)])
def test_gradients_by_the_image_are_right_for_few_and_many_channels(channels, outs, dtype):
    r = np.random.default_rng(outs)
    x = r.normal(size=(3, 8, 7, channels)).astype(dtype)
    w = r.normal(size=(3, 2, channels, outs)).astype(dtype)

    def slope(x):
        return grad(lambda x: ops.sum(ops.sin(ops.conv(x, w, (2, 1), "same"))))(x)

    found = np.asarray(compile(slope, backend="cpu")(x))
    expected = np.asarray(compile(slope, backend="reference")(x))
    np.testing.assert_allclose(found, expected, atol=2e-4 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("height", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("step", [1, 2])
def test_two_rows_at_once_give_what_each_gives_alone(height, step, dtype):
    r = np.random.default_rng(height)
    x = r.normal(size=(3, step * (height + 2), 19, 2)).astype(dtype)
    w, b = r.normal(size=(3, 4, 2, 5)).astype(dtype), r.normal(size=5).astype(dtype)

    def function(x, w, b):
        return ops.relu(ops.conv(x, w, (step, 1), "valid", (step, 1)) + b)

    found = np.asarray(compile(function, backend="cpu")(x, w, b))
    np.testing.assert_allclose(found, np.asarray(function(x, w, b)), atol=2e-4 if dtype == "float32" else 1e-12)
    for row in range(found.shape[1]):
        part = np.ascontiguousarray(x[:, step * row : step * (row + 2) + 1])
        alone = np.asarray(compile(function, backend="cpu")(part, w, b))
        assert alone[:, 0].tobytes() == found[:, row].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outs", [5, 16, 40])
@pytest.mark.parametrize(("channels", "stride"), [(1, 1), (2, 1), (3, 2), (6, 1), (6, 5)])
def test_gradients_by_the_kernel_are_right_where_windows_have_elements_in_common(channels, stride, outs, dtype):
    r = np.random.default_rng(outs)
    for width in (5, 6, 14, 15):
        x = r.normal(size=(5, 8, width, channels)).astype(dtype)
        w = r.normal(size=(3, 5, channels, outs)).astype(dtype)

        def slope(x, w):
            return grad(lambda w: ops.sum(ops.sin(ops.conv(x, w, (1, stride)))))(w)

        found = np.asarray(compile(slope, backend="cpu")(x, w))
        expected = np.asarray(compile(slope, backend="reference")(x, w))
        np.testing.assert_allclose(
            found, expected, atol=(1e-4 if dtype == "float32" else 1e-11) * np.abs(expected).max()
        )
