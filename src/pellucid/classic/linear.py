"""What the linear models share: checked settings and data, units in rows, and the record of every epoch.

They follow scikit-learn's conventions: settings are kept as given and checked by ``fit``, fitted state has a trailing
underscore, two classes have one unit and K > 2 classes have K, each for its class against the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from sklearn import exceptions
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.errors import DataError, DTypeError, NonFiniteError, NotBuiltError, PellucidError
from pellucid.fields import Check, Integer, positive, require
from pellucid.seeds import generator


class NotFittedError(NotBuiltError, exceptions.NotFittedError):
    """A model is used before ``fit``; scikit-learn's error of this name, too."""


@contextmanager
def typed_errors() -> Iterator[None]:
    """In the block, the errors of scikit-learn's own checks are raised as Pellucid's, which are of the same kinds."""
    try:
        yield
    except PellucidError:
        raise
    except exceptions.NotFittedError as error:
        raise NotFittedError(str(error)) from None
    except ValueError as error:
        raise DataError(str(error)) from None
    except TypeError as error:
        raise DTypeError(str(error)) from None


class LinearUnits(BaseEstimator):
    """Base of models of the form z = W x + b, trained epoch by epoch."""

    #: Name of a setting -> its check, for the settings that all linear models have.
    _shared: ClassVar[Mapping[str, Check]] = {"learning_rate": positive, "epochs": Integer(1)}
    #: Those that this one has besides.
    _own: ClassVar[Mapping[str, Check]] = {}

    def _check_settings(self) -> None:
        for name, check in {**self._shared, **self._own}.items():
            require(type(self).__name__, name, getattr(self, name), check)

    def _check_finite(self, cost: float, epoch: int) -> None:
        if not np.isfinite(cost):
            raise NonFiniteError(
                f"{type(self).__name__}: the cost left the range of float64 in epoch {epoch}: "
                f"the learning rate {self.learning_rate!r} is too large for these data.",  # type: ignore[attr-defined]
                hint="lower learning_rate, or standardise the inputs (pellucid.data.standardize)",
            )

    def _read_inputs(self, X: Any) -> np.ndarray:
        with typed_errors():
            check_is_fitted(self)
            return np.asarray(validate_data(self, X, dtype=np.float64, reset=False))


class LinearClassifier(ClassifierMixin, LinearUnits):
    """Base of the linear classifiers: labels of any kind, one unit for two classes, K units for K > 2."""

    coef_: np.ndarray
    intercept_: np.ndarray
    coef_history_: np.ndarray
    intercept_history_: np.ndarray
    classes_: np.ndarray
    n_iter_: int

    def decision_function(self, X: Any) -> np.ndarray:
        """The net input z = W x + b of every unit.

        Args:
            X: Examples [N, features].

        Returns:
            float64 [N] for two classes, [N, K] for more.
        """
        X = self._read_inputs(X)
        z = X @ self.coef_.T + self.intercept_
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict(self, X: Any) -> np.ndarray:
        """The class of each example: the second of two where z >= 0, of more that with the largest z.

        Args:
            X: Examples [N, features].

        Returns:
            Labels [N], as ``fit`` saw them.
        """
        z = self.decision_function(X)
        return self.classes_[(z >= 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]

    def _read(self, X: Any, y: Any, *, reset: bool = True) -> tuple[np.ndarray, np.ndarray]:
        with typed_errors():
            X, y = validate_data(self, X, y, dtype=np.float64, reset=reset)
            check_classification_targets(y)
        return X, y

    def _set_classes(self, labels: np.ndarray) -> None:
        if len(labels) < 2:
            only = labels.tolist()[0]
            raise DataError(f"{type(self).__name__}: y must have at least two classes, but has one class, {only!r}.")
        self.classes_ = labels

    def _begin(self, X: Any, y: Any, low: float) -> tuple[np.ndarray, np.ndarray]:
        """What ``fit`` begins with: checked settings and data, classes, weights of zero; the inputs and the targets."""
        self._check_settings()
        X, y = self._read(X, y)
        self._set_classes(np.unique(y))
        targets = self._targets(y, low)
        self._start(X.shape[1])
        return X, targets

    def _targets(self, y: np.ndarray, low: float) -> np.ndarray:
        """1 where the example is of the unit's class, else ``low``: float64 [N, units]."""
        known = np.isin(y, self.classes_)
        if not known.all():
            raise DataError(
                f"{type(self).__name__}: the label {y[~known].tolist()[0]!r} is not among the classes "
                f"{self.classes_.tolist()}."
            )
        own = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        return np.where(y[:, None] == own, 1.0, low)

    def _start(self, features: int) -> None:
        """Weights of zero."""
        units = 1 if len(self.classes_) == 2 else len(self.classes_)
        self.coef_, self.intercept_ = np.zeros((units, features)), np.zeros(units)
        self.coef_history_, self.intercept_history_ = np.zeros((0, units, features)), np.zeros((0, units))
        self.n_iter_ = 0

    def _keep(self, weights: list[np.ndarray], biases: list[np.ndarray]) -> None:
        """Append the weights after each epoch to the history."""
        self.coef_history_ = np.concatenate([self.coef_history_, *(w[None] for w in weights)])
        self.intercept_history_ = np.concatenate([self.intercept_history_, *(b[None] for b in biases)])
        self.n_iter_ += len(weights)


def epoch_order(rows: int, shuffle: bool, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits the rows: as given, or drawn from the seed and the epoch's number."""
    return generator(seed, epoch).permutation(rows) if shuffle else np.arange(rows)
