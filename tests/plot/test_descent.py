"""Gradient descent and critical points, drawn."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.plot.pictures import check_differs, check_picture

from pellucid import ops, optim, plot
from pellucid.analysis import critical_point
from pellucid.errors import ConfigurationError, DataError

NO_LIST: Any = 0.1
RATES = (0.02, 0.3, 1.02)


def parabola(rates=RATES, **settings):
    return plot.gradient_descent(lambda w: w**2, 1.0, learning_rates=rates, bounds=(-1.5, 1.5), steps=10, **settings)


def valley(rates=(0.002, 0.015, 0.0201), **settings):
    return plot.gradient_descent("valley", learning_rates=rates, steps=20, **settings)


def test_a_curve_has_the_function_and_the_path_of_each_rate():
    for ax, rate in zip(parabola(), RATES, strict=True):
        curve, path, start = ax.get_lines()
        np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata() ** 2, atol=1e-12)
        np.testing.assert_allclose(path.get_xdata(), (1 - 2 * rate) ** np.arange(11), atol=1e-12)
        np.testing.assert_allclose(path.get_ydata(), path.get_xdata() ** 2, atol=1e-12)
        assert list(start.get_xdata()) == [1.0]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("w", "loss")
        assert ax.get_xlim() == (-1.5, 1.5)


def test_titles_say_what_becomes_of_each_rate():
    titles = [ax.get_title() for ax in parabola((0.3, 1.02))]
    assert titles[0] == f"learning rate 0.3\nloss {0.4**20:.3g} after 10 steps"
    assert titles[1] == f"learning rate 1.02\ndiverges: loss {1.04**20:.3g} after 10 steps"
    (ax,) = plot.gradient_descent(lambda w: w**4, 3.0, learning_rates=[1.0])
    assert ax.get_title() == "learning rate 1\ndiverges: out of range after 3 steps"


def test_the_picture_of_a_curve_is_the_stored_one(tmp_path):
    check_picture(parabola()[0].figure, "gradient_descent_curve", tmp_path)


def test_other_rates_are_another_picture(tmp_path):
    check_differs(parabola((0.45, 0.3, 1.02))[0].figure, "gradient_descent_curve", tmp_path)


def test_a_surface_has_contours_the_path_and_its_minimum():
    axes = valley()
    for ax in axes:
        path, start, end, minimum = ax.get_lines()
        assert path.get_xydata().shape == (21, 2)
        assert path.get_xydata()[0].tolist() == start.get_xydata()[0].tolist() == [-4.0, 0.8]
        assert path.get_xydata()[-1].tolist() == end.get_xydata()[0].tolist()
        assert minimum.get_xydata().tolist() == [[0, 0]]
        assert sum(type(c).__name__ == "QuadContourSet" for c in ax.collections) == 2
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("w1", "w2")
    markers = [ax.get_lines()[0].get_marker() for ax in axes]
    assert len(set(markers)) == 3


def test_the_picture_of_a_surface_is_the_stored_one(tmp_path):
    check_picture(valley()[0].figure, "gradient_descent_surface", tmp_path)


def test_the_surface_with_another_path_differs(tmp_path):
    check_differs(valley((0.002, 0.005, 0.0201))[0].figure, "gradient_descent_surface", tmp_path)


def test_any_optimiser_takes_the_rates():
    (ax,) = plot.gradient_descent("valley", learning_rates=[0.1], optimizer=optim.Adam(beta_1=0.5), steps=7)
    path = plot.descend("valley", optimizer=optim.Adam(0.1, beta_1=0.5), steps=7)
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), path.points)


def test_it_draws_on_the_given_axes():
    ax = Figure().add_subplot()
    assert list(parabola([0.1], ax=ax)) == [ax]


def test_a_level_surface_can_be_drawn():
    (ax,) = plot.gradient_descent(lambda w: 0 * w[0], (1.0, 2.0), learning_rates=[0.1], steps=2)
    assert ax.get_lines()[0].get_xydata().tolist() == [[1.0, 2.0]] * 3


def saddle(**settings):
    return plot.critical_point("two_weights", [0.0, 0.0], **settings)


def test_a_saddle_shows_the_way_down_and_the_way_up():
    ax = saddle()
    assert ax.get_title() == "saddle: gradient norm 0\neigenvalues -2 and 2"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "downhill, eigenvalue -2",
        "uphill, eigenvalue 2",
    ]
    ends = np.array([arrow._posA_posB[1] for arrow in ax.patches])
    assert len(ends) == 4
    assert np.allclose(ends[:2, 0], ends[:2, 1])  # downhill along [1, 1]
    assert np.allclose(ends[2:, 0], -ends[2:, 1])  # uphill across
    dashed, solid = ax.get_legend().get_lines()
    assert dashed.get_linestyle() != solid.get_linestyle()


def test_the_picture_of_a_saddle_is_the_stored_one(tmp_path):
    check_picture(saddle().figure, "critical_point", tmp_path)


def test_another_point_is_another_picture(tmp_path):
    check_differs(plot.critical_point("two_weights", [0.3, 0.3]).figure, "critical_point", tmp_path)


@pytest.mark.parametrize(
    ("function", "point", "title"),
    [
        (lambda w: (w**2).sum(), [0, 0], "minimum: gradient norm 0\neigenvalues 2 and 2"),
        (lambda w: -(w**2).sum(), [0, 0], "maximum: gradient norm 0\neigenvalues -2 and -2"),
        (lambda a, b: a**2 + b**4, [0, 0], "degenerate minimum: gradient norm 0\neigenvalues 0 and 2"),
        (lambda w: (w**2).sum(), [3, 4], "not critical: gradient norm 10\neigenvalues 2 and 2"),
    ],
)
def test_the_kind_of_a_point_follows_from_gradient_and_eigenvalues(function, point, title):
    assert plot.critical_point(function, point).get_title() == title


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (
            lambda: plot.gradient_descent("valley", learning_rates=NO_LIST),
            "gradient_descent: learning_rates must be a list of numbers, not 0.1.",
        ),
        (
            lambda: plot.gradient_descent("valley", learning_rates=[0.1, 0]),
            "gradient_descent: a learning rate must be a finite number above 0, not 0.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, text):
    with pytest.raises(ConfigurationError) as caught:
        draw()
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (lambda: plot.critical_point(lambda w: w, 1.0), "critical_point: point must be two numbers, not 1.0."),
        (
            lambda: plot.critical_point(lambda w: ops.log(w[0]) + w[1], [-1.0, 0.0]),
            "critical_point: at [-1.0, 0.0] the loss is nan and its gradient [-1.0, 1.0].",
        ),
        (
            lambda: plot.gradient_descent(lambda w: w**2, "here"),
            "gradient_descent: start must be one finite number or two, not 'here'.",
        ),
        (lambda: plot.descend("valley", 1.0), "descend: start must be two finite numbers, not 1.0."),
    ],
)
def test_places_that_are_none_are_told(draw, text):
    with pytest.raises(DataError) as caught:
        draw()
    assert str(caught.value) == text


def test_a_level_curve_and_one_with_holes_can_be_drawn(tmp_path):
    (level,) = plot.gradient_descent(lambda w: 0 * w + 3.0, 1.0, learning_rates=[0.1], steps=2)
    assert level.get_ylim() == (2.0, 4.0)
    steep = plot.gradient_descent(lambda w: ops.log(w), 0.1, learning_rates=[1.0], steps=5)[0]
    assert np.isfinite(steep.get_ylim()).all()
    for ax in (level, steep):
        ax.figure.savefig(tmp_path / "picture.png", dpi=20)


@pytest.mark.parametrize(
    "function",
    [
        lambda w: w[0] * w[1],
        lambda w: 1e-9 * (w**2).sum(),  # a small loss is no flat one
        lambda w: -1e-9 * (w**2).sum(),
        lambda w: 1e6 * w[0] ** 2 - 1e-3 * w[1] ** 2,
        lambda w: -(w[0] ** 2) - w[1] ** 4,
        lambda w: w[0] ** 2 - w[1] ** 4,
        lambda w: (w**4).sum(),
        lambda w: w[0] + w[0] * w[1],
    ],
)
def test_the_kind_of_a_point_is_that_of_the_analysis(function):
    title = plot.critical_point(function, [0.0, 0.0]).get_title()
    assert title.partition(":")[0] == critical_point(function, [0.0, 0.0]).kind
