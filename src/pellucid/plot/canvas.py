"""What all pictures share: axes without a window, colours and markers that everybody can tell apart, checked arguments.

No class, curve or path depends on its colour alone: markers and line styles change with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pellucid.errors import ConfigurationError
from pellucid.train.palette import COLOURS, MARKERS

LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 1)))

#: So many classes have a colour and a marker that no other one has.
MOST_CLASSES = len(COLOURS) * len(MARKERS)

#: Lines of a column of a legend beside the axes, and the width of the column in inches.
_LEGEND_ROWS, _LEGEND_WIDTH = 14, 0.9

#: Of a legend among the data, those that are liked best first.
_PLACES = (
    "upper right", "upper left", "lower right", "lower left",
    "center right", "center left", "upper center", "lower center", "center",
)  # fmt: skip

#: For the height of surfaces: pale, so that lines and markers in any of the colours stand out.
HEIGHT = LinearSegmentedColormap.from_list("height", ["#FFFFFF", "#EDEDED", "#BDBDBD", "#8F8F8F"])

#: Of text and thin lines that are no data.
INK = "#333333"


def colour(number: int) -> str:
    """The colour of the class, curve or path of a number."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Its marker; together with the colour it repeats after ``MOST_CLASSES`` only."""
    return MARKERS[number % len(MARKERS)]


def line(number: int) -> Any:
    """Its line style."""
    return LINES[number % len(LINES)]


def pale(of: Any, share: float = 0.28) -> tuple[float, float, float]:
    """The colour on white, at this share.

    >>> pale("black", 0.25)
    (0.75, 0.75, 0.75)
    """
    red, green, blue = 1 - share * (1 - np.array(to_rgb(of)))
    return float(red), float(green), float(blue)


def axes_for(owner: str, ax: Any, size: tuple[float, float] = (5.0, 4.0), *, solid: bool = False) -> Any:
    """The axes to draw on: those given, or new ones on a figure that belongs to no window.

    Args:
        owner: Who draws, for the error.
        ax: Matplotlib axes, or None.
        size: Width and height of a new figure, in inches.
        solid: Whether they must have three dimensions.

    Raises:
        ConfigurationError: ``ax`` is not a pair (or triple) of axes.
    """
    if ax is None:
        # No global figure manager: nothing leaks, no display is needed.
        figure = Figure(figsize=size, layout="constrained")
        return figure.add_subplot(projection="3d") if solid else figure.add_subplot()
    if not isinstance(ax, Axes):
        raise ConfigurationError(
            f"{owner}: ax must be Matplotlib axes, not {type(ax).__name__}.",
            hint="figure, ax = matplotlib.pyplot.subplots() makes them",
        )
    if (ax.name == "3d") != solid:
        wanted, found = ("three dimensions", "two") if solid else ("two dimensions", "three")
        raise ConfigurationError(
            f"{owner}: ax must have {wanted}, but it has {found}.",
            hint="figure.add_subplot(projection='3d') has three" if solid else "figure.add_subplot() has two",
        )
    return ax


