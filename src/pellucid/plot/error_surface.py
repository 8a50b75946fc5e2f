"""The error surface of two parameters in three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, boolean, require
from pellucid.plot.canvas import INK, axes_for, colour, few_ticks, line, marker
from pellucid.plot.landscape import Landscape, Path, Surface, bounds_of, surface_of


def error_surface(
    function: Any,
    paths: Path | Sequence[Path] = (),
    *,
    bounds: Any = None,
    log: bool = False,
    resolution: int = 50,
    ax: Any = None,
) -> Any:
    """Draw the loss over two parameters as a surface, and the paths that descents took on it.

    Args:
        function: f(w) of w [2], or f(w1, w2), written with Pellucid's operations; or the name of one of ``SURFACES``.
        paths: What :func:`descend` returned, one or several.
        bounds: (low, high) of each parameter; by default the surface's own, or where the paths are.
        log: Whether the height is the logarithm of the loss, which then must be nowhere below 0.
        resolution: Points of the grid in each direction.
        ax: Matplotlib axes of three dimensions to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: A name is unknown, an argument is outside its range, or nothing says where to look.

    >>> from pellucid.optim import SGD
    >>> from pellucid.plot import descend
    >>> path = descend("two_weights", optimizer=SGD(0.1), steps=20)
    >>> error_surface("two_weights", path, resolution=20).get_zlabel()
    'loss'
    """
    owner = "error_surface"
    require(owner, "log", log, boolean)
    require(owner, "resolution", resolution, Integer(2))
    tracks = [paths] if isinstance(paths, Path) else list(paths)
    if any(not isinstance(path, Path) or path.points.ndim != 2 for path in tracks):
        raise ConfigurationError(f"{owner}: paths must be those that descend(...) of two parameters returned.")
    limits = _limits(owner, function, bounds, tracks)
    landscape = Landscape(owner, surface_of(function), [low for low, _ in limits])
    across, up = np.meshgrid(*(np.linspace(low, high, resolution) for low, high in limits))
    losses = landscape.heights(across, up)
    if log and (losses < 0).any():
        raise ConfigurationError(f"{owner}: the loss goes down to {np.nanmin(losses):g}: it has no logarithm.")
    heights = _scaled(losses, log)
    ax = axes_for(owner, ax, (5.6, 4.8), solid=True)
    shape = {"rcount": resolution, "ccount": resolution, "linewidth": 0}
    ax.plot_surface(across, up, heights, cmap="cividis", alpha=0.65, zorder=1, **shape)
    for number, path in enumerate(tracks):
        _draw_track(ax, path, limits, number, log)
    ax.set(xlabel="w1", ylabel="w2", zlabel="log10 of the loss" if log else "loss")
    few_ticks(ax)
    finite = heights[np.isfinite(heights)]
    if finite.size and np.ptp(finite):
        ax.set_zlim(finite.min(), finite.max())
    return ax


def _limits(owner: str, function: Any, bounds: Any, tracks: list[Path]) -> Any:
    if tracks or bounds is not None:
        return bounds_of(owner, function, bounds, tracks or [Path(np.zeros((1, 2)), np.zeros(1), False)])
    found = surface_of(function)
    if not isinstance(found, Surface):
        raise ConfigurationError(f"{owner}: a function needs bounds, (low, high) of each parameter, or paths.")
    return found.bounds


def _scaled(losses: np.ndarray, log: bool) -> np.ndarray:
    if not log:
        return losses
    positive = losses[(losses > 0) & np.isfinite(losses)]
    floor = 1e-6 * float(positive.max()) if positive.size else 1.0  # a minimum of 0 would have no bottom
    return np.log10(np.maximum(losses, floor))


def _draw_track(ax: Any, path: Path, limits: Any, number: int, log: bool) -> None:
    """The part of the path that lies on the drawn surface."""
    low, high = np.array(limits).T
    inside = ((path.points >= low) & (path.points <= high)).all(axis=1)
    points, heights = path.points[inside], _scaled(path.losses, log)[inside]
    style = {"color": colour(number), "linestyle": line(number), "marker": marker(number), "markersize": 4}
    ax.plot(*points.T, heights, linewidth=1.8, zorder=5, markevery=max(1, len(points) // 25), **style)
    ax.plot(*points[:1].T, heights[:1], "o", markersize=9, fillstyle="none", color=INK, zorder=6)
