"""The gradient by a convolution's kernel from the gradients of the windows of max pooling behind it."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.backends.cpu.guards import own_memory_at_the_end

from pellucid import Input, Sequential, autodiff, backends, compile, ops, set_num_threads, set_seed
from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.assembler import Assembler
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.groups_form import cut_of
from pellucid.backends.cpu.row_cuts import Fours, Twos
from pellucid.dtypes import float32
from pellucid.graph import rewrite, trace
from pellucid.nn import Conv1D, Conv2D, Dense, Flatten, MaxPool1D, MaxPool2D
from pellucid.op import Spec
from pellucid.plan.plan import address_of

NAME = "conv_kernel_grad of windows"
pytestmark = pytest.mark.usefixtures("batch_last", "every_plan_is_shared")


def gradients(strides, padding, dilation, window, shown=False):
    """A function of images, kernel and bias: gradients of a convolution with pooling, and that of what is pooled."""

    def function(x, w, b):
        image = ops.conv(x, w, strides=strides, padding=padding, dilation=dilation)

        def loss(w, b, image_too):
            out = ops.max_pool(
                ops.conv(x, w, strides=strides, padding=padding, dilation=dilation) + b + image_too, window
            )
            return ops.sum(ops.sin(out * 3.0))

        zero = np.zeros(image.spec.shape, image.spec.dtype)
        found = autodiff.grad(loss, (0, 1, 2))(w, b, zero)
        return found if shown else found[:2]

    return function


def drawn(n, c, d, size, taps, dtype="float32"):
    r = np.random.default_rng(n + c)
    lead = (1,) * (len(size))
    return [r.normal(size=shape).astype(dtype) for shape in ((n, *size, c), (*taps, c, d), (*lead, 1, d))]


def plan(function, args):
    return backends.get("cpu").compile(rewrite(trace(function, *args).graph)).plan


@given(
    n=st.sampled_from([17, 25, 32, 70]),
    c=st.sampled_from([1, 2, 3, 5]),
    d=st.sampled_from([1, 2, 5, 6, 7]),
    out=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    taps=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    gap=st.integers(1, 2),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_gradient_is_right_and_has_the_same_bits_on_any_threads(n, c, d, out, taps, strides, gap, window, dtype):
    pads = ((1, 0), (2, 1))
    reach = [(k - 1) * g + 1 for k, g in zip(taps, (gap, 1), strict=True)]
    axes = zip(out, window, strides, reach, pads, strict=True)
    size = [(o * v - 1) * s + k - sum(pad) for o, v, s, k, pad in axes]
    if min(size) < 1:
        return
    args = drawn(n, c, d, size, taps, dtype)
    function = gradients(strides, pads, (gap, 1), window)
    assert any(i.name == NAME for i in plan(function, args).instructions)
    found = []
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found.append([np.asarray(a) for a in compile(function, backend="cpu")(*args)])
    expected = [np.asarray(a) for a in compile(function, backend="reference")(*args)]
    for one, wanted in zip(found[0], expected, strict=True):
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(one, wanted, atol=(1e-4 if dtype == "float32" else 1e-11) * scale)
    assert all(a.tobytes() == b.tobytes() for other in found[1:] for a, b in zip(other, found[0], strict=True))


@given(
    n=st.sampled_from([17, 25, 32, 70]),
    c=st.sampled_from([1, 2, 3, 9]),
    d=st.sampled_from([1, 2, 5, 6, 7, 17]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    taps=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    gap=st.integers(1, 2),
    pads=st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2),
    summed=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_gradient_without_pooling_is_right_on_any_threads(n, c, d, size, taps, strides, gap, pads, summed, dtype):
    reach = [(k - 1) * g + 1 for k, g in zip(taps, (gap, 1), strict=True)]
    size = [max(n, r - sum(p)) for n, r, p in zip(size, reach, pads, strict=True)]
    x, w, _ = drawn(n, c, d, size, taps, dtype)
    attributes = {"strides": strides, "padding": pads, "dilation": (gap, 1)}
    out = ops.conv(x, w, **attributes).spec.shape
    ct = np.random.default_rng(d).normal(size=out).astype(dtype)

    def function(x, w, ct):
        ct = ops.tanh(ct)
        dw = autodiff.vjp(lambda w: ops.conv(x, w, **attributes), w)[1](ct)
        return (dw, ops.sum(ct, (0, 1, 2))) if summed else (dw,)

    found = []
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found.append([np.asarray(a) for a in compile(function, backend="cpu")(x, w, ct)])
    expected = [np.asarray(a) for a in compile(function, backend="reference")(x, w, ct)]
    for one, wanted in zip(found[0], expected, strict=True):
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(one, wanted, atol=(1e-4 if dtype == "float32" else 1e-11) * scale)
    assert all(a.tobytes() == b.tobytes() for other in found[1:] for a, b in zip(other, found[0], strict=True))


@pytest.mark.parametrize(("c", "d", "rows"), [(1, 6, 30), (2, 6, 40), (3, 7, 61)])
def test_windows_are_spread_band_by_band(c, d, rows):
    args = drawn(33, c, d, (rows, 10), (5, 5))
    function = gradients((1, 1), "same", (1, 1), (2, 2) if rows % 2 == 0 else (1, 5))
    found, expected = (compile(function, backend=name)(*args) for name in ("cpu", "reference"))
    assert any(i.name == NAME for i in plan(function, args).instructions)
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, wanted, atol=1e-4 * max(1.0, float(np.abs(np.asarray(wanted)).max())))


def test_the_spread_gradient_is_not_written_unless_someone_asks_for_it_and_the_bits_are_the_same():
    args = drawn(40, 1, 6, (12, 12), (5, 5))
    hidden, shown = (gradients((1, 1), "same", (1, 1), (2, 2), shown) for shown in (False, True))
    names = [[i.name for i in plan(f, args).instructions] for f in (hidden, shown)]
    assert NAME in names[0]
    assert "unpool" not in names[0]
    assert {NAME, "unpool"} <= set(names[1])
    one, other = (compile(f, backend="cpu")(*args) for f in (hidden, shown))
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(one, other, strict=False))


@pytest.mark.parametrize(
    "case", ["few samples", "windows that overlap", "uncovered elements", "many sums", "activation"]
)
def test_other_gradients_read_what_is_spread(case):
    n, size, outs = 5 if case == "few samples" else 40, 13 if case == "uncovered elements" else 12, 6
    strides = 1 if case == "windows that overlap" else 2
    args = drawn(n, 3, 70 if case == "many sums" else outs, (size, size), (5, 5))

    def function(x, w, b):
        def loss(w, b):
            z = ops.conv(x, w, padding="same") + b
            z = ops.tanh(z) if case == "activation" else z
            return ops.sum(ops.sin(ops.max_pool(z, 2, strides)))

        return autodiff.grad(loss, (0, 1))(w, b)

    assert all(i.name != NAME for i in plan(function, args).instructions)
    found, expected = (compile(function, backend=name)(*args) for name in ("cpu", "reference"))
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, wanted, atol=1e-4 * max(1.0, float(np.abs(np.asarray(wanted)).max())))


def test_nan_in_an_image_reaches_the_taps_that_saw_it_and_no_other_sample_s_lanes():
    x, w, _ = drawn(19, 1, 2, (6, 6), (3, 3))
    x[18, 0, 0] = np.nan  # seen by the first tap alone, in the last register, which is not full

    def function(x, w):
        return autodiff.grad(lambda w: ops.sum(ops.max_pool(ops.conv(x, w), 2)))(w)

    assert any(i.name == NAME for i in plan(function, (x, w)).instructions)
    found, expected = (np.asarray(compile(function, backend=name)(x, w)) for name in ("cpu", "reference"))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.isnan(found).sum() == np.isnan(found[0, 0]).sum() == 2


@pytest.mark.parametrize("place", [(0, 0, 3, 0), (0, 3, 0, 0), (18, 5, 5, 1), (17, 2, 2, 1)])
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_not_finite_meets_the_zeros_around_the_image(channels, value, place):
    x, w, _ = drawn(19, channels, 2, (6, 6), (3, 3))
    ct = np.random.default_rng(0).normal(size=(19, 6, 6, 2)).astype("float32")
    ct[place] = value

    def function(x, w, ct):
        return autodiff.vjp(lambda w: ops.conv(x, w, padding="same"), w)[1](ct)[0]

    found, expected = (np.asarray(compile(function, backend=name)(x, w, ct)) for name in ("cpu", "reference"))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert not np.isfinite(found[..., place[-1]]).any()
    assert np.isfinite(found[..., 1 - place[-1]]).all()


def test_long_rows_of_a_gradient_have_no_place_in_a_threads_own_memory():
    x, w, _ = drawn(32, 3, 256, (1000,), (3,))
    ct = np.zeros((32, 1000, 256), np.float32)
    made = plan(lambda x, w, ct: autodiff.vjp(lambda w: ops.conv(x, w, padding="same"), w)[1](ops.tanh(ct)), (x, w, ct))
    assert made.arena < 3 * ct.nbytes


@pytest.mark.parametrize("rank", [1, 2])
def test_networks_train_to_the_same_bits_on_any_threads_recorded_or_not(rank):
    r = np.random.default_rng(0)
    x, y = r.normal(size=(90, *(8,) * rank, 2)).astype("float32"), r.integers(0, 3, 90)
    conv, pool = (Conv1D, MaxPool1D) if rank == 1 else (Conv2D, MaxPool2D)
    found = []
    for threads, record in ((1, None), (2, None), (3, None), (2, "full")):
        set_num_threads(threads)
        set_seed(0)
        layers = [conv(5, 3, padding="same", activation="relu"), pool(2), conv(6, 2, activation="relu"), Flatten()]
        model = Sequential([Input(x.shape[1:]), *layers, Dense(3, "softmax")])
        model.compile("categorical_crossentropy", "momentum")
        model.fit(x, y, batch_size=32, epochs=2, seed=1, verbose=0, **({"record": record} if record else {}))
        found.append([value.tobytes() for value in model.get_weights().values()])
    assert all(other == found[0] for other in found)


def of_windows(y):
    """The gradient of an image that is pooled."""
    return autodiff.grad(lambda y: ops.sum(ops.max_pool(y, 2) ** 2.0))(y)


def by_kernel(x, w, ct):
    """The gradient by a convolution's kernel."""
    return autodiff.vjp(lambda w: ops.conv(x, w, padding="same"), w)[1](ct)


