"""The register block of a matrix product: sums of some rows by some registers of columns, all along the inner axis.

While it multiplies it asks for what blocks below and columns to the right will read, where that may lie in no cache
near by: memory takes as long as hundreds of multiply-adds, and no processor foresees rows that lie far apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.alignment import ALIGNMENT
from pellucid.backends.cpu.emit import I64, Emitter, Value

if TYPE_CHECKING:
    from pellucid.backends.cpu.matmul import Product

Masks = Sequence[Value | None]
Addresses = Callable[[Value], list[Value]]

# Steps of the inner loop that are written out one after the other in the blocks that most of the time goes into.
_TOGETHER = 2
# How many blocks below this one it asks for what their ending reads and replaces.
_BELOW = 2
# Blocks of rows that a core was seen to read ahead.
_READ_AHEAD = 3


@dataclass(frozen=True)
class Place:
    """Where a block lies in the result.

    Attributes:
        i: The number of its first row.
        j: The number of its first column.
        rows: How many rows it has.
        masks: The mask of each of its registers of columns.
        share: The row that the thread begins with, and the one behind its last; none where there is one row in all.
        stop: The number behind the thread's last column.
    """

    i: Value
    j: Value
    rows: int
    masks: Masks
    share: tuple[Value, Value] | None = None
    stop: Value = None


class Block:
    """One block in the making.

    Args:
        product: The kernel that it is a part of.
        operands: Addresses of A, of the block's columns of B, and of C.
        place: Where it lies.
    """

    def __init__(self, product: Product, operands: tuple[Value, Value, Value], place: Place) -> None:
        self.product, self.e, self.place = product, product.e, place
        self.a, self.b, self.c = operands
        e, panel = self.e, product.panel if place.share is not None else None
        self.panel, self.vectors, self.tall = panel, len(place.masks), place.rows == product.tallest(place.masks)
        self.row_numbers = [e.b.add(place.i, I64(r)) for r in range(place.rows)]
        self.first = e.b.icmp_signed("==", place.i, place.share[0]) if place.share is not None else None
        self.right, self.right_row = self.b, product.b_row
        if panel is not None:
            self.right, self.right_row = panel.where(self.first, self.b, product.b_row, self.vectors)

    def write(self) -> None:
        """K fused multiply-adds for each row and register, then the ending."""
        e, strips = self.e, self.product.strips
        direct = self.product.left_of(self.a, self.row_numbers)
        if strips is None:
            self._end(self._sums(direct))
            return
        filling = e.b.icmp_signed("==", self.place.j, strips.first)
        there = strips.left_of(self.place.i, self.place.rows)
        self._end(e.either(filling, lambda: self._sums(direct, filling=True), lambda: self._sums(there)))

    def _sums(self, left_of: Addresses, filling: bool = False) -> list[Value]:
        """The sums, with the left operand's elements from somewhere; filling, they are put into the strips."""
        e, m, panel, place = self.e, self.product, self.panel, self.place
        zeros = [e.constant(0, m.dtype)] * (place.rows * self.vectors)

        def loop(together: int, *asking: Callable[[Value], None], keep: bool = False) -> list[Value]:
            step = lambda inner, sums: self._step(left_of, inner, sums, filling, keep)  # noqa: E731
            before = m.asking_for_next(self.a, place.i, place.rows, together)
            return m.inner_loop(zeros, step, together, asking, before)

        if not self.tall:
            return loop(1)
        asking = [self._ask_for_leaves] if m.strips is not None else []
        if panel is None or panel.turned:
            return loop(_TOGETHER, *asking)
        first = e.b.and_(panel.packs, self.first)
        if m.large:
            asking.append(self._ask_for_columns)
        return e.either(first, lambda: loop(1, keep=True), lambda: loop(_TOGETHER, *asking))

    def _step(self, left_of: Addresses, inner: Value, sums: list[Value], filling: bool, keep: bool) -> list[Value]:
        """One step along the inner axis."""
        e, dtype, panel, strips = self.e, self.product.dtype, self.panel, self.product.strips
        row = e.advance(self.right, inner, self.right_row)
        whole = panel is not None and panel.turned  # whatever lies outside the masks there
        masks = [None] * self.vectors if whole else self.place.masks
        right = [e.load(e.beside(row, v, dtype), dtype, mask) for v, mask in enumerate(masks)]
        if keep and panel is not None:
            panel.keep(inner, right)
        addresses = left_of(inner)
        if filling and strips is not None:
            strips.keep(self.place.i, inner, addresses)
        left = [e.splat(e.load_scalar(address, dtype)) for address in addresses]
        pairs = [(x, y) for x in left for y in right]
        return [e.multiply_add(x, y, total) for (x, y), total in zip(pairs, sums, strict=True)]

    def _ask_for_columns(self, start: Value) -> None:
        """Ask for a part of the columns to the right, so that all blocks but the first ask for all of them."""
        e, m, place, item = self.e, self.product, self.place, self.product.dtype.itemsize
        assert place.share is not None
        assert self.panel is not None
        (low, high), size, chunks = place.share, I64(place.rows), e.ceiling(m.k, m.chunk)
        blocks = e.larger(e.minus(e.b.sdiv(e.minus(high, low), size), I64(1)), I64(1))
        count = e.ceiling(m.k, e.b.mul(blocks, chunks))
        before = e.b.mul(e.minus(e.b.sdiv(e.minus(place.i, low), size), I64(1)), chunks)
        row = e.b.mul(e.b.add(before, e.b.sdiv(start, I64(m.chunk))), count)
        asks = e.b.and_(self.panel.packs, e.b.not_(self.first))
        width = self.vectors * e.lanes * item
        last = e.b.mul(e.minus(e.minus(place.stop, place.j), I64(1)), I64(item))
        offsets = [e.smaller(I64(width + offset), last) for offset in _lines(width, item)]
        with e.b.if_then(asks), e.loop(row, e.smaller(e.b.add(row, count), m.k)) as n:
            for offset in offsets:
                e.prefetch(e.b.add(e.advance(self.b, n, m.b_row), offset))

    def _ask_for_leaves(self, start: Value) -> None:
        """Ask for a part of what the ending of a block further down will read, and mostly replace."""
        e, m, rows = self.e, self.product, self.place.rows
        count = e.ceiling(I64(rows * m.chunk), m.k)
        below = e.b.add(self.place.i, e.b.add(I64(_BELOW * rows), e.b.mul(e.b.sdiv(start, I64(m.chunk)), count)))
        last = e.minus(m.m, I64(1))
        with e.loop(I64(0), count) as n:
            row = e.smaller(e.b.add(below, n), last)
            for address, stride, item in _moving(m):
                here = e.advance(e.advance(address, row, stride), self.place.j, I64(item))
                for offset in _lines(self.vectors * e.lanes * item, item):
                    e.prefetch(e.b.add(here, I64(offset)), write=True)

    def _end(self, sums: list[Value]) -> None:
        """The ending of the sums, and where it goes.

        All leaves are read before anything is stored: rows that overlap in a register would wait for each other. Where
        an ending gives several results, registers do not suffice for that.
        """
        m, j, masks = self.product, self.place.j, self.place.masks
        at_once = 1 if m.kept else self.place.rows
        for top in range(0, self.place.rows, at_once):
            own = range(top, top + at_once)
            ended = [
                [m.end(sums[r * self.vectors + v], self.row_numbers[r], j, v, mask) for v, mask in enumerate(masks)]
                for r in own
            ]
            for r, values in zip(own, ended, strict=True):
                m.store(self.c, self.row_numbers[r], j, values, masks)


