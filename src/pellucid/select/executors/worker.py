"""What runs in a worker: some members of a job, with the settings of the process that sent them."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pellucid import config
from pellucid.select.executors.asking import Line
from pellucid.select.executors.threads import threads_of
from pellucid.select.folds import Fold
from pellucid.select.task import Member, Outcome, Task, Trainer

#: An idle worker forgets its job after so many seconds: the memory of the data is shared, and free when all forget it.
FORGETS_AFTER = 3.0


@dataclass(eq=False)
class Job:
    """What all workers of a run are told.

    Attributes:
        name: Tells it from other jobs.
        train: Trains members in one process.
        task: What the members share.
        threads: How many threads a worker uses.
        line: Where epochs are reported to, if anybody wants to know.
        settings: Environment variables of Pellucid's settings.
        filters: Which warnings are shown, and which are errors.
        folds: In the worker: the folds that it has seen, by number.
    """

    name: str
    train: Trainer
    task: Task
    threads: int
    line: Line | None = None
    settings: Mapping[str, str | None] = field(default_factory=dict)
    filters: Sequence[Any] = ()
    folds: dict[int, Fold] = field(default_factory=dict)


#: Members by their number in the whole work, each with the number of its fold.
Part = Sequence[tuple[int, int, Member]]


@dataclass(frozen=True, eq=False)
class Done:
    """A part that was trained: its members' numbers, their outcomes, and how long it took."""

    numbers: list[int]
    outcomes: list[Outcome]
    seconds: float


class _Memory:
    """The job of this worker, with the samples that it prepared for its folds."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def begin(self, job: Job) -> Job:
        """The job as this worker had it first; it is not forgotten until ``end``."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self.job is None or self.job.name != job.name:
                self.job = job
            return self.job

    def end(self) -> None:
        """Forget the job, unless another part of it comes soon."""
        self._timer = threading.Timer(FORGETS_AFTER, self._forget)
        self._timer.daemon = True
        self._timer.start()

    def _forget(self) -> None:
        with self._lock:
            if threading.current_thread() is self._timer:  # not one that was cancelled too late
                self.job = None
        gc.collect()  # models are part of circles


_memory = _Memory()


def settings_here() -> dict[str, str | None]:
    """The settings that workers take over: all but the number of threads and the folders, which are those of their
    machine; and no displays of their own.
    """
    own = {config.THREADS, config.OPENMP_THREADS, config.DATA, config.CACHE}
    found = {s.variable: os.environ.get(s.variable) for s in config.SETTINGS if s not in own}
    return {**found, config.PROGRESS.variable: "off"}


def known(name: str) -> Job | None:
    """The job of a name, if this worker has it already."""
    job = _memory.job
    return job if job is not None and job.name == name else None


def run_part(job: Job, part: Part) -> Done:
    """Train some members."""
    started = time.perf_counter()
    job = _memory.begin(job)
    members = [replace(member, fold=job.folds.setdefault(fold, member.fold)) for _, fold, member in part]
    with ExitStack() as stack:
        stack.callback(_memory.end)
        stack.enter_context(_deaf())
        stack.enter_context(environment(job.settings))
        stack.enter_context(threads_of(job.threads))
        stack.enter_context(warnings.catch_warnings())
        warnings.filters[:] = job.filters  # pyright: ignore[reportIndexIssue] - a list, whatever its stub says
        task = job.task
        if job.line is not None:
            numbers = {id(member): number for member, (number, _, _) in zip(members, part, strict=True)}
            ask = stack.enter_context(job.line.open())
            task = replace(task, on_epoch=lambda member, epoch, logs: ask(numbers[id(member)], epoch, logs))
        outcomes = job.train(task, members, None)
    return Done([number for number, _, _ in part], outcomes, time.perf_counter() - started)


@contextmanager
def _deaf() -> Iterator[None]:
    """In the block, Ctrl-C is the business of the process that sent the work: it ends this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """In the block, environment variables have these values; None: are not set."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
