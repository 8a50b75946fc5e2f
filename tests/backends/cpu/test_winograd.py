"""3 x 3 convolutions tile by tile against the reference: results, gradients, pooling, NaN and infinity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Input, Population, Sequential, compile, dtypes, grad, ops, set_num_threads, set_seed
from pellucid.backends.cpu.tiled_images import suited
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

PLAIN = {"groups": 1, "strides": (1, 1), "dilation": (1, 1)}


def made(shape, outs, seed=0):
    r = np.random.default_rng(seed)
    channels = shape[-1]
    w = r.normal(size=(3, 3, channels, outs)) / np.sqrt(9 * channels)
    return r.normal(size=shape).astype("float32"), w.astype("float32"), r.normal(size=outs).astype("float32")


def everything(padding):
    def function(x, w, b):
        def loss(x, w, b):
            return ops.sum(ops.sin(ops.conv(x, w, padding=padding) + b))

        return ops.maximum(ops.conv(x, w, padding=padding) + b, 0.0), grad(loss, (0, 1, 2))(x, w, b)

    return function


def on_both(function, *arrays):
    found, expected = (compile(function, backend=name)(*arrays) for name in ("cpu", "reference"))
    flat = lambda result: [np.asarray(result[0]), *map(np.asarray, result[1])]  # noqa: E731
    return list(zip(flat(found), flat(expected), strict=True))


@given(st.data())
@settings(max_examples=25)
def test_convolutions_by_tiles_and_their_gradients_equal_the_reference(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    pads = [(draw(0, 3), draw(0, 3)) for _ in range(2)]
    height, width = draw(5, 14), draw(5, 14)
    channels, outs = (data.draw(st.sampled_from([16, 17, 31, 32, 33, 48, 80])) for _ in range(2))
    arrays = made((draw(1, 3), height, width, channels), outs)
    for found, expected in on_both(everything(pads), *arrays):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, atol=4e-6 * scale, rtol=0)


def test_only_convolutions_that_gain_by_it_go_by_tiles():
    assert suited(32, (1, 8, 8, 32), (3, 3), PLAIN, dtypes.float32)
    assert not suited(32, (1, 8, 8, 32), (3, 3), PLAIN, dtypes.float64)
    assert not suited(3, (1, 8, 8, 32), (3, 3), PLAIN, dtypes.float32)
    assert not suited(32, (1, 8, 8, 8), (3, 3), PLAIN, dtypes.float32)
    assert not suited(32, (1, 8, 8, 32), (5, 5), PLAIN, dtypes.float32)
    assert not suited(32, (1, 4, 4, 32), (3, 3), PLAIN, dtypes.float32)
    assert not suited(32, (1, 1, 40, 32), (3, 3), PLAIN, dtypes.float32)
    for key, value in {"groups": 2, "strides": (2, 1), "dilation": (1, 2)}.items():
        assert not suited(32, (1, 8, 8, 32), (3, 3), {**PLAIN, key: value}, dtypes.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("where", ["image", "kernel"])
def test_what_is_not_finite_reaches_the_same_results_as_tap_by_tap(bad, where):
    x, w, b = made((2, 9, 8, 16), 20)
    if where == "image":
        x[0, 4, 3, 1] = x[1, 0, 0, 5] = x[1, 8, 7, 0] = bad
    else:
        w[0, 2, 3, 7] = bad
    with np.errstate(all="ignore"):
        for found, expected in on_both(everything("same"), x, w, b):
            np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
            np.testing.assert_array_equal(np.isposinf(found), np.isposinf(expected))
            fine = np.isfinite(expected) & (np.abs(expected) < 1e30)
            scale = max(1.0, float(np.abs(expected[fine]).max(initial=0)))
            if abs(bad) != 3e38:  # beside numbers that large the others' digits are lost, here and there
                np.testing.assert_allclose(found[fine], expected[fine], atol=4e-6 * scale, rtol=0)


def test_a_pixel_of_infinity_leaves_the_results_beside_it_as_they_are():
    x, w, _ = made((1, 8, 8, 16), 16)
    plain = np.asarray(compile(lambda x, w: ops.conv(x, w), backend="cpu")(x, w))
    x[0, 3, 3, 0] = np.inf
    found = np.asarray(compile(lambda x, w: ops.conv(x, w), backend="cpu")(x, w))
    touched = np.zeros((6, 6), bool)
    touched[1:4, 1:4] = True
    assert not np.isfinite(found[0][touched]).any()
    np.testing.assert_allclose(found[0][~touched], plain[0][~touched], atol=1e-5)


@pytest.mark.parametrize("threads", [2, 3, 8, 19])
def test_any_number_of_threads_gives_the_same_bits(threads):
    arrays = made((3, 13, 11, 24), 40)
    try:
        set_num_threads(1)
        alone = compile(everything("same"), backend="cpu")(*arrays)
        set_num_threads(threads)
        shared = compile(everything("same"), backend="cpu")(*arrays)
    finally:
        set_num_threads(None)
    for a, b in zip([alone[0], *alone[1]], [shared[0], *shared[1]], strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_sample_alone_has_the_bits_that_it_has_among_others():
    x, w, _ = made((5, 10, 12, 32), 32)
    conv = compile(lambda x, w: ops.conv(x, w, padding="same"), backend="cpu")
    together, single = np.asarray(conv(x, w)), np.asarray(conv(x[3:4], w))
    np.testing.assert_array_equal(together[3:4], single)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("window", [2, 3])
def test_pooling_inside_the_kernel_gives_the_bits_of_pooling_after_it(size, window):
    x, w, b = made((2, size, size, 16), 18)

    def pooled(x, w, b):
        return ops.max_pool(ops.maximum(ops.conv(x, w, padding="same") + b, 0.0), (window, window))

    def shown(x, w, b):
        image = ops.maximum(ops.conv(x, w, padding="same") + b, 0.0)
        return ops.max_pool(image, (window, window)), image

    inside = np.asarray(compile(pooled, backend="cpu")(x, w, b))
    after = np.asarray(compile(shown, backend="cpu")(x, w, b)[0])
    np.testing.assert_array_equal(inside, after)
    np.testing.assert_allclose(inside, np.asarray(pooled(x, w, b)), atol=1e-5)


def test_gradients_pass_through_the_pooling_inside_the_kernel():
    def loss(x, w, b):
        return ops.sum(ops.sin(ops.max_pool(ops.maximum(ops.conv(x, w, padding="same") + b, 0.0), (2, 2))))

    arrays = made((3, 12, 10, 16), 32)
    slopes = [compile(grad(loss, (0, 1, 2)), backend=name)(*arrays) for name in ("cpu", "reference")]
    for found, expected in zip(*slopes, strict=True):
        scale = max(1.0, float(np.abs(np.asarray(expected)).max()))
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=4e-6 * scale, rtol=0)


def test_results_are_as_accurate_as_sums_tap_by_tap():
    x, w, _ = made((4, 16, 16, 64), 64)
    exact = np.asarray(ops.conv(x.astype("float64"), w.astype("float64"), padding="same"))
    tiled = np.asarray(compile(lambda x, w: ops.conv(x, w, padding="same"), backend="cpu")(x, w))
    summed = np.asarray(ops.conv(x, w, padding="same"))
    error, usual = np.sqrt(np.mean((tiled - exact) ** 2)), np.sqrt(np.mean((summed - exact) ** 2))
    assert error < 1.5 * usual


def network(seed=0):
    set_seed(seed)
    model = Sequential(
        [
            Input((12, 12, 2)),
            Conv2D(16, 3, padding="same", activation="relu"),
            Conv2D(32, 3, padding="same", activation="relu"),
            MaxPool2D(2),
            Conv2D(16, 3, padding="same", activation="tanh"),
            Flatten(),
            Dense(3, activation="softmax"),
        ]
    )
    model.compile("sparse_categorical_crossentropy", "momentum", backend="cpu")
    return model


def images(count=40):
    r = np.random.default_rng(0)
    return r.normal(size=(count, 12, 12, 2)).astype("float32"), r.integers(0, 3, count)


@pytest.mark.parametrize("level", ["stats", "full"])
def test_training_with_a_recording_gives_the_bits_of_training_without(level):
    x, y = images()
    plain, recorded = network(), network()
    plain.fit(x, y, batch_size=8, epochs=2, seed=1, verbose=0)
    recorded.fit(x, y, batch_size=8, epochs=2, seed=1, verbose=0, record=level, every=2)
    for a, b in zip(plain.get_weights().values(), recorded.get_weights().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_gives_the_same_bits_on_any_number_of_threads_and_follows_the_reference():
    x, y = images()
    found = []
    for threads in (1, 2, 3, 8):
        model = network()
        try:
            set_num_threads(threads)
            model.fit(x, y, batch_size=8, epochs=2, seed=1, verbose=0)
        finally:
            set_num_threads(None)
        found.append(list(model.get_weights().values()))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    reference = network()
    reference.compile("sparse_categorical_crossentropy", "momentum", backend="reference")
    reference.fit(x, y, batch_size=8, epochs=2, seed=1, verbose=0)
    for a, b in zip(found[0], reference.get_weights().values(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_members_of_a_population_have_the_bits_of_fits_alone():
    x, y = images()
    population = Population(network(), 2, seed=[3, 4])
    population.fit(x, y, batch_size=8, epochs=1, verbose=0)
    for seed, member in zip((3, 4), population, strict=True):
        alone = network(seed)
        alone.fit(x, y, batch_size=8, epochs=1, seed=seed, verbose=0)
        for a, b in zip(alone.get_weights().values(), member.get_weights().values(), strict=True):
            np.testing.assert_array_equal(a, b)
