import numpy as np
import pytest
from matplotlib.figure import Figure

from pellucid.analysis.tiles import Tile, as_pictures, draw_tiles, limit, sheets
from pellucid.errors import ConfigurationError


def test_tiles_lie_in_rows_with_their_own_colours_and_texts():
    tiles = [Tile(np.full((2, 2), k / 5), -1, 1, "RdBu_r", f"number {k}") for k in range(5)]
    ax = draw_tiles("test", None, tiles, 3, title="five", row_names=["a", "b"], column_names=["x", "y", "z"])
    assert [image.get_array().max() for image in ax.images] == [0, 0.2, 0.4, 0.6, 0.8]
    assert {image.get_clim() for image in ax.images} == {(-1, 1)}
    lefts = [image.get_extent()[0] for image in ax.images]
    tops = [image.get_extent()[3] for image in ax.images]
    assert lefts[:3] == lefts[3:] + lefts[2:3]
    assert len(set(tops[:3])) == 1
    assert tops[3] > tops[0]
    texts = [text.get_text() for text in ax.texts]
    assert texts == [*(f"number {k}" for k in range(5)), "a", "b", "x", "y", "z"]
    assert ax.get_title() == "five"


def test_signals_are_lines_between_their_lowest_and_highest_value():
    ax = draw_tiles("test", None, [Tile(np.array([0.0, 2.0, 1.0]), 0, 2)], 1)
    (line,) = ax.lines
    up = line.get_ydata()
    assert up[1] < up[2] < up[0]  # the axis points down
    assert not ax.images


def test_a_map_lies_over_the_picture():
    ax = draw_tiles("test", None, [Tile(np.zeros((2, 2)), over=np.eye(2), over_high=3.0)], 1)
    under, over = ax.images
    assert over.get_extent() == under.get_extent()
    assert over.get_clim() == (0, 3)
    assert over.get_alpha() < 1


def test_given_axes_are_drawn_on_and_others_are_refused():
    ax = Figure().add_subplot()
    assert draw_tiles("test", ax, [Tile(np.zeros((2, 2)))], 1) is ax
    with pytest.raises(ConfigurationError, match="test: ax must be Matplotlib axes of two dimensions, not int"):
        draw_tiles("test", 3, [Tile(np.zeros((2, 2)))], 1)


def test_channels_become_grey_colours_or_their_mean():
    grey, low, high = as_pictures(np.arange(8.0).reshape(1, 2, 4, 1))
    assert grey.shape == (1, 2, 4)
    assert (low, high) == (0, 7)
    colours, low, high = as_pictures(np.arange(12.0).reshape(1, 2, 2, 3))
    assert (colours.min(), colours.max(), low, high) == (0, 1, 0, 1)
    mean, _, _ = as_pictures(np.arange(8.0).reshape(1, 4, 2))
    assert mean.tolist() == [[0.5, 2.5, 4.5, 6.5]]
    assert as_pictures(np.full((1, 2, 2, 3), 4.0))[0].max() == 0


def test_colours_around_zero_end_at_the_largest_magnitude():
    assert limit(np.array([-3.0, 2.0])) == 3
    assert limit(np.zeros(2)) == 1


def test_a_signal_of_many_channels_is_a_picture_of_them():
    sound = np.arange(40.0).reshape(1, 4, 10)
    pictures, low, high = as_pictures(sound)
    assert (low, high) == (0, 39)
    assert pictures.shape == (1, 10, 8)  # four moments, each twice as wide: nearly square
    np.testing.assert_array_equal(pictures[0, :, ::2], sound[0].T[::-1])
    assert sheets(np.zeros((50, 10))).shape == (10, 50)
