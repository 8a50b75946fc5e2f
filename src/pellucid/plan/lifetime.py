"""Which temporary lies where: one arena, in which memory is used again once its value is dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pellucid.alignment import ALIGNMENT
from pellucid.plan.barriers import Access, Touch


@dataclass(frozen=True)
class Lifetime:
    """A temporary: its size in bytes, and the first and last phase in which it is touched."""

    size: int
    first: int
    last: int


def chains(phases: Sequence[Sequence[Access]], sizes: Mapping[int, int]) -> list[tuple[list[int], Lifetime]]:
    """The temporaries, those together that lie in one place one after the other, and how long they need it.

    What is alive in the same phase lies apart, for threads are at different instructions of it. Only where threads keep
    to the same rows of one temporary before, and of another one afterwards, may the latter take the former's place.

    Args:
        phases: What the instructions of each phase touch.
        sizes: Temporary -> its bytes.
    """
    first, last, rows = _uses(phases, sizes)
    own: dict[int, list[int]] = {}
    found: list[list[int]] = [[buffer] for buffer in sizes if buffer not in first]
    for now, phase in enumerate(phases):
        free: dict[tuple[object, ...], list[list[int]]] = {}
        for place, access in enumerate(phase):
            here = [buffer for buffer in dict.fromkeys(t.buffer for t in access.touches) if buffer in sizes]
            for buffer in here:
                if first[buffer] == (now, place):
                    left = free.get((sizes[buffer], *rows[now, buffer]))
                    own[buffer] = left.pop() if left else []
                    found += [] if own[buffer] else [own[buffer]]
                    own[buffer].append(buffer)
            for buffer in here:
                if last[buffer] == (now, place) and rows[now, buffer]:
                    free.setdefault((sizes[buffer], *rows[now, buffer]), []).append(own[buffer])
    none = (0, 0)
    return [(c, Lifetime(sizes[c[0]], first.get(c[0], none)[0], last.get(c[-1], none)[0])) for c in found]


_Place = tuple[int, int]


def _uses(
    phases: Sequence[Sequence[Access]], sizes: Mapping[int, int]
) -> tuple[dict[int, _Place], dict[int, _Place], dict[tuple[int, int], tuple[object, ...]]]:
    """For each temporary the phase and instruction that touch it first, and last; and how threads share it in a phase.

    The way of sharing is empty where a thread may touch anything; of equal ways, a thread has the same bytes.
    """
    first: dict[int, _Place] = {}
    last: dict[int, _Place] = {}
    ways: dict[tuple[int, int], tuple[object, ...]] = {}
    for now, phase in enumerate(phases):
        for place, access in enumerate(phase):
            for touch in access.touches:
                if touch.buffer not in sizes:
                    continue
                first.setdefault(touch.buffer, (now, place))
                last[touch.buffer] = now, place
                way = _way(touch)
                ways[now, touch.buffer] = way if ways.get((now, touch.buffer), way) == way else ()
    return first, last, ways


def _way(touch: Touch) -> tuple[object, ...]:
    """How threads share what is touched, where that is the same in each part of the buffer of as many bytes."""
    if touch.rows is None or touch.span is None:
        return ()
    low, high = touch.span
    return () if low % (high - low) else (touch.rows, touch.each)


def aligned(size: int) -> int:
    """The size rounded up to whole cache lines, at least one, so that no value shares a line with another.

    >>> aligned(1), aligned(64), aligned(65)
    (64, 64, 128)
    """
    return max(-(-size // ALIGNMENT), 1) * ALIGNMENT


def place(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """The offset of each temporary, and the size of the arena.

    Largest first, each at the lowest place where nothing that lives at the same time lies (first fit): no optimum, but
    within a few per cent of it for training graphs, and the same on every run.

    >>> place([Lifetime(64, 0, 1), Lifetime(64, 2, 3), Lifetime(128, 1, 2)])
    ([128, 128, 0], 192)
    """
    offsets = [0] * len(lifetimes)
    placed: list[tuple[int, int, Lifetime]] = []
    total = 0
    for number in sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size, i)):
        own = lifetimes[number]
        needed = aligned(own.size)
        start = 0
        for low, high, other in placed:  # kept sorted by place
            if other.first > own.last or other.last < own.first:
                continue
            if low - start >= needed:
                break
            start = max(start, high)
        offsets[number] = start
        placed.append((start, start + needed, own))
        placed.sort(key=lambda item: item[0])
        total = max(total, start + needed)
    return offsets, total
