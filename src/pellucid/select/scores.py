"""The scores of all members as arrays [configuration, fold, seed], and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.select.folds import Fold
from pellucid.select.grid import Configuration
from pellucid.select.members import Outcome
from pellucid.select.scoring import larger_is_better
from pellucid.select.significance import corrected_interval
from pellucid.select.table import Table

#: The columns of tables that hold no parameter and no score.
_MEASURED = {
    *("rank", "configuration", "repeat", "fold", "seed", "mean", "deviation", "of_seeds", "low", "high", "train"),
    *("epochs", "best_epoch", "seconds", "failure", "failed"),
}


@dataclass(frozen=True, eq=False)
class Scores:
    """Outcomes of every configuration, fold and seed.

    Attributes:
        configurations, folds, seeds: What the axes count.
        outcomes: In the order [configuration, fold, seed].
        larger: Score -> whether larger is better.
        primary: The score that decides.
    """

    configurations: Sequence[Configuration]
    folds: Sequence[Fold]
    seeds: Sequence[int]
    outcomes: Sequence[Outcome]
    larger: dict[str, bool]
    primary: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of configurations, folds and seeds."""
        return len(self.configurations), len(self.folds), len(self.seeds)

    @property
    def names(self) -> tuple[str, ...]:
        """The scores, in the order in which they were measured."""
        return names_of(self.outcomes)

    def checked(self, name: str | None) -> str:
        """The name of a score, by default the one that decides.

        Raises:
            ConfigurationError: There is no such score.
        """
        if name is None:
            return self.primary
        if name not in self.names:
            raise unknown_name("score", name, self.names)
        return name

    def cube(self, name: str, part: str = "test") -> np.ndarray:
        """A score of every member, NaN where there is none."""
        values = [getattr(outcome, part).get(name, np.nan) for outcome in self.outcomes]
        return np.array(values, np.float64).reshape(self.shape)

    def of(self, quantity: str) -> np.ndarray:
        """Another number of every member, such as its seconds."""
        return np.array([getattr(outcome, quantity) for outcome in self.outcomes], np.float64).reshape(self.shape)

    def mean(self, name: str | None = None) -> np.ndarray:
        """The mean of each configuration over folds and seeds; NaN where a member has no score."""
        return self.cube(self.checked(name)).mean(axis=(1, 2))

    def is_larger_better(self, name: str) -> bool:
        """Which way is better."""
        return self.larger.get(name, larger_is_better(name))

    def rank(self, name: str | None = None) -> np.ndarray:
        """The rank of each configuration from 1; equal means share the better one, those without a mean come last."""
        name = self.checked(name)
        means = self.mean(name)
        keys = np.where(np.isnan(means), np.inf, -means if self.is_larger_better(name) else means)
        keys = keys.round(12)  # sums of equal scores in another order differ by a rounding
        return np.array([int((keys < key).sum()) + 1 for key in keys])

    def best(self, name: str | None = None) -> int:
        """The number of the best configuration, the first of equal ones."""
        return int(np.argmin(self.rank(name)))

    def interval(self, configuration: int, name: str, confidence: float = 0.95) -> tuple[float, float]:
        """Where the mean over folds lies; see :func:`corrected_interval`."""
        per_fold = self.cube(name)[configuration].mean(axis=1)
        return corrected_interval(per_fold, *self.sizes(), confidence)

    def sizes(self) -> tuple[float, float]:
        """Mean numbers of different training rows and of test rows of a fold."""
        train = np.mean([len(np.unique(fold.train)) for fold in self.folds])
        return float(train), float(np.mean([len(fold.test) for fold in self.folds]))

    def chosen(self, configuration: int | None) -> int:
        """The number of a configuration, by default that of the best.

        Raises:
            ConfigurationError: There is no such configuration.
        """
        if configuration is None:
            return self.best()
        if not 0 <= configuration < len(self.configurations):
            raise ConfigurationError(
                f"There is no configuration {configuration} among {len(self.configurations)}, counted from 0."
            )
        return configuration

    def parameters(self) -> dict[str, list[Any]]:
        """The values of each parameter by configuration, None where one has it not."""
        names = sorted({name for configuration in self.configurations for name in configuration})
        return {name: [c.get(name) for c in self.configurations] for name in names}


