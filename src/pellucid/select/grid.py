"""Grids: from lists of values to configurations, and what each value of one belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from pellucid.errors import ConfigurationError, unknown_name

Configuration = dict[str, Any]

#: What members of one population may differ in, and what fits may.
NUMBERS = ("learning_rate", "momentum", "l2", "dropout")
FITTING = ("batch_size", "epochs")


def configurations(grid: Any) -> list[Configuration]:
    """Every combination of the values of a grid, in the order of scikit-learn's ParameterGrid.

    Args:
        grid: Name -> list of values; a list of such dicts, one after the other; or None for one empty configuration.

    Raises:
        ConfigurationError: It is something else, or a list is empty.

    >>> configurations({"learning_rate": [0.1, 0.3], "l2": [0.0]})
    [{'l2': 0.0, 'learning_rate': 0.1}, {'l2': 0.0, 'learning_rate': 0.3}]
    """
    if grid is None or (isinstance(grid, Mapping) and not grid):
        return [{}]
    parts = [grid] if isinstance(grid, Mapping) else grid
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        raise ConfigurationError(f"grid must be a dict of lists of values, or a list of such dicts, not {grid!r}.")
    found: list[Configuration] = []
    for part in parts:
        if not isinstance(part, Mapping):
            raise ConfigurationError(f"grid: {part!r} is not a dict of lists of values.")
        found += ParameterGrid({name: _values(name, values) for name, values in part.items()})
    if not found:
        raise ConfigurationError("grid holds no configuration.")
    return found


def _values(name: Any, values: Any) -> list[Any]:
    if not isinstance(name, str):
        raise ConfigurationError(f"grid: names are texts, not {name!r}.")
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, (Sequence, np.ndarray)):
        raise ConfigurationError(
            f"grid: the values of {name!r} must be a list, not {values!r}.", hint=f"write {{{name!r}: [{values!r}]}}"
        )
    if len(values) == 0:
        raise ConfigurationError(f"grid: {name!r} has no value.")
    return [value.item() if isinstance(value, np.generic) else value for value in values]


@dataclass(frozen=True)
class Sorted:
    """A configuration by what its values belong to.

    Attributes:
        build: Arguments of the function that builds the model; members that differ here have plans of their own.
        fitting: Batch size and epochs.
        numbers: What a population holds per member.
        optimizer: Another optimiser, or None.
    """

    build: Configuration = field(default_factory=dict)
    fitting: Configuration = field(default_factory=dict)
    numbers: Configuration = field(default_factory=dict)
    optimizer: Any = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for configurations whose members form one population."""
        return (
            tuple(sorted((name, repr(value)) for name, value in self.build.items())),
            tuple(sorted((name, repr(value)) for name, value in self.fitting.items())),
            tuple(sorted(self.numbers)),
            repr(self.optimizer),
        )


def sort_out(configuration: Configuration, arguments: Sequence[str] | None) -> Sorted:
    """What each value belongs to: an argument of the building function first, then what a fit or a member has.

    Args:
        configuration: Name -> value.
        arguments: The names that the building function takes; None where it takes any.

    Raises:
        ConfigurationError: A name is unknown (with the nearest spelling).

    >>> found = sort_out({"units": 8, "epochs": 5, "learning_rate": 0.1}, ["units"])
    >>> found.build, found.fitting, found.numbers
    ({'units': 8}, {'epochs': 5}, {'learning_rate': 0.1})
    """
    found = Sorted(optimizer=None if arguments and "optimizer" in arguments else configuration.get("optimizer"))
    for name, value in configuration.items():
        if arguments and name in arguments:
            found.build[name] = value
        elif name in NUMBERS:
            found.numbers[name] = value
        elif name in FITTING:
            found.fitting[name] = value
        elif name != "optimizer":
            if arguments is not None:
                raise unknown_name("grid parameter", name, {*arguments, *NUMBERS, *FITTING, "optimizer"})
            found.build[name] = value
    return found
