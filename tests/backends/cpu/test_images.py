"""Convolutions and pooling in both layouts, against the reference backend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Sequential, autodiff, backends, compile, ops, set_num_threads, set_seed
from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.planner import Planner
from pellucid.dtypes import float32
from pellucid.graph import rewrite, trace
from pellucid.nn import AvgPool2D, BatchNorm, Conv1D, Conv2D, Dense, Dropout, Flatten, MaxPool1D, MaxPool2D
from pellucid.op import Spec

BATCHES = st.sampled_from([1, 7, 16, 17, 25, 64, 70])
CHANNELS = st.sampled_from([1, 2, 3, 5, 6, 7, 16, 32, 33])


def arrays(seed, *shapes, dtype="float32"):
    r = np.random.default_rng(seed)
    return [r.normal(size=shape).astype(dtype) for shape in shapes]


def agree(function, *args, atol=1e-4):
    """Both backends give the same numbers; the graph that the engine ran."""
    found, expected = (compile(function, backend=name)(*args) for name in ("cpu", "reference"))
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(np.asarray(other)).max(initial=0)))
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=atol * scale)
    return rewrite(trace(function, *args).graph)


def value_and_gradients(function):
    """The output, and the gradients of a weighted sum of it by every argument."""

    def whole(*args):
        def weighted(*inner):
            out = function(*inner)
            weights = ops.sin(ops.reshape(np.arange(int(np.prod(out.spec.shape)), dtype="float32"), out.spec.shape))
            return ops.sum(out * ops.cast(weights, out.spec.dtype))

        return (function(*args), *autodiff.grad(weighted, tuple(range(len(args))))(*args))

    return whole


@given(
    n=BATCHES,
    c=CHANNELS,
    d=CHANNELS,
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    taps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    dilation=st.sampled_from([(1, 1), (2, 1), (1, 2)]),
    padding=st.sampled_from(["valid", "same", ((2, 1), (0, 3))]),
)
def test_convolutions_and_their_gradients(n, c, d, size, taps, strides, dilation, padding):
    if padding == "valid" and any((k - 1) * g + 1 > s for k, g, s in zip(taps, dilation, size, strict=True)):
        return

    def function(x, w):
        return ops.conv(x, w, strides=strides, padding=padding, dilation=dilation)

    agree(value_and_gradients(function), *arrays(n + c, (n, *size, c), (*taps, c, d)))


SMALL = st.sampled_from([1, 2, 3, 5, 16, 17])


@given(
    n=st.sampled_from([1, 7, 17, 32]),
    c=SMALL,
    d=SMALL,
    groups=st.sampled_from([1, 1, 2]),
    size=st.lists(st.integers(4, 8), min_size=1, max_size=3),
    taps=st.integers(1, 3),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same", (2, 1), (0, 1)]),
    value=st.sampled_from([np.inf, -np.inf, np.nan]),
    training=st.booleans(),
)
def test_what_is_not_finite_in_a_kernel_spreads_as_in_the_reference(
    n, c, d, groups, size, taps, stride, dilation, padding, value, training
):
    rank = len(size)
    size, sides = (size if rank < 3 else [min(s, 5) for s in size]), (taps,) * rank
    padding = padding if isinstance(padding, str) else (padding,) * rank
    if padding == "valid" and (taps - 1) * dilation + 1 > min(size):
        return
    x, w = arrays(n + c, (n, *size, groups * c), (*sides, c, groups * d))
    places = np.random.default_rng(d).choice(w.size, 2)
    w.reshape(-1)[places] = value
    settings = {"strides": (stride,) * rank, "dilation": (dilation,) * rank, "padding": padding, "groups": groups}

    def function(x, w):  # the gradient by the image has an ending: that of relu
        return ops.conv(ops.relu(x), w, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Planner, "is_training", training)
        found, expected = (compile(value_and_gradients(function), backend=b)(x, w) for b in ("cpu", "reference"))
    for one, other in zip(map(np.asarray, found), map(np.asarray, expected), strict=True):
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(one), kind(other))
        finite = np.isfinite(other)
        scale = max(1.0, float(np.abs(other[finite]).max(initial=0)))
        np.testing.assert_allclose(one[finite], other[finite], atol=1e-4 * scale)


@given(n=BATCHES, c=CHANNELS, d=CHANNELS, length=st.integers(4, 12), taps=st.integers(1, 4), stride=st.integers(1, 2))
def test_convolutions_along_one_axis(n, c, d, length, taps, stride):
    def function(x, w):
        return ops.relu(ops.conv(x, w, strides=(stride,), padding="same"))

    agree(value_and_gradients(function), *arrays(n, (n, length, c), (taps, c, d)))


@given(
    n=BATCHES,
    c=CHANNELS,
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["valid", "same"]),
    pool=st.sampled_from([ops.max_pool, ops.avg_pool]),
    early=st.booleans(),
)
def test_pooling_after_a_convolution_or_before(n, c, size, window, strides, padding, pool, early):
    def function(x, w):
        if early:
            return ops.conv(pool(x, window, strides, padding), w, padding="same")
        return pool(ops.conv(x, w, padding="same"), window, strides, padding)

    agree(value_and_gradients(function), *arrays(n + c, (n, *size, 2), (2, 2, 2, c)))


@given(
    n=st.sampled_from([1, 3, 17, 32]),
    c=CHANNELS,
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(["valid", "same"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_pooling_without_a_gradient_finds_the_same_elements_without_their_places(
    n, c, size, window, strides, padding, dtype
):
    (x,) = arrays(n + c, (n, *size, c), dtype=dtype)
    x[:, 1, 1], x[:, 0, 2, 0] = np.nan, -np.inf
    found, expected = (
        np.asarray(compile(lambda x: ops.max_pool(x, window, strides, padding), backend=b)(x))
        for b in ("cpu", "reference")
    )
    np.testing.assert_array_equal(found, expected)


def test_pooling_lets_nan_and_infinity_win_in_both_layouts():
    for n in (2, 32):
        (x,) = arrays(0, (n, 4, 4, 3))
        x[0, 0, 0], x[1, 3, 3], x[n - 1, 2, 2] = np.nan, np.inf, -np.inf
        w = np.ones((1, 1, 3, 3), "float32") * np.eye(3, dtype="float32")

        def function(x, w):
            return (ops.max_pool(ops.conv(x, w), 2),)

        found, expected = (np.asarray(compile(function, backend=b)(x, w)[0]) for b in ("cpu", "reference"))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 20])
def test_bias_activation_and_scale_are_computed_in_the_convolution(n, dtype):
    def function(x, w, b, s):
        return (ops.tanh(ops.conv(x, w, padding="same") + b) * s,)

    args = arrays(1, (n, 5, 6, 2), (3, 3, 2, 7), (7,), (n, 5, 6, 7), dtype=dtype)
    agree(function, *args, atol=1e-5)
    plan = Planner(rewrite(trace(function, *args).graph)).build()
    assert "conv+add+tanh+mul" in [i.name for i in plan.instructions] or n == 20
    assert "tanh" not in [i.name for i in plan.instructions]


def net(dtype):
    return [
        Input((9, 8, 2), dtype),
        Conv2D(3, 3, padding="same", use_bias=False),
        BatchNorm(),
        Dropout(0.3),
        MaxPool2D((2, 3), strides=(2, 2)),
        Conv2D(5, 2, strides=(2, 1), activation="relu"),
        AvgPool2D((1, 2), strides=1),
        Flatten(),
        Dense(4, activation="softmax"),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [6, 24])
def test_a_network_learns_alike_on_both_backends(dtype, batch):
    r = np.random.default_rng(0)
    x, y = r.normal(size=(60, 9, 8, 2)).astype(dtype), r.integers(0, 4, 60)
    weights, losses = [], []
    for backend in ("cpu", "reference"):
        set_seed(0)
        model = Sequential(net(dtype), dtype=dtype)
        model.compile("categorical_crossentropy", "adam", ["accuracy"], backend=backend)
        losses.append(model.fit(x, y, batch_size=batch, epochs=3, seed=0, verbose=0)["loss"])
        weights.append(model.get_weights())
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(*losses, rtol=tolerance)
    for name, value in weights[0].items():
        np.testing.assert_allclose(value, weights[1][name], atol=20 * tolerance, err_msg=name)


def test_a_network_on_sequences_learns_alike_on_both_backends():
    r = np.random.default_rng(0)
    x, y = r.normal(size=(40, 20, 3)).astype("float32"), r.integers(0, 2, 40)
    losses = []
    for backend in ("cpu", "reference"):
        set_seed(0)
        layers = [
            Conv1D(5, 4, activation="relu"),
            MaxPool1D(2),
            Conv1D(7, 3),
            Flatten(),
            Dense(2, activation="softmax"),
        ]
        model = Sequential([Input((20, 3)), *layers])
        model.compile("categorical_crossentropy", "sgd", backend=backend)
        losses.append(model.fit(x, y, batch_size=20, epochs=4, seed=0, verbose=0)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_outputs_are_in_row_order_whatever_the_layout():
    function = compile(lambda x, w: ops.conv(x, w), backend="cpu")
    x, w = arrays(0, (32, 5, 5, 2), (3, 3, 2, 3))
    out = np.asarray(function(x, w))
    assert out.flags.c_contiguous
    np.testing.assert_allclose(
        out, np.asarray(compile(lambda x, w: ops.conv(x, w), backend="reference")(x, w)), atol=1e-5
    )
    assert backends.get("cpu").compile(function.graph(x, w)).plan.outputs[0][1].shape == (32, 3, 3, 3)


def test_only_images_in_the_engines_own_memory_are_read_behind_their_end(monkeypatch, batch_last):
    asked = []
    original = kernels.conv_last_kernel
    monkeypatch.setattr(kernels, "conv_last_kernel", lambda *a: asked.append(a[3]) or original(*a))
    (x, w), r = arrays(0, (6, 5, 2, 19), (3, 3, 2, 4)), np.random.default_rng(1)

    def given(x, w):
        return ops.conv(ops.transpose(x, (3, 0, 1, 2)), w)

    def computed(x, w):
        return ops.conv(ops.transpose(ops.tanh(x), (3, 0, 1, 2)), w)

    for function, exact in ((given, True), (computed, False)):
        asked.clear()
        found = np.asarray(compile(function, backend="cpu")(x, w))
        np.testing.assert_allclose(found, np.asarray(compile(function, backend="reference")(x, w)), atol=1e-4)
        assert asked == [exact]

    def also_given_out(x, w):
        image = ops.tanh(x)
        return image, ops.conv(ops.transpose(image, (3, 0, 1, 2)), w)

    plan = backends.get("cpu").compile(trace(also_given_out, Spec(x.shape, float32), Spec(w.shape, float32)).graph).plan
    (image,) = (touch.buffer for i in plan.instructions if i.name == "tanh" for touch in i.access.writes)
    assert image not in {buffer for buffer, _ in plan.outputs}
    x[..., -1] = r.choice([np.nan, np.inf, -np.inf], x.shape[:3])  # lanes beside those of other samples
    found = np.asarray(compile(computed, backend="cpu")(x, w))
    assert np.isfinite(found[:-1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pads", [((0, 0), (0, 3)), ((2, 0), (40, 1)), ((1, 5), (0, 0)), ((0, 1), (3, 70))])
@pytest.mark.parametrize("shape", [(1, 3, 16, 1), (3, 2, 9, 2), (2, 1, 33, 3), (4, 5, 5, 16)])
def test_zeros_lie_around_every_image_on_any_threads(every_plan_is_shared, shape, pads, dtype):
    r = np.random.default_rng(0)
    x, w = r.normal(size=shape).astype(dtype), r.normal(size=(1, 1, shape[-1], 16)).astype(dtype)

    def function(x, w, ct):
        return ops.conv(x, w, padding=pads), autodiff.vjp(lambda w: ops.conv(x, w, padding=pads), w)[1](ct)[0]

    ct = r.normal(size=ops.conv(x, w, padding=pads).spec.shape).astype(dtype)
    expected = compile(function, backend="reference")(x, w, ct)
    for threads in (1, 2, 3):
        set_num_threads(threads)
        for one, wanted in zip(compile(function, backend="cpu")(x, w, ct), expected, strict=True):
            np.testing.assert_allclose(one, wanted, atol=1e-4 if dtype == "float32" else 1e-11)
