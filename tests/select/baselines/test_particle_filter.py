import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.select.baselines.problems import bowl, run

from pellucid.select import ParticleFilter
from pellucid.select.baselines.particle_filter import tempered

pytest.importorskip("filterpy")


def test_it_comes_near_the_bottom_of_a_bowl():
    found = run(ParticleFilter(), *bowl(), limit=3000)
    assert found.losses.min() < 0.01


@given(st.lists(st.integers(-1000, 1000), min_size=8, max_size=40, unique=True), st.floats(1.5, 6))
def test_the_temperature_makes_as_many_particles_count_as_was_asked(losses, count):
    shares = tempered(np.array(losses, float), count)
    assert shares.sum() == pytest.approx(1)
    order = np.argsort(losses)
    assert (np.diff(shares[order]) <= 0).all()
    assert 1 / (shares**2).sum() == pytest.approx(count, rel=1e-3)


def test_infinite_losses_have_no_share_and_equal_ones_equal_shares():
    assert tempered(np.array([1.0, np.inf, 1.0]), 1.5).tolist() == [0.5, 0, 0.5]
    assert tempered(np.full(4, np.inf), 2.0).tolist() == [0.25] * 4
    assert tempered(np.ones(4), 2.0).tolist() == [0.25] * 4


def test_the_move_keeps_mean_and_deviation():
    r = np.random.default_rng(0)
    points = r.normal([1.0, -2.0], [1.0, 3.0], size=(20_000, 2))
    shares = np.full(len(points), 1 / len(points))
    moved = ParticleFilter(shrinkage=0.6)._moved(points, shares, np.arange(len(points)), r)
    assert np.allclose(moved.mean(axis=0), [1, -2], atol=0.06)
    assert np.allclose(moved.std(axis=0), [1, 3], rtol=0.03)
    assert np.corrcoef(moved[:, 0], points[:, 0])[0, 1] == pytest.approx(0.6, abs=0.02)


def test_the_global_generator_is_left_alone():
    state = np.random.get_state()[1].copy()
    run(ParticleFilter(particles=10), *bowl(), limit=50)
    assert np.array_equal(np.random.get_state()[1], state)
