"""The last few columns of a product, which would fill a small part of a register.

Row by row, such columns take as many multiply-adds as a whole register of them. So the lanes run along another axis:
along the rows, where the left operand lies so (every gradient of weights), or along the inner axis, whose lanes are
summed at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llvmlite import ir

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.dtypes import DType

if TYPE_CHECKING:
    from pellucid.backends.cpu.matmul import Product

#: So many columns at most, in registers of so many lanes.
COLUMNS, _LANES = 4, 16
#: The inner size from which on it is worth adding the lanes at the end.
LEAST_INNER = 128
# Registers of rows that share the columns' numbers; rows whose sums along the inner axis are computed at once.
_ALONG_ROWS, _ROWS = 4, 4


def is_possible(dtype: DType) -> bool:
    """Whether this processor has registers wide enough for it to be worth while."""
    return dtype.kind == "f" and lanes_for(dtype) == _LANES and target.vector_registers() == 32


def bytes_of_columns(inner: int, dtype: DType) -> int:
    """Bytes of memory for the columns, side by side along the inner axis."""
    return -(-inner // _LANES) * _LANES * COLUMNS * dtype.itemsize


class NarrowColumns:
    """The part of a product's kernel that computes its last columns.

    Args:
        product: The kernel in the making.
        b: The address of the first of the columns.
        c: The address of the result.
        j: The number of the first of the columns.
        count: How many there are.
    """

    def __init__(self, product: Product, b: Value, c: Value, j: Value, count: Value) -> None:
        self.product, self.e, self.dtype = product, product.e, product.dtype
        self.b, self.c, self.j, self.count = b, c, j, count

    @staticmethod
    def blocks_along_rows(e: Emitter, rows: Value) -> Value:
        """How many blocks :meth:`along_rows` computes, but for the last single registers."""
        return e.ceiling(rows, _ALONG_ROWS * e.lanes)

    def along_rows(self, a: Value, rows: tuple[Value, Value]) -> None:
        """Lanes are rows, which lie side by side in the left operand."""
        e, (low, high) = self.e, rows
        size = _ALONG_ROWS * e.lanes
        end = e.b.add(low, e.b.mul(e.b.sdiv(e.minus(high, low), I64(size)), I64(size)))
        with e.loop(low, end, size) as i:
            self._rows(a, i, [None] * _ALONG_ROWS)
        with e.loop(end, high, e.lanes) as i:
            self._rows(a, i, [e.mask(e.minus(high, i))], e.minus(high, i))

    def _rows(self, a: Value, i: Value, masks: Sequence[Value | None], left: Value = None) -> None:
        """Some registers of rows: every one is multiplied with the number of each column."""
        e, m, dtype = self.e, self.product, self.dtype
        left_of, item = m.left_of(a, [i]), I64(dtype.itemsize)
        last = e.minus(self.count, I64(1))
        columns = [e.advance(self.b, e.smaller(I64(t), last), item) for t in range(COLUMNS)]

        def step(k: Value, sums: list[Value]) -> list[Value]:
            (address,), moved = left_of(k), e.b.mul(k, m.b_row)
            numbers = [e.splat(e.load_scalar(e.b.add(column, moved), dtype)) for column in columns]
            loaded = [e.load(e.beside(address, v, dtype), dtype, mask) for v, mask in enumerate(masks)]
            pairs = [(x, y) for x in loaded for y in numbers]
            return [e.multiply_add(x, y, s) for (x, y), s in zip(pairs, sums, strict=True)]

        zeros = [e.constant(0, dtype)] * (COLUMNS * len(masks))
        sums = m.inner_loop(zeros, step, before=m.asking_for_next(a, i, len(masks) * e.lanes))
        for v in range(len(masks)):
            quads = _by_rows(e, sums[v * COLUMNS : (v + 1) * COLUMNS])
            self._finish(e.b.add(i, I64(v * e.lanes)), quads, left)

    def along_inner(self, a: Value, rows: tuple[Value, Value], memory: Value) -> None:
        """Lanes are elements of the inner axis, which lie side by side in the left operand."""
        e = self.e
        whole = e.b.mul(e.b.sdiv(self.product.k, I64(e.lanes)), I64(e.lanes))
        with e.loop(I64(0), self.product.k, e.lanes) as k:
            self._turn(memory, k)
        start, high = rows
        for size in (_ROWS, 1):
            end = e.b.add(start, e.b.mul(e.b.sdiv(e.minus(high, start), I64(size)), I64(size)))
            with e.loop(start, end, size) as i:
                self._dots(a, i, size, whole, memory)
            start = end

    def single_row(self, a: Value) -> None:
        """The only row, by the sums of :meth:`along_inner`: one register of columns for each of their lanes."""
        e, m, dtype = self.e, self.product, self.dtype
        left_of, inner = m.left_of(a, [I64(0)]), m.k
        whole = e.b.mul(e.b.sdiv(inner, I64(_LANES)), I64(_LANES))
        with e.narrowed(COLUMNS):
            mask = e.mask(self.count)

            def step(k: Value, sums: list[Value], inside: Sequence[Value | None] = (None,) * _LANES) -> list[Value]:
                found = []
                for lane, here in enumerate(inside):
                    at = (
                        e.b.add(k, I64(lane))
                        if here is None
                        else e.smaller(e.b.add(k, I64(lane)), e.minus(inner, I64(1)))
                    )
                    number = e.load_scalar(left_of(at)[0], dtype)
                    number = number if here is None else e.b.select(here, number, e.scalar(0, dtype))
                    right = e.load(e.advance(self.b, at, m.b_row), dtype, mask)
                    right = right if here is None else e.b.select(here, right, e.constant(0, dtype))
                    found.append(e.multiply_add(e.splat(number), right, sums[lane]))
                return found

            def rest(k: Value, sums: list[Value]) -> list[Value]:
                return step(k, sums, [e.b.icmp_signed(">", e.minus(inner, k), I64(lane)) for lane in range(_LANES)])

            sums = e.reduce_loop(I64(0), whole, _LANES, [e.constant(0, dtype)] * _LANES, step)
            sums = e.reduce_loop(whole, inner, _LANES, sums, rest)
            while len(sums) > 1:
                sums = [e.b.fadd(x, y) for x, y in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :], strict=True)]
        self._finish(I64(0), sums, None)

    def _turn(self, memory: Value, k: Value) -> None:
        """Put some rows of the columns into memory, column by column."""
        e, dtype, b_row = self.e, self.dtype, self.product.b_row
        lanes, rows, left = e.lanes, [], e.minus(self.product.k, k)
        with e.narrowed(COLUMNS):
            mask = e.mask(self.count)
            for r in range(lanes):
                inside = e.splat(e.b.icmp_signed(">", left, I64(r)))
                rows.append(e.load(e.advance(self.b, e.b.add(k, I64(r)), b_row), dtype, e.b.and_(mask, inside)))
        while len(rows) > COLUMNS:
            rows = [joined(e, x, y) for x, y in zip(rows[::2], rows[1::2], strict=True)]
        place = e.advance(memory, k, I64(COLUMNS * dtype.itemsize))
        for t, column in enumerate(_columns(e, rows)):
            e.store(e.beside(place, t, dtype), column, dtype)

    def _dots(self, a: Value, i: Value, size: int, whole: Value, memory: Value) -> None:
        """Some rows: a register of sums for each of their elements, whose lanes are added in a fixed tree."""
        e, dtype, k = self.e, self.dtype, self.product.k
        left_of = self.product.left_of(a, [e.b.add(i, I64(r)) for r in range(size)])

        def step(at: Value, sums: list[Value], mask: Value | None = None) -> list[Value]:
            place = e.advance(memory, at, I64(COLUMNS * dtype.itemsize))
            right = [e.load(e.beside(place, t, dtype), dtype) for t in range(COLUMNS)]
            left = [e.load(address, dtype, mask) for address in left_of(at)]
            pairs = [(x, y) for x in left for y in right]
            return [e.multiply_add(x, y, s) for (x, y), s in zip(pairs, sums, strict=True)]

        def rest(at: Value, sums: list[Value]) -> list[Value]:
            return step(at, sums, e.mask(e.minus(k, at)))

        zeros = [e.constant(0, dtype)] * (COLUMNS * size)
        sums = e.reduce_loop(I64(0), whole, e.lanes, zeros, step)
        sums = e.reduce_loop(whole, k, e.lanes, sums, rest)
        rows = [_added(e, sums[r * COLUMNS : (r + 1) * COLUMNS]) for r in range(size)]
        self._finish(i, rows, None)

    def _finish(self, i: Value, rows: Sequence[Value], left: Value | None) -> None:
        """End and store some rows, each in a register of the columns alone; of them ``left``, where that is given.

        All leaves are read before anything is stored, as in wider blocks.
        """
        e, m = self.e, self.product
        with e.narrowed(COLUMNS):
            numbers = [e.b.add(i, I64(r)) for r in range(len(rows))]
            masks = [e.mask(self.count)] * len(rows)
            if left is not None:
                masks = [e.b.and_(mask, e.splat(e.b.icmp_signed(">", left, I64(r)))) for r, mask in enumerate(masks)]
            read = numbers if left is None else [self._inside(n, i, left) for n in numbers]
            ended = [m.end(x, n, self.j, 0, mask) for x, n, mask in zip(rows, read, masks, strict=True)]
            for number, values, mask in zip(numbers, ended, masks, strict=True):
                m.store(self.c, number, self.j, [values], [mask])

    def _inside(self, row: Value, first: Value, count: Value) -> Value:
        """The row, or the last one that there is: leaves that have one number for a row are read without a mask."""
        e = self.e
        return e.smaller(row, e.b.add(first, e.minus(count, I64(1))))


def _pick(e: Emitter, x: Value, y: Value, lanes: Sequence[int]) -> Value:
    """Lanes of two registers, those of the second one numbered after those of the first."""
    order = ir.Constant(ir.VectorType(I32, len(lanes)), [I32(lane) for lane in lanes])
    return e.b.shuffle_vector(x, y, order)


def joined(e: Emitter, x: Value, y: Value) -> Value:
    """Two registers as one of twice the lanes."""
    return _pick(e, x, y, range(2 * x.type.count))


def _columns(e: Emitter, rows: Sequence[Value]) -> list[Value]:
    """From four registers of four rows each, [row, column] in order: the four columns of all rows."""
    both = [[_pick(e, x, y, _every(2, part, 2 * _LANES)) for part in range(2)] for x, y in (rows[:2], rows[2:])]
    halves = list(zip(*both, strict=True))
    even, odd = ([_pick(e, x, y, _every(2, part, 2 * _LANES)) for part in range(2)] for x, y in halves)
    return [even[0], odd[0], even[1], odd[1]]


def _every(step: int, first: int, count: int) -> list[int]:
    return list(range(first, count, step))


def _by_rows(e: Emitter, columns: Sequence[Value]) -> list[Value]:
    """From a register for each of four columns: a register of four lanes for each row."""
    pairs = [_pick(e, x, y, _woven(_LANES)) for x, y in (columns[:2], columns[2:])]
    rows = []
    for part in range(2):
        low, high = (_pick(e, pair, pair, range(part * _LANES, (part + 1) * _LANES)) for pair in pairs)
        for r in range(_LANES // 2):
            rows.append(_pick(e, low, high, [2 * r, 2 * r + 1, _LANES + 2 * r, _LANES + 2 * r + 1]))
    return rows


def _woven(count: int) -> list[int]:
    """The lanes of two registers in turn."""
    return [lane for n in range(count) for lane in (n, count + n)]


def _added(e: Emitter, sums: Sequence[Value]) -> Value:
    """The sums of the lanes of four registers, side by side: halves are added to halves, until one lane is left."""
    width = _LANES // 2
    rows = list(sums)
    while len(rows) > 1:
        pairs = zip(rows[::2], rows[1::2], strict=True)
        rows = [_folded(e, x, y, width) for x, y in pairs]
        width //= 2
    (total,) = rows
    while width:
        total = e.b.fadd(total, _pick(e, total, total, [lane ^ width for lane in range(_LANES)]))
        width //= 2
    return _pick(e, total, total, range(0, _LANES, _LANES // COLUMNS))


def _folded(e: Emitter, x: Value, y: Value, width: int) -> Value:
    """Groups of ``2 width`` lanes of two registers, each added to ``width``: those of one, then the other's."""
    starts = range(0, 2 * _LANES, 2 * width)
    low = [start + lane for start in starts for lane in range(width)]
    high = [lane + width for lane in low]
    return e.b.fadd(_pick(e, x, y, low), _pick(e, x, y, high))
