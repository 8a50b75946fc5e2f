"""The side of a candidate: a process that waits, prepares a piece of work when told to, and does it in turns."""

from __future__ import annotations

import math
import os
import pkgutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = Callable[[int], object]
#: Ways to do a piece of work, each made when it is tried; the quickest is kept.
Variants = Mapping[str, Callable[[], Run]]

#: A trial is the best of so many runs at least, or of as many as fit in so many seconds; and it goes on until that is
#: settled which a library finds out for itself (which code to use, how many threads).
_TRIAL_RUNS, _TRIAL_SECONDS, _SETTLED = 3, 0.6, 0.2


@dataclass(frozen=True)
class Prepare:
    """Get ready for a piece of work, in turns of about so many seconds."""

    work: Any
    seconds: float


@dataclass(frozen=True)
class Turn:
    """Do the work that was prepared."""


@dataclass(frozen=True)
class Prepared:
    """Ready.

    Attributes:
        variant: The quickest way.
        trials: Microseconds of every way that worked.
        threads: Threads of the process now.
        failed: Why other ways did not work.
        score: How good what it makes is, where the run says so.
    """

    variant: str
    trials: dict[str, float]
    threads: int
    failed: dict[str, str]
    score: float | None = None


@dataclass(frozen=True)
class Done:
    """A turn was made.

    Attributes:
        microseconds: Per unit of the work.
        burnt: Processor seconds that this process used while it waited for the turn.
        used: Processor seconds of the turn.
    """

    microseconds: float
    burnt: float
    used: float


@dataclass(frozen=True)
class Failure:
    """It did not work, and why."""

    text: str


def choose(variants: Variants, unit: int, seconds: float) -> tuple[Prepared, Run, int]:
    """Try every way; the quickest, and how often it is to be repeated in a turn.

    Raises:
        RuntimeError: None works.
    """
    runs: dict[str, Run] = {}
    trials: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name, make in variants.items():
        try:
            run = make()
            run(1)
            trials[name], runs[name] = _trial(run), run
        except Exception:
            failed[name] = traceback.format_exc(limit=-3)
    if not runs:
        raise RuntimeError("\n".join(f"{name}: {text}" for name, text in failed.items()))
    best = min(trials, key=trials.__getitem__)
    microseconds = {name: value / unit * 1e6 for name, value in trials.items()}
    count = max(1, math.ceil(seconds / trials[best]))
    judge = getattr(runs[best], "score", None)
    return Prepared(best, microseconds, _threads(), failed, judge() if judge else None), runs[best], count


def _trial(run: Run) -> float:
    """Seconds of the best of a few runs."""
    best, spent, runs = math.inf, 0.0, 0
    while spent <= _TRIAL_SECONDS and (runs < _TRIAL_RUNS or spent < _SETTLED):
        seconds = timed(run, 1)
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return best


def timed(run: Run, count: int) -> float:
    """Seconds of a run."""
    started = time.perf_counter()
    run(count)
    return time.perf_counter() - started


def _threads() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 0


class Desk:
    """Answers the orders of the runner."""

    def __init__(self, entry: Callable[[Any], Variants]) -> None:
        self._entry = entry
        self._run: Run | None = None
        self._count, self._unit = 1, 1

    def answer(self, order: Prepare | Turn, burnt: float) -> Prepared | Done:
        """Do what is ordered."""
        if isinstance(order, Prepare):
            self._run = None  # its memory is free before the next is made
            prepared, self._run, self._count = choose(self._entry(order.work), order.work.unit, order.seconds)
            self._unit = order.work.unit
            return prepared
        assert self._run is not None
        before = time.process_time()
        microseconds = timed(self._run, self._count) / (self._count * self._unit) * 1e6
        return Done(microseconds, burnt, time.process_time() - before)


def serve(connection: Any, entry: str, environment: dict[str, str], log: Path) -> None:
    """The life of a candidate's process; what its libraries print goes to the log."""
    _divert(log)
    os.environ.update(environment)
    try:
        desk = Desk(pkgutil.resolve_name(entry))
        connection.send(True)
    except Exception:
        connection.send(Failure(traceback.format_exc(limit=-3)))
        return
    waiting_since = time.process_time()
    while (order := connection.recv()) is not None:
        burnt = time.process_time() - waiting_since
        try:
            reply: Any = desk.answer(order, burnt)
        except Exception:
            reply = Failure(traceback.format_exc(limit=-3))
        waiting_since = time.process_time()
        connection.send(reply)


def _divert(log: Path) -> None:
    sys.stdout.flush()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
