"""The runner of a search: asks for trials, has them trained, tells what became of them, until there are enough."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pellucid.select.task import Task
from pellucid.select.tuning import workers
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.library import optuna, quiet
from pellucid.select.tuning.progress import TrialProgress
from pellucid.select.tuning.proposals import Proposer
from pellucid.select.tuning.pruning import Judge
from pellucid.select.tuning.records import INTERRUPTED, REPORT, Report, TrialRecord, is_counted, record_of
from pellucid.select.tuning.turns import Place, Turn, Verdict, first_line

_STATE = optuna.trial.TrialState


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: How many trials, those of earlier calls and other processes too.
        at_once: How many are asked for in one turn.
        seconds: After which no further turn begins.
    """

    trials: int
    at_once: int
    seconds: float | None = None


@dataclass(eq=False)
class Best:
    """The best model so far, the only one that is kept.

    Attributes:
        number: The number of its trial, -1 where there is none.
        value: Its score; of an earlier call's best trial, whose model is not here, too.
        model: The model.
    """

    number: int = -1
    value: float | None = None
    model: Any = None


class Runner:
    """Runs trials of a study.

    Args:
        study: The study.
        proposer: Makes configurations of trials.
        task: What all members share.
        place: Where and on what they train.
        goal: What is compared.
        limits: When to end.
        prunes: Whether the study's pruner judges members while they train.
        sampler: From the number of the first trial of this call, the sampler; None keeps the study's.
        on_trial: Called with every trial that is done, in the order of their numbers.
        progress: Shows every trial that is done.
    """

    def __init__(
        self, study: Any, proposer: Proposer, task: Task, place: Place, goal: Goal, limits: Limits, *,
        prunes: bool, sampler: Callable[[int], Any] | None = None,
        on_trial: Callable[[TrialRecord], Any] | None = None, progress: TrialProgress,
    ) -> None:  # fmt: skip
        self._study, self._proposer, self._task, self._place = study, proposer, task, place
        self._goal, self._limits, self._prunes = goal, limits, prunes
        self._sampler, self._on_trial, self._progress = sampler, on_trial, progress
        self._asked: dict[int, Any] = {}  # trials that are asked and not told, by their number
        self._exhausted = False
        self.best = Best(value=self._best_value())
        self.interrupted = False
        self.error: Exception | None = None

    def run(self) -> None:
        """Run until there are enough trials, the time is over, or Ctrl-C; no trial stays behind as running."""
        started = time.perf_counter()
        with workers.Pulse(self._study) as pulse:
            try:
                while not self.interrupted:
                    workers.give_up_lost(self._study)
                    late = self._limits.seconds is not None and time.perf_counter() - started >= self._limits.seconds
                    count = 0 if late else self._wanted()
                    if not count:
                        break
                    self._turn(count, pulse)
            except KeyboardInterrupt:
                self.interrupted = True
            finally:
                self._release()

    def _wanted(self) -> int:
        """How many trials the next turn asks for."""
        known = [trial for trial in self._study.get_trials(deepcopy=False) if is_counted(trial)]
        count = min(self._limits.at_once, self._limits.trials - len(known))
        sampler = self._study.sampler
        if isinstance(sampler, optuna.samplers.GridSampler):
            if self._exhausted or sampler.is_exhausted(self._study):
                return 0
            count = min(count, len(sampler._get_unvisited_grid_ids(self._study)))
        return max(count, 0)

    def _turn(self, count: int, pulse: workers.Pulse) -> None:
        configurations: dict[int, Any] = {}
        for _ in range(count):
            trial = self._ask()
            pulse.watch(own._trial_id for own in self._asked.values())
            try:
                configurations[trial.number] = self._proposer.propose(trial)
            except optuna.TrialPruned:
                self._tell(trial, Verdict(Report(), pruned=True))
            except Exception as error:  # whatever the user's function raises ends its trial only
                self.error = self.error or error
                self._tell(trial, Verdict(Report(failure=first_line(error))))
        if not configurations:
            return
        numbers = list(configurations)
        trials = {place: self._asked[number] for place, number in enumerate(numbers)}
        task = dataclasses.replace(self._task, configurations=list(configurations.values()))
        with quiet():
            judge = Judge(self._study, trials, self._goal) if self._prunes else None
        turn = Turn(task, self._place, self._goal, judge)
        try:
            turn.run()
        finally:
            self.interrupted = self.interrupted or turn.interrupted
            self.error = self.error or turn.error
            for place, trial in trials.items():
                verdict = turn.verdict(place)
                if verdict.report.failure != INTERRUPTED:
                    self._tell(trial, verdict)

    def _ask(self) -> Any:
        with quiet():
            trial = self._study.ask()
        self._asked[trial.number] = trial
        if self._sampler is not None:
            self._study.sampler, self._sampler = self._sampler(trial.number), None
        trial.set_user_attr(workers.MARK, workers.own_mark())
        return trial

    def _tell(self, trial: Any, verdict: Verdict) -> None:
        """Write down what became of a trial; another process may have given it up meanwhile."""
        storage, identity = self._study._storage, trial._trial_id
        try:
            trial.set_user_attr(REPORT, verdict.report.as_plain())
            if self._prunes or isinstance(storage, optuna.storages.InMemoryStorage):
                for step, value in verdict.reports.items():
                    trial.report(value, step)
            for name, value in verdict.attributes.items():
                storage.set_trial_system_attr(identity, name, value)
            with quiet():
                self._finish(trial, verdict)
        except optuna.exceptions.UpdateFinishedTrialError:
            pass
        self._asked.pop(trial.number, None)
        if verdict.value is not None and verdict.model is not None and self._goal.is_better(
            verdict.value, self.best.value
        ):  # fmt: skip
            self.best = Best(trial.number, verdict.value, verdict.model)
        record = record_of(storage.get_trial(identity))
        self._progress.trial(record)
        if self._on_trial is not None:
            self._on_trial(record)

    def _finish(self, trial: Any, verdict: Verdict) -> None:
        if verdict.report.failure is not None:
            self._study.tell(trial, state=_STATE.FAIL, skip_if_finished=True)
        elif verdict.pruned:
            self._study.tell(trial, state=_STATE.PRUNED, skip_if_finished=True)
        else:
            try:
                self._study.tell(trial, verdict.value, skip_if_finished=True)
            except RuntimeError as error:  # a GridSampler of the user's stops Optuna's own loop, which is not there
                if "Study.stop" not in str(error):
                    raise
                self._exhausted = True

    def _release(self) -> None:
        """Give back the trials that were asked for and not finished: they are tried again when the search goes on."""
        for trial in list(self._asked.values()):
            report = Report(failure=INTERRUPTED)
            if isinstance(self._study._storage, optuna.storages.InMemoryStorage):
                self._tell(trial, Verdict(report))
                continue
            try:
                trial.set_user_attr(REPORT, report.as_plain())
            except optuna.exceptions.UpdateFinishedTrialError:
                continue
            workers.fail_and_queue(self._study, trial)
        self._asked.clear()

    def _best_value(self) -> float | None:
        complete = self._study.get_trials(deepcopy=False, states=(_STATE.COMPLETE,))
        return self._study.best_value if complete else None
