import numpy as np
import pytest
from tests.select.baselines.problems import bowl, run

from pellucid.errors import ConfigurationError
from pellucid.select import EvolutionStrategy
from pellucid.select.baselines import evolution

pytest.importorskip("cmaes")


def test_it_finds_the_bottom_of_a_bowl():
    found = run(EvolutionStrategy(), *bowl(), limit=900)
    assert found.losses.min() < 1e-8
    assert np.allclose(found.best, 3, atol=1e-3)


def test_where_it_stands_still_it_starts_again_with_twice_as_many(monkeypatch):
    sizes = []
    make = EvolutionStrategy._strategy
    monkeypatch.setattr(
        EvolutionStrategy, "_strategy", lambda self, p, s, n, k: sizes.append(n) or make(self, p, s, n, k)
    )
    found = run(EvolutionStrategy(population=6), *bowl(size=2), limit=4000)
    assert sizes[:3] == [6, 12, 24]
    assert len(found.losses) == 4000


def test_many_weights_have_a_diagonal_covariance(monkeypatch):
    monkeypatch.setattr(evolution, "_FULL", 3)
    found = run(EvolutionStrategy(), *bowl(), limit=900)
    assert found.losses.min() < 1e-6


def test_losses_that_are_infinite_do_not_end_it():
    found = run(EvolutionStrategy(sigma=1e20), *bowl(), limit=60)
    assert np.isinf(found.losses[1:]).any()
    assert len(found.losses) == 60


def test_a_population_has_at_least_five():
    with pytest.raises(ConfigurationError, match="population must be a whole number of at least 5, or None, not 2"):
        EvolutionStrategy(population=2)
