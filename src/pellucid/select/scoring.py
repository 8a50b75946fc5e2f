"""Scores: numbers that say how good predictions are, by name, as functions or as scikit-learn's scorers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.select.answers import Answers
from pellucid.train import metrics
from pellucid.train.history import smaller_is_better

#: Ends of names that say which way is better, as scikit-learn words them.
_LARGER, _SMALLER = ("score", "accuracy", "auc", "r2"), ("loss", "error", "deviance", "mse", "mae", "distance")


@dataclass(frozen=True, eq=False)
class Score:
    """One score of predictions.

    Attributes:
        name: Its column in the results.
        larger_is_better: Which way is better.
        of: From answers, the outputs of a model and the targets to the number; for an estimator of scikit-learn's,
            ``scorer``.
        scorer: From a fitted estimator, samples and targets to the number.
    """

    name: str
    larger_is_better: bool
    of: Callable[[Answers, np.ndarray, np.ndarray], float]
    scorer: Callable[[Any, Any, Any], float]


def scores_of(scoring: Any) -> tuple[Score, ...]:
    """The scores that were asked for.

    Args:
        scoring: None, a name (of Pellucid's metrics, of scikit-learn's scorers, or of a function of sklearn.metrics), a
            function ``f(y_true, y_pred)``, a scorer ``f(estimator, X, y)``; or a list of these; or a dict from names to
            these.

    Raises:
        ConfigurationError: A name is unknown, or something is no score.

    >>> [score.name for score in scores_of(["balanced_accuracy", "log_loss"])]
    ['balanced_accuracy', 'log_loss']
    """
    if scoring is None:
        return ()
    if isinstance(scoring, Mapping):
        return tuple(_score(item, str(name)) for name, item in scoring.items())
    if isinstance(scoring, (list, tuple, set)):
        found = tuple(_score(item) for item in scoring)
        names = [score.name for score in found]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"scoring: two scores are called {name!r}.", hint="give a dict of names")
        return found
    return (_score(scoring),)


def _score(given: Any, name: str | None = None) -> Score:
    if isinstance(given, metrics.Metric):
        return _of_metric(given, name or given.label)
    if isinstance(given, str):
        return _named(given, name or given)
    if not callable(given):
        raise ConfigurationError(f"scoring must be a name or a function f(y_true, y_pred), not {given!r}.")
    if _takes_estimator(given):
        return _of_scorer(given, name or _name_of(given))
    return _of_function(given, name or _name_of(given))


def _named(given: str, name: str) -> Score:
    from sklearn import metrics as sk

    known = sk.get_scorer_names()
    functions = [n for n in dir(sk) if n.endswith(("_score", "_loss", "_error", "_deviance"))]
    if given in metrics.METRICS:
        return _of_metric(metrics.get(given), name)
    if given in known:
        return _of_scorer(sk.get_scorer(given), name)
    if given in functions:
        return _of_function(getattr(sk, given), name)
    raise unknown_name("score", given, {*metrics.METRICS, *known, *functions})


def _of_metric(metric: metrics.Metric, name: str) -> Score:
    if not metric.scalar:
        raise ConfigurationError(f"scoring: {name!r} is not one number; only scores that are can be compared.")

    def of(answers: Answers, outputs: np.ndarray, y: np.ndarray) -> float:
        return float(metric(y, outputs))

    def scorer(estimator: Any, x: Any, y: Any) -> float:
        if not hasattr(estimator, "classes_"):
            return float(metric(np.asarray(y), np.asarray(estimator.predict(x))))
        numbered = np.searchsorted(estimator.classes_, y)
        if hasattr(estimator, "predict_proba"):
            columns = np.asarray(estimator.predict_proba(x))
        else:
            columns = np.eye(len(estimator.classes_))[np.searchsorted(estimator.classes_, estimator.predict(x))]
        return float(metric(numbered, columns[:, 1:] if columns.shape[1] == 2 else columns))

    return Score(name, not smaller_is_better(metric.default_name or name), of, scorer)


def _of_scorer(scorer: Any, name: str) -> Score:
    def of(answers: Answers, outputs: np.ndarray, y: np.ndarray) -> float:
        return float(scorer(answers.estimator(outputs), np.zeros((len(outputs), 1)), answers.true(y)))

    return Score(name, True, of, scorer)


def _of_function(function: Any, name: str) -> Score:
    def of(answers: Answers, outputs: np.ndarray, y: np.ndarray) -> float:
        return float(function(answers.true(y), _asked(function, answers, outputs)))

    def scorer(estimator: Any, x: Any, y: Any) -> float:
        probable = _wants_probabilities(function) and hasattr(estimator, "predict_proba")
        return float(function(y, estimator.predict_proba(x) if probable else estimator.predict(x)))

    return Score(name, larger_is_better(getattr(function, "__name__", name)), of, scorer)


def _wants_probabilities(function: Any) -> bool:
    """Whether the second argument is called so that it means probabilities, as in sklearn.metrics.log_loss."""
    second = list(inspect.signature(function).parameters)[1:2]
    return bool({"y_proba", "y_prob", "probabilities"} & set(second)) or _name_of(function) == "log_loss"


def _asked(function: Any, answers: Answers, outputs: np.ndarray) -> np.ndarray:
    probable = answers.classes is not None and _wants_probabilities(function)
    return answers.probabilities(outputs) if probable else answers.predicted(outputs)


def _takes_estimator(function: Any) -> bool:
    if hasattr(function, "_score_func"):  # what scikit-learn's make_scorer makes
        return True
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == 3


def _name_of(function: Any) -> str:
    inner = getattr(function, "_score_func", function)
    return getattr(inner, "__name__", type(inner).__name__)


def larger_is_better(name: str) -> bool:
    """Whether a score of this name is better when it is larger; a loss, an error or a deviance is not.

    >>> larger_is_better("cohen_kappa_score"), larger_is_better("mean_squared_error"), larger_is_better("gain")
    (True, False, True)
    """
    lower = name.lower()
    if lower.startswith("neg_") or lower.endswith(_LARGER):
        return True
    return not any(word in lower for word in _SMALLER)
