"""The genetic algorithm, from the library pygad."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import missing_dependency
from pellucid.fields import Integer, Interval, param, positive
from pellucid.select.baselines.method import Evaluations, Method, Problem, around


def _library() -> Any:
    try:
        import pygad
    except ImportError:
        raise missing_dependency("pygad", "GeneticAlgorithm", "baselines") from None
    return pygad


class GeneticAlgorithm(Method):
    """A genetic algorithm on real numbers: tournaments choose parents, their genes are mixed, and some mutate.

    The two best live on. A weight of a child comes from either parent with equal chances.

    Args:
        spread: The standard deviation of the first population.
        population: Members of a generation.
        mutation: The probability that a weight of a child mutates.
        step: A mutation adds a number between -step and step.

    Source: J. H. Holland, Adaptation in Natural and Artificial Systems, 1975; deck 001.
    """

    spread: float = param(default=1.0, check=positive)
    population: int = param(default=32, check=Integer(5))
    mutation: float = param(default=0.1, check=Interval(0, 1))
    step: float = param(default=1.0, check=positive)

    title, library = "genetic algorithm", "pygad"

    def warm_up(self, problem: Problem) -> None:
        """Load the library."""
        _library()

    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Generations until none is left."""

        def fitness(_: Any, members: Any, __: Any) -> list[float]:
            return (-evaluations(np.asarray(members))).tolist()

        _library().GA(
            num_generations=evaluations.left,
            num_parents_mating=self.population // 2,
            fitness_func=fitness,
            fitness_batch_size=self.population,
            initial_population=around(problem, evaluations.start, self.population, self.spread),
            parent_selection_type="tournament",
            keep_elitism=2,
            crossover_type="uniform",
            mutation_probability=self.mutation,
            random_mutation_min_val=-self.step,
            random_mutation_max_val=self.step,
            on_generation=lambda _: "stop" if evaluations.spent else None,
            suppress_warnings=True,
            random_seed=problem.number(),
        ).run()
