"""Convolutions on the matrix unit: as exact as those by vectors, whatever the shapes, layouts, threads and values."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.backends.cpu.guards import at_the_end_of_memory
from tests.backends.cpu.operands import fits_are_those_of_the_reference, is_predicted_by_vectors, repeated

from pellucid import Input, Sequential, Tensor, ops, set_num_threads, set_seed, vjp
from pellucid.backends.cpu import matrix_unit, tile_conv_gradient, tile_windows
from pellucid.backends.cpu.tile_windows import Plain, windows_for
from pellucid.dtypes import float32, float64
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

pytestmark = pytest.mark.skipif(not matrix_unit.is_available(), reason="there is no matrix unit here")

ENDINGS = {
    "none": lambda z, b: z,
    "bias and activation": lambda z, b: ops.relu(z + b),
    "of the image's shape": lambda z, b: z * ops.tanh(z) - 0.5 * b,
    "pooled": lambda z, b: ops.relu(ops.max_pool(z + b, 2)),
    "pooled with places": lambda z, b: ops.max_pool(ops.relu(z + b), 2) * 2.0,
}


@pytest.fixture
def always(monkeypatch, batch_last):
    """Every convolution in training of float32 goes to the unit if it can, on however many threads."""
    monkeypatch.setattr(tile_windows, "_LESS", 1e9)
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    yield
    set_num_threads(None)


def arrays_of(batch, height, width, channels, outs, taps, pad, ending="none", seed=0):
    """Images, a kernel, and what an ending reads."""
    r = np.random.default_rng(seed)
    out = [n + 2 * pad - k + 1 for n, k in zip((height, width), taps, strict=True)]
    shapes = [(batch, height, width, channels), (*taps, channels, outs)]
    shapes.append((batch, *out, outs) if ending == "of the image's shape" else (outs,))
    return [r.normal(size=shape).astype("float32") for shape in shapes]


def convolution(pad, ending="none"):
    """A function of such arrays."""
    return lambda x, w, b: ENDINGS[ending](ops.conv(x, w, padding=pad), b)


def exactly(function, arrays):
    """In float64 on the reference backend."""
    return np.asarray(function(*(Tensor(a.astype("float64")) for a in arrays)))


def on_any_threads(function, arrays):
    """The result of a loop on 1, 2, 3 and 8 threads, if it has the same bits; the names of the plan."""
    found = []
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found.append(repeated(function, arrays))
    assert len({array.tobytes() for array, _ in found}) == 1
    return found[0]


SIZES = st.tuples(
    st.sampled_from([1, 7, 16, 17, 32, 33, 48, 64]),  # samples
    st.sampled_from([1, 3, 4, 7, 10]),  # height
    st.sampled_from([1, 2, 5, 8, 11]),  # width
    st.sampled_from([1, 2, 3, 5, 6, 16, 17]),  # channels
    st.sampled_from([1, 3, 6, 8, 16, 17, 40]),  # channels out
    st.sampled_from([(1, 1), (2, 2), (3, 3), (3, 2), (5, 5), (1, 4)]),
    st.sampled_from([0, 1, 2]),
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES, st.sampled_from(sorted(ENDINGS)))
@example((64, 28, 28, 1, 6, (5, 5), 2), "pooled with places")
@example((33, 14, 14, 6, 16, (5, 5), 0), "pooled")
@example((32, 10, 10, 16, 6, (5, 5), 2), "bias and activation")
@example((48, 9, 7, 3, 40, (3, 3), 1), "of the image's shape")
@example((32, 3, 17, 1, 16, (5, 5), 2), "none")  # 17 blocks: the last one alone
@example((16, 4, 26, 4, 4, (2, 2), 1), "pooled")  # 13 windows of blocks of two rows and columns
def test_any_convolution_is_right_and_has_the_same_bits_on_any_threads(always, sizes, ending):
    _, height, width, channels, _, taps, pad = sizes
    out = [n + 2 * pad - k + 1 for n, k in zip((height, width), taps, strict=True)]
    if min(out) < (2 if "pooled" in ending else 1):
        return
    function, arrays = convolution(pad, ending), arrays_of(*sizes, ending)
    found, names = on_any_threads(function, arrays)
    if pad < min(taps):
        assert any("conv by tiles" in name for name in names), names
    scale = np.sqrt(channels * np.prod(taps))
    np.testing.assert_allclose(found, exactly(function, arrays), rtol=2e-5, atol=1e-5 * scale)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES)
@example((64, 14, 14, 6, 16, (5, 5), 0))
@example((32, 8, 16, 3, 17, (3, 3), 1))
def test_the_gradient_by_the_image_is_right_and_has_the_same_bits_on_any_threads(always, sizes):
    batch, height, width, channels, outs, taps, pad = sizes
    out = [n + 2 * pad - k + 1 for n, k in zip((height, width), taps, strict=True)]
    if min(out) < 1:
        return
    _, w, ct = arrays_of(*sizes, "of the image's shape")

    def function(w, ct):
        image = Tensor(np.zeros((batch, height, width, channels), w.spec.dtype))
        return vjp(lambda x: ops.conv(x, w, padding=pad), image)[1](ct)[0]

    found, _ = on_any_threads(function, [w, ct])
    np.testing.assert_allclose(found, exactly(function, [w, ct]), rtol=2e-5, atol=1e-5 * np.sqrt(outs * np.prod(taps)))


@pytest.mark.parametrize(
    "sizes", [(40, 12, 12, 6, 16, (5, 5), 0), (32, 12, 12, 1, 6, (5, 5), 2), (32, 9, 9, 3, 20, (3, 3), 1)]
)
def test_errors_are_no_larger_than_those_of_sums_in_float32(always, sizes):
    function, arrays = convolution(sizes[-1]), arrays_of(*sizes)
    found, names = repeated(function, arrays)
    assert any("conv by tiles" in name for name in names)
    exact, plain = exactly(function, arrays), np.asarray(function(*map(Tensor, arrays)))
    error = lambda z: np.sqrt(np.mean((z - exact) ** 2))  # noqa: E731
    assert error(found) < 1.5 * error(plain)


@pytest.mark.parametrize("bytes_", [1, 1 << 14, 1 << 16])
@pytest.mark.parametrize("ending", ["none", "pooled"])
@pytest.mark.parametrize(
    "sizes", [(96, 7, 6, 6, 16, (5, 5), 2), (64, 9, 8, 1, 6, (5, 5), 2), (80, 5, 9, 16, 6, (3, 3), 1)]
)
def test_images_may_follow_each_other_in_any_number_at_once(always, monkeypatch, bytes_, ending, sizes):
    """Their lines are not split while those of the same place are multiplied, on any number of threads."""
    monkeypatch.setattr(tile_windows, "_LINES_AT_ONCE", bytes_)
    function, arrays = convolution(sizes[-1], ending), arrays_of(*sizes)
    found, _ = on_any_threads(function, arrays)
    np.testing.assert_allclose(found, exactly(function, arrays), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ending", ["none", "pooled with places"])
@pytest.mark.parametrize(
    "sizes", [(40, 8, 8, 6, 16, (5, 5), 0), (33, 8, 8, 1, 6, (5, 5), 2), (20, 6, 7, 5, 3, (2, 3), 1)]
)
def test_nan_and_infinity_reach_those_results_alone_that_they_belong_to(always, sizes, ending):
    function, arrays = convolution(sizes[-1], ending), arrays_of(*sizes)
    clean, _ = on_any_threads(function, arrays)
    arrays[0][3, 2, 3, 0], arrays[0][17, 0, 0, -1], arrays[0][-1, -1, -1, 0] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        expected = np.asarray(function(*map(Tensor, arrays)))
    found, _ = on_any_threads(function, arrays)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    # Those in whose block such a pixel lies are summed by vectors, too: they may differ by their last bits.
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-5, atol=5e-5)
    far = finite & (np.arange(len(found)) % 16 == 8)[:, None, None, None]
    assert found[far].tobytes() == clean[far].tobytes()


@pytest.mark.parametrize("ending", ["none", "pooled"])
@pytest.mark.parametrize(
    "sizes", [(16, 6, 6, 6, 16, (5, 5), 0), (17, 6, 6, 1, 6, (5, 5), 2), (7, 5, 4, 3, 20, (3, 3), 1)]
)
def test_nothing_is_read_or_written_behind_the_arrays(always, sizes, ending):
    function, arrays = convolution(sizes[-1], ending), arrays_of(*sizes)
    for count in (1, 3):
        set_num_threads(count)
        found, _ = repeated(function, [at_the_end_of_memory(array) for array in arrays])
        np.testing.assert_allclose(found, exactly(function, arrays), rtol=1e-4, atol=1e-4)


def trained(threads, backend="cpu", batch=33, optimizer="sgd", epochs=2, record=None):
    """Weights and losses of a fit, with a last batch of its own size."""
    r = np.random.default_rng(0)
    x = r.normal(size=(70, 14, 14, 1)).astype("float32")
    y = r.integers(0, 5, len(x))
    set_seed(1)
    set_num_threads(threads)
    layers = [
        Conv2D(6, 5, padding="same", activation="relu"),
        MaxPool2D(2),
        Conv2D(16, 3, activation="relu"),
        MaxPool2D(2),
    ]
    model = Sequential([Input((14, 14, 1)), *layers, Flatten(), Dense(5, activation="softmax")])
    model.compile("categorical_crossentropy", optimizer, backend=backend)
    history = model.fit(
        x, y, batch_size=batch, epochs=epochs, seed=0, verbose=0, **({"record": record} if record else {})
    )
    return list(model.get_weights().values()), history.history["loss"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fit_has_the_same_bits_on_any_threads_and_is_that_of_the_reference(always, optimizer):
    fits_are_those_of_the_reference(trained, rtol=5e-3, atol=5e-4, optimizer=optimizer)


@pytest.mark.parametrize("gradients", [False, True])
def test_recorded_steps_have_the_bits_of_plain_ones(always, monkeypatch, gradients):
    """Though these pool inside of other kernels, and spread the gradients of windows where no unit takes them."""
    if gradients:
        monkeypatch.setattr(tile_conv_gradient, "_LESS", 1e9)
    plain, recorded = trained(2), trained(2, record="full")
    assert [w.tobytes() for w in plain[0]] == [w.tobytes() for w in recorded[0]]


def test_predictions_are_made_by_vectors_so_that_an_image_has_its_bits_in_any_batch(always):
    is_predicted_by_vectors(convolution(0), arrays_of(64, 14, 14, 6, 16, (5, 5), 0))


def test_thin_images_go_to_the_unit_where_they_are_pooled():
    """Not where all of their results are written: that takes as long as the products."""
    arrays = arrays_of(128, 28, 28, 1, 6, (5, 5), 2)
    chosen = {name: repeated(convolution(2, name), arrays, steps=1)[1] for name in ENDINGS if name[0] != "o"}
    for name, names in chosen.items():
        assert any("conv by tiles" in n for n in names) == ("pooled" in name), (name, names)


def test_what_the_unit_takes():
    second = Plain(128, (14, 14), 6, (0, 0), (5, 5), (10, 10), 16)
    assert windows_for(second, float32)
    assert windows_for(second, float64) is None
    # A border as wide as the kernel: some windows have no pixel.
    assert windows_for(Plain(128, (14, 14), 6, (5, 5), (5, 5), (20, 20), 16), float32) is None
    # A single channel to a single one.
    assert windows_for(Plain(128, (28, 28), 1, (1, 1), (3, 3), (28, 28), 1), float32) is None


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("high", "wide"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_every_weight_stands_once_in_every_order_for_each_position_of_a_block(together, high, wide):
    windows = tile_windows.Windows((3, 2), 2, 3, high, wide, together)
    table = windows.table()
    for order in table:
        found, counts = np.unique(order[order >= 0], return_counts=True)
        np.testing.assert_array_equal(found, np.arange(3 * 2 * 2 * 3))
        assert set(counts) == {high * wide}
