"""Where in the plane of two features a classifier decides for which class, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from sklearn.base import BaseEstimator, RegressorMixin

from pellucid.fields import Choice, Integer, require
from pellucid.plot.canvas import (
    INK,
    axes_for,
    borders,
    colour,
    emptiest_place,
    few_ticks,
    legend,
    marker,
    names_of,
    pale,
    with_legend,
)
from pellucid.plot.decisions import Decisions, class_number, decisions_of, labels_for, need_probabilities
from pellucid.plot.scatter import draw_points
from pellucid.plot.table import Table, numbered


@dataclass(frozen=True)
class Plane:
    """Two columns of a table; the other ones stay at the middle of their values.

    Attributes:
        table: The examples.
        columns: The numbers of the two.
        decisions: Of the classifier.
        labels: The examples' labels, or None.
        names: Of the classes.
    """

    table: Table
    columns: tuple[int, int]
    decisions: Decisions
    labels: np.ndarray | None
    names: tuple[str, ...]

    @property
    def points(self) -> np.ndarray:
        """The examples in the plane, [N, 2]."""
        return self.table.values[:, self.columns]

    @property
    def numbers(self) -> np.ndarray | None:
        """The number of each example's class, or None where there are no labels."""
        return None if self.labels is None else numbered("y", self.labels, self.decisions.classes)

    @property
    def axis_names(self) -> tuple[str, str]:
        """Of both columns."""
        return self.table.names[self.columns[0]], self.table.names[self.columns[1]]

    def examples(self, points: np.ndarray) -> Any:
        """Complete examples for points [N, 2], in the form that the classifier was given."""
        full = np.repeat(np.median(self.table.values, axis=0)[None], len(points), axis=0)
        full[:, self.columns] = points
        return self.table.like(full)

    def corners(self, margin: float = 0.08) -> np.ndarray:
        """The lowest and the highest corner of the picture, [2, 2]: the examples with a margin."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        room = margin * np.where(high > low, high - low, 1.0)
        return np.stack([low - room, high + room])


class _Regions(RegressorMixin, BaseEstimator):
    """What DecisionBoundaryDisplay takes: an estimator of two features, whose number is that of the class.

    It is given as a regressor, so that one class more or less changes nothing about how the display draws.
    """

    def __init__(self, plane: Any = None) -> None:
        self.plane = plane

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> _Regions:
        """Nothing to do: the classifier is fitted."""
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The number of the class at each point."""
        return self.plane.decisions.numbers(self.plane.examples(np.asarray(X)))


def _plane(
    owner: str, model: Any, x: Any, y: Any, features: Sequence[int | str], feature_names: Sequence[str] | None,
    class_names: Sequence[str] | None, threshold: float | None,
) -> Plane:  # fmt: skip
    table = Table.read(owner, x, feature_names)
    columns = table.columns(owner, features)
    labels = labels_for(owner, y, len(table.values))
    decisions = decisions_of(owner, model, table.like(table.values), labels, threshold)
    names = names_of(owner, "class_names", class_names, decisions.classes.tolist())
    if labels is not None:
        numbered(owner, labels, decisions.classes)
    return Plane(table, columns, decisions, labels, names)


def decision_regions(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    features: Sequence[int | str] = (0, 1),
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    shading: str = "class",
    threshold: float | None = None,
    resolution: int = 300,
    ax: Any = None,
) -> Any:
    """Draw the regions in which a classifier decides for each class, their borders, and the examples.

    The regions are drawn by scikit-learn's DecisionBoundaryDisplay. Of more than two features the others stay at the
    median of the examples: the picture is a section through the regions.

    Args:
        model: A fitted estimator with ``predict``, a Model with one output, or a function from examples to labels.
        x: Examples [N, features], an array or a data frame.
        y: Their labels [N] as the estimator knows them, or one-hot rows; none draws the regions alone.
        features: Which two columns span the plane, by number or by name.
        feature_names: Names (with units) of all columns; by default those of the data frame.
        class_names: Names of the classes, in the estimator's order.
        shading: ``"class"`` fills each region evenly; ``"probability"`` the stronger, the surer the classifier is.
        threshold: Above which output a Model of one unit decides for the second class; by default as the accuracy
            metric does: 0 for logits and margins, else 0.5.
        resolution: Points of the grid in each direction.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The examples or labels cannot be used.
        ConfigurationError: The model gives no classes, or an argument is outside its range.

    >>> from pellucid import data
    >>> from sklearn.linear_model import LogisticRegression
    >>> iris = data.load("iris")
    >>> model = LogisticRegression().fit(iris.x_train[:, :2], iris.y_train)
    >>> ax = decision_regions(model, iris.x_train[:, :2], iris.y_train, class_names=iris.target_names, resolution=50)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['setosa', 'versicolor', 'virginica']
    """
    owner = "decision_regions"
    require(owner, "shading", shading, Choice("class", "probability"))
    require(owner, "resolution", resolution, Integer(2))
    plane = _plane(owner, model, x, y, features, feature_names, class_names, threshold)
    certainty = need_probabilities(owner, plane.decisions, model) if shading == "probability" else None
    ax = axes_for(owner, ax, with_legend((5.0, 4.0), len(plane.names)))
    display = _draw_regions(ax, plane, resolution, filled=certainty is None)
    if certainty is not None:
        _shade(ax, display, certainty(plane.examples(np.c_[display.xx0.ravel(), display.xx1.ravel()])))
    borders(ax, display.xx0, display.xx1, display.response, 0.9)
    ax.set_xlim(display.xx0.min(), display.xx0.max())
    ax.set_ylim(display.xx1.min(), display.xx1.max())
    if plane.numbers is not None:
        draw_points(ax, plane.points, plane.numbers, plane.names)
    legend(ax, handles=_handles(plane), loc=emptiest_place(plane.points))
    return ax


