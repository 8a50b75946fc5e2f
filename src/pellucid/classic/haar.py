"""Haar-like features on summed-area tables: sums of neighbouring rectangles with opposite signs.

A feature costs the same at any size: each corner of its rectangles is one look into the summed-area table.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.backends import scans
from pellucid.backends.scans import Corners
from pellucid.errors import ConfigurationError, DataError, ShapeError, unknown_name
from pellucid.fields import Integer
from pellucid.shapes import show

#: The weights of each kind's rectangles, which lie in a grid of equal cells. With three rectangles the middle one
#: counts double, so that the weights of every kind sum to 0: a brighter image has the same features.
PATTERNS: dict[str, np.ndarray] = {
    "two-x": np.array([[1, -1]]),
    "two-y": np.array([[1], [-1]]),
    "three-x": np.array([[1, -2, 1]]),
    "three-y": np.array([[1], [-2], [1]]),
    "four": np.array([[1, -1], [-1, 1]]),
}

#: Windows with less contrast than this (deviation in grey levels) are not amplified to that of a face.
LEAST_CONTRAST = 1.0


def integral_image(images: Any) -> np.ndarray:
    """The summed-area table of an image, or of each image of a batch.

    I[y, x] = sum of the pixels above y and left of x; so any rectangle's sum is
    I[bottom, right] - I[top, right] - I[bottom, left] + I[top, left].

    Args:
        images: [..., height, width], whole numbers or floats.

    Returns:
        [..., height + 1, width + 1]; int64 (exact) for whole numbers, float64 for floats. The first row and column
        are 0.

    Raises:
        ShapeError: There are fewer than two axes.

    Source: Viola, Jones, "Rapid object detection using a boosted cascade of simple features", 2001; deck 001.

    >>> integral_image(np.array([[1, 2], [3, 4]]))
    array([[ 0,  0,  0],
           [ 0,  1,  3],
           [ 0,  4, 10]])
    """
    images = np.asarray(images)
    if images.ndim < 2:
        raise ShapeError(f"integral_image takes images [..., height, width], not {show(images.shape)}.")
    kind = np.float64 if dtypes.is_float(images.dtype) else np.int64
    *batch, height, width = images.shape
    table = np.zeros((*batch, height + 1, width + 1), kind)
    inside = table[..., 1:, 1:]
    np.cumsum(images, axis=-1, dtype=kind, out=inside)
    np.cumsum(inside, axis=-2, out=inside)
    return table


def grey_levels(image: Any) -> np.ndarray:
    """An image as grey levels 0 to 255.

    Colours are weighed as the eye does, Y = 0.299 R + 0.587 G + 0.114 B.

    Args:
        image: [height, width] or [height, width, channel] with 1, 3 or 4 channels (the fourth, opacity, is not looked
            at); uint8, bool, or floats from 0 to 1.

    Returns:
        uint8 [height, width].

    Raises:
        DataError: The shape is another, or the values are of another kind or range.

    Source: ITU-R recommendation BT.601.

    >>> grey_levels(np.array([[0.0, 0.5, 1.0]]))
    array([[  0, 128, 255]], dtype=uint8)
    """
    image = np.asarray(image)
    if image.ndim == 2:
        return _levels(image)
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise DataError(
            f"An image must be [height, width] or [height, width, channel] with 1, 3 or 4 channels, not "
            f"{show(image.shape)}."
        )
    levels = _levels(image)
    if image.shape[2] == 1:
        return levels[..., 0]
    return np.floor(levels[..., :3] @ np.array([0.299, 0.587, 0.114]) + 0.5).astype(np.uint8)


def _levels(values: np.ndarray) -> np.ndarray:
    """Values as uint8."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not dtypes.is_float(values.dtype):
        raise DataError(f"An image must be uint8, bool, or floats from 0 to 1, not {values.dtype.name}.")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise DataError(
            f"An image of floats must lie in [0, 1], not [{values.min():g}, {values.max():g}].",
            hint="divide it by its largest possible value, or give uint8",
        )
    return np.floor(values * 255 + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class Rectangle:
    """A part of a window, and the weight of its pixels."""

    top: int
    left: int
    height: int
    width: int
    weight: int


@dataclass(frozen=True)
class HaarFeature:
    """One Haar-like feature of a window.

    Attributes:
        kind: One of ``PATTERNS``: two, three or four rectangles side by side ("x"), one above the other ("y"), or in
            a square.
        top, left: Pixels from the window's top left corner.
        height, width: Pixels of each rectangle.

    >>> feature = HaarFeature("two-x", top=0, left=1, height=2, width=1)
    >>> feature.mask((3, 4))
    array([[ 0,  1, -1,  0],
           [ 0,  1, -1,  0],
           [ 0,  0,  0,  0]])
    """

    kind: str
    top: int
    left: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.kind not in PATTERNS:
            raise unknown_name("kind of Haar-like feature", self.kind, PATTERNS)

    @property
    def rectangles(self) -> tuple[Rectangle, ...]:
        """The rectangles, row by row."""
        return tuple(
            Rectangle(self.top + y * self.height, self.left + x * self.width, self.height, self.width, int(weight))
            for (y, x), weight in np.ndenumerate(PATTERNS[self.kind])
        )

    def mask(self, window: tuple[int, int]) -> np.ndarray:
        """The weight of each pixel of a window (height, width): what the feature looks like."""
        mask = np.zeros(window, np.int64)
        for r in self.rectangles:
            mask[r.top : r.top + r.height, r.left : r.left + r.width] = r.weight
        return mask


class HaarFeatures(Sequence[HaarFeature]):
    """All Haar-like features of a window, in a fixed order, and their values for many windows at once.

    Args:
        window: Height and width of the window.
        kinds: Which kinds; all five by default.
        step: Pixels between positions and between sizes; 1 has every feature, 2 about a sixteenth of them.

    Raises:
        ConfigurationError: The window, a kind or the step is none.

    Source: Viola, Jones, 2001; Papageorgiou, Oren, Poggio, "A general framework for object detection", 1998.

    >>> features = HaarFeatures((24, 24))
    >>> len(features)
    162336
    >>> features[0]
    HaarFeature(kind='two-x', top=0, left=0, height=1, width=1)
    """

    def __init__(self, window: tuple[int, int], kinds: Sequence[str] = tuple(PATTERNS), step: int = 1) -> None:
        for what, value in (("height", window[0]), ("width", window[1]), ("step", step)):
            message = Integer(1)(value)
            if message:
                raise ConfigurationError(f"HaarFeatures: the {what} must be {message}, not {value!r}.")
        for kind in kinds:
            if kind not in PATTERNS:
                raise unknown_name("kind of Haar-like feature", kind, PATTERNS)
        self.window, self.kinds, self.step = (int(window[0]), int(window[1])), tuple(kinds), int(step)
        tables = [self._places(number) for number in range(len(self.kinds))]
        #: int64 [F, 5]: number of the kind, top, left, height, width.
        self.table = np.concatenate(tables) if tables else np.empty((0, 5), np.int64)

    def _places(self, number: int) -> np.ndarray:
        """All sizes of one kind, and all positions of each."""
        rows, columns = PATTERNS[self.kinds[number]].shape
        height, width = self.window
        parts = [np.empty((0, 5), np.int64)]
        for cell_height in range(1, height // rows + 1, self.step):
            for cell_width in range(1, width // columns + 1, self.step):
                tops = np.arange(0, height - rows * cell_height + 1, self.step)
                lefts = np.arange(0, width - columns * cell_width + 1, self.step)
                part = np.empty((len(tops), len(lefts), 5), np.int64)
                part[:] = number, 0, 0, cell_height, cell_width
                part[..., 1], part[..., 2] = tops[:, None], lefts
                parts.append(part.reshape(-1, 5))
        return np.concatenate(parts)

    def sample(self, count: int, draw: np.random.Generator) -> HaarFeatures:
        """At most ``count`` of the features, drawn at random, in the same order."""
        chosen = np.sort(draw.choice(len(self), min(count, len(self)), replace=False))
        part = copy.copy(self)
        part.table = self.table[chosen]
        return part

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        kind, *place = (int(n) for n in self.table[index])
        return HaarFeature(self.kinds[kind], *place)

    def __iter__(self) -> Iterator[HaarFeature]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"HaarFeatures({len(self):,} features of windows {show(self.window)})"

    def corners(self, part: slice = slice(None)) -> Corners:
        """The corners of a part of the features in a summed-area table."""
        return corners_of(self.table[part], self.kinds)

    def values(self, windows: Windows, part: slice = slice(None)) -> np.ndarray:
        """The features of windows, float32 [F, N]: a row is a feature, as boosting reads it."""
        return windows.values(self.corners(part))


def corners_of(table: np.ndarray, kinds: Sequence[str]) -> Corners:
    """The corners of features given as rows (number of the kind, top, left, height, width), in the rows' order."""
    found = []
    for number, kind in enumerate(kinds):
        own = np.flatnonzero(table[:, 0] == number)
        # Each cell adds its weight at two corners and takes it off at the two others; neighbours share corners.
        weights = np.pad(PATTERNS[kind], 1)
        at_corner = weights[:-1, :-1] - weights[:-1, 1:] - weights[1:, :-1] + weights[1:, 1:]
        down, along = np.nonzero(at_corner)
        _, top, left, height, width = (column[:, None] for column in table[own].T)
        parts = (own[:, None] + 0 * down, top + down * height, left + along * width, at_corner[down, along] + 0 * top)
        found.append(np.stack(parts, axis=-1).reshape(-1, 4))
    corners = np.concatenate(found) if found else np.empty((0, 4), np.int64)
    corners = corners[np.argsort(corners[:, 0], kind="stable")]
    first = np.searchsorted(corners[:, 0], np.arange(len(table) + 1))
    row, column = (np.ascontiguousarray(corners[:, i]) for i in (1, 2))
    return Corners(first.astype(np.int64), row, column, corners[:, 3].astype(np.int32))


class Windows:
    """Windows of one size, ready for features: their summed-area tables, and one over each window's contrast.

    A feature's value is divided by the deviation of the window's grey levels, so that light and contrast do not matter.

    Args:
        images: Grey images [N, height, width], uint8, or floats from 0 to 1.

    Raises:
        DataError: The images do not have three axes, or their values are of another kind.

    Source: Viola, Jones, 2001, section 5.1.

    >>> dark, bright = np.array([[10, 20], [10, 20]], "uint8"), np.array([[50, 250], [50, 250]], "uint8")
    >>> Windows(np.stack([dark, bright])).values(HaarFeatures((2, 2), ["two-x"]).corners()).tolist()
    [[-2.0, -2.0], [-2.0, -2.0], [-4.0, -4.0]]
    """

    def __init__(self, images: Any) -> None:
        images = np.asarray(images)
        if images.ndim != 3:
            raise DataError(f"Windows must be grey images [N, height, width], not {show(images.shape)}.")
        self.images = _levels(images)
        exact = integral_image(self.images)
        self.integrals = exact.astype(np.int32)
        squares = self.images.astype(np.int64) ** 2
        self.inverse = inverse_contrast(exact[:, -1, -1], squares.sum(axis=(1, 2)), images.shape[1] * images.shape[2])

    def __len__(self) -> int:
        return len(self.images)

    def values(self, corners: Corners) -> np.ndarray:
        """The features with these corners, float32 [F, N]."""
        return scans.chosen().rectangle_sums(self.integrals, corners, self.inverse)


def inverse_contrast(total: np.ndarray, squares: np.ndarray, pixels: int) -> np.ndarray:
    """One over the deviation of grey levels, from the sum of the pixels and of their squares (exact whole numbers).

    >>> inverse_contrast(np.array([30]), np.array([500]), 2)  # the pixels 10 and 20 deviate by 5
    array([0.2])
    """
    variance = (pixels * squares - total * total) / float(pixels * pixels)
    return 1.0 / np.maximum(np.sqrt(np.maximum(variance, 0.0)), LEAST_CONTRAST)
