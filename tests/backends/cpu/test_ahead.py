"""While a product is computed nearly all of the next batch is asked for, a little at a time."""

import numpy as np
import pytest
from tests.backends.cpu.calls import call

from pellucid.backends.cpu import matmul
from pellucid.backends.cpu.ahead import EVERYTHING, FEATURES, ROWS
from pellucid.backends.cpu.emit import I64, Emitter
from pellucid.backends.cpu.moves import CURSOR_STRIDE, STEPS_LEFT
from pellucid.dtypes import float32, float64, int64

LINE, SPACE = 64, 1 << 16


def note(e, array, index, value):
    """Code that stores a number in an array."""
    e.store_scalar(e.b.add(I64(array.ctypes.data), e.b.mul(index, I64(8))), value, int64)


def noting(monkeypatch):
    """An array that kernels written from now on put what they ask for into, behind its number."""
    asked = np.zeros(SPACE, np.int64)

    def prefetch(e, address, **_):
        number = e.load_scalar(I64(asked.ctypes.data), int64)
        following = e.b.add(number, I64(1))
        note(e, asked, following, address)
        note(e, asked, I64(0), following)

    monkeypatch.setattr(Emitter, "prefetch", prefetch)
    return asked


def fetched(monkeypatch, rows, columns, inner, batch, width):
    """The addresses that a product of x.T and z asks for, in order, and how often it begins a new block of sums."""
    blocks, asked = np.zeros(1, np.int64), noting(monkeypatch)
    original = matmul.Ahead.some

    def some(self):
        e = self.e
        note(e, blocks, I64(0), e.b.add(e.load_scalar(I64(blocks.ctypes.data), int64), I64(1)))
        original(self)

    monkeypatch.setattr(matmul.Ahead, "some", some)
    kernel = matmul.matmul_kernel(float32, 0, fetching=ROWS, dense="rows")
    a, b, c = (np.zeros(shape, np.float32) for shape in ((inner, rows), (inner, columns), (rows, columns)))
    order, data = np.random.default_rng(0).permutation(2 * batch), np.zeros((2 * batch, width), np.uint8)
    cursors = np.zeros((1, CURSOR_STRIDE // 8), np.int64)
    cursors[0, STEPS_LEFT] = 1
    product = [rows, columns, inner, *(x.ctypes.data for x in (a, b, c)), 4, 4 * rows, 4 * columns, 4 * columns]
    ahead = [cursors.ctypes.data, batch, order.ctypes.data, data.ctypes.data, width, EVERYTHING]
    call(kernel, [*product, *ahead])
    lines = {data.ctypes.data + int(row) * width + at for row in order[batch:] for at in range(0, width, LINE)}
    return [int(n) for n in asked[1 : 1 + asked[0]]], int(blocks[0]), lines


@pytest.mark.parametrize("columns", [1, 4, 6, 10, 16, 20, 32, 48, 100, 130])
@pytest.mark.parametrize(("rows", "inner", "batch"), [(784, 32, 32), (784, 128, 128), (100, 17, 60)])
def test_nearly_every_line_of_the_next_batch_is_asked_for_in_small_parts(monkeypatch, rows, columns, inner, batch):
    asked, blocks, wanted = fetched(monkeypatch, rows, columns, inner, batch, 3136)
    assert set(asked) <= wanted
    assert len(set(asked)) > 0.85 * len(wanted)
    assert blocks >= min(rows // 64, 8)


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("columns", [1, 3, 10, 16, 24, 32, 48])
@pytest.mark.parametrize(("features", "batch"), [(784, 16), (100, 17), (37, 3), (1000, 64)])
def test_gradients_with_few_columns_ask_for_the_features_of_every_sample_of_the_next_batch(
    monkeypatch, features, columns, batch, dtype
):
    rng, item = np.random.default_rng(0), dtype.itemsize
    asked = noting(monkeypatch)
    kernel = matmul.matmul_kernel(dtype, 0, fetching=FEATURES, batch="inner", dense="rows")
    data, right = rng.normal(size=(3 * batch, features)), rng.normal(size=(batch, columns))
    data, right = aligned_copy(data.astype(dtype)), right.astype(dtype)
    result = np.zeros((features, columns), dtype)
    order, cursors = rng.permutation(3 * batch), np.zeros((1, CURSOR_STRIDE // 8), np.int64)
    strides = [item, item * features, item * columns, item * columns]
    record = [features, columns, batch, *(x.ctypes.data for x in (data, right, result)), *strides]
    for step, left, following in ((0, 2, 1), (1, 1, 2), (2, 0, 2)):  # after the last batch it asks for that one again
        asked[0], cursors[0, [0, STEPS_LEFT]] = 0, (step, left)
        call(kernel, [*record, cursors.ctypes.data, batch, order.ctypes.data])
        rows = order[following * batch : (following + 1) * batch]
        starts = (data.ctypes.data + rows * item * features).tolist()
        wanted = {at // LINE for start in starts for at in range(start, start + item * features)}
        found = wanted & {address // LINE for address in asked[1 : 1 + asked[0]].tolist()}
        assert found == wanted or (item * features % LINE and len(found) > 0.8 * len(wanted))
        samples = order[step * batch : (step + 1) * batch]
        np.testing.assert_allclose(result, data[samples].T @ right, rtol=0, atol=1e-4)


def aligned_copy(array):
    """The array at the beginning of a cache line."""
    space = np.zeros(array.size + LINE // array.itemsize, array.dtype)
    first = -space.ctypes.data % LINE // array.itemsize
    copy = space[first : first + array.size].reshape(array.shape)
    copy[:] = array
    return copy
