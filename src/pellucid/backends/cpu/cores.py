"""On which core a thread runs, and how it gets to another one.

A thread that wakes up is often put where the thread runs that woke it. Two threads of one plan then take turns on one
core, six times as slow as on two, until the system evens out what cores have to do: on Linux after 50 to 200
milliseconds, in which small networks are trained.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Collection
from functools import lru_cache


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
