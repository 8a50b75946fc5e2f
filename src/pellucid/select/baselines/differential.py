"""Differential evolution, from SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import differential_evolution

from pellucid.fields import Integer, Interval, param, positive
from pellucid.select.baselines.method import Evaluations, Method, Problem, around


class DifferentialEvolution(Method):
    """Differential evolution (best/1/bin): each member is challenged by best + F (a − b), crossed with itself.

    F is drawn between 0.5 and 1 in each generation.

    Args:
        spread: The standard deviation of the first population; weights stay within 5 times as much of the start.
        population: Members.
        recombination: The probability that a weight comes from the challenger.

    Source: R. Storn and K. Price, Differential Evolution, Journal of Global Optimization 11, 1997.
    """

    spread: float = param(default=1.0, check=positive)
    population: int = param(default=32, check=Integer(5))
    recombination: float = param(default=0.9, check=Interval(0, 1))

    title, library = "differential evolution", "scipy"

    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Generations until none is left; where all members have become one, it starts again."""
        number = 0
        while not evaluations.spent:
            self._run(problem, evaluations, number)
            number += 1

    def _run(self, problem: Problem, evaluations: Evaluations, number: int) -> None:
        start, limit = evaluations.start, 5 * self.spread
        bounds = np.stack([start - limit, start + limit], axis=1)
        first = np.clip(around(problem, start, self.population, self.spread, number), *bounds.T)

        def ended(*_: Any) -> bool:
            return evaluations.spent

        # The seed is called "rng" from SciPy 1.15 on, where its old name works, too.
        given: dict[str, Any] = {"init": first, "seed": problem.number(number)}
        differential_evolution(
            lambda points: evaluations(points.T), bounds, maxiter=evaluations.left // self.population + 1,
            mutation=(0.5, 1.0), recombination=self.recombination, tol=0.0, polish=False, callback=ended,
            updating="deferred", vectorized=True, **given,
        )  # fmt: skip
