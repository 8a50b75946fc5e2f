"""Pooling layers, channels last: the largest or the mean element of each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.fields import param
from pellucid.nn.layer import Layer, need_rank
from pellucid.shapes import resolve_padding, show, spatial_tuple


class _Pooling(Layer):
    """What the windowed pooling layers share."""

    pool_size: int | Sequence[int] = param(default=2)
    strides: int | Sequence[int] | None = param(default=None)
    padding: Any = param(default="valid")

    #: Number of spatial axes, and the pooling operation.
    rank: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def setup(self) -> None:
        """Check the window."""
        window = spatial_tuple(self.pool_size, self.rank, f"{type(self).__name__}: pool_size")
        if self.strides is not None:
            spatial_tuple(self.strides, self.rank, f"{type(self).__name__}: strides")
        resolve_padding(self.padding, window, window, window, (1,) * self.rank)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """The pooled windows."""
        axes = "batch, length, channel" if self.rank == 1 else "batch, height, width, channel"
        need_rank(self, x.spec.shape, self.rank + 2, axes)
        return self.pool(x, self.pool_size, self.strides, self.padding)


class MaxPool1D(_Pooling):
    """The largest element of each window of [batch, length, channel]; strides are the window's size by default."""

    rank = 1
    pool = staticmethod(ops.max_pool)


class MaxPool2D(_Pooling):
    """The largest element of each window of [batch, height, width, channel]; strides are the window's by default."""

    rank = 2
    pool = staticmethod(ops.max_pool)


class AvgPool1D(_Pooling):
    """The mean of each window of [batch, length, channel]; padding is not counted."""

    rank = 1
    pool = staticmethod(ops.avg_pool)


class AvgPool2D(_Pooling):
    """The mean of each window of [batch, height, width, channel]; padding is not counted."""

    rank = 2
    pool = staticmethod(ops.avg_pool)


def _spatial_axes(layer: Layer, x: Any) -> tuple[int, ...]:
    if x.spec.ndim < 3:
        raise ShapeError(
            f'layer "{layer.label}": {type(layer).__name__} takes [batch, spatial axes..., channel], '
            f"but was given {show(x.spec.shape)}"
        )
    return tuple(range(1, x.spec.ndim - 1))


class GlobalAveragePool(Layer):
    """The mean over all positions: [batch, spatial..., channel] becomes [batch, channel]."""

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """The mean over the spatial axes."""
        return ops.mean(x, _spatial_axes(self, x))


class GlobalMaxPool(Layer):
    """The largest element over all positions: [batch, spatial..., channel] becomes [batch, channel]."""

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """The maximum over the spatial axes."""
        return ops.max(x, _spatial_axes(self, x))
