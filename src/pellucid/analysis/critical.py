"""Critical points: what kind of place it is where the gradient is small, and the way out of a saddle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.analysis.lanczos import DENSE, extreme_eigenpairs, oriented
from pellucid.analysis.model_surface import ModelSurface
from pellucid.analysis.surface import FULL_HESSIAN, LossSurface
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, positive, require

#: What ``CriticalPoint.kind`` can be.
KINDS = (
    "saddle", "minimum", "degenerate minimum", "gradient-flat", "not critical", "maximum", "degenerate maximum", "flat",
)  # fmt: skip


# An eigenvalue below this share of the largest one is rounding, whatever its sign.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class CriticalPoint:
    """A place on a loss surface, and what the second derivatives say of it.

    Attributes:
        kind: Where the gradient is 0: "minimum" (all eigenvalues of the Hessian above 0), "maximum" (all below),
            "saddle" (some of each); "degenerate minimum" or "degenerate maximum" where the others are 0, so that
            second derivatives alone cannot tell it from a saddle; "flat" where all are 0. Where it is not:
            "gradient-flat" if the gradient lies where the Hessian is 0, so that searches for a small gradient end
            there, else "not critical".
        loss: The loss.
        gradient_norm: |g|.
        hessian_gradient_ratio: |H g| / |g|: near 0 in gradient-flat places; NaN where g is 0.
        eigenvalues: float64 [n], from the smallest to the largest.
        eigenvectors: float64 [n, n], the column of each, of length 1.
        gradient: float64 [n].
        zero: Up to which size an eigenvalue counted as 0.
    """

    kind: str
    loss: float
    gradient_norm: float
    hessian_gradient_ratio: float
    eigenvalues: np.ndarray = field(repr=False)
    eigenvectors: np.ndarray = field(repr=False)
    gradient: np.ndarray = field(repr=False)
    zero: float

    @property
    def positive(self) -> int:
        """How many eigenvalues are above 0."""
        return int((self.eigenvalues > self.zero).sum())

    @property
    def negative(self) -> int:
        """How many eigenvalues are below 0: the index of a saddle."""
        return int((self.eigenvalues < -self.zero).sum())

    @property
    def minimum_ratio(self) -> float:
        """The positive eigenvalues over all eigenvalues: 1 at a minimum."""
        return self.positive / len(self.eigenvalues)

    @property
    def is_critical(self) -> bool:
        """Whether the gradient is 0."""
        return self.kind not in ("gradient-flat", "not critical")

    def __str__(self) -> str:
        n = len(self.eigenvalues)
        return (
            f"{self.kind}: loss {self.loss:.6g}, gradient norm {self.gradient_norm:.3g}, "
            f"|Hg| / |g| {self.hessian_gradient_ratio:.3g}, {n} eigenvalue{'s' * (n > 1)} from "
            f"{self.eigenvalues[0]:.4g} to {self.eigenvalues[-1]:.4g}, {self.negative} negative and "
            f"{n - self.positive - self.negative} zero, "
            f"minimum ratio {self.minimum_ratio:.3f}"
        )


def critical_point(
    target: Any,
    *at: Any,
    tolerance: float = 1e-6,
    zero: float = 1e-6,
    flatness: float = 1e-3,
    limit: int = FULL_HESSIAN,
) -> CriticalPoint:
    """What kind of place it is: ``critical_point(f, w)`` or ``critical_point(model, x, y)``.

    Near a point where the gradient is 0, L(w + v) ≈ L(w) + 1/2 v^T H v: along an eigenvector u of the eigenvalue λ the
    loss changes by λ |u|² / 2. The whole Hessian is computed and decomposed, not its diagonal.

    Args:
        target: A function of its parameters, a compiled model, or a loss surface.
        at: For a function, w; for a model, x and y.
        tolerance: The largest |g| of a critical point.
        zero: An eigenvalue counts as 0 up to this share of the largest one in size.
        flatness: A place that is not critical counts as gradient-flat while |H g| / |g| is at most this share of the
            largest eigenvalue in size.
        limit: The most parameters whose full Hessian is computed.

    Raises:
        ConfigurationError: There are more parameters than ``limit``.

    Source: the lectures' first deck, "Why gradient is small?"; Frye et al., "Critical point-finding methods reveal
    gradient-flat regions of deep network losses", 2021.

    >>> point = critical_point(lambda w: (1 - w[0] * w[1]) ** 2, [0.0, 0.0])
    >>> point.kind, point.eigenvalues.tolist(), point.minimum_ratio, point.gradient_norm
    ('saddle', [-2.0, 2.0], 0.5, 0.0)
    """
    owner = "critical_point"
    for name, value in (("tolerance", tolerance), ("zero", zero), ("flatness", flatness)):
        require(owner, name, value, positive)
    require(owner, "limit", limit, Integer(1))
    return judge(surface_of(owner, target, at), None, tolerance, zero, flatness, limit)


def judge(
    surface: LossSurface, point: Any, tolerance: float, zero: float = 1e-6, flatness: float = 1e-3,
    limit: int = FULL_HESSIAN,
) -> CriticalPoint:  # fmt: skip
    """The kind of a point of a surface."""
    loss, gradient = surface.require_finite("critical_point", point)
    hessian = surface.hessian(point, limit=limit)
    values, vectors = np.linalg.eigh(hessian)
    norm = float(np.linalg.norm(gradient))
    ratio = float(np.linalg.norm(hessian @ gradient)) / norm if norm else float("nan")
    size = float(np.abs(values).max())
    threshold = zero * size
    kind = _kind(values, threshold)
    if norm > tolerance:
        kind = "gradient-flat" if ratio <= flatness * size else "not critical"
    return CriticalPoint(kind, loss, norm, ratio, values, oriented(vectors), gradient, threshold)


def _kind(values: np.ndarray, zero: float) -> str:
    """The kind of a critical point by the eigenvalues of its Hessian."""
    above, below = bool((values > zero).any()), bool((values < -zero).any())
    if above and below:
        return "saddle"
    if not above and not below:
        return "flat"
    name = "minimum" if above else "maximum"
    return name if (np.abs(values) > zero).all() else f"degenerate {name}"


@dataclass(frozen=True)
class Escape:
    """A step away from a saddle.

    Attributes:
        point: float64 [n], the place after the step.
        loss, loss_before: There, and at the saddle.
        eigenvalue: The most negative one.
        direction: float64 [n], its eigenvector, pointing the way of the step.
        step: How far the step went along it.
        weights: For a model, what ``model.set_weights`` takes; None for a function.
    """

    point: np.ndarray = field(repr=False)
    loss: float
    loss_before: float
    eigenvalue: float
    direction: np.ndarray = field(repr=False)
    step: float
    weights: dict[str, np.ndarray] | None = field(repr=False, default=None)

    def __str__(self) -> str:
        return (
            f"eigenvalue {self.eigenvalue:.4g}: a step of {self.step:.4g} along its eigenvector changes the loss from "
            f"{self.loss_before:.6g} to {self.loss:.6g}"
        )


def escape_saddle(target: Any, *at: Any, largest_step: float = 1.0, seed: int = 0) -> Escape:
    """Leave a saddle along the eigenvector of its most negative eigenvalue.

    u^T H u = λ |u|² < 0: the loss falls to both sides. The side is the one that the gradient points down to, if there
    is any gradient; the length is the best of ``largest_step`` and its halves.

    Args:
        target: A function of its parameters, a compiled model, or a loss surface.
        at: For a function, w; for a model, x and y.
        largest_step: The longest step that is tried.
        seed: Of Lanczos' method, for many parameters.

    Raises:
        ConfigurationError: No eigenvalue is negative, so that there is no such way, or no step lowers the loss.

    >>> escape = escape_saddle(lambda w: (1 - w[0] * w[1]) ** 2, [0.0, 0.0])
    >>> escape.eigenvalue, escape.direction.round(4).tolist(), escape.loss < escape.loss_before
    (-2.0, [0.7071, 0.7071], True)
    """
    owner = "escape_saddle"
    require(owner, "largest_step", largest_step, positive)
    surface = surface_of(owner, target, at)
    before, gradient = surface.require_finite(owner)
    value, direction, size = _most_negative(surface, seed)
    if value >= -_ROUNDING * size:
        raise ConfigurationError(
            f"{owner}: the smallest eigenvalue of the Hessian is {value:.3g}: no direction of negative curvature leads "
            "away.",
            hint="critical_point(...) says what kind of place it is",
        )
    if gradient @ direction > 0:
        direction = -direction
    steps = largest_step * 0.5 ** np.arange(40)
    with np.errstate(all="ignore"):  # a long step may leave where the loss is defined
        losses = surface.values(surface.point + steps[:, None] * direction)
    best = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
    if not losses[best] < before:
        raise ConfigurationError(
            f"{owner}: the smallest eigenvalue of the Hessian is {value:.3g}, but no step up to {largest_step:g} along "
            f"its eigenvector lowers the loss of {before:.6g}: it may be 0, but for rounding.",
            hint="a larger largest_step= may reach where the loss falls; critical_point(...) shows all eigenvalues",
        )
    point = surface.point + steps[best] * direction
    weights = surface.weights(point) if isinstance(surface, ModelSurface) else None
    return Escape(point, float(losses[best]), before, value, direction, float(steps[best]), weights)


def _most_negative(surface: LossSurface, seed: int) -> tuple[float, np.ndarray, float]:
    """The smallest eigenvalue, its eigenvector, and the size of the Hessian that it is compared with."""
    n = surface.point.size
    if n <= DENSE:
        values, vectors = np.linalg.eigh(surface.hessian())
        return float(values[0]), oriented(vectors)[:, 0], float(np.abs(values).max())
    values, vectors = extreme_eigenpairs(surface.hvp, n, 1, largest=False, seed=seed, tolerance=1e-6)
    smallest = float(values[0])
    if smallest >= 0:
        return smallest, vectors[:, 0], smallest
    # A number below 0 may be the rounding of 0: beside the other end of the spectrum one sees it.
    largest, _ = extreme_eigenpairs(surface.hvp, n, 1, largest=True, seed=seed, tolerance=1e-3)
    return smallest, vectors[:, 0], max(-smallest, abs(float(largest[0])))
