"""Convolutions of images by samples, two rows of results at once, against the reference."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid import Input, Sequential, compile, dtypes, grad, ops, set_num_threads, set_seed
from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.pair_images import last_runs
from pellucid.backends.cpu.planner import Planner
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

PLAIN = {"groups": 1, "strides": (1, 1), "dilation": (1, 1), "pads": ((0, 0), (0, 0))}


@pytest.fixture
def written(monkeypatch):
    """The runs of rows of taps, and what is pooled, of the kernels that are asked for."""
    seen, made = [], kernels.last_pairs_kernel

    def make(dtype, ending, motions, exact, framed, runs, pooling=None):
        seen.append((runs, pooling))
        return made(dtype, ending, motions, exact, framed, runs, pooling)

    monkeypatch.setattr(kernels, "last_pairs_kernel", make)
    return seen


@pytest.fixture
def training(monkeypatch, batch_last, every_plan_is_shared):
    """Every plan is made as one that trains, on any threads, its images by samples."""
    monkeypatch.setattr(Planner, "is_training", True)


def drawn(n, c, d, size, taps):
    r = np.random.default_rng(n + c + d)
    w = r.normal(size=(*taps, c, d)) / np.sqrt(np.prod(taps) * c)
    return [a.astype("float32") for a in (r.normal(size=(n, *size, c)), w, r.normal(size=d))]


def convolution(pads=((0, 0), (0, 0)), stride=1, window=None):
    """A layer: convolution, bias, pooling, activation."""

    def function(x, w, b):
        z = ops.conv(x, w, strides=(1, stride), padding=pads) + b
        return ops.maximum(ops.max_pool(z, window) if window else z, 0.0)

    return function


def on_both(function, *args):
    return [np.asarray(compile(function, backend=name)(*args)) for name in ("cpu", "reference")]


@given(
    n=st.sampled_from([17, 25, 32, 70]),
    c=st.sampled_from([1, 2, 3, 6]),
    d=st.sampled_from([3, 5, 6, 7, 17]),
    out=st.tuples(st.integers(2, 9), st.integers(1, 9)),
    taps=st.tuples(st.integers(2, 7), st.integers(3, 6)),
    stride=st.integers(1, 3),
    more=st.integers(0, 2),
    pads=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    window=st.sampled_from([None, (2, 2), (2, 2), (1, 2)]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_convolution_is_right_and_has_the_same_bits_on_any_threads(
    training, n, c, d, out, taps, stride, more, pads, window
):
    steps = (1, stride)
    size = [(o - 1) * s + k - sum(pad) for o, s, k, pad in zip(out, steps, taps, pads, strict=True)]
    size[1] += min(more, stride - 1)  # the last columns, which nobody sees
    if min(size) < 1 or (window and (out[0] < window[0] or out[1] < window[1])):
        return
    args, function, found = drawn(n, c, d, size, taps), convolution(pads, stride, window), []
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found.append(np.asarray(compile(function, backend="cpu")(*args)))
    expected = np.asarray(compile(function, backend="reference")(*args))
    np.testing.assert_allclose(found[0], expected, atol=4e-6 * max(1.0, float(np.abs(expected).max())))
    assert all(other.tobytes() == found[0].tobytes() for other in found[1:])


def test_what_pays_for_it_computes_two_rows_at_once():
    def runs(image=(32, 12, 12, 6), out=(32, 8, 8, 16), taps=(5, 5), dtype=dtypes.float32, **others):
        return last_runs(image, out, taps, {**PLAIN, **others}, dtype)

    assert runs() == (3, 2)
    assert runs((32, 14, 12, 6), out=(32, 8, 8, 16), taps=(7, 5)) == (3, 2, 2)
    assert runs((32, 11, 12, 6), out=(32, 7, 8, 16)) == (3, 2)
    assert not runs((32, 7, 12, 6), out=(32, 3, 8, 16))
    assert not runs((32, 12, 12, 6), out=(32, 8, 8, 3))
    assert not runs((32, 8, 8, 6), out=(32, 12, 12, 16), pads=((4, 4), (4, 4)))  # half of the taps see zeros alone
    assert not runs((32, 12, 300, 6), out=(32, 8, 296, 16))
    assert not runs(dtype=dtypes.float64)
    for key, value in {"groups": 2, "strides": (2, 1), "dilation": (2, 1)}.items():
        assert not runs(**{key: value})


@pytest.mark.parametrize("window", [None, (2, 2)])
def test_the_kernel_takes_in_bias_activation_and_pooling(training, written, window):
    args = drawn(33, 3, 6, (12, 12), (5, 5))
    found, expected = on_both(convolution(window=window), *args)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    ((runs, pooling),) = set(written)
    assert runs == (3, 2)
    assert (pooling is not None) == (window is not None)


@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize("value", [3e38, np.inf, -np.inf, np.nan])
def test_sums_of_rows_spoil_no_result_that_does_not_see_what_is_not_finite(training, written, value, window):
    args = x, w, _ = drawn(33, 2, 5, (11, 10), (5, 5))
    x[32, 5, 4, 1] = value
    x[3, 0, 0, 0], x[3, 2, 0, 0] = value, -value  # 3e38 + 3e38 and 3e38 - -3e38 are too large, the results are not
    x[3, 4, 0, 0] = value
    w *= 1e-3
    found, expected = on_both(convolution(window=window), *args)
    assert written
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-4, atol=1e-6)
    assert (~finite).any() == (not np.isfinite(value))


@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize("value", [1e18, 3e18, 1e19, 3e38, np.inf, np.nan])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_kernel_too_large_for_sums_of_its_rows_goes_tap_by_tap(training, written, row, value, window):
    args = _, w, _ = drawn(33, 2, 5, (11, 10), (5, 5))
    w[row, 2, 0, 3], w[row + 1, 2, 0, 3], w[row + 2, 2, 0, 3] = value, value, -value
    found, expected = on_both(convolution(window=window), *args)
    assert written
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), finite)
    assert (~finite).any() == (value > 1e38 or np.isnan(value))
    for channel in range(5):
        own = finite[..., channel]
        scale = float(np.abs(expected[..., channel][own]).max(initial=0))
        np.testing.assert_allclose(found[..., channel][own], expected[..., channel][own], rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("value", [1e17, 1e18, 3e18, 1e19, 1e20])
def test_large_products_of_large_numbers_are_those_of_the_reference(training, written, value):
    args = x, w, _ = drawn(33, 2, 5, (11, 10), (5, 5))
    x *= value
    w *= 1e38 / value
    found, expected = on_both(convolution(), *args)
    assert written
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-4, atol=3e-6 * float(expected[finite].max()))


@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize("predicting", [False, True])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_zeros_around_the_image_count_where_the_kernel_is_not_finite(training, monkeypatch, value, predicting, window):
    monkeypatch.setattr(Planner, "is_training", not predicting)
    x, w, b = drawn(33, 2, 5, (11, 10), (5, 5))
    for place in ((0, 0, 0, 0), (4, 2, 1, 4), (2, 4, 0, 3), (2, 2, 1, 2)):
        spoiled = w.copy()
        spoiled[place] = value
        for pads in (((2, 2), (2, 2)), ((0, 1), (0, 0)), ((0, 0), (2, 0))):
            found, expected = on_both(convolution(pads, window=window), x, spoiled, b)
            for kind in (np.isnan, np.isposinf, np.isneginf):
                np.testing.assert_array_equal(kind(found), kind(expected))


def test_whoever_else_reads_what_is_pooled_changes_no_bit(training, written):
    args = drawn(40, 2, 6, (12, 12), (3, 3))

    def shown(x, w, b):
        z = ops.conv(x, w) + b
        return ops.maximum(ops.max_pool(z, 2), 0.0), z

    alone = np.asarray(compile(convolution(window=(2, 2)), backend="cpu")(*args))
    beside, z = (np.asarray(a) for a in compile(shown, backend="cpu")(*args))
    assert alone.tobytes() == beside.tobytes()
    assert z.shape == (40, 10, 10, 6)
    assert [pooling is not None for _, pooling in written] == [True, False]


def test_the_winners_of_windows_are_the_first_of_the_largest(training, written):
    r = np.random.default_rng(0)
    args = [r.integers(-2, 3, shape).astype("float32") for shape in ((40, 12, 10, 3), (5, 5, 3, 6), (6,))]
    args[0][7], args[0][20, 3, 3] = 1, np.nan  # a constant image, and windows of NaN

    def function(x, w, b):
        zero = np.zeros((40, 8, 6, 6), np.float32)
        return grad(lambda y: ops.sum(ops.max_pool(ops.conv(x, w) + b + y, 2) ** 2.0))(zero)

    found, expected = on_both(function, *args)
    np.testing.assert_array_equal(found, expected)
    assert any(pooling is not None and pooling.placed for _, pooling in written)


def test_other_windows_are_pooled_row_by_row(training, written):
    args = drawn(40, 2, 6, (14, 14), (3, 3))
    found, expected = on_both(convolution(window=(3, 3)), *args)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not written


def test_networks_train_to_the_same_bits_on_any_threads_recorded_or_not(written, every_plan_is_shared):
    r = np.random.default_rng(0)
    x, y = r.normal(size=(90, 12, 12, 2)).astype("float32"), r.integers(0, 3, 90)
    found = []
    for threads, record in ((1, None), (2, None), (3, None), (2, "full")):
        set_num_threads(threads)
        set_seed(0)
        layers = [Conv2D(6, 5, padding="same", activation="relu"), MaxPool2D(2), Conv2D(7, 3, activation="tanh")]
        model = Sequential([Input(x.shape[1:]), *layers, Flatten(), Dense(3, "softmax")])
        model.compile("categorical_crossentropy", "momentum")
        model.fit(x, y, batch_size=32, epochs=2, seed=1, verbose=0, **({"record": record} if record else {}))
        found.append([value.tobytes() for value in model.get_weights().values()])
    assert all(other == found[0] for other in found)
    assert {(3, 2), (3,)} <= {runs for runs, _ in written}
    del written[:]
    one, many = (model.predict(x[:n], batch_size=n) for n in (1, 40))
    assert one.tobytes() == many[:1].tobytes()
    assert not written
