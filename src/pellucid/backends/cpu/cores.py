"""On which core a thread runs, how it gets to another one, and whether others use them.

A thread that wakes up is often put where the thread runs that woke it. Two threads of one plan then take turns on one
core, six times as slow as on two, until the system evens out what cores have to do: on Linux after 50 to 200
milliseconds, in which small networks are trained.
"""

from __future__ import annotations

import ctypes
import math
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
    """How idle the cores are that the calling thread may use and does not."""

    def __init__(self) -> None:
        self._before = (0, 0.0)

    def idle(self) -> float:
        """For how many seconds since the last look a core was idle, the mean of all usable cores but one.

        To hundredths; infinity at the first look, and where the system does not say.
        """
        before, self._before = self._before, self._idle()
        count, now = self._before
        return (now - before[1]) / (count - 1) if count > 1 and count == before[0] else math.inf

    @staticmethod
    def _idle() -> tuple[int, float]:
        """How many usable cores there are, and for how many seconds they were idle since the system began."""
        try:
            names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
            lines = [line.split() for line in _TIMES.read_text().splitlines() if line.startswith("cpu")]
            idle = [int(line[4]) + int(line[5]) for line in lines if line[0] in names]  # the latter waiting for disks
            return len(idle), sum(idle) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, AttributeError, IndexError):  # another system, or one that does not show this
            return 0, 0.0
