"""Convolution layers, channels last: local connectivity with shared weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.fields import Integer, boolean, param
from pellucid.nn import activations, initializers, regularizers
from pellucid.nn.layer import Layer, need_rank
from pellucid.shapes import Shape, resolve_padding, spatial_tuple


class _Convolution(Layer):
    """What 1-D and 2-D convolutions share."""

    filters: int = param(check=Integer(1))
    kernel_size: int | Sequence[int] = param()
    strides: int | Sequence[int] = param(default=1)
    padding: Any = param(default="valid")
    dilation_rate: int | Sequence[int] = param(default=1)
    groups: int = param(default=1, check=Integer(1))
    activation: Any = param(default=None, check=activations.check)
    use_bias: bool = param(default=True, check=boolean)
    kernel_initializer: Any = param(default="glorot_uniform", check=initializers.check)
    bias_initializer: Any = param(default="zeros", check=initializers.check)
    kernel_regularizer: Any = param(default=None, check=regularizers.check)
    bias_regularizer: Any = param(default=None, check=regularizers.check)

    #: Number of spatial axes, and the names of all axes of the input.
    rank: ClassVar[int]
    axes: ClassVar[str]

    def setup(self) -> None:
        """Check the window."""
        window = spatial_tuple(self.kernel_size, self.rank, f"{type(self).__name__}: kernel_size")
        steps = spatial_tuple(self.strides, self.rank, f"{type(self).__name__}: strides")
        gaps = spatial_tuple(self.dilation_rate, self.rank, f"{type(self).__name__}: dilation_rate")
        resolve_padding(self.padding, window, window, steps, gaps)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create kernel and bias."""
        need_rank(self, shape, self.rank + 2, self.axes)
        channels = shape[-1]
        if channels % self.groups or self.filters % self.groups:
            raise ShapeError(
                f"{channels} channels and {self.filters} filters do not both divide into {self.groups} groups"
            )
        window = spatial_tuple(self.kernel_size, self.rank, "kernel_size")
        self.kernel = self.add_parameter(
            "kernel",
            (*window, channels // self.groups, self.filters),
            self.kernel_initializer,
            regularizer=regularizers.get(self.kernel_regularizer),
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", (self.filters,), self.bias_initializer, regularizer=regularizers.get(self.bias_regularizer)
            )

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """f(conv(x, kernel) + bias)."""
        need_rank(self, x.spec.shape, self.rank + 2, self.axes)
        z = ops.conv(x, self.kernel, self.strides, self.padding, self.dilation_rate, self.groups)
        if self.use_bias:
            z = z + self.bias
        return activations.apply(self.activation, z)


class Conv1D(_Convolution):
    """A convolution along one axis (time): f(conv(x, W) + b).

    Args:
        filters: Number of output channels.
        kernel_size: Length of the window.
        strides: Shift of the window per output position.
        padding: ``"valid"``, ``"same"``, a number, or a (before, after) pair.
        dilation_rate: Distance between the taps.
        groups: Channels split into groups that do not see each other.
        activation, use_bias, ..._initializer, ..._regularizer: As for Dense.

    Shapes: x [batch, length, channels], W [kernel_size, channels / groups, filters], y [batch, length out, filters].
    """

    rank = 1
    axes = "batch, length, channel"


class Conv2D(_Convolution):
    """A convolution over images: f(conv(x, W) + b).

    The output has ceil((size - kernel_size + 1) / stride) positions on each axis when unpadded; the layer has
    (kernel height * kernel width * channels + 1) * filters parameters, whatever the image's size.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, one number or (height, width).
        strides: Shift of the window per output position.
        padding: ``"valid"``, ``"same"``, a number, or a number or (before, after) pair per axis.
        dilation_rate: Distance between the taps.
        groups: Channels split into groups that do not see each other.
        activation, use_bias, ..._initializer, ..._regularizer: As for Dense.

    Shapes: x [batch, height, width, channels], W [kernel height, kernel width, channels / groups, filters].
    """

    rank = 2
    axes = "batch, height, width, channel"
