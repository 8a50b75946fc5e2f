"""A particle filter on the weights; the library filterpy resamples."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import missing_dependency
from pellucid.fields import Integer, Interval, param, positive
from pellucid.select.baselines.method import Evaluations, Method, Problem, around, legacy_seed


def _library() -> Any:
    try:
        from filterpy import monte_carlo
    except ImportError:
        raise missing_dependency("filterpy", "ParticleFilter", "baselines") from None
    return monte_carlo


class ParticleFilter(Method):
    """A particle filter whose state is the vector of weights, which does not move by itself.

    Each particle is weighted by exp(-loss / T), resampled systematically, and moved by Liu and West's kernel:
    w ← a w + (1 - a) m + sqrt(1 - a²) s ε, which keeps mean m and deviation s of the particles while it makes new ones.
    T is found anew each time, so that ``effective`` of the particles count (the effective sample size 1 / Σ p²).

    Args:
        spread: The standard deviation of the first particles.
        particles: How many.
        shrinkage: a, how much of a particle is kept.
        effective: The share of the particles that is to count.

    Source: N. Gordon, D. Salmond and A. Smith, Novel approach to nonlinear/non-Gaussian Bayesian state estimation, IEE
    Proceedings F 140, 1993; J. Liu and M. West, Combined parameter and state estimation in simulation-based filtering,
    2001; deck 001.
    """

    spread: float = param(default=1.0, check=positive)
    particles: int = param(default=100, check=Integer(4))
    shrinkage: float = param(default=0.5, check=Interval(0, 1, "neither"))
    effective: float = param(default=0.1, check=Interval(0, 1, "neither"))

    title, library = "particle filter", "filterpy"

    def warm_up(self, problem: Problem) -> None:
        """Load the library."""
        _library()

    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Weight, resample and move until none is left."""
        resample = _library().systematic_resample
        points, r = around(problem, evaluations.start, self.particles, self.spread), problem.generator(1)
        with legacy_seed(problem.number(2)):  # filterpy draws from NumPy's global generator
            while True:
                losses = evaluations(points)
                if evaluations.spent:
                    return
                shares = tempered(losses, self.effective * len(points))
                # The last share is what is left up to 1, which a sum of rounded ones may fall short of.
                chosen = resample(np.append(shares[:-1], 1.0))
                points = self._moved(points, shares, chosen, r)

    def _moved(self, points: np.ndarray, shares: np.ndarray, chosen: np.ndarray, r: np.random.Generator) -> np.ndarray:
        mean = shares @ points
        deviation = np.sqrt(shares @ (points - mean) ** 2)
        a = self.shrinkage
        return a * points[chosen] + (1 - a) * mean + np.sqrt(1 - a * a) * deviation * r.normal(size=points.shape)


def tempered(losses: np.ndarray, count: float) -> np.ndarray:
    """Shares proportional to exp(-loss / T), with T such that 1 / Σ share² is ``count``.

    >>> shares = tempered(np.array([0.0, 1.0, 2.0, 3.0]), 2.0)
    >>> float(1 / (shares**2).sum()), bool((np.diff(shares) < 0).all())
    (2.0, True)
    """
    finite = np.isfinite(losses)
    if not finite.any():
        return np.full(len(losses), 1 / len(losses))
    gaps = np.where(finite, losses - losses[finite].min(), np.inf)
    low, high = -60.0, 60.0  # of ln 1/T
    for _ in range(60):
        middle = (low + high) / 2
        parts = np.exp(-gaps * np.exp(middle))
        too_many = parts.sum() ** 2 > count * (parts * parts).sum()
        low, high = (middle, high) if too_many else (low, middle)
    parts = np.exp(-gaps * np.exp(low))
    return parts / parts.sum()
