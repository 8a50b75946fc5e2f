"""Initial values of parameters.

For a kernel of shape [window..., n_in, n_out], fan_in = window * n_in and fan_out = window * n_out. Weights must be
random, to break the symmetry between units, and small, to keep activations out of saturation.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.fields import Choice, Configured, Interval, lookup, non_negative, param, positive
from pellucid.shapes import Shape, size


def fans(shape: Shape) -> tuple[int, int]:
    """fan_in and fan_out of a parameter.

    >>> fans((5, 5, 6, 16))
    (150, 400)
    """
    if len(shape) < 2:
        return size(shape), size(shape)
    window = size(shape[:-2])
    return window * shape[-2], window * shape[-1]


class Initializer(Configured):
    """Draws the initial value of one parameter."""

    @abstractmethod
    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        """Float64 values of the given shape."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Initializer:
        return self  # nothing but settings, which layers do not change


class Constant(Initializer):
    """The same value everywhere: a small positive one keeps ReLU units alive at the start."""

    value: float = param(default=0.0, check=Interval(-math.inf, math.inf))

    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        """The constant."""
        return np.full(shape, float(self.value))


class RandomNormal(Initializer):
    """N(mean, std^2)."""

    std: float = param(default=0.05, check=non_negative)
    mean: float = param(default=0.0, check=Interval(-math.inf, math.inf))

    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        """Normal draws."""
        return generator.normal(self.mean, self.std, shape)


class RandomUniform(Initializer):
    """Uniform on [-limit, limit)."""

    limit: float = param(default=0.05, check=non_negative)

    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        """Uniform draws."""
        return generator.uniform(-self.limit, self.limit, shape)


class VarianceScaling(Initializer):
    """Variance ``scale / fan``, drawn normal or uniform; the fan is fan_in, fan_out or their average.

    LeCun: 1 / fan_in. Glorot (Xavier): 2 / (fan_in + fan_out), for tanh and sigmoid (Glorot and Bengio 2010). He:
    2 / fan_in, for ReLU (He et al. 2015).
    """

    scale: float = param(default=1.0, check=positive)
    fan: str = param(default="in", check=Choice("in", "out", "average"))
    distribution: str = param(default="normal", check=Choice("normal", "uniform"))

    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        """Draws of the scaled variance."""
        fan_in, fan_out = fans(shape)
        n = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2}[self.fan]
        std = math.sqrt(self.scale / max(n, 1))
        if self.distribution == "normal":
            return generator.normal(0.0, std, shape)
        limit = math.sqrt(3.0) * std  # a uniform distribution on [-a, a] has the variance a^2 / 3
        return generator.uniform(-limit, limit, shape)


class Orthogonal(Initializer):
    """A matrix with orthonormal rows or columns: it keeps lengths (Saxe et al. 2014)."""

    gain: float = param(default=1.0, check=positive)

    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        """The orthogonal factor of a random matrix."""
        rows, columns = size(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))  # makes the draw uniform over orthogonal matrices
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "zeros": lambda: Constant(0.0),
    "ones": lambda: Constant(1.0),
    "constant": Constant,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "lecun_normal": lambda: VarianceScaling(1.0, "in", "normal"),
    "lecun_uniform": lambda: VarianceScaling(1.0, "in", "uniform"),
    "glorot_normal": lambda: VarianceScaling(1.0, "average", "normal"),
    "glorot_uniform": lambda: VarianceScaling(1.0, "average", "uniform"),
    "he_normal": lambda: VarianceScaling(2.0, "in", "normal"),
    "he_uniform": lambda: VarianceScaling(2.0, "in", "uniform"),
    "orthogonal": Orthogonal,
}


def get(initializer: Any) -> Initializer:
    """The initialiser of a name, or itself.

    >>> get("he_normal")
    VarianceScaling(scale=2.0)
    """
    return lookup("initializer", initializer, Initializer, INITIALIZERS)


def check(initializer: Any) -> str | None:
    """The check of an initialiser setting."""
    get(initializer)
    return None
