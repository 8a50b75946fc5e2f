"""Goals: the number by which trials are compared, and the one that is watched while they train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sklearn.base import is_classifier

from pellucid.errors import ConfigurationError
from pellucid.select.grid import Configuration, sort_out
from pellucid.select.makers import Maker, is_estimator
from pellucid.select.scoring import Score
from pellucid.select.tuning.library import optuna
from pellucid.select.tuning.space import Space
from pellucid.train import metrics
from pellucid.train.history import smaller_is_better


@dataclass(frozen=True)
class Goal:
    """What the search makes large or small.

    Attributes:
        name: The score; the model's first metric, or else its loss, where no other was asked for.
        larger_is_better: Which way is better.
    """

    name: str
    larger_is_better: bool

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """In Optuna's words."""
        return "maximize" if self.larger_is_better else "minimize"

    def of(self, scores: Mapping[str, float]) -> float:
        """The score of a member. With several outputs it bears the name of the first output that has it."""
        if self.name in scores:
            return scores[self.name]
        return next((value for name, value in scores.items() if name.endswith(f"_{self.name}")), float("nan"))

    def watched(self, names: Iterable[str]) -> str:
        """The number of an epoch that is nearest to the goal: the score on the validation rows, or else the loss."""
        known = [name for name in names if name.startswith("val_")]
        if f"val_{self.name}" in known:
            return f"val_{self.name}"
        return next((name for name in known if name.endswith(f"_{self.name}")), "val_loss")

    def turn(self, watched: str) -> float:
        """-1 where the watched number is better when the score is worse, as a loss beside an accuracy; else 1."""
        return 1.0 if smaller_is_better(watched) != self.larger_is_better else -1.0

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether one value is better than another."""
        return than is None or (value > than if self.larger_is_better else value < than)


def goal_of(scores: tuple[Score, ...], source: Any, configuration: Configuration) -> Goal:
    """The goal of a search: the first score that was asked for, or what the model says."""
    if scores:
        return Goal(scores[0].name, scores[0].larger_is_better)
    if is_estimator(source):
        return Goal("accuracy" if is_classifier(source) else "r2", True)
    maker = Maker(source)
    request = maker(sort_out(configuration, maker.arguments), 0)._objective_request
    assert request is not None, "a maker gives compiled models"
    given = request[2]
    for metric in _flat(given.values() if isinstance(given, dict) else [given]):
        found = metrics.get(metric)
        if found.scalar:
            return Goal(found.label, not smaller_is_better(found.label))
    return Goal("loss", False)


def _flat(given: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in given:
        found += _flat(item) if isinstance(item, (list, tuple)) else [item] if item is not None else []
    return found


def check_direction(study: Any, goal: Goal) -> None:
    """Refuse to go on with a study that another goal began.

    Raises:
        ConfigurationError: It makes large what this one makes small, or its trials have another score.
    """
    known = study.user_attrs.get("pellucid:goal")
    found = study.direction.name.lower()
    if found != goal.direction or known not in (None, goal.name):
        raise ConfigurationError(
            f"The search {study.study_name!r} of the storage is to {found} {known or 'a value'}, this one to "
            f"{goal.direction} {goal.name}.",
            hint="give this one another name=",
        )


def check_space(study: Any, space: Space | None) -> None:
    """Refuse to go on with a study whose trials chose from another list: Optuna draws from one and the same.

    Raises:
        ConfigurationError: A parameter has other values than it had.
    """
    if space is None:
        return
    for trial in study.get_trials(deepcopy=False):
        for name, before in trial.distributions.items():
            now = space.distributions.get(name)
            kinds = {isinstance(own, optuna.distributions.CategoricalDistribution) for own in (before, now)}
            if now is not None and True in kinds and now != before:
                raise ConfigurationError(
                    f"The search {study.study_name!r} of the storage chose {name} from {_values(before)}, this one "
                    f"would from {_values(now)}.",
                    hint="a list must stay as it is (a range may change); or give this search another name=",
                )


def _values(distribution: Any) -> str:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return ", ".join(map(str, distribution.choices))
    return f"{distribution.low} to {distribution.high}"
