"""The order of a loop's tasks, so that new state can be written over the old without losing what is still read."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pellucid.graph.ir import Var
from pellucid.shapes import size

# Operations whose result may be a window on their operand's memory.
_WINDOWS = frozenset({"reshape", "transpose", "flip", "broadcast_to", "slice"})

#: Elements of a state from which on its place in a cache counts.
_LARGE = 1 << 14


def owner(var: Var) -> Var:
    """The variable in whose memory another one may lie."""
    while var.record is not None and var.record.op.name in _WINDOWS:
        var = var.record.inputs[0]
    return var


@dataclass(frozen=True)
class Access:
    """What one task reads and writes.

    Attributes:
        reads: Every variable it reads.
        beside: Those of them that it reads only at the element that it is about to write.
        writes: The variables that others may read from it.
    """

    reads: frozenset[Var]
    beside: frozenset[Var]
    writes: tuple[Var, ...]

    @property
    def in_place(self) -> set[Var]:
        """What it reads only where it writes; through a window it reads other elements of the memory, too."""
        return {var for var in self.beside if owner(var) is var}


def order(tasks: Sequence[Access], carried: Mapping[Var, Var]) -> tuple[list[int], dict[Var, Var]]:
    """The order in which tasks run, and which new states may lie where the old ones do.

    A task that makes a new state waits, where nothing that it must precede forbids it, for all readers of the old one.
    Large states are made last, and in turned order: back-propagation has just read those of the last layers, and the
    next step will begin with those of the first one, which the caches then still hold.

    Args:
        tasks: In an order in which each can run.
        carried: New state -> the old state that it replaces.
    """
    readers: dict[Var, list[int]] = {}
    for number, task in enumerate(tasks):
        for var in {owner(v) for v in task.reads - task.in_place} | task.in_place:
            readers.setdefault(var, []).append(number)
    writer = _writers(tasks)
    waits = _waits(tasks, writer)
    extra: list[set[int]] = [set() for _ in tasks]
    for new, old in carried.items():
        if new in writer:
            extra[writer[new]] |= set(readers.get(old, ())) - {writer[new]}
    late = {writer[new] for new, old in carried.items() if new in writer and size(old.spec.shape) >= _LARGE}
    sequence = _sorted(waits, extra, late)
    place = {number: position for position, number in enumerate(sequence)}
    inside: dict[Var, Var] = {}
    taken: set[Var] = set()
    for new, old in carried.items():
        if new not in writer or old in taken:
            continue
        own = tasks[writer[new]]
        others = [n for n in readers.get(old, ()) if n != writer[new]]
        reads_elsewhere = old in {owner(v) for v in own.reads - own.in_place}
        if not reads_elsewhere and all(place[n] < place[writer[new]] for n in others):
            inside[new] = old
            taken.add(old)
    return sequence, inside


def after_what_they_read(tasks: Sequence[Access]) -> list[int]:
    """The order of tasks in which each comes after those whose results it reads."""
    return _sorted(_waits(tasks, _writers(tasks)), [set() for _ in tasks])


def _writers(tasks: Sequence[Access]) -> dict[Var, int]:
    return {var: number for number, task in enumerate(tasks) for var in task.writes}


def _waits(tasks: Sequence[Access], writer: Mapping[Var, int]) -> list[set[int]]:
    return [{writer[v] for v in t.reads if v in writer and writer[v] != n} for n, t in enumerate(tasks)]


def _sorted(waits: Sequence[set[int]], extra: Sequence[set[int]], late: Collection[int] = ()) -> list[int]:
    """Tasks after those they wait for; of several that can run, the one that came first, but late ones in turned order.

    Where the extra waits go in a circle, the first task that is held up by them alone goes ahead.
    """
    left = [wait | more for wait, more in zip(waits, extra, strict=True)]
    followers: dict[int, list[int]] = {}
    for number, wait in enumerate(left):
        for other in wait:
            followers.setdefault(other, []).append(number)
    turns = [2 * len(waits) - n if n in late else n for n in range(len(waits))]
    ready = [(turns[n], n) for n, wait in enumerate(left) if not wait]
    heapq.heapify(ready)
    sequence: list[int] = []
    done: set[int] = set()
    while len(sequence) < len(waits):
        if not ready:
            free = next(n for n in range(len(waits)) if n not in done and not waits[n] - done)
            left[free].clear()
            heapq.heappush(ready, (turns[free], free))
        _, number = heapq.heappop(ready)
        sequence.append(number)
        done.add(number)
        for follower in followers.get(number, ()):
            if number in left[follower]:
                left[follower].discard(number)
                if not left[follower] and follower not in done:
                    heapq.heappush(ready, (turns[follower], follower))
    return sequence
