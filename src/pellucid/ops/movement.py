"""Primitives that move elements without computing: reshape, transpose, flip, broadcast - and its transpose, sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.errors import ShapeError
from pellucid.op import Op, Spec, Value, apply
from pellucid.ops.promotion import as_value, cast, dtype_of, operand
from pellucid.shapes import Shape, broadcast, normalize_axes, normalize_axis, reduced, resolve_reshape, show, size

RESHAPE = Op(
    "reshape",
    infer=lambda x, *, shape: Spec(resolve_reshape(x.shape, shape), x.dtype),
    forward=lambda x, *, shape: x.reshape(shape),
    vjp=(lambda ct, out, x, *, shape: reshape(ct, x.spec.shape),),
)


def _transpose_spec(x: Spec, *, axes: tuple[int, ...]) -> Spec:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"axes {axes} are not an ordering of the {x.ndim} axes of {show(x.shape)}")
    return Spec(tuple(x.shape[axis] for axis in axes), x.dtype)


TRANSPOSE = Op(
    "transpose",
    _transpose_spec,
    forward=lambda x, *, axes: np.transpose(x, axes),
    vjp=(lambda ct, out, x, *, axes: transpose(ct, tuple(int(i) for i in np.argsort(axes))),),
)

FLIP = Op(
    "flip",
    infer=lambda x, *, axes: Spec(x.shape, x.dtype),
    forward=lambda x, *, axes: np.flip(x, axes),
    vjp=(lambda ct, out, x, *, axes: flip(ct, axes),),
)


def _broadcast_spec(x: Spec, *, shape: Shape) -> Spec:
    if broadcast(x.shape, shape) != shape:
        raise ShapeError(f"shape {show(x.shape)} does not stretch to {show(shape)}")
    return Spec(shape, x.dtype)


BROADCAST_TO = Op(
    "broadcast_to",
    _broadcast_spec,
    forward=lambda x, *, shape: np.broadcast_to(x, shape),
    vjp=(lambda ct, out, x, *, shape: sum_to(ct, x.spec.shape),),
)

SUM = Op(
    "sum",
    infer=lambda x, *, axes, keepdims: Spec(reduced(x.shape, axes, keepdims), x.dtype),
    forward=lambda x, *, axes, keepdims: np.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype),
    vjp=(lambda ct, out, x, *, axes, keepdims: unreduce(ct, x.spec.shape, axes, keepdims),),
    formula="sum({0}, axes={axes})",
)


def shape_of(x: Any) -> Shape:
    """The shape of a value or array."""
    return x.spec.shape if isinstance(x, Value) else x.shape


def reshape(x: Any, shape: Sequence[int]) -> Any:
    """The same elements in another shape; one size may be -1."""
    x = operand(x)
    old = shape_of(x)
    new = tuple(int(n) for n in shape)
    if -1 in new or size(new) != size(old):
        # An impossible shape goes on as it is: the shape rule words the error.
        new = _filled(old, new)
    return as_value(x) if new == old else apply(RESHAPE, x, shape=new)


def _filled(old: Shape, new: Shape) -> Shape:
    try:
        return resolve_reshape(old, new)
    except ShapeError:
        return new


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes in another order, reversed by default.

    >>> from pellucid import Tensor
    >>> transpose(Tensor([[1, 2, 3]])).shape
    (3, 1)
    """
    x = operand(x)
    rank = len(shape_of(x))
    order = tuple(reversed(range(rank))) if axes is None else tuple(axes)
    if all(-rank <= axis < rank for axis in order):
        order = tuple(int(axis) % rank for axis in order)
    return as_value(x) if order == tuple(range(rank)) else apply(TRANSPOSE, x, axes=order)


def swap_last(x: Any) -> Any:
    """The last two axes exchanged: the transpose of each matrix in a batch."""
    rank = len(shape_of(x))
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """The order of elements reversed along the axes."""
    x = operand(x)
    return apply(FLIP, x, axes=normalize_axes(axis, len(shape_of(x))))


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """x repeated to a larger shape; the gradient sums over the copies."""
    x = operand(x)
    target = tuple(int(n) for n in shape)
    return as_value(x) if shape_of(x) == target else apply(BROADCAST_TO, x, shape=target)


def expand_dims(x: Any, axis: int) -> Any:
    """A new axis of size 1 at ``axis`` of the result."""
    x = operand(x)
    shape = list(shape_of(x))
    shape.insert(normalize_axis(axis, len(shape) + 1), 1)
    return reshape(x, shape)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Without the given axes of size 1; by default without any such axis."""
    x = operand(x)
    shape = shape_of(x)
    chosen = [i for i, n in enumerate(shape) if n == 1] if axis is None else normalize_axes(axis, len(shape))
    for axis in chosen:
        if shape[axis] != 1:
            raise ShapeError(f"squeeze: axis {axis} of {show(shape)} has size {shape[axis]}, not 1")
    return reshape(x, [n for i, n in enumerate(shape) if i not in chosen])


def sum(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The sum over one or several axes, all by default; booleans and small integers are counted in int32.

    >>> from pellucid import Tensor
    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    Tensor([4., 6.])
    """
    x = operand(x)
    if dtype_of(x) == dtypes.bool_ or (dtypes.is_integer(dtype_of(x)) and dtype_of(x).itemsize < 4):
        x = cast(x, dtypes.DEFAULT_INT)
    chosen = normalize_axes(axis, len(shape_of(x)))
    return as_value(x) if not chosen else apply(SUM, x, axes=chosen, keepdims=bool(keepdims))


def unreduce(reduced_value: Any, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Any:
    """A reduction's result (or its cotangent) repeated over the axes that were reduced."""
    if not keepdims:
        reduced_value = reshape(reduced_value, [1 if i in axes else n for i, n in enumerate(shape)])
    return broadcast_to(reduced_value, shape)


def sum_to(x: Any, shape: Shape) -> Any:
    """Sum over the axes that broadcasting had stretched from ``shape``: the transpose of broadcasting."""
    given = shape_of(x)
    if given == shape:
        return x
    lead = len(given) - len(shape)
    axes = [*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and given[lead + i] != 1)]
    return reshape(sum(x, axes, keepdims=True), shape)
