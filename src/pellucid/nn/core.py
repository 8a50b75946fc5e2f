"""The everyday layers: Dense, Activation, Dropout, Flatten, Reshape, Embedding, scaling, and plain functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import is_integer
from pellucid.errors import ConfigurationError, DataError, DTypeError, ShapeError
from pellucid.fields import Integer, Interval, boolean, param, positive
from pellucid.nn import activations, initializers, regularizers
from pellucid.nn.layer import Layer
from pellucid.ops.reduction import argsort
from pellucid.shapes import Shape, resolve_reshape, show, size


class Dense(Layer):
    """Every output sees every input: y = f(x W + b).

    Back-propagation: delta = dL/dy * f'(z), dL/dW = x^T delta, dL/db = sum of delta over the batch,
    dL/dx = delta W^T.

    Args:
        units: Number of outputs.
        activation: f, by name or as a function.
        use_bias: Whether there is a b.
        kernel_initializer, bias_initializer: Initial W and b.
        kernel_regularizer, bias_regularizer: Cost terms; none by default, so biases are not regularised.

    Shapes: x [..., n_in], W [n_in, units], b [units], y [..., units].

    >>> Dense(3, activation="relu")(np.ones((2, 4), "float32")).shape
    (2, 3)
    """

    units: int = param(check=Integer(1))
    activation: Any = param(default=None, check=activations.check)
    use_bias: bool = param(default=True, check=boolean)
    kernel_initializer: Any = param(default="glorot_uniform", check=initializers.check)
    bias_initializer: Any = param(default="zeros", check=initializers.check)
    kernel_regularizer: Any = param(default=None, check=regularizers.check)
    bias_regularizer: Any = param(default=None, check=regularizers.check)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create kernel and bias."""
        if len(shape) < 2:
            raise ShapeError(
                f"Dense takes inputs [batch, ..., features], not {show(shape)}",
                hint="a single sample still needs a batch axis: x[None]",
            )
        self.kernel = self.add_parameter(
            "kernel",
            (shape[-1], self.units),
            self.kernel_initializer,
            regularizer=regularizers.get(self.kernel_regularizer),
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", (self.units,), self.bias_initializer, regularizer=regularizers.get(self.bias_regularizer)
            )

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """f(x W + b)."""
        z = ops.matmul(x, self.kernel)
        if self.use_bias:
            z = z + self.bias
        return activations.apply(self.activation, z)


class Activation(Layer):
    """An activation function as a layer of its own.

    Args:
        activation: A name, or a function of one tensor.
    """

    activation: Any = param(check=activations.check)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """f(x)."""
        return activations.get(self.activation)(x)


class LeakyReLU(Layer):
    """x where x > 0, else ``negative_slope`` x."""

    negative_slope: float = param(default=0.01, check=Interval(0, math.inf))

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """x where x > 0, else a small multiple of it."""
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Layer):
    """x where x > 0, else ``alpha`` (e^x - 1)."""

    alpha: float = param(default=1.0, check=positive)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """x where x > 0, else alpha (e^x - 1)."""
        return ops.elu(x, self.alpha)


class Softmax(Layer):
    """Softmax along an axis."""

    axis: int = param(default=-1)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """e^x / sum e^x."""
        return ops.softmax(x, self.axis)


def _sizes(shape: Any) -> str | None:
    """A list of whole numbers."""
    if isinstance(shape, (list, tuple)) and all(isinstance(n, Integral) for n in shape):
        return None
    return "a list of whole numbers"


class Flatten(Layer):
    """Each sample as one row: [batch, a, b, ...] becomes [batch, a b ...]."""

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """The sample's elements in one row."""
        return ops.reshape(x, (x.spec.shape[0], size(x.spec.shape[1:])))


class Reshape(Layer):
    """Each sample in another shape.

    Args:
        shape: The sample's new shape, without the batch axis; one size may be -1.
    """

    shape: Sequence[int] = param(check=_sizes)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """The sample's elements in the new shape."""
        try:
            sample = resolve_reshape(x.spec.shape[1:], self.shape)
        except ShapeError as error:
            raise error.with_context(f'layer "{self.label}": {error.message}', ()) from None
        return ops.reshape(x, (x.spec.shape[0], *sample))


