"""Convolutions of images whose samples lie side by side, [H, W, C, N], on a matrix unit.

:mod:`~pellucid.backends.cpu.tile_windows` says how. A thread splits rows of the image into parts as lines in memory of
its own, and reads tiles from there: the windows of neighbouring positions overlap, so that each number is split once.
Four blocks of results are computed at once with the same weights. They go through memory, and their ending is computed
while the unit is at the next ones. Results that are not finite are summed once more by vectors.
"""

# H x W image, O x P output, K taps along H, R taps along W times channels in, D channels out.

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from llvmlite import ir

from pellucid.backends.cpu import batch_last
from pellucid.backends.cpu.conv_pool import PoolForm, Stored
from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.emit import I64, Value
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH, MatrixUnit
from pellucid.backends.cpu.split import ORDER, PRODUCTS
from pellucid.backends.cpu.tile_lines import Item, Lines, Splitting, Weights
from pellucid.backends.cpu.tile_windows import BLOCKS, SUMS, Windows
from pellucid.backends.cpu.windows import Winners, pieces
from pellucid.dtypes import float32

# The tiles of the weights' parts and that of lines.
_WEIGHTS, _LINES = (4, 5, 6), 7
# Sums at once by which a block is looked through for what is not finite.
_CHAINS = 4


@dataclass(frozen=True)
class TileForm:
    """What a kernel is made for.

    Attributes:
        windows: The steps.
        ending: What becomes of the sums.
        motions: How each leaf of the ending moves along the samples: ``"stays"`` or ``"next"``.
        exact: Whether nothing may be read behind the image.
        pooling: The max pooling that follows, in windows of 2 x 2; None: none.
        blocks: How many blocks of columns are computed at once, largest first; with pooling half of these.
    """

    windows: Windows
    ending: Ending | None
    motions: tuple[str, ...]
    exact: bool
    pooling: PoolForm | None
    blocks: tuple[int, ...]

    @property
    def down(self) -> int:
        """How many blocks below each other are computed at once."""
        return 2 // self.windows.high if self.pooling else 1


