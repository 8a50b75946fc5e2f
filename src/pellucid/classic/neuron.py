"""The neuron of McCulloch and Pitts: a weighted sum and a unit step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.shapes import show


def unit_step(z: Any) -> np.ndarray:
    """1 where z >= 0, else 0.

    Args:
        z: Net inputs of any shape [...].

    Returns:
        int64 [...].

    >>> unit_step([-0.5, 0.0, 2.0])
    array([0, 1, 1])
    """
    return (np.asarray(z) >= 0).astype(np.int64)


@dataclass(frozen=True)
class McCullochPitts:
    """A unit that fires when the weighted sum of its inputs reaches a threshold.

    y = 1 if w · x >= θ, else 0. Moved to the other side, the threshold is a bias b = -θ on an input that is always 1:
    y = step(w · x + b).

    Args:
        weights: One number per input.
        threshold: θ, the weighted sum from which on the unit fires.

    Raises:
        ConfigurationError: There are no weights, or a number is not finite.

    Source: McCulloch, Pitts, "A logical calculus of the ideas immanent in nervous activity", 1943.

    >>> both = McCullochPitts(weights=(1, 1), threshold=2)
    >>> both([[0, 0], [0, 1], [1, 0], [1, 1]])
    array([0, 0, 0, 1])
    >>> both.bias
    -2.0
    """

    weights: tuple[float, ...]
    threshold: float

    def __post_init__(self) -> None:
        numbers = _finite(self.weights)
        if numbers is None or numbers.ndim != 1 or numbers.size == 0:
            raise ConfigurationError(
                f"McCullochPitts: weights must be finite numbers, one per input, not {self.weights!r}."
            )
        threshold = _finite(self.threshold)
        if threshold is None or threshold.ndim != 0:
            raise ConfigurationError(f"McCullochPitts: threshold must be a finite number, not {self.threshold!r}.")
        object.__setattr__(self, "weights", tuple(numbers.tolist()))
        object.__setattr__(self, "threshold", float(threshold))

    @classmethod
    def from_bias(cls, weights: Any, bias: float) -> McCullochPitts:
        """The same unit written with a bias: step(w · x + b).

        >>> McCullochPitts.from_bias((1, 1), -2) == McCullochPitts((1, 1), threshold=2)
        True
        """
        return cls(weights, threshold=-bias)

    @property
    def bias(self) -> float:
        """b = -θ."""
        return -self.threshold

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return len(self.weights)

    def net_input(self, x: Any) -> np.ndarray:
        """w · x + b.

        Args:
            x: Inputs [..., inputs].

        Returns:
            float64 [...].

        Raises:
            DataError: The inputs are not numbers.
            ShapeError: The last axis does not have one number per weight.
        """
        try:
            x = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(f"McCullochPitts: the inputs must be numbers of one shape, not {x!r}.") from None
        if x.ndim == 0 or x.shape[-1] != self.inputs:
            raise ShapeError(
                f"McCullochPitts: the unit has {self.inputs} weights, the inputs have the shape {show(x.shape)}.",
                hint=f"the last axis must hold the {self.inputs} inputs of one example",
            )
        return x @ np.array(self.weights) + self.bias

    def __call__(self, x: Any) -> np.ndarray:
        """The output of the unit for inputs [..., inputs]: int64 [...], 1 where it fires."""
        return unit_step(self.net_input(x))


def _finite(value: Any) -> np.ndarray | None:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if np.isfinite(array).all() else None
