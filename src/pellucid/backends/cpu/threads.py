"""How many threads the engine uses, and the pool that keeps them ready.

A worker is a Python thread inside a native loop: it holds no lock of the interpreter, spins briefly for the next plan,
and sleeps when none comes. The calling thread does its own share.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import config
from pellucid.backends.cpu import cores, runner
from pellucid.backends.cpu.moves import CURSOR_STRIDE
from pellucid.errors import ConfigurationError

_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_WORK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
# Times of jobs that have been watched.
_WATCHED: list[np.ndarray] = []


@lru_cache(maxsize=1)
def most() -> int:
    """The most threads that ever share a plan: as many as there are cores, but up to eight on any machine.

    Plans have memory for so many: the number stays what it was, should cores come or go.
    """
    return min(max(8, os.cpu_count() or 1), Job.MOST_THREADS)


def usable_cores() -> int:
    """Cores that this process may use: by its affinity, and by the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(int(time.monotonic()))
    return max(1, min(cores, quota or cores, Job.MOST_THREADS))


@lru_cache(maxsize=1)
def _quota(now: int) -> int | None:
    """Whole cores of the control group's quota, rounded up; None where there is none.

    It is read once a second: reading takes as long as a step of a small network.
    """
    del now
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else max(1, -(-int(limit) // int(period)))
    except (OSError, ValueError):
        return None


def check(count: int) -> int:
    """A number of threads.

    Raises:
        ConfigurationError: It is not a whole number from 1 to the most that the engine can keep.
    """
    good = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
    if not good or not 1 <= count <= Job.MOST_THREADS:
        raise ConfigurationError(
            f"The number of threads must be a whole number from 1 to {Job.MOST_THREADS}, not {count!r}."
        )
    return int(count)


@lru_cache(maxsize=1)
def _run() -> Any:
    return _RUN(runner.runner())


class Job:
    """A plan as the native loop sees it.

    Args:
        table: A row for each instruction; see :data:`~pellucid.backends.cpu.runner.ROW`.
        flush: Whether denormal numbers count as 0, which is fast; else they are what IEEE 754 says.

    Attributes:
        cursors: The number of the present step, once for each thread; the address that kernels know is the first's.
        address: Where the job lies.
        times: What :meth:`watch` has gathered.
    """

    #: The most threads that a job is ready for.
    MOST_THREADS = 256

    def __init__(self, table: np.ndarray, flush: bool) -> None:
        self._table = table  # kept alive
        self.cursors = np.zeros((self.MOST_THREADS, CURSOR_STRIDE // 8), np.int64)
        self._entries = np.zeros(runner.JOB_SIZE, np.int64)
        self._entries[[runner.TABLE, runner.COUNT, runner.CURSORS, runner.FLUSH]] = (
            table.ctypes.data,
            len(table),
            self.cursors.ctypes.data,
            flush,
        )
        self.times = np.zeros((0, len(table), 2), np.int64)
        self.address = self._entries.ctypes.data
        self._line = np.array([[self.address, 0, 1, 0]], np.int64)

    def __reduce__(self) -> Any:
        raise TypeError("A plan of the engine holds addresses of its memory: it cannot be copied.")

    def watch(self) -> None:
        """From now on every thread adds up what each instruction takes, and the wait after it: ``times[thread, n]``.

        In units of the processor's counter; nothing is counted where a program may not read it.
        """
        self.times = np.zeros((self.MOST_THREADS, len(self._table), 2), np.int64)
        # Helpers write down their last wait after a run has come back: this memory must outlive the job.
        _WATCHED.append(self.times)
        self._entries[runner.TIMES] = self.times.ctypes.data

    def script(self, first: int, steps: int) -> np.ndarray:
        """The script that makes some steps of this job alone."""
        self._line[0, [runner.LINE_FIRST, runner.LINE_STEPS]] = first, steps
        return self._line


class _Alone(threading.local):
    here = False


_alone = _Alone()


@contextmanager
def alone() -> Iterator[None]:
    """In the block, what this thread of the program runs uses no other one."""
    before, _alone.here = _alone.here, True
    try:
        yield
    finally:
        _alone.here = before


class Pool:
    """Workers that run plans together with the calling thread."""

    def __init__(self) -> None:
        self.count: int | None = None
        self._start_over()

    def _start_over(self) -> None:
        """Nothing is shared with anyone yet: the state of a new process."""
        self._shared = np.zeros(runner.SHARED + 8, np.int64)
        offset = (-self._shared.ctypes.data // 8) % 8
        self._view = self._shared[offset : offset + runner.SHARED]
        self._address = self._view.ctypes.data
        self._lock = threading.Lock()
        self._wake = threading.Condition()
        self._workers: list[threading.Thread] = []
        self._asleep = 0
        self._cores: list[int] = []
        self._process = os.getpid()

    def size(self) -> int:
        """Threads that a plan may use now."""
        if _alone.here:
            return 1
        if self.count is not None:
            return self.count
        given = config.THREADS.read()
        if given:
            if not given.isdigit():
                raise ConfigurationError(f"{config.THREADS.variable} must be a whole number, not {given!r}.")
            return check(int(given))
        limit = config.OPENMP_THREADS.read()  # may be a list for nested loops, or what only OpenMP knows
        return min(usable_cores(), int(limit)) if limit.isdigit() and int(limit) else usable_cores()

    def run(self, script: np.ndarray, threads: int) -> None:
        """Make the steps of a script, whose lines are what the native loop reads.

        The result does not depend on the number of threads; more than :func:`most` gain nothing and are not used.
        """
        threads = min(threads, most())
        if self._process != os.getpid():
            self._start_over()  # a forked child has none of its parent's threads
        if threads == 1 or not self._lock.acquire(blocking=False):
            # Another thread of the program has the workers: this one works alone rather than wait.
            _run()(self._address, script.ctypes.data, len(script), 0, 1)
            return
        try:
            self._prepare(threads)
            address = script.ctypes.data
            self._view[runner.SCRIPT], self._view[runner.LENGTH] = address, len(script)
            self._announce()
            _run()(self._address, address, len(script), 0, threads)
        finally:
            self._lock.release()

    def alone(self, script: np.ndarray) -> Callable[[], None]:
        """A function that makes the steps of a script on the calling thread, again and again, with the least ado."""
        native, here, kept = _run(), self._address, (self._shared, script.copy())
        lines, length = kept[1].ctypes.data, len(script)

        def run(_kept: Any = kept) -> None:
            native(here, lines, length, 0, 1)

        return run

    def _announce(self) -> None:
        """Tell the workers, waking those that sleep."""
        if self._asleep:
            self._cores[0] = cores.here()
        self._view[runner.GENERATION] += 1
        if self._asleep:
            with self._wake:
                self._wake.notify_all()

    def _prepare(self, threads: int) -> None:
        """As many workers as are needed: all of them take part in every plan."""
        if len(self._workers) == threads - 1:
            return
        self._view[runner.STOP] = 1
        self._announce()
        for worker in self._workers:
            worker.join()
        self._workers, self._cores = [], [cores.here(), *[-1] * (threads - 1)]
        self._view[runner.STOP] = 0
        self._view[runner.THREADS] = threads
        seen = int(self._view[runner.GENERATION])
        for number in range(1, threads):
            worker = threading.Thread(target=self._work, args=(number, seen), name=f"pellucid-{number}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self, number: int, seen: int) -> None:
        """The life of a worker."""
        work = _WORK(runner.worker())
        while True:
            taken = [core for n, core in enumerate(self._cores) if n != number]
            self._cores[number] = cores.leave(taken)
            seen = work(self._address, seen, number)
            if seen < 0:
                return
            with self._wake:
                self._asleep += 1
                self._wake.wait_for(lambda last=seen: int(self._view[runner.GENERATION]) != last)
                self._asleep -= 1


POOL = Pool()
