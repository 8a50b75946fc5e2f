"""How a hidden layer bends the plane until a line divides the classes: the picture of exclusive or."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, require
from pellucid.plot.canvas import borders, colour, emptiest_place, few_ticks, legend, mosaic, names_of, pale, panels_for
from pellucid.plot.hidden import Halves, halves_of
from pellucid.plot.scatter import draw_points
from pellucid.plot.table import Table, numbered, read_labels

#: Points of one line of the grid, and of the background in each direction.
_LINE, _GROUND = 120, 240


@dataclass(frozen=True)
class _View:
    """A plane in the space of the hidden units: origin + a across + b up."""

    origin: np.ndarray
    across: np.ndarray
    up: np.ndarray
    labels: tuple[str, str]

    def project(self, activations: np.ndarray) -> np.ndarray:
        """Coordinates in the plane, [N, 2]."""
        centred = activations - self.origin
        return np.stack([centred @ self.across, centred @ self.up], axis=1)

    def lift(self, points: np.ndarray) -> np.ndarray:
        """The activations at points of the plane, [N, units]."""
        return self.origin + points[:, :1] * self.across + points[:, 1:] * self.up


def feature_space(
    model: Any,
    x: Any,
    y: Any,
    *,
    layer: str | int | None = None,
    units: Sequence[int] | None = None,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    lines: int = 11,
    ax: Any = None,
) -> Any:
    """Draw the examples as the network is given them, and beside them as its hidden layer sees them.

    The grid on the left is straight; on the right it is what the hidden layer makes of it. The border between the
    shaded regions is the decision in either space: behind the last hidden layer it is straight.

    A layer of more than two units is seen from the side. Where the next layer makes the decision, the view is along the
    border: of two classes the axes are its normal and the principal component within it, of three the plane that both
    normals span, so that every example is seen on the side on which it is. In all other views, that of the two
    principal components, the regions are a section through the mean, and examples in front of it or behind it may be
    seen on the wrong side.

    Args:
        model: A Model with one output, or a fitted estimator of a multi-layer network.
        x: Examples [N, 2], an array or a data frame.
        y: Their labels [N]; or one-hot rows.
        layer: The hidden layer, a Model's by name, an MLPClassifier's by its number from 1; None is the last one.
        units: Which two of its units to draw in place of that view, counted from 0; the other ones
            stay at their mean.
        feature_names: Names (with units) of both features; by default those of the data frame.
        class_names: Names of the classes, in the model's order.
        lines: Lines of the grid in each direction.
        ax: Two Matplotlib axes to draw on; new ones by default.

    Returns:
        Both axes, of the inputs and of the hidden layer.

    Raises:
        DataError: The examples or labels cannot be used.
        ConfigurationError: The model has no such layer, or an argument is outside its range.

    >>> from pellucid import Input, Sequential, set_seed
    >>> from pellucid.nn import Dense
    >>> set_seed(0)
    >>> model = Sequential([Input((2,)), Dense(2, "tanh", name="hidden"), Dense(1, "sigmoid")])
    >>> inputs, hidden = feature_space(model, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    >>> inputs.get_xlabel(), hidden.get_xlabel(), hidden.get_title()
    ('feature 1', 'unit 1', 'as the layer "hidden" sees them')
    """
    owner = "feature_space"
    require(owner, "lines", lines, Integer(2))
    table = Table.read(owner, x, feature_names)
    if len(table.names) != 2:
        raise DataError(f"{owner}: x must have two features, not {len(table.names)}: a grid of them is bent.")
    labels = read_labels(owner, y, len(table.values))
    halves = halves_of(owner, model, layer)
    classes = _two_classes(labels) if halves.classes is None else halves.classes
    names = names_of(owner, "class_names", class_names, classes.tolist())
    numbers = numbered(owner, labels, classes)
    activations = halves.front(table.values)
    view = _view(owner, halves, activations, units)
    left, right = panels = panels_for(owner, ax, 2, (4.4, 4.0))
    low, high = _window(table.values)
    _ground(left, low, high, lambda points: halves.decide(halves.front(points)))
    grid = [np.stack(np.broadcast_arrays(*pair), axis=1) for pair in _grid(low, high, lines)]
    bent = [view.project(halves.front(path)) for path in grid]
    seen = view.project(activations)
    _ground(right, *_window(np.concatenate([seen, *bent]), 0.04), lambda points: halves.decide(view.lift(points)))
    for panel, paths, points in ((left, grid, table.values), (right, bent, seen)):
        _draw_grid(panel, paths)
        draw_points(panel, points, numbers, names, s=46 if len(points) <= 40 else 22)
    left.set(xlabel=table.names[0], ylabel=table.names[1], title="as the network is given them")
    right.set(xlabel=view.labels[0], ylabel=view.labels[1], title=f"as {halves.name} sees them")
    few_ticks(right)
    legend(left, loc=emptiest_place(table.values))
    return panels


def _two_classes(labels: np.ndarray) -> np.ndarray:
    """The classes of a model of one unit: those of the labels where there are two."""
    found = np.unique(labels)
    return found if len(found) == 2 else np.arange(2)


def _view(owner: str, halves: Halves, activations: np.ndarray, units: Sequence[int] | None) -> _View:
    if halves.units < 2:
        raise ConfigurationError(f"{owner}: {halves.name} has {halves.units} unit; two span a plane.")
    if units is None and halves.units > 2:
        return _from_the_side(activations, halves.normals)
    chosen = (0, 1) if units is None else tuple(units)
    possible = all(isinstance(unit, int) and 0 <= unit < halves.units for unit in chosen)
    if len(chosen) != 2 or not possible or chosen[0] == chosen[1]:
        raise ConfigurationError(
            f"{owner}: units must be two different ones of 0 to {halves.units - 1}, not {units!r}."
        )
    directions = np.eye(halves.units)[list(chosen)]
    origin = activations.mean(axis=0).astype(np.float64)
    origin[list(chosen)] = 0
    return _View(origin, *directions, labels=(f"unit {chosen[0] + 1}", f"unit {chosen[1] + 1}"))


def _from_the_side(activations: np.ndarray, normals: np.ndarray | None) -> _View:
    """The plane of the borders' normals, filled up with principal components."""
    origin = activations.mean(axis=0).astype(np.float64)
    centred = activations - origin
    found = np.zeros((len(origin), 0)) if normals is None else _main_directions(normals.T)
    rest = centred - centred @ found @ found.T
    directions = np.concatenate([found, _main_directions(rest)], axis=1)[:, :2].T
    shares = (centred @ directions.T).var(axis=0) / max(float(centred.var(axis=0).sum()), 1e-300)
    names = ["principal component 1", "principal component 2"]
    if found.shape[1] == 1:
        names = ["across the border", "along the border"]
    elif found.shape[1] > 1:
        names = ["across the borders, axis 1", "axis 2"]
    labels = [f"{name} ({share:.0%} of the variance)" for name, share in zip(names, shares, strict=True)]
    return _View(origin, directions[0], directions[1], (labels[0], labels[1]))


def _main_directions(rows: np.ndarray) -> np.ndarray:
    """At most two orthonormal columns [units, 2] along which the rows reach farthest."""
    _, sizes, directions = np.linalg.svd(rows, full_matrices=True)
    reached = int((sizes > 1e-9 * max(float(sizes.max(initial=0)), 1e-300)).sum()) or 2  # all zero: any will do
    directions = directions[: min(reached, 2)]
    # A direction and its opposite are as good: the largest part is positive.
    largest = np.abs(directions).argmax(axis=1)
    return (directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]).T


