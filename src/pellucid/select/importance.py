"""How much each parameter of a search mattered."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, missing_dependency
from pellucid.fields import Choice, require
from pellucid.select.search_trials import Trials

#: With fewer complete trials no forest tells anything.
_LEAST = 4


def importances(trials: Trials, *, method: str = "auto", seed: int = 0) -> tuple[dict[str, float], str]:
    """The importance of each parameter that varies, the largest first, and how it was found.

    ``"fanova"``: the share of the variance of the value that the parameter explains alone, over its whole range
    (F. Hutter, H. Hoos and K. Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014),
    by Optuna; it needs a study whose every trial has every parameter. ``"forest"``: by how much a random forest
    predicts the trials worse when the parameter's values are shuffled among them (L. Breiman, Random Forests, 2001), by
    scikit-learn; having no value is a value. Both sum up to 1. ``"auto"`` is fANOVA wherever that can judge.

    Raises:
        ConfigurationError: fANOVA was asked for a search that it cannot judge.
        DataError: There are too few trials, or all of them reached the same.
    """
    owner = "importances"
    require(owner, "method", method, Choice("auto", "fanova", "forest"))
    complete = trials.where("complete")
    values = trials.values[complete]
    if complete.sum() < _LEAST:
        raise DataError(f"{owner}: {int(complete.sum())} complete trials are too few to judge parameters by.",
                        hint=f"at least {_LEAST} are needed, and some tens to rely on it")  # fmt: skip
    if np.ptp(values) == 0:
        raise DataError(f"{owner}: all complete trials reached {values[0]:.6g}; no parameter mattered.")
    whole = not any(axis.missing[complete].any() for axis in trials.axes)
    if method == "fanova" and (trials.study is None or not whole):
        why = "there is none" if trials.study is None else "not every trial has every parameter"
        raise ConfigurationError(
            f"{owner}: fANOVA needs an Optuna study whose every trial has every parameter, but {why}.",
            hint="method='forest' judges any search",
        )
    if method != "forest" and trials.study is not None and whole:
        return _fanova(trials, seed), "fANOVA"
    return _forest(trials, complete, seed), "random forest, shuffled values"


def _fanova(trials: Trials, seed: int) -> dict[str, float]:
    try:
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    except ImportError:
        raise missing_dependency("optuna", "plot_importance of a study", "tune") from None
    evaluator: Any = FanovaImportanceEvaluator(seed=seed)
    return _sorted(get_param_importances(trials.study, evaluator=evaluator))


def _forest(trials: Trials, complete: np.ndarray, seed: int) -> dict[str, float]:
    from sklearn.ensemble import RandomForestRegressor

    axes, y = trials.chosen("importances", None), trials.values[complete]
    columns = [_columns(axis.numbers[complete], axis.choices) for axis in axes]
    x = np.concatenate(columns, axis=1)
    forest = RandomForestRegressor(200, random_state=seed).fit(x, y)
    error, r = np.mean((forest.predict(x) - y) ** 2), np.random.default_rng(seed)
    ends = np.cumsum([0, *(own.shape[1] for own in columns)])
    found = {}
    for axis, first, last in zip(axes, ends[:-1], ends[1:], strict=True):
        worse = []
        for _ in range(10):
            shuffled = x.copy()
            shuffled[:, first:last] = x[r.permutation(len(x)), first:last]
            worse.append(np.mean((forest.predict(shuffled) - y) ** 2) - error)
        found[axis.name] = max(float(np.mean(worse)), 0.0)
    total = sum(found.values()) or 1.0
    return _sorted({name: value / total for name, value in found.items()})


def _columns(numbers: np.ndarray, choices: Any) -> np.ndarray:
    """A parameter for a forest: its number, or a column per choice; and whether it is missing."""
    missing = np.isnan(numbers)
    if choices is None:
        known = numbers[~missing]
        found = np.where(missing, known.min() if len(known) else 0.0, numbers)[:, None]
    else:
        found = (numbers[:, None] == np.arange(len(choices))).astype(np.float64)
    return np.column_stack([found, missing]) if missing.any() else found


def _sorted(found: dict[str, float]) -> dict[str, float]:
    return dict(sorted(found.items(), key=lambda item: -item[1]))
