"""Section E of the lectures' canon: looking at optimisation, with the numbers of the decks."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import plot
from pellucid.optim import SGD

# ---- gradient descent on error surfaces ----------------------------------------------------------------------------

#: Between them lie the three cases of decks 000, 001 and 003: on w², w <- (1 - 2 η) w.
CASES = [(0.01, "too small"), (0.3, "right"), (1.05, "too large")]


@pytest.mark.parametrize(("rate", "case"), CASES)
def test_descent_in_one_parameter_creeps_converges_or_overshoots(rate: float, case: str) -> None:
    (ax,) = plot.gradient_descent(lambda w: w**2, 1.0, learning_rates=[rate], steps=20)
    curve, path, _ = ax.get_lines()
    np.testing.assert_allclose(curve.get_ydata(), np.square(curve.get_xdata()), atol=1e-9)
    w, losses = np.asarray(path.get_xdata()), np.asarray(path.get_ydata())
    np.testing.assert_allclose(w, (1 - 2 * rate) ** np.arange(21), atol=1e-12)
    np.testing.assert_allclose(losses, w**2, atol=1e-12)
    if case == "too small":
        assert 0.4 < losses[-1] < 0.5  # 20 steps, and not much more than half of the way
        assert (np.diff(w) < 0).all()
    elif case == "right":
        assert losses[-1] < 1e-12
    else:
        assert (w[1:] * w[:-1] < 0).all()  # from one wall to the other,
        assert (np.diff(losses) > 0).all()  # and higher each time
        assert "diverges" in ax.get_title()


def test_descent_in_two_parameters_is_limited_by_the_steepest_direction() -> None:
    axes = plot.gradient_descent("valley", learning_rates=[0.001, 0.0199, 0.0201], steps=200)
    slow, right, over = (np.asarray(ax.get_lines()[0].get_xydata()) for ax in axes)
    # The curvatures are 1 along and 100 across: beyond 2 / 100 the steps across grow; below it the way along is long.
    np.testing.assert_allclose(slow[-1], [-4 * 0.999**200, 0.8 * 0.9**200], atol=1e-9)
    np.testing.assert_allclose(right[-1], [-4 * 0.9801**200, 0.8 * 0.99**200], atol=1e-9)
    assert abs(over[-1, 1]) > abs(over[0, 1])
    assert ["diverges" in ax.get_title() for ax in axes] == [False, False, True]


def test_a_small_rate_is_trapped_in_a_local_minimum_that_a_larger_one_leaves() -> None:
    def two_valleys(w: object) -> object:
        return w**4 - 3 * w**2 + 0.5 * w  # type: ignore[operator]

    small = plot.descend(two_valleys, 1.9, SGD(0.01), steps=200)
    larger = plot.descend(two_valleys, 1.9, SGD(0.13), steps=200)
    assert small.points[-1] > 1  # the nearer valley, which is not the deeper one
    assert larger.points.min() < -1
    assert larger.losses.min() < small.losses[-1] - 1


# ---- critical points -----------------------------------------------------------------------------------------------


def test_the_two_weight_network_has_a_saddle_at_zero_which_a_step_along_1_1_leaves_downhill() -> None:
    """L = (1 - w1 w2)²: H = [[0, -2], [-2, 0]], eigenvalues 2 and -2, drawn with their eigenvectors."""
    ax = plot.critical_point(lambda w1, w2: (1 - w1 * w2) ** 2, [0.0, 0.0])
    assert ax.get_title() == "saddle: gradient norm 0\neigenvalues -2 and 2"
    end = np.array(ax.patches[0]._posA_posB[1])  # of the first arrow, along the smaller eigenvalue
    direction = end / np.linalg.norm(end)
    np.testing.assert_allclose(np.abs(direction), np.sqrt(0.5))
    assert direction[0] * direction[1] > 0
    surface = plot.SURFACES["two_weights"]
    assert surface([0.0, 0.0]).item() == 1.0
    assert surface(0.1 * direction).item() < 1.0
    assert surface(0.1 * direction * [1, -1]).item() > 1.0


def test_plain_descent_stays_on_the_saddle_and_a_push_along_the_eigenvector_reaches_a_minimum() -> None:
    assert plot.descend("two_weights", [0.0, 0.0], SGD(0.1), steps=50).losses.tolist() == [1.0] * 51
    pushed = plot.descend("two_weights", [0.01, 0.01], SGD(0.1), steps=200)
    np.testing.assert_allclose(pushed.points[-1], [1.0, 1.0], atol=1e-6)


def test_the_other_kinds_of_critical_points_are_told_apart() -> None:
    bowl = plot.critical_point(lambda w: w[0] ** 2 + 3 * w[1] ** 2, [0.0, 0.0])
    assert bowl.get_title() == "minimum: gradient norm 0\neigenvalues 2 and 6"
    dome = plot.critical_point(lambda w: 1 - w[0] ** 2 - 3 * w[1] ** 2, [0.0, 0.0])
    assert dome.get_title() == "maximum: gradient norm 0\neigenvalues -6 and -2"


# ---- the optimisers beside each other ------------------------------------------------------------------------------


def test_the_optimisers_of_the_lectures_race_on_one_surface() -> None:
    surface, losses = plot.optimizer_race("beale", steps=100)
    names = [text.get_text().split(",")[0] for text in losses.get_legend().get_texts()]
    assert names == ["SGD", "Momentum", "Adagrad", "RMSProp", "Adam"]
    for curve in losses.get_lines():
        assert np.asarray(curve.get_ydata())[-1] < 0.1 * np.asarray(curve.get_ydata())[0]
    assert surface.get_xlabel() == "w1"
