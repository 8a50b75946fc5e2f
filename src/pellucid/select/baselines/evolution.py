"""The evolution strategy with covariance matrix adaptation, from the library cmaes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import missing_dependency
from pellucid.fields import Integer, optional, param, positive
from pellucid.select.baselines.method import Evaluations, Method, Problem

#: Beyond as many weights only the diagonal of the covariance is adapted: its square root takes d³ steps.
_FULL = 400
_HUGE = float(np.finfo(np.float32).max)


def _library() -> Any:
    try:
        import cmaes
    except ImportError:
        raise missing_dependency("cmaes", "EvolutionStrategy", "baselines") from None
    return cmaes


class EvolutionStrategy(Method):
    """CMA-ES: a normal distribution moves and turns to where its better half of samples lies.

    m ← Σ wᵢ xᵢ over the better half, C ← the covariance of the successful steps, σ by the length of the path. Beyond
    400 weights C is diagonal (sep-CMA-ES). When it stands still, it starts again with a population twice as large.

    Args:
        sigma: The first standard deviation of each weight.
        population: Samples of a generation; 4 + 3 ln d by default.

    Source: N. Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772; restarts: A. Auger and N. Hansen, A
    Restart CMA Evolution Strategy With Increasing Population Size, CEC 2005.
    """

    sigma: float = param(default=0.5, check=positive)
    population: int | None = param(default=None, check=optional(Integer(5)))

    title, library = "evolution strategy", "cmaes"

    def warm_up(self, problem: Problem) -> None:
        """Load the library."""
        _library()

    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Generations until none is left."""
        evaluations(evaluations.start[None])
        population, number = self.population or 4 + int(3 * np.log(len(evaluations.start))), 0
        while not evaluations.spent:
            self._run(problem, evaluations, max(population, 5), number)
            population, number = 2 * population, number + 1

    def _run(self, problem: Problem, evaluations: Evaluations, population: int, number: int) -> None:
        strategy = self._strategy(problem, evaluations.start, population, number)
        while True:  # at least one generation: a strategy may want to stop before it began, if sigma is huge
            points = np.stack([strategy.ask() for _ in range(population)])
            losses = evaluations(points)
            if evaluations.spent:
                return
            # Infinity would make the library's own arithmetic fail; only the order counts.
            finite = np.nan_to_num(losses, posinf=_HUGE).tolist()
            strategy.tell(list(zip(points, finite, strict=True)))
            if strategy.should_stop():
                return

    def _strategy(self, problem: Problem, start: np.ndarray, population: int, number: int) -> Any:
        cmaes = _library()
        make = cmaes.CMA if len(start) <= _FULL else cmaes.SepCMA
        return make(mean=start, sigma=self.sigma, population_size=population, seed=problem.number(number))