def panels_for(owner: str, ax: Any, count: int, size: tuple[float, float] = (4.2, 3.8), columns: int = 4) -> Any:
    """Several axes to draw on: those given, or new ones side by side.

    Args:
        owner: Who draws, for the error.
        ax: As many Matplotlib axes in any nest of lists and arrays, or None.
        count: How many are needed.
        size: Width and height of each new panel, in inches.
        columns: Most new panels in a row.

    Returns:
        A flat array of axes.

    Raises:
        ConfigurationError: They are of another number, or not axes.
    """
    if ax is None:
        columns = min(columns, count)
        rows = -(-count // columns)
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        flat = np.empty(count, dtype=object)
        for number in range(count):
            flat[number] = figure.add_subplot(rows, columns, number + 1)
        return flat
    flat = np.array(ax, dtype=object).reshape(-1)
    if len(flat) != count:
        raise ConfigurationError(f"{owner}: ax must be {count} Matplotlib axes, but {len(flat)} were given.")
    for panel in flat:
        axes_for(owner, panel)
    return flat


def mosaic(ax: Any, colours: np.ndarray, left: float, right: float, low: float, high: float, **settings: Any) -> Any:
    """Even rectangles [rows, columns] or, coloured themselves, [rows, columns, 3], the first row at ``low``."""
    rows, columns = colours.shape[:2]
    across, up = np.linspace(left, right, columns + 1), np.linspace(low, high, rows + 1)
    # A mesh, not an image: its pixels do not depend on how a version of Matplotlib resamples images.
    return ax.pcolormesh(across, up, colours, shading="flat", rasterized=True, zorder=0, **settings)


def borders(ax: Any, across: np.ndarray, up: np.ndarray, numbers: np.ndarray, width: float) -> None:
    """The lines between the regions of a grid whose points hold a class's number each."""
    # Every border lies around one of two classes: around all but the first lie all of them.
    for number in np.unique(numbers)[1:]:
        inside = (numbers == number).astype(float)
        ax.contour(across, up, inside, levels=[0.5], colors=[INK], linewidths=width, zorder=2)


def with_legend(size: tuple[float, float], entries: int, most: int = 7) -> tuple[float, float]:
    """The size of a figure with room for a legend of so many lines beside the axes, where that is more than ``most``.

    >>> with_legend((5.0, 4.0), 3), with_legend((5.0, 4.0), 20)
    ((5.0, 4.0), (6.8, 4.0))
    """
    return (size[0] + (_LEGEND_WIDTH * -(-entries // _LEGEND_ROWS) if entries > most else 0.0), size[1])


def legend(ax: Any, most: int = 7, **settings: Any) -> None:
    """The legend, where there is anything to explain; of more than ``most`` lines it is beside the axes."""
    handles = settings.get("handles", ax.get_legend_handles_labels()[0])
    if not handles:
        return
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0}
    if len(handles) > _LEGEND_ROWS:
        beside |= {"ncols": -(-len(handles) // _LEGEND_ROWS), "fontsize": 8, "columnspacing": 1.0, "handlelength": 1.4}
    many = len(handles) > most
    ax.legend(**{"frameon": not many, "framealpha": 0.9, **settings, **(beside if many else {})})


def emptiest_place(points: np.ndarray) -> str:
    """Where in the picture the fewest of the points [N, 2] are, and a legend hides least: a corner, if one is empty.

    Matplotlib's own ``loc="best"`` looks at every rectangle of a mesh, which takes it seconds.

    >>> emptiest_place(np.array([[0.0, 0.0], [0.1, 1.0], [1.0, 0.0], [0.5, 0.5]]))
    'upper right'
    """
    low, high = points.min(axis=0), points.max(axis=0)
    across, up = ((points - low) / np.where(high > low, high - low, 1.0)).T

    def held(place: str) -> int:
        wide = {"left": across < 0.4, "right": across > 0.6}.get(place.split()[-1], np.abs(across - 0.5) < 0.2)
        return int((wide & {"lower": up < 0.4, "upper": up > 0.6}.get(place.split()[0], np.abs(up - 0.5) < 0.2)).sum())

    return min(_PLACES, key=held)


def quiet(ax: Any) -> None:
    """Leave out the lines that hold no data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def few_ticks(ax: Any) -> None:
    """Few numbers along the first two axes, where long ones or a slanting view leave little room."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))


def names_of(owner: str, what: str, names: Sequence[Any] | None, default: Sequence[Any]) -> tuple[str, ...]:
    """The names given, one for each default, or the defaults as text.

    Raises:
        ConfigurationError: There are too many or too few names, or one text in place of a list.
    """
    if names is None:
        return tuple(str(name) for name in default)
    if isinstance(names, str) or len(names) != len(default):
        number = "one text" if isinstance(names, str) else f"{len(names)} names"
        raise ConfigurationError(f"{owner}: {what} must be {len(default)} names, not {number}.")
    return tuple(str(name) for name in names)
