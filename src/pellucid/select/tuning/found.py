"""What a search found: every trial, the best of them, its model, and how to train it on everything."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pellucid.errors import ConfigurationError
from pellucid.select.refitted import Refitted
from pellucid.select.refitting import refit_on_all
from pellucid.select.table import Table
from pellucid.select.task import Task
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.proposals import Proposer
from pellucid.select.tuning.records import INTERRUPTED, TrialRecord, record_of, results_table
from pellucid.select.tuning.runner import Best
from pellucid.select.tuning.turns import Place


class Search:
    """What ``tune`` returns.

    Attributes:
        study: Optuna's study, for its own tools.
        records: Every trial that is done, as :class:`TrialRecord`.
        goal: The score by which trials are compared, and which way is better.
        seconds: The time of this call.
        interrupted: Whether Ctrl-C ended it before there were enough trials.
    """

    def __init__(
        self, study: Any, goal: Goal, task: Task, proposer: Proposer, place: Place, best: Best, *,
        seconds: float = 0.0, interrupted: bool = False, notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.study, self.goal, self.seconds, self.interrupted = study, goal, seconds, interrupted
        self._task, self._proposer, self._place, self._best = task, proposer, place, best
        records = [record_of(trial) for trial in study.get_trials(deepcopy=False)]
        self.records = [record for record in records if record.state not in ("running", "waiting")]
        self._notes = tuple(notes)

    @cached_property
    def results(self) -> Table:
        """One row per trial: number, state, value, every parameter, epochs, seconds, and why it failed."""
        return results_table(self.records)

    @property
    def curves(self) -> dict[int, list[float]]:
        """The watched number after each epoch, by trial; the mean over folds."""
        return {record.number: list(record.report.curve) for record in self.records if record.report.curve}

    @property
    def best_trial(self) -> Any:
        """Optuna's record of the best trial."""
        return self.study.best_trial

    @property
    def best_record(self) -> TrialRecord:
        """The record of the best trial."""
        return record_of(self.best_trial)

    @property
    def best_params_(self) -> dict[str, Any]:
        """The parameters of the best trial."""
        return dict(self.best_trial.params)

    @property
    def best_score_(self) -> float:
        """Its score on the validation rows, the mean over folds."""
        return float(self.study.best_value)

    @property
    def model(self) -> Any:
        """The best trial's model, as it was trained.

        Raises:
            ConfigurationError: There is none: trials had several folds, or the best one ran in another process.
        """
        if self._best.model is not None and self._best.number == self.best_trial.number:
            return self._best.model
        several = len(self._place.folds) > 1
        reason = f"each trial has {len(self._place.folds)} models, one for each fold" if several else (
            f"trial {self.best_trial.number} was trained in another process or an earlier call")  # fmt: skip
        raise ConfigurationError(
            f"There is no single model of the best trial: {reason}.",
            hint="search.refit() trains its configuration on all rows",
        )

    def summary(self, *, show: bool = True, top: int | None = 10) -> Table | None:
        """Print the best trials, the best first, and what the search consisted of; ``show=False`` returns the table."""
        ranked = sorted(
            (record for record in self.records if record.state == "complete"),
            key=lambda record: -record.value if self.goal.larger_is_better else record.value,
        )
        table = results_table(ranked)
        columns = {name: table[name] for name in table if name not in ("state", "failure")}
        found = Table(columns, title=self._title(), notes=self.notes)
        if not show:
            return found
        print(found.text(top))
        return None

    def _title(self) -> str:
        counts = Counter(map(_fate, self.records))
        fates = ("complete", "pruned", "failed", INTERRUPTED)
        parts = [f"{counts[fate]} {fate}" for fate in fates if counts[fate]]
        better = "larger" if self.goal.larger_is_better else "smaller"
        many = len(self.records)
        trials = f"{many} trial{'' if many == 1 else 's'}"
        return f"{self.goal.name} ({better} is better): {trials} ({', '.join(parts)}) in {self.seconds:.1f} s"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores must know."""
        best = ", ".join(f"{name}={_shown(value)}" for name, value in self.best_params_.items())
        found = [f"best: {self.goal.name} {self.best_score_:.4f} of trial {self.best_trial.number}: {best}"]
        complete = sum(record.state == "complete" for record in self.records)
        if complete > 1:
            found.append(
                f"the best of {complete} validation scores is too good as an estimate; judge the final model once, on "
                "rows that no trial has seen (evaluate_once)"
            )
        failed = [record for record in self.records if _fate(record) == "failed"]
        if failed:
            first = failed[0]
            found.append(f"{len(failed)} failed, the first: trial {first.number}: {first.report.failure}")
        return (*found, *self._notes)

    def refit(self, *, seed: int | None = None) -> Refitted:
        """Train the best configuration on all rows, those of the validation included.

        Where early stopping chose an epoch in the search, it is trained for so many epochs (the mean over folds): there
        are no other rows left to watch.

        Args:
            seed: By default the one of the search.

        Returns:
            The model with its fitted preprocessing; ``.model`` is the model alone.
        """
        task, configuration = self._task, self._proposer.again(self.best_params_)
        own = self._place.seed if seed is None else seed

        def last(epochs: int) -> tuple[int, list[Any]]:
            return self.best_record.report.best_epoch or epochs, _lasting(task.callbacks)

        return refit_on_all(task, configuration, own, last)

    def __repr__(self) -> str:
        many = len(self.records)
        return (
            f"Search({many} trial{'' if many == 1 else 's'}: best {self.goal.name} {self.best_score_:.4f} of "
            f"{self.best_params_})"
        )


def _fate(record: TrialRecord) -> str:
    """A trial's state; one that Ctrl-C ended has not failed, and is tried again when the search goes on."""
    return INTERRUPTED if record.report.failure == INTERRUPTED else record.state


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _lasting(callbacks: Any) -> list[Any]:
    """The callbacks that need no validation rows."""
    given = [] if callable(callbacks) else [copy.deepcopy(callback) for callback in callbacks]
    return [c for c in given if not str(getattr(getattr(c, "_monitor", None), "key", "")).startswith("val_")]
