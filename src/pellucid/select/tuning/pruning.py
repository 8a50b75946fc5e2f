"""Pruning: members are stopped after an epoch whose number says that the trial will not be the best.

Trials are asked for and trained in turns of several at once. A trial is judged by its own numbers and those of the
turns before, never by trials that run beside it: how fast the threads are changes nothing, and the same seed prunes the
same trials. On several folds, a turn trains the first fold of all its trials, then the second of those that are left,
and so on; a trial is judged by its mean over the folds so far at the same epoch.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Container, Mapping, Sequence
from typing import Any

from pellucid.select.task import Member
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.library import optuna

#: What ``stopped_by`` says of a member that was pruned.
PRUNED = "pruned"


class _Earlier(optuna.storages.InMemoryStorage):
    """What a pruner sees: the trials of the turns before. What it writes is kept beside them, by trial."""

    def __init__(self, trials: Sequence[Any]) -> None:
        super().__init__()
        self.trials, self.written = trials, {}

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Container[Any] | None = None) -> list[Any]:
        """The trials of the turns before."""
        found = [trial for trial in self.trials if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep it for the one trial alone."""
        self.written.setdefault(trial_id, {})[key] = value


class Judge:
    """Judges the members of one turn.

    Args:
        study: The study, with its pruner.
        trials: The trials of the turn, by the number of their configuration.
        goal: What is watched, and which way is better.

    Attributes:
        pruned: The trials that were pruned, by the number of their configuration.
    """

    def __init__(self, study: Any, trials: Mapping[int, Any], goal: Goal) -> None:
        finished = study.get_trials(deepcopy=False)
        self._pruner, self._goal, self._turn = study.pruner, goal, 1.0
        self._storage = _Earlier([trial for trial in finished if trial.state.is_finished()])
        self._view = optuna.create_study(
            storage=self._storage, study_name=study.study_name, direction=study.direction, pruner=study.pruner,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )  # fmt: skip
        self._lock = threading.Lock()
        self._own = {number: copy.deepcopy(study._storage.get_trial(t._trial_id)) for number, t in trials.items()}
        self._attributes = {number: dict(trial.system_attrs) for number, trial in self._own.items()}
        self._before: dict[int, list[list[float]]] = {number: [] for number in trials}
        self._now: dict[int, list[float]] = {number: [] for number in trials}
        self.pruned: set[int] = set()

    def next_fold(self) -> None:
        """What is reported from now on belongs to the next fold of each trial."""
        for number, values in self._now.items():
            self._before[number].append(values)
            self._now[number] = []
            self._storage.written.pop(self._own[number]._trial_id, None)

    def __call__(self, member: Member, epoch: int, logs: Mapping[str, float]) -> str | None:
        """After an epoch: a reason to stop, or None."""
        number = member.configuration
        key = self._goal.watched(logs)
        value = logs.get(key, math.nan)
        with self._lock:
            self._turn = self._goal.turn(key)
            # A worker that was lost begins its members again.
            self._now[number] = [*self._now[number][:epoch], value]
            if self._should_stop(number):
                self.pruned.add(number)
                return PRUNED
        return None

    def _should_stop(self, number: int) -> bool:
        trial = self._own[number]
        written = self._storage.written.setdefault(trial._trial_id, {})
        trial.system_attrs = {**self._attributes[number], **written}
        trial.intermediate_values = {step: self._turn * value for step, value in self.curve(number, as_is=True).items()}
        return bool(self._pruner.prune(self._view, trial))

    def curve(self, number: int, *, as_is: bool = False) -> dict[int, float]:
        """Epochs trained -> mean over the folds so far; with ``as_is`` only the epochs of the present fold."""
        folds = [*self._before[number], self._now[number]]
        folds = [values for values in folds if values]
        if not folds:
            return {}
        count = len(self._now[number]) if as_is else max(map(len, folds))
        return {e + 1: math.fsum(v[min(e, len(v) - 1)] for v in folds) / len(folds) for e in range(count)}

    def reports(self, number: int) -> dict[int, float]:
        """What Optuna is told: the mean at every epoch, in the sense of the study's direction."""
        return {step: self._turn * value for step, value in self.curve(number).items()}

    def attributes(self, number: int) -> dict[str, Any]:
        """What the pruner noted about a trial."""
        return dict(self._storage.written.get(self._own[number]._trial_id, {}))
