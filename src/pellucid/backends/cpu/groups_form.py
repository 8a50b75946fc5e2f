"""What the kernel of a gradient in groups of samples is written for, and where there is room for it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.row_cuts import Cut, Fours, Twos
from pellucid.backends.cpu.row_runs import TAPS
from pellucid.backends.cpu.windows import even_blocks
from pellucid.dtypes import DType, float32

# Output channels of a block of registers, and those that are added up at once, at most.
_OUTS = 4
# Cycles until two multiply-adds of one sum are done.
_LATENCY = 8
# Bytes of a row of windows, and of the sums where there is pooling, at most: they should stay in a core's first caches.
_BYTES = 3 << 15
# Bytes of the sums, of the planes, and of a row of the gradient, at most: they should stay in the second one.
_FAR_BYTES = 1 << 18
# Bytes of a band that is put side by side, if it can be cut so fine: of windows, which are read once, and of elements.
_WINDOWS, _ELEMENTS = 1 << 14, 1 << 17
# Sums of rows that are in registers at once, by the number of these, and columns of taps, at most.
_SUMS, _COLUMNS = {32: 4, 16: 2}, 5
# Bytes of the sums of rows that a band sees, of one channel, if it can be cut so fine; and where the gradient goes
# through the first cache as well, since it is read in place.
_SUMS_OF_ROWS, _BESIDE_A_STREAM = 1 << 15, 1 << 14
# Rows of taps for which four rows of the gradient at once, as they are cut here, take fewer products than two.
_FOURS = range(4, 7)
# Elements of a window that is spread without loops, at most.
_WRITTEN_OUT = 9


@dataclass(frozen=True)
class GroupsForm:
    """What a kernel is written for.

    Attributes:
        pooled: Whether the gradient is that of max pooling's windows, which lie side by side and cover the image.
        summed: Whether the gradient's sums by channels are wanted, too: the gradient by a bias.
        window: A window that is spread without loops: :func:`without_loops`.
        step: The convolution's stride along the last axis.
        blocks: How many taps along both axes and output channels are computed at once: :func:`blocks_of`, or
            :func:`blocks_by_sums`.
        single: Whether there is one input channel, and one block holds all taps, or by sums of rows all columns of
            them: each number is read once where it lies.
        inputs: Channels of the image that are put in planes one after the other, in blocks as equal as can be.
        cut: Where some rows of the gradient are computed at once, which, and of what; else None.
        columns: Columns of the gradient (or of windows) and of a plane, where the kernel is written for them, as for a
            first layer on images of one channel, of which there is seldom more than one. Else None.
    """

    pooled: bool
    summed: bool
    window: tuple[int, int] | None
    step: int
    blocks: tuple[tuple[int, ...], ...]
    single: bool
    inputs: tuple[int, ...]
    cut: Cut | None = None
    columns: tuple[int, int] | None = None

    @property
    def by_channel(self) -> bool:
        """Whether strips of rows are spread by output channel: there is one input channel, and they are read once."""
        return self.pooled and self.inputs == (1,)

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the sums of rows that are in registers at once, by runs of products."""
        together, found, first = _SUMS[target.vector_registers()], [], 0
        for run in self.cut.runs if self.cut else ():
            numbers = tuple(range(first, first + len(run)))
            found += [numbers[n : n + together] for n in range(0, len(run), together)]
            first += len(run)
        return tuple(found)

    @property
    def in_place(self) -> bool:
        """Whether the gradient's numbers are read where they lie."""
        return self.single and not self.pooled

    @property
    def together(self) -> int:
        """Output channels, whole blocks of them, whose windows are spread and whose numbers are added up at once."""
        block = self.blocks[2][0]
        return block if self.single or not self.summed else block * max(1, _OUTS // block)

    def band(self, height: int, columns: int, outs: int, window: int, plane: int, dtype: DType) -> tuple[int, int]:
        """How many rows of the gradient are put side by side at once, no more than stay in a cache.

        Args:
            height: Rows of the gradient.
            columns: Columns of it.
            outs: Channels of it.
            window: Rows of a window.
            plane: Columns of a plane.
            dtype: The type of the elements.

        Returns:
            Rows, and how many elements a thread keeps of them.
        """
        if self.cut:
            return self._band_by_sums(
                self.cut, height, columns * (1 if self.by_channel or self.in_place else outs), window, plane, dtype
            )
        if self.in_place:
            return height, 0
        row, most = columns * (self.together if self.pooled else outs), _WINDOWS if self.pooled else _ELEMENTS
        band = min(height, max(1, most // bytes_of(row, dtype) // window) * window)
        return band, band * row

    def _band_by_sums(self, cut: Cut, height: int, row: int, window: int, plane: int, dtype: DType) -> tuple[int, int]:
        """The same where some rows are computed at once: of windows, and of the elements that are kept of a row."""
        unit, sums = math.lcm(cut.step, window), sums_of(cut) * plane
        most = _WINDOWS if self.by_channel else _ELEMENTS
        own = _BESIDE_A_STREAM if self.in_place else _SUMS_OF_ROWS
        room = min(most // bytes_of(row, dtype), cut.step * own // bytes_of(sums, dtype))
        band = min(height, max(1, room // unit) * unit)
        return band, band * row + band // cut.step * sums


def cut_of(taps: tuple[int, int], steps: tuple[int, int], out: tuple[int, ...], plane: int, dtype: DType) -> Cut | None:
    """Which rows of the gradient are computed at once, if any; it does not depend on pooling.

    Args:
        taps: Rows and columns of the kernel.
        steps: Stride and dilation along the rows.
        out: Height, width and channels of the gradient.
        plane: Columns of a plane.
        dtype: The type of the elements.
    """
    if dtype is not float32 or steps != (1, 1) or taps[0] not in TAPS or taps[1] == 1:
        return None
    cuts = ([Fours(taps[0])] if taps[0] in _FOURS else []) + [Twos(taps[0])]
    for cut in cuts:
        sums, rows = bytes_of(sums_of(cut) * plane, dtype), bytes_of(cut.step * out[1] * out[2], dtype)
        if out[0] % cut.step == 0 and sums <= _SUMS_OF_ROWS and rows <= _FAR_BYTES:
            return cut
    return None


def sums_of(cut: Cut) -> int:
    """Sums of the image's rows for a step of the gradient's.

    >>> sums_of(Twos(5)), sums_of(Fours(5))
    (7, 11)
    """
    return sum(map(len, cut.runs))


def blocks_by_sums(taps: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """The same as :func:`blocks_of` where some rows of the gradient are computed at once, and taps lie in runs."""
    return (taps[0],), even_blocks(taps[1], _COLUMNS), (1,)


def blocks_of(taps: tuple[int, int], outs: int, step: int = 1) -> tuple[tuple[int, ...], ...]:
    """How many taps along both axes and output channels are computed at once.

    Of all sizes that the registers have room for, with two positions of the gradient and an element of the image, those
    that take the fewest cycles.

    >>> (high, wide, outs) = blocks_of((5, 5), 6)
    >>> max(high) * max(wide) * max(outs) + 2 * max(outs) < target.vector_registers()
    True
    """
    ranges = [range(1, taps[0] + 1), range(1, taps[1] + 1), range(1, min(_OUTS, outs) + 1)]
    room = target.vector_registers() - 1
    found = [sizes for sizes in itertools.product(*ranges) if (sizes[0] * sizes[1] + 2) * sizes[2] < room]
    counts = (*taps, outs)
    blocks = {tuple(even_blocks(n, most) for n, most in zip(counts, sizes, strict=True)) for sizes in found}
    return min(sorted(blocks, reverse=True), key=lambda own: _cycles(own, counts, step))


def _cycles(blocks: tuple[tuple[int, ...], ...], counts: tuple[int, int, int], step: int) -> float:
    """About how long two positions take by all blocks, at two multiply-adds or loads a cycle."""
    pieces_of = [[sizes[0]] * (n // sizes[0]) + list(sizes[1:]) for sizes, n in zip(blocks, counts, strict=True)]
    total = 0.0
    for high, wide, outs in itertools.product(*pieces_of):
        elements = high * (wide + min(wide, step))
        total += 1 + max(high * wide * outs, elements / 2 + outs, _LATENCY)
    return total


def bytes_of(elements: int, dtype: DType) -> int:
    """Bytes of a thread's memory for a register of each of some elements."""
    return elements * lanes_for(dtype) * dtype.itemsize


def suits(batch: int, taps: int, plane: int, row: int, dtype: DType, *, pooled: bool) -> bool:
    """Whether the gradient by a kernel is made in groups of samples.

    Args:
        batch: Samples.
        taps: Elements of the kernel.
        plane: Elements of a padded image, of all channels.
        row: Elements of a row of the gradient, of all channels.
        dtype: Their type.
        pooled: Whether the gradient is that of windows.
    """
    sums = bytes_of(taps, dtype) <= (_BYTES if pooled else _FAR_BYTES)
    return batch > lanes_for(dtype) and sums and bytes_of(max(plane, row), dtype) <= _FAR_BYTES


def can_spread(row: int, dtype: DType) -> bool:
    """Whether a thread has room to spread a row of windows of so many elements."""
    return bytes_of(row, dtype) <= _BYTES


def without_loops(high: int, wide: int) -> tuple[int, int] | None:
    """The height and width of a window that is spread without loops; none where it is large.

    >>> without_loops(2, 2), without_loops(7, 7)
    ((2, 2), None)
    """
    return (high, wide) if high * wide <= _WRITTEN_OUT else None
