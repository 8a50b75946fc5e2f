"""Samplers and pruners by name: what is tried next, and what is given up early."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

from pellucid.errors import ConfigurationError, missing_dependency, unknown_name
from pellucid.select.tuning.library import optuna
from pellucid.select.tuning.space import Space

SAMPLERS = ("tpe", "random", "grid", "cmaes")
PRUNERS = ("none", "median", "hyperband")


class WholeGrid(optuna.samplers.GridSampler):
    """A grid that says itself when it ends: Optuna's would stop a loop that is not there.

    Attributes:
        size: How many configurations there are.
    """

    def __init__(self, values: dict[str, list[Any]], seed: int) -> None:
        super().__init__(values, seed=seed)
        self.size = math.prod(map(len, values.values()))

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        """Nothing: see ``is_exhausted``."""


def sampler_of(given: Any, seed: int, space: Space | None) -> Any:
    """The sampler of a name, or the one of Optuna's that was given.

    Raises:
        ConfigurationError: The name is unknown, or a grid is asked for of what has no list of values.
        MissingDependencyError: CMA-ES without its library.
    """
    samplers = optuna.samplers
    if isinstance(given, samplers.BaseSampler):
        return given
    if given == "tpe":
        return samplers.TPESampler(seed=seed)
    if given == "random":
        return samplers.RandomSampler(seed=seed)
    if given == "grid":
        if space is None:
            raise ConfigurationError(
                "sampler='grid' needs a space that is a dict of lists.",
                hint="a function of a trial may ask for a value that depends on another one; choose sampler='random'",
            )
        return WholeGrid(space.listed(), seed)
    if given == "cmaes":
        if importlib.util.find_spec("cmaes") is None:
            raise missing_dependency("cmaes", "sampler='cmaes'", "tune")
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    raise unknown_name("sampler", given, SAMPLERS)


def pruner_of(given: Any, epochs: int | None) -> Any:
    """The pruner of a name, or the one of Optuna's that was given; None where nothing is pruned.

    Args:
        given: A name or a pruner.
        epochs: How many epochs a trial has at most, where all have as many.
    """
    pruners = optuna.pruners
    if isinstance(given, pruners.NopPruner) or given in ("none", None):
        return None
    if isinstance(given, pruners.BasePruner):
        return given
    if given == "median":
        return pruners.MedianPruner()
    if given == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource="auto" if epochs is None else epochs)
    raise unknown_name("pruner", given, PRUNERS)
