"""The operands of a product on a matrix unit: where they lie, and the tiles of their parts.

Both are cut into blocks of 32 rows (of A) or columns (of B), and along the inner axis into steps of 32 numbers. A step
of a block is two tiles in three parts; they follow each other. It is split piece by piece, so that this can be done
between other things.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from pellucid.backends.cpu import split
from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH
from pellucid.backends.cpu.split import FOUR, HALF, INNER, PARTS
from pellucid.dtypes import float32, int64

if TYPE_CHECKING:
    from pellucid.backends.cpu.tile_product import TileProduct

#: Rows or columns of a block; bytes of a tile in all parts, and of a step of a block.
BLOCK, ALL_PARTS = 2 * ROWS, PARTS * TILE
STEP = 2 * ALL_PARTS
_ITEM = I64(float32.itemsize)

#: Splits one piece of a step, by its number.
Pieces = Callable[[Value], None]


class Operand(ABC):
    """One operand.

    Args:
        product: The kernel in the making.
        address: Where it begins.
        table: Memory for an address per number of the inner axis.
    """

    def __init__(self, product: TileProduct, address: Value, table: Value) -> None:
        self.product, self.e, self.address, self.table = product, product.e, address, table

    def begin(self, first: Value, stop: Value) -> None:
        """From here on steps are made of some numbers of the inner axis."""
        self.begins = first

    @abstractmethod
    def pieces(self, count: Value) -> Value:
        """How many pieces a step has of a block of so many rows or columns."""

    @abstractmethod
    def step(self, place: Value, first: Value, count: Value, k: Value) -> Pieces:
        """The pieces of a step of a block.

        Args:
            place: Where its tiles lie.
            first: The number of the block's first row or column.
            count: How many there are from it on.
            k: The first number of the inner axis.
        """

    def left(self, k: Value) -> Value:
        """How many numbers the inner axis has from one on."""
        return self.e.minus(self.product.k, k)

    def is_whole(self, k: Value) -> Value:
        """Whether the inner axis has all numbers of a step that begins with one."""
        return self.e.b.icmp_signed(">=", self.left(k), I64(INNER))


class RowsSideBySide(Operand):
    """A whose rows are dense: a piece is a row."""

    def pieces(self, count: Value) -> Value:
        """As many as rows."""
        return self.e.smaller(count, I64(BLOCK))

    def step(self, place: Value, first: Value, count: Value, k: Value) -> Pieces:
        """Two registers of a row each."""
        e = self.e
        masks = [e.mask(e.minus(self.left(k), I64(half * HALF))) for half in range(2)]
        start = e.advance(self.address, k, _ITEM)
        whole = self.is_whole(k)

        def split_row(row: Value) -> None:
            here = self.product.left_row(start, e.b.add(first, row))
            places = [e.beside(here, half, float32) for half in range(2)]
            low, high = e.either(
                whole,
                lambda: [e.load(at, float32) for at in places],
                lambda: [e.load(at, float32, mask) for at, mask in zip(places, masks, strict=True)],
            )
            split.keep(e, _place(e, place, row), low, high)

        return split_row


class RowsAcross(Operand):
    """A whose columns are dense: a piece are four rows."""

    def begin(self, first: Value, stop: Value) -> None:
        """Their addresses are put into a table."""
        super().begin(first, stop)
        e = self.e
        with e.loop(first, stop) as k:
            e.store_scalar(
                e.advance(self.table, e.minus(k, first), I64(8)), self.product.left_inner(self.address, k), int64
            )

    def pieces(self, count: Value) -> Value:
        """As many as groups of four rows."""
        return self.e.smaller(self.e.ceiling(count, FOUR), I64(BLOCK // FOUR))

    def step(self, place: Value, first: Value, count: Value, k: Value) -> Pieces:
        """Four rows for each number of the inner axis, transposed."""
        e, whole = self.e, self.is_whole(k)
        lines = e.advance(self.table, e.minus(k, self.begins), I64(8))

        def split_rows(piece: Value) -> None:
            row = e.b.mul(piece, I64(FOUR))
            offset, into = e.b.mul(e.b.add(first, row), _ITEM), _place(e, place, row)

            def line(half: int, n: int) -> Value:
                start = e.load_scalar(e.b.add(lines, I64(8 * (half * HALF + n))), int64)
                with e.narrowed(FOUR):
                    return e.load(e.b.add(start, offset), float32)

            inside = e.b.icmp_signed("<=", e.b.add(row, I64(FOUR)), count)

            def edge(half: int, n: Value) -> Value:
                places = e.load(e.b.add(lines, I64(8 * half * HALF)), int64)
                mask = e.mask(e.minus(self.left(k), I64(half * HALF)))
                return e.gather_at(e.b.add(places, e.splat(e.advance(offset, n, _ITEM))), float32, mask)

            _turn(e, e.b.and_(whole, inside), into, line, edge, e.smaller(I64(FOUR), e.minus(count, row)))

        return split_rows


class ColumnsAcross(Operand):
    """B whose rows are dense: a piece is a pair of rows, in two registers of columns."""

    def pieces(self, count: Value) -> Value:
        """As many as pairs."""
        return I64(HALF)

    def step(self, place: Value, first: Value, count: Value, k: Value) -> Pieces:
        """Two rows of two registers each; numbers behind the last one are read from a row of zeros."""
        e, stride, left = self.e, self.product.b_row, self.left(k)
        inside = [e.mask(e.minus(count, I64(v * ROWS))) for v in range(2)]
        start = e.advance(e.advance(self.address, k, stride), first, _ITEM)
        second, far = e.b.icmp_signed(">", count, I64(ROWS)), e.b.mul(stride, I64(HALF))
        full = e.b.and_(self.is_whole(k), e.b.icmp_signed(">=", count, I64(BLOCK)))

        def split_pair(n: Value) -> None:
            low, into = e.advance(start, n, stride), e.advance(place, n, I64(WIDTH))

            def half(rows: list[Value], v: int, mask: Value | None) -> None:
                pair = [e.load(e.beside(row, v, float32), float32, mask) for row in rows]
                split.keep(e, e.b.add(into, I64(v * ALL_PARTS)), *pair)

            rows = [low, e.b.add(low, far)]
            with e.b.if_else(full) as (then, otherwise):
                with then:
                    for v in range(2):
                        half(rows, v, None)
                with otherwise:
                    for number, row in enumerate(rows):
                        there = e.b.icmp_signed("<", e.b.add(n, I64(number * HALF)), left)
                        rows[number] = e.b.select(there, row, self.product.zeros)
                    half(rows, 0, inside[0])
                    with e.b.if_then(second):
                        half(rows, 1, inside[1])

        return split_pair


class ColumnsSideBySide(Operand):
    """B whose columns are dense: a piece are four pairs of rows of one tile."""

    def pieces(self, count: Value) -> Value:
        """As many as groups of four rows of all tiles."""
        return self.e.b.mul(self.e.smaller(self.e.ceiling(count, ROWS), I64(2)), I64(ROWS // FOUR))

    def step(self, place: Value, first: Value, count: Value, k: Value) -> Pieces:
        """Four numbers of each column, transposed."""
        e, stride, whole = self.e, self.product.b_row, self.is_whole(k)
        start = e.advance(e.advance(self.address, first, stride), k, _ITEM)

        def split_rows(piece: Value) -> None:
            tile = e.b.sdiv(piece, I64(ROWS // FOUR))
            column, at = e.b.mul(tile, I64(ROWS)), e.b.mul(e.b.srem(piece, I64(ROWS // FOUR)), I64(FOUR))
            own, into = e.advance(e.advance(start, column, stride), at, _ITEM), _place(e, place, e.b.add(column, at))
            left = e.minus(count, column)

            def line(half: int, n: int) -> Value:
                with e.narrowed(FOUR):
                    return e.load(e.b.add(e.advance(own, I64(n), stride), I64(half * HALF * float32.itemsize)), float32)

            inside = e.b.icmp_signed("<=", I64(ROWS), left)

            def edge(half: int, n: Value) -> Value:
                number = e.b.add(e.b.add(at, n), I64(half * HALF))
                mask = e.b.and_(e.mask(left), e.splat(e.b.icmp_signed("<", number, self.left(k))))
                here = e.b.add(e.advance(own, n, _ITEM), I64(half * HALF * float32.itemsize))
                return e.gather(here, stride, float32, mask)

            _turn(e, e.b.and_(whole, inside), into, line, edge, I64(FOUR))

        return split_rows


def _turn(
    e: Emitter,
    whole: Value,
    into: Value,
    line: Callable[[int, int], Value],
    edge: Callable[[int, Value], Value],
    rows: Value,
) -> None:
    """Split four rows of tiles from lines that lie across them; at the edges some rows one by one, gathered.

    Args:
        e: The kernel in the making.
        whole: Whether all that the lines hold is there.
        into: Where the first of the rows begins.
        line: Reads four numbers of a line of the first or second half of the step, by the half and its number.
        edge: Gathers a row of a half, by the half and the row's number.
        rows: How many rows there are at an edge.
    """
    with e.b.if_else(whole) as (then, otherwise):
        with then:
            split.transposed_pairs(e, into, line)
        with otherwise, e.loop(I64(0), rows) as n:
            split.keep(e, e.advance(into, n, I64(WIDTH)), edge(0, n), edge(1, n))


def _place(e: Emitter, tiles: Value, row: Value) -> Value:
    """Where a row of two tiles lies, by its number in both."""
    return e.advance(e.advance(tiles, row, I64(WIDTH)), e.b.sdiv(row, I64(ROWS)), I64(ALL_PARTS - ROWS * WIDTH))
