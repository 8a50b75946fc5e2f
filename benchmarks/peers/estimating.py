"""Fits of a multi-layer perceptron, by whichever library's class of that name; they are called in the same way.

How good they are is the mean over five held-out folds: accuracy, or R^2 of a regressor.
"""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from benchmarks.serving import Run
from benchmarks.work import Estimation

_ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1)


def fits(work: Estimation, library: Any) -> Run:
    """``fit`` of the library's MLPClassifier or MLPRegressor, or a search with it."""
    x, y = work.arrays()
    kind = library.MLPRegressor if y.dtype.kind == "f" else library.MLPClassifier
    estimator = kind(random_state=0, **dict(work.settings))
    whole = GridSearchCV(estimator, {"alpha": _ALPHAS}, cv=work.folds, refit=False) if work.folds else estimator

    def run(count: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for _ in range(count):
                whole.fit(x, y)

    def score() -> float:
        folds = KFold(5, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return float(cross_val_score(estimator, x, y, cv=folds).mean())

    if not work.folds and work.data != "noise":
        run.score = score  # type: ignore[attr-defined]
    return run
