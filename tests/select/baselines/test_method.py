import numpy as np
import pytest
from tests.select.baselines.problems import xor

from pellucid.select.baselines.loss import LossFunction
from pellucid.select.baselines.method import Evaluations, Problem, around, legacy_seed


def squares(points):
    return (points**2).sum(axis=1)


def test_exactly_as_many_losses_are_computed_as_are_allowed():
    asked = []
    evaluations = Evaluations(lambda p: asked.append(len(p)) or squares(p), np.ones(2), 5)
    assert evaluations(np.ones((3, 2))).tolist() == [2, 2, 2]
    assert evaluations.left == 2
    assert evaluations(np.zeros((4, 2))).tolist() == [0, 0, np.inf, np.inf]
    assert evaluations.spent
    assert evaluations(np.zeros((4, 2))).tolist() == [np.inf] * 4
    assert asked == [3, 2]
    assert evaluations.losses.tolist() == [2, 2, 2, 0, 0]
    assert (np.diff(evaluations.seconds) >= 0).all()
    assert evaluations.gradients.tolist() == [0] * 5


def test_the_first_vector_of_the_smallest_loss_is_kept():
    evaluations = Evaluations(squares, np.full(1, 9.0), 9)
    evaluations(np.array([[3.0], [-1.0], [1.0]]))
    evaluations(np.array([[1.0], [2.0]]))
    assert evaluations.best.tolist() == [-1]
    evaluations(np.array([[np.inf]]))
    assert evaluations.best.tolist() == [-1]


def test_draws_lie_around_the_start_which_is_the_first():
    problem = Problem(*xor(), LossFunction(*xor()), 3)
    points = around(problem, np.full(3, 5.0), 4000, 0.5)
    assert points[0].tolist() == [5, 5, 5]
    assert points.mean() == pytest.approx(5, abs=0.02)
    assert points[1:].std() == pytest.approx(0.5, rel=0.02)
    assert np.array_equal(points, around(problem, np.full(3, 5.0), 4000, 0.5))
    assert not np.array_equal(points, around(problem, np.full(3, 5.0), 4000, 0.5, 1))
    assert problem.number(1) == problem.number(1) != problem.number(2)


def test_the_global_generator_goes_on_as_if_nothing_had_been_drawn():
    state = np.random.get_state()[1].copy()
    with legacy_seed(7):
        first = np.random.random(3)
    with legacy_seed(7):
        assert np.array_equal(np.random.random(3), first)
    assert np.array_equal(np.random.get_state()[1], state)
