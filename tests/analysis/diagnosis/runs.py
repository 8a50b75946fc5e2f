"""Runs that have a fault, and runs that have none, on real data."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pellucid import Input, Sequential, data
from pellucid.analysis import diagnose
from pellucid.errors import NonFiniteError
from pellucid.nn import Dense
from pellucid.optim import Adam


@cache
def digits():
    return data.load("digits").flat()


@cache
def breast_cancer():
    return data.load("breast_cancer").standardized()


def network(
    *layers: Any, loss: Any = "categorical_crossentropy", optimizer: Any = None, inputs: Any = (64,), dtype: Any = None
) -> Any:
    """A compiled row of layers whose weights are drawn by the seed 0."""
    model = Sequential([Input(inputs, dtype or "float32"), *layers])
    model.compile(loss, optimizer or Adam(0.001))
    return model.clone(0)


def plain(units: int = 32, **settings: Any) -> Any:
    """A good network for the digits."""
    return network(Dense(units, "relu"), Dense(10, "softmax"), **settings)


def fit(model: Any, x: Any, y: Any, *, epochs: int = 5, **settings: Any) -> Any:
    """Train; a training that fails leaves its history."""
    try:
        model.fit(x, y, epochs=epochs, seed=0, verbose=0, **settings)
    except NonFiniteError:
        pass
    return model


def diagnosed(model: Any, x: Any, y: Any, *, epochs: int = 5, callbacks: Any = (), **settings: Any) -> Any:
    """The diagnosis of a model after its fit."""
    of_fit = {name: value for name, value in settings.items() if name not in ("test_data", "feature_names", "only")}
    fit(model, x, y, epochs=epochs, callbacks=callbacks, **of_fit)
    return diagnose(model, x, y, seed=0, **settings)


def with_noise(x: np.ndarray, size: float) -> np.ndarray:
    """The rows, each a little moved."""
    return (x + np.random.default_rng(0).normal(0, size, x.shape)).astype(np.float32)
