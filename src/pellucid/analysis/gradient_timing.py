"""How long the gradient takes numerically and by back-propagation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import backends
from pellucid.analysis.model_surface import ModelSurface
from pellucid.analysis.surface import LossSurface
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, positive, require

#: From points [k, n] to a number or a vector for each.
Points = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class GradientTiming:
    """What one gradient costs both ways, on one core.

    Attributes:
        parameters: How many there are, n.
        forward, backprop: Seconds of one loss, and of one loss with its gradient by back-propagation.
        numerical: Seconds of the 2n losses that central differences take.
        difference: The largest difference of the two gradients, relative to the largest derivative.
    """

    parameters: int
    forward: float
    backprop: float
    numerical: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times longer the numerical gradient takes."""
        return self.numerical / self.backprop

    def __str__(self) -> str:
        return (
            f"{self.parameters:,} parameters: numerical {_shown(self.numerical)} (2 x {self.parameters:,} losses), "
            f"back-propagation {_shown(self.backprop)} ({self.backprop / self.forward:.1f} losses): "
            f"{self.ratio:.1f} times longer; they differ by {self.difference:.0e}."
        )


def _shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def time_gradients(
    target: Any, *at: Any, compiled: bool = True, step: float = 1e-4, repeats: int = 5
) -> GradientTiming:
    """Time the numerical gradient against back-propagation: ``time_gradients(model, x, y)``.

    Central differences need two losses for each of n parameters; back-propagation one forward and one backward sweep,
    whatever n is. Both run in float64 on one core, a compiled model's in native loops, so that neither pays for calls
    from Python; the shortest of some repetitions counts. (A compiled backward sweep costs a small network hardly more
    than the forward one: the ratio is near 2n. Step by step, where every operation is a call, it is a few times that.)

    Args:
        target: A compiled model, or a function f(w).
        at: For a model, x and y; for a function, w.
        compiled: Time the engine's native code; False times a model step by step on NumPy.
        step: h of the central differences.
        repeats: How often each is timed.

    Returns:
        The times, with ``ratio``.

    Source: the lectures' first deck, TwoMLP.

    >>> from pellucid import ops
    >>> timing = time_gradients(lambda w: ops.sum(ops.sin(w) ** 2), np.linspace(0, 1, 50))
    >>> timing.parameters, timing.ratio > 1, timing.difference < 1e-6
    (50, True, True)
    """
    owner = "time_gradients"
    require(owner, "step", step, positive)
    require(owner, "repeats", repeats, Integer(1))
    surface = surface_of(owner, target, at)
    values, gradients = surface.values, surface.gradients
    if not compiled:
        values, gradients = _step_by_step(owner, surface)
    point, n = surface.point, surface.point.size
    here = np.repeat(point[None], 2 * n if n < 500 else 16, axis=0)
    with backends.alone():
        forward = _fastest(lambda: values(here), repeats) / len(here)
        backprop = _fastest(lambda: gradients(here), repeats) / len(here)
        numerical = _fastest(lambda: _central(values, point, step), repeats)
    found, wanted = _central(values, point, step), gradients(point[None])[0]
    scale = max(float(np.abs(wanted).max()), 1e-300)
    return GradientTiming(n, forward, backprop, numerical, float(np.abs(found - wanted).max()) / scale)


def _step_by_step(owner: str, surface: LossSurface) -> tuple[Points, Points]:
    """Losses and gradients of a model without its compiled form."""
    if not isinstance(surface, ModelSurface):
        raise ConfigurationError(f"{owner}: compiled=False is for models; a function is timed as it is.")

    def values(points: np.ndarray) -> np.ndarray:
        return np.array([surface.step_by_step(point, slope=False)[0] for point in points])

    def gradients(points: np.ndarray) -> np.ndarray:
        return np.array([surface.step_by_step(point, slope=True)[1] for point in points])

    return values, gradients


def _central(values: Points, point: np.ndarray, step: float) -> np.ndarray:
    """The numerical gradient, in parts that memory has room for."""
    found = np.empty(point.size)
    most = max(1, (1 << 21) // point.size)
    for start in range(0, point.size, most):
        rows = np.arange(start, min(start + most, point.size))
        moves = np.zeros((len(rows), point.size))
        moves[np.arange(len(rows)), rows] = step
        losses = values(np.concatenate([point + moves, point - moves]))
        found[rows] = (losses[: len(rows)] - losses[len(rows) :]) / (2 * step)
    return found


def _fastest(run: Callable[[], Any], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)