def _window(points: np.ndarray, margin: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    low, high = points.min(axis=0), points.max(axis=0)
    room = margin * np.where(high > low, high - low, 1.0)
    return low - room, high + room


def _grid(low: np.ndarray, high: np.ndarray, lines: int) -> list[tuple[Any, Any]]:
    """The lines upwards, then those across, each as its two coordinates."""
    across, up = (np.linspace(low[i], high[i], _LINE) for i in range(2))
    upwards = [(place, up) for place in np.linspace(low[0], high[0], lines)]
    return [*upwards, *((across, place) for place in np.linspace(low[1], high[1], lines))]


def _draw_grid(ax: Any, paths: list[np.ndarray]) -> None:
    half = len(paths) // 2
    for number, path in enumerate(paths):
        style = "-" if number < half else (0, (4, 2))
        ax.plot(*path.T, linestyle=style, color="#777777", linewidth=0.7, zorder=1)


def _ground(ax: Any, low: np.ndarray, high: np.ndarray, decide: Any) -> None:
    """The regions of the decision and their borders."""
    across, up = np.meshgrid(*(np.linspace(low[i], high[i], _GROUND) for i in range(2)))
    numbers = decide(np.stack([across.ravel(), up.ravel()], axis=1)).reshape(across.shape)
    shades = np.array([pale(colour(number), 0.2) for number in range(int(numbers.max()) + 1)])
    mosaic(ax, shades[numbers], low[0], high[0], low[1], high[1])
    borders(ax, across, up, numbers, 1.4)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
