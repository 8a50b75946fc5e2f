"""Rosenblatt's perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid.classic.linear import LinearClassifier, epoch_order
from pellucid.fields import Check, Integer, boolean, non_negative
from pellucid.seeds import generator


class Perceptron(LinearClassifier):
    """A linear classifier that learns from its mistakes, one example at a time.

    ŷ = +1 if w · x + b >= 0, else -1; after every example w += η (y - ŷ) x and b += η (y - ŷ). An epoch without a
    mistake ends the training, as nothing would change any more; only classes that a line separates get there.

    Args:
        learning_rate: η. Where the weights begin at zero it scales them and decides nothing else.
        epochs: Most passes over the data.
        initial_std: Deviation of the normal random weights to begin with; 0 begins with weights of zero. The bias
            begins at zero.
        shuffle: Whether each epoch visits the examples in an order of its own; else in the order given.
        seed: Seed of the first weights and of the orders.

    Attributes:
        coef_: float64 [units, features]; one unit for two classes (the second is +1), K for K > 2.
        intercept_: float64 [units], b.
        errors_: Mistakes (that is, updates) in each epoch, summed over the units.
        converged_: Whether the last epoch was without a mistake.
        coef_history_: float64 [epochs, units, features]: the weights after each epoch; ``intercept_history_`` alike.
        classes_: The labels, sorted.
        n_iter_: Epochs that were run.
        n_features_in_: Features of an example.

    Raises:
        ConfigurationError: By ``fit``: a setting is outside its range.
        DataError: By ``fit`` and ``predict``: the data cannot be used.
        NotFittedError: By ``predict`` before ``fit``.

    Source: Rosenblatt, "The perceptron: a perceiving and recognizing automaton", 1957.

    >>> flowers = [[5.1, 1.4], [4.9, 1.4], [7.0, 4.7], [6.4, 4.5]]
    >>> model = Perceptron(learning_rate=0.1).fit(flowers, ["setosa", "setosa", "versicolor", "versicolor"])
    >>> model.errors_, model.predict([[5.0, 1.3]]).tolist()
    ([2, 2, 1, 0], ['setosa'])
    """

    _own: ClassVar[Mapping[str, Check]] = {"initial_std": non_negative, "shuffle": boolean, "seed": Integer(0)}

    def __init__(
        self,
        learning_rate: float = 0.01,
        epochs: int = 50,
        *,
        initial_std: float = 0.0,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.initial_std = initial_std
        self.shuffle = shuffle
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Perceptron:
        """Learn from examples [N, features] and their labels [N].

        Returns:
            The model itself.
        """
        X, targets = self._begin(X, y, low=-1.0)
        if self.initial_std:
            # A stream apart from those of the orders, generator(seed, epoch).
            self.coef_ += self.initial_std * generator(self.seed, 0, 1).standard_normal(self.coef_.shape)
        self.errors_: list[int] = []
        weights, biases = [], []
        for epoch in range(self.epochs):
            self.errors_.append(self._epoch(X, targets, epoch_order(len(X), self.shuffle, self.seed, epoch)))
            weights.append(self.coef_.copy())
            biases.append(self.intercept_.copy())
            if self.errors_[-1] == 0:
                break
        self._keep(weights, biases)
        self.converged_ = self.errors_[-1] == 0
        return self

    def _epoch(self, X: np.ndarray, targets: np.ndarray, order: np.ndarray) -> int:
        """One pass; returns the number of updates."""
        errors = 0
        for row in order:
            output = np.where(self.coef_ @ X[row] + self.intercept_ >= 0.0, 1.0, -1.0)
            wrong = output != targets[row]
            if wrong.any():
                update = self.learning_rate * (targets[row] - output)
                self.coef_ += np.outer(update, X[row])
                self.intercept_ += update
                errors += int(wrong.sum())
        return errors
