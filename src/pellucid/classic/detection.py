"""Finding things of any size with a window of one size: the scale pyramid, boxes, and boxes that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, ShapeError
from pellucid.fields import Interval
from pellucid.shapes import show


@dataclass(frozen=True)
class Box:
    """A rectangle of an image in pixels; ``top`` and ``left`` are its first row and column.

    >>> Box(10, 20, 5, 5).iou(Box(10, 20, 5, 10))
    0.5
    """

    top: float
    left: float
    height: float
    width: float

    def iou(self, other: Box) -> float:
        """Intersection over union: 1 for equal boxes, 0 for boxes that do not touch."""
        return float(iou(_corners(self), _corners(other)))


@dataclass(frozen=True)
class Detection(Box):
    """A box in which a detector saw its object.

    Attributes:
        confidence: Larger is surer; comparable between detections of one detector.
        neighbours: Overlapping windows that saw the object too and were merged into this one.
    """

    confidence: float = 0.0
    neighbours: int = 0


def _corners(box: Box) -> np.ndarray:
    return np.array([box.top, box.left, box.top + box.height, box.left + box.width])


def iou(boxes: Any, other: Any) -> np.ndarray:
    """Intersection over union of boxes (top, left, bottom, right), whose leading axes broadcast.

    Raises:
        ShapeError: The last axis does not have 4 numbers.

    >>> iou([[0, 0, 2, 2], [5, 5, 6, 6]], [0, 1, 2, 3])
    array([0.3333, 0.    ])
    """
    boxes, other = np.asarray(boxes, np.float64), np.asarray(other, np.float64)
    for given in (boxes, other):
        if given.ndim == 0 or given.shape[-1] != 4:
            raise ShapeError(f"iou takes boxes [..., 4] of (top, left, bottom, right), not {show(given.shape)}.")
    start, stop = np.maximum(boxes[..., :2], other[..., :2]), np.minimum(boxes[..., 2:], other[..., 2:])
    common = np.maximum(stop - start, 0).prod(axis=-1)
    areas = [np.maximum(b[..., 2:] - b[..., :2], 0).prod(axis=-1) for b in (boxes, other)]
    union = areas[0] + areas[1] - common
    return np.where(union > 0, common / np.where(union > 0, union, 1.0), 0.0)


def non_maximum_suppression(boxes: Any, scores: Any, threshold: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Keep the best of overlapping boxes: the highest score first, then what overlaps no kept box too much.

    Args:
        boxes: (top, left, bottom, right), [N, 4].
        scores: Larger is better, [N]; of equals the first comes first.
        threshold: A box whose intersection over union with a kept one is above this falls away.

    Returns:
        The numbers of the kept boxes, the best first; and for every box the position in that list of the box that
        it is, or fell to.

    Raises:
        ShapeError: The boxes are not [N, 4] with N scores.
        ConfigurationError: The threshold is not in [0, 1].

    >>> kept, owner = non_maximum_suppression([[0, 0, 9, 9], [0, 1, 9, 10], [20, 20, 29, 29]], [0.5, 0.9, 0.1])
    >>> kept, owner
    (array([1, 2]), array([0, 0, 1]))
    """
    boxes, scores = np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ShapeError(
            f"non_maximum_suppression takes boxes [N, 4] and scores [N], not {show(boxes.shape)} and "
            f"{show(scores.shape)}."
        )
    message = Interval(0, 1)(threshold)
    if message:
        raise ConfigurationError(f"non_maximum_suppression: threshold must be {message}, not {threshold!r}.")
    owner = np.full(len(boxes), -1)
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable"):
        if owner[number] < 0:
            close = iou(boxes, boxes[number]) > threshold
            close[number] = True
            owner[close & (owner < 0)] = len(kept)
            kept.append(int(number))
    return np.array(kept, dtype=np.int64), owner


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A smaller grey image: each pixel is the mean of the area that it covers, so that nothing aliases.

    Args:
        image: uint8 [height, width].
        shape: Height and width of the result, at least 1 and at most the image's.

    Returns:
        uint8 of that shape.

    Raises:
        ShapeError: The image has not two axes, or the shape is larger.

    >>> resize(np.array([[0, 0, 9], [0, 0, 9], [30, 30, 9]], "uint8"), (2, 1))
    array([[ 3],
           [16]], dtype=uint8)
    """
    image = np.asarray(image)
    if image.ndim != 2 or not (1 <= shape[0] <= image.shape[0] and 1 <= shape[1] <= image.shape[1]):
        raise ShapeError(f"resize makes an image [height, width] smaller: {show(image.shape)} does not go to {shape}.")
    means = _area_means(_area_means(image.astype(np.float64), shape[0]).T, shape[1]).T
    return np.floor(means + 0.5).astype(np.uint8)


def _area_means(rows: np.ndarray, count: int) -> np.ndarray:
    """The means of ``count`` equal shares of the rows; a share may start within a row."""
    edges = np.arange(count + 1) * (len(rows) / count)
    whole = np.minimum(edges.astype(np.int64), len(rows) - 1)
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, axis=0, out=sums[1:])
    at_edges = sums[whole] + (edges - whole)[:, None] * rows[whole]
    return np.diff(at_edges, axis=0) * (count / len(rows))


@dataclass(frozen=True)
class Level:
    """One image of a pyramid.

    Attributes:
        image: uint8 [height, width].
        scale: (down, along), pixels of the whole image for one of this.
    """

    image: np.ndarray
    scale: tuple[float, float]

    def box(self, row: Any, column: Any, window: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
        """(top, left, bottom, right) in the whole image of the window at a place of this level; or of many windows."""
        down, along = self.scale
        return row * down, column * along, (row + window[0]) * down, (column + window[1]) * along


def pyramid(
    image: np.ndarray, window: tuple[int, int], *, factor: float = 1.2, smallest: float = 0, largest: float = np.inf
) -> Iterator[Level]:
    """The image at smaller and smaller scales, as long as a window fits in: there the window covers larger things.

    Args:
        image: uint8 [height, width].
        window: Height and width of the window.
        factor: Between scales, above 1.
        smallest, largest: Heights in pixels of the things to be found.

    Raises:
        ConfigurationError: The factor is not above 1.

    >>> [level.image.shape for level in pyramid(np.zeros((60, 40), "uint8"), (20, 20), factor=1.5)]
    [(60, 40), (40, 27)]
    """
    message = Interval(1, np.inf, closed="neither")(factor)
    if message:
        raise ConfigurationError(f"pyramid: factor must be {message}, not {factor!r}.")
    number = 0
    while True:
        height, width = (int(size / factor**number + 0.5) for size in image.shape)
        covered = window[0] * factor**number
        if height < window[0] or width < window[1] or covered > largest:
            return
        if covered >= smallest:
            level = resize(image, (height, width)) if number else image
            yield Level(level, (image.shape[0] / height, image.shape[1] / width))
        number += 1
