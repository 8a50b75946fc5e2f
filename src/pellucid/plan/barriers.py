"""Where threads that share every instruction of a plan must wait for each other.

Each thread does its share of an instruction and goes on. It has to wait only where the next instruction touches what
another thread may still be writing, or writes what another may still be reading. Instructions that cut the same rows in
the same way need no wait between them: a thread finds its rows as it left them. Between two waits lies a phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.plan.layout import View

#: Every instruction that works row by row cuts its rows at multiples of this.
ROW_BLOCK = 8

# How many instructions ahead a phase looks for what it can do as well.
_WINDOW = 24


@dataclass(frozen=True)
class Touch:
    """Memory that an instruction reads or writes.

    Attributes:
        buffer: The buffer; which part of it is not told.
        rows: Where each thread keeps to its share of the rows: their number, and the bytes from one to the next; a
            single row is the first thread's.
    """

    buffer: int
    rows: tuple[int, int] | None = None


def by_rows(view: View) -> Touch:
    """What a thread touches that keeps to its share of the first axis of a matrix, if a row is a run of memory."""
    (count, width), (stride, step) = view.shape, view.strides
    inside = step >= 0 and view.offset + (width - 1) * step + view.dtype.itemsize <= stride
    return Touch(view.buffer, (count, stride) if inside else None)


@dataclass(frozen=True)
class Access:
    """What an instruction touches."""

    reads: tuple[Touch, ...]
    writes: tuple[Touch, ...]


#: What the first thread alone touches.
_FIRST = (1, 0)


def access_of(
    touched: Iterable[int], written: Iterable[int], rows: Iterable[View], numbers: Iterable[View] = ()
) -> Access:
    """What an instruction touches.

    Args:
        touched: All its buffers.
        written: Those that it writes; it may read them as well.
        rows: Matrices of which each thread touches only its share of the rows; where two views of a buffer are cut
            differently, all of it counts as touched.
        numbers: What the first thread alone touches.
    """
    found: dict[int, Touch] = {}
    own = [*map(by_rows, rows), *(Touch(view.buffer, _FIRST) for view in numbers)]
    for touch in own:
        found[touch.buffer] = touch if found.get(touch.buffer, touch) == touch else Touch(touch.buffer)
    written = frozenset(written)
    reads = tuple(found.get(b) or Touch(b) for b in touched if b not in written)
    return Access(reads, tuple(found.get(b) or Touch(b) for b in touched if b in written))


class _Phase:
    """What was touched since the threads waited for each other."""

    def __init__(self) -> None:
        self._reads: dict[int, set[Touch]] = {}
        self._writes: dict[int, set[Touch]] = {}

    def admits(self, access: Access) -> bool:
        """Whether no other thread may be at what an instruction touches."""
        return not any(
            _meets(touch, self._writes) or (writing and _meets(touch, self._reads))
            for touches, writing in ((access.reads, False), (access.writes, True))
            for touch in touches
        )

    def add(self, access: Access) -> None:
        """One more instruction."""
        for touches, known in ((access.reads, self._reads), (access.writes, self._writes)):
            for touch in touches:
                known.setdefault(touch.buffer, set()).add(touch)


def _meets(touch: Touch, known: dict[int, set[Touch]]) -> bool:
    """Whether the memory is touched otherwise than by the same rows."""
    others = known.get(touch.buffer)
    return others is not None and (touch.rows is None or others != {touch})


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
        phase, taken = _Phase(), []
        passed_reads: set[int] = set()
        passed_writes: set[int] = set()
        for number in waiting[:_WINDOW]:
            access = accesses[number]
            writes = _buffers(access.writes)
            overtakes = writes & (passed_reads | passed_writes) or _buffers(access.reads) & passed_writes
            if not overtakes and phase.admits(access):
                phase.add(access)
                taken.append(number)
            else:
                passed_reads |= _buffers(access.reads)
                passed_writes |= writes
        result.append(taken)
        done = set(taken)
        waiting = [number for number in waiting if number not in done]
    return result


def _buffers(touches: Iterable[Touch]) -> set[int]:
    return {touch.buffer for touch in touches}
