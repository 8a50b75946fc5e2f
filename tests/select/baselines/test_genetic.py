import numpy as np
import pytest
from tests.select.baselines.problems import bowl, run

from pellucid.select import GeneticAlgorithm
from pellucid.select.baselines.loss import LossFunction
from pellucid.select.baselines.method import Problem, around

pytest.importorskip("pygad")


def test_it_comes_near_the_bottom_of_a_bowl():
    found = run(GeneticAlgorithm(mutation=0.3), *bowl(), limit=3000)
    assert found.losses[0] == 9
    assert found.losses.min() < 0.01


def test_without_mutation_only_genes_of_the_first_population_are_mixed():
    model, x, y = bowl()
    found = run(GeneticAlgorithm(mutation=0.0, population=16), model, x, y, limit=800)
    first = around(Problem(model, x, y, LossFunction(model, x, y), 0), np.zeros(4), 16, 1.0)
    assert found.losses[:16] == pytest.approx(((first - 3) ** 2).mean(axis=1), rel=1e-5)
    assert all(gene in first[:, place] for place, gene in enumerate(found.best))
    assert found.losses.min() < found.losses[:16].min()


def test_it_says_nothing(capsys):
    run(GeneticAlgorithm(), *bowl(), limit=100)
    assert capsys.readouterr() == ("", "")
