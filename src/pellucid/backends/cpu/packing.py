"""A product's columns of the right operand, side by side in memory of the thread's own.

A block of a product reads a few registers of every row of its right operand. Where rows do not begin at a cache line
each register lies in two of them, and where they are long each row is on a page of its own; some processors take up to
twice the time of the arithmetic to read them. So the first block of rows stores what it reads, line behind line, where
the blocks of rows below find it. On other processors that pays only where many blocks follow. Where the right operand
lies column by column, its columns are turned into rows there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.transposing import transposed
from pellucid.dtypes import DType
from pellucid.plan.lifetime import aligned

#: Blocks of rows from which on it is worth while, at least two, as many as the tallest first block has; bytes of a
#: thread's memory at most, which its core's cache must hold.
BLOCKS, BYTES = 4, 1 << 19
# The same number on processors where it was found to be another one: they read a register that lies in two lines as
# soon as others, but have to make room in the first cache for what they store.
_BLOCKS_ON = {"znver5": 48}
# Rows that lie a multiple of so many bytes apart fall into so few sets of a cache that it cannot keep them.
_ONE_SET = 1 << 12
#: Elements from which on it is quicker to turn columns for each product than to copy them once.
LEAST_TURNED = 512
# Blocks of columns, and the inner size, from which on a left operand's columns are put side by side.
_BLOCKS_BESIDE, _LEAST_INNER = 4, 64
# How far below the rows of a block it asks for those of another one, in bytes.
_BELOW = 128


def least_blocks(apart: int) -> int:
    """How many blocks of rows a thread must have to put columns side by side, whose rows lie so many bytes apart."""
    return BLOCKS if apart % _ONE_SET == 0 else _BLOCKS_ON.get(target.processor().name, BLOCKS)


def bytes_beside(inner: int, columns: int, width: int, dtype: DType) -> int:
    """Bytes of memory for a thread's columns; 0 where the operand had better be read where it lies.

    Args:
        inner: The inner size.
        columns: Columns of the right operand.
        width: Columns that a block reads.
        dtype: The type of the elements.
    """
    needed = inner * width * dtype.itemsize
    return aligned(needed) if columns > width and needed <= BYTES else 0


def bytes_turned(inner: int, columns: int, width: int, lanes: int, dtype: DType) -> int:
    """Bytes of memory for columns that are turned into rows; 0 where they are too many for it.

    Args:
        inner: The inner size.
        columns: Columns of the right operand.
        width: Columns that a block reads.
        lanes: Elements of a register: as many are turned at once.
        dtype: The type of the elements.
    """
    rows, across = (-(-count // lanes) * lanes for count in (inner, min(columns, width)))
    needed = rows * across * dtype.itemsize
    return aligned(needed) if needed <= BYTES and dtype.kind == "f" else 0


def strips_are_worth_it(rows: int, inner: int, columns: int, width: int, dtype: DType) -> bool:
    """Whether a left operand whose rows lie side by side had better be put beside itself, as :class:`Strips` does.

    Args:
        rows: Rows of the left operand.
        inner: The inner size.
        columns: Columns of the right operand.
        width: Columns that a block reads.
        dtype: The type of the elements.
    """
    fits = rows * inner * dtype.itemsize <= BYTES
    return fits and columns >= _BLOCKS_BESIDE * width and inner >= _LEAST_INNER


class Panel:
    """The part of a product's kernel that decides where a block reads its columns.

    Record: from how many rows on a thread packs; the thread's own memory.
    """

    def __init__(self, e: Emitter, dtype: DType, turned: bool) -> None:
        self.e, self.dtype, self.turned = e, dtype, turned
        self.least, self.memory = e.field(), e.own_memory()
        self.packs: Value = None

    def decide(self, rows: tuple[Value, Value]) -> None:
        """Whether this thread packs, if these are its rows."""
        self.packs = self.e.b.icmp_signed(">=", self.e.minus(rows[1], rows[0]), self.least)

    def where(self, first: Value, address: Value, stride: Value, vectors: int) -> tuple[Value, Value]:
        """Where a block reads its columns, and the bytes from row to row.

        Args:
            first: Whether it is the first one of its columns.
            address: Where they begin in the right operand.
            stride: The bytes from row to row there.
            vectors: Registers of columns.
        """
        e, row = self.e, self._row(vectors)
        if self.turned:
            return self.memory, row
        packed = e.b.and_(self.packs, e.b.not_(first))
        return e.b.select(packed, self.memory, address), e.b.select(packed, row, stride)

    def keep(self, inner: Value, registers: Sequence[Value]) -> None:
        """Store what the first block has read."""
        e = self.e
        place = e.advance(self.memory, inner, self._row(len(registers)))
        for v, value in enumerate(registers):
            e.store(e.beside(place, v, self.dtype), value, self.dtype)

    def turn(self, address: Value, stride: Value, inner: Value, masks: Sequence[Value | None], count: Value) -> None:
        """Turn some columns into rows, squares of registers at a time; lanes outside the masks become 0.

        Args:
            address: Where the first column begins.
            stride: The bytes from column to column.
            inner: Their length.
            masks: A mask of the columns for each register of them.
            count: How many columns there are, which counts where there is a mask.
        """
        e, vectors = self.e, len(masks)
        whole = e.b.mul(e.b.sdiv(inner, I64(e.lanes)), I64(e.lanes))

        def square(k: Value, v: int, along: Value | None) -> None:
            first = e.advance(e.advance(address, I64(v * e.lanes), stride), k, I64(self.dtype.itemsize))
            columns = []
            for lane in range(e.lanes):
                mask = along
                if masks[v] is not None:
                    here = e.splat(e.b.icmp_signed(">", count, I64(v * e.lanes + lane)))
                    mask = here if along is None else e.b.and_(along, here)
                columns.append(e.load(e.advance(first, I64(lane), stride), self.dtype, mask))
            for lane, row in enumerate(transposed(e, columns)):
                place = e.advance(self.memory, e.b.add(k, I64(lane)), self._row(vectors))
                e.store(e.beside(place, v, self.dtype), row, self.dtype)

        for v in range(vectors):
            with e.loop(I64(0), whole, e.lanes) as k:
                square(k, v, None)
            with e.loop(whole, inner, e.lanes) as k:
                square(k, v, e.mask(e.minus(inner, k)))

    def _row(self, vectors: int) -> Value:
        """Bytes of a row of so many registers."""
        return I64(vectors * self.e.lanes * self.dtype.itemsize)


class Strips:
    """The part of a product's kernel that puts what its blocks of rows read of the left operand side by side.

    Where the rows of the left operand lie side by side, every step along the inner axis reads a few elements of another
    line, and often of another page. So the first columns' blocks store what they read, block behind block, where those
    of the following columns find it.

    Record: the thread's own memory.
    """

    def __init__(self, e: Emitter, dtype: DType, rows: int) -> None:
        self.e, self.dtype, self.rows = e, dtype, rows
        self.memory = e.own_memory()
        self.first = self.first_row = self.inner = I64(0)

    def begin(self, first_row: Value, first: Value, inner: Value) -> None:
        """This thread's rows begin at one, its columns at another number."""
        self.first_row, self.first, self.inner = first_row, first, inner

    def _place(self, row: Value) -> Value:
        e = self.e
        return e.advance(self.memory, e.minus(row, self.first_row), e.b.mul(self.inner, I64(self.dtype.itemsize)))

    def _groups(self, rows: int) -> list[tuple[int, int]]:
        """The first row of each group of rows whose elements lie side by side, and their number."""
        return [(first, min(rows, self.rows)) for first in range(0, rows, self.rows)]

    def left_of(self, i: Value, rows: int) -> Callable[[Value], list[Value]]:
        """What gives the addresses of the elements of a block's rows by their inner number."""
        e, item = self.e, self.dtype.itemsize
        starts = [(e.opaque(self._place(e.b.add(i, I64(first)))), count) for first, count in self._groups(rows)]

        def addresses(inner: Value) -> list[Value]:
            places = [(e.b.add(start, e.b.mul(inner, I64(count * item))), count) for start, count in starts]
            return [e.b.add(place, I64(r * item)) for place, count in places for r in range(count)]

        return addresses

    def keep(self, i: Value, inner: Value, addresses: Sequence[Value]) -> None:
        """Store the elements of a block's rows, and ask for those of some blocks below."""
        e, item = self.e, self.dtype.itemsize
        e.prefetch(e.b.add(addresses[0], I64(_BELOW)))
        for first, count in self._groups(len(addresses)):
            place = e.advance(self._place(e.b.add(i, I64(first))), inner, I64(count * item))
            with e.narrowed(count):
                e.store(place, e.load(addresses[first], self.dtype), self.dtype)
