"""Layers that merge several inputs into one."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, ClassVar

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.fields import param
from pellucid.nn.layer import Layer, at_least
from pellucid.nn.symbol import MERGES
from pellucid.shapes import show


class _Merge(Layer):
    """Combines inputs of one shape, two by two."""

    combine: ClassVar[Callable[[Any, Any], Any]]

    def __call__(self, *inputs: Any) -> Any:
        """The merged output of several inputs, given one by one or as one list."""
        if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
            inputs = tuple(inputs[0])
        return super().__call__(*inputs)

    def call(self, *inputs: Any) -> Any:
        """All inputs combined."""
        at_least(self, 2, inputs)
        for x in inputs[1:]:
            if x.spec.shape != inputs[0].spec.shape:
                raise ShapeError(
                    f'layer "{self.label}": inputs have different shapes: '
                    f"{show(inputs[0].spec.shape)} != {show(x.spec.shape)}"
                )
        return reduce(type(self).combine, inputs)


class Add(_Merge):
    """The sum of its inputs."""

    combine = staticmethod(ops.add)


class Subtract(_Merge):
    """The first input minus the others."""

    combine = staticmethod(ops.sub)


class Multiply(_Merge):
    """The product of its inputs, element by element."""

    combine = staticmethod(ops.mul)


class Maximum(_Merge):
    """The largest of its inputs, element by element."""

    combine = staticmethod(ops.maximum)


class Average(_Merge):
    """The mean of its inputs."""

    combine = staticmethod(ops.add)

    def call(self, *inputs: Any) -> Any:
        """The sum divided by the number of inputs."""
        return super().call(*inputs) / len(inputs)


class Concatenate(_Merge):
    """Its inputs joined along an axis, the last by default."""

    combine = staticmethod(ops.add)
    axis: int = param(default=-1)

    def call(self, *inputs: Any) -> Any:
        """The inputs side by side."""
        at_least(self, 2, inputs)
        return ops.concatenate(inputs, self.axis)


MERGES.update({"+": Add, "-": Subtract, "*": Multiply})
