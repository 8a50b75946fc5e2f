"""How far two cores are from each other: the time in which a cache line goes from one to the other and back.

A virtual machine's cores may lie beside each other or on two sockets, and the host may move them at any time. Threads
that share data then take up to half as long again, and more in OpenMP: a figure says little without this.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.native import compiled

#: Nanoseconds from which on cores count as far: on one chip a line takes 50 to 200, between sockets 400 to 1000.
FAR = 300

_TRIPS, _TRIES = 5_000, 3
# Each writes its number as soon as the other one has written the number that it waits for.
_SOURCE = """
define void @play(ptr %mine, ptr %other, i64 %count, i64 %lag) {
entry:
  br label %turn
turn:
  %i = phi i64 [1, %entry], [%next, %written]
  %wanted = sub i64 %i, %lag
  br label %wait
wait:
  %seen = load atomic i64, ptr %other acquire, align 8
  %come = icmp sge i64 %seen, %wanted
  br i1 %come, label %write, label %wait
write:
  store atomic i64 %i, ptr %mine release, align 8
  br label %written
written:
  %next = add i64 %i, 1
  %more = icmp sle i64 %next, %count
  br i1 %more, label %turn, label %done
done:
  ret void
}
"""


@lru_cache(maxsize=1)
def _play() -> tuple[Any, Any]:
    """The engine that owns the code, and the code as a function."""
    return compiled(_SOURCE, "play", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def round_trip() -> float | None:
    """Nanoseconds between the first two usable cores, the least of some tries; None where threads cannot be bound."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    return min(_trips() for _ in range(_TRIES))


def _trips() -> float:
    lines, seconds = np.zeros(1024, np.int64), list[float]()
    first, second = lines.ctypes.data + 256, lines.ctypes.data + 4096
    start = threading.Barrier(2)

    def run(core: int, mine: int, other: int, lag: int) -> None:
        os.sched_setaffinity(0, {core})
        start.wait()
        started = time.perf_counter()
        _play()[1](mine, other, _TRIPS, lag)
        seconds.append(time.perf_counter() - started)

    _play()
    cores = sorted(os.sched_getaffinity(0))
    threads = [
        threading.Thread(target=run, args=own) for own in ((cores[0], first, second, 1), (cores[1], second, first, 0))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return min(seconds) / _TRIPS * 1e9
