"""Turns: several trials are asked for, trained as populations, and told, in the order of their numbers."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.select.estimator_members import fit_estimators
from pellucid.select.folds import Fold
from pellucid.select.makers import is_estimator
from pellucid.select.members import train_members
from pellucid.select.task import Member, Outcome, Task
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.pruning import Judge
from pellucid.select.tuning.records import INTERRUPTED, Report


@dataclass(frozen=True)
class Place:
    """Where and on what members train.

    Attributes:
        folds: The rows.
        seed: Of every member.
        executor, n_jobs: See :mod:`pellucid.select.executors`.
    """

    folds: Sequence[Fold]
    seed: int
    executor: str = "threads"
    n_jobs: int | None = None


@dataclass(eq=False)
class Verdict:
    """What became of a trial in its turn.

    Attributes:
        report: Epochs, seconds, scores and the like.
        pruned: Whether it was ended early.
        value: Its score, or None where it has none.
        reports: What Optuna is told of its epochs, in the sense of the study's direction.
        attributes: What the pruner noted.
        model: Its trained model, where models are kept.
    """

    report: Report
    pruned: bool = False
    value: float | None = None
    reports: dict[int, float] = dataclasses.field(default_factory=dict)
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    model: Any = None


class Turn:
    """The training of several configurations.

    Args:
        task: What all members share; its configurations are those of the turn.
        place: Where and on what they train.
        goal: What is compared.
        judge: Ends some of them early, or None.
    """

    def __init__(self, task: Task, place: Place, goal: Goal, judge: Judge | None = None) -> None:
        self._task = dataclasses.replace(task, on_epoch=judge)
        self._place, self._goal, self._judge = place, goal, judge
        self._outcomes: dict[tuple[int, Fold], Outcome] = {}
        self._lock = threading.Lock()
        self.error: Exception | None = None
        self.interrupted = False

    def run(self) -> None:
        """Train all of them; with a judge one fold after the other, so that only what is left goes on."""
        folds, numbers = self._place.folds, range(len(self._task.configurations))
        stages = [[fold] for fold in folds] if self._judge is not None else [list(folds)]
        for stage, part in enumerate(stages):
            if stage and self._judge is not None:
                self._judge.next_fold()
            self._train([Member(n, fold, self._place.seed) for n in numbers for fold in part if self._goes_on(n)])
            if self.interrupted:
                break

    def _goes_on(self, number: int) -> bool:
        own = [outcome for (n, _), outcome in self._outcomes.items() if n == number]
        pruned = self._judge is not None and number in self._judge.pruned
        return not pruned and all(outcome.failure is None for outcome in own)

    def _train(self, members: list[Member]) -> None:
        """Train members; where something does not fit, each configuration alone, so that the others go on."""
        if not members or self.interrupted:
            return
        place, estimators = self._place, is_estimator(self._task.source)
        train = fit_estimators if estimators else train_members
        try:
            found = train(self._task, members, self._heard, executor=place.executor, n_jobs=place.n_jobs)
        except Exception as error:  # whatever a user's function or a wrong configuration raises ends its trial only
            left = [member for member in members if (member.configuration, member.fold) not in self._outcomes]
            numbers = list(dict.fromkeys(member.configuration for member in left))
            if len(numbers) > 1:
                for number in numbers:
                    self._train([member for member in left if member.configuration == number])
                return
            self.error = self.error or error
            found, members = [Outcome(failure=first_line(error)) for _ in left], left
        for member, outcome in zip(members, found, strict=True):
            self._outcomes.setdefault((member.configuration, member.fold), outcome)
        self.interrupted = any(outcome.failure == INTERRUPTED for outcome in found)

    def _heard(self, member: Member, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[member.configuration, member.fold] = outcome
            outcome.outputs = None  # predictions of every trial would grow with their number

    def verdict(self, number: int) -> Verdict:
        """What became of a configuration."""
        own = [self._outcomes[number, fold] for fold in self._place.folds if (number, fold) in self._outcomes]
        scores = [self._goal.of(outcome.test) for outcome in own if outcome.test]
        pruned = self._judge is not None and number in self._judge.pruned
        failure = next((outcome.failure for outcome in own if outcome.failure is not None), None)
        if failure is None and not pruned:
            missing = len(own) < len(self._place.folds)
            failure = INTERRUPTED if missing else _not_a_number(self._goal, scores)
        chosen = [outcome.best_epoch for outcome in own if outcome.best_epoch]
        curve = self._curve(number, own)
        report = Report(
            epochs=sum(outcome.epochs for outcome in own),
            seconds=sum(outcome.seconds + outcome.score_seconds for outcome in own),
            best_epoch=round(math.fsum(chosen) / len(chosen)) if chosen else 0,
            folds=scores, curve=list(curve.values()), failure=failure,
        )  # fmt: skip
        value = math.fsum(scores) / len(scores) if failure is None and not pruned else None
        model = own[0].model if len(own) == 1 else None
        if self._judge is None:
            turn = self._goal.turn(self._goal.watched(_keys(own)))
            return Verdict(report, False, value, {step: turn * v for step, v in curve.items()}, {}, model)
        reports, attributes = self._judge.reports(number), self._judge.attributes(number)
        return Verdict(report, pruned and failure is None, value, reports, attributes, model)

    def _curve(self, number: int, own: Sequence[Outcome]) -> dict[int, float]:
        """Epochs trained -> the watched number, the mean over folds; a fold that ended early keeps its last one."""
        if self._judge is not None:
            return self._judge.curve(number)
        histories = [o.history.history for o in own if o.history is not None and len(o.history)]
        key = self._goal.watched(_keys(own))
        lists = [history[key] for history in histories if key in history]
        count = max(map(len, lists), default=0)
        return {e + 1: math.fsum(v[min(e, len(v) - 1)] for v in lists) / len(lists) for e in range(count)}


def _keys(outcomes: Sequence[Outcome]) -> list[str]:
    return [key for outcome in outcomes if outcome.history is not None for key in outcome.history.history]


def _not_a_number(goal: Goal, scores: Sequence[float]) -> str | None:
    return None if all(map(math.isfinite, scores)) and scores else f"{goal.name} is not a finite number"


def first_line(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).splitlines()[0] if str(error) else ""
    known = type(error).__module__.startswith("pellucid")
    return text if known and text else f"{type(error).__name__}: {text}" if text else type(error).__name__
