"""Members in worker processes of this machine, through joblib."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from itertools import chain
from pickle import PicklingError
from typing import Any

from joblib import Parallel, delayed, parallel_config

from pellucid import backends
from pellucid.select.executors.asking import Desk, SocketDesk
from pellucid.select.executors.base import Executor, Work
from pellucid.select.executors.remote import Ledger, cannot_travel, job_of
from pellucid.select.executors.worker import Job, run_part
from pellucid.select.task import Listener, Outcome

#: Arrays from this size on lie in memory that all processes share.
_SHARED_BYTES = 1 << 14


class Processes(Executor):
    """Trains members in a pool of processes, which joblib keeps for the next time.

    With fewer processes than cores, each gets several threads. A killed process takes joblib's whole pool with it:
    what was on its way is dealt again to a new one.
    """

    def run(self, work: Work, listener: Listener | None = None) -> list[Outcome]:
        """Train all members in other processes."""
        cores = backends.num_threads()
        jobs = self.jobs or cores
        threads = max(1, cores // jobs)
        ledger = Ledger(work, listener, jobs, threads)
        asked = work.task.on_epoch
        with nullcontext() if asked is None else SocketDesk(asked, work.members) as desk:
            job = job_of(work, threads, desk and desk.line)
            try:
                while self._pass(job, ledger, jobs, desk) or self._pass(job, ledger, jobs, desk, alone=True):
                    pass
            except KeyboardInterrupt:
                pass
        return ledger.outcomes

    def _pass(self, job: Job, ledger: Ledger, jobs: int, desk: Desk | None, *, alone: bool = False) -> bool:
        """Train what is dealt, to the end or until the pool breaks (or one part alone); whether there was any."""
        for number in list(ledger.away):  # the pool before this one broke
            ledger.lost(number)
        dealer = ledger.dealer
        sent = iter(lambda: ledger.send(dealer.next_alone if alone else dealer.next), None)
        first = next(sent, None)
        if first is None:
            return False
        parts = (first,) if alone else chain((first,), sent)
        with parallel_config("loky", inner_max_num_threads=job.threads):
            # joblib trains a pool of one in this very process; here it is a pool of two that gets one part at a time.
            settings: Any = {"batch_size": 1, "pre_dispatch": jobs, "max_nbytes": _SHARED_BYTES, "mmap_mode": "c"}
            pool = Parallel(max(2, jobs), return_as="generator_unordered", **settings)
        try:
            _collect(pool(delayed(run_part)(job, part) for part in parts), ledger, desk)
        except BrokenProcessPool:
            return True  # the next pass takes back what was away
        except PicklingError as error:
            raise cannot_travel(error) from error
        return True


def _collect(results: Any, ledger: Ledger, desk: Desk | None) -> None:
    """Write down what comes back; whatever goes wrong meanwhile ends the workers."""
    for done in results:
        try:
            ledger.arrived(done)
            if desk is not None:
                desk.check()
        except BaseException as error:
            results.throw(error)