class TileConvolution(batch_last.Forward):
    """The kernel in the making.

    Record: that of :class:`~pellucid.backends.cpu.batch_last.Forward`, or :class:`~.conv_pool.Stored`'s behind it where
    there is pooling (then O and P are those of the pooled image); then the address of the weights' table, pixels of a
    row of lines, how many images are gone through side by side, and the thread's own memory.
    """

    def __init__(self, form: TileForm) -> None:
        super().__init__(float32, form.ending, form.motions, form.exact)
        e, self.form, self.windows = self.e, form, form.windows
        self.stored = Stored(e, form.pooling, self.result, 3) if form.pooling else None
        self.places, self.slots, self.images, own = e.field(), e.field(), e.field(), e.own_memory()
        self.unit = MatrixUnit(e)
        windows = self.windows
        self.weights = Weights(e, windows, own)
        self.sums = e.b.add(own, I64(windows.weights))
        self.lines = Lines(self, self.images, e.b.add(self.sums, I64(2 * SUMS)))
        #: Of the blocks whose ending is still to come: first sample, row, column, block of channels, how many blocks
        #: (or windows) there are, how many of them are done, and where they lie.
        self.pending = [e.b.alloca(I64) for _ in range(7)]
        self.turn, self.split_pixels = e.b.alloca(I64), e.b.alloca(I64)
        #: Rows of results, and columns, without those that no window of a pooling has; rows of an item.
        self.rows = e.b.mul(self.out_height, I64(2)) if self.stored else self.out_height
        self.columns = e.b.mul(self.out_width, I64(2)) if self.stored else self.out_width
        self.high = I64(form.down * windows.high)
        self.row_blocks = e.ceiling(self.rows, self.high)
        #: Blocks of columns, or windows of these.
        self.column_blocks = e.ceiling(self.columns, self._columns_of(1))

    def _columns_of(self, count: int) -> int:
        """Output columns of so many blocks that are computed at once."""
        return count * (2 if self.stored else self.windows.wide)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        for place in (*self.pending, self.turn):
            e.b.store(I64(0), place)
        self._configure()
        self.weights.prepare(self.places, self.w)
        self.lines.clear()
        # Threads share the rows of images side by side, as they do where such images are made.
        own = e.my_share(e.b.mul(self.images, self.row_blocks))
        turns = e.b.sdiv(e.ceiling(self.batch, ROWS), self.images)
        count = e.b.mul(e.minus(*own[::-1]), turns)
        first = self._item(I64(0), own)
        Splitting(self.lines, first, e.b.icmp_signed("<", I64(0), count), I64(1), first).finish()
        with e.loop(I64(0), count) as number:
            following = e.b.add(number, I64(1))
            wanted = e.b.icmp_signed("<", following, count)
            self._compute(self._item(number, own), self._item(following, own), wanted)
        self._end_pending(I64(BLOCKS))
        self.unit.release()
        return e.finish()

    def _configure(self) -> None:
        """The tiles have as many rows as there are results, and as many numbers as there are lines."""
        windows = self.windows
        sums, weights = (windows.results, WIDTH), (windows.results, 4 * windows.deep)
        self.unit.configure([sums] * BLOCKS + [weights] * len(_WEIGHTS) + [(windows.deep, WIDTH)])

    def _item(self, number: Value, own: tuple[Value, Value]) -> Item:
        """The number-th row of blocks of this thread's share: images side by side, row by row, then the next ones."""
        e, b = self.e, self.e.b
        in_turn = e.larger(e.minus(*own[::-1]), I64(1))
        turn, rest = b.sdiv(number, in_turn), b.add(own[0], b.srem(number, in_turn))
        row, image = b.mul(b.sdiv(rest, self.images), self.high), b.srem(rest, self.images)
        start = b.mul(b.add(b.mul(turn, self.images), image), I64(ROWS))
        return Item(image, turn, start, row, b.sub(row, self.before_h))

    def _compute(self, item: Item, following: Item, wanted: Value) -> None:
        """A row of blocks; meanwhile what the following one needs is split."""
        e, windows = self.e, self.windows
        groups = self.lines.groups_inside(item.top)
        steps = e.b.mul(e.minus(*groups[::-1]), I64(windows.tiles))
        at_once = e.ceiling(self.column_blocks, self.form.blocks[0])
        pauses = e.b.mul(e.b.mul(at_once, steps), I64(windows.out_blocks * windows.pauses))
        splitting = Splitting(self.lines, following, wanted, pauses, item)
        with e.loop(I64(0), I64(windows.out_blocks)) as outs:
            pieces(
                e, I64(0), self.column_blocks, self.form.blocks,
                lambda first, count: self._blocks(
                    item, (e.b.mul(first, I64(self._columns_of(1))), outs), (groups, steps), count, splitting,
),
            )  # fmt: skip
        splitting.finish()

    def _blocks(
        self,
        item: Item,
        corner: tuple[Value, Value],
        extent: tuple[tuple[Value, Value], Value],
        count: int,
        splitting: Splitting,
    ) -> None:
        """Some blocks of results at once; meanwhile those before are ended."""
        e, windows, (column, outs), (groups, steps) = self.e, self.windows, corner, extent
        below, beside = self.form.down, self._columns_of(count) // windows.wide
        columns = self.lines.windows_at(item, [e.b.add(column, I64(j * windows.wide)) for j in range(beside)])
        for number in range(below * beside):
            self.unit.zero(number)
        share = e.ceiling(e.b.load(self.pending[4], typ=I64), e.b.mul(steps, I64(windows.pauses)))
        weights = self.weights.of_block(self.lines.rotation(item), outs)

        def pause() -> None:
            self._end_pending(share)
            splitting.some()

        with e.loop(*groups) as group:
            rows = [self.lines.row_at(item, i, group) for i in range(below)]
            with e.loop(I64(0), I64(windows.tiles)) as tile:
                here, moved = self.weights.step(weights, group, tile), e.b.mul(tile, I64(windows.deep * WIDTH))
                for part, register in enumerate(_WEIGHTS):
                    self.unit.load(register, e.b.add(here, I64(part * TILE)))
                inside = [self.lines.touches(e.b.add(column, I64(j * windows.wide)), tile) for j in range(beside)]
                places = [e.b.add(e.b.add(first, row), moved) for row in rows for first in columns]
                self._multiply(places, inside * below, pause)
        turn = e.b.xor(e.b.load(self.turn, typ=I64), I64(1))
        e.b.store(turn, self.turn)
        sums = e.advance(self.sums, turn, I64(SUMS))
        for number in range(below * beside):
            self.unit.store(number, e.b.add(sums, I64(number * TILE)))
        cells = I64(count if self.stored else below * beside)
        for value, memory in zip((item.start, item.row, column, outs, cells, I64(0), sums), self.pending, strict=True):
            e.b.store(value, memory)

    def _multiply(self, places: list[Value], inside: list[Value | None], pause: Callable[[], None]) -> None:
        """The products of a step, where it is not in the border; other things are done at a few places between them."""
        e, unit, pauses = self.e, self.unit, self.windows.pauses
        done, paused = 0, 0
        for part, weights in ORDER:
            distance = e.b.mul(self.lines.part, I64(part))
            for block, (place, touches) in enumerate(zip(places, inside, strict=True)):
                with nullcontext() if touches is None else e.b.if_then(touches):
                    unit.load(_LINES, e.b.add(place, distance))
                    for other in weights:
                        unit.multiply_add(block, _WEIGHTS[other], _LINES)
                done += len(weights)
                while paused < pauses and done * (pauses + 1) >= (paused + 1) * len(PRODUCTS) * len(places):
                    pause()
                    paused += 1

    # Endings.

    def _end_pending(self, share: Value) -> None:
        """The ending of some of the blocks before."""
        e = self.e
        start, row, column, outs, count, done, sums = (e.b.load(place, typ=I64) for place in self.pending)
        stop = e.smaller(e.b.add(done, share), count)
        with e.b.if_then(e.b.icmp_signed("<", done, stop)):
            first = e.b.mul(outs, I64(self.windows.own_outs))
            last = e.smaller(e.minus(self.outs, first), I64(self.windows.own_outs))
            mask = e.mask(e.minus(self.batch, start))
            end = self._end_window if self.stored else self._end_block
            with e.loop(done, stop) as cell:
                corner = start, row, e.advance(column, cell, I64(self._columns_of(1)))
                end(corner, self._tiles(cell, count, sums), (first, last), mask)
            e.b.store(stop, self.pending[5])

    def _tiles(self, cell: Value, count: Value, sums: Value) -> list[list[Value]]:
        """Where the blocks lie that are ended together, by row and column of blocks."""
        e, beside = self.e, self._columns_of(1) // self.windows.wide
        first = e.advance(sums, e.b.mul(cell, I64(beside)), I64(TILE))
        line = e.b.mul(e.b.mul(count, I64(beside)), I64(TILE))
        return [
            [e.b.add(e.advance(first, line, I64(i)), I64(j * TILE)) for j in range(beside)]
            for i in range(self.form.down)
        ]

    def _end_block(
        self, corner: tuple[Value, Value, Value], tiles: list[list[Value]], outs: tuple[Value, Value], mask: Value
    ) -> None:
        """The results of one block."""
        e, windows, (start, row, column), ((tile,),) = self.e, self.windows, corner, tiles
        self._mend(corner, tile, outs, mask)
        for i, j in itertools.product(range(windows.high), range(windows.wide)):
            place = e.b.add(row, I64(i)), e.b.add(column, I64(j))
            low, right = (
                e.b.icmp_signed("<", n, size) for n, size in zip(place, (self.rows, self.columns), strict=True)
            )
            here = e.b.add(tile, I64((i * windows.wide + j) * windows.own_outs * WIDTH))
            target = self.at(self.out, self.out_strides, (*place, outs[0]))
            target = e.advance(target, start, I64(self.result.itemsize))
            with e.b.if_then(e.b.and_(low, right)), e.loop(I64(0), outs[1]) as d:
                value = e.load(e.advance(here, d, I64(WIDTH)), float32)
                value = self.end(value, (*place, e.b.add(outs[0], d)), start, 0, mask)
                e.store(e.advance(target, d, self.out_strides[2]), value, self.result, mask)

    def _end_window(
        self, corner: tuple[Value, Value, Value], tiles: list[list[Value]], outs: tuple[Value, Value], mask: Value
    ) -> None:
        """The largest results of one window of 2 x 2."""
        e, windows, (start, row, column), stored = self.e, self.windows, corner, self.stored
        assert stored is not None
        for i, line in enumerate(tiles):
            for j, tile in enumerate(line):
                place = e.b.add(row, I64(i * windows.high)), e.b.add(column, I64(j * windows.wide))
                self._mend((start, *place), tile, outs, mask)
        pooled = e.b.sdiv(row, I64(2)), e.b.sdiv(column, I64(2))
        with e.loop(I64(0), outs[1]) as d:
            channel = e.b.add(outs[0], d)
            winners = Winners(e, self.result, [stored.number(row, column)], placed=stored.pooling.placed)
            carried = winners.start
            for i, j in itertools.product(range(2), range(2)):
                (below, own_row), (right, own_column) = divmod(i, windows.high), divmod(j, windows.wide)
                m = (own_row * windows.wide + own_column) * windows.own_outs
                here = e.advance(e.b.add(tiles[below][right], I64(m * WIDTH)), d, I64(WIDTH))
                place = e.b.add(row, I64(i)), e.b.add(column, I64(j))
                value = self.end(e.load(here, float32), (*place, channel), start, 0, mask)
                carried = winners.look(carried, 0, value, stored.number(*place))
            (won,) = winners.results(carried)
            target = self.at(self.out, self.out_strides, (*pooled, channel))
            stored.store(target, [*pooled, channel], start, won, mask)

    def _mend(self, corner: tuple[Value, Value, Value], tile: Value, outs: tuple[Value, Value], mask: Value) -> None:
        """Sum the results of a block once more that are not finite."""
        e, windows, (start, row, column) = self.e, self.windows, corner
        zero = e.constant(0, float32)
        totals = [zero] * _CHAINS
        for number in range(windows.results):
            value = e.load(e.b.add(tile, I64(number * WIDTH)), float32)
            totals[number % _CHAINS] = e.multiply_add(value, zero, totals[number % _CHAINS])
        while len(totals) > 1:
            totals = [e.b.fadd(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
        lanes = ir.IntType(e.lanes)
        wrong: Value = e.b.bitcast(e.b.fcmp_unordered("uno", totals[0], totals[0]), lanes)
        with e.b.if_then(e.b.icmp_unsigned("!=", wrong, lanes(0)), likely=False):
            sizes = I64(windows.high), I64(windows.wide)
            with e.loop(I64(0), sizes[0]) as i, e.loop(I64(0), sizes[1]) as j, e.loop(I64(0), outs[1]) as d:
                number = e.advance(d, e.advance(j, i, sizes[1]), I64(windows.own_outs))
                here = e.advance(tile, number, I64(WIDTH))
                value = e.load(here, float32)
                place = e.opaque(e.b.add(row, i)), e.opaque(e.b.add(column, j))
                taps_h = self.inside(place[0], self.step_h, self.before_h, self.gap_h, self.height, self.taps_h)
                taps_w = self.inside(place[1], self.step_w, self.before_w, I64(1), self.width, self.taps_w)
                (anew,) = self.sums_of(e.b.add(outs[0], d), (taps_h, taps_w), start, [mask], 1)
                e.store(here, e.b.select(self.unit.not_finite(value), anew, value), float32)


def tile_convolution_kernel(form: TileForm) -> int:
    """The address of the convolution of batch-last images on a matrix unit; see :class:`TileConvolution`."""
    return TileConvolution(form).write()
