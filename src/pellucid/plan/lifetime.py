"""Which temporary lies where: one arena, in which memory is used again once its value is dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.alignment import ALIGNMENT


@dataclass(frozen=True)
class Lifetime:
    """A temporary: its size in bytes, and the first and last instruction that touches it."""

    size: int
    first: int
    last: int


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
