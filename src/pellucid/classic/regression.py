"""Linear regression by gradient descent, to be seen beside Adaline."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from pellucid.classic.adaline import squared_error_step
from pellucid.classic.linear import LinearUnits, typed_errors


class LinearRegressionGD(RegressorMixin, LinearUnits):
    """Linear regression with batch gradient descent: Adaline without the threshold.

    ŷ = w · x + b; J = 1/2 Σ (y - ŷ)² falls along Δw = α Σ (y - ŷ) x. On targets of ±1 its weights are those of
    :class:`~pellucid.classic.AdalineGD`, bit for bit; only the prediction differs.

    Args:
        learning_rate: α; the gradient is a sum over the examples.
        epochs: Passes over the data, each one step.

    Attributes:
        coef_: float64 [features].
        intercept_: b.
        cost_: J at the start of each epoch.
        coef_history_: float64 [epochs, features]: the weights after each epoch; ``intercept_history_`` [epochs] alike.
        n_iter_: Epochs that were run.
        n_features_in_: Features of an example.

    Raises:
        ConfigurationError: By ``fit``: a setting is outside its range.
        DataError: By ``fit`` and ``predict``: the data cannot be used.
        NonFiniteError: By ``fit``: the cost grew out of the range of float64.
        NotFittedError: By ``predict`` before ``fit``.

    Source: Legendre, "Nouvelles méthodes pour la détermination des orbites des comètes", 1805, for the cost.

    >>> model = LinearRegressionGD(learning_rate=0.1, epochs=200).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(3), round(model.intercept_, 3)
    (array([2.]), 1.0)
    """

    def __init__(self, learning_rate: float = 0.0001, epochs: int = 50) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> LinearRegressionGD:
        """Learn from examples [N, features] and their targets [N].

        Returns:
            The model itself.
        """
        self._check_settings()
        with typed_errors():
            X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        W, b = np.zeros((1, X.shape[1])), np.zeros(1)
        targets = np.asarray(y, dtype=np.float64)[:, None]
        self.cost_: list[float] = []
        weights, biases = [], []
        for epoch in range(1, self.epochs + 1):
            cost = squared_error_step(W, b, X, targets, self.learning_rate)
            self._check_finite(cost, epoch)
            self.cost_.append(cost)
            weights.append(W[0].copy())
            biases.append(float(b[0]))
        self.coef_, self.intercept_ = weights[-1].copy(), biases[-1]
        self.coef_history_, self.intercept_history_ = np.stack(weights), np.array(biases)
        self.n_iter_ = self.epochs
        return self

    def predict(self, X: Any) -> np.ndarray:
        """ŷ = w · x + b: float64 [N] for examples [N, features]."""
        return self._read_inputs(X) @ self.coef_ + self.intercept_