LANES = lanes_for(float32)

#: Graphs that read the gradient of a pooled image otherwise than a network does; y and z are images, w is a kernel.
READERS = {
    "as the images": lambda y, z, w: by_kernel(of_windows(y), w, of_windows(y)),
    "as images and gradient": lambda y, z, w: (by_kernel(of_windows(y), w, z), by_kernel(z, w, of_windows(y))),
    "as another's images": lambda y, z, w: (
        by_kernel(of_windows(y), w, of_windows(z)),
        by_kernel(z, w, of_windows(y)),
    ),
    "sums before the images": lambda y, z, w: (
        ops.sum(of_windows(y), (0, 1, 2)),
        by_kernel(ops.tanh(z * ops.sum(of_windows(y), (0, 1, 2))), w, of_windows(y)),
    ),
    "two gradients": lambda y, z, w: (by_kernel(z, w, of_windows(y)), by_kernel(ops.tanh(z), w, of_windows(y))),
    "no channels": lambda y, z, w: (
        ops.sum(of_windows(y), (0, 1, 2)),
        by_kernel(z[..., :0], w[:, :, :0], of_windows(y)),
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_whoever_else_reads_the_gradient_finds_it_written(reader):
    r = np.random.default_rng(0)
    y, z, w = (r.normal(size=shape).astype("float32") for shape in ((24, 8, 8, 3), (24, 8, 8, 3), (3, 3, 3, 3)))
    found, expected = (compile(READERS[reader], backend=name)(y, z, w) for name in ("cpu", "reference"))
    found, expected = ([a] if reader == "as the images" else a for a in (found, expected))
    for one, wanted in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(np.asarray(wanted)).max(initial=0)))
        np.testing.assert_allclose(np.asarray(one), np.asarray(wanted), atol=1e-4 * scale)


