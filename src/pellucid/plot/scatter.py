"""Two features of labelled examples: the Iris picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.plot.canvas import axes_for, colour, emptiest_place, legend, marker, quiet, with_legend
from pellucid.plot.table import Table, classes_of, numbered, read_labels


def scatter(
    x: Any,
    y: Any = None,
    *,
    features: Sequence[int | str] = (0, 1),
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw two features of labelled examples, each class with a marker and a colour of its own.

    Args:
        x: Examples [N, features], an array or a data frame.
        y: Labels [N] of any kind, or one-hot rows [N, K]; none draws all examples alike.
        features: Which two columns, by number or by name.
        feature_names: Names (with units) of all columns; by default those of the data frame.
        class_names: Names of the classes, in the order of the sorted labels; of the labels 0, 1, ... also of those
            that no example has.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The examples or labels cannot be used.
        ConfigurationError: A column or a number of names does not exist.

    >>> from pellucid import data
    >>> iris = data.load("iris")
    >>> ax = scatter(iris.x_train, iris.y_train, features=(0, 2), class_names=iris.target_names,
    ...              feature_names=iris.feature_names)
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('sepal length (cm)', ['setosa', 'versicolor', 'virginica'])
    """
    table = Table.read("scatter", x, feature_names)
    columns = table.columns("scatter", features)
    points = table.values[:, columns]
    labels = np.zeros(len(points), int) if y is None else read_labels("scatter", y, len(points))
    classes, names = classes_of("scatter", labels, None if y is None else class_names)
    ax = axes_for("scatter", ax, with_legend((5.0, 4.0), len(names)))
    draw_points(ax, points, numbered("scatter", labels, classes), names)
    ax.set_xlabel(table.names[columns[0]])
    ax.set_ylabel(table.names[columns[1]])
    quiet(ax)
    if y is not None:
        legend(ax, loc=emptiest_place(points))
    return ax


def draw_points(ax: Any, points: np.ndarray, numbers: np.ndarray, names: Sequence[str], **settings: Any) -> None:
    """Points [N, 2 or 3] of the classes of these numbers; a class without a point is left out."""
    size = 34 if len(points) <= 400 else 14
    for number, name in enumerate(names):
        own = points[numbers == number]
        if len(own):
            given = {"s": size, "linewidths": 0.6, "edgecolors": "white", "zorder": 3, **settings}
            ax.scatter(*own.T, color=colour(number), marker=marker(number), label=name, **given)
