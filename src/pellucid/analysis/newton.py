"""Newton's method for critical points: damped towards a small gradient, and by a trust region down the loss.

The norm of the gradient has minima where it is not 0, and curved valleys along which it falls for ever (Rosenbrock's,
to the left of -1/4): whoever only makes it smaller stays there. Then the loss itself leads on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from pellucid.analysis.surface import LossSurface

#: The gradient's norm must fall to this share within so many steps; else the loss is followed.
_FALLS, _WITHIN = 0.5, 30
#: But not where it is so many times the tolerance at most: then a critical point is near, if a degenerate one.
_NEAR = 1e3


class Path:
    """Where a search has been.

    Attributes:
        losses, norms: The loss and the gradient's norm at every place.
        best: The place with the smallest gradient.
        left: The number of steps after which the loss was followed, or None.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.best = np.empty(0)
        self.left: int | None = None

    def add(self, point: np.ndarray, loss: float, gradient: np.ndarray) -> float:
        """Note a place; the gradient's norm."""
        norm = float(np.linalg.norm(gradient))
        if not self.norms or norm < min(self.norms):
            self.best = np.array(point, np.float64)
        self.losses.append(loss)
        self.norms.append(norm)
        return norm

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.norms) - 1

    @property
    def stalls(self) -> bool:
        """Whether the gradient's norm has hardly fallen of late."""
        return len(self.norms) > _WITHIN and self.norms[-1] > _FALLS * self.norms[-1 - _WITHIN]

    def back(self) -> np.ndarray:
        """Forget what came after the best place, which is given."""
        end = int(np.argmin(self.norms)) + 1
        del self.losses[end:], self.norms[end:]
        return self.best


def newton(surface: LossSurface, path: Path, steps: int, tolerance: float, limit: int) -> np.ndarray:
    """Newton's method from the surface's point; where the gradient does not get smaller, down the loss."""
    point = _to_smaller_gradient(surface, path, steps, tolerance, limit)
    if path.norms[-1] <= tolerance or path.steps >= steps:
        return point
    path.left = path.steps
    point = _down(surface, point, path, steps, tolerance)
    if path.norms[-1] <= tolerance:
        return point
    point = path.back()
    path.left = path.left if path.steps > path.left else None
    return point


def _to_smaller_gradient(surface: LossSurface, path: Path, steps: int, tolerance: float, limit: int) -> np.ndarray:
    """Damped Newton: p makes |H p + g|² + μ² |p|² smallest; μ falls after a step on which |g| fell, else it grows."""
    point = surface.point
    loss, before = surface.value_and_gradient()
    norm = path.add(point, loss, before)
    damping = 0.0
    while norm > tolerance and path.steps < steps and not (path.stalls and norm > _NEAR * tolerance):
        solve, size = _solver(surface, point, limit)
        if not size > 0:
            break  # no second derivative, no step: a gradient-flat place
        damping = damping or 0.01 * size
        while damping <= 1e6 * size:
            step = solve(damping)
            loss, gradient = surface.value_and_gradient(point + step)
            gain = norm**2 - float(gradient @ gradient)
            if gain > 0:
                break
            damping *= 4
        else:
            break  # no step makes the gradient smaller: a gradient-flat place
        left = surface.hvp(step, point) + before
        trust = gain / max(norm**2 - float(left @ left), 1e-300)
        damping = max(damping * (0.3 if trust > 0.75 else 1.0 if trust > 0.25 else 2.0), 1e-12 * size)
        point, before = point + step, gradient
        norm = path.add(point, loss, gradient)
    return point


def _solver(surface: LossSurface, point: np.ndarray, limit: int) -> tuple[Callable[[float], np.ndarray], float]:
    """From the damping to the damped Newton step, and the size of the largest eigenvalue."""
    gradient = surface.gradient(point)
    if point.size <= limit:
        values, vectors = np.linalg.eigh(surface.hessian(point, limit=limit))
        along = vectors.T @ gradient
        return lambda damping: -vectors @ (along * values / (values**2 + damping**2)), float(np.abs(values).max())
    from scipy.sparse.linalg import LinearOperator, lsmr  # takes 0.1 s to import: only when used

    def product(v: np.ndarray) -> np.ndarray:
        return surface.hvp(np.asarray(v).reshape(-1), point)

    shape = (point.size, point.size)
    operator = LinearOperator(shape, matvec=product, rmatvec=product, dtype=np.float64)  # type: ignore[call-arg]
    scale = float(np.linalg.norm(product(gradient)) / np.linalg.norm(gradient))
    return lambda damping: -lsmr(operator, gradient, damp=damping, atol=1e-4, btol=1e-4, maxiter=100)[0], scale


def _down(surface: LossSurface, start: np.ndarray, path: Path, steps: int, tolerance: float) -> np.ndarray:
    """Newton's method with a trust region on the loss, by products with the Hessian: SciPy's, after Steihaug."""
    from scipy.optimize import minimize  # takes 0.1 s to import: only when used

    reached = start

    def value(w: np.ndarray) -> float:
        loss = surface.value(w)
        return loss if np.isfinite(loss) else np.inf  # the region shrinks

    def note(intermediate_result: Any) -> None:
        nonlocal reached
        if np.array_equal(intermediate_result.x, reached):
            return  # the step was refused
        reached = np.array(intermediate_result.x)
        if path.add(reached, *surface.value_and_gradient(reached)) <= tolerance or path.steps >= steps:
            raise StopIteration

    def product(w: np.ndarray, v: np.ndarray) -> np.ndarray:
        found = surface.hvp(v, w)
        if not np.isfinite(found).all():  # a loss without a minimum leads to where it overflows
            raise FloatingPointError
        return found

    # Of SciPy's methods this one ends soonest on networks; "trust-exact" fails where the Hessian is nearly singular.
    options = {"gtol": 0.0, "maxiter": 10 * steps}
    with suppress(FloatingPointError, ValueError):  # the latter is SciPy's, where numbers of its own overflow
        minimize(value, start, jac=surface.gradient, hessp=product, method="trust-ncg", callback=note, options=options)
    return reached
