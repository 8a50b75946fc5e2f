"""Convolutions with three rows of taps, two rows of results at once, against the reference: everything they touch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Input, Sequential, backends, compile, dtypes, grad, ops, set_num_threads, set_seed
from pellucid.backends.cpu.pair_images import gradient_suited, suited
from pellucid.backends.cpu.planner import Planner
from pellucid.graph import rewrite, trace
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

PLAIN = {"groups": 1, "strides": (1, 1), "dilation": (1, 1), "pads": ((1, 1), (1, 1))}
CHANNELS = st.sampled_from([1, 2, 3, 5, 7, 15])
OUTS = st.sampled_from([1, 3, 7, 16, 17, 32, 33, 48])


def made(shape, taps, outs, seed=0):
    r = np.random.default_rng(seed)
    w = r.normal(size=(*taps, shape[-1], outs)) / np.sqrt(np.prod(taps) * shape[-1])
    return r.normal(size=shape).astype("float32"), w.astype("float32"), r.normal(size=outs).astype("float32")


def everything(padding, stride):
    def function(x, w, b):
        def loss(x, w, b):
            return ops.sum(ops.sin(ops.conv(x, w, strides=(1, stride), padding=padding) + b))

        z = ops.conv(x, w, strides=(1, stride), padding=padding)
        return (ops.maximum(z + b, 0.0), *grad(loss, (0, 1, 2))(x, w, b))

    return function


def on_both(function, *arrays):
    """The engine's results beside those of the reference, and the names of what it runs."""
    results = [[np.asarray(a) for a in compile(function, backend=name)(*arrays)] for name in ("cpu", "reference")]
    names = [i.name for i in Planner(rewrite(trace(function, *arrays).graph)).build().instructions]
    return list(zip(*results, strict=True)), names


def close(found, expected, atol=4e-6):
    scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
    np.testing.assert_allclose(found, expected, atol=atol * scale, rtol=0)


@given(st.data())
@settings(max_examples=30)
def test_convolutions_in_pairs_of_rows_and_their_gradients_equal_the_reference(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    pads = [(draw(0, 3), draw(0, 3)) for _ in range(2)]
    taps = (3, draw(1, 5))
    shape = (draw(1, 3), draw(4, 12), draw(max(5, taps[1]), 21), data.draw(CHANNELS))
    arrays = made(shape, taps, data.draw(OUTS), seed=draw(0, 99))
    pairs, _ = on_both(everything(pads, draw(1, 2)), *arrays)
    for found, expected in pairs:
        close(found, expected)


def test_what_pays_for_it_goes_in_pairs_of_rows():
    image, out = (1, 8, 8, 3), (1, 8, 8, 32)
    assert suited(image, out, (3, 3), PLAIN, dtypes.float32)
    assert gradient_suited(image, out, (3, 3), PLAIN, dtypes.float32)
    assert not suited(image, out, (3, 3), PLAIN, dtypes.float64)
    assert not suited(image, out, (5, 5), PLAIN, dtypes.float32)
    assert not suited(image, (1, 3, 8, 32), (3, 3), PLAIN, dtypes.float32)
    assert not suited((1, 8, 2, 3), out, (3, 3), PLAIN, dtypes.float32)
    for key, value in {"groups": 3, "strides": (2, 1), "dilation": (2, 1)}.items():
        assert not suited(image, out, (3, 3), {**PLAIN, key: value}, dtypes.float32)
    assert not gradient_suited(image, (1, 7, 8, 32), (3, 3), PLAIN, dtypes.float32)
    _, names = on_both(everything("same", 1), *made((2, 8, 10, 10), (3, 3), 32))
    assert "conv_kernel_grad, from pairs" in names, names
    assert "pad" not in names, names


@given(
    channels=CHANNELS,
    outs=OUTS,
    size=st.tuples(st.integers(4, 11), st.integers(8, 20)),
    activation=st.sampled_from(["relu", "tanh", None]),
)
@settings(max_examples=20)
def test_pooling_by_two_is_part_of_the_kernel(channels, outs, size, activation):
    arrays = made((3, *size, channels), (3, 3), outs)

    def function(x, w, b):
        z = ops.conv(x, w, strides=(1, 1), padding="same") + b
        if activation == "tanh":
            return (ops.max_pool(ops.tanh(z), (2, 2)),)
        pooled = ops.max_pool(z, (2, 2))
        return (ops.relu(pooled) if activation else pooled,)

    ((found, expected),), names = on_both(function, *arrays)
    close(found, expected)
    if size[1] * channels >= 16 and (size[0] % 2 == 0 or size[0] >= 5):
        assert any(name.startswith("conv") and "max_pool" in name for name in names), names


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("where", ["image", "kernel"])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_what_is_not_finite_spreads_as_in_the_reference(where, row, value, pooled):
    x, w, b = made((2, 9, 9, 3), (3, 3), 32)
    if where == "image":
        x[1, 4 + row, 3, 1] = value
        x[0, row, 8, 2] = value
    else:
        w[row, 0, 1, 5 + 16 * (row // 2)] = value

    def function(x, w, b):
        z = ops.conv(x, w, strides=(1, 1), padding="same") + b
        return (ops.max_pool(z, (2, 2)) if pooled else z,)

    ((found, expected),), _ = on_both(function, x, w, b)
    close(found, expected)
    assert suited(x.shape, (2, 9, 9, 32), (3, 3), PLAIN, dtypes.float32)


@pytest.mark.parametrize("value", [1e17, 1e18, 3e18, 1e19, 1e20])
def test_large_products_of_large_numbers_have_the_references_results(value):
    x, w, b = made((2, 9, 9, 3), (3, 3), 32)
    x, w = (x * value).astype("float32"), (w * (1e38 / value)).astype("float32")

    def function(x, w, b):
        return (ops.conv(x, w, strides=(1, 1), padding="same") + b,)

    ((found, expected),), _ = on_both(function, x, w, b)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), finite)
    close(found[finite], expected[finite])


def test_a_kernel_whose_every_row_counts_is_seen_to_be_large():
    x, w, _ = made((1, 8, 9, 3), (3, 3), 32)
    for row in range(3):
        large = w.copy()
        large[row, 1, 1, 20], large[row, 1, 2, 20] = 3e38, -3e38
        ((found, expected),), _ = on_both(lambda x, w: (ops.conv(x * 1e-3, w),), x, large)
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))


