"""Where threads that share every instruction of a plan must wait for each other.

Each thread does its share of an instruction and goes on. It has to wait only where the next instruction touches what
another thread may still be writing, or writes what another may still be reading. Instructions that cut the same rows in
the same way need no wait between them: a thread finds its rows as it left them. Between two waits lies a phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from pellucid.plan.layout import View

#: Every instruction that works row by row cuts its rows at multiples of this.
ROW_BLOCK = 8

# How many instructions ahead a phase looks for what it can do as well.
_WINDOW = 24


@dataclass(frozen=True)
class Touch:
    """Memory that an instruction reads or writes.

    Attributes:
        buffer: The buffer.
        rows: Where each thread keeps to its share of the rows: their number, and the bytes from one to the next; a
            single row is the first thread's.
        span: The bytes of the buffer that are touched, from the first to behind the last one; None for all of it.
        each: Whether the rows are as many as threads at most, and each thread keeps to that of its own number.
    """

    buffer: int
    rows: tuple[int, int] | None = None
    span: tuple[int, int] | None = None
    each: bool = False

    def overlaps(self, other: Touch) -> bool:
        """Whether some bytes are touched by both."""
        if self.buffer != other.buffer or self.span is None or other.span is None:
            return self.buffer == other.buffer
        return self.span[0] < other.span[1] and other.span[0] < self.span[1]

    def meets(self, other: Touch) -> bool:
        """Whether a thread may touch what another one does: some bytes are the same, and not by the same rows."""
        return self.overlaps(other) and (self.rows is None or self != other)


def by_rows(view: View) -> Touch:
    """What a thread touches that keeps to its share of the first axis of a matrix, if a row is a run of memory."""
    (count, width), (stride, step) = view.shape, view.strides
    if stride <= 0 or step < 0:
        return part(view)
    place = view.offset % stride  # some columns of wider rows
    if place + (width - 1) * step + view.dtype.itemsize > stride:
        return part(view)
    start = view.offset - place
    return Touch(view.buffer, (count, stride), (start, start + count * stride))


def by_first(view: View) -> Touch:
    """What the first thread alone touches."""
    return Touch(view.buffer, (1, 0))


def by_each(view: View) -> Touch:
    """Memory of which each thread has a row for itself."""
    return replace(by_rows(view), each=True)


def part(view: View) -> Touch:
    """What threads touch that read or write some elements of a view."""
    low = high = view.offset
    for count, stride in zip(view.shape, view.strides, strict=True):
        way = stride * max(count - 1, 0)
        low, high = low + min(way, 0), high + max(way, 0)
    return Touch(view.buffer, None, (low, high + view.dtype.itemsize))


@dataclass(frozen=True)
class Access:
    """What an instruction touches."""

    reads: tuple[Touch, ...]
    writes: tuple[Touch, ...]

    @property
    def touches(self) -> tuple[Touch, ...]:
        """All of it."""
        return (*self.reads, *self.writes)

    def renamed(self, names: Mapping[int, int]) -> Access:
        """The same in other buffers, where they have another number."""
        reads, writes = (
            tuple(replace(t, buffer=names.get(t.buffer, t.buffer)) for t in touches)
            for touches in (self.reads, self.writes)
        )
        return Access(reads, writes)


def access_of(touched: Iterable[int], written: Iterable[int], known: Iterable[Touch] = ()) -> Access:
    """What an instruction touches.

    Args:
        touched: All its buffers.
        written: Those that it writes; it may read them as well.
        known: What it touches of some of them; where two parts of a buffer overlap and are cut differently, all of it
            counts as touched, and so does what is not told of.
    """
    parts: dict[int, list[Touch]] = {}
    for touch in dict.fromkeys(known):
        parts.setdefault(touch.buffer, []).append(touch)
    for buffer, own in parts.items():
        if any(one.overlaps(other) for one, other in combinations(own, 2)):
            parts[buffer] = [Touch(buffer)]
    written = frozenset(written)

    def of(buffers: Iterable[int]) -> tuple[Touch, ...]:
        return tuple(touch for buffer in buffers for touch in parts.get(buffer, [Touch(buffer)]))

    touched = list(touched)
    return Access(of(b for b in touched if b not in written), of(b for b in touched if b in written))


class _Touches:
    """Touches by the buffers in which they are."""

    def __init__(self) -> None:
        self._found: dict[int, set[Touch]] = {}

    def add(self, touches: Iterable[Touch]) -> None:
        """Some more."""
        for touch in touches:
            self._found.setdefault(touch.buffer, set()).add(touch)

    def any(self, touch: Touch, how: Callable[[Touch, Touch], bool]) -> bool:
        """Whether a touch stands in a relation to one of them."""
        return any(how(touch, other) for other in self._found.get(touch.buffer, ()))


class _Seen:
    """What some instructions touch."""

    def __init__(self) -> None:
        self._reads, self._writes = _Touches(), _Touches()

    def add(self, access: Access) -> None:
        """One more instruction."""
        self._reads.add(access.reads)
        self._writes.add(access.writes)

    def stops(self, access: Access, how: Callable[[Touch, Touch], bool]) -> bool:
        """Whether what they write stands in a relation to what one touches, or what they read to what it writes."""
        return any(self._writes.any(touch, how) for touch in access.touches) or any(
            self._reads.any(touch, how) for touch in access.writes
        )


def flow(before: Iterable[Access], after: Iterable[Access]) -> bool:
    """Whether no thread in a phase may touch what another one, which is in the next phase already, writes, or reads."""
    seen = _Seen()
    for access in before:
        seen.add(access)
    return not any(seen.stops(access, Touch.meets) for access in after)


def phases(accesses: Sequence[Access]) -> list[list[int]]:
    """The numbers of the instructions, in an order with few waits: each list is a phase.

    An instruction comes earlier where nothing that it passes touches what it writes, or writes what it reads.

    >>> rows = Touch(1, (16, 64))
    >>> chain = [Access((), (rows,)), Access((rows,), (Touch(2),)), Access((Touch(2),), (Touch(3),)), Access((), ())]
    >>> phases(chain)
    [[0, 1, 3], [2]]
    """
    waiting = list(range(len(accesses)))
    result: list[list[int]] = []
    while waiting:
        phase, passed, taken = _Seen(), _Seen(), []
        for number in waiting[:_WINDOW]:
            access = accesses[number]
            if passed.stops(access, Touch.overlaps) or phase.stops(access, Touch.meets):
                passed.add(access)
            else:
                phase.add(access)
                taken.append(number)
        result.append(taken)
        done = set(taken)
        waiting = [number for number in waiting if number not in done]
    return result
