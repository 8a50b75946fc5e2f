"""What the pictures of curvature and landscapes share: axes without a window, colours that everybody can tell apart.

The colours are those of Okabe and Ito, "Color Universal Design", 2008. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
COLOURS = (BLUE, RED, GREEN, "#CC79A7", ORANGE, "#56B4E9", "#4D4D4D", "#999999")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<")
LINES = ("-", "--", "-.", ":")

#: Of text and thin lines that are no data.
INK = "#333333"


def axes_for(owner: str, ax: Any, size: tuple[float, float] = (5.0, 4.0), *, solid: bool = False) -> Any:
    """The axes to draw on: those given, or new ones on a figure that belongs to no window.

    Raises:
        ConfigurationError: ``ax`` is not Matplotlib axes of two (or, if ``solid``, three) dimensions.
    """
    if ax is None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        return figure.add_subplot(projection="3d") if solid else figure.add_subplot()
    if not hasattr(ax, "add_artist") or (getattr(ax, "name", "") == "3d") != solid:
        wanted = "three dimensions" if solid else "two dimensions"
        found = f"{type(ax).__name__}{' of three dimensions' if getattr(ax, 'name', '') == '3d' else ''}"
        raise ConfigurationError(
            f"{owner}: ax must be Matplotlib axes of {wanted}, not {found}.",
            hint="figure.add_subplot(projection='3d') has three"
            if solid
            else "figure, ax = pyplot.subplots() makes them",
        )
    return ax


def quiet(ax: Any) -> None:
    """Leave out the lines that hold no data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def heights(ax: Any, across: np.ndarray, up: np.ndarray, losses: np.ndarray, *, count: int = 16) -> None:
    """A surface [up, across] as pale shades between contour lines that have equal areas between them."""
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("heights", ["#FFFFFF", "#EDEDED", "#BDBDBD", "#8F8F8F"])
    known = np.ma.masked_invalid(losses)
    levels = np.unique(np.quantile(losses[np.isfinite(losses)], np.linspace(0, 1, count)))
    if len(levels) > 2:
        ax.contourf(across, up, known, levels=levels, cmap=shades, norm=BoundaryNorm(levels, shades.N), zorder=0)
        lines = ax.contour(across, up, known, levels=levels[1:-1], colors=["#777777"], linewidths=0.5, zorder=1)
        ax.clabel(lines, levels=lines.levels[::3], fmt="%.3g", fontsize=7)
    ax.set_xlim(float(np.min(across)), float(np.max(across)))
    ax.set_ylim(float(np.min(up)), float(np.max(up)))
