"""The trials of a search in one form, whoever made them: ``tune``, an Optuna study, or a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.select.results import CrossValidation

#: From this ratio of the largest to the smallest value on, positive numbers of a grid are on a logarithmic scale.
_LOG = 10.0


@dataclass(frozen=True)
class Axis:
    """How the values of a parameter are ordered.

    Attributes:
        name: The parameter.
        values: Its value in each trial; None where the trial did not have it.
        choices: The values in their order, where they are no numbers.
        log: Whether ratios count, not differences.
        whole: Whether it takes whole numbers only.
    """

    name: str
    values: Sequence[Any]
    choices: tuple[Any, ...] | None = None
    log: bool = False
    whole: bool = False

    @property
    def missing(self) -> np.ndarray:
        """Where a trial did not have it."""
        return np.array([value is None for value in self.values], dtype=bool)

    @property
    def numbers(self) -> np.ndarray:
        """The values as numbers: choices by their place, others as they are or as logarithms; NaN where missing."""
        if self.choices is not None:
            places = [repr(choice) for choice in self.choices]
            return np.array([np.nan if v is None else places.index(repr(v)) for v in self.values], np.float64)
        found = np.array([np.nan if v is None else float(v) for v in self.values], np.float64)
        return np.log10(found) if self.log else found

    @property
    def varies(self) -> bool:
        """Whether trials differ in it."""
        return len({repr(value) for value in self.values}) > 1


@dataclass(frozen=True, eq=False)
class Trials:
    """What a search tried.

    Attributes:
        numbers: The trials' numbers.
        states: ``"complete"``, ``"pruned"`` or ``"failed"`` of each.
        values: What each reached; NaN of failed ones.
        axes: The parameters.
        larger: Whether larger is better.
        label: What the values are.
        curves: Trial number -> the watched value after each epoch, where it is known.
        study: The Optuna study, where there is one.
        what: What a trial is called.
    """

    numbers: np.ndarray
    states: tuple[str, ...]
    values: np.ndarray
    axes: tuple[Axis, ...]
    larger: bool
    label: str
    curves: Mapping[int, Any] = field(default_factory=dict)
    study: Any = None
    what: str = "trial"

    def where(self, state: str) -> np.ndarray:
        """The trials in a state that have a value."""
        return np.array([own == state for own in self.states], dtype=bool) & ~np.isnan(self.values)

    @property
    def best(self) -> int:
        """The place of the best complete trial."""
        keys = np.where(self.where("complete"), -self.values if self.larger else self.values, np.inf)
        return int(np.argmin(keys))

    def chosen(self, owner: str, names: Sequence[str] | None) -> tuple[Axis, ...]:
        """Some of the parameters, or those in which trials differ.

        Raises:
            ConfigurationError: There is no such parameter.
            DataError: No parameter varies.
        """
        known = {axis.name: axis for axis in self.axes}
        if names is not None:
            for name in names:
                if name not in known:
                    raise ConfigurationError(f"{owner}: there is no parameter {name!r} among {', '.join(known)}.")
            return tuple(known[name] for name in names)
        found = tuple(axis for axis in self.axes if axis.varies)
        if not found:
            raise DataError(f"{owner}: the trials differ in no parameter.")
        return found


def trials_of(owner: str, search: Any) -> Trials:
    """The trials of what ``tune`` or ``cross_validate`` returned, or of an Optuna study.

    Raises:
        ConfigurationError: It is something else.
        DataError: No trial was completed.
    """
    if isinstance(search, CrossValidation):
        found = _of_grid(search)
    else:
        study = getattr(search, "study", search)
        if not hasattr(study, "trials") or not hasattr(study, "directions"):
            raise ConfigurationError(
                f"{owner} draws what tune or cross_validate returned, or an Optuna study, not {type(search).__name__}."
            )
        found = _of_study(owner, study, None if study is search else search)
    if not found.where("complete").any():
        raise DataError(f"{owner}: no trial was completed.")
    return found


def _of_grid(results: CrossValidation) -> Trials:
    scores = results.scores
    values = scores.mean()
    states = tuple("failed" if math.isnan(value) else "complete" for value in values)
    axes = tuple(_grid_axis(name, own) for name, own in scores.parameters().items())
    name = scores.primary
    larger = scores.is_larger_better(name)
    return Trials(np.arange(len(values)), states, values, axes, larger, name, what="configuration")


def _grid_axis(name: str, values: Sequence[Any]) -> Axis:
    known = [v for v in values if v is not None]
    if all(isinstance(v, Real) and not isinstance(v, (bool, np.bool_)) for v in known):
        whole = all(float(v).is_integer() for v in known)
        return Axis(name, values, None, bool(known) and min(known) > 0 and max(known) >= _LOG * min(known), whole)
    return Axis(name, values, tuple({repr(v): v for v in known}.values()))


def _of_study(owner: str, study: Any, search: Any) -> Trials:
    """The trials of a study; where ``tune`` returned it, with the values and curves that it knows of them."""
    if len(study.directions) != 1:
        raise ConfigurationError(f"{owner} draws searches for one value; this study has {len(study.directions)}.")
    trials = [t for t in study.trials if t.state.name in _STATES]
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    values = {t.number: math.nan if t.value is None else float(t.value) for t in trials}
    curves: dict[int, Any] = {
        t.number: [t.intermediate_values[k] for k in sorted(t.intermediate_values)] for t in trials
    }
    label = (study.metric_names or ["value"])[0]
    if search is not None:
        # Optuna's value of a pruned trial is the last watched number, which need not be the score.
        values |= {record.number: record.value for record in search.records if record.number in values}
        curves, label = dict(search.curves), search.goal.name
    return Trials(
        np.array([t.number for t in trials], np.int64), tuple(_STATES[t.state.name] for t in trials),
        np.array([values[t.number] for t in trials], np.float64), tuple(_study_axis(name, trials) for name in names),
        study.directions[0].name == "MAXIMIZE", label, curves, study,
    )  # fmt: skip


_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def _study_axis(name: str, trials: Sequence[Any]) -> Axis:
    """A parameter by the distribution that it was drawn from last."""
    distribution = next(t.distributions[name] for t in reversed(trials) if name in t.distributions)
    values = [trial.params.get(name) for trial in trials]
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        drawn = {repr(v): v for v in (*choices, *(v for v in values if v is not None))}
        return Axis(name, values, tuple(drawn.values()))
    return Axis(name, values, None, bool(distribution.log), type(distribution).__name__.startswith("Int"))
