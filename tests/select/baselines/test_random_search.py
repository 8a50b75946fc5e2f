import numpy as np
from tests.select.baselines.problems import bowl, run

from pellucid.select import RandomSearch


def test_draws_are_independent_and_normal_around_the_start():
    found = run(RandomSearch(spread=2.0), *bowl(centre=0.0, size=1), limit=4001)
    assert found.losses[0] == 0
    assert abs(found.losses[1:].mean() - 4) < 0.3  # E w² = spread²
    assert abs(np.corrcoef(found.losses[1:-1], found.losses[2:])[0, 1]) < 0.05


def test_how_many_are_evaluated_at_once_changes_no_loss():
    one, many = (run(RandomSearch(batch=n), *bowl(), limit=50).losses for n in (1, 64))
    assert np.array_equal(one, many)
