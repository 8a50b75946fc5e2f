"""Filling the cache of kernels: the usual models are trained for some steps on made-up data, so that they are there.

A kernel serves every size, so that a few models leave little to compile for their like: other widths, other numbers of
samples, features and classes. One after the other: LLVM's binding lets only one thread compile at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import config
from pellucid.errors import ConfigurationError
from pellucid.nn import (
    GRU,
    LSTM,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPool2D,
    Normalization,
    Rescaling,
)
from pellucid.optim import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp
from pellucid.train.sequential import Sequential

_ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "softplus", "swish")
#: Beside Adam, which all other models are trained with.
_OPTIMIZERS = (SGD, Momentum, partial(Momentum, nesterov=True), AdamW, RMSProp)
_CLASSES = 10


@dataclass(frozen=True)
class Usual:
    """A usual model: what it is called, and a function that trains it."""

    name: str
    train: Callable[[], None]


@dataclass(frozen=True)
class Warmth:
    """What was done, and what the cache holds now.

    Attributes:
        compiled: Kernels that were compiled, as they were not there.
        seconds: How long that took.
        folder: Where kernels are kept.
        kept: How many there are.
        size: Their bytes.
    """

    compiled: int
    seconds: float
    folder: Path
    kept: int
    size: int


def usual() -> Iterator[Usual]:
    """The usual models, in the order in which they are trained."""
    for activation in _ACTIVATIONS:
        yield Usual(f"classifier, {activation}", partial(_perceptron, activation, Adam))
    for optimizer in _OPTIMIZERS:
        yield Usual(f"classifier, {optimizer()!r}", partial(_perceptron, "relu", optimizer))
    yield Usual("classifier with dropout, classes as vectors", partial(_perceptron, "relu", Adam, 0.2, True))
    yield Usual("classifier with wide layers", _wide)
    for optimizer in (Adam, SGD):
        yield Usual(f"classifier with large batches, {optimizer()!r}", partial(_large, optimizer))
    yield Usual("yes or no", _decision)
    for activation in ("relu", "tanh"):
        yield Usual(f"regression, {activation}", partial(_regression, activation))
    yield Usual("LeNet-5", partial(_images, 6, 16, large=True))
    yield Usual("LeNet-5, tanh and mean pooling", partial(_images, 6, 16, activation="tanh", pooling=AvgPool2D))
    yield Usual("convolutions of 32 and 64 channels", partial(_images, 32, 64, taps=3))
    yield Usual("convolutions with batch normalisation", partial(_images, 32, 32, taps=3, between=BatchNorm))
    yield Usual("LSTM", partial(_classify, (9, 8), [LSTM(16)]))
    yield Usual("GRU", partial(_classify, (9, 8), [GRU(16)]))


def warm_up(tell: Callable[[str, int, float], None]) -> Warmth:
    """Compile what the usual models need and is not there.

    Args:
        tell: Is told after each model: its name, the kernels that were compiled for it, and how long that took.

    Raises:
        ConfigurationError: There is no compiler for this machine, or compiled kernels cannot be kept.
    """
    try:
        from pellucid.backends.cpu import target  # the compiler takes 0.1 s to import: only when used
    except ImportError as error:
        raise ConfigurationError(f"The cpu backend does not work on this machine ({error}): nothing to do.") from None
    effort, cache = target.EFFORT, target.CACHE
    before, announced = (effort.kernels, effort.seconds), effort.announced
    effort.announced = True  # whoever is told needs no line beside
    try:
        for model in usual():
            kernels, seconds = effort.kernels, effort.seconds
            model.train()
            if cache.failed:
                raise ConfigurationError(
                    f"Compiled kernels cannot be kept in {cache.folder}.",
                    hint=f"set {config.CACHE.variable} to a folder of your own",
                )
            tell(model.name, effort.kernels - kernels, effort.seconds - seconds)
    finally:
        effort.announced = announced
    sizes = cache.sizes()
    return Warmth(effort.kernels - before[0], effort.seconds - before[1], cache.folder, len(sizes), sum(sizes))


# The models.


def _perceptron(activation: str, optimizer: Callable[[], Optimizer], dropout: float = 0, one_hot: bool = False) -> None:
    hidden: list[Any] = []
    for width in (40, 24):
        hidden += [Dense(width, activation=activation), *([Dropout(dropout)] if dropout else [])]
    _classify((20,), hidden, optimizer, one_hot)


def _wide() -> None:
    """Layers whose products have kernels of their own: many columns, few of them in the last register."""
    _classify((784,), [Dense(width, activation="relu") for width in (244, 196)])


def _large(optimizer: Callable[[], Optimizer]) -> None:
    """Layers and batches whose products a matrix unit makes, if there is one."""
    _classify((784,), [Dense(width, activation="relu") for width in (400, 120, 84)], optimizer, batch=128)


def _images(
    *channels: int,
    taps: int = 5,
    activation: str = "relu",
    pooling: Callable[[int], Any] = MaxPool2D,
    between: Callable[[], Any] | None = None,
    large: bool = False,
) -> None:
    """Convolutions with pooling, then dense layers; large images and batches have products for a matrix unit."""
    side, dense, batch = (28, (120, 84), 128) if large else (12, (192,), 64)
    hidden: list[Any] = []
    for count in channels:
        hidden += [Conv2D(count, taps, padding="same", activation=activation)]
        hidden += [between()] if between else []
        hidden += [pooling(2)]
    hidden += [Flatten(), *(Dense(width, activation=activation) for width in dense)]
    _classify((side, side, 1), hidden, batch=batch)


def _classify(
    shape: tuple[int, ...],
    hidden: Sequence[Any],
    optimizer: Callable[[], Optimizer] = Adam,
    one_hot: bool = False,
    batch: int = 64,
) -> None:
    """Classes, as numbers or as vectors, from features of the usual types."""
    model = Sequential([Input(shape), *hidden, Dense(_CLASSES, activation="softmax")])
    model.compile("categorical_crossentropy", optimizer(), ["accuracy"], backend="cpu")
    r = np.random.default_rng(0)
    x, y = r.normal(size=(160, *shape)), r.integers(0, _CLASSES, 160)
    for dtype in (np.float32, np.float64):
        _use(model, x.astype(dtype), np.eye(_CLASSES, dtype=dtype)[y] if one_hot else y, batch)


def _regression(activation: str) -> None:
    """A number from standardised features, in its own unit."""
    hidden = [Dense(32, activation=activation), Dropout(0.2), Dense(32, activation=activation), Dropout(0.2)]
    scaling = Normalization()
    x = np.random.default_rng(0).normal(size=(100, 8))
    scaled = Sequential([Input((8,)), scaling, *hidden, Dense(1), Rescaling(2.0, 1.0)])
    scaling.adapt(x)
    scaled.compile("mse", Adam(), ["mae", "r2"], backend="cpu")
    plain = Sequential([Input((8,)), Dense(32, activation=activation), Dense(1)])
    plain.compile("mse", Adam(), backend="cpu")
    for dtype in (np.float32, np.float64):
        for model in (scaled, plain):
            _use(model, x.astype(dtype), x[:, :1].astype(dtype), 16)


def _decision() -> None:
    """One of two classes, by the sigmoid function."""
    model = Sequential([Input((8,)), Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(), ["accuracy"], backend="cpu")
    x = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
    _use(model, x, (x[:, 0] > 0).astype("int64"), 32)


def _use(model: Sequential, x: np.ndarray, y: np.ndarray, batch: int) -> None:
    """Train, evaluate and predict, with a last batch that is not full."""
    model.fit(x, y, batch_size=batch, validation_split=0.1, seed=0, verbose=0)
    model.evaluate(x, y, batch_size=batch)
    for count in (1, len(x)):
        model.predict(x[:count])
