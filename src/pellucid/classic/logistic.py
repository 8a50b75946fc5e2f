"""Logistic regression by gradient descent, as loops over numbers and as products of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid.classic.linear import LinearClassifier, epoch_order
from pellucid.fields import Check, Choice, Integer, boolean, non_negative, optional
from pellucid.optim import OPTIMIZERS, Optimizer
from pellucid.optim import get as get_optimizer
from pellucid.tensor import Tensor

#: Cost, dJ/dW [units, features] and dJ/db [units], each a mean over the examples.
Gradient = tuple[float, np.ndarray, np.ndarray]


def vectorised_gradient(W: np.ndarray, b: np.ndarray, X: np.ndarray, Y: np.ndarray) -> Gradient:
    """Cost and gradient of logistic regression as products of matrices.

    Z = X W^T + b, A = σ(Z), dZ = A - Y, dW = dZ^T X / m, db = Σ dZ / m,
    J = -1/m Σ (y log a + (1 - y) log(1 - a)).

    Args:
        W: Weights [units, features].
        b: Biases [units].
        X: Examples [m, features].
        Y: Targets [m, units], 0 or 1.

    Returns:
        J (summed over the units), dW [units, features] and db [units].

    >>> cost, dW, db = vectorised_gradient(np.zeros((1, 2)), np.zeros(1), np.eye(2), np.array([[0.0], [1.0]]))
    >>> round(cost, 4), dW, db
    (0.6931, array([[ 0.25, -0.25]]), array([0.]))
    """
    from scipy.special import expit

    m = len(X)
    Z = X @ W.T + b
    dZ = expit(Z) - Y
    # log(1 + e^z) - y z is the cross-entropy without a logarithm of 0.
    cost = float((np.logaddexp(0.0, Z) - Y * Z).sum()) / m
    return cost, dZ.T @ X / m, dZ.sum(axis=0) / m


def loop_gradient(W: np.ndarray, b: np.ndarray, X: np.ndarray, Y: np.ndarray) -> Gradient:
    """The same as :func:`vectorised_gradient`, number by number.

    >>> cost, dW, db = loop_gradient(np.zeros((1, 2)), np.zeros(1), np.eye(2), np.array([[0.0], [1.0]]))
    >>> round(cost, 4), dW, db
    (0.6931, array([[ 0.25, -0.25]]), array([0.]))
    """
    m, features = X.shape
    dW, db, J = np.zeros_like(W), np.zeros_like(b), 0.0
    for k in range(len(W)):
        for i in range(m):
            z = float(b[k])
            for j in range(features):
                z += W[k, j] * X[i, j]
            a, y = _sigmoid(z), Y[i, k]
            J += max(z, 0.0) + math.log1p(math.exp(-abs(z))) - y * z  # -(y log a + (1 - y) log(1 - a))
            dz = a - y
            for j in range(features):
                dW[k, j] += X[i, j] * dz
            db[k] += dz
    return float(J / m), dW / m, db / m


def _optimizer(value: Any) -> str | None:
    names = sorted(name.lower() for name in OPTIMIZERS)
    if value is None or isinstance(value, Optimizer) or (isinstance(value, str) and value.lower() in names):
        return None
    return f"None, an Optimizer or one of {', '.join(map(repr, names))}"


_FORMS: dict[str, Callable[..., Gradient]] = {"vectorised": vectorised_gradient, "loop": loop_gradient}


class LogisticRegressionGD(LinearClassifier):
    """Logistic regression with gradient descent on batches of any size.

    a = σ(w · x + b) is the probability of the second class; the cost is the mean cross-entropy
    J = -1/m Σ (y log a + (1 - y) log(1 - a)) + λ/2 ||w||², whose gradient has dz = a - y: dw = 1/m Σ dz x + λ w,
    db = 1/m Σ dz. The bias is not regularised.

    Args:
        learning_rate: α.
        epochs: Passes over the data.
        batch_size: Examples per step: None for all (batch), 1 for one (online), else mini-batches; the last batch of
            an epoch holds what is left.
        l2: λ.
        optimizer: None steps along the gradient, w -= α dw. One of Pellucid's optimisers steps by its own rule: a name
            with ``learning_rate``, an Optimizer, which is copied, with its own rate.
        form: ``"vectorised"``, products of matrices, or ``"loop"``, the same number by number and some hundred times
            slower.
        shuffle: Whether each epoch visits the examples in an order of its own; with all examples in a step it does not
            matter and is not done.
        seed: Seed of the orders.

    Attributes:
        coef_: float64 [units, features]; one unit for two classes, K for K > 2, each for its class against the rest.
        intercept_: float64 [units], b.
        cost_: J in each epoch, summed over the units: the mean over the examples, each at the weights with which its
            batch began; for a full batch that is J at the start of the epoch.
        coef_history_: float64 [epochs, units, features]: the weights after each epoch; ``intercept_history_`` alike.
        classes_: The labels, sorted.
        n_iter_: Epochs that were run.
        n_features_in_: Features of an example.

    Raises:
        ConfigurationError: By ``fit``: a setting is outside its range.
        DataError: By ``fit`` and ``predict``: the data cannot be used.
        NonFiniteError: By ``fit``: the cost grew out of the range of float64, as it does where α λ > 2.
        NotFittedError: By ``predict`` before ``fit``.

    Source: Cox, "The regression analysis of binary sequences", 1958.

    >>> model = LogisticRegressionGD(learning_rate=1.0, epochs=100).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> model.predict([[0.5], [2.5]]).tolist(), round(model.cost_[0], 4)
    ([0, 1], 0.6931)
    """

    _own: ClassVar[Mapping[str, Check]] = {
        "batch_size": optional(Integer(1)),
        "l2": non_negative,
        "optimizer": _optimizer,
        "form": Choice(*_FORMS),
        "shuffle": boolean,
        "seed": Integer(0),
    }

    def __init__(
        self,
        learning_rate: float = 0.1,
        epochs: int = 100,
        *,
        batch_size: int | None = None,
        l2: float = 0.0,
        optimizer: Any = None,
        form: str = "vectorised",
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.l2 = l2
        self.optimizer = optimizer
        self.form = form
        self.shuffle = shuffle
        self.seed = seed

    def fit(self, X: Any, y: Any) -> LogisticRegressionGD:
        """Learn from examples [N, features] and their labels [N].

        Returns:
            The model itself.
        """
        X, targets = self._begin(X, y, low=0.0)
        size = min(self.batch_size or len(X), len(X))
        self.cost_: list[float] = []
        weights, biases, update = [], [], self._rule()
        for epoch in range(self.epochs):
            order = epoch_order(len(X), self.shuffle and size < len(X), self.seed, epoch)
            batches = (order[start : start + size] for start in range(0, len(X), size))
            total = sum(len(rows) * self._step(X[rows], targets[rows], update) for rows in batches)
            cost = float(total) / len(X)
            self._check_finite(cost, epoch + 1)
            self.cost_.append(cost)
            weights.append(self.coef_.copy())
            biases.append(self.intercept_.copy())
        self._keep(weights, biases)
        return self

    def _rule(self) -> Callable[[np.ndarray, np.ndarray], None]:
        """What changes the weights, given the gradient (dW, db)."""
        if self.optimizer is None:
            return self._descend
        optimizer = get_optimizer(self.optimizer).copy()
        if isinstance(self.optimizer, str):
            optimizer.learning_rate = self.learning_rate
        W, b = Tensor(self.coef_), Tensor(self.intercept_)

        def update(dW: np.ndarray, db: np.ndarray) -> None:
            optimizer.apply([W, b], [dW, db])
            self.coef_, self.intercept_ = np.array(W.numpy()), np.array(b.numpy())

        return update

    def _descend(self, dW: np.ndarray, db: np.ndarray) -> None:
        self.coef_ -= self.learning_rate * dW
        self.intercept_ -= self.learning_rate * db

    def _step(self, X: np.ndarray, Y: np.ndarray, update: Callable[[np.ndarray, np.ndarray], None]) -> float:
        """One step; returns the cost before it."""
        with np.errstate(over="ignore", invalid="ignore"):
            cost, dW, db = _FORMS[self.form](self.coef_, self.intercept_, X, Y)
            cost += 0.5 * self.l2 * float((self.coef_**2).sum())
            update(dW + self.l2 * self.coef_, db)
        return cost

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class: σ(z) and 1 - σ(z) of two classes, of more the σ(z_k) scaled to sum to 1.

        Args:
            X: Examples [N, features].

        Returns:
            float64 [N, K], the classes in the order of ``classes_``.
        """
        from scipy.special import expit, log_expit, softmax

        z = self.decision_function(X)
        if z.ndim == 1:
            return np.stack([expit(-z), expit(z)], axis=1)
        return softmax(log_expit(z), axis=1)  # also where every σ(z_k) is too small for float64


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))
