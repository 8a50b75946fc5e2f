"""What a convolution on a matrix unit multiplies: lines of pairs of numbers of 16 samples, and weights, in parts.

See :mod:`~pellucid.backends.cpu.tile_windows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llvmlite import ir

from pellucid.backends.cpu import split
from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.matrix_unit import ROWS, WIDTH
from pellucid.backends.cpu.split import PARTS
from pellucid.backends.cpu.tile_windows import STEP, Windows
from pellucid.dtypes import float32, int32, int64

if TYPE_CHECKING:
    from pellucid.backends.cpu.tile_convolution import TileConvolution

_ITEM = I64(float32.itemsize)
# Bits of a number of a row, in what is noted of an image's lines.
_ROW_BITS = I64(32)


class Weights:
    """The tiles of the weights.

    Args:
        e: The kernel in the making.
        windows: The steps.
        memory: Where they lie.
    """

    def __init__(self, e: Emitter, windows: Windows, memory: Value) -> None:
        self.e, self.windows, self.memory = e, windows, memory

    def prepare(self, places: Value, w: Value) -> None:
        """Split them; ``places`` is where the table of the dense kernel ``w`` begins."""
        e, windows = self.e, self.windows
        wide = ir.VectorType(I64, e.lanes)
        steps = windows.rotations * windows.out_blocks * windows.steps
        with e.loop(I64(0), I64(steps)) as step, e.loop(I64(0), I64(windows.results)) as row:
            first = e.advance(e.advance(places, step, I64(ROWS * 2 * WIDTH)), row, I64(2 * WIDTH))
            halves = []
            for half in range(2):
                numbers = e.load(e.b.add(first, I64(half * WIDTH)), int32)
                known = e.b.icmp_signed(">=", numbers, e.constant(0, int32))
                moved = e.b.mul(e.b.sext(numbers, wide), e.splat(_ITEM))
                halves.append(e.gather_at(e.b.add(e.splat(w), moved), float32, known))
            split.keep(e, e.advance(e.advance(self.memory, step, I64(STEP)), row, I64(WIDTH)), *halves)

    def of_block(self, rotation: Value, outs: Value) -> Value:
        """Where those of a block of channels begin, for an order of the lines."""
        number = self.e.advance(outs, rotation, I64(self.windows.out_blocks))
        return self.e.advance(self.memory, number, I64(self.windows.steps * STEP))

    def step(self, first: Value, group: Value, tile: Value) -> Value:
        """Where those of a step begin."""
        return self.e.advance(first, self.e.advance(tile, group, I64(self.windows.tiles)), I64(STEP))


@dataclass(frozen=True)
class Item:
    """A row of blocks of 16 samples.

    Attributes:
        image: Which one it is of the images that a thread goes through side by side.
        turn: The number of these images among all that it goes through in turn.
        start: Its first sample.
        row: The first row of results.
        top: The row of the image where their window begins.
    """

    image: Value
    turn: Value
    start: Value
    row: Value
    top: Value


@dataclass(frozen=True)
class Row:
    """Where the numbers of a row of the image begin, and how far apart pixels and channels lie; zeros outside."""

    first: Value
    pixel: Value
    channel: Value


class Lines:
    """The lines of images of 16 samples: a ring of rows, or a strip with all rows that a row of results needs.

    Args:
        kernel: The kernel in the making.
        images: How many images there are side by side.
        memory: Where they lie, behind a line of zeros and a note for each image.
    """

    def __init__(self, kernel: TileConvolution, images: Value, memory: Value) -> None:
        self.kernel, self.e, self.windows, self.images = kernel, kernel.e, kernel.windows, images
        e, windows = self.e, self.windows
        self.zeros, self.notes = memory, e.b.add(memory, I64(WIDTH))
        self.memory = e.advance(self.notes, e.ceiling(e.b.mul(images, I64(8)), WIDTH), I64(WIDTH))
        #: Bytes of a pixel, of a part of a row, of a row, and of an image.
        self.pixel = I64(windows.lines * WIDTH)
        self.part = e.b.mul(e.b.add(e.b.mul(kernel.slots, I64(windows.lines)), I64(windows.spare)), I64(WIDTH))
        self.row = e.b.mul(self.part, I64(PARTS))
        self.ring = windows.ring(kernel.form.down)
        self.image = e.b.mul(self.row, I64(self.ring))
        #: Rows of a block, with those of the blocks below it.
        self.rows = windows.rows + (kernel.form.down - 1) * windows.high

    def clear(self) -> None:
        """Write zeros where no pixels come; nothing is known of any image."""
        e, kernel, zero = self.e, self.kernel, self.e.constant(0, float32)
        e.store(self.zeros, zero, float32)
        with e.loop(I64(0), self.images) as image:
            e.store_scalar(e.advance(self.notes, image, I64(8)), I64(-1), int64)
        left = e.b.mul(kernel.before_w, self.pixel)
        right = e.b.add(left, e.b.mul(kernel.width, self.pixel))
        with e.loop(I64(0), e.b.mul(self.images, I64(self.ring * PARTS))) as part:
            first = e.advance(self.memory, part, self.part)
            for low, high in ((I64(0), left), (right, self.part)):
                with e.loop(low, high, WIDTH) as place:
                    e.store(e.b.add(first, place), zero, float32)

    def groups_inside(self, top: Value) -> tuple[Value, Value]:
        """The first group of rows that a row of results needs, and the one behind the last: not those outside."""
        e, windows = self.e, self.windows
        if windows.together:
            return I64(0), I64(1)
        below = (self.kernel.form.down - 1) * windows.high
        first = e.larger(e.minus(I64(-below), top), I64(0))
        return first, e.smaller(e.minus(self.kernel.height, top), I64(windows.groups))

    def windows_at(self, item: Item, columns: list[Value]) -> list[Value]:
        """Where the lines of windows begin whose first pixels are at output columns, but for the row."""
        first = self.e.advance(self.memory, item.image, self.image)
        return [self.e.advance(first, column, self.pixel) for column in columns]

    def touches(self, column: Value, tile: Value) -> Value | None:
        """Whether a tile of a window at an output column has a pixel of the image; None: it is not asked."""
        e, windows, kernel = self.e, self.windows, self.kernel
        if not windows.skips:
            return None
        line = e.b.mul(tile, I64(windows.deep))
        low, high = (
            e.b.add(column, e.b.sdiv(e.b.add(line, I64(n)), I64(windows.lines))) for n in (0, windows.deep - 1)
        )
        after = e.b.icmp_signed(">=", high, kernel.before_w)
        return e.b.and_(after, e.b.icmp_signed("<", low, e.b.add(kernel.before_w, kernel.width)))

    def row_at(self, item: Item, below: int, group: Value) -> Value:
        """How far behind those of an image the lines of a block's group of rows lie, so many blocks below the first."""
        return self.e.b.mul(self._slot(self.e.b.add(item.top, I64(below * self.windows.high)), group), self.row)

    def _slot(self, top: Value, group: Value) -> Value:
        """Which row of the ring a row of the image is."""
        e = self.e
        if self.windows.together:
            return I64(0)
        return e.b.urem(e.b.add(e.b.add(top, self.kernel.before_h), group), I64(self.ring))

    def rotation(self, item: Item) -> Value:
        """In which order the lines of a pixel lie."""
        rows = self.e.b.sdiv(item.row, I64(self.windows.high))
        return self.e.b.urem(rows, I64(self.windows.rotations))


