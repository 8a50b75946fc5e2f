"""Records: what became of each trial, as it is kept in the storage beside Optuna's own numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pellucid.select.table import Table
from pellucid.select.tuning.library import optuna

#: The attribute of a trial that holds its report.
REPORT = "pellucid:report"

_STATE = optuna.trial.TrialState
_STATES = {_STATE.COMPLETE: "complete", _STATE.PRUNED: "pruned", _STATE.FAIL: "failed", _STATE.RUNNING: "running",
           _STATE.WAITING: "waiting"}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a trial was, beside its parameters and its value.

    Attributes:
        epochs: Epochs trained, over all folds.
        seconds: Seconds of training and scoring, over all folds.
        best_epoch: The epoch that early stopping chose, the mean over folds, from 1; 0 where nothing was chosen.
        folds: The score on each fold.
        curve: The watched number after each epoch, the mean over folds.
        failure: Why there is no value.
    """

    epochs: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    folds: Sequence[float] = ()
    curve: Sequence[float] = ()
    failure: str | None = None

    def as_plain(self) -> dict[str, Any]:
        """As a dict that JSON can hold."""
        return {**asdict(self), "folds": list(self.folds), "curve": list(self.curve)}


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: Its number, from 0.
        state: ``"complete"``, ``"pruned"``, ``"failed"``, ``"running"`` or ``"waiting"``.
        value: Its score, the mean over folds; of a pruned trial that of the epoch at which it was ended; else NaN.
        params: Its parameters.
        report: What else is known.
    """

    number: int
    state: str
    value: float
    params: dict[str, Any] = field(default_factory=dict)
    report: Report = Report()


def record_of(trial: Any) -> TrialRecord:
    """The record of a trial of Optuna's."""
    found = trial.user_attrs.get(REPORT)
    report = Report(**found) if found is not None else Report(failure=_lost(trial))
    told = trial.value if trial.state in (_STATE.COMPLETE, _STATE.PRUNED) else None
    value = math.nan if told is None else float(told)
    if trial.state is _STATE.PRUNED and report.folds:
        value = math.fsum(report.folds) / len(report.folds)
    return TrialRecord(trial.number, _STATES[trial.state], value, dict(trial.params), report)


def _lost(trial: Any) -> str | None:
    return "its worker was lost" if trial.state is _STATE.FAIL else None


def is_counted(trial: Any) -> bool:
    """Whether a trial is one of those that were asked for: not one that was queued again."""
    if trial.state is _STATE.FAIL:
        report = trial.user_attrs.get(REPORT)
        return bool(report) and report["failure"] != INTERRUPTED
    return trial.state is not _STATE.WAITING


#: The failure of a trial that Ctrl-C ended.
INTERRUPTED = "interrupted"


def results_table(records: Sequence[TrialRecord]) -> Table:
    """One row per trial: number, state, value, every parameter, epochs, seconds, and why it failed."""
    names = list(dict.fromkeys(name for record in records for name in record.params))
    columns: dict[str, Any] = {name: [record.params.get(name) for record in records] for name in names}
    own = {
        "number": [record.number for record in records],
        "state": [record.state for record in records],
        "value": [record.value for record in records],
    }
    after = {
        "epochs": [record.report.epochs for record in records],
        "seconds": [record.report.seconds for record in records],
        "failure": [record.report.failure for record in records],
    }
    # A parameter keeps its name; the column that would have had it says whose it is.
    taken = {f"trial_{name}" if name in columns else name: values for name, values in after.items()}
    first = {f"trial_{name}" if name in columns else name: values for name, values in own.items()}
    return Table({**first, **columns, **taken})
