"""Scans of boosting and of sliding windows: the best cut of every column, sums of rectangles, and cascades.

What stands here in NumPy is the specification; the CPU engine has the same functions as machine code
(``pellucid.backends.cpu.scans``), equal bit for bit. :func:`chosen` gives the one to use.

A *column* is one feature's value of every sample (float32). Its order is kept as int32 ``2 * sample + cut`` from the
smallest value to the largest; ``cut`` is 1 where the next value is larger, so that a threshold fits between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from pellucid import backends

#: Columns that the reference scans at once, so that its intermediate arrays stay small.
_CHUNK = 1024


@dataclass(frozen=True)
class Corners:
    """Weighted corners of rectangles in a summed-area table: a feature is the weighted sum of its corners.

    Attributes:
        first: int64 [F + 1], where the corners of each feature start.
        row, column: int64 [C], place of each corner from the window's top left.
        weight: int32 [C].
    """

    first: np.ndarray
    row: np.ndarray
    column: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.first) - 1


@dataclass(frozen=True)
class CascadeTable:
    """A cascade as arrays.

    Attributes:
        corners: The feature of each stump, in the order of the stages.
        cut, left, right: float64 [stumps], threshold of each stump, its vote at or below it, and above it.
        first: int64 [S + 1], where the stumps of each stage start.
        threshold: float64 [S], what a stage's votes must reach.
        scale: float64 [S], by which a stage's margin counts in the confidence.
    """

    corners: Corners
    cut: np.ndarray
    left: np.ndarray
    right: np.ndarray
    first: np.ndarray
    threshold: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class WindowScan:
    """What a cascade says of every window of an image.

    Attributes:
        passed: int32 [rows, columns], stages that the window passed before one rejected it; -1 where it entered none.
        features: int32 [rows, columns], features that were evaluated for it.
        confidence: float64 [rows, columns], the scaled margins of the stages that it entered.
    """

    passed: np.ndarray
    features: np.ndarray
    confidence: np.ndarray


class Scans(Protocol):
    """The functions that the reference and the engine share."""

    @staticmethod
    def arranged(order: np.ndarray) -> np.ndarray:
        """Orders [F, N] as the scan reads them."""
        ...

    @staticmethod
    def error_cuts(arranged: np.ndarray, count: int, signed: np.ndarray) -> tuple[np.ndarray, ...]:
        """The lowest and the highest sum of weights up to a cut."""
        ...

    @staticmethod
    def gini_cuts(arranged: np.ndarray, count: int, signed: np.ndarray) -> tuple[np.ndarray, ...]:
        """The purest cut."""
        ...

    @staticmethod
    def rectangle_sums(integrals: np.ndarray, corners: Corners, inverse: np.ndarray) -> np.ndarray:
        """Features of many windows."""
        ...

    @staticmethod
    def scan_windows(integral: np.ndarray, inverse: np.ndarray, table: CascadeTable, step: int) -> WindowScan:
        """A cascade on every window of an image."""
        ...


def chosen() -> type[Scans]:
    """The engine's scans, or the reference's where ``PELLUCID_BACKEND`` says so or the compiler is not there."""
    return _of(backends.get().name)


@cache
def _of(name: str) -> type[Scans]:
    if name != "cpu":
        return Reference
    from pellucid.backends.cpu import scans  # the compiler takes 0.1 s to import: only when used

    return scans.Engine


def order_of(columns: np.ndarray) -> np.ndarray:
    """The orders of columns, stable: int32 [F, N], twice the sample's number plus 1 where a cut may follow.

    Args:
        columns: float32 [F, N], without NaN.

    >>> order_of(np.array([[0.5, -1.0, 0.5]], "float32"))  # sample 1, then 0 and 2 with equal values
    array([[3, 0, 4]], dtype=int32)
    """
    # The bits of floats are ordered as integers once those of negative numbers are turned round (adding 0 turns -0 to
    # 0). With the sample's number below them, one sort of integers is a stable order.
    bits = (columns + np.float32(0)).view(np.int32)
    keys = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64) << 32
    keys |= np.arange(columns.shape[1])
    keys.sort(axis=1)
    order = (keys & 0xFFFFFFFF).astype(np.int32) << 1
    keys >>= 32
    order[:, :-1] |= keys[:, :-1] < keys[:, 1:]
    return order


class Reference:
    """The scans in NumPy."""

    @staticmethod
    def arranged(order: np.ndarray) -> np.ndarray:
        """Orders [F, N] as the scan reads them: as they are."""
        return order

    @staticmethod
    def error_cuts(arranged: np.ndarray, count: int, signed: np.ndarray) -> tuple[np.ndarray, ...]:
        """The lowest and the highest sum of signed weights up to a cut, and where (the first such cut).

        Args:
            arranged: Of ``arranged``.
            count: Number of columns F.
            signed: float64 [N], the weight of each sample times its label -1 or +1.

        Returns:
            ``lowest, at_lowest, highest, at_highest``, each [F]. A cut at ``i`` has the samples 0..i of the order on
            its left; -1 is the cut before the first sample, whose sum is 0.
        """
        lowest, highest = np.empty(count), np.empty(count)
        at_lowest, at_highest = np.empty(count, np.int64), np.empty(count, np.int64)
        for part, order in _parts(arranged):
            sums = np.cumsum(signed[order >> 1], axis=1)
            cut = (order & 1).astype(bool)
            below, above = np.where(cut, sums, np.inf), np.where(cut, sums, -np.inf)
            lowest[part], at_lowest[part] = _first(below, below.argmin(axis=1), np.less, 0.0)
            highest[part], at_highest[part] = _first(above, above.argmax(axis=1), np.greater, 0.0)
        return lowest, at_lowest, highest, at_highest

    @staticmethod
    def gini_cuts(arranged: np.ndarray, count: int, signed: np.ndarray) -> tuple[np.ndarray, ...]:
        """The cut with the least Gini impurity, and the sums on its left.

        With A the weight and L the signed weight of a side, its impurity is (A^2 - L^2) / (2 A): the cut with the
        largest L^2 / A summed over both sides is the purest, since the A of both sides sum to a constant.

        Returns:
            ``score, at, left`` (each [F]): the largest sum, where (-1 is the cut before the first sample), and L of
            the left side there.
        """
        score, at, left = np.empty(count), np.empty(count, np.int64), np.empty(count)
        signed_total, total = _totals(signed)
        start = signed_total * signed_total / total
        for part, order in _parts(arranged):
            chosen = signed[order >> 1]
            signed_left, weight_left = np.cumsum(chosen, axis=1), np.cumsum(np.abs(chosen), axis=1)
            signed_right, weight_right = signed_total - signed_left, total - weight_left
            usable = (order & 1).astype(bool) & (weight_left > 0) & (weight_right > 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                scores = signed_left * signed_left / weight_left + signed_right * signed_right / weight_right
            scores = np.where(usable, scores, -np.inf)
            score[part], at[part] = _first(scores, scores.argmax(axis=1), np.greater, start)
            chosen_left = np.take_along_axis(signed_left, np.maximum(at[part], 0)[:, None], axis=1)[:, 0]
            left[part] = np.where(at[part] < 0, 0.0, chosen_left)
        return score, at, left

    @staticmethod
    def rectangle_sums(integrals: np.ndarray, corners: Corners, inverse: np.ndarray) -> np.ndarray:
        """Features of many windows: the weighted sums of corners times one factor a window.

        Args:
            integrals: int32 [N, height + 1, width + 1], summed-area tables; sums may wrap around.
            corners: Of F features.
            inverse: float64 [N].

        Returns:
            float32 [F, N].
        """
        columns = np.empty((len(corners), len(integrals)), np.float32)
        for feature in range(len(corners)):
            own = slice(corners.first[feature], corners.first[feature + 1])
            points = integrals[:, corners.row[own], corners.column[own]]
            columns[feature] = (points * corners.weight[own]).sum(axis=1, dtype=np.int32) * inverse
        return columns

    @staticmethod
    def scan_windows(integral: np.ndarray, inverse: np.ndarray, table: CascadeTable, step: int) -> WindowScan:
        """A cascade on every window of an image; the stages of a window end with the first that rejects it.

        Args:
            integral: int32 [height + 1, width + 1], the image's summed-area table; sums may wrap around.
            inverse: float64 [rows, columns], the factor of the window at row ``r * step`` and column ``c * step``; a
                window whose factor is 0 is rejected before the first stage.
            table: The cascade.
            step: Pixels between windows.
        """
        passed, features = np.where(inverse > 0, 0, -1).astype(np.int32), np.zeros(inverse.shape, np.int32)
        confidence = np.zeros(inverse.shape)
        alive = np.nonzero(inverse > 0)
        for stage, (first, last) in enumerate(zip(table.first[:-1], table.first[1:], strict=True)):
            score = np.zeros(len(alive[0]))
            for stump in range(first, last):
                score += _votes(integral, inverse[alive], table, stump, alive[0] * step, alive[1] * step)
            features[alive] += np.int32(last - first)
            margin = score - table.threshold[stage]
            confidence[alive] += margin * table.scale[stage]
            alive = tuple(axis[margin >= 0] for axis in alive)
            passed[alive] += np.int32(1)
        return WindowScan(passed, features, confidence)


def _parts(order: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(order), _CHUNK):
        yield slice(start, start + _CHUNK), order[start : start + _CHUNK]


def _first(values: np.ndarray, where: np.ndarray, better: np.ufunc, start: float) -> tuple[np.ndarray, np.ndarray]:
    """The values at some places and the places, or ``start`` and -1 where they are no better than it."""
    found = np.take_along_axis(values, where[:, None], axis=1)[:, 0]
    good = better(found, start)
    return np.where(good, found, start), np.where(good, where, -1)


def _totals(signed: np.ndarray) -> tuple[float, float]:
    """The sums of signed weights and of weights, one after another: as the scans add them."""
    return float(np.cumsum(signed)[-1]), float(np.cumsum(np.abs(signed))[-1])


def _votes(
    integral: np.ndarray, inverse: np.ndarray, table: CascadeTable, stump: int, top: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """The votes of one stump for windows."""
    total = np.zeros(len(top), np.int32)
    corners = table.corners
    for corner in range(corners.first[stump], corners.first[stump + 1]):
        total += corners.weight[corner] * integral[top + corners.row[corner], left + corners.column[corner]]
    value = (total * inverse).astype(np.float32)
    return np.where(value > table.cut[stump], table.right[stump], table.left[stump])
