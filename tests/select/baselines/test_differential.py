import numpy as np
from tests.select.baselines.problems import bowl, run

from pellucid.select import DifferentialEvolution


def test_it_finds_the_bottom_of_a_bowl():
    found = run(DifferentialEvolution(population=16), *bowl(), limit=3000)
    assert found.losses.min() < 1e-8


def test_no_weight_leaves_five_times_the_spread():
    found = run(DifferentialEvolution(spread=0.2), *bowl(), limit=3000)
    assert (found.best <= 1).all()
    assert np.allclose(found.best, 1, atol=0.02)  # the nearest to 3 that is allowed


def test_where_all_members_have_become_one_it_starts_again(monkeypatch):
    started = []
    once = DifferentialEvolution._run
    monkeypatch.setattr(
        DifferentialEvolution, "_run", lambda self, *given: started.append(given[-1]) or once(self, *given)
    )
    found = run(DifferentialEvolution(population=5), *bowl(size=1), limit=3000)
    assert started[:2] == [0, 1]
    assert len(found.losses) == 3000
