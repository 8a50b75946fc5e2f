"""The search for critical points: where the gradient vanishes, whatever kind of place it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.analysis.critical import CriticalPoint, judge
from pellucid.analysis.model_surface import ModelSurface
from pellucid.analysis.newton import Path, newton
from pellucid.analysis.surface import FULL_HESSIAN, LossSurface, calm_blas
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import unknown_name
from pellucid.fields import Integer, positive, require


@dataclass(frozen=True)
class CriticalSearch:
    """Where a search for a critical point went.

    Attributes:
        point: float64 [n], where it ended.
        converged: Whether the gradient's norm there is at most the tolerance.
        losses, gradient_norms: At the start and after every step.
        found: What kind of place it is; None where the Hessian is too large to be decomposed.
        weights: For a model, what ``model.set_weights`` takes; None for a function.
        left: The step after which the loss was followed, since the gradient's norm did not fall; None where it did.
    """

    point: np.ndarray = field(repr=False)
    converged: bool
    losses: np.ndarray = field(repr=False)
    gradient_norms: np.ndarray = field(repr=False)
    found: CriticalPoint | None
    weights: dict[str, np.ndarray] | None = field(repr=False, default=None)
    left: int | None = None

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.losses) - 1

    def __str__(self) -> str:
        ended = "converged" if self.converged else "did not converge"
        loss = "" if self.left is None else f", down the loss from step {self.left} on"
        place = "" if self.found is None else f"; {self.found}"
        return (
            f"{ended} in {self.steps} steps{loss}: loss {self.losses[0]:.6g} -> {self.losses[-1]:.6g}, gradient norm "
            f"{self.gradient_norms[0]:.3g} -> {self.gradient_norms[-1]:.3g}{place}"
        )


def find_critical_point(
    target: Any,
    *at: Any,
    method: str = "newton",
    steps: int = 200,
    tolerance: float = 1e-6,
    limit: int = FULL_HESSIAN,
) -> CriticalSearch:
    """Look for a place near the start where the gradient is 0.

    Args:
        target: A function of its parameters, a compiled model, or a loss surface.
        at: For a function, w, where the search starts; for a model, which starts from its weights, x and y.
        method: ``"gradient-norm"`` makes 1/2 |g|² small, whose gradient is H g, by L-BFGS. ``"newton"`` solves
            H p = -g by damped least squares and accepts what makes |g| smaller: both find saddles as well as minima.
            But where |g| hardly gets smaller, in a gradient-flat place or a curved valley, Newton's method goes on
            down the loss within a trust region (SciPy's), towards a minimum; if it does not find one either, the result
            is the place with the smallest |g|. ``"saddle-free"`` takes the sizes of the eigenvalues, p = -|H|^-1 g, and
            goes as far as the loss falls: it is repelled by saddles and finds minima.
        steps: At most so many.
        tolerance: The gradient norm at which it is done.
        limit: The most parameters whose Hessian is decomposed, for Newton's steps and for the kind of the place; above
            it Newton's steps are solved by products with the Hessian (LSMR), and ``found`` is None.

    Raises:
        ConfigurationError: The method is unknown, or it needs a Hessian that is too large.

    Source: Dauphin et al., "Identifying and attacking the saddle point problem", 2014 (saddle-free Newton); Levenberg,
    1944, and Marquardt, 1963 (damping); Steihaug, 1983 (trust region).

    >>> search = find_critical_point(lambda w: (1 - w[0] * w[1]) ** 2, [0.3, -0.2])
    >>> search.converged, search.found.kind, float(abs(search.point).max()) < 1e-6
    (True, 'saddle', True)
    """
    owner = "find_critical_point"
    require(owner, "steps", steps, Integer(1))
    require(owner, "tolerance", tolerance, positive)
    require(owner, "limit", limit, Integer(1))
    methods = {"gradient-norm": _gradient_norm, "newton": newton, "saddle-free": _saddle_free}
    if method not in methods:
        raise unknown_name("search", method, methods)
    surface, path = surface_of(owner, target, at), Path()
    surface.require_finite(owner)
    with calm_blas(), np.errstate(all="ignore"):  # a trial step may leave where the loss is defined
        point = methods[method](surface, path, steps, tolerance, limit)
        found = judge(surface, point, tolerance, limit=limit) if point.size <= limit else None
    norms = np.array(path.norms)
    weights = surface.weights(point) if isinstance(surface, ModelSurface) else None
    return CriticalSearch(point, bool(norms[-1] <= tolerance), np.array(path.losses), norms, found, weights, path.left)


def _gradient_norm(surface: LossSurface, path: Path, steps: int, tolerance: float, limit: int) -> np.ndarray:
    """L-BFGS on 1/2 |g|²."""
    from scipy.optimize import minimize  # takes 0.1 s to import: only when used

    scale = max(float(np.linalg.norm(surface.gradient())), 1e-300)

    def half_square(w: np.ndarray) -> tuple[float, np.ndarray]:
        gradient = surface.gradient(w) / scale
        return 0.5 * float(gradient @ gradient), surface.hvp(gradient, w) / scale

    def note(intermediate_result: Any) -> None:
        loss, gradient = surface.value_and_gradient(intermediate_result.x)
        if path.add(intermediate_result.x, loss, gradient) <= tolerance:
            raise StopIteration

    if path.add(surface.point, *surface.value_and_gradient()) <= tolerance:
        return surface.point
    options = {"maxiter": steps, "maxfun": 20 * steps, "gtol": 0.0, "ftol": 0.0, "maxcor": 30}
    found = minimize(half_square, surface.point, jac=True, method="L-BFGS-B", callback=note, options=options)
    return np.asarray(found.x, np.float64)


def _saddle_free(surface: LossSurface, path: Path, steps: int, tolerance: float, limit: int) -> np.ndarray:
    """p = -|H|^-1 g with a line search on the loss; out of a saddle itself along its most negative eigenvector."""
    point = surface.point
    loss, gradient = surface.value_and_gradient()
    norm = path.add(point, loss, gradient)
    for _ in range(steps):
        values, vectors = np.linalg.eigh(surface.hessian(point, limit=limit))
        size = float(np.abs(values).max())
        if norm <= tolerance:
            if values[0] >= -1e-6 * size:
                break
            step, slope = vectors[:, 0] * (-1.0 if gradient @ vectors[:, 0] > 0 else 1.0), 0.0
        else:
            damped = np.maximum(np.abs(values), 1e-6 * size if size else 1.0)
            step = -vectors @ ((vectors.T @ gradient) / damped)
            slope = float(gradient @ step)
        length = 1.0
        while length > 1e-12:
            new_loss, new = surface.value_and_gradient(point + length * step)
            if np.isfinite(new_loss) and new_loss < loss + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break
        point, loss, gradient = point + length * step, new_loss, new
        norm = path.add(point, loss, gradient)
    return point
