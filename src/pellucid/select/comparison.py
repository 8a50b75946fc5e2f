"""compare: whether the difference between two models, or between the best configuration and the others, is real."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, require
from pellucid.select.results import CrossValidation
from pellucid.select.significance import Comparison, corrected_t_test, five_by_two_test, mcnemar_test
from pellucid.select.table import Table

_TESTS = ("auto", "corrected_t", "5x2cv_F", "5x2cv_t", "mcnemar")


def compare(
    a: CrossValidation,
    b: CrossValidation | None = None,
    *,
    configurations: tuple[int, int] | None = None,
    score: str | None = None,
    test: str = "auto",
) -> Comparison:
    """Test whether two models differ, on the same folds.

    Args:
        a, b: Results of two models on the same folds; without ``b`` two configurations of ``a``.
        configurations: Which configurations: of ``a`` and ``b`` their best ones by default; without ``b`` the best and
            the second best of ``a``.
        score: Which score; the deciding one of ``a`` by default. Several seeds of a fold count by their mean.
        test: ``"corrected_t"`` (Nadeau and Bengio; any folds), ``"5x2cv_F"`` or ``"5x2cv_t"`` (Alpaydin, Dietterich;
            ``cv="five_by_two"``), ``"mcnemar"`` (classes; every row predicted once); ``"auto"``: 5x2cv F for its
            folds, else the corrected t-test.

    Raises:
        ConfigurationError: A test, score or configuration does not exist.
        DataError: The folds differ, or do not suit the test.
    """
    require("compare", "test", test, Choice(*_TESTS))
    other = a if b is None else b
    first, second = _chosen(a, b, configurations)
    _check_folds(a, other)
    name = a.scores.checked(score)
    if test == "mcnemar":
        return _mcnemar(a, other, first, second)
    scores = [r.scores.cube(r.scores.checked(name))[k].mean(axis=1) for r, k in ((a, first), (other, second))]
    if test.startswith("5x2cv") or (test == "auto" and _is_five_by_two(a)):
        if not _is_five_by_two(a):
            raise DataError(f"compare: {test} takes 5 repetitions of 2 folds.", hint="cv='five_by_two' makes them")
        return five_by_two_test(scores[0], scores[1], statistic="t" if test == "5x2cv_t" else "F")
    return corrected_t_test(scores[0], scores[1], *a.scores.sizes())


def compare_all(results: CrossValidation, *, score: str | None = None) -> Table:
    """The best configuration against every other one, by the corrected resampled t-test.

    ``p_holm`` holds the probabilities with Holm's correction for making several tests: what is below 0.05 there is
    worse than the best.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. Statistics 6, 1979.

    Raises:
        DataError: There are fewer than 2 configurations, or fewer than 2 folds.
    """
    scores = results.scores
    name, best = scores.checked(score), scores.best(score)
    others = [k for k in np.argsort(scores.rank(name), kind="stable").tolist() if k != best]
    if not others:
        raise DataError("compare_all: there is one configuration, and nothing to compare it with.")
    found = [compare(results, configurations=(best, k), score=name, test="corrected_t") for k in others]
    return Table(
        {
            "configuration": others,
            **{n: [values[k] for k in others] for n, values in scores.parameters().items()},
            "difference": [c.difference for c in found],
            "low": [c.interval[0] for c in found],
            "high": [c.interval[1] for c in found],
            "p_value": [c.p_value for c in found],
            "p_holm": holm([c.p_value for c in found]),
        },
        title=f"{name} of configuration {best} {scores.configurations[best]} minus that of the others",
    )


def holm(p_values: Any) -> np.ndarray:
    """Probabilities with Holm's correction: the k-th smallest of m times m - k + 1, and never less than one before.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    grown = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(grown, 1.0)
    return found


def _chosen(a: CrossValidation, b: CrossValidation | None, given: tuple[int, int] | None) -> tuple[int, int]:
    if given is None:
        if b is not None:
            return a.best_index_, b.best_index_
        order = np.argsort(a.scores.rank(), kind="stable")
        if len(order) < 2:
            raise ConfigurationError("compare: there is one configuration; give the results of another model, too.")
        return int(order[0]), int(order[1])
    for number, results in zip(given, (a, b or a), strict=True):
        count = len(results.scores.configurations)
        if not 0 <= number < count:
            raise ConfigurationError(f"compare: there is no configuration {number} among {count}, counted from 0.")
    return given


def _check_folds(a: CrossValidation, b: CrossValidation) -> None:
    if len(a.folds) != len(b.folds):
        raise DataError(f"compare: the results are of {len(a.folds)} and of {len(b.folds)} folds.")
    for number, (one, other) in enumerate(zip(a.folds, b.folds, strict=True)):
        if not (np.array_equal(one.train, other.train) and np.array_equal(one.test, other.test)):
            raise DataError(
                f"compare: fold {number} holds other rows in the two results.",
                hint="cross-validate both with the same cv= and seed=",
            )


def _is_five_by_two(results: CrossValidation) -> bool:
    places = [(fold.repeat, fold.number) for fold in results.folds]
    return places == [(repeat, number) for repeat in range(5) for number in range(2)]


def _mcnemar(a: CrossValidation, b: CrossValidation, first: int, second: int) -> Comparison:
    times = np.bincount(np.concatenate([fold.test for fold in a.folds]))
    if (times > 1).any():
        raise DataError(
            "compare: McNemar's test takes one prediction per row, but these folds test rows several times.",
            hint="use K-fold or holdout without repetitions",
        )
    rows = np.flatnonzero(times)
    y = a.answers.true(np.asarray(a.targets))[rows]
    if a.answers.classes is None:
        raise DataError("compare: McNemar's test is of classes, but these targets are numbers.")
    said = [r.answers.predicted(r.predictions.mean(k)[rows]) for r, k in ((a, first), (b, second))]
    return mcnemar_test(y, *said)
