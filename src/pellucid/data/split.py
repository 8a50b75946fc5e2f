"""Splitting rows into a training part and a held-out part, reproducibly.

Source: the largest-remainder method of proportional apportionment (Hamilton), here applied to the classes.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, Interval
from pellucid.shapes import show

Stratify = Literal["auto"] | bool

#: Sets the random bits of splits apart from those that other people draw from the same seed.
_STREAM = 0x73706C6974


def train_test_split(
    x: Any, y: Any, *, fraction: float = 0.2, seed: int = 0, stratify: Stratify = "auto"
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Split examples and targets into a training part and a held-out part.

    Args:
        x: Examples, [N, ...].
        y: Targets, [N, ...].
        fraction: Share of the rows that is held out, between 0 and 1.
        seed: Same seed, same split, on every machine and NumPy version.
        stratify: Whether each class keeps its share on both sides; see :func:`split_indices`.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, each in the order in which the rows came.

    Raises:
        DataError: ``x`` and ``y`` differ in length, or there are too few rows.
        ConfigurationError: The fraction or the seed is outside its range.

    >>> (x_train, y_train), (x_test, y_test) = train_test_split([[0], [1], [2], [3]], [0, 1, 0, 1], fraction=0.5)
    >>> x_train.shape, x_test.shape, sorted(y_test.tolist())
    ((2, 1), (2, 1), [0, 1])
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(
            f"train_test_split: x and y must have the same length, not the shapes {show(x.shape)} and {show(y.shape)}."
        )
    train, test = split_indices(y, fraction, seed, stratify)
    return (x[train], y[train]), (x[test], y[test])


def split_indices(
    y: Any, fraction: float = 0.2, seed: int = 0, stratified: Stratify = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the training part and of the held-out part.

    Stratified, the held-out part has ``fraction`` of the rows of every class, rounded by the largest remainder; a
    class with at least two rows keeps one of them for training, a class with one row is trained on. ``"auto"``
    stratifies where the targets are class labels (one whole number or word a row) and at least half of the rows
    share theirs with another row; other targets, such as real numbers, are split at random.

    Args:
        y: Targets, [N] or [N, ...].
        fraction: Share of the rows that is held out, between 0 and 1.
        seed: Same seed, same split.
        stratified: True, False or ``"auto"``.

    Returns:
        Training rows and held-out rows, both int64 and ascending.

    Raises:
        DataError: There are too few rows to have both parts.
        ConfigurationError: The fraction, the seed or ``stratified`` is outside its range.

    >>> train, test = split_indices([0, 0, 0, 0, 1, 1, 1, 1], fraction=0.25)
    >>> len(train), [int(row) // 4 for row in test]
    (6, [0, 1])
    """
    y = np.asarray(y)
    _check(y, fraction, seed, stratified)
    order, keys = _random_order(len(y), seed)
    labels = y.reshape(len(y)) if y.size == len(y) else None
    if stratified is True and labels is None:
        raise DataError(f"Only one label a row can be stratified, not targets of shape {show(y.shape)}.")
    classes = _classes(labels) if labels is not None and _wants_classes(labels, stratified) else None
    if classes is not None and (stratified is True or _repeats(classes[1])):
        test = _stratified(order, keys, *classes, fraction)
    else:
        test = order[: _share(len(y), fraction)]
    held = np.zeros(len(y), dtype=bool)
    held[test] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _check(y: np.ndarray, fraction: float, seed: int, stratified: Stratify) -> None:
    for what, value, check in (
        ("held-out fraction", fraction, Interval(0, 1, closed="neither")),
        ("seed of a split", seed, Integer(0)),
    ):
        message = check(value)
        if message:
            raise ConfigurationError(f"The {what} must be {message}, not {value!r}.")
    if not (isinstance(stratified, bool) or stratified == "auto"):
        raise ConfigurationError(f"stratified must be True, False or 'auto', not {stratified!r}.")
    if y.ndim == 0 or len(y) < 2:
        rows = "no axis" if y.ndim == 0 else f"{len(y)}"
        raise DataError(f"A split needs at least 2 rows, the targets have {rows}.")


def _random_order(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    # Raw bits rather than Generator.permutation: NumPy keeps the bit streams of its generators stable between
    # versions, but not the streams of the methods of Generator. Not the bits of default_rng(seed): whoever draws a
    # feature from that, and splits with the same seed, would hold out the rows with its smallest values.
    keys = np.random.PCG64(np.random.SeedSequence([int(seed), _STREAM])).random_raw(rows)
    return np.argsort(keys, kind="stable"), keys


def _wants_classes(labels: np.ndarray, stratified: Stratify) -> bool:
    return stratified is True or (stratified == "auto" and labels.dtype.kind in "biuU")


def _classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of every row, and how many rows each class has."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return inverse, counts


def _repeats(counts: np.ndarray) -> bool:
    return 2 * int(counts[counts > 1].sum()) >= int(counts.sum())


def _share(rows: int, fraction: float) -> int:
    """The number of rows nearest to the fraction, with at least one on either side."""
    return min(max(int(np.floor(fraction * rows + 0.5)), 1), rows - 1)


def _stratified(
    order: np.ndarray, keys: np.ndarray, inverse: np.ndarray, counts: np.ndarray, fraction: float
) -> np.ndarray:
    take = _apportion(counts, fraction, keys)
    grouped = order[np.argsort(inverse[order], kind="stable")]
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return grouped[rank < np.repeat(take, counts)]


def _apportion(counts: np.ndarray, fraction: float, keys: np.ndarray) -> np.ndarray:
    """How many rows of each class are held out; ties of the remainder are broken by the random keys."""
    shared = counts > 1
    if not shared.any():
        raise DataError(
            f"A stratified split needs a class with at least 2 rows; the {len(counts)} classes have one row each.",
            hint="give more rows, or split with stratified=False",
        )
    quota = np.where(shared, fraction * counts, 0.0)
    # Rounding makes 0.1 * 30 and 0.3 * 10 the same remainder, so that the tie is decided by the seed.
    take = np.minimum(np.floor(np.round(quota, 9)).astype(np.int64), counts - 1)
    remainder = np.where(shared & (take + 1 < counts), quota - take, -1.0).round(9)
    missing = _share(int(counts[shared].sum()), fraction) - int(take.sum())
    ranked = np.lexsort((keys[: len(counts)], -remainder))
    bumped = ranked[: max(missing, 0)]
    take[bumped[remainder[bumped] >= 0]] += 1
    return take
