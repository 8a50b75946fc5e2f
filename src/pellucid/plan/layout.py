"""Where a value lies: a buffer, an offset and strides. Movement without computation is a new view, not a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pellucid.dtypes import DType
from pellucid.op import Spec
from pellucid.shapes import Shape, size

Strides = tuple[int, ...]


@dataclass(frozen=True)
class View:
    """A window on a buffer.

    Attributes:
        buffer: Number of the buffer.
        offset: Bytes from its start to the first element.
        shape: Size of each axis.
        strides: Bytes from one element to the next, on each axis; 0 repeats, negative runs backwards.
        dtype: Element type.
    """

    buffer: int
    offset: int
    shape: Shape
    strides: Strides
    dtype: DType

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie densely in row order."""
        return self.lies_as(contiguous_strides(self.shape, self.dtype.itemsize))

    def broadcast(self, shape: Shape) -> View:
        """The view stretched to a larger shape."""
        lead = len(shape) - len(self.shape)
        strides = (0,) * lead + tuple(
            s if n == m else 0 for s, n, m in zip(self.strides, self.shape, shape[lead:], strict=True)
        )
        return replace(self, shape=shape, strides=strides)

    def transpose(self, axes: Sequence[int]) -> View:
        """The axes in another order."""
        return replace(self, shape=tuple(self.shape[a] for a in axes), strides=tuple(self.strides[a] for a in axes))

    def flip(self, axes: Sequence[int]) -> View:
        """The elements in reverse order along the axes."""
        offset, strides = self.offset, list(self.strides)
        for axis in axes:
            offset += max(self.shape[axis] - 1, 0) * strides[axis]
            strides[axis] = -strides[axis]
        return replace(self, offset=offset, strides=tuple(strides))

    def slice(self, starts: Sequence[int], steps: Sequence[int], shape: Shape) -> View:
        """Every step-th element from a start, on each axis."""
        offset = self.offset + sum(a * s for a, s in zip(starts, self.strides, strict=True))
        strides = tuple(s * step for s, step in zip(self.strides, steps, strict=True))
        return replace(self, offset=offset, shape=shape, strides=strides)

    def squeezed_to(self, shape: Shape) -> View:
        """The same elements in a shape that differs in axes of size 1 alone."""
        strides = iter(s for n, s in zip(self.shape, self.strides, strict=True) if n != 1)
        return replace(self, shape=shape, strides=tuple(0 if n == 1 else next(strides) for n in shape))

    def reshape(self, shape: Shape) -> View | None:
        """The same elements in another shape, or None where that needs a copy."""
        if self.is_contiguous:
            return replace(self, shape=shape, strides=contiguous_strides(shape, self.dtype.itemsize))
        strides = _regrouped(self.shape, self.strides, shape)
        return None if strides is None else replace(self, shape=shape, strides=strides)

    def same_place(self, other: View) -> bool:
        """Whether the elements are those of another view of the same shape, in the same memory."""
        return (self.buffer, self.offset) == (other.buffer, other.offset) and self.lies_as(other.strides)

    def lies_as(self, strides: Strides) -> bool:
        """Whether the elements lie by these strides; those of axes of size 1 mean nothing."""
        return all(n == 1 or s == e for n, s, e in zip(self.shape, self.strides, strides, strict=True))


def _regrouped(shape: Shape, strides: Strides, wanted: Shape) -> Strides | None:
    """The strides of a view in another shape, where axes that are split or joined lie evenly; else None.

    >>> _regrouped((2, 3, 4), (4, 32, 8), (2, 12)), _regrouped((2, 3), (4, 8), (6,))
    ((4, 8), None)
    """
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    found: list[int] = []
    taken = 0
    position = 0
    while position < len(wanted):
        if wanted[position] == 1:
            found.append(0)
            position += 1
            continue
        if taken == len(old):
            return None
        # The shortest runs of old and new axes that hold as many elements.
        first, start = taken, position
        have, need = old[taken][0], wanted[position]
        while have != need:
            if have < need:
                taken += 1
                if taken == len(old):
                    return None
                have *= old[taken][0]
            else:
                position += 1
                if position == len(wanted):
                    return None
                need *= wanted[position]
        run = old[first : taken + 1]
        if any(outer[1] != inner[0] * inner[1] for outer, inner in pairwise(run)):
            return None
        step = run[-1][1]
        parts = []
        for n in reversed(wanted[start : position + 1]):
            parts.append(step)
            step *= n
        found += reversed(parts)
        taken += 1
        position += 1
    return tuple(found) if taken == len(old) else None


def batch_last_strides(shape: Sequence[int], itemsize: int) -> Strides:
    """The strides of images [N, spatial..., C] whose samples lie side by side: in memory [spatial..., C, N].

    >>> batch_last_strides((5, 2, 3), 4)
    (4, 60, 20)
    """
    inner = contiguous_strides((*shape[1:], shape[0]), itemsize)
    return (inner[-1], *inner[:-1])


def contiguous_strides(shape: Sequence[int], itemsize: int) -> Strides:
    """The strides of a dense array in row order.

    >>> contiguous_strides((2, 3), 4)
    (12, 4)
    """
    strides = []
    step = itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def dense(buffer: int, spec: Spec) -> View:
    """A dense view from the start of a buffer."""
    return View(buffer, 0, spec.shape, contiguous_strides(spec.shape, spec.dtype.itemsize), spec.dtype)


def byte_size(spec: Spec) -> int:
    """Bytes of a dense array."""
    return size(spec.shape) * spec.dtype.itemsize


@dataclass(frozen=True)
class Loops:
    """Nested loops over some operands at once, merged and without trivial axes.

    Attributes:
        sizes: Trip count of each loop, the outermost first; at least one loop.
        strides: For each operand the bytes it moves per trip of each loop.
    """

    sizes: tuple[int, ...]
    strides: tuple[Strides, ...]


def merge_loops(shape: Shape, strides: Sequence[Strides]) -> Loops:
    """Drop axes of size 1 and merge neighbours that every operand walks through in one stride.

    >>> merge_loops((2, 1, 3), [(12, 12, 4), (0, 0, 0)])
    Loops(sizes=(6,), strides=((4,), (0,)))
    """
    sizes: list[int] = []
    columns: list[tuple[int, ...]] = []
    for n, column in zip(shape, zip(*strides, strict=True), strict=True):
        if n == 1:
            continue
        if sizes and all(outer == inner * n for outer, inner in zip(columns[-1], column, strict=True)):
            sizes[-1] *= n
            columns[-1] = column
        else:
            sizes.append(n)
            columns.append(column)
    if not sizes:
        return Loops((1,), tuple((0,) for _ in strides))
    return Loops(tuple(sizes), tuple(zip(*columns, strict=True)))
