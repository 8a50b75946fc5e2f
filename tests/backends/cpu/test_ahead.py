"""While a product is computed nearly all of the next batch is asked for, a little at a time."""

import numpy as np
import pytest
from tests.backends.cpu.calls import call

from pellucid.backends.cpu import matmul
from pellucid.backends.cpu.ahead import EVERYTHING
from pellucid.backends.cpu.emit import I64, Emitter
from pellucid.backends.cpu.moves import CURSOR_STRIDE, STEPS_LEFT
from pellucid.dtypes import float32, int64

LINE, SPACE = 64, 1 << 16


def fetched(monkeypatch, rows, columns, inner, batch, width):
    """The addresses that a product of x.T and z asks for, in order, and how often it begins a new block of sums."""
    asked, blocks = np.zeros(SPACE, np.int64), np.zeros(1, np.int64)

    def note(e, array, index, value):
        e.store_scalar(e.b.add(I64(array.ctypes.data), e.b.mul(index, I64(8))), value, int64)

    def prefetch(e, address, **_):
        number = e.load_scalar(I64(asked.ctypes.data), int64)
        following = e.b.add(number, I64(1))
        note(e, asked, following, address)
        note(e, asked, I64(0), following)

    original = matmul.Ahead.some

    def some(self):
        e = self.e
        note(e, blocks, I64(0), e.b.add(e.load_scalar(I64(blocks.ctypes.data), int64), I64(1)))
        original(self)

    monkeypatch.setattr(Emitter, "prefetch", prefetch)
    monkeypatch.setattr(matmul.Ahead, "some", some)
    kernel = matmul.matmul_kernel(float32, 0, fetching=True, dense="rows")
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
