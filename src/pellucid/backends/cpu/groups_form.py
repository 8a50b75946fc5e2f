"""What the kernel of a gradient in groups of samples is written for, and where there is room for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.windows import even_blocks
from pellucid.dtypes import DType

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
        blocks: How many taps along both axes and output channels are computed at once: :func:`blocks_of`.
        single: Whether there is one input channel, and one block holds all taps: each number is read once.
        inputs: Channels of the image that are put in planes one after the other, in blocks as equal as can be.
    """

    pooled: bool
    summed: bool
    window: tuple[int, int] | None
    step: int
    blocks: tuple[tuple[int, ...], ...]
    single: bool
    inputs: tuple[int, ...]

    @property
    def in_place(self) -> bool:
        """Whether the gradient's numbers are read where they lie."""
        return self.single and not self.pooled

    @property
    def together(self) -> int:
        """Output channels, whole blocks of them, whose windows are spread and whose numbers are added up at once."""
        block = self.blocks[2][0]
        return block if self.single or not self.summed else block * max(1, _OUTS // block)

    def band(self, height: int, columns: int, outs: int, window: int, dtype: DType) -> tuple[int, int]:
        """How many rows of the gradient are put side by side at once, no more than stay in a cache; their elements.

        Args:
            height: Rows of the gradient.
            columns: Columns of it.
            outs: Channels of it.
            window: Rows of a window.
            dtype: The type of the elements.
        """
        if self.in_place:
            return height, 0
        row, most = columns * (self.together if self.pooled else outs), _WINDOWS if self.pooled else _ELEMENTS
        band = min(height, max(1, most // bytes_of(row, dtype) // window) * window)
        return band, band * row


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
