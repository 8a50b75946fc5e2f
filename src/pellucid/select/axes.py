"""What the pictures of this package share: axes without a window, and colours that everybody can tell apart.

The colours are those of Okabe and Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError

BLUE, ORANGE, GREEN, RED, PINK, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#4D4D4D"
#: Of classes and groups, in this order; none of them means training or test.
KINDS = (GREEN, PINK, GREY, "#B8B8B8", "#7A5195", "#8C6D31", "#A6D854")


def axes_for(owner: str, ax: Any, size: tuple[float, float] = (6.4, 4.0)) -> Any:
    """The axes to draw on: those given, or new ones on a figure that belongs to no window.

    Raises:
        ConfigurationError: ``ax`` is not a pair of axes.
    """
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if ax is None:
        return Figure(figsize=size, layout="constrained").add_subplot()
    if not isinstance(ax, Axes):
        raise ConfigurationError(f"{owner}: ax must be Matplotlib axes, not {type(ax).__name__}.")
    return ax


def quiet(ax: Any) -> None:
    """Leave out the lines that hold no data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def band(ax: Any, x: Any, mean: np.ndarray, deviation: np.ndarray, label: str, colour: str, **style: Any) -> None:
    """A curve, and one standard deviation around it."""
    ax.plot(x, mean, color=colour, label=label, markersize=5, linewidth=1.6, **style)
    ax.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.18, linewidth=0)


def deviation(values: np.ndarray, axis: Any = None) -> np.ndarray:
    """The standard deviation, 0 of one value."""
    count = values.size if axis is None else values.shape[axis]
    return values.std(axis=axis, ddof=1) if count > 1 else np.zeros(np.delete(values.shape, axis or 0))


def spoken(name: str) -> str:
    """A name of a score or parameter for people."""
    return name.replace("_", " ")
