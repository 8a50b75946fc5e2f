"""Gradient descent on error surfaces: learning rates that are too small, right and too large; critical points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import BoundaryNorm
from matplotlib.patches import FancyArrowPatch

from pellucid import autodiff, optim
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, non_negative, positive, require
from pellucid.optim import Optimizer
from pellucid.plot.canvas import HEIGHT, INK, axes_for, colour, legend, marker, panels_for, quiet
from pellucid.plot.landscape import Bounds, Landscape, Path, Surface, bounds_of, landscape_of, surface_of
from pellucid.train.palette import BLUE, RED

#: Points of a curve, and of a surface in each direction.
_CURVE, _GRID = 400, 81

#: An eigenvalue counts as 0 up to this share of the largest one.
_ZERO = 1e-6


def gradient_descent(
    function: Any,
    start: Any = None,
    *,
    learning_rates: Sequence[float] = (0.01, 0.1, 1.0),
    optimizer: Any = "sgd",
    steps: int = 20,
    bounds: Any = None,
    ax: Any = None,
) -> Any:
    """Draw the path of gradient descent on a curve or surface, for several learning rates beside each other.

    w_{t+1} = w_t - η g(w_t), or whatever the optimiser makes of the gradient. With a small η the steps are many, with a
    large one they jump over the minimum, and away from it.

    Args:
        function: f(w) of one number or of w [2], or f(w1, w2), written with Pellucid's operations; or the name of one
            of ``SURFACES``.
        start: A number, or two; a surface has one of its own.
        learning_rates: η, a panel each.
        optimizer: A name or an Optimizer, whose learning rate is replaced.
        steps: How many steps.
        bounds: (low, high), of two parameters for each; by default where the paths are.
        ax: The Matplotlib axes to draw on, one per learning rate; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: A name is unknown, or an argument is outside its range.
        DataError: The start is neither one number nor two.

    >>> axes = gradient_descent(lambda w: w**2, 1.0, learning_rates=(0.05, 0.4, 1.1), steps=8)
    >>> print(axes[1].get_title())
    learning rate 0.4
    loss 6.55e-12 after 8 steps
    """
    owner = "gradient_descent"
    require(owner, "steps", steps, Integer(1))
    if isinstance(learning_rates, (int, float)) or not len(learning_rates):
        raise ConfigurationError(f"{owner}: learning_rates must be a list of numbers, not {learning_rates!r}.")
    for rate in learning_rates:
        require(owner, "a learning rate", rate, positive)
    landscape = landscape_of(owner, function, start)
    paths = [landscape.path(_with_rate(optimizer, rate), steps) for rate in learning_rates]
    limits = bounds_of(owner, function, bounds, paths)
    panels = panels_for(owner, ax, len(paths), (3.9, 3.7), columns=3)
    ground = None if landscape.start.ndim == 0 else heights_of(landscape, limits)
    for number, (panel, path, rate) in enumerate(zip(panels, paths, learning_rates, strict=True)):
        if ground is None:
            _draw_curve(panel, landscape, path, limits[0], number)
        else:
            draw_surface(panel, *ground)
            draw_path(panel, path.points, number)
            mark_minima(panel, function)
        panel.set_title(f"learning rate {rate:g}\n{_outcome(path)}", fontsize=10)
    return panels


def _with_rate(optimizer: Any, rate: float) -> Optimizer:
    given = optim.get(optimizer)
    return type(given)(**{**given.config(), "learning_rate": float(rate)})


def _outcome(path: Path) -> str:
    if path.diverged:
        return f"diverges: out of range after {path.steps} steps"
    return f"{'diverges: ' if path.grown else ''}loss {path.losses[-1]:.3g} after {path.steps} steps"


def _draw_curve(ax: Any, landscape: Landscape, path: Path, limits: tuple[float, float], number: int) -> None:
    across = np.linspace(*limits, _CURVE)
    heights = landscape.heights(across)
    ax.plot(across, heights, color=INK, linewidth=1.2, zorder=1)
    inside = (path.points >= limits[0] - 1e3 * np.ptp(limits)) & (path.points <= limits[1] + 1e3 * np.ptp(limits))
    points, losses = path.points[inside], path.losses[inside]
    shape = {"marker": marker(number), "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    ax.plot(points, losses, color=colour(number), linewidth=1.1, zorder=3, **shape)
    ax.plot(points[:1], losses[:1], "o", markersize=10, fillstyle="none", color=INK, zorder=4, label="start")
    finite = heights[np.isfinite(heights)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    room = 0.06 * (high - low) or 1.0
    ax.set_xlim(*limits)
    ax.set_ylim(low - room, high + room)
    ax.set_xlabel("w")
    ax.set_ylabel("loss")
    quiet(ax)


def heights_of(landscape: Landscape, limits: Bounds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates and heights of a grid over the bounds."""
    across, up = np.meshgrid(*(np.linspace(*pair, _GRID) for pair in limits))
    return across, up, landscape.heights(across, up)


def draw_surface(ax: Any, across: np.ndarray, up: np.ndarray, heights: np.ndarray, labels: bool = True) -> None:
    """A surface as shades between contour lines that have equal areas between them."""
    levels = np.unique(np.quantile(heights[np.isfinite(heights)], np.linspace(0, 1, 15)))
    if len(levels) > 1:
        ax.contourf(across, up, heights, levels=levels, cmap=HEIGHT, norm=BoundaryNorm(levels, HEIGHT.N), zorder=0)
        lines = ax.contour(across, up, heights, levels=levels[1:-1], colors=["#777777"], linewidths=0.5, zorder=1)
        if labels:
            ax.clabel(lines, levels=lines.levels[::3], fmt="%.2g", fontsize=7)
    ax.set_xlim(across.min(), across.max())
    ax.set_ylim(up.min(), up.max())
    ax.set_xlabel("w1")
    ax.set_ylabel("w2")


