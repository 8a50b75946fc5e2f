import numpy as np
import pytest
from matplotlib.figure import Figure

from pellucid.analysis.drawing import axes_for, heights, quiet
from pellucid.errors import ConfigurationError


def test_axes_are_those_given_or_new_ones_without_a_window():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    ax = axes_for("f", None)
    assert axes_for("f", ax) is ax
    assert axes_for("f", None, solid=True).name == "3d"
    assert pyplot.get_fignums() == before


def test_axes_of_the_wrong_kind_are_refused():
    with pytest.raises(ConfigurationError, match="f: ax must be Matplotlib axes of two dimensions, not str"):
        axes_for("f", "ax")
    with pytest.raises(ConfigurationError, match="of three dimensions, not Axes"):
        axes_for("f", Figure().add_subplot(), solid=True)


def test_lines_of_equal_height_split_a_surface():
    ax = Figure().add_subplot()
    a, b = np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)
    heights(ax, a, b, a[None] ** 2 + b[:, None] ** 2)
    quiet(ax)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-2, 2))
    assert len(ax.collections) >= 2
    assert not ax.spines["top"].get_visible()
