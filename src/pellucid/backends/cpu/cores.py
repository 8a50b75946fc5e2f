"""On which core a thread runs, how it gets to another one, and whether others use them.

A thread that wakes up is often put where the thread runs that woke it. Two threads of one plan then take turns on one
core, six times as slow as on two, until the system evens out what cores have to do: on Linux after 50 to 200
milliseconds, in which small networks are trained.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

#: Where Linux tells what its cores have done.
_TIMES = Path("/proc/stat")


@lru_cache(maxsize=1)
def _getter() -> Callable[[], int] | None:
    """The system's function that gives the number of the present core; None where there is none."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None


def here() -> int:
    """The number of the core that this thread runs on; -1 where the system does not say.

    >>> here() == -1 or here() in os.sched_getaffinity(0)
    True
    """
    get = _getter()
    return get() if get is not None else -1


def leave(taken: Collection[int]) -> int:
    """Move this thread to another core if it is on one of these, and there is another that it may use.

    It may use all cores afterwards that it might use before: the system may move it again.

    Returns:
        The core that it is on then; -1 where the system does not say.
    """
    now = here()
    if now < 0 or now not in taken:
        return now
    try:
        allowed = os.sched_getaffinity(0)
        if free := allowed - set(taken):
            os.sched_setaffinity(0, free)
            now = here()
            os.sched_setaffinity(0, allowed)
    except OSError:  # it may not, or its cores have just been taken away
        pass
    return now


class Others:
    """What others than the calling thread do on the cores that it may use."""

    #: The system counts in units of 10 ms: a look after fewer of them for each core says nothing.
    LEAST = 5

    def __init__(self) -> None:
        self._before = (0, 0, 0)

    def idle(self) -> float:
        """What share of the time of all usable cores but one was idle since the last look.

        1 at the first look, soon after another one, and where the system does not say.
        """
        before, self._before = self._before, self._spent()
        count = self._before[0]
        idle, spent = (now - then for now, then in zip(self._before[1:], before[1:], strict=True))
        if count < 2 or count != before[0] or spent < self.LEAST * count:
            return 1.0
        return min(1.0, idle / spent * count / (count - 1))

    @staticmethod
    def _spent() -> tuple[int, int, int]:
        """How many cores there are, their idle time, and all of it: since the system began, in units of 10 ms."""
        try:
            names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
            lines = [line.split() for line in _TIMES.read_text().splitlines() if line.startswith("cpu")]
            times = [[int(value) for value in line[1:9]] for line in lines if line[0] in names]
        except (OSError, ValueError, AttributeError):  # another system, or one that does not show this
            return 0, 0, 0
        return len(times), sum(sum(line[3:5]) for line in times), sum(map(sum, times))
