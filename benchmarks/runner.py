"""The side that asks: candidates in processes of their own, prepared one after another and measured in turns."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.candidates import Candidate
from benchmarks.distance import round_trip
from benchmarks.results import Figure, Row
from benchmarks.serving import Done, Failure, Prepare, Prepared, Turn, serve
from benchmarks.work import Estimation, Inference, Kernel, Training, Work, cores

_SECTIONS = {Training: "training", Inference: "inference", Kernel: "kernels", Estimation: "estimators"}


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: Turns of every candidate that count.
        warm: Turns before them that do not.
        seconds: Length of a turn, at least one pass.
        kernel_seconds: The same for bare products.
        patience: Seconds after which a candidate counts as failed.
    """

    rounds: int = 7
    warm: int = 1
    seconds: float = 0.25
    kernel_seconds: float = 0.05
    patience: float = 240.0


class Worker:
    """A candidate's process."""

    def __init__(self, candidate: Candidate, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.candidate = candidate
        self._connection, theirs = context.Pipe()
        log = folder / f"{candidate.name.replace(', ', '-').replace(' ', '-')}.log"
        self._process = context.Process(
            target=serve, args=(theirs, candidate.entry, dict(candidate.environment), log), daemon=True
        )
        self._process.start()
        theirs.close()

    def reply(self, patience: float) -> Any:
        """The next answer; a process that is silent or gone has failed, and is ended."""
        try:
            if self._connection.poll(patience):
                return self._connection.recv()
            failure = Failure(f"no answer within {patience:g} s")
        except EOFError:
            failure = Failure("its process ended")
        self._process.kill()
        return failure

    def ask(self, order: Prepare | Turn, patience: float) -> Any:
        """The answer to an order."""
        try:
            self._connection.send(order)
        except OSError:
            return Failure("its process has ended")
        return self.reply(patience)

    def close(self) -> None:
        """End the process."""
        try:
            self._connection.send(None)
        except OSError:
            pass
        self._process.join(5)
        self._process.kill()


def measure(works: Sequence[Work], candidates: Sequence[Candidate], plan: Plan, folder: Path) -> Iterator[Row]:
    """The rows of some pieces of work, which the same processes do one after another."""
    asked = [c for c in candidates if any(map(c.takes, works))]
    workers = [Worker(candidate, folder) for candidate in asked]
    try:
        absent = {}
        for worker in workers:
            started = worker.reply(plan.patience)
            if isinstance(started, Failure):
                absent[worker.candidate.name] = started.text
        present = [w for w in workers if w.candidate.name not in absent]
        for work in works:
            yield _row(work, [w for w in present if w.candidate.takes(work)], plan, absent)
    finally:
        for worker in workers:
            worker.close()


def _row(work: Work, workers: Sequence[Worker], plan: Plan, absent: dict[str, str]) -> Row:
    failures = dict(absent)
    ready: dict[Worker, Prepared] = {}
    order = Prepare(work, plan.kernel_seconds if isinstance(work, Kernel) else plan.seconds)
    for worker in workers:
        answer = worker.ask(order, plan.patience)
        if isinstance(answer, Prepared):
            ready[worker] = answer
            failures |= {f"{worker.candidate.name}: {way}": text for way, text in answer.failed.items()}
        else:
            failures[worker.candidate.name] = answer.text
        time.sleep(worker.candidate.rest)
    before = round_trip()
    turns = take_turns(list(ready), plan, failures)
    return Row(
        section=_SECTIONS[type(work)],
        name=work.name,
        unit="ms" if isinstance(work, Estimation) else "us",
        figures={w.candidate.name: _figure(ready[w], done, plan) for w, done in turns.items()},
        failures=failures,
        targets=work.targets,
        flops=work.product.flops if isinstance(work, Kernel) else None,
        apart=tuple(apart for apart in (before, round_trip()) if apart is not None),
    )


@dataclass(frozen=True)
class Turned:
    """A turn as seen from outside: what the candidate says, how long it took, and how busy the machine was."""

    done: Done
    seconds: float
    busy: float


def take_turns(workers: list[Worker], plan: Plan, failures: dict[str, str]) -> dict[Worker, list[Turned]]:
    """All rounds; in each, another candidate begins."""
    done: dict[Worker, list[Turned]] = {worker: [] for worker in workers}
    for number in range(plan.warm + plan.rounds):
        shift = number % max(len(workers), 1)
        for worker in [*workers[shift:], *workers[:shift]]:
            if worker not in done:
                continue
            started, busy = time.perf_counter(), machine.busy_seconds()
            answer = worker.ask(Turn(), plan.patience)
            if isinstance(answer, Done):
                busy = machine.busy_seconds() - busy
                done[worker].append(Turned(answer, time.perf_counter() - started, busy))
                time.sleep(worker.candidate.rest)
            else:
                failures[worker.candidate.name] = answer.text
                del done[worker]
    return done


def _figure(prepared: Prepared, turns: list[Turned], plan: Plan) -> Figure:
    counted = turns[plan.warm :]
    by_others = sum(turn.busy - turn.done.used for turn in counted)
    return Figure(
        rounds=tuple(turn.done.microseconds for turn in counted),
        variant=prepared.variant,
        trials=prepared.trials,
        burnt=max(turn.done.burnt for turn in turns),
        threads=prepared.threads,
        score=prepared.score,
        others=max(0.0, by_others / (sum(turn.seconds for turn in counted) * cores())),
    )