class Splitting:
    """What is split for an item while the one before it is computed.

    Args:
        lines: Where it goes.
        item: The item.
        wanted: Whether there is one.
        pauses: In how many parts it is done, at least.
        present: The item before it: an image cannot change while its results are computed.
    """

    def __init__(self, lines: Lines, item: Item, wanted: Value, pauses: Value, present: Item) -> None:
        self.lines, self.e, self.item = lines, lines.e, item
        e, kernel, windows = self.e, lines.kernel, lines.windows
        self.mask = e.mask(e.minus(kernel.batch, item.start))
        self.image = e.advance(lines.memory, item.image, lines.image)
        note = e.advance(lines.notes, item.image, I64(8))
        known = e.load_scalar(note, int64)
        place = e.b.add(item.top, kernel.before_h)
        of_turn = e.b.shl(item.turn, _ROW_BITS)
        if windows.together:
            self.follows = e.b.icmp_signed("==", known, e.b.or_(of_turn, place))
            self.strip = [self._row(e.b.add(item.top, I64(i))) for i in range(windows.rows)]
            self.first, last, seen = I64(0), I64(1), e.b.add(place, I64(windows.high))
        else:
            low, high = lines.groups_inside(item.top)
            below = (kernel.form.down - 1) * windows.high
            seen = e.b.add(e.b.add(place, high), I64(below))
            self.first = e.b.add(place, low)
            of_this_turn = e.b.icmp_signed("==", e.b.ashr(known, _ROW_BITS), item.turn)
            before = e.b.and_(known, I64((1 << 32) - 1))
            self.first = e.b.select(of_this_turn, e.larger(self.first, before), self.first)
            last = e.larger(seen, self.first)
        with e.b.if_then(wanted):
            e.store_scalar(note, e.b.or_(of_turn, seen), int64)
        count = e.b.mul(e.minus(last, self.first), kernel.width)
        self.count = e.b.select(wanted, count, I64(0))
        same = e.b.icmp_signed("==", item.image, present.image)
        self.share = e.b.select(same, I64(0), e.ceiling(self.count, pauses))
        self.done = kernel.split_pixels
        e.b.store(I64(0), self.done)

    def some(self) -> None:
        """The share of one pause."""
        self._go_on(self.share)

    def finish(self) -> None:
        """What is left."""
        self._go_on(self.count)

    def _go_on(self, share: Value) -> None:
        e, width = self.e, self.lines.kernel.width
        first = e.b.load(self.done, typ=I64)
        stop = e.smaller(e.b.add(first, share), self.count)
        with e.b.if_then(e.b.icmp_signed("<", first, stop)):
            e.b.store(stop, self.done)
            if self.lines.windows.together:
                self._strip_pixels(first, stop)
            else:
                with e.loop(e.b.sdiv(first, width), e.ceiling(stop, width)) as row:
                    before = e.b.mul(row, width)
                    low, high = e.larger(e.minus(first, before), I64(0)), e.smaller(e.minus(stop, before), width)
                    self._row_pixels(e.b.add(self.first, row), low, high)

    def _row(self, row: Value) -> Row:
        """A row of the image, which may lie outside."""
        e, kernel = self.e, self.lines.kernel
        inside = e.b.icmp_unsigned("<", row, kernel.height)
        first = e.advance(e.advance(kernel.x, row, kernel.x_h), self.item.start, _ITEM)
        real, nothing = (first, e.b.mul(kernel.channels, kernel.x_c), kernel.x_c), (self.lines.zeros, I64(0), I64(0))
        first, pixel, channel = (e.b.select(inside, a, b) for a, b in zip(real, nothing, strict=True))
        return Row(first, pixel, channel)

    def _row_pixels(self, place: Value, low: Value, high: Value) -> None:
        """Some pixels of a row, given by its place in the image with its border."""
        e, lines = self.e, self.lines
        row = self._row(e.minus(place, lines.kernel.before_h))
        here = e.advance(self.image, e.b.urem(place, I64(lines.ring)), lines.row)
        here = e.advance(here, lines.kernel.before_w, lines.pixel)
        with e.loop(low, high) as pixel:
            first = e.advance(here, pixel, lines.pixel)
            self._split([row], pixel, [(n, e.b.add(first, I64(n * WIDTH))) for n in range(lines.windows.lines)])

    def _strip_pixels(self, low: Value, high: Value) -> None:
        """Some pixels of a strip, but for the lines that are there already."""
        e, lines, windows = self.e, self.lines, self.lines.windows
        first = e.advance(self.image, lines.kernel.before_w, lines.pixel)
        moved = e.b.mul(lines.rotation(self.item), I64(windows.moved))
        places = [
            e.b.mul(e.b.urem(e.b.add(moved, I64(n)), I64(windows.lines)), I64(WIDTH)) for n in range(windows.lines)
        ]

        def pixels(known: int) -> None:
            with e.loop(low, high) as pixel:
                here = e.advance(first, pixel, lines.pixel)
                self._split(self.strip, pixel, [(n, e.b.add(here, places[n])) for n in range(known, windows.lines)])

        if not windows.moved:
            pixels(0)
            return
        with e.b.if_else(self.follows) as (follows, begins):
            with follows:
                pixels(windows.lines - windows.moved)
            with begins:
                pixels(0)

    def _split(self, rows: list[Row], pixel: Value, places: list[tuple[int, Value]]) -> None:
        """Some lines of a pixel: their numbers, and where they go."""
        for line, place in places:
            values = [self._number(rows, 2 * line + n, pixel) for n in range(2)]
            split.keep(self.e, place, *values, apart=self.lines.part)

    def _number(self, rows: list[Row], number: int, pixel: Value) -> Value:
        """A register of one of a pixel's numbers."""
        e = self.e
        n, channel = divmod(number, self.lines.windows.channels)
        if n >= len(rows):
            return e.constant(0, float32)
        row = rows[n]
        return e.load(e.advance(e.advance(row.first, pixel, row.pixel), I64(channel), row.channel), float32, self.mask)
