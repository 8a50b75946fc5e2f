"""Images with what they are and what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, boolean, require
from pellucid.plot.canvas import axes_for, mosaic
from pellucid.plot.table import predicted_labels, read_labels
from pellucid.shapes import show
from pellucid.train.palette import RED

#: The least width of a cell and its height with a line of text, of a letter and of one line more, where an image is 1
#: wide; and the most width of all columns.
_WIDE, _HIGH, _LETTER, _LINE, _MOST_WIDE = 1.2, 1.5, 0.105, 0.21, 24.0

#: Letters of a wrong image's text that go into one line.
_ONE_LINE = 12

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

    A wrong one has a thick frame and a cross before its text, ``× 4 for 9``: predicted 4 for a true 9. Long names
    stand in two lines.

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
    true = None if y_true is None else read_labels(owner, y_true, len(pictures), "y_true")
    predicted = None if y_pred is None else predicted_labels(owner, y_pred, len(pictures))
    both = true is not None and predicted is not None
    true, predicted = (_named(owner, labels, class_names) for labels in (true, predicted))
    wrong = true != predicted if both else np.zeros(len(pictures), bool)
    if wrong_only and not both:
        raise ConfigurationError(f"{owner}: wrong_only needs both y_true and y_pred.")
    chosen = (np.flatnonzero(wrong) if wrong_only else np.arange(len(pictures)))[:count]
    texts = [_text(number, true, predicted, bool(wrong[number])) for number in chosen]
    wide, high = _cell(texts)
    columns = max(min(columns, len(chosen), max(int(_MOST_WIDE / wide), 1)), 1)
    rows = max(-(-len(chosen) // columns), 1)
    ax = axes_for(owner, ax, (0.71 * wide * columns + 0.4, 0.67 * high * rows + 0.5))
    for place, (number, text) in enumerate(zip(chosen, texts, strict=True)):
        row, column = divmod(place, columns)
        corner = (column * wide + (wide - 1) / 2, (row + 1) * high - 1.08)
        _draw(ax, pictures[number], corner, text, bool(wrong[number]))
    ax.set_xlim(0, columns * wide)
    ax.set_ylim(rows * high, 0)
    ax.set_aspect(pictures.shape[1] / pictures.shape[2])
    ax.axis("off")
    if both:
        ax.set_title(f"{len(wrong) - int(wrong.sum()):,} of {len(wrong):,} right", fontsize=10)
    return ax


def _cell(texts: Sequence[str]) -> tuple[float, float]:
    """The width and the height of a cell with room for its text, where an image is 1 wide."""
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    return max(_WIDE, _LETTER * longest + 0.1), _HIGH + (_LINE if any("\n" in text for text in texts) else 0.0)


def _draw(ax: Any, picture: np.ndarray, corner: tuple[float, float], text: str, wrong: bool) -> None:
    left, top = corner
    grey: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1} if picture.ndim == 2 else {}
    if picture.shape[0] * picture.shape[1] <= _MESH:
        mosaic(ax, picture, left, left + 1, top, top + 1, **grey)
    else:
        ax.imshow(picture, extent=(left, left + 1, top + 1, top), aspect="auto", **grey)
    frame = {"edgecolor": RED, "linewidth": 2.5} if wrong else {"edgecolor": "#AAAAAA", "linewidth": 0.6}
    ax.add_patch(Rectangle((left, top), 1, 1, fill=False, **frame))
    weight = {"color": RED, "fontweight": "bold"} if wrong else {"color": "black"}
    ax.text(left + 0.5, top - 0.06, text, ha="center", va="bottom", fontsize=8, **weight)


def _text(number: int, true: Any, predicted: Any, wrong: bool) -> str:
    if wrong:
        text = f"\N{MULTIPLICATION SIGN} {predicted[number]} for {true[number]}"
        return text if len(text) <= _ONE_LINE else text.replace(" for ", "\nfor ", 1)
    shown = true if true is not None else predicted
    return "" if shown is None else str(shown[number])


def _named(owner: str, labels: np.ndarray | None, class_names: Sequence[str] | None) -> np.ndarray | None:
    """Each label's name, where names are given."""
    if labels is None or class_names is None:
        return labels
    if isinstance(class_names, str) or labels.dtype.kind not in "biu":
        what = "one text" if isinstance(class_names, str) else f"of labels that are {labels.dtype.name}"
        raise ConfigurationError(f"{owner}: class_names must be the names of the labels 0, 1, ..., not {what}.")
    strange = labels[(labels < 0) | (labels >= len(class_names))]
    if len(strange):
        raise DataError(f"{owner}: the label {strange[0]} has no name among {len(class_names)}.")
    return np.array([str(name) for name in class_names], dtype=object)[labels.astype(int)]


def _read(owner: str, images: Any) -> np.ndarray:
    """Grey images [N, height, width] from 0 to 1, or colour ones [N, height, width, 3]."""
    found: Any = np.asarray(images)
    if found.ndim == 3 and found.shape[2] in (1, 3) and found.shape[1] > 3:
        raise DataError(
            f"{owner}: images {show(found.shape)} are one image with its channels, not several.",
            hint="images[np.newaxis] is a batch of one",
        )
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