def begins_at_its_end(e: Emitter) -> Value:
    """Whether this thread goes through blocks of rows from the last one to the first: the first thread, the third, ...

    A core that goes on through rows asks for some more behind them. Those are the next thread's, which it may have just
    replaced; to get one line back takes a hundred nanoseconds, half a microsecond from another socket. So two threads
    begin where their rows meet, and go away from each other.
    """
    even = e.b.icmp_signed("==", e.b.and_(e.thread, I64(1)), I64(0))
    return e.b.and_(even, e.b.icmp_signed(">", e.threads, I64(1)))


def take_back(product: Product, rows: tuple[Value, Value]) -> None:
    """Ask for the first rows that the ending replaces, in all threads but the first one.

    A core that works on the rows above reads ahead beyond them. Taken back when their turn comes, they would be waited
    for one after the other.
    """
    e, (low, high) = product.e, rows
    moving = _moving(product)
    if not moving:
        return
    stop = e.smaller(e.b.add(low, I64(_READ_AHEAD * product.rows)), high)
    with e.b.if_then(e.b.icmp_signed(">", e.thread, I64(0))), e.loop(low, stop) as row:
        for address, stride, item in moving:
            here = e.advance(address, row, stride)
            with e.loop(I64(0), e.b.mul(product.n, I64(item)), ALIGNMENT) as offset:
                e.prefetch(e.b.add(here, offset), write=True)


def _moving(product: Product) -> list[tuple[Value, Value, int]]:
    """Of what the ending reads along its rows: addresses, bytes from row to row, bytes of an element."""
    leaves = zip(product.leaves, product.leaf_types, product.motions, strict=True)
    return [(*leaf, kind.itemsize) for leaf, kind, motion in leaves if motion == "next"]


def _lines(width: int, item: int) -> list[int]:
    """Offsets of bytes that lie in all lines of some bytes, wherever these begin."""
    return [*range(0, width, ALIGNMENT), width - item]
