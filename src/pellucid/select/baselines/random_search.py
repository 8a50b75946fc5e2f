"""Random search: independent draws, of which the best is kept."""

from __future__ import annotations

from pellucid.fields import Integer, param, positive
from pellucid.select.baselines.method import Evaluations, Method, Problem


class RandomSearch(Method):
    """Pure random search (the Monte Carlo method): w ~ N(start, spread²), each on its own; the best one counts.

    Args:
        spread: The standard deviation of each weight.
        batch: How many draws are evaluated at once; it changes the time alone.

    Source: J. H. Brooks, A Discussion of Random Methods for Seeking Maxima, Operations Research 6, 1958; deck 001.

    >>> RandomSearch(spread=0.5)
    RandomSearch(spread=0.5)
    """

    spread: float = param(default=1.0, check=positive)
    batch: int = param(default=64, check=Integer(1))

    title, library = "random search", "numpy"

    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Draw until none is left."""
        start, r = evaluations.start, problem.generator()
        evaluations(start[None])
        while not evaluations.spent:
            evaluations(start + self.spread * r.normal(size=(min(self.batch, evaluations.left), len(start))))
