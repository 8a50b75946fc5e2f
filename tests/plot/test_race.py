"""Optimisers on one surface."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.plot.pictures import check_differs, check_picture

from pellucid import optim, plot
from pellucid.errors import ConfigurationError

FIVE = ["SGD", "Momentum", "Adagrad", "RMSProp", "Adam"]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_five_optimisers_of_the_lectures_start_together_and_their_losses_are_drawn():
    surface, losses = plot.optimizer_race(steps=20)
    assert [name.split(",")[0] for name in legend(losses)] == FIVE
    trails = [line for line in surface.get_lines() if len(line.get_xydata()) == 21]
    assert len(trails) == len(losses.get_lines()) == 5
    for trail, curve in zip(trails, losses.get_lines(), strict=True):
        assert trail.get_xydata()[0].tolist() == [1.0, 1.6]
        heights = [plot.SURFACES["beale"](point).item() for point in trail.get_xydata()]
        np.testing.assert_allclose(curve.get_ydata(), heights)
        assert trail.get_marker() == curve.get_marker()
        assert heights[-1] < heights[0]
    assert len({line.get_marker() for line in trails}) == len({line.get_color() for line in trails}) == 5
    assert (losses.get_xlabel(), losses.get_ylabel(), losses.get_yscale()) == ("step", "loss", "log")


def test_the_picture_is_the_stored_one(tmp_path):
    check_picture(plot.optimizer_race(steps=60)[0].figure, "optimizer_race", tmp_path)


def test_the_race_without_one_of_them_differs(tmp_path):
    race = {"a": optim.SGD(0.001), "b": optim.Momentum(0.00025), "c": optim.Adagrad(0.5), "d": optim.RMSProp(0.1)}
    check_differs(plot.optimizer_race("beale", race, steps=60)[0].figure, "optimizer_race", tmp_path)


def test_optimisers_are_given_by_name_or_with_names():
    _, losses = plot.optimizer_race("valley", ["sgd", optim.Adam(0.1), optim.Adam(0.1)], steps=3)
    assert legend(losses) == ["SGD, rate 0.01", "Adam, rate 0.1", "Adam, rate 0.1 (3)"]
    _, losses = plot.optimizer_race("valley", {"plain": "sgd", "cosine": optim.SGD(optim.CosineDecay(0.1, 5))}, steps=3)
    assert legend(losses) == ["plain", "cosine"]


def test_a_surface_without_a_floor_has_a_linear_scale_that_keeps_the_start_in_sight():
    _, losses = plot.optimizer_race("saddle", steps=60)
    low, high = losses.get_ylim()
    assert losses.get_yscale() == "linear"
    assert -25 < low < 0 < high < 5


def test_a_function_of_ones_own_is_raced_on_where_the_paths_are():
    surface, _ = plot.optimizer_race(lambda a, b: a**2 + 4 * b**2, start=(2, 1), steps=30)
    assert surface.get_xlim()[0] < 0 < 2 < surface.get_xlim()[1]


def test_one_that_diverges_leaves_the_others_in_sight():
    _, losses = plot.optimizer_race("valley", [optim.SGD(0.5), optim.SGD(0.01)], steps=40)
    assert losses.get_ylim()[1] < 1e6


def test_the_animation_is_saved_and_moves(tmp_path):
    animation = plot.animate_race("beale", ["sgd", optim.Adam(0.1)], steps=12, every=5)
    animation.save(tmp_path / "race.gif", writer="pillow", dpi=30)
    with Image.open(tmp_path / "race.gif") as opened:
        picture: Any = opened
        assert picture.n_frames == 4  # steps 0, 5, 10 and 12
        frames = []
        for number in range(picture.n_frames):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("L"), float))
    assert all(np.abs(a - b).mean() > 0.1 for a, b in pairwise(frames))


def test_each_frame_of_the_animation_shows_the_way_so_far(tmp_path):
    axes = Figure().subplots(1, 2)
    animation = plot.animate_race("valley", [optim.Adam(0.1)], steps=6, ax=axes)
    path = plot.descend("valley", optimizer=optim.Adam(0.1), steps=6)
    animation.save(tmp_path / "race.gif", writer="pillow", dpi=20)
    animation._draw_frame(4)
    trail = max(axes[0].get_lines(), key=lambda line: len(line.get_xydata()))
    np.testing.assert_allclose(trail.get_xydata(), path.points[:5])
    np.testing.assert_allclose(axes[1].get_lines()[0].get_ydata(), path.losses[:5])
    assert axes[0].get_title() == "step 4"


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (
            lambda: plot.optimizer_race(lambda w: w**2, start=1.0),
            "optimizer_race: the race is on a surface of two parameters; start must be two numbers.",
        ),
        (lambda: plot.optimizer_race("beale", []), "optimizer_race: there are no optimisers to race."),
        (
            lambda: plot.optimizer_race("beale", "adam"),
            "optimizer_race: optimizers must be a list or a dict by name, not 'adam'.",
        ),
        (
            lambda: plot.animate_race(every=0),
            "animate_race: every must be a whole number of at least 1, not 0.",
        ),
        (
            lambda: plot.optimizer_race("beale", steps=2, ax=Figure().add_subplot()),
            "optimizer_race: ax must be 2 Matplotlib axes, but 1 were given.",
        ),
    ],
)
def test_what_cannot_be_raced_is_told(draw, text):
    with pytest.raises(ConfigurationError) as caught:
        draw()
    assert str(caught.value) == text
