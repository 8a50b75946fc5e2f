"""Gradients by kernels on the matrix unit: as exact as those by vectors, whatever the shapes, threads and values."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.backends.cpu.guards import at_the_end_of_memory
from tests.backends.cpu.operands import repeated
from tests.backends.cpu.test_tile_convolution import SIZES, arrays_of, on_any_threads

from pellucid import Tensor, ops, set_num_threads, vjp
from pellucid.backends.cpu import matrix_unit, tile_conv_gradient
from pellucid.backends.cpu.tile_conv_gradient import gradient_for
from pellucid.backends.cpu.tile_windows import Plain
from pellucid.dtypes import float32, float64

pytestmark = pytest.mark.skipif(not matrix_unit.is_available(), reason="there is no matrix unit here")

SECOND = (64, 14, 14, 6, 16, (5, 5), 0)


@pytest.fixture
def always(monkeypatch, batch_last):
    """Every gradient by a kernel in training of float32 goes to the unit if it can, on however many threads."""
    monkeypatch.setattr(tile_conv_gradient, "_LESS", 1e9)
    monkeypatch.setattr("pellucid.backends.cpu.memory._WORTH_SHARING", 0)
    yield
    set_num_threads(None)


def gradient(pad, shape):
    """A function of images and cotangents: the gradient by a kernel of some shape."""
    return lambda x, ct: vjp(lambda w: ops.conv(x, w, padding=pad), Tensor(np.zeros(shape, x.spec.dtype)))[1](ct)[0]


def operands(sizes, seed=0):
    """Images and cotangents."""
    x, _, ct = arrays_of(*sizes, "of the image's shape", seed)
    return [x, ct]


def function_of(sizes):
    """The gradient for images of some sizes."""
    return gradient(sizes[-1], (*sizes[5], *sizes[3:5]))


def exactly(sizes, arrays):
    """In float64 on the reference backend."""
    return np.asarray(function_of(sizes)(*(Tensor(a.astype("float64")) for a in arrays)))


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES)
@example(SECOND)
@example((33, 12, 12, 1, 6, (5, 5), 2))
@example((17, 5, 6, 3, 40, (3, 3), 1))
@example((70, 6, 6, 17, 17, (2, 2), 0))
def test_any_gradient_is_right_and_has_the_same_bits_on_any_threads(always, sizes):
    height, width, taps, pad = *sizes[1:3], *sizes[5:]
    if min(n + 2 * pad - k + 1 for n, k in zip((height, width), taps, strict=True)) < 1:
        return
    arrays = operands(sizes)
    found, names = on_any_threads(function_of(sizes), arrays)
    assert "conv_kernel_grad by tiles" in names
    terms = arrays[1].size / sizes[4]
    np.testing.assert_allclose(found, exactly(sizes, arrays), rtol=2e-5, atol=1e-5 * np.sqrt(terms))


def test_errors_are_no_larger_than_those_of_sums_in_float32(always):
    arrays = operands(SECOND)
    found, _ = repeated(function_of(SECOND), arrays)
    exact, plain = exactly(SECOND, arrays), np.asarray(function_of(SECOND)(*map(Tensor, arrays)))
    error = lambda z: np.sqrt(np.mean((z - exact) ** 2))  # noqa: E731
    assert error(found) < 1.5 * error(plain)


@pytest.mark.parametrize("sizes", [SECOND, (20, 6, 7, 3, 17, (3, 3), 1)])
def test_nan_and_infinity_reach_those_results_alone_that_they_belong_to(always, sizes):
    arrays = operands(sizes)
    clean, _ = on_any_threads(function_of(sizes), arrays)
    arrays[0][3, 0, 0, 0], arrays[0][-1, 2, 3, -1], arrays[1][5, 1, 2, 0] = np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        expected = np.asarray(function_of(sizes)(*map(Tensor, arrays)))
    found, _ = on_any_threads(function_of(sizes), arrays)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    finite = np.isfinite(expected)
    assert found[finite].tobytes() == clean[finite].tobytes()


@pytest.mark.parametrize(
    "sizes", [(32, 6, 6, 6, 16, (5, 5), 0), (17, 6, 6, 1, 6, (5, 5), 0), (7, 5, 4, 3, 20, (3, 3), 0)]
)
def test_nothing_is_read_or_written_behind_the_arrays(always, sizes):
    arrays = operands(sizes)
    for count in (1, 3):
        set_num_threads(count)
        found, _ = repeated(function_of(sizes), [at_the_end_of_memory(array) for array in arrays])
        np.testing.assert_allclose(found, exactly(sizes, arrays), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("batch", [1, 16, 31, 32, 33, 64, 128, 300])
def test_samples_and_rows_are_cut_into_enough_pieces_that_are_not_empty(batch):
    from pellucid.backends.cpu.unit_images import pieces_of

    groups, bands = pieces_of(batch, 10, 5)
    assert (groups - 1) * 32 < batch <= groups * 32
    assert 1 <= bands <= 2


def test_what_the_unit_takes():
    second = Plain(128, (14, 14), 6, (0, 0), (5, 5), (10, 10), 16)
    assert gradient_for(second, float32)
    assert gradient_for(second, float64) is None
    # Few output channels would leave most columns empty.
    assert gradient_for(Plain(128, (28, 28), 1, (2, 2), (5, 5), (28, 28), 6), float32) is None
    # Rows of thousands of positions would need more memory than a core's second cache has.
    assert gradient_for(Plain(32, (1, 16_008), 16, (0, 0), (1, 9), (1, 16_000), 64), float32) is None
    assert gradient_for(Plain(32, (1, 24), 16, (0, 0), (1, 9), (1, 16), 32), float32)
