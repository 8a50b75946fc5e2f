"""The blocks of both operands of a product on a matrix unit: where their tiles lie, and which are split when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.split import INNER
from pellucid.backends.cpu.tile_operands import BLOCK, STEP, Operand, Pieces

if TYPE_CHECKING:
    from pellucid.backends.cpu.tile_product import TileProduct

# Places between a step's products where other things are done: a core looks a few hundred instructions ahead, so that
# what the unit waits for must not stand behind more of them.
_PAUSES = 4


def pauses(height: int, width: int) -> int:
    """Places between a step's products of so many rows and columns of tiles: fewer at the edges, for less code."""
    return max(1, _PAUSES * height * width // 4)


@dataclass(frozen=True)
class Chunk:
    """A part of the inner axis.

    Attributes:
        first: The number of its first step.
        steps: How many steps it has.
        begins: Whether it is the first part.
        ends: Whether it is the last one.
        alone: Whether it is both.
    """

    first: Value
    steps: Value
    begins: Value
    ends: Value
    alone: Value


class Following:
    """What is split of an operand while the products of a step are made.

    Args:
        e: The kernel in the making.
        pieces: Splits a piece.
        own: The number of the first piece, and the one behind the last.
        parts: In how many parts it is done.
    """

    def __init__(self, e: Emitter, pieces: Pieces, own: tuple[Value, Value], parts: int | Value) -> None:
        self.e, self.pieces, (self.low, self.high) = e, pieces, own
        self.share = e.ceiling(e.minus(*own[::-1]), parts)
        self.wanted = e.b.icmp_signed("<", *own)

    def split(self, part: int | Value) -> None:
        """One of a few parts of it."""
        e = self.e
        with e.b.if_then(self.wanted):
            low = e.advance(self.low, I64(part) if isinstance(part, int) else part, self.share)
            with e.loop(low, e.smaller(e.b.add(low, self.share), self.high)) as piece:
                self.pieces(piece)


class Stream:
    """The blocks of both operands, and where their tiles lie.

    Tiles are split one step ahead of the products that they belong to: the operand that streams with its first block of
    the other one, the kept operand with the first block of the former. Where blocks have a single step, the next one
    that streams is split part by part, meanwhile.

    Args:
        product: The kernel in the making.
        chunk: The part of the inner axis.
        operands: The operand that streams, and the kept one.
        ranges: Of each the first row or column, and the one behind the last.
    """

    def __init__(
        self,
        product: TileProduct,
        chunk: Chunk,
        operands: tuple[Operand, Operand],
        ranges: tuple[tuple[Value, Value], tuple[Value, Value]],
    ) -> None:
        self.product, self.e, self.chunk, self.operands, self.ranges = product, product.e, chunk, operands, ranges
        self.count = self.e.ceiling(self.e.minus(*ranges[1][::-1]), BLOCK)
        self.single = self.e.b.icmp_signed("==", self.count, I64(1))
        self.short = self.e.b.icmp_signed("==", chunk.steps, I64(1))
        self.first = self.e.b.mul(chunk.first, I64(INNER))
        for operand in operands:
            operand.begin(self.first, self.e.smaller(self.e.advance(self.first, chunk.steps, I64(INNER)), product.k))

    def numbers(self, corner: tuple[Value, Value]) -> tuple[Value, Value]:
        """The numbers of two blocks that begin at some row and column."""
        e = self.e
        outer, inner = (
            e.b.sdiv(e.minus(at, low), I64(BLOCK)) for at, (low, _) in zip(corner, self.ranges, strict=True)
        )
        return outer, inner

    def tiles(self, numbers: tuple[Value, Value], step: Value) -> tuple[Value, Value]:
        """Where the tiles of a step of two blocks lie.

        Of the operand that streams there are two blocks, or two steps, where it is read once.
        """
        e, product, (outer, inner) = self.e, self.product, numbers
        turn = e.b.and_(e.advance(step, outer, self.chunk.steps), I64(1))
        several = e.advance(e.b.mul(e.b.and_(outer, I64(1)), product.block_bytes), step, I64(STEP))
        streamed = e.b.add(product.streamed, e.b.select(self.single, e.b.mul(turn, I64(STEP)), several))
        return streamed, e.advance(e.advance(product.kept_tiles, inner, product.block_bytes), step, I64(STEP))

    def split_first(self) -> None:
        """The first step of the first blocks."""
        e, zero = self.e, I64(0)
        firsts = tuple(low for low, _ in self.ranges)
        counts = tuple(e.minus(high, low) for low, high in self.ranges)
        for operand, place, first, count in zip(
            self.operands, self.tiles((zero, zero), zero), firsts, counts, strict=True
        ):
            split_piece = operand.step(place, first, count, self.first)
            with e.loop(zero, operand.pieces(count)) as piece:
                split_piece(piece)

    def following(
        self, corner: tuple[Value, Value], numbers: tuple[Value, Value], step: Value, parts: int
    ) -> list[Following]:
        """What is split during a step of two blocks, in so many parts."""
        e, (outer, inner), (i, j), ((_, i_end), (j_start, j_end)) = self.e, numbers, corner, self.ranges
        one, zero = I64(1), I64(0)
        next_step = e.b.add(step, one)
        within = e.b.icmp_signed("<", next_step, self.chunk.steps)
        next_step = e.b.select(within, next_step, zero)
        right = e.b.select(within, j, e.b.add(j, I64(BLOCK)))
        below = e.b.and_(e.b.not_(within), e.b.icmp_signed(">=", right, j_end))
        right = e.b.select(below, j_start, right)
        down = e.b.select(e.b.or_(below, self.short), e.b.add(i, I64(BLOCK)), i)
        counts = e.minus(i_end, down), e.minus(j_end, right)
        wanted = [self.operands[n].pieces(count) for n, count in enumerate(counts)]
        new_outer = e.b.or_(self.short, e.b.icmp_signed("==", right, j_start))
        new_outer = e.b.and_(new_outer, e.b.icmp_signed(">", counts[0], zero))
        new_inner = e.b.and_(e.b.icmp_signed("==", outer, zero), e.b.not_(below))
        share = e.b.select(self.short, e.ceiling(wanted[0], self.count), wanted[0])
        low = e.b.select(self.short, e.b.mul(inner, share), zero)
        pieces = (
            (low, e.b.select(new_outer, e.smaller(e.b.add(low, share), wanted[0]), low)),
            (zero, e.b.select(new_inner, wanted[1], zero)),
        )
        next_numbers = self.numbers((down, right))
        places = self.tiles(next_numbers, next_step)
        k = e.b.mul(e.b.add(self.chunk.first, next_step), I64(INNER))
        return [
            Following(e, operand.step(place, first, count, k), own, parts)
            for operand, place, first, count, own in zip(
                self.operands, places, (down, right), counts, pieces, strict=True
            )
        ]
