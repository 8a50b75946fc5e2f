"""How a convolution of images [H, W, C, N] is cut into the steps of a matrix unit, and whether that pays.

The unit multiplies 16 rows of numbers by 16 columns of them. Columns are samples; rows are output channels, of one
output position or, where these are few, of two neighbours. What is summed over are the taps and the input channels:
pairs of numbers of 16 samples are lines of 64 bytes, and the lines of neighbouring pixels follow each other, so that
the window of an output position is one run of lines, whichever position it is. A line holds numbers of one row of the
image, or of all rows that an output row needs, where one row would leave most of a tile empty.
"""

# H x W image, O x P output, K x L taps, C channels in, D channels out.

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH, is_available
from pellucid.backends.cpu.split import PARTS, PRODUCTS
from pellucid.dtypes import DType, float32
from pellucid.plan.lifetime import aligned
from pellucid.shapes import Pads, Shape

#: Blocks of results that are computed at once: as many as there are tiles for sums.
BLOCKS = 4
#: Bytes of a step's weights, and of the results of a few blocks.
STEP, SUMS = PARTS * TILE, BLOCKS * TILE
#: Cycles of splitting a pair of registers.
SPLITTING = 14
# Cycles of a product of two tiles by the number of rows, and of what ending a register takes longer than the products
# that it stands between: where pooling follows, and where all are written, 16 samples here and there.
_MULTIPLYING, _POOLING, _WRITING = {8: 11, 10: 14, 12: 17, 16: 20}, 4, 7
# The share of its peak that a convolution by vectors reaches, and how much less time the unit must take. Lines of all
# rows together must be worth while, too: nothing can be pooled there but in blocks of two rows.
_REACHED, _LESS, _TOGETHER = 0.75, 0.9, 1.05
# Bytes of lines at most: of an image, and of those side by side; a core's second cache must hold them.
_MOST_LINES, _LINES_AT_ONCE = 1 << 19, 384 << 10


