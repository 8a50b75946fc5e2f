"""AdaBoost over decision stumps: many weak rules, each a threshold on one feature, weighted into a strong one.

Each round finds the best stump under the samples' weights, then raises the weights of the samples that it gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.backends import scans
from pellucid.classic.linear import typed_errors
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, Integer, positive
from pellucid.shapes import show

Criterion = Literal["error", "gini"]

#: Features that are computed and sorted at once, so that their values need not be in memory together.
_CHUNK = 4096


@dataclass(frozen=True)
class Stump:
    """A decision tree with one question: h(x) = ``left`` where x[feature] <= threshold, else ``right``.

    Attributes:
        feature: Number of the feature.
        threshold: Half way between two values of the training data, or minus infinity: then every x is on the right.
        left, right: -1 or +1.

    >>> Stump(0, 0.5, left=-1, right=1).predict(np.array([0.0, 1.0]))
    array([-1,  1])
    """

    feature: int
    threshold: float
    left: int
    right: int

    def predict(self, column: np.ndarray) -> np.ndarray:
        """-1 or +1 for each value of the stump's feature."""
        return np.where(column > self.threshold, self.right, self.left)


@dataclass(frozen=True)
class Round:
    """What one round of boosting found: the stump, its weighted error, and its weight log((1 - error) / error)."""

    stump: Stump
    error: float
    weight: float


class SortedFeatures:
    """Features of a set of samples, each sorted once: boosting reads them many times.

    Args:
        columns: Gives the float32 values [k, N] of features ``start`` to ``stop``.
        count: Number of features F.

    >>> x = np.array([[1, 2, 3, 4], [5, 5, 7, 6]], "float32")
    >>> features = SortedFeatures(lambda start, stop: x[start:stop], 2)
    >>> features.best_stump(np.array([-0.25, -0.25, 0.25, 0.25]))
    Stump(feature=0, threshold=2.5, left=-1, right=1)
    """

    def __init__(self, columns: Callable[[int, int], np.ndarray], count: int) -> None:
        if count < 1:
            raise DataError("Boosting needs at least one feature, there is none.")
        self.columns, self.count = columns, count
        self._scans = scans.chosen()
        starts = range(0, count, _CHUNK)
        orders = (scans.order_of(columns(start, min(start + _CHUNK, count))) for start in starts)
        self._parts = [(order.shape[0], self._scans.arranged(order)) for order in orders]

    def best_stump(self, signed: np.ndarray, criterion: Criterion = "error") -> Stump:
        """The best stump; of equals the first feature's, and of its cuts the lowest.

        Args:
            signed: The weight of each sample times its label -1 or +1, [N].
            criterion: ``"error"`` minimises the weight of the samples that the stump gets wrong, ``"gini"`` the
                Gini impurity of its two sides, as decision trees do.
        """
        find = self._fewest_errors if criterion == "error" else self._purest
        feature, at, left, right = find(signed)
        return Stump(feature, self._threshold(feature, at), left, right)

    def _fewest_errors(self, signed: np.ndarray) -> tuple[int, int, int, int]:
        found = [self._scans.error_cuts(part, count, signed) for count, part in self._parts]
        lowest, at_lowest, highest, at_highest = (np.concatenate(column) for column in zip(*found, strict=True))
        # With L the signed weight left of a cut, "+1 on the right" is wrong for (all negatives) + L, and "-1 on the
        # right" for (all positives) - L.
        right_is_plus = -signed[signed < 0].sum() + lowest
        right_is_minus = signed[signed > 0].sum() - highest
        feature = _first_largest(-np.minimum(right_is_plus, right_is_minus), signed)
        if _first_largest(-np.array([right_is_plus[feature], right_is_minus[feature]]), signed) == 0:
            return feature, int(at_lowest[feature]), -1, 1
        return feature, int(at_highest[feature]), 1, -1

    def _purest(self, signed: np.ndarray) -> tuple[int, int, int, int]:
        found = [self._scans.gini_cuts(part, count, signed) for count, part in self._parts]
        score, at, left = (np.concatenate(column) for column in zip(*found, strict=True))
        feature = _first_largest(score, signed)
        on_left, on_right = float(left[feature]), float(signed.sum() - left[feature])
        # A side that is as heavy for both goes to the first class, as in scikit-learn.
        return feature, int(at[feature]), 1 if on_left > 0 else -1, 1 if on_right > 0 else -1

    def _threshold(self, feature: int, at: int) -> float:
        """Half way between the last value on the left and the first on the right."""
        if at < 0:
            return float("-inf")
        column = np.sort(self.columns(feature, feature + 1)[0].astype(np.float64))
        return float((column[at] + column[at + 1]) / 2)


