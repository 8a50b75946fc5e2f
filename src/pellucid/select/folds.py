"""Folds: from what ``cv=`` was given to checked rows of training and test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import model_selection as sk

from pellucid.errors import ConfigurationError, DataError
from pellucid.select.splitters import Bootstrap, Nested, splitter

_DEFAULT_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to train on and rows to judge by.

    Attributes:
        repeat, number: Which repetition, and which of its folds.
        train: Rows to train on, int64; of a bootstrap sample some occur several times.
        test: Rows to judge by, none of them in ``train``.
        inner: The folds within the training rows, where a choice is made there.
    """

    repeat: int
    number: int
    train: np.ndarray
    test: np.ndarray
    inner: tuple[Fold, ...] = ()

    def within(self, rows: np.ndarray) -> Fold:
        """The same fold of a part of the rows, numbered as in the whole."""
        return Fold(self.repeat, self.number, rows[self.train], rows[self.test])


@dataclass(frozen=True)
class Targets:
    """What splitters look at.

    Attributes:
        count: The number of rows.
        labels: The class of every row, or None where the targets are no classes.
        y: The targets.
        groups: The group of every row, or None.
    """

    count: int
    labels: np.ndarray | None
    y: np.ndarray | None = None
    groups: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Targets:
        """Those of some rows."""

        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return Targets(len(rows), part(self.labels), part(self.y), part(self.groups))


def targets_of(count: int, labels: Any, y: Any = None, groups: Any = None) -> Targets:
    """Checked targets.

    Raises:
        DataError: There is not one group for every row.
    """
    found = None if groups is None else np.asarray(groups)
    if found is not None and found.shape != (count,):
        raise DataError(f"groups must hold one group for each of {count} rows, not {list(found.shape)}.")
    return Targets(count, None if labels is None else np.asarray(labels), None if y is None else np.asarray(y), found)


def as_splitter(cv: Any, targets: Targets, seed: int) -> Any:
    """The splitter of a number of folds, of a name, or the splitter or list of folds itself.

    A number means folds by groups where there are groups, stratified where the targets are classes, shuffled by the
    seed; None means 5, as in scikit-learn.
    """
    cv = _DEFAULT_FOLDS if cv is None else cv
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        if cv < 2:
            raise ConfigurationError(f"cv must be at least 2 folds, not {cv}.", hint="cv='holdout' is a single split")
        classes = targets.labels is not None
        if targets.groups is not None:
            return splitter("stratified_group" if classes else "group", folds=int(cv), seed=seed)
        return splitter("stratified" if classes else "kfold", folds=int(cv), seed=seed)
    if isinstance(cv, str):
        found = splitter(cv, seed=seed)
        if cv == "five_by_two" and targets.labels is None:
            return sk.RepeatedKFold(n_splits=2, n_repeats=5, random_state=seed)
        return found
    if hasattr(cv, "split") or isinstance(cv, Nested):
        return cv
    if isinstance(cv, Iterable):
        return list(cv)
    raise ConfigurationError(
        f"cv must be a number of folds, the name of a scheme, a splitter or (train, test) pairs, not {cv!r}."
    )


def folds_of(cv: Any, targets: Targets, seed: int = 0) -> list[Fold]:
    """The folds that ``cv`` makes of the rows.

    Raises:
        ConfigurationError: ``cv`` is nothing that splits.
        DataError: The rows cannot be split so, or a test row is among the training rows of its fold.

    >>> folds = folds_of(3, targets_of(9, np.arange(9) % 3))
    >>> [sorted((fold.test % 3).tolist()) for fold in folds]
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    """
    chosen = as_splitter(cv, targets, seed)
    if isinstance(chosen, Nested):
        return [
            Fold(f.repeat, f.number, f.train, f.test, _inner(chosen.inner, targets, f.train, seed))
            for f in folds_of(chosen.outer, targets, seed)
        ]
    pairs = [_checked(number, pair, targets.count) for number, pair in enumerate(_pairs(chosen, targets))]
    if not pairs:
        raise DataError("cv gives no fold.")
    per_repeat = _folds_per_repeat(chosen, len(pairs))
    return [Fold(k // per_repeat, k % per_repeat, train, test) for k, (train, test) in enumerate(pairs)]


def _inner(cv: Any, targets: Targets, rows: np.ndarray, seed: int) -> tuple[Fold, ...]:
    # A row that a bootstrap sample holds twice must not be split between training and test: each counts once.
    rows = np.unique(rows)
    return tuple(fold.within(rows) for fold in folds_of(cv, targets.at(rows), seed))


def _pairs(chosen: Any, targets: Targets) -> list[Any]:
    if isinstance(chosen, list):
        return chosen
    y = targets.labels if targets.labels is not None else targets.y
    groups = targets.groups if _uses_groups(chosen) else None
    try:
        return list(chosen.split(np.zeros((targets.count, 1)), y, groups))
    except ValueError as error:
        if isinstance(error, (DataError, ConfigurationError)):
            raise
        missing = "groups" in str(error) and targets.groups is None
        raise DataError(
            f"cv={chosen!r} cannot split these {targets.count} rows: {str(error).rstrip('.')}.",
            hint="pass groups=, one group per row" if missing else None,
        ) from None


def _uses_groups(chosen: Any) -> bool:
    """Whether groups mean something to a splitter; scikit-learn's others warn that they do not."""
    plain = (sk.KFold, sk.StratifiedKFold, sk.RepeatedKFold, sk.RepeatedStratifiedKFold, sk.ShuffleSplit,
             sk.StratifiedShuffleSplit, sk.LeaveOneOut, sk.LeavePOut, sk.TimeSeriesSplit)  # fmt: skip
    by_group = (sk.StratifiedGroupKFold, sk.GroupShuffleSplit, sk.GroupKFold)
    return isinstance(chosen, by_group) or not isinstance(chosen, plain)


def _folds_per_repeat(chosen: Any, count: int) -> int:
    repeats = getattr(chosen, "n_repeats", 1)  # scikit-learn's repeated splitters have it
    if isinstance(chosen, (sk.ShuffleSplit, sk.StratifiedShuffleSplit, sk.GroupShuffleSplit, Bootstrap)):
        return 1
    return max(count // repeats, 1)


def _checked(number: int, pair: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pair, Sequence) or len(pair) != 2:
        raise DataError(f"cv: fold {number} must be a pair of training rows and test rows, not {type(pair).__name__}.")
    train, test = (_row_numbers(f"cv: fold {number}, {w}", r, count) for w, r in zip(_SIDES, pair, strict=True))
    shared = np.intersect1d(train, test)
    if len(shared):
        raise DataError(
            f"cv: fold {number} trains on row {shared[0]} and tests on it, too ({len(shared)} such rows).",
            hint="a score on rows that were trained on says nothing about new ones",
        )
    return train, test


_SIDES = ("training rows", "test rows")


def _row_numbers(what: str, given: Any, count: int) -> np.ndarray:
    rows = np.asarray(given)
    if rows.dtype == bool and rows.shape == (count,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise DataError(f"{what} must be row numbers or a mask of {count} rows, at least one row.")
    if rows.min() < 0 or rows.max() >= count:
        raise DataError(f"{what}: the row {rows.min() if rows.min() < 0 else rows.max()} is not one of {count}.")
    return rows.astype(np.int64)