class Runs(ABC):
    """Lines that follow each other, cut into tiles.

    Attributes:
        outs: Output channels.
    """

    outs: int

    @property
    @abstractmethod
    def run(self) -> int:
        """How many lines there are."""

    @property
    def tiles(self) -> int:
        """Tiles of a run."""
        return -(-self.run // ROWS)

    @property
    def deep(self) -> int:
        """Lines of a tile."""
        return -(-self.run // self.tiles)

    @property
    def spare(self) -> int:
        """Lines that are read behind a run."""
        return self.tiles * self.deep - self.run

    @property
    def out_blocks(self) -> int:
        """Blocks of output channels."""
        return -(-self.outs // ROWS)


@dataclass(frozen=True)
class Windows(Runs):
    """The steps of a convolution.

    Attributes:
        taps: Of the kernel, along both axes.
        channels: Of the image.
        outs: Channels of the result.
        high: Output rows of a block.
        wide: Output columns of a block.
        together: Whether a line has numbers of all rows of the image that a block needs.
    """

    taps: tuple[int, int]
    channels: int
    outs: int
    high: int
    wide: int
    together: bool

    @property
    def rows(self) -> int:
        """Rows of the image that a block needs."""
        return self.taps[0] + self.high - 1

    @property
    def groups(self) -> int:
        """Of how many groups of rows lines are made."""
        return 1 if self.together else self.rows

    @property
    def numbers(self) -> int:
        """Numbers of a pixel's lines."""
        return self.channels * self.rows // self.groups

    @property
    def lines(self) -> int:
        """Lines of a pixel."""
        return -(-self.numbers // 2)

    @property
    def run(self) -> int:
        """Lines of a block's window, of one group of rows."""
        return (self.taps[1] + self.wide - 1) * self.lines

    @property
    def steps(self) -> int:
        """Steps of a block."""
        return self.groups * self.tiles

    @property
    def own_outs(self) -> int:
        """Channels of a block."""
        return min(self.outs, ROWS)

    @property
    def results(self) -> int:
        """Rows of a block of results: its positions, each with its channels."""
        return self.high * self.wide * self.own_outs

    @property
    def skips(self) -> bool:
        """Whether tiles are left out that lie in the border."""
        return self.tiles > 1

    @property
    def pauses(self) -> int:
        """Places between a step's products where other things are done."""
        return {1: 4, 2: 2, 3: 2}.get(self.steps, 1)

    @property
    def moved(self) -> int:
        """By how many lines those of the next block of rows lie further on, where these are the same; else 0.

        They stay where they are, and the new ones take the places of those that are no longer needed.
        """
        numbers = self.high * self.channels
        return numbers // 2 if self.together and numbers % 2 == 0 == self.numbers % 2 else 0

    @property
    def rotations(self) -> int:
        """In how many orders a pixel's lines lie, block of rows by block of rows: the weights are there in all."""
        return self.lines // math.gcd(self.lines, self.moved)

    def table(self) -> np.ndarray:
        """Which element of the dense kernel [K, L, C, D] each weight of all steps is; -1: none, a zero.

        By order of the lines, block of channels, step, row, the first or second number of a line, line.
        """
        shape = (self.rotations, self.out_blocks, self.groups, self.tiles, ROWS, 2, ROWS)
        rotation, block, group, tile, row, second, line = np.indices(shape)
        position, out = np.divmod(row, self.own_outs)
        down, right = np.divmod(position, self.wide)
        column, place = np.divmod(tile * self.deep + line, self.lines)
        number = 2 * ((place - rotation * self.moved) % self.lines) + second
        below, channel = np.divmod(number, self.channels)
        out = out + block * ROWS
        k, l = group + below - down, column - right  # noqa: E741
        real = (row < self.results) & (line < self.deep) & (number < self.numbers) & (out < self.outs)
        real &= (k >= 0) & (k < self.taps[0]) & (l >= 0) & (l < self.taps[1])
        places = ((k * self.taps[1] + l) * self.channels + channel) * self.outs + out
        return np.where(real, places, -1).astype(np.int32)

    def slots(self, width: int, out_width: int, before: int) -> int:
        """Pixels of a row of lines, with those of the border."""
        return max(-(-out_width // self.wide) * self.wide + self.taps[1] - 1, before + width)

    @property
    def weights(self) -> int:
        """Bytes of all weights."""
        return self.rotations * self.out_blocks * self.steps * STEP

    def ring(self, down: int) -> int:
        """Rows of lines that are kept of an image, if so many blocks below each other are computed at once."""
        return 1 if self.together else self.rows + (down - 1) * self.high

    def part(self, slots: int) -> int:
        """Bytes of a part of a row of lines."""
        return (slots * self.lines + self.spare) * WIDTH

    def bytes(self, slots: int, down: int, images: int) -> int:
        """Bytes of memory that a thread needs for itself, for so many images of 16 samples."""
        rows = images * self.ring(down) * PARTS * self.part(slots)
        return aligned(self.weights + 2 * SUMS + WIDTH + aligned(images * 8) + rows)

    def together_at_once(self, groups: int, slots: int, down: int) -> int:
        """How many images of 16 samples a thread goes through side by side, row by row: a divisor of their number."""
        own = self.ring(down) * PARTS * self.part(slots)
        return max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * own <= _LINES_AT_ONCE))

    def cycles(self, image: tuple[int, int], out: tuple[int, int], pooled: bool = False) -> float:
        """About how long the unit takes for 16 samples."""
        (height, width), rows = image, -(-out[0] // self.high)
        tiles = -(-out[1] // self.wide) * self.out_blocks * self.tiles
        if self.skips:
            windows = -(-(self.taps[1] + self.wide - 1) // self.wide)
            tiles = min(tiles, -(-self.out_blocks * width * windows * self.lines // self.deep))
        # Rows of the border are left out, where they have lines of their own.
        groups = rows if self.together else min(rows * self.groups, height * self.taps[0])
        lines = rows * (self.moved or self.lines) if self.together else height * self.lines
        multiplying = groups * tiles * len(PRODUCTS) * cycles_of_product(self.results)
        ending = math.prod(out) * self.outs * (_POOLING if pooled else _WRITING)
        return multiplying + lines * width * SPLITTING + ending


def cycles_of_product(rows: int) -> int:
    """Of two tiles, of which the left one has so many rows."""
    return next(cycles for most, cycles in _MULTIPLYING.items() if most >= rows)


@dataclass(frozen=True)
class Plain:
    """A convolution with stride 1 and without gaps between taps or groups of channels, along two axes.

    Attributes:
        batch: Samples.
        image: Height and width of the image.
        channels: Of the image.
        before: Zeros before the image.
        taps: Of the kernel.
        out: Height and width of the result.
        outs: Channels of the result.
        pooled: Whether max pooling follows, recorded or not.
    """

    batch: int
    image: tuple[int, int]
    channels: int
    before: tuple[int, int]
    taps: tuple[int, int]
    out: tuple[int, int]
    outs: int
    pooled: bool = False

    @property
    def _axes(self) -> list[tuple[int, int, int, int]]:
        return list(zip(self.image, self.before, self.taps, self.out, strict=True))

    @property
    def overlaps(self) -> bool:
        """Whether every window has a pixel of the image."""
        return all(0 <= n < k for size, a, k, o in self._axes for n in (a, o + k - 1 - size - a))

    @property
    def products(self) -> int:
        """Of numbers, for one sample, without those of the border's zeros."""
        inside = [sum(0 <= p + t - a < size for p in range(o) for t in range(k)) for size, a, k, o in self._axes]
        return math.prod(inside) * self.channels * self.outs

    def by_vectors(self, filled: float, reached: float = _REACHED) -> float:
        """Cycles by vectors of which so much is filled."""
        return self.products * self.batch / (2 * lanes_for(float32)) / filled / reached

    @property
    def filled(self) -> float:
        """How much of vectors of samples is filled."""
        return self.batch / (-(-self.batch // lanes_for(float32)) * lanes_for(float32))

    def by_tiles(self, windows: Windows) -> float:
        """Cycles by the matrix unit."""
        return windows.cycles(self.image, self.out, self.pooled) * -(-self.batch // ROWS)


def plain(x: Shape, taps: Shape, out: Shape, attributes: Mapping[str, Any], pads: Pads | None = None) -> Plain | None:
    """A convolution of images [N, spatial, C] to [N, spatial, D], if it is one without strides, gaps and groups.

    Args:
        x: The shape of the images.
        taps: Of the kernel.
        out: The shape of the result.
        attributes: The convolution's.
        pads: Its border, where it is another one.
    """
    if attributes["groups"] != 1 or any(n != 1 for n in (*attributes["strides"], *attributes["dilation"])):
        return None
    if len(taps) > 2 or 0 in (*x, *taps, *out):
        return None
    before = tuple(low for low, _ in (attributes["pads"] if pads is None else pads))
    axes = [(*(fill,) * (2 - len(own)), *own) for fill, own in ((1, x[1:-1]), (0, before), (1, taps), (1, out[1:-1]))]
    image, low, kernel, result = ((a, b) for a, b in axes)
    return Plain(x[0], image, x[-1], low, kernel, result, out[-1])


def windows_for(conv: Plain, dtype: DType) -> Windows | None:
    """The quickest steps of a convolution, if the unit takes less time for it than vectors of samples."""
    if dtype != float32 or not is_available() or not conv.overlaps:
        return None
    slower = {False: 1.0, True: _TOGETHER}
    best = min(
        _candidates(conv.taps, conv.channels, conv.outs),
        key=lambda windows: slower[windows.together] * windows.cycles(conv.image, conv.out, conv.pooled),
    )
    fits = best.bytes(best.slots(conv.image[1], conv.out[1], conv.before[1]), 2, 1) <= _MOST_LINES
    return best if fits and conv.by_tiles(best) < _LESS * conv.by_vectors(conv.filled) else None


def _candidates(taps: tuple[int, int], channels: int, outs: int) -> Iterator[Windows]:
    for high, wide in ((1, 1), (2, 1), (1, 2), (2, 2)):
        for together in (False, True):
            windows = Windows(taps, channels, outs, high, wide, together)
            if high * wide == 1 or (windows.results <= ROWS and windows.out_blocks == 1):
                yield windows
