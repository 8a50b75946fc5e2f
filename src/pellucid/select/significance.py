"""Tests of whether two models differ, and intervals for means over folds, which are not independent of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, Interval, require
from pellucid.shapes import show


@dataclass(frozen=True)
class Comparison:
    """The outcome of a test of the hypothesis that two models are equally good.

    Attributes:
        test: Which test.
        statistic: Its statistic.
        p_value: How often chance alone gives a statistic at least as extreme.
        difference: The mean of the first minus the mean of the second.
        interval: Where the difference lies with a confidence of 95 %, where the test says so; else NaN.
        freedom: Degrees of freedom, or the number of rows that decide.
    """

    test: str
    statistic: float
    p_value: float
    difference: float
    interval: tuple[float, float] = (math.nan, math.nan)
    freedom: Any = None

    def significant(self, level: float = 0.05) -> bool:
        """Whether the models differ at this level."""
        return self.p_value < level

    def __str__(self) -> str:
        verdict = "they differ" if self.significant() else "no difference is shown"
        low, high = self.interval
        between = "" if math.isnan(low) else f", 95 % interval [{low:+.4f}, {high:+.4f}]"
        return (
            f"{self.test}: difference {self.difference:+.4f}{between}, statistic {self.statistic:.3f}, "
            f"p = {self.p_value:.4g}: {verdict} at the level 0.05"
        )


def corrected_interval(scores: Any, train: float, test: float, confidence: float = 0.95) -> tuple[float, float]:
    """An interval for the mean of the scores of several folds.

    mean ± t(J - 1) sqrt((1/J + n_test / n_train) s²), where s² is the variance over the J folds. The plain 1/J would
    treat folds as independent, though they share training rows.

    Args:
        scores: One per fold, [J].
        train, test: Rows of a fold's training and test part.
        confidence: Of the interval.

    Returns:
        Low and high; NaN for fewer than 2 folds.

    Source: C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003.

    >>> low, high = corrected_interval([0.9, 0.95, 1.0], 100, 50)
    >>> round(low, 4), round(high, 4)
    (0.7536, 1.1464)
    """
    require("corrected_interval", "confidence", confidence, Interval(0, 1, closed="neither"))
    values = np.asarray(scores, np.float64)
    if len(values) < 2 or np.isnan(values).any():
        return math.nan, math.nan
    from scipy.stats import t

    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * math.sqrt(_corrected(values, train, test))
    return float(values.mean() - half), float(values.mean() + half)


def _corrected(values: np.ndarray, train: float, test: float) -> float:
    """The corrected variance of a mean over folds."""
    return (1 / len(values) + test / train) * float(values.var(ddof=1))


def corrected_t_test(a: Any, b: Any, train: float, test: float) -> Comparison:
    """The corrected resampled t-test of two models on the same folds.

    t = mean(d) / sqrt((1/J + n_test / n_train) var(d)), d = a - b, with J - 1 degrees of freedom.

    Args:
        a, b: Scores of the models, one per fold [J].
        train, test: Rows of a fold's training and test part.

    Raises:
        DataError: There are fewer than 2 folds, or not as many of both.

    Source: C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003; for repeated
    K-fold: R. Bouckaert, E. Frank, PAKDD 2004.

    >>> found = corrected_t_test([0.9, 0.8, 0.85], [0.8, 0.75, 0.8], 90, 10)
    >>> round(found.statistic, 4), round(found.p_value, 4)
    (3.4641, 0.0742)
    """
    d = _differences("corrected_t_test", a, b)
    statistic, p = _t(float(d.mean()), _corrected(d, train, test), len(d) - 1)
    return Comparison(
        "corrected resampled t-test", statistic, p, float(d.mean()), corrected_interval(d, train, test), len(d) - 1
    )


def _differences(owner: str, a: Any, b: Any) -> np.ndarray:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise DataError(
            f"{owner}: a and b must hold the scores of the same 2 or more folds, not {show(first.shape)} and "
            f"{show(second.shape)}."
        )
    if not np.isfinite(first - second).all():
        raise DataError(f"{owner}: a score is not a finite number.")
    return first - second


def _t(mean: float, variance: float, freedom: int) -> tuple[float, float]:
    """t and its two-sided probability; where nothing varies, a difference is certain."""
    from scipy.stats import t

    if variance == 0:
        return (0.0, 1.0) if mean == 0 else (math.copysign(math.inf, mean), 0.0)
    statistic = mean / math.sqrt(variance)
    return statistic, float(2 * t.sf(abs(statistic), freedom))


def five_by_two_test(a: Any, b: Any, statistic: str = "F") -> Comparison:
    """The 5x2cv test of two models: five repetitions of 2-fold cross-validation.

    With the differences d[i, j] of repetition i and fold j, s²[i] = sum_j (d[i, j] - mean_j d[i])²:
    ``"t"`` (Dietterich): t = d[0, 0] / sqrt(sum_i s²[i] / 5), 5 degrees of freedom;
    ``"F"`` (Alpaydin): F = sum_ij d[i, j]² / (2 sum_i s²[i]), 10 and 5 degrees of freedom: it does not depend on which
    of the ten differences comes first.

    Args:
        a, b: Scores of the models [5, 2], or [10] in the order of ``cv="five_by_two"``.
        statistic: ``"F"`` or ``"t"``.

    Raises:
        DataError: There are not 5 x 2 scores of both.

    Source: T. Dietterich, Neural Computation 10, 1998; E. Alpaydin, Neural Computation 11, 1999.

    >>> a = [[0.8, 0.9], [0.85, 0.8], [0.9, 0.85], [0.8, 0.8], [0.9, 0.9]]
    >>> b = [[0.7, 0.7], [0.8, 0.7], [0.8, 0.7], [0.7, 0.75], [0.8, 0.8]]
    >>> found = five_by_two_test(a, b)
    >>> round(found.statistic, 4), round(found.p_value, 4)
    (7.2857, 0.0203)
    """
    require("five_by_two_test", "statistic", statistic, Choice("F", "t"))
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.size != 10 or second.size != 10:
        raise DataError(
            f"five_by_two_test: a and b must hold 5 x 2 scores, not {show(first.shape)} and {show(second.shape)}.",
            hint="cross_validate(..., cv='five_by_two') makes them",
        )
    d = _differences("five_by_two_test", first.reshape(-1), second.reshape(-1)).reshape(5, 2)
    spread = float(np.square(d - d.mean(axis=1, keepdims=True)).sum())
    mean = float(d.mean())
    if statistic == "t":
        value, p = _t(float(d[0, 0]), spread / 5, 5)
        return Comparison("5x2cv t-test", value, p, mean, freedom=5)
    from scipy.stats import f

    if spread == 0:
        value, p = (0.0, 1.0) if not d.any() else (math.inf, 0.0)
    else:
        value = float(np.square(d).sum()) / (2 * spread)
        p = float(f.sf(value, 10, 5))
    return Comparison("5x2cv F-test", value, p, mean, freedom=(10, 5))


def mcnemar_test(y: Any, a: Any, b: Any, *, exact: bool | str = "auto") -> Comparison:
    """McNemar's test of two classifiers on the same test rows.

    Only the rows decide that one of them has right and the other wrong: n01 and n10. Exact: the smaller of the two
    follows a binomial distribution of n01 + n10 draws at 1/2. Approximate, with the correction for continuity:
    chi² = (abs(n01 - n10) - 1)² / (n01 + n10), 1 degree of freedom.

    Args:
        y: The true labels [N].
        a, b: What the models predicted [N].
        exact: True, False, or ``"auto"``: exact up to 25 deciding rows.

    Raises:
        DataError: The lengths differ.

    Source: Q. McNemar, Psychometrika 12, 1947; A. Edwards, Psychometrika 13, 1948 (the correction).

    >>> y, a, b = np.zeros(100), np.zeros(100), np.zeros(100)
    >>> a[:2], b[2:12] = 1, 1
    >>> found = mcnemar_test(y, a, b)
    >>> found.difference, round(found.p_value, 4), found.test
    (0.08, 0.0386, "McNemar's test, exact")
    """
    true, first, second = (np.asarray(values) for values in (y, a, b))
    if true.ndim != 1 or not len(true) or not (true.shape == first.shape == second.shape):
        shapes = ", ".join(show(v.shape) for v in (true, first, second))
        raise DataError(f"mcnemar_test: y, a and b must hold one label for each of the same rows, not {shapes}.")
    n10 = int(((first == true) & (second != true)).sum())
    n01 = int(((first != true) & (second == true)).sum())
    return mcnemar(n10, n01, len(true), exact=exact)


def mcnemar(first_only: int, second_only: int, rows: int, *, exact: bool | str = "auto") -> Comparison:
    """McNemar's test from counts: rows that only the first, and that only the second model has right."""
    require("mcnemar", "exact", exact, Choice(True, False, "auto"))
    for name, value in (("first_only", first_only), ("second_only", second_only)):
        if value < 0 or first_only + second_only > rows:
            raise ConfigurationError(f"mcnemar: {name} is {value}, which is no count of {rows} rows.")
    deciding = first_only + second_only
    difference = (first_only - second_only) / rows
    if exact is True or (exact == "auto" and deciding <= 25):
        from scipy.stats import binomtest

        p = float(binomtest(first_only, deciding).pvalue) if deciding else 1.0
        return Comparison("McNemar's test, exact", float(min(first_only, second_only)), p, difference, freedom=deciding)
    from scipy.stats import chi2

    statistic = max(abs(first_only - second_only) - 1, 0) ** 2 / deciding if deciding else 0.0
    return Comparison("McNemar's test, chi²", statistic, float(chi2.sf(statistic, 1)), difference, freedom=deciding)
