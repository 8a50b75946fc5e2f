"""Images with what they are and what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, boolean, require
from pellucid.plot.canvas import RED, axes_for, mosaic
from pellucid.plot.table import read_labels
from pellucid.shapes import show

#: The width of a cell and its height with the line of text, where an image is 1 wide.
_WIDE, _HIGH = 1.2, 1.5

#: Up to how many pixels an image is drawn as rectangles; a larger one is scaled, which is quicker.
_MESH = 64 * 64


def image_grid(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    count: int = 40,
    columns: int = 10,
    wrong_only: bool = False,
    ax: Any = None,
) -> Any:
    """Draw images in rows, each with its true class, and with the predicted one where that is another.

    A wrong one has a thick frame and a cross before its text, ``× 4 for 9``: predicted 4 for a true 9.

    Args:
        images: [N, height, width], [N, height, width, 1 or 3], or square ones as rows [N, pixels]; the smallest value
            is paper, the largest ink. Of colour images, 0 to 1, or 0 to 255 where they are whole numbers.
        y_true: True labels [N], or one-hot rows.
        y_pred: Predicted labels [N], or outputs [N, K], of which the largest decides.
        class_names: Names of the labels 0, 1, ...
        count: The most images that are drawn, the first ones.
        columns: How many are in a row.
        wrong_only: Whether to leave out those that were predicted right.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The images or labels cannot be used.
        ConfigurationError: An argument is outside its range.

    >>> from pellucid import data
    >>> digits = data.load("digits")
    >>> ax = image_grid(digits.x_test[:3], [2, 7, 1], [2, 7, 8])
    >>> [text.get_text() for text in ax.texts], ax.get_title()
    (['2', '7', '× 8 for 1'], '2 of 3 right')
    """
    owner = "image_grid"
    require(owner, "count", count, Integer(1))
    require(owner, "columns", columns, Integer(1))
    require(owner, "wrong_only", wrong_only, boolean)
    pictures = _read(owner, images)
    true, predicted = (_labels(owner, y, len(pictures), what) for y, what in ((y_true, "y_true"), (y_pred, "y_pred")))
    both = true is not None and predicted is not None
    wrong = true != predicted if both else np.zeros(len(pictures), bool)
    if wrong_only and not both:
        raise ConfigurationError(f"{owner}: wrong_only needs both y_true and y_pred.")
    chosen = (np.flatnonzero(wrong) if wrong_only else np.arange(len(pictures)))[:count]
    columns = max(min(columns, len(chosen)), 1)
    rows = max(-(-len(chosen) // columns), 1)
    ax = axes_for(owner, ax, (0.85 * columns + 0.4, 1.0 * rows + 0.5))
    for place, number in enumerate(chosen):
        text = _text(number, true, predicted, class_names, bool(wrong[number]))
        _draw(ax, pictures[number], divmod(place, columns), text, bool(wrong[number]))
    ax.set_xlim(0, columns * _WIDE)
    ax.set_ylim(rows * _HIGH, 0)
    ax.set_aspect(pictures.shape[1] / pictures.shape[2])
    ax.axis("off")
    if both:
        ax.set_title(f"{len(wrong) - int(wrong.sum()):,} of {len(wrong):,} right", fontsize=10)
    return ax


def _draw(ax: Any, picture: np.ndarray, place: tuple[int, int], text: str, wrong: bool) -> None:
    left, top = place[1] * _WIDE + (_WIDE - 1) / 2, place[0] * _HIGH + _HIGH - 1.08
    grey: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1} if picture.ndim == 2 else {}
    if picture.shape[0] * picture.shape[1] <= _MESH:
        mosaic(ax, picture, left, left + 1, top, top + 1, **grey)
    else:
        ax.imshow(picture, extent=(left, left + 1, top + 1, top), aspect="auto", **grey)
    frame = {"edgecolor": RED, "linewidth": 2.5} if wrong else {"edgecolor": "#AAAAAA", "linewidth": 0.6}
    ax.add_patch(Rectangle((left, top), 1, 1, fill=False, **frame))
    weight = {"color": RED, "fontweight": "bold"} if wrong else {"color": "black"}
    ax.text(left + 0.5, top - 0.06, text, ha="center", va="bottom", fontsize=8, **weight)


def _text(number: int, true: Any, predicted: Any, class_names: Sequence[str] | None, wrong: bool) -> str:
    def name(labels: np.ndarray) -> str:
        label = labels[number]
        return str(class_names[int(label)]) if class_names is not None else str(label)

    if wrong:
        return f"\N{MULTIPLICATION SIGN} {name(predicted)} for {name(true)}"
    shown = true if true is not None else predicted
    return "" if shown is None else name(shown)


def _labels(owner: str, y: Any, rows: int, what: str) -> np.ndarray | None:
    if y is None:
        return None
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf":
        labels = labels.argmax(axis=1)
    return read_labels(owner, labels, rows, what)


def _read(owner: str, images: Any) -> np.ndarray:
    """Grey images [N, height, width] from 0 to 1, or colour ones [N, height, width, 3]."""
    found: Any = np.asarray(images)
    if found.dtype.kind not in "biuf":
        raise DataError(f"{owner}: images must be numbers, not {found.dtype}.")
    side = int(np.sqrt(found.shape[1])) if found.ndim == 2 else 0
    if found.ndim == 2 and side * side == found.shape[1]:
        found = found.reshape(-1, side, side)
    if found.ndim == 4 and found.shape[3] == 1:
        found = found[..., 0]
    if not (found.ndim == 3 or (found.ndim == 4 and found.shape[3] == 3)) or not found.size:
        raise DataError(
            f"{owner}: images must be [N, height, width], with 1 or 3 channels, or square rows, "
            f"not {show(found.shape)}."
        )
    if not np.isfinite(found).all():
        raise DataError(f"{owner}: the images hold numbers that are not finite.")
    if found.ndim == 4:
        return np.clip(found / 255 if found.dtype.kind in "iu" else found, 0, 1).astype(np.float64)
    low, high = float(found.min()), float(found.max())
    return (found - low) / (high - low) if high > low else np.zeros(found.shape)
