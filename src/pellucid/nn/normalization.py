"""Normalisation: over the batch, over the features of a sample, and of the data themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.errors import DataError, ShapeError
from pellucid.fields import Interval, boolean, param, positive
from pellucid.nn import initializers
from pellucid.nn.layer import Layer
from pellucid.shapes import Shape, normalize_axes, show


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per channel (Ioffe and Szegedy 2015).

    In training, mean and variance are those of the batch, and their moving averages are kept for inference:
    moving = momentum moving + (1 - momentum) batch. The variance is the mean squared deviation (divided by n).

    Args:
        momentum: Weight of the past in the moving averages.
        epsilon: Keeps the division finite.
        center, scale: Whether there is a beta, a gamma.
    """

    momentum: float = param(default=0.99, check=Interval(0, 1))
    epsilon: float = param(default=1e-3, check=positive)
    center: bool = param(default=True, check=boolean)
    scale: bool = param(default=True, check=boolean)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create gamma, beta and the moving statistics."""
        if len(shape) < 2:
            raise ShapeError(f"BatchNorm takes inputs [batch, ..., channel], not {show(shape)}")
        channels = (shape[-1],)
        if self.scale:
            self.gamma = self.add_parameter("gamma", channels, "ones")
        if self.center:
            self.beta = self.add_parameter("beta", channels, "zeros")
        self.moving_mean = self.add_parameter("moving_mean", channels, "zeros", trainable=False)
        self.moving_variance = self.add_parameter("moving_variance", channels, "ones", trainable=False)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """Normalise by the batch in training, by the moving statistics otherwise."""
        if self.training and not self.frozen:
            mean, variance = self._batch_statistics(x)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        y = (x - mean) / ops.sqrt(variance + self.epsilon)
        if self.scale:
            y = y * self.gamma
        return y + self.beta if self.center else y

    def _batch_statistics(self, x: Any) -> tuple[Any, Any]:
        axes = tuple(range(x.spec.ndim - 1))
        mean = ops.mean(x, axes)
        variance = ops.mean(ops.square(x - mean), axes)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + ops.stop_gradient(batch) * (1 - self.momentum))
        return mean, variance


class LayerNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the last axis of each sample (Ba et al. 2016).

    Args:
        epsilon: Keeps the division finite.
        center, scale: Whether there is a beta, a gamma.
    """

    epsilon: float = param(default=1e-3, check=positive)
    center: bool = param(default=True, check=boolean)
    scale: bool = param(default=True, check=boolean)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create gamma and beta."""
        if self.scale:
            self.gamma = self.add_parameter("gamma", (shape[-1],), "ones")
        if self.center:
            self.beta = self.add_parameter("beta", (shape[-1],), "zeros")

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """Normalise over the last axis."""
        y = ops.normalize(x, -1, self.epsilon)
        if self.scale:
            y = y * self.gamma
        return y + self.beta if self.center else y


class Normalization(Layer):
    """Standardisation inside the model: (x - mean) / deviation, with statistics taken from data by ``adapt``.

    Being part of the model, the same numbers are applied at prediction and saved with the weights. A feature that
    never changes is only centred.

    Args:
        axis: The axes that keep statistics of their own: the last by default (each feature or channel); () for one
            mean and deviation of everything.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[2.0, 30.0]], "float32"))
    Tensor([[0., 1.]])
    """

    axis: int | Sequence[int] = param(default=-1)

    def _kept(self, rank: int) -> tuple[int, ...]:
        return normalize_axes(self.axis if isinstance(self.axis, int) else tuple(self.axis), rank)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create mean and deviation, neutral until ``adapt``; where they are there already, they keep their numbers."""
        before = [p.numpy() for p in (self.mean, self.deviation)] if hasattr(self, "mean") else []
        kept = self._kept(len(shape))
        sizes = tuple(n if i in kept else 1 for i, n in enumerate(shape))[1:]
        # Made anew in any case: a layer that is drawn anew takes as many seeds as when it was built.
        self.mean = self.add_parameter("mean", sizes, initializers.Constant(0.0), trainable=False)
        self.deviation = self.add_parameter("deviation", sizes, initializers.Constant(1.0), trainable=False)
        for parameter, numbers in zip((self.mean, self.deviation), before, strict=False):
            parameter.assign(numbers)

    def adapt(self, x: Any) -> None:
        """Take mean and deviation from training data.

        Raises:
            DataError: The data hold NaN or infinity, no numbers, or no sample.
        """
        data = np.asarray(x)
        if data.dtype.kind not in "fiub":
            raise DataError(f'layer "{self.label}": adapt needs numbers, not {data.dtype}.')
        if data.ndim < 2 or len(data) == 0:
            raise DataError(f'layer "{self.label}": adapt needs samples [batch, ...], not shape {show(data.shape)}.')
        axes = tuple(i for i in range(data.ndim) if i not in self._kept(data.ndim))
        with np.errstate(all="ignore"):  # infinity is reported below
            mean = data.mean(axis=axes, keepdims=True, dtype=np.float64)
            deviation = data.std(axis=axes, keepdims=True, dtype=np.float64)
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
            raise DataError(f'layer "{self.label}": adapt met NaN or infinity in the data.')
        self.ensure_built(data.shape)
        self.mean.assign(mean[0].astype(self.mean.dtype))
        # Below rounding noise of the mean, a deviation is that of a constant feature.
        constant = deviation <= 1e-7 * np.maximum(np.abs(mean), 1e-30)
        self.deviation.assign(np.where(constant, 1.0, deviation)[0].astype(self.deviation.dtype))

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """(x - mean) / deviation."""
        return (x - self.mean) / self.deviation
