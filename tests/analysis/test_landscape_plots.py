import numpy as np
import pytest
from matplotlib.figure import Figure

from pellucid import ops
from pellucid.analysis import LossLine, loss_line, loss_plane
from pellucid.errors import ConfigurationError


def two_weights(w):
    return (1 - w[0] * w[1]) ** 2


WAY = [[1.5, 0.2], [1.3, 0.5], [1.1, 0.85], [1.0, 1.0]]


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def test_a_line_is_drawn_with_its_ends():
    line = loss_line(two_weights, [1.0, 1.0], to=[-1.0, -1.0], count=21)
    ax = drawn(line.plot(log=False))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), line.losses)
    assert [mark.get_xdata()[0] for mark in ax.lines[1:]] == [0, 1]
    assert ax.get_xlabel() == "t, from the model (0) to the other (1)"
    assert drawn(line.plot(log=True)).get_yscale() == "log"


def test_a_plane_is_drawn_with_what_it_goes_through():
    plane = loss_plane(two_weights, [1.0, 1.0], trajectory=WAY, count=15)
    ax = drawn(plane.plot())
    np.testing.assert_allclose(ax.lines[0].get_xydata(), plane.path)
    assert ax.get_xlabel().startswith("component 1 (")
    marks = loss_plane(two_weights, [1.0, 1.0], through=([-1.0, -1.0], [2.0, 0.0]), count=15)
    assert len(drawn(marks.plot()).lines) == 3


def test_places_without_a_finite_loss_are_left_blank():
    plane = loss_plane(lambda w: ops.log(w[0]) + w[1] ** 2, [1.0, 0.0], directions=([2, 0], [0, 1]), count=9)
    assert not np.isfinite(plane.losses).all()
    drawn(plane.plot())
    drawn(plane.plot_surface())


def test_a_constant_loss_can_be_drawn():
    drawn(loss_plane(lambda w: ops.sum(w * 0.0), [1.0, 0.0], directions=([1, 0], [0, 1]), count=4).plot())


def test_a_surface_needs_axes_of_three_dimensions():
    plane = loss_plane(two_weights, [0.0, 0.0], directions=([1, 0], [0, 1]), count=5)
    ax = Figure().add_subplot(projection="3d")
    assert drawn(plane.plot_surface(ax, log=True)) is ax
    assert ax.get_zlabel() == "log10 of the loss"
    flat = Figure().add_subplot()
    assert plane.plot(flat) is flat
    with pytest.raises(ConfigurationError, match="plot_surface: ax must be Matplotlib axes of three dimensions"):
        plane.plot_surface(flat)
    with pytest.raises(ConfigurationError, match="of two dimensions, not Axes3D of three dimensions"):
        plane.plot(ax)
    with pytest.raises(ConfigurationError, match="of two dimensions, not int"):
        plane.plot(3)


def test_a_barrier_is_what_rises_above_the_straight_line_between_the_ends():
    def line(*losses):
        return LossLine(np.linspace(0, 1, len(losses)), np.array(losses, float), None, np.ones(1), True)

    assert line(1, 2, 3).barrier == 0  # uphill all the way, and no barrier
    assert line(9, 1, 5).barrier == 0
    assert line(1, 4, 3).barrier == 2
