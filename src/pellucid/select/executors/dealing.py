"""Dealing: which members a worker gets next, and what becomes of those whose worker was lost."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Hashable, Sequence

#: A part should keep a worker busy for so long: longer than its building takes, short enough to hear of it soon.
PART_SECONDS = 0.5
#: Workers lost with a member before it is given up.
MOST_LOSSES = 3


class Dealer:
    """Hands out members in parts of equal plans, and takes back those that were lost.

    The size of a part follows the time that the parts before it took, and falls towards the end, so that all workers
    are done at about the same time. Members whose worker was lost are dealt one by one; those that were lost twice are
    dealt when nothing else runs, so that nobody else can be blamed for the third time (and memory is not shared).

    Args:
        keys: Of each member, in order; a part holds members of one key.
        workers: How many take parts at once.
        lanes: How many members a worker trains at once.

    >>> dealer = Dealer(["a", "a", "b"], workers=1, lanes=2)
    >>> dealer.next(), dealer.next(), dealer.next()
    ([0, 1], [2], None)
    """

    def __init__(self, keys: Sequence[Hashable], workers: int, lanes: int = 1) -> None:
        self._keys, self._workers, self._lanes = keys, workers, lanes
        self._waiting: dict[Hashable, deque[int]] = {}
        for number, key in enumerate(keys):
            self._waiting.setdefault(key, deque()).append(number)
        self._left = len(keys)
        self._again: deque[int] = deque()
        self._alone: deque[int] = deque()
        self._losses: dict[int, int] = {}
        self._seconds: dict[Hashable, float] = {}
        self._lock = threading.Lock()  # joblib asks for parts from a thread of its own

    def next(self) -> list[int] | None:
        """Members for a worker that is free, or None where there are none that others may run beside."""
        with self._lock:
            for key, numbers in self._waiting.items():
                if numbers:
                    part = [numbers.popleft() for _ in range(min(self._size(key), len(numbers)))]
                    self._left -= len(part)
                    return part
            return [self._again.popleft()] if self._again else None

    def next_alone(self) -> list[int] | None:
        """A member that is to be trained while nothing else runs, or None."""
        with self._lock:
            return [self._alone.popleft()] if self._alone else None

    def _size(self, key: Hashable) -> int:
        known = self._seconds.get(key)
        wanted = self._lanes if not known else max(self._lanes, round(PART_SECONDS * self._lanes / known))
        fair = max(math.ceil(self._left / (2 * self._workers)), min(self._lanes, math.ceil(self._left / self._workers)))
        return max(1, min(wanted, fair))

    def done(self, numbers: Sequence[int], seconds: float) -> None:
        """Members were trained, in so many seconds."""
        rounds = math.ceil(len(numbers) / self._lanes)
        with self._lock:
            self._seconds[self._keys[numbers[0]]] = max(seconds / rounds, 1e-4)

    def lost(self, numbers: Sequence[int]) -> list[int]:
        """Take back members whose worker was lost; those that are given up are returned."""
        given_up = []
        with self._lock:
            for number in numbers:
                losses = self._losses[number] = self._losses.get(number, 0) + 1
                if losses >= MOST_LOSSES:
                    given_up.append(number)
                else:
                    (self._again if losses < MOST_LOSSES - 1 else self._alone).append(number)
        return given_up