def test_sums_that_are_larger_than_any_result_do_not_overflow():
    # Each lane of the image has 8 squares, whose sum is finite. A result adds 0.4 of the largest number, and twice it
    # on the way; the product of the second rows' difference is three times as large.
    largest = float(np.finfo("float32").max)
    x = np.full((1, 4, 8, 4), np.sqrt(largest / 8.4), "float32")
    w = np.full((3, 5, 4, 32), 0.4 * largest / 20 / x[0, 0, 0, 0], "float32")
    x[:, 2:], w[1] = -x[:, 2:], -w[1]
    ((found, expected),), names = on_both(lambda x, w: (ops.conv(x, w),), x, w)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert suited(x.shape, expected.shape, (3, 5), {**PLAIN, "pads": ((0, 0), (0, 0))}, dtypes.float32), names


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["image", "cotangent"])
def test_gradients_that_are_not_finite_are_those_of_the_reference(where, value):
    x, w, _ = made((9, 8, 9, 3), (3, 3), 17)
    ct = np.random.default_rng(3).normal(size=(9, 8, 9, 17)).astype("float32")
    (x if where == "image" else ct)[7, 0, 8, 2] = value

    def function(x, w, ct):
        return grad(lambda w: ops.sum(ops.conv(x, w, strides=(1, 1), padding="same") * ct), 0)(w)

    found, expected = (np.asarray(compile(function, backend=name)(x, w, ct)) for name in ("cpu", "reference"))
    close(found, expected)


def test_a_sample_alone_has_the_bits_that_it_has_among_others():
    x, w, b = made((5, 9, 12, 3), (3, 3), 20)
    function = compile(lambda x, w, b: ops.relu(ops.conv(x, w, strides=(1, 1), padding="same") + b))
    together = np.asarray(function(x, w, b))
    for n in range(5):
        np.testing.assert_array_equal(np.asarray(function(x[n : n + 1], w, b))[0], together[n])


def fitted(threads):
    set_num_threads(threads)
    set_seed(0)
    model = Sequential(
        [Input((8, 10, 3)), Conv2D(32, 3, padding="same", activation="relu"), MaxPool2D(2), Flatten(), Dense(3)]
    )
    r = np.random.default_rng(1)
    x, y = r.normal(size=(70, 8, 10, 3)).astype("float32"), r.normal(size=(70, 3)).astype("float32")
    model.compile(optimizer="sgd", loss="mse")
    model.fit(x, y, epochs=2, batch_size=32, verbose=0)
    return [np.asarray(w) for w in model.get_weights().values()]


def test_a_training_has_the_same_bits_on_any_number_of_threads():
    assert backends.get("cpu")
    expected = fitted(1)
    for threads in (2, 3, 8):
        for one, other in zip(fitted(threads), expected, strict=True):
            np.testing.assert_array_equal(one, other)
