"""What the executors share that send members to other processes: the job, the parts on their way, and the outcomes."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.select.executors.asking import Line
from pellucid.select.executors.base import Work
from pellucid.select.executors.dealing import MOST_LOSSES, Dealer
from pellucid.select.executors.worker import Done, Job, Part, settings_here
from pellucid.select.task import Listener, Outcome


class Ledger:
    """What became of each member, and who has it now.

    Args:
        work: The members.
        listener: Told of each outcome.
        workers: How many there are.
        lanes: Members that a worker trains at once.

    Attributes:
        outcomes: In the order of the members; of those that are not there yet, that they were interrupted.
        dealer: Deals those that are left.
        away: The members of the parts that workers have, by the first of them.
    """

    def __init__(self, work: Work, listener: Listener | None, workers: int, lanes: int) -> None:
        self._work, self._listener = work, listener
        self.outcomes = [Outcome(failure="interrupted") for _ in work.members]
        self.dealer = Dealer(work.keys, workers, lanes)
        self.away: dict[int, list[int]] = {}
        self._folds: dict[int, int] = {}

    def send(self, next_part: Callable[[], list[int] | None]) -> Part | None:
        """The next part, written down as being away."""
        numbers = next_part()
        if numbers is None:
            return None
        self.away[numbers[0]] = numbers
        members = self._work.members
        return [(n, self._folds.setdefault(id(members[n].fold), len(self._folds)), members[n]) for n in numbers]

    def arrived(self, done: Done) -> None:
        """A part is back."""
        del self.away[done.numbers[0]]
        self.dealer.done(done.numbers, done.seconds)
        for number, outcome in zip(done.numbers, done.outcomes, strict=True):
            self._tell(number, outcome)

    def lost(self, first: int) -> None:
        """The worker of a part was lost."""
        for number in self.dealer.lost(self.away.pop(first)):
            reason = f"its worker was lost {MOST_LOSSES} times while it trained: killed, or out of memory"
            self._tell(number, Outcome(failure=reason))

    def _tell(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        if self._listener is not None:
            self._listener(self._work.members[number], outcome)


def job_of(work: Work, threads: int, line: Line | None) -> Job:
    """What all workers are told."""
    task = replace(work.task, y=_array(work.task.y), sample_weight=_array(work.task.sample_weight), on_epoch=None)
    return Job(uuid.uuid4().hex, work.train, task, threads, line, settings_here(), list(warnings.filters))


def _array(given: Any) -> Any:
    """Lists as arrays, which can be shared."""
    return np.asarray(given) if isinstance(given, list) else given


def cannot_travel(error: BaseException) -> ConfigurationError:
    """The error for something that cannot be sent to a worker."""
    # joblib's cause is a printed traceback, Ray's is the error itself: the reason is the last line of both.
    reason = str(error.__cause__ or error).strip(' \n"').splitlines()[-1:] or [type(error).__name__]
    return ConfigurationError(
        f"What the members need cannot be sent to another process: {reason[0]}.",
        hint="models, functions, callbacks and scores travel when they hold no lock, file or connection; "
        "executor='threads' sends nothing",
    )
