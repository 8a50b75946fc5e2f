"""Error surfaces in three dimensions."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.plot.pictures import check_differs, check_picture

from pellucid import plot
from pellucid.errors import ConfigurationError
from pellucid.optim import SGD, Adam

PATHS = [plot.descend("two_weights", optimizer=SGD(0.1), steps=20), plot.descend("two_weights", optimizer=Adam(0.2))]


def test_paths_lie_on_the_surface_at_their_losses():
    ax = plot.error_surface("two_weights", PATHS, resolution=10)
    lines = [line for line in ax.get_lines() if line.get_marker() != "o" or line.get_fillstyle() == "full"]
    for line, path in zip(lines, PATHS, strict=True):
        x, y, z = line.get_data_3d()
        np.testing.assert_allclose(np.stack([x, y], axis=1), path.points)
        np.testing.assert_allclose(z, path.losses)
    assert len({line.get_color() for line in lines}) == 2
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) == ("w1", "w2", "loss")
    assert ax.get_zlim() == pytest.approx((0, 25), abs=0.1)  # (1 - w1 w2)² between -2 and 2


def test_the_picture_is_the_stored_one(tmp_path):
    check_picture(plot.error_surface("two_weights", PATHS).figure, "error_surface", tmp_path)


def test_another_surface_is_another_picture(tmp_path):
    check_differs(plot.error_surface("saddle", PATHS).figure, "error_surface", tmp_path)


def test_the_height_can_be_the_logarithm():
    ax = plot.error_surface("beale", log=True, resolution=15)
    assert ax.get_zlabel() == "log10 of the loss"
    assert ax.get_zlim()[1] < 6
    assert np.isfinite(ax.get_zlim()).all()


def test_bounds_or_paths_say_where_to_look():
    def bowl(a, b):
        return a**2 + b**2

    ax = plot.error_surface(bowl, bounds=[(-1, 1), (0, 2)], resolution=5)
    assert ax.get_zlim()[1] == pytest.approx(5, abs=0.2)
    path = plot.descend(bowl, (1.0, 2.0), SGD(0.3), steps=5)
    solid = Figure().add_subplot(projection="3d")
    assert plot.error_surface(bowl, path, resolution=5, ax=solid) is solid


NO_PATH: Any = [1, 2]


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (
            lambda: plot.error_surface(lambda w: w[0] + w[1]),
            "error_surface: a function needs bounds, (low, high) of each parameter, or paths.",
        ),
        (
            lambda: plot.error_surface("beale", NO_PATH),
            "error_surface: paths must be those that descend(...) of two parameters returned.",
        ),
        (
            lambda: plot.error_surface("beale", plot.descend(lambda w: w**2, 1.0)),
            "error_surface: paths must be those that descend(...) of two parameters returned.",
        ),
        (
            lambda: plot.error_surface("saddle", log=True, resolution=3),
            "error_surface: the loss goes down to -2.25: it has no logarithm.",
        ),
        (
            lambda: plot.error_surface("beale", ax=Figure().add_subplot()),
            "error_surface: ax must have three dimensions, but it has two.\n"
            "Hint: figure.add_subplot(projection='3d') has three",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, text):
    with pytest.raises(ConfigurationError) as caught:
        draw()
    assert str(caught.value) == text