def _first_largest(values: np.ndarray, signed: np.ndarray) -> int:
    """Where the largest value is; the first of those that only the rounding of their sums tells apart."""
    margin = 1e-12 * np.abs(signed).sum()
    return int(np.flatnonzero(values >= values.max() - margin)[0])


def boost(
    features: SortedFeatures,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    criterion: Criterion = "error",
    learning_rate: float = 1.0,
) -> Iterator[Round]:
    """The rounds of AdaBoost, one after another, for as long as the caller asks and a stump is better than chance.

    error_t = sum of the weights that stump t gets wrong; alpha_t = learning_rate log((1 - error_t) / error_t);
    w_i <- w_i exp(alpha_t) where it is wrong, then the weights are made to sum to 1.

    A stump without error gets the weight 1 and ends the rounds.

    Args:
        features: Of the N training samples.
        labels: -1 or +1, [N].
        weights: Positive, [N].
        criterion: See :meth:`SortedFeatures.best_stump`.
        learning_rate: Shrinks every stump's weight.

    Source: Freund, Schapire, "A decision-theoretic generalization of on-line learning and an application to
    boosting", 1997; the form with log((1 - error) / error) is that of Viola, Jones, 2001, and for two classes that of
    SAMME (Zhu, Zou, Rosset, Hastie, 2009).

    >>> x = np.array([[1, 2, 3, 4, 5]], "float32")
    >>> features = SortedFeatures(lambda start, stop: x[start:stop], 1)
    >>> rounds = boost(features, np.array([1, 1, -1, -1, 1]), np.ones(5))
    >>> [(r.stump.threshold, round(r.error, 3)) for r, _ in zip(rounds, range(3))]
    [(2.5, 0.2), (-inf, 0.25), (4.5, 0.167)]
    """
    weights = np.asarray(weights, np.float64)
    weights = weights / weights.sum()
    while True:
        stump = features.best_stump(weights * labels, criterion)
        wrong = stump.predict(features.columns(stump.feature, stump.feature + 1)[0]) != labels
        error = float(weights[wrong].sum())
        if error <= 0:
            yield Round(stump, 0.0, 1.0)
            return
        if error >= 0.5:
            return
        weight = learning_rate * float(np.log((1 - error) / error))
        yield Round(stump, error, weight)
        weights = weights * np.where(wrong, np.exp(weight), 1.0)
        weights = weights / weights.sum()


