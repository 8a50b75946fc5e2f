import numpy as np
import pytest

from pellucid import ops
from pellucid.analysis import loss_surface
from pellucid.analysis.differences import STEPS, Differences, best_step


def differences(f, w):
    surface = loss_surface(f, w)
    return Differences(surface, surface.value())


def test_differences_are_wrong_by_the_third_derivative_and_by_rounding():
    around = differences(lambda w: ops.sum(ops.exp(w)), [0.5])
    values, rounding = around.central(np.array([0]), 1e-2)
    truncation = 1e-4 * np.exp(0.5) / 6
    assert values[0] - np.exp(0.5) == pytest.approx(truncation, rel=1e-3)
    fine, fine_rounding = around.central(np.array([0]), 1e-8)
    assert abs(fine[0] - np.exp(0.5)) < fine_rounding[0] < 1e-6
    assert rounding[0] < 1e-12


def test_the_estimated_error_bounds_the_true_one():
    around = differences(lambda w: ops.sum(ops.sin(w) * ops.exp(w)), [0.3, 1.1, -2.0])
    w = np.array([0.3, 1.1, -2.0])
    exact = (np.sin(w) + np.cos(w)) * np.exp(w)
    values, errors = around.ladder(np.arange(3))
    assert (np.abs(values - exact) <= 1.02 * errors).all()
    assert abs(around.refined(1)[0] - exact[1]) < 1e-9


def test_the_step_grows_with_the_parameter():
    around = differences(lambda w: ops.sum(w**2), [1e6])
    assert around.central(np.array([0]), 1e-6)[0][0] == pytest.approx(2e6, rel=1e-9)


@pytest.mark.parametrize(("slope", "kink"), [(0.0, True), (0.4, True), (1.0, True), (1.2, False), (-0.1, False)])
def test_a_kink_takes_any_slope_between_those_on_its_sides(slope, kink):
    assert differences(lambda w: ops.sum(ops.relu(w)), [0.0]).is_kink(0, slope) is kink


def test_a_sharp_bend_is_no_kink():
    around = differences(lambda w: ops.sum(w**2) * 1e3, [0.0])
    assert not around.is_kink(0, 0.0)


def test_the_best_step_is_one_of_the_ladder():
    step, errors = best_step(differences(lambda w: ops.sum(ops.tanh(w)), [0.1, 0.2]), np.arange(2), 0)
    assert tuple(errors) == STEPS
    assert errors[step] == min(errors.values())
