"""Members on the workers of a Ray cluster: other machines, or other processes of this one.

Ray is an optional library (``pip install 'pellucid[cluster]'``), imported when it is used.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pickle import PicklingError
from typing import Any, Self

from pellucid import backends
from pellucid.errors import missing_dependency
from pellucid.select.executors.asking import Ask, Desk, Line
from pellucid.select.executors.base import Executor, Work
from pellucid.select.executors.remote import Ledger, cannot_travel, job_of
from pellucid.select.executors.worker import Done, Job, Part, environment, known, run_part
from pellucid.select.task import EpochListener, Listener, Member, Outcome


class Cluster(Executor):
    """Trains members on the cluster that the program is connected to, or that ``RAY_ADDRESS`` names.

    Where there is none, one of this machine's cores is started, and ended after the last member; it takes about as long
    as thousands of small fits (and a dozen processes). ``ray.init()`` beforehand keeps one for several calls.
    """

    def run(self, work: Work, listener: Listener | None = None) -> list[Outcome]:
        """Train all members on the cluster."""
        ray = imported_ray()
        with _connected(ray, self.jobs):
            jobs, threads = self._workers(ray)
            ledger = Ledger(work, listener, jobs, threads)
            asked = work.task.on_epoch
            with nullcontext() if asked is None else ActorDesk(ray, asked, work.members) as desk:
                job = job_of(work, threads, desk and desk.line)
                _Trip(ray, ledger, job, jobs, desk).run()
        return ledger.outcomes

    def _workers(self, ray: Any) -> tuple[int, int]:
        """Parts at once, and threads of each: no more than the smallest machine has."""
        cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        cores = [count for count in cores if count] or [1]
        jobs = self.jobs or sum(cores)
        return jobs, max(1, min(sum(cores) // jobs, *cores))


class _Trip:
    """The parts of one job, to workers and back."""

    def __init__(self, ray: Any, ledger: Ledger, job: Job, jobs: int, desk: Desk | None) -> None:
        self._ray, self._ledger, self._jobs, self._desk = ray, ledger, jobs, desk
        self._name = job.name
        self._train = ray.remote(num_cpus=job.threads, max_retries=0)(train_part)
        lost = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError", "LocalRayletDiedError")
        self._lost: Any = tuple(getattr(ray.exceptions, name) for name in lost)
        self._away: dict[Any, int] = {}
        try:
            self._data = ray.put(job)  # once; every machine fetches it once
        except (TypeError, PicklingError) as error:
            raise cannot_travel(error) from error

    def run(self) -> None:
        """Send parts until all are back; Ctrl-C ends those that are away."""
        try:
            while self._send() or self._away:
                ready, _ = self._ray.wait(list(self._away), num_returns=1)
                self._receive(ready[0])
        except KeyboardInterrupt:
            self._cancel()
        except BaseException:
            self._cancel()
            raise

    def _send(self) -> bool:
        """Give every free place a part; whether there was one."""
        dealer, before = self._ledger.dealer, len(self._away)
        while len(self._away) < self._jobs:
            part = self._ledger.send(dealer.next)
            if part is None and not self._away:
                part = self._ledger.send(dealer.next_alone)
            if part is None:
                break
            self._away[self._train.remote(self._name, [self._data], part)] = part[0][0]
        return len(self._away) > before

    def _receive(self, reference: Any) -> None:
        first = self._away.pop(reference)
        try:
            self._ledger.arrived(self._ray.get(reference))
        except self._lost:
            self._ledger.lost(first)
        except self._ray.exceptions.RayTaskError as error:
            raise getattr(error, "cause", None) or error from None
        if self._desk is not None:
            self._desk.check()

    def _cancel(self) -> None:
        away = list(self._away)
        for reference in away:
            self._ray.cancel(reference, force=True)
        ended, _ = self._ray.wait(away, num_returns=len(away), timeout=5) if away else ([], [])
        for reference in ended:  # Ray prints the errors that nobody has looked at
            try:
                self._ray.get(reference)
            except Exception:
                pass


def train_part(name: str, data: list[Any], part: Part) -> Done:
    """In a worker: train a part of a job, which is fetched when it is new here."""
    job = known(name)
    return run_part(imported_ray().get(data[0]) if job is None else job, part)


def imported_ray() -> Any:
    """The library.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise missing_dependency("ray", "executor='ray'", "cluster") from error
    return ray


@contextmanager
def _connected(ray: Any, jobs: int | None) -> Iterator[None]:
    """In the block there is a cluster: the one that is there, or a small one of this machine."""
    if ray.is_initialized():
        yield
        return
    # The new processes must find the modules that this one has found; and nobody asked to send statistics of usage.
    found = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path), "RAY_USAGE_STATS_ENABLED": "0"}
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with environment(found):
        if os.environ.get("RAY_ADDRESS"):
            ray.init(log_to_driver=False, logging_level="ERROR")
        else:
            ray.init("local", num_cpus=max(backends.num_threads(), jobs or 1), **quiet)
    try:
        yield
    finally:
        ray.shutdown()


class Post:
    """An actor that holds the questions of workers until they are answered."""

    def __init__(self) -> None:
        self._questions: asyncio.Queue[Any] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._tickets = itertools.count()

    async def ask(self, number: int, epoch: int, numbers: Mapping[str, float]) -> str | None:
        """Called by a worker."""
        ticket = next(self._tickets)
        answer = self._answers[ticket] = asyncio.get_running_loop().create_future()
        await self._questions.put((ticket, number, epoch, numbers))
        return await answer

    async def questions(self) -> list[Any]:
        """Called by the process that answers: those that are new, at least one."""
        found = [await self._questions.get()]
        while not self._questions.empty():
            found.append(self._questions.get_nowait())
        return found

    async def answer(self, ticket: int, text: str | None) -> None:
        """Called by the process that answers."""
        answer = self._answers.pop(ticket)
        if not answer.done():  # its worker may have been lost
            answer.set_result(text)


class ActorLine(Line):
    """To the desk of another process of the cluster."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """Ask through the actor."""
        ray = imported_ray()
        yield lambda number, epoch, numbers: ray.get(self._actor.ask.remote(number, epoch, dict(numbers)))


class ActorDesk(Desk):
    """Answers workers of a cluster, while it is entered."""

    def __init__(self, ray: Any, on_epoch: EpochListener, members: Sequence[Member]) -> None:
        super().__init__(on_epoch, members)
        self._ray = ray

    def __enter__(self) -> Self:
        self._actor = self._ray.remote(num_cpus=0)(Post).remote()
        self.line = ActorLine(self._actor)
        self._thread = threading.Thread(target=self._serve, name="pellucid-desk", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.kill(self._actor)
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                questions = self._ray.get(self._actor.questions.remote())
            except self._ray.exceptions.RayError:  # the actor has ended
                return
            for ticket, *question in questions:
                threading.Thread(target=self._reply, args=(ticket, question), daemon=True).start()

    def _reply(self, ticket: int, question: Any) -> None:
        text = self.answer(*question)
        self._actor.answer.remote(ticket, text)
