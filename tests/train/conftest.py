"""A small task and a small model for the tests of training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.nn import Dense, Dropout


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of 16 points in four dimensions, float32 [48, 4] and labels [48]."""
    y = np.arange(48) % 3
    x = np.random.default_rng(0).normal(size=(48, 4)) + 2 * np.eye(3, 4)[y]
    return x.astype(np.float32), y


@pytest.fixture
def classifier() -> Callable[..., Sequential]:
    """Makes a compiled classifier of four numbers into three classes; equal arguments, equal parameters."""

    def make(
        *, seed: int = 0, dropout: float = 0.0, optimizer: Any = "adam", metrics: Any = ("accuracy",), dtype: Any = None
    ) -> Sequential:
        set_seed(seed)
        hidden = [Dense(5, activation="tanh"), *([Dropout(dropout)] if dropout else [])]
        model = Sequential([Input((4,)), *hidden, Dense(3, activation="softmax")], dtype=dtype)
        model.compile("categorical_crossentropy", optimizer, metrics)
        return model

    return make


@pytest.fixture
def line() -> Callable[..., Sequential]:
    """Makes a compiled model y = x w + b with the given w and b = 0, trained by plain gradient descent."""

    def make(w: float = 1.0, *, loss: Any = "mse", optimizer: Any = "sgd", metrics: Any = ()) -> Sequential:
        model = Sequential([Input((1,)), Dense(1, name="line")])
        model.set_weights({"line.kernel": np.array([[w]], np.float32), "line.bias": np.zeros(1, np.float32)})
        model.compile(loss, optimizer, metrics)
        return model

    return make