class AdaBoostStumps(ClassifierMixin, BaseEstimator):
    """AdaBoost over decision stumps, for two classes: H(x) = sign(sum_t alpha_t h_t(x)).

    Args:
        n_estimators: Most rounds; fewer where a stump has no error, or none is better than chance.
        learning_rate: Shrinks every stump's weight.
        criterion: What the best stump is: ``"error"`` has the least weighted error, ``"gini"`` the least impurity
            (so do the trees of scikit-learn's ``AdaBoostClassifier``).

    Attributes:
        classes_: The two labels, sorted; the second counts as +1.
        stumps_: The stumps, in order.
        estimator_weights_: alpha_t.
        estimator_errors_: Weighted error of each stump in its round.
        feature_importances_: Each feature's share of the weights, [F].
        n_features_in_: F.

    Raises:
        DataError: There are not exactly two classes.
        ConfigurationError: A setting is outside its range.

    Source: Freund, Schapire, 1997; deck 001 (strong classifiers of weak ones).

    >>> from sklearn.datasets import load_breast_cancer
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> model = AdaBoostStumps(n_estimators=20).fit(x, y)
    >>> len(model.stumps_), model.score(x, y) > 0.97
    (20, True)
    """

    n_features_in_: int

    def __init__(self, n_estimators: int = 50, *, learning_rate: float = 1.0, criterion: Criterion = "error") -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.criterion: Criterion = criterion

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> AdaBoostStumps:
        """Boost.

        Args:
            X: [N, F]; computed with as float32.
            y: Two labels, [N].
            sample_weight: Non-negative, [N]; equal by default.
        """
        self._check_settings()
        with typed_errors():
            X, y = validate_data(self, X, y, dtype=np.float32)
            check_classification_targets(y)
        weights = _sample_weights(sample_weight, len(X))
        # A sample without weight must not move a threshold.
        X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise DataError(
                f"AdaBoostStumps learns exactly 2 classes, y has {len(self.classes_)} class"
                f"{'' if len(self.classes_) == 1 else 'es'}. Only binary classification is supported."
            )
        columns = np.ascontiguousarray(X.T)
        features = SortedFeatures(lambda start, stop: columns[start:stop], X.shape[1])
        rounds = boost(features, 2 * numbers - 1, weights, criterion=self.criterion, learning_rate=self.learning_rate)
        kept = list(islice(rounds, self.n_estimators))
        self.stumps_ = tuple(found.stump for found in kept)
        self.estimator_weights_ = np.array([found.weight for found in kept])
        self.estimator_errors_ = np.array([found.error for found in kept])
        # No stump is better than chance: the heavier class alone.
        self._bias = 0.0 if kept else float(np.sign((weights * (2 * numbers - 1)).sum()))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """sum_t alpha_t h_t(x) / sum_t alpha_t, [N]: from -1 to +1, positive for ``classes_[1]``."""
        X = self._checked(X)
        return self._score(X, len(self.stumps_))

    def predict(self, X: Any) -> np.ndarray:
        """The labels, [N]."""
        return self._labels(self.decision_function(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """1 / (1 + exp(-2 score)) for ``classes_[1]``, [N, 2], as in scikit-learn: it is not calibrated."""
        high = 1 / (1 + np.exp(-2 * self.decision_function(X)))
        return np.stack([1 - high, high], axis=1)

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """The labels after each round."""
        X = self._checked(X)
        for rounds in range(1, len(self.stumps_) + 1):
            yield self._labels(self._score(X, rounds))

    @property
    def feature_importances_(self) -> np.ndarray:
        """Each feature's share of the stumps' weights, [F]."""
        with typed_errors():
            check_is_fitted(self)
        shares = np.zeros(self.n_features_in_)
        np.add.at(shares, [stump.feature for stump in self.stumps_], self.estimator_weights_)
        return shares / max(shares.sum(), np.finfo(float).tiny)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _check_settings(self) -> None:
        checks = {"n_estimators": Integer(1), "learning_rate": positive, "criterion": Choice("error", "gini")}
        for name, check in checks.items():
            message = check(getattr(self, name))
            if message:
                raise ConfigurationError(f"AdaBoostStumps: {name} must be {message}, not {getattr(self, name)!r}.")

    def _checked(self, X: Any) -> np.ndarray:
        with typed_errors():
            check_is_fitted(self)
            return np.asarray(validate_data(self, X, dtype=np.float32, reset=False))

    def _score(self, X: np.ndarray, rounds: int) -> np.ndarray:
        columns = [X[:, stump.feature] for stump in self.stumps_[:rounds]]
        total = votes(self.stumps_[:rounds], self.estimator_weights_[:rounds], columns, len(X))
        return self._bias + total / max(self.estimator_weights_[:rounds].sum(), np.finfo(float).tiny)

    def _labels(self, score: np.ndarray) -> np.ndarray:
        return self.classes_[(score > 0).astype(np.intp)]


def votes(
    stumps: Sequence[Stump], weights: Sequence[float] | np.ndarray, columns: Sequence[np.ndarray], samples: int
) -> np.ndarray:
    """sum_t alpha_t h_t for the values of each stump's feature, added in the stumps' order; [N].

    >>> votes([Stump(0, 0.5, -1, 1)], [2.0], [np.array([0.0, 1.0])], 2)
    array([-2.,  2.])
    """
    total = np.zeros(samples)
    for stump, weight, column in zip(stumps, weights, columns, strict=True):
        total += weight * stump.predict(column)
    return total


def _sample_weights(given: Any, samples: int) -> np.ndarray:
    if given is None:
        return np.ones(samples)
    weights = np.asarray(given, np.float64)
    if weights.ndim == 0:
        weights = np.full(samples, float(weights))
    if weights.shape != (samples,):
        raise DataError(f"sample_weight must have the shape [{samples}], one a sample, not {show(weights.shape)}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise DataError("sample_weight must be finite and not negative, and not all zero.")
    return weights
