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
