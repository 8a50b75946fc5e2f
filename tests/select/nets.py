"""Small data and networks that the tests of this folder share."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_iris

from pellucid import Input, Sequential
from pellucid.nn import Dense
from pellucid.optim import Adam

X, Y = load_iris(return_X_y=True)


def net(units=6, *, learning_rate=0.01, metrics=("accuracy",), features=4):
    """A compiled network for iris."""
    layers = [Dense(units, activation="tanh"), Dense(3, activation="softmax")]
    model = Sequential([Input((features,)), *layers] if features else layers)
    model.compile("categorical_crossentropy", Adam(learning_rate), list(metrics))
    return model


def regression(n=60, seed=0):
    """Inputs and targets of a noisy line."""
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 3))
    return x, x @ [1.0, -2.0, 0.5] + 0.1 * r.normal(size=n)


def line():
    """A compiled linear model."""
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("mse", Adam(0.05), ["mae"])
    return model


def same(a, b):
    """Whether two models hold the same bits."""
    return all(np.array_equal(value, b.get_weights()[name]) for name, value in a.get_weights().items())
