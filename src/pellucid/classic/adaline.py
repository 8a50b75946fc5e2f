"""Adaline, the adaptive linear neuron, trained on all examples at once or on one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid.classic.linear import LinearClassifier, epoch_order
from pellucid.errors import DataError
from pellucid.fields import Check, Integer, boolean


def squared_error_step(
    weights: np.ndarray, biases: np.ndarray, X: np.ndarray, targets: np.ndarray, learning_rate: float
) -> float:
    """One step of gradient descent on the sum of squared errors, in place.

    J = 1/2 Σ_i (y_i - z_i)², z = W x + b; ΔW = α Σ_i (y_i - z_i) x_i, Δb = α Σ_i (y_i - z_i).

    Args:
        weights: W [units, features], changed.
        biases: b [units], changed.
        X: Examples [N, features].
        targets: [N, units].
        learning_rate: α.

    Returns:
        J before the step.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at the cost
        errors = targets - (X @ weights.T + biases)
        weights += learning_rate * (errors.T @ X)
        biases += learning_rate * errors.sum(axis=0)
        return 0.5 * float((errors**2).sum())


class AdalineGD(LinearClassifier):
    """Adaline with batch gradient descent: every step uses all examples.

    z = w · x + b is compared with the target ±1 itself, not with a class: J = 1/2 Σ (y - z)² falls along
    Δw = α Σ (y - z) x. The gradient is a sum over the examples, so that a fitting α shrinks as they become more; with a
    larger one the cost grows from epoch to epoch.

    Args:
        learning_rate: α.
        epochs: Passes over the data, each one step.

    Attributes:
        coef_: float64 [units, features]; one unit for two classes (the second is +1), K for K > 2.
        intercept_: float64 [units], b.
        cost_: J at the start of each epoch, summed over the units.
        coef_history_: float64 [epochs, units, features]: the weights after each epoch; ``intercept_history_`` alike.
        classes_: The labels, sorted.
        n_iter_: Epochs that were run.
        n_features_in_: Features of an example.

    Raises:
        ConfigurationError: By ``fit``: a setting is outside its range.
        DataError: By ``fit`` and ``predict``: the data cannot be used.
        NonFiniteError: By ``fit``: the cost grew out of the range of float64.
        NotFittedError: By ``predict`` before ``fit``.

    Source: Widrow, Hoff, "Adaptive switching circuits", 1960.

    >>> model = AdalineGD(learning_rate=0.1, epochs=10).fit([[-1.0], [-0.5], [0.5], [1.0]], [0, 0, 1, 1])
    >>> model.predict([[-2.0], [2.0]]).tolist(), model.cost_[0]
    ([0, 1], 2.0)
    """

    def __init__(self, learning_rate: float = 0.0001, epochs: int = 50) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> AdalineGD:
        """Learn from examples [N, features] and their labels [N].

        Returns:
            The model itself.
        """
        X, targets = self._begin(X, y, low=-1.0)
        self.cost_: list[float] = []
        weights, biases = [], []
        for epoch in range(1, self.epochs + 1):
            cost = squared_error_step(self.coef_, self.intercept_, X, targets, self.learning_rate)
            self._check_finite(cost, epoch)
            self.cost_.append(cost)
            weights.append(self.coef_.copy())
            biases.append(self.intercept_.copy())
        self._keep(weights, biases)
        return self


class AdalineSGD(LinearClassifier):
    """Adaline with stochastic (online) gradient descent: a step after every example.

    Δw = α (y - z) x and Δb = α (y - z), z = w · x + b. ``fit`` begins with weights of zero; :meth:`partial_fit`
    continues with those that are there.

    Args:
        learning_rate: α.
        epochs: Passes over the data of ``fit``.
        shuffle: Whether each epoch visits the examples in an order of its own; else in the order given.
        seed: Seed of the orders.

    Attributes:
        coef_: float64 [units, features]; one unit for two classes (the second is +1), K for K > 2.
        intercept_: float64 [units], b.
        cost_: J = 1/2 Σ (y - z)² after each epoch, summed over the units.
        coef_history_: float64 [epochs, units, features]: the weights after each epoch; ``intercept_history_`` alike.
        classes_: The labels, sorted.
        n_iter_: Epochs that were run.
        n_features_in_: Features of an example.

    Raises:
        ConfigurationError: By ``fit``: a setting is outside its range.
        DataError: By ``fit`` and ``predict``: the data cannot be used.
        NonFiniteError: By ``fit``: the cost grew out of the range of float64.
        NotFittedError: By ``predict`` before ``fit``.

    Source: Widrow, Hoff, "Adaptive switching circuits", 1960.

    >>> model = AdalineSGD(learning_rate=0.1, epochs=10).fit([[-1.0], [-0.5], [0.5], [1.0]], [0, 0, 1, 1])
    >>> before = model.cost_[-1]
    >>> model.partial_fit([[-1.0], [1.0]], [0, 1]).n_iter_, len(model.cost_)
    (11, 11)
    """

    _own: ClassVar[Mapping[str, Check]] = {"shuffle": boolean, "seed": Integer(0)}

    def __init__(self, learning_rate: float = 0.0001, epochs: int = 50, *, shuffle: bool = True, seed: int = 0) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.shuffle = shuffle
        self.seed = seed

    def fit(self, X: Any, y: Any) -> AdalineSGD:
        """Learn from examples [N, features] and their labels [N], from weights of zero.

        Returns:
            The model itself.
        """
        X, targets = self._begin(X, y, low=-1.0)
        self.cost_: list[float] = []
        self._run(X, targets, self.epochs)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> AdalineSGD:
        """Continue for one epoch over these examples, from the weights that are there (at first, zero).

        Args:
            X: Examples [N, features].
            y: Their labels [N].
            classes: For the first call: all labels that later calls may bring; by default those in ``y``.

        Returns:
            The model itself.
        """
        self._check_settings()
        first = "classes_" not in vars(self)
        X, y = self._read(X, y, reset=first)
        if first:
            self._set_classes(np.unique(y if classes is None else classes))
            self._start(X.shape[1])
            self.cost_ = []
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise DataError(
                f"AdalineSGD: classes={np.unique(classes).tolist()} differ from those of the first call, "
                f"{self.classes_.tolist()}."
            )
        self._run(X, self._targets(y, low=-1.0), 1)
        return self

    def _run(self, X: np.ndarray, targets: np.ndarray, epochs: int) -> None:
        weights, biases = [], []
        for epoch in range(self.n_iter_, self.n_iter_ + epochs):
            self._epoch(X, targets, epoch_order(len(X), self.shuffle, self.seed, epoch))
            with np.errstate(over="ignore", invalid="ignore"):
                cost = 0.5 * float(((targets - (X @ self.coef_.T + self.intercept_)) ** 2).sum())
            self._check_finite(cost, epoch + 1)
            self.cost_.append(cost)
            weights.append(self.coef_.copy())
            biases.append(self.intercept_.copy())
        self._keep(weights, biases)

    def _epoch(self, X: np.ndarray, targets: np.ndarray, order: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for row in order:
                update = self.learning_rate * (targets[row] - (self.coef_ @ X[row] + self.intercept_))
                self.coef_ += np.outer(update, X[row])
                self.intercept_ += update