class Dropout(Layer):
    """In training, each unit is dropped with probability ``rate`` and the others are scaled by 1 / (1 - rate).

    The scaling keeps the expected activation, so nothing changes at inference ("inverted" dropout). Usual rates are
    0.25 for inputs and 0.5 for hidden layers (Srivastava et al. 2014).

    Args:
        rate: The share to drop.
        exact: Drop exactly round(rate * n) of the n units of each sample, instead of each independently.
    """

    rate: float = param(default=0.5, check=Interval(0, 1, closed="left"), data=True)
    exact: bool = param(default=False, check=boolean)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """x times the mask, scaled."""
        if not self.training or self.rate == 0:
            return x
        keep = self._exact_mask(x) if self.exact else self._mask(x)
        return ops.where(keep, x * ops.number_like(1.0 / (1.0 - self.number("rate")), x), 0.0)

    def data_names(self) -> tuple[str, ...]:
        """The rate; not where it is a number of units, which the compiled step is made for."""
        return () if self.exact else super().data_names()

    def _mask(self, x: Any) -> Any:
        draws = ops.random_uniform(self.random_key(), x.spec.shape)
        return draws >= ops.number_like(self.number("rate"), draws)

    def _exact_mask(self, x: Any) -> Any:
        shape = x.spec.shape
        units = size(shape[1:])
        draws = ops.random_uniform(self.random_key(), (shape[0], units))
        # The rank of each draw among the sample's: the round(rate * n) smallest are dropped.
        rank = argsort(argsort(draws))
        return ops.reshape(rank >= round(self.rate * units), shape)


class GaussianNoise(Layer):
    """In training, N(0, std^2) is added to the input."""

    std: float = param(default=0.1, check=positive)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """x plus noise."""
        if not self.training:
            return x
        return x + self.std * ops.random_normal(self.random_key(), x.spec.shape, x.spec.dtype)


class Embedding(Layer):
    """A learned vector for each of n integers: y = W[x].

    Args:
        input_dim: Number of integers, 0 .. input_dim - 1.
        output_dim: Length of a vector.
        embeddings_initializer: Initial W.
        embeddings_regularizer: Cost term on W.

    Shapes: x integers [batch, ...], y [batch, ..., output_dim].
    """

    input_dtype = "int32"

    input_dim: int = param(check=Integer(1))
    output_dim: int = param(check=Integer(1))
    embeddings_initializer: Any = param(default="random_uniform", check=initializers.check)
    embeddings_regularizer: Any = param(default=None, check=regularizers.check)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create the table of vectors."""
        self.embeddings = self.add_parameter(
            "embeddings",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=regularizers.get(self.embeddings_regularizer),
        )

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """The vectors of the integers."""
        if not is_integer(x.spec.dtype):
            raise DTypeError(
                f'layer "{self.label}": Embedding takes integers, not {x.spec.dtype.name}.',
                hint="declare the input with Input(shape, dtype='int32')",
            )
        return ops.gather(self.embeddings, x)

    def check_input(self, x: np.ndarray) -> None:
        """Refuse integers outside the table before the first step."""
        if x.size and (x.min() < 0 or x.max() >= self.input_dim):
            bad = x.min() if x.min() < 0 else x.max()
            raise DataError(
                f'layer "{self.label}": the integer {bad} lies outside 0..{self.input_dim - 1}.',
                hint="input_dim must be at least the largest integer plus 1",
            )


class Lambda(Layer):
    """A function of tensors as a layer.

    Args:
        function: Takes the inputs, returns the output; uses operators and pellucid.ops.

    >>> Lambda(lambda x: x * x)(np.array([[3.0]], "float32"))
    Tensor([[9.]])
    """

    function: Callable[..., Any] = param()

    def setup(self) -> None:
        """Check that it can be called."""
        if not callable(self.function):
            raise ConfigurationError(f"Lambda takes a function, not {self.function!r}.")

    def call(self, *inputs: Any) -> Any:
        """The function's result."""
        return self.function(*inputs)


class Rescaling(Layer):
    """x * scale + offset, for instance 1/255 for pixels."""

    scale: float = param(check=Interval(-math.inf, math.inf))
    offset: float = param(default=0.0, check=Interval(-math.inf, math.inf))

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """x * scale + offset."""
        return x * self.scale + self.offset
