"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps

from pellucid.errors import DataError
from pellucid.fields import Choice, require
from pellucid.plot.canvas import axes_for, mosaic, names_of
from pellucid.plot.table import classes_of, numbered, predicted_labels, read_labels
from pellucid.shapes import show

_PALE = colormaps["Blues"]

#: Up to how many classes the text has its full size.
_FEW = 12


def confusion_matrix(
    y_true: Any,
    y_pred: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    values: str = "both",
    ax: Any = None,
) -> Any:
    """Draw how many examples of each class (a row) were taken for each class (a column).

    The shade is the share of the row: the diagonal holds each class's recall.

    Args:
        y_true: True labels [N], or one-hot rows; or, without ``y_pred``, a table of counts [K, K].
        y_pred: Predicted labels [N], or outputs [N, K], of which the largest decides.
        class_names: Names of the classes, in the order of the sorted labels; of the labels 0, 1, ... also of those
            that no example has.
        values: What the cells say: ``"counts"``, ``"shares"`` of the row, or ``"both"``.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The labels do not fit together, or the table is none of counts.
        ConfigurationError: An argument is outside its range.

    >>> ax = confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    >>> ax.get_title(), [text.get_text().split() for text in ax.texts]
    ('2 of 3 right (66.7 %)', [['1', '50', '%'], ['1', '50', '%'], ['0'], ['1', '100', '%']])
    """
    owner = "confusion_matrix"
    require(owner, "values", values, Choice("counts", "shares", "both"))
    if y_pred is None:
        counts = _given_counts(owner, y_true)
        names = names_of(owner, "class_names", class_names, range(len(counts)))
    else:
        counts, names = _counted(owner, y_true, y_pred, class_names)
    side = 1.6 + (0.62 if len(names) <= _FEW else 0.4) * len(names)
    ax = axes_for(owner, ax, (max(side, 3.4) + 0.06 * max(map(len, names)), max(side, 3.2)))
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    mosaic(ax, shares, -0.5, len(names) - 0.5, -0.5, len(names) - 0.5, cmap=_PALE, vmin=0, vmax=1)
    ax.invert_yaxis()
    ax.set_aspect("equal")
    for row, column in np.ndindex(*counts.shape):
        count, share = int(counts[row, column]), _percent(int(counts[row, column]), max(int(totals[row, 0]), 1))
        text = {"counts": f"{count:,}", "shares": share, "both": f"{count:,}\n{share}"}[values] if count else "0"
        shade = "#6B6B6B" if not count else _readable_on(_PALE(shares[row, column]))
        size = 9 if len(names) <= _FEW else 6
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=shade)
    long = max(map(len, names)) > 3
    ax.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center")
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    right, total = int(np.trace(counts)), int(counts.sum())
    ax.set_title(f"{right:,} of {total:,} right ({_percent(right, total, 1)})", fontsize=10)
    return ax


def _percent(part: int, whole: int, digits: int = 0) -> str:
    """A share in per cent; what is not none or all of it does not look so."""
    low, high = 10**-digits, 100 - 10**-digits
    if 0 < part < whole and not low <= round(100 * part / whole, digits) <= high:
        return f"< {low:.{digits}f} %" if 2 * part < whole else f"> {high:.{digits}f} %"
    return f"{100 * part / whole:.{digits}f} %"


def _readable_on(paper: Any) -> str:
    red, green, blue = (((c + 0.055) / 1.055) ** 2.4 for c in paper[:3])
    # The luminance (WCAG 2.2) at which black and white are equally far: either then has a contrast of 4.58 or more.
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"


def _given_counts(owner: str, table: Any) -> np.ndarray:
    counts = np.asarray(table)
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] and counts.dtype.kind in "biuf"
    if not square or not counts.size or (counts < 0).any() or (counts != np.floor(counts)).any() or not counts.any():
        raise DataError(
            f"{owner}: without y_pred, y_true must be a table of counts [K, K], "
            f"not {show(counts.shape)} {counts.dtype}.",
            hint="confusion_matrix(y_true, y_pred) counts",
        )
    return counts.astype(np.int64)


def _counted(owner: str, y_true: Any, y_pred: Any, class_names: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    if np.ndim(y_true) == 0:
        raise DataError(f"{owner}: y_true must be labels [N], not {y_true!r}.")
    true = read_labels(owner, y_true, len(y_true), "y_true")
    predicted = predicted_labels(owner, y_pred, len(true))
    if not len(true):
        raise DataError(f"{owner}: there are no labels to compare.")
    if (true.dtype.kind in "biuf") != (predicted.dtype.kind in "biuf"):
        raise DataError(f"{owner}: y_true holds {true.dtype.name} labels, but y_pred {predicted.dtype.name}.")
    classes, names = classes_of(owner, np.concatenate([true, predicted]), class_names)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (numbered(owner, true, classes), numbered(owner, predicted, classes)), 1)
    return counts, names
