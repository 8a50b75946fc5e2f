"""Convolutions with the pooling that follows in one kernel, against the reference backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pellucid import Input, Sequential, autodiff, backends, compile, ops, set_seed
from pellucid.backends.cpu.conv_pool import blocks_of
from pellucid.backends.cpu.planner import Planner
from pellucid.graph import FORWARD_PASSES, rewrite, trace
from pellucid.nn import Conv1D, Conv2D, Dense, Flatten, MaxPool1D, MaxPool2D

BATCHES = st.sampled_from([1, 7, 16, 17, 40])
CHANNELS = st.sampled_from([1, 3, 6, 16, 17, 33])
WINDOWS = st.integers(1, 5)


def instructions(function, *args):
    """The names of what the engine runs, and its results beside those of the reference."""
    graph = rewrite(trace(function, *args).graph)
    found, expected = (compile(function, backend=name)(*args) for name in ("cpu", "reference"))
    return [i.name for i in Planner(graph).build().instructions], found, expected


def same(found, expected, atol=1e-5):
    for one, other in zip(map(np.asarray, found), map(np.asarray, expected), strict=True):
        scale = max(1.0, float(np.abs(other[np.isfinite(other)]).max(initial=0)))
        np.testing.assert_allclose(one, other, atol=atol * scale)


def images(seed, *shapes, dtype="float32"):
    r = np.random.default_rng(seed)
    return [r.normal(size=shape).astype(dtype) for shape in shapes]


@given(
    n=BATCHES,
    c=CHANNELS,
    d=CHANNELS,
    size=st.tuples(st.integers(5, 13), st.integers(5, 13)),
    window=st.tuples(WINDOWS, WINDOWS),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    activation=st.sampled_from([None, "relu", "tanh"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_two_axes(n, c, d, size, window, stride, padding, activation, dtype):
    taps = (3, 2)
    x, w, b = images(n + c, (n, *size, c), (*taps, c, d), (d,), dtype=dtype)
    out = [-(-s // stride) if padding == "same" else -(-(s - k + 1) // stride) for s, k in zip(size, taps, strict=True)]
    assume(all(o >= k for o, k in zip(out, window, strict=True)))

    def function(x, w, b):
        z = ops.conv(x, w, strides=(stride, stride), padding=padding) + b
        if activation == "tanh":
            return (ops.max_pool(ops.tanh(z), window),)
        pooled = ops.max_pool(z, window)
        return (ops.relu(pooled) if activation == "relu" else pooled,)

    names, found, expected = instructions(function, x, w, b)
    same(found, expected)
    last = any("transpose" in name for name in names)
    if window != (1, 1) and (blocks_of(window[1]) or last):
        assert any(name.startswith("conv") and "max_pool" in name for name in names), names


@given(n=BATCHES, c=CHANNELS, d=CHANNELS, length=st.integers(9, 20), window=st.integers(2, 4))
def test_one_axis(n, c, d, length, window):
    x, w = images(n, (n, length, c), (3, c, d))
    names, found, expected = instructions(
        lambda x, w: (ops.relu(ops.max_pool(ops.conv(x, w, strides=(1,), padding="same"), window)),), x, w
    )
    same(found, expected)
    assert any(name.startswith("conv") and "max_pool+relu" in name for name in names), names


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups(groups):
    x, w = images(1, (3, 8, 8, 8), (3, 3, 8 // groups, 36))
    names, found, expected = instructions(
        lambda x, w: (ops.max_pool(ops.conv(x, w, groups=groups, padding="same"), 2),), x, w
    )
    same(found, expected)
    assert "conv+max_pool" in names


@pytest.mark.parametrize("channels", [3, 32])
def test_nan_and_infinity_are_chosen_as_the_reference_does(channels):
    x, w = images(2, (20, 8, 8, channels), (1, 1, channels, channels))
    w[0, 0] = np.eye(channels)
    x[0, 1, 1, 0] = np.nan
    x[1, 2:4, 2:4] = -np.inf
    x[2, 5, 5] = np.inf
    with np.errstate(invalid="ignore"):
        names, found, expected = instructions(lambda x, w: (ops.max_pool(ops.conv(x, w), 2),), x, w)
    assert "conv+max_pool" in names
    np.testing.assert_array_equal(np.isnan(np.asarray(found[0])), np.isnan(np.asarray(expected[0])))
    same(found, expected)


def test_an_image_that_something_else_reads_is_stored():
    x, w = images(3, (4, 6, 6, 16), (3, 3, 16, 16))

    def function(x, w):
        image = ops.conv(x, w, padding="same")
        return ops.max_pool(image, 2), ops.sum(image)

    names, found, expected = instructions(function, x, w)
    same(found, expected, atol=1e-4)
    assert "conv" in names
    assert "max_pool" in names


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (2, 4)])
@pytest.mark.parametrize("shape", [(9, 12, 12, 3), (33, 13, 12, 1), (4, 12, 9, 20)])
@pytest.mark.parametrize("filters", [6, 32])
def test_training_gives_the_numbers_of_the_reference(shape, filters, window):
    x = images(4, shape)[0]
    y = np.arange(len(x)) % 3
    weights = []
    for backend in ("cpu", "reference"):
        set_seed(0)
        net = Sequential(
            [
                Input(shape[1:]),
                Conv2D(filters, 3, padding="same", activation="relu"),
                MaxPool2D(window),
                Flatten(),
                Dense(3, activation="softmax"),
            ]
        )
        net.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", backend=backend)
        net.fit(x, y, batch_size=8, epochs=2, seed=1, verbose=0)
        weights.append(net.get_weights())
    for name, found in weights[0].items():
        np.testing.assert_allclose(found, weights[1][name], atol=2e-6, err_msg=name)


def test_a_training_step_stores_no_image_before_the_pooling():
    net = Sequential([Input((8, 8, 3)), Conv2D(32, 3, activation="relu"), MaxPool2D(3), Flatten(), Dense(2)])
    net.compile(loss="mse", optimizer="sgd")
    net.fit(np.zeros((4, 8, 8, 3), "float32"), np.zeros((4, 2)), batch_size=4, verbose=0)
    (program,) = (program for key, program in net.programs.kept.items() if key[0] == "train")
    names = [i.name for i in Planner(program.step).build().instructions]
    assert "conv+add+max_pool+relu" in names
    assert not any(name in ("max_pool", "conv+add+relu", "conv+add") for name in names)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bits(threads):
    x = images(5, (16, 20, 4))[0]
    y = np.arange(16) % 2
    results = []
    for count in (1, threads):
        backends.set_num_threads(count)
        try:
            set_seed(0)
            net = Sequential([Input((20, 4)), Conv1D(24, 3, activation="relu"), MaxPool1D(2), Flatten(), Dense(2)])
            net.compile(loss="mse", optimizer="sgd")
            net.fit(x, np.eye(2)[y], batch_size=5, epochs=3, seed=0, verbose=0)
            results.append(net.get_weights())
        finally:
            backends.set_num_threads(None)
    for name, found in results[0].items():
        np.testing.assert_array_equal(found, results[1][name])


def test_the_pass_leaves_the_values_of_any_graph():
    x, w = images(6, (2, 7, 7, 3), (3, 3, 3, 4))

    def function(x, w):
        return (ops.max_pool(ops.relu(ops.conv(x, w, padding="same")), 3, padding="same", strides=2),)

    graph = rewrite(trace(function, x, w).graph, FORWARD_PASSES)
    names = [node.op.name for node in graph.nodes]
    assert names.index("max_pool_index") < names.index("relu")
    reference = backends.get("reference").compile(graph)
    np.testing.assert_array_equal(reference.run([x, w])[0], np.asarray(function(x, w)[0]))


@given(
    n=st.sampled_from([1, 2, 5, 17]),
    d=st.sampled_from([2, 6, 16, 18]),
    gap=st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 3)]),
    groups=st.sampled_from([1, 2]),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(7, 12), st.integers(9, 12)),
    padding=st.sampled_from(["valid", "same"]),
)
def test_gradients_where_images_by_samples_meet_convolutions_by_channels(n, d, gap, groups, window, size, padding):
    """Dilation along the last axis and groups are by channels in any graph; the places of winners lie so, too."""
    x, w, first = images(n + d, (n, *size, 2), (3, 3, 2 // groups, d), (1, 1, 2, 2))

    def loss(x, w, first):
        z = ops.conv(ops.conv(x, first), w, padding=padding, dilation=gap, groups=groups)
        return ops.sum(ops.sin(ops.max_pool(z, window)))

    same(*instructions(autodiff.grad(loss, (0, 1, 2)), x, w, first)[1:], atol=1e-4)