def test_an_instruction_that_would_touch_what_was_never_computed_is_a_mistake():
    made = Assembler()
    view = made.temporary(Spec((4,), float32))
    made.leave_unwritten(view)
    with pytest.raises(AssertionError, match="copy would touch an image that was not computed"):
        made.emit("copy", 0, [address_of(view)], [])


@pytest.fixture
def written(monkeypatch):
    """The forms that kernels of gradients are asked for, by sums of rows and row by row."""
    seen = {"sums": [], "rows": []}
    for kind, name in (("sums", "groups_sums_kernel"), ("rows", "groups_grad_kernel")):
        made = getattr(kernels, name)

        def make(dtype, form, kind=kind, made=made):
            seen[kind].append(form)
            return made(dtype, form)

        monkeypatch.setattr(kernels, name, make)
    return seen


@pytest.mark.parametrize(
    ("case", "cut"),
    [
        ({}, Fours(5)),
        ({"size": (18, 14)}, Twos(5)),
        ({"size": (16, 16 * 46 // LANES)}, Fours(5)),
        ({"size": (16, 16 * 47 // LANES)}, Twos(5)),
        ({"taps": (4, 3), "size": (15, 14)}, Fours(4)),
        ({"taps": (4, 3), "size": (17, 14)}, Twos(4)),
        ({"taps": (6, 2), "size": (13, 14)}, Fours(6)),
        ({"taps": (6, 2), "size": (11, 14)}, Twos(6)),
        ({"taps": (3, 3), "size": (18, 14)}, Twos(3)),
        ({"taps": (2, 5), "size": (17, 14)}, Twos(2)),
        ({"taps": (7, 3), "size": (18, 14)}, Twos(7)),
        ({"taps": (8, 3)}, None),
        ({"taps": (5, 1)}, None),
        ({"size": (13, 12)}, None),
        ({"strides": (2, 1), "size": (25, 12)}, None),
        ({"strides": (1, 2)}, Fours(5)),
        ({"dtype": "float64"}, None),
        ({"size": (6, 160)}, None),
    ],
)
def test_some_rows_are_computed_at_once_where_that_saves_products(written, case, cut):
    case = {"taps": (5, 5), "size": (16, 14), "strides": (1, 1), "dtype": "float32", **case}
    x, w, _ = drawn(33, 2, 3, case["size"], case["taps"], case["dtype"])
    out = ops.conv(x, w, strides=case["strides"]).spec.shape
    ct = np.random.default_rng(0).normal(size=out).astype(case["dtype"])

    def function(x, w, ct):
        return autodiff.vjp(lambda w: ops.conv(x, w, strides=case["strides"]), w)[1](ops.tanh(ct))[0]

    found, expected = (np.asarray(compile(function, backend=name)(x, w, ct)) for name in ("cpu", "reference"))
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(np.abs(expected).max()))
    assert [form.cut for form in written["sums"]] == ([cut] if cut else [])
    assert len(written["rows"]) == (0 if cut else 1)


@pytest.mark.parametrize(("outs", "cut"), [(64, Fours(5)), (128, Twos(5)), (256, None)])
def test_rows_at_once_stay_in_a_cores_cache(outs, cut):
    assert cut_of((5, 5), (1, 1), (16, 16 * 16 // LANES, outs), 20, float32) == cut


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize(("rows", "taps"), [(2, 2), (6, 3), (4, 4), (6, 4), (12, 5), (6, 5), (8, 6), (10, 6), (4, 7)])
def test_gradients_of_whole_numbers_are_exact_by_sums_of_rows(written, rows, taps, window, channels):
    pads = (1, 1), (1, 1)
    x, w, y, ct = (np.round(2 * a) for a in arguments(35, channels, 3, (rows, 6), (taps, 3), pads, window))
    wanted = ct
    if window:  # one element of each wins
        y = np.random.default_rng(0).permutation(y.size).reshape(y.shape).astype("float32")
        tops = y.reshape(35, rows // 2, 2, 3, 2, 3).max((2, 4))
        wanted, tops = (np.repeat(np.repeat(a, 2, 1), 2, 2) for a in (ct, tops))
        wanted = wanted * (y == tops)

    def function(x, w, y, ct):
        pooled = autodiff.grad(lambda y: ops.sum(ops.max_pool(y, window) * ct))
        own = pooled(y) if window else ops.relu(ct) - ops.relu(-ct)
        return autodiff.vjp(lambda w: ops.conv(x, w, padding=pads), w)[1](own)[0]

    found = np.asarray(compile(function, backend="cpu")(x, w, y, ct))
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (rows, 6), (1, 2))
    np.testing.assert_array_equal(found, np.einsum("nktchw,nhwd->ktcd", seen, wanted))
    assert len(written["sums"]) == 1


@pytest.mark.parametrize("window", [(1, 2), (2, 2), (3, 1), (3, 3), (6, 2)])
@pytest.mark.parametrize("channels", [1, 2])
def test_sums_of_rows_have_the_bits_of_a_gradient_that_is_written(written, channels, window):
    args = drawn(40, channels, 6, (12, 12), (5, 5))
    hidden, shown = (gradients((1, 1), "same", (1, 1), window, shown) for shown in (False, True))
    one, other = (compile(f, backend="cpu")(*args) for f in (hidden, shown))
    assert np.asarray(one[0]).tobytes() == np.asarray(other[0]).tobytes()
    assert any(form.pooled for form in written["sums"])
    assert not written["rows"]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("value", [3e38, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("rows", [4, 6])
def test_sums_of_rows_spoil_no_tap_that_does_not_see_what_is_not_finite(written, rows, value, pooled, channels):
    x, w, _ = drawn(50, channels, 3, (rows + 4, 8), (5, 5))
    x[33, 0, :, 0] = value  # the first rows of taps see it alone; 3e38 + 3e38 and 3e38 - -3e38 are too large
    x[33, 2, :, 0] = np.sign(value) * -3e38 if np.isfinite(value) else 0
    x[3, -2:, :, 0] = [[3e38], [-3e38]] if np.isfinite(value) else 0  # the last taps, another group
    x[40, -1, 7, -1] = value
    factors = np.random.default_rng(0).normal(scale=1e-9, size=(50, rows // 2, 2, 3) if pooled else (50, rows, 4, 3))

    def function(x, w, factors):
        def loss(w):
            image = ops.conv(x, w)
            return ops.sum((ops.max_pool(image, 2) if pooled else image) * ops.sin(factors))

        return autodiff.grad(loss)(w)

    args = x, w, factors.astype("float32")
    found, expected = (np.asarray(compile(function, backend=name)(*args)) for name in ("cpu", "reference"))
    assert written["sums"]
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    room = 1e-3 * np.abs(expected[finite]) + 1e-12
    if rows == 4 and np.isfinite(value):  # all rows of taps have sums in common, with rows that a tap does not see
        room += 1e-6 * value * np.abs(factors).max()
    assert np.all(np.abs(found[finite] - expected[finite]) <= room)
    assert finite.any()


def products_and_sums(pads, window):
    """A function of images, kernel, what is pooled and factors: the gradient by the kernel, and sums of cotangents."""

    def function(x, w, y, factors):
        factors = ops.tanh(factors)
        pooled = autodiff.grad(lambda y: ops.sum(ops.max_pool(y, window) * factors))
        ct = pooled(y) if window else factors
        return autodiff.vjp(lambda w: ops.conv(x, w, padding=pads), w)[1](ct)[0], ops.sum(ct, (0, 1, 2))

    return function


def arguments(n, c, d, out, taps, pads, window):
    r = np.random.default_rng(n)
    size = [o + k - 1 - sum(p) for o, k, p in zip(out, taps, pads, strict=True)]
    pooled = [o // v for o, v in zip(out, window or (1, 1), strict=True)]
    shapes = (n, *size, c), (*taps, c, d), (n, *out, d), (n, *pooled, d)
    return [r.normal(size=shape).astype("float32") for shape in shapes]


PADS = ((2, 1), (1, 2))


@pytest.mark.parametrize("columns", [5, 6])
@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize(("channels", "outs"), [(1, 5), (2, 5), (2, 8)])  # sixteen lie 17 registers from the next ones
@pytest.mark.parametrize(("n", "rows"), [(17, 10), (33, 10), (33, 12)])
def test_sums_of_rows_give_the_sums_by_channels_too_and_stay_in_their_memory(
    written, monkeypatch, n, rows, channels, outs, window, columns
):
    set_num_threads(1)
    kept = own_memory_at_the_end(monkeypatch)
    args = arguments(n, channels, outs, (rows, 8 if rows == 10 else 9 - bool(window)), (5, columns), PADS, window)
    function = products_and_sums(PADS, window)
    found = [np.asarray(a) for a in compile(function, backend="cpu")(*args)]
    expected = [np.asarray(a) for a in compile(function, backend="reference")(*args)]
    assert kept
    assert [form.summed for form in written["sums"]] == [True]
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, wanted, atol=2e-6 * float(np.abs(wanted).max()))


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize(("window", "rows"), [((3, 1), 60), ((2, 2), 60), ((6, 2), 48)])
def test_sums_of_rows_are_cut_into_bands_of_whole_windows(written, window, rows, taps):
    args = arguments(33, 2, 24, (rows, 16), (taps, 3), PADS, window)
    function, found = products_and_sums(PADS, window), []
    for count in (1, 2):
        set_num_threads(count)
        found.append([np.asarray(a) for a in compile(function, backend="cpu")(*args)])
    expected = compile(function, backend="reference")(*args)
    (form, *_) = written["sums"]
    assert form.band(rows, 16, 24, window[0], 18, float32)[0] < rows
    for one, other, wanted in zip(*found, expected, strict=True):
        np.testing.assert_allclose(one, wanted, atol=4e-6 * float(np.abs(np.asarray(wanted)).max()))
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("place", [(0, 0), (9, 7), (0, 7)])
@pytest.mark.parametrize("window", [None, (2, 2)])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rows", [6, 8])
def test_what_is_not_finite_is_computed_again_without_the_sums_by_channels(written, rows, channels, window, place):
    args = x, *_ = arguments(33, channels, 3, (rows, 6), (5, 5), ((1, 1), (1, 1)), window)
    # The only sample of its register; the first or the last taps alone see it.
    x[32, min(place[0], rows + 1), place[1], 0] = np.inf
    function = products_and_sums(((1, 1), (1, 1)), window)
    found, expected = ([np.asarray(a) for a in compile(function, backend=n)(*args)] for n in ("cpu", "reference"))
    assert written["sums"]
    np.testing.assert_array_equal(np.isfinite(found[0]), np.isfinite(expected[0]))
    assert 0 < np.isfinite(found[0]).mean() < 1
    finite = np.isfinite(expected[0])
    np.testing.assert_allclose(found[0][finite], expected[0][finite], atol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)


def test_sums_by_channels_are_added_row_by_row(written):
    args = arguments(17, 1, 2, (4, 4), (3, 3), ((0, 0), (0, 0)), None)
    args[0][3], args[3][3, :2, :2, 0] = 0, [[3e38, -3e38], [3e38, -3e38]]  # two of a column are too large

    def function(x, w, _, ct):
        ct = ct * 1.0
        return autodiff.vjp(lambda w: ops.conv(x, w), w)[1](ct)[0], ops.sum(ct, (0, 1, 2))

    _, sums = compile(function, backend="cpu")(*args)
    assert written["sums"]
    assert np.isfinite(np.asarray(sums)).all()