def _draw_regions(ax: Any, plane: Plane, resolution: int, filled: bool) -> Any:
    from sklearn.inspection import DecisionBoundaryDisplay

    count = len(plane.names)
    paper = [pale(colour(number)) if filled else (1.0, 1.0, 1.0) for number in range(count)]
    return DecisionBoundaryDisplay.from_estimator(
        _Regions(plane), plane.corners(), grid_resolution=resolution, eps=0, response_method="predict",
        plot_method="pcolormesh", xlabel=plane.axis_names[0], ylabel=plane.axis_names[1], ax=ax,
        cmap=ListedColormap(paper), vmin=-0.5, vmax=count - 0.5, shading="nearest", rasterized=True, zorder=0,
    )  # fmt: skip


def _shade(ax: Any, display: Any, probabilities: np.ndarray) -> None:
    """Each class's colour on white, by how far its probability is above 1 / K."""
    count = probabilities.shape[1]
    best = probabilities.argmax(axis=1)
    certainty = (probabilities.max(axis=1) - 1 / count) / (1 - 1 / count)
    full = np.array([pale(colour(number), 0.55) for number in range(count)])[best]
    picture = (1 - certainty[:, None] * (1 - full)).reshape(*display.xx0.shape, 3)
    display.surface_.remove()
    ax.pcolormesh(display.xx0, display.xx1, picture, shading="nearest", rasterized=True, zorder=0)


def _handles(plane: Plane) -> list[Any]:
    handles: list[Any] = []
    for number, name in enumerate(plane.names):
        if plane.numbers is None:
            handles.append(Patch(facecolor=pale(colour(number)), edgecolor=INK, linewidth=0.6, label=name))
        else:
            shape = {"marker": marker(number), "linestyle": "", "markersize": 6, "markeredgecolor": "white"}
            handles.append(Line2D([], [], color=colour(number), label=name, **shape))
    return handles


def probability_surface(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    of: Any = None,
    features: Sequence[int | str] = (0, 1),
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    resolution: int = 60,
    ax: Any = None,
) -> Any:
    """Draw the probability of a class over the plane of two features as a surface, the examples below and above it.

    The line on the floor is where the probability is one half. Examples of the class lie at the height 1, all others
    at 0. Of more than two features the others stay at the median of the examples.

    Args:
        model: A fitted estimator with ``predict_proba``, or a Model whose output is probabilities or logits.
        x: Examples [N, features], an array or a data frame.
        y: Their labels [N] as the estimator knows them, or one-hot rows; none draws the surface alone.
        of: The class, by its label or its name; by default the last one, of two classes the second.
        features: Which two columns span the plane, by number or by name.
        feature_names: Names (with units) of all columns; by default those of the data frame.
        class_names: Names of the classes, in the estimator's order.
        resolution: Points of the grid in each direction.
        ax: Matplotlib axes of three dimensions to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The examples or labels cannot be used.
        ConfigurationError: The model gives no probabilities, or an argument is outside its range.

    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 0, 0, 1]
    >>> ax = probability_surface(LogisticRegression().fit(x, y), x, y, class_names=("off", "on"), resolution=20)
    >>> ax.get_zlabel()
    'probability of on'
    """
    owner = "probability_surface"
    require(owner, "resolution", resolution, Integer(2))
    plane = _plane(owner, model, x, y, features, feature_names, class_names, None)
    probabilities = need_probabilities(owner, plane.decisions, model)
    last = len(plane.names) - 1
    chosen = last if of is None else class_number(owner, of, plane.decisions.classes, plane.names)
    ax = axes_for(owner, ax, (5.6, 4.8), solid=True)
    low, high = plane.corners()
    across, up = np.meshgrid(*np.linspace(low, high, resolution).T)
    height = probabilities(plane.examples(np.c_[across.ravel(), up.ravel()]))[:, chosen].reshape(across.shape)
    ax.plot_surface(across, up, height, cmap="cividis", vmin=0, vmax=1, alpha=0.75, rcount=40, ccount=40, linewidth=0)
    if height.min() < 0.5 < height.max():
        ax.contour(across, up, height, levels=[0.5], offset=0, colors=[INK], linewidths=1.2)
    if plane.numbers is not None:
        _stand(ax, plane, chosen)
    ax.set(xlabel=plane.axis_names[0], ylabel=plane.axis_names[1], zlabel=f"probability of {plane.names[chosen]}")
    ax.set_zlim(0, 1)
    few_ticks(ax)
    legend(ax, loc="upper left")
    return ax


def _stand(ax: Any, plane: Plane, chosen: int) -> None:
    """The examples at the height that is right for them."""
    numbers = plane.numbers
    assert numbers is not None
    points = np.c_[plane.points, (numbers == chosen).astype(float)]
    draw_points(ax, points, numbers, plane.names, depthshade=False, s=22)