def draw_path(ax: Any, points: np.ndarray, number: int, label: str | None = None, *, head: bool = True) -> Any:
    """A path [steps + 1, 2], a marker at every step or so, a ring at its start, a large marker at its end; the line."""
    shape = {"marker": marker(number), "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    every = max(1, len(points) // 25)
    near = np.clip(points, -1e6, 1e6)  # Agg refuses coordinates that are out of all proportion
    (drawn,) = ax.plot(*near.T, color=colour(number), linewidth=1.5, zorder=3, markevery=every, label=label, **shape)
    ax.plot(*near[:1].T, "o", markersize=10, fillstyle="none", color=INK, zorder=4)
    if head:
        ax.plot(*near[-1:].T, color=colour(number), zorder=6, **{**shape, "markersize": 9})
    return drawn


def mark_minima(ax: Any, function: Any) -> None:
    """Crosses where a known surface is smallest."""
    found = surface_of(function)
    if isinstance(found, Surface):
        for number, place in enumerate(found.minima):
            ax.plot(*place, "+", markersize=11, markeredgewidth=2, color="black", zorder=5,
                    label=None if number else "minimum")  # fmt: skip


def critical_point(function: Any, point: Any, *, tolerance: float = 1e-6, bounds: Any = None, ax: Any = None) -> Any:
    """Draw a surface around a point with the eigenvectors of its Hessian there, and say what kind of point it is.

    Where the gradient is 0, L(w + v) ≈ L(w) + 1/2 vᵀ H v: along an eigenvector u of the eigenvalue λ the loss changes
    by λ |u|² / 2. All λ > 0 make a minimum, all λ < 0 a maximum, both kinds a saddle, which a step along a u with λ < 0
    leaves downhill.

    Args:
        function: f(w) of w [2], or f(w1, w2), written with Pellucid's operations; or the name of one of ``SURFACES``.
        point: Two numbers.
        tolerance: Up to which norm of the gradient the point is critical. An eigenvalue is 0 up to a millionth of the
            largest one in size, as in ``pellucid.analysis.critical_point``, whose words for the kinds these are.
        bounds: (low, high) of each parameter; by default one and a half on each side of the point.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: A name is unknown, or an argument is outside its range.
        DataError: The point is not two numbers, or the loss there is not finite.

    Source: the lectures' first deck, "Why gradient is small?".

    >>> ax = critical_point("two_weights", [0.0, 0.0])
    >>> print(ax.get_title())
    saddle: gradient norm 0
    eigenvalues -2 and 2
    """
    owner = "critical_point"
    require(owner, "tolerance", tolerance, non_negative)
    if np.shape(point) != (2,):
        raise DataError(f"{owner}: point must be two numbers, not {point!r}.")
    landscape = landscape_of(owner, function, point)
    w = landscape.start
    height, gradient = landscape.value_and_gradient(w)
    if not (np.isfinite(height) and np.isfinite(gradient).all()):
        raise DataError(f"{owner}: at {point!r} the loss is {height:g} and its gradient {gradient.tolist()}.")
    slope = float(np.linalg.norm(gradient))
    eigenvalues, vectors = np.linalg.eigh(np.asarray(autodiff.hessian(landscape.function)(w), np.float64))
    around = [(c - 1.5, c + 1.5) for c in w] if bounds is None else bounds
    limits = bounds_of(owner, function, around, [Path(w[None], np.zeros(1), False)])
    ax = axes_for(owner, ax, (5.0, 4.6))
    draw_surface(ax, *heights_of(landscape, limits))
    reach = 0.3 * min(high - low for low, high in limits)
    zero = _ZERO * float(np.abs(eigenvalues).max())
    for value, vector, dashes in zip(eigenvalues, vectors.T, ("--", "-"), strict=True):
        _draw_eigenvector(ax, w, float(value), vector * reach, dashes, zero)
    ax.plot(*w, "o", color="black", markersize=7, zorder=5)
    kind = "not critical" if slope > tolerance else _kind(eigenvalues, zero)
    ax.set_title(
        f"{kind}: gradient norm {slope:.3g}\neigenvalues {eigenvalues[0]:.3g} and {eigenvalues[1]:.3g}", fontsize=10
    )
    legend(ax, loc="upper right")
    return ax


def _draw_eigenvector(ax: Any, w: np.ndarray, value: float, arrow: np.ndarray, dashes: str, zero: float) -> None:
    down = value < -zero
    way = "downhill" if down else "uphill" if value > zero else "level"
    shade = RED if down else BLUE
    style = {"arrowstyle": "-|>", "mutation_scale": 12, "shrinkA": 0, "shrinkB": 0, "zorder": 4}
    for end in (w + arrow, w - arrow):
        ax.add_patch(FancyArrowPatch(tuple(w), tuple(end), color=shade, linewidth=2, linestyle=dashes, **style))
    ax.plot([], [], color=shade, linewidth=2, linestyle=dashes, label=f"{way}, eigenvalue {value:.3g}")


def _kind(eigenvalues: np.ndarray, zero: float) -> str:
    above, below = bool((eigenvalues > zero).any()), bool((eigenvalues < -zero).any())
    if above == below:
        return "saddle" if above else "flat"
    name = "minimum" if above else "maximum"
    return name if (np.abs(eigenvalues) > zero).all() else f"degenerate {name}"
