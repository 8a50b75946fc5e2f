"""Spaces: what a search may choose from, as a dict of ranges and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.select.grid import NUMBERS, Configuration
from pellucid.select.tuning.library import optuna

_PLAIN = (str, int, float, bool, type(None))


class Space:
    """Parameters by name, each with the values that it may have.

    Args:
        given: Name -> ``(low, high)`` or ``(low, high, "log")`` for a number between two bounds, a whole one where both
            bounds are (but not for ``learning_rate``, ``momentum``, ``l2`` and ``dropout``); a ``range``; a list of
            values; or a distribution of Optuna's.

    Attributes:
        distributions: Name -> distribution of Optuna's.

    Raises:
        ConfigurationError: Something is none of these.

    >>> Space({"learning_rate": (1e-4, 1, "log"), "units": [16, 32]}).distributions["units"]
    CategoricalDistribution(choices=(16, 32))
    """

    def __init__(self, given: Any) -> None:
        if not isinstance(given, Mapping) or not given:
            raise ConfigurationError(
                f"space must be a dict of ranges and lists of values, or a function of a trial, not {given!r}.",
                hint='for instance space={"learning_rate": (1e-4, 1, "log"), "units": [16, 32, 64]}',
            )
        self._values: dict[str, dict[str, Any]] = {}
        self.distributions: dict[str, Any] = {}
        for name, values in given.items():
            if not isinstance(name, str):
                raise ConfigurationError(f"space: names are texts, not {name!r}.")
            self.distributions[name] = self._distribution(name, values)

    def _distribution(self, name: str, values: Any) -> Any:
        if isinstance(values, optuna.distributions.BaseDistribution):
            return values
        try:
            if isinstance(values, range) and len(values) and values.step > 0:
                return optuna.distributions.IntDistribution(values[0], values[-1], step=values.step)
            if isinstance(values, tuple) and len(values) in (2, 3) and all(map(_is_number, values[:2])):
                return _between(name, *values)
        except ValueError as error:
            raise ConfigurationError(f"space: {name!r}: {str(error).rstrip('.')}.") from None
        if isinstance(values, (list, np.ndarray)) and len(values):
            return self._choices(name, [v.item() if isinstance(v, np.generic) else v for v in values])
        raise ConfigurationError(
            f"space: {name!r} must be (low, high), (low, high, 'log'), a range or a list of values, not {values!r}."
        )

    def _choices(self, name: str, values: Sequence[Any]) -> Any:
        """One of a list; what no storage could keep, such as a tuple, is kept as text and given back as it is."""
        if not all(isinstance(value, _PLAIN) for value in values):
            self._values[name] = {repr(value): value for value in values}
            values = list(self._values[name])
        return optuna.distributions.CategoricalDistribution(tuple(values))

    def suggest(self, trial: Any) -> Configuration:
        """The configuration of a trial."""
        found = {name: suggested(trial, name, own) for name, own in self.distributions.items()}
        return {name: self._values[name][v] if name in self._values else v for name, v in found.items()}

    def listed(self) -> dict[str, list[Any]]:
        """Every value of each parameter, for a grid.

        Raises:
            ConfigurationError: A parameter has no end of values.
        """
        return {name: _listed(name, own) for name, own in self.distributions.items()}


def suggested(trial: Any, name: str, distribution: Any) -> Any:
    """What a trial suggests for a parameter."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    bounds = {"step": distribution.step, "log": distribution.log}
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, **bounds)
    return trial.suggest_float(name, distribution.low, distribution.high, **bounds)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _between(name: str, low: Any, high: Any, scale: str = "linear") -> Any:
    if scale not in ("linear", "log"):
        raise ValueError(f"the third part of a range must be 'log' or 'linear', not {scale!r}")
    whole = name not in NUMBERS and all(isinstance(bound, (int, np.integer)) for bound in (low, high))
    if whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=scale == "log")
    return optuna.distributions.FloatDistribution(float(low), float(high), log=scale == "log")


def _listed(name: str, distribution: Any) -> list[Any]:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, optuna.distributions.IntDistribution) and not distribution.log:
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, optuna.distributions.FloatDistribution) and distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + k * distribution.step for k in range(count)]
    raise ConfigurationError(
        f"sampler='grid' needs the values of {name!r} as a list or a range, not between {distribution.low} and "
        f"{distribution.high}.",
        hint=f"write {{{name!r}: [...]}}, or choose sampler='random'",
    )
