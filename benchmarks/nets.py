"""The networks of the benchmarks, as plain data that every candidate builds in its own framework."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Dense:
    """A fully connected layer; the activation is relu, sigmoid or, at the end, softmax."""

    units: int
    activation: str = "relu"


@dataclass(frozen=True)
class Conv:
    """A square convolution of stride 1 with relu; padding is "same" or "valid"."""

    filters: int
    window: int
    padding: str = "same"

    @property
    def border(self) -> int:
        """Zeros on each side of each axis."""
        return self.window // 2 if self.padding == "same" else 0


@dataclass(frozen=True)
class Pool:
    """The maximum of each 2 x 2 block."""


@dataclass(frozen=True)
class Flatten:
    """[batch, height, width, channels] to [batch, features]."""


@dataclass(frozen=True)
class Lstm:
    """A long short-term memory over [batch, time, features]; its output is the last state."""

    units: int


Layer = Dense | Conv | Pool | Flatten | Lstm


@dataclass(frozen=True)
class Stage:
    """A layer with the shapes of one sample before and after it."""

    layer: Layer
    inputs: Shape
    outputs: Shape


@dataclass(frozen=True)
class Net:
    """Layers in a row, on samples of a shape (channels last)."""

    inputs: Shape
    layers: tuple[Layer, ...]

    def stages(self) -> Iterator[Stage]:
        """The layers with their shapes."""
        shape = self.inputs
        for layer in self.layers:
            after = _after(layer, shape)
            yield Stage(layer, shape, after)
            shape = after

    @property
    def classes(self) -> int:
        """Units of the softmax."""
        *_, last = self.stages()
        return last.outputs[0]

    @property
    def is_dense(self) -> bool:
        """Whether there are only dense layers."""
        return all(isinstance(layer, Dense) for layer in self.layers)

    @property
    def has_images(self) -> bool:
        """Whether there are convolutions."""
        return any(isinstance(layer, Conv) for layer in self.layers)

    @property
    def hidden(self) -> tuple[Dense, ...]:
        """The dense layers before the last one."""
        return tuple(layer for layer in self.layers[:-1] if isinstance(layer, Dense))


def _after(layer: Layer, shape: Shape) -> Shape:
    match layer:
        case Dense(units) | Lstm(units):
            return (units,)
        case Conv(filters, window):
            height, width = (n + 2 * layer.border - window + 1 for n in shape[:2])
            return (height, width, filters)
        case Pool():
            return (shape[0] // 2, shape[1] // 2, shape[2])
        case Flatten():
            return (prod(shape),)


def mlp(*sizes: int, activation: str = "relu") -> Net:
    """A multilayer perceptron of these sizes, the input's first."""
    hidden = [Dense(units, activation) for units in sizes[1:-1]]
    return Net((sizes[0],), (*hidden, Dense(sizes[-1], "softmax")))


def lenet() -> Net:
    """LeNet-5 on 28 x 28 pixels, with relu and maximum pooling."""
    features = (Conv(6, 5), Pool(), Conv(16, 5, "valid"), Pool(), Flatten())
    return Net((28, 28, 1), (*features, Dense(120), Dense(84), Dense(10, "softmax")))


def colour() -> Net:
    """Four 3 x 3 convolutions on 32 x 32 colour pixels."""
    features = (Conv(32, 3), Conv(32, 3), Pool(), Conv(64, 3), Conv(64, 3), Pool(), Flatten())
    return Net((32, 32, 3), (*features, Dense(256), Dense(10, "softmax")))


def lstm() -> Net:
    """An LSTM of 128 units that reads the 28 rows of a 28 x 28 picture."""
    return Net((28, 28), (Lstm(128), Dense(10, "softmax")))
