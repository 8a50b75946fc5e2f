"""Estimates of the error from bootstrap samples: out of bag, .632 and .632+."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import DataError


@dataclass(frozen=True)
class BootstrapEstimate:
    """Estimates of the error of one model: the share of wrong classes, or the mean squared error.

    Attributes:
        out_of_bag: The mean over rows of the mean error of the models that did not see the row; too high, as a sample
            holds only 63.2 % of the rows.
        resubstitution: The error of the model of all rows on the same rows; too low.
        no_information: The error if targets and samples had nothing to do with each other (gamma).
        overfitting: R = (out_of_bag - resubstitution) / (no_information - resubstitution), within [0, 1].
        e632: 0.368 resubstitution + 0.632 out_of_bag.
        e632plus: The same with the weight w = 0.632 / (1 - 0.368 R) of out_of_bag.
    """

    out_of_bag: float
    resubstitution: float
    no_information: float
    overfitting: float
    e632: float
    e632plus: float


def bootstrap_estimate(out_of_bag: float, resubstitution: float, no_information: float) -> BootstrapEstimate:
    """The .632 and .632+ estimates from the three errors they consist of.

    With err' = min(out_of_bag, gamma), and R = 0 unless out_of_bag and gamma exceed the resubstitution error:
    .632+ = .632 + (err' - resubstitution) 0.368 * 0.632 R / (1 - 0.368 R).

    Source: B. Efron, R. Tibshirani, "Improvements on cross-validation: the .632+ bootstrap method", JASA 92, 1997.

    >>> found = bootstrap_estimate(0.5, 0.0, 0.5)            # pure noise, learnt by heart: no skill, error 0.5
    >>> round(found.e632, 4), round(found.e632plus, 4), found.overfitting
    (0.316, 0.5, 1.0)
    """
    capped = min(out_of_bag, no_information)
    overfits = out_of_bag > resubstitution and no_information > resubstitution
    rate = (capped - resubstitution) / (no_information - resubstitution) if overfits else 0.0
    e632 = 0.368 * resubstitution + 0.632 * out_of_bag
    plus = e632 + (capped - resubstitution) * 0.368 * 0.632 * rate / (1 - 0.368 * rate)
    return BootstrapEstimate(out_of_bag, resubstitution, no_information, rate, e632, plus)


def losses(y: np.ndarray, predicted: np.ndarray, *, classes: bool) -> np.ndarray:
    """The error of each row: 1 for a wrong class, or the squared difference."""
    if classes:
        return (y != predicted).astype(np.float64)
    difference = np.asarray(y, np.float64) - np.asarray(predicted, np.float64)
    return np.square(difference).reshape(len(difference), -1).mean(axis=1)


def out_of_bag_error(count: int, rows: list[np.ndarray], errors: list[np.ndarray]) -> float:
    """The mean over rows of the mean error of the models that did not see the row.

    Args:
        count: The number of rows.
        rows: Of each model, the rows that it did not see.
        errors: Its errors on them.

    Raises:
        DataError: No row was left out of any sample.
    """
    total, times = np.zeros(count), np.zeros(count)
    for own, error in zip(rows, errors, strict=True):
        np.add.at(total, own, error)
        np.add.at(times, own, 1)
    seen = times > 0
    if not seen.any():
        raise DataError("No row was left out of any bootstrap sample.")
    return float((total[seen] / times[seen]).mean())


def no_information_rate(y: Any, predicted: Any, *, classes: bool) -> float:
    """The mean error over all pairs of a target and a prediction.

    sum_k p_k (1 - q_k) for classes, with their shares p among the targets and q among the predictions; for numbers
    var(y) + var(f) + (mean(y) - mean(f))².

    >>> no_information_rate([0, 0, 1, 1], [0, 0, 0, 1], classes=True)
    0.5
    """
    y, f = np.asarray(y), np.asarray(predicted)
    if classes:
        return float(sum((y == k).mean() * (1 - (f == k).mean()) for k in np.unique(y)))
    y, f = y.astype(np.float64).reshape(len(y), -1), f.astype(np.float64).reshape(len(f), -1)
    return float((y.var(axis=0) + f.var(axis=0) + np.square(y.mean(axis=0) - f.mean(axis=0))).mean())
