"""Filling the cache of kernels: the usual models are trained for some steps on made-up data, so that they are there.

A kernel serves every size, so that a few models leave little to compile for their like: layers of other widths, other
numbers of samples and classes. LLVM lets one thread compile at a time, so more of them would not be faster.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.nn import (
    GRU,
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPool2D,
    Normalization,
    Rescaling,
)
from pellucid.optim import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp
from pellucid.train.sequential import Sequential

ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "softplus", "swish")
OPTIMIZERS: tuple[Callable[[], Optimizer], ...] = (SGD, Momentum, lambda: Momentum(nesterov=True), Adam, AdamW, RMSProp)


@dataclass(frozen=True)
class Usual:
    """A usual model.

    Attributes:
        name: What it is.
        train: Trains it.
    """

    name: str
    train: Callable[[], None]


@dataclass(frozen=True)
class Warmth:
    """What the cache holds.

    Attributes:
        compiled: Kernels that were compiled.
        seconds: How long that took.
        folder: Where they are kept.
        files: How many there are.
        size: Their bytes.
    """

    compiled: int
    seconds: float
    folder: Path
    files: int
    size: int


def _images(*widths: int, normalize: bool = False) -> list[Any]:
    """Convolutions with pooling, then layers as LeNet-5 has them."""
    layers: list[Any] = []
    for width in widths:
        layers += [Conv2D(width, 5 if width < 32 else 3, padding="same", activation="relu"), MaxPool2D(2)]
        layers += [BatchNorm()] if normalize else []
    return [Input((12, 12, 1)), *layers, Flatten(), Dense(24, activation="relu"), *_classes()]


def _classes() -> list[Layer]:
    return [Dense(10, activation="softmax")]


def _classify(layers: Sequence[Any], optimizer: Optimizer, samples: int = 160, batch: int = 64) -> None:
    """Train, evaluate and predict classes, from data of the usual types."""
    model = Sequential(layers)
    model.compile("categorical_crossentropy", optimizer, ["accuracy"], backend="cpu")
    r = np.random.default_rng(0)
    x, y = r.normal(size=(samples, *layers[0].sample_shape)), r.integers(0, 10, samples)
    for dtype in (np.float32, np.float64):
        _use(model, x.astype(dtype), y, batch)


def _regress(loss: str, activation: str) -> None:
    """The same for numbers: standardised features, standardised targets."""
    hidden = [Dense(32, activation=activation), Dropout(0.2), Dense(32, activation=activation), Dropout(0.2)]
    scaling = Normalization()
    model = Sequential([Input((8,)), scaling, *hidden, Dense(1), Rescaling(2.0, 1.0)])
    model.compile(loss, Adam(), ["mae", "r2"], backend="cpu")
    x = np.random.default_rng(0).normal(size=(100, 8))
    scaling.adapt(x)
    for dtype in (np.float32, np.float64):
        _use(model, x.astype(dtype), x[:, 0].astype(dtype), 16)


def _decide() -> None:
    """The same for yes and no."""
    model = Sequential([Input((8,)), Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(), ["accuracy"], backend="cpu")
    x = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
    _use(model, x, (x[:, 0] > 0).astype("int64"), 32)


def _use(model: Sequential, x: np.ndarray, y: np.ndarray, batch: int) -> None:
    model.fit(x, y, batch_size=batch, validation_split=0.1, seed=0, verbose=0)
    model.evaluate(x, y, batch_size=batch)
    for count in (1, len(x)):
        model.predict(x[:count])


def usual() -> Iterator[Usual]:
    """The usual models, in the order in which they are trained."""

    def perceptron(activation: str, optimizer: Callable[[], Optimizer] = Adam, dropout: float = 0.0) -> None:
        hidden = [Dense(width, activation=activation) for width in (40, 24)]
        between = [layer for h in hidden for layer in (h, *([Dropout(dropout)] if dropout else []))]
        _classify([Input((20,)), *between, *_classes()], optimizer())

    for activation in ACTIVATIONS:
        yield Usual(f"classifier, {activation}", lambda a=activation: perceptron(a))
    yield Usual("classifier with dropout", lambda: perceptron("relu", dropout=0.2))
    for make in OPTIMIZERS[:3] + OPTIMIZERS[4:]:
        yield Usual(f"classifier, {make()!r}", lambda m=make: perceptron("relu", m))
    yield Usual("binary classifier", _decide)
    for activation in ("relu", "tanh"):
        yield Usual(f"regression, {activation}", lambda a=activation: _regress("mse", a))
    yield Usual("LeNet-5", lambda: _classify(_images(6, 16), Adam()))
    yield Usual("CNN of 32 and 64 channels", lambda: _classify(_images(32, 64), Adam()))
    yield Usual("CNN with batch normalisation", lambda: _classify(_images(32, normalize=True), Adam()))
    yield Usual("LSTM", lambda: _classify([Input((9, 8)), LSTM(16), *_classes()], Adam()))
    yield Usual("GRU", lambda: _classify([Input((9, 8)), GRU(16), *_classes()], Adam()))