def names_of(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """The scores of some outcomes, in the order in which they were measured."""
    return tuple(dict.fromkeys(name for outcome in outcomes for name in outcome.test))


def member_table(scores: Scores) -> Table:
    """One row per member: configuration, fold, seed, its parameters, its scores, times, and what went wrong."""
    c, f, s = (axis.reshape(-1) for axis in np.indices(scores.shape))
    folds = [scores.folds[k] for k in f]
    columns: dict[str, Any] = {
        "configuration": c,
        "repeat": [fold.repeat for fold in folds],
        "fold": [fold.number for fold in folds],
        "seed": np.array(scores.seeds)[s],
    }
    columns |= {name: [values[k] for k in c] for name, values in _parameter_columns(scores).items()}
    for name in scores.names:
        for part, label in (("train", "train"), ("test", "validation")):
            values = scores.cube(name, part).reshape(-1)
            if part == "test" or not np.isnan(values).all():
                columns[f"{label}_{name}"] = values
    columns |= {
        "epochs": scores.of("epochs").reshape(-1).astype(int),
        "best_epoch": scores.of("best_epoch").reshape(-1).astype(int),
        "seconds": scores.of("seconds").reshape(-1),
        "failure": [outcome.failure for outcome in scores.outcomes],
    }
    if not columns["best_epoch"].any():
        del columns["best_epoch"]
    return Table(columns)


def _parameter_columns(scores: Scores) -> dict[str, list[Any]]:
    """The parameters by the names of their columns: ``param_epochs`` beside the ``epochs`` that were trained."""
    measured = {f"{part}_{name}" for part in ("train", "validation") for name in scores.names} | _MEASURED
    return {f"param_{n}" if n in measured else n: values for n, values in scores.parameters().items()}


def summary_table(scores: Scores, name: str | None = None, confidence: float = 0.95) -> Table:
    """One row per configuration, the best first."""
    name = scores.checked(name)
    test, train = scores.cube(name), scores.cube(name, "train")
    per_fold = test.mean(axis=2)
    count = len(scores.configurations)
    intervals = [scores.interval(k, name, confidence) for k in range(count)]
    columns: dict[str, Any] = {"rank": scores.rank(name), "configuration": np.arange(count)}
    columns |= _parameter_columns(scores)
    columns |= {
        "mean": scores.mean(name),
        "deviation": per_fold.std(axis=1, ddof=1) if len(scores.folds) > 1 else np.full(count, np.nan),
    }
    if len(scores.seeds) > 1:
        columns["of_seeds"] = test.std(axis=2, ddof=1).mean(axis=1)
    columns |= {"low": [low for low, _ in intervals], "high": [high for _, high in intervals]}
    if not np.isnan(train).all():
        columns["train"] = train.mean(axis=(1, 2))
    columns |= {"epochs": scores.of("epochs").mean(axis=(1, 2)), "seconds": scores.of("seconds").mean(axis=(1, 2))}
    failed = np.isnan(test).sum(axis=(1, 2))
    if failed.any():
        columns["failed"] = failed
    return Table(columns).sorted_by("rank")


def cv_results(scores: Scores) -> dict[str, Any]:
    """The dict that scikit-learn's searches call ``cv_results_``; every fold and seed is a split.

    ``mean_test_score`` and its like are of the score that decides, with the sign turned where smaller is better, so
    that larger is better as there; ``mean_test_<name>`` of each score as it is.
    """
    count = len(scores.configurations)
    found: dict[str, Any] = {}
    for key, quantity in (("fit_time", "seconds"), ("score_time", "score_seconds")):
        values = scores.of(quantity).reshape(count, -1)
        found |= {f"mean_{key}": values.mean(axis=1), f"std_{key}": values.std(axis=1)}
    for name, values in scores.parameters().items():
        has = [name in own for own in scores.configurations]
        masked = np.ma.MaskedArray(np.empty(count, _type_of([v for v, h in zip(values, has, strict=True) if h])), True)
        for number in np.flatnonzero(has):
            masked[number] = values[number]
        found[f"param_{name}"] = masked
    found["params"] = [dict(configuration) for configuration in scores.configurations]
    for part in ("test", "train"):
        for label, name in (("score", scores.primary), *((n, n) for n in scores.names)):
            sign = -1.0 if label == "score" and not scores.is_larger_better(name) else 1.0
            found |= _splits(f"{part}_{label}", sign * scores.cube(name, part).reshape(count, -1))
            if part == "test":
                found[f"rank_test_{label}"] = scores.rank(name).astype(np.int32)
    return found


def _type_of(values: list[Any]) -> Any:
    """Numbers and truth values have an array type of their own, as in scikit-learn; everything else is an object."""
    kinds = {bool if isinstance(v, bool) else float if isinstance(v, (int, float)) else object for v in values}
    return np.array(values).dtype if len(kinds) == 1 and object not in kinds else object


def _splits(key: str, values: np.ndarray) -> dict[str, np.ndarray]:
    if np.isnan(values).all():
        return {}
    found = {f"split{number}_{key}": values[:, number] for number in range(values.shape[1])}
    return {**found, f"mean_{key}": values.mean(axis=1), f"std_{key}": values.std(axis=1)}
