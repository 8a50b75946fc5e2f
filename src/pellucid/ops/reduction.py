"""Reductions and scans that are not sums: maximum, product, arg-maximum, ordering, running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.errors import ShapeError
from pellucid.op import Op, Spec, apply
from pellucid.ops.elementwise import equal, mul
from pellucid.ops.indexing import concatenate, narrow
from pellucid.ops.movement import broadcast_to, flip, reshape, shape_of, sum, unreduce
from pellucid.ops.promotion import as_value, cast, dtype_of, operand
from pellucid.shapes import normalize_axes, normalize_axis, reduced, show


def _reduce_spec(x: Spec, *, axes: tuple[int, ...], keepdims: bool) -> Spec:
    empty = [axis for axis in axes if x.shape[axis] == 0]
    if empty:
        raise ShapeError(f"axis {empty[0]} of {show(x.shape)} is empty: there is no element to choose")
    return Spec(reduced(x.shape, axes, keepdims), x.dtype)


def _winner_vjp(ct: Any, out: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    winners = cast(equal(x, unreduce(out, x.spec.shape, axes, keepdims)), x.spec.dtype)
    share = winners / sum(winners, axes, keepdims=True)
    return unreduce(ct, x.spec.shape, axes, keepdims) * share


MAX = Op(
    "max",
    _reduce_spec,
    forward=lambda x, *, axes, keepdims: np.max(x, axis=axes, keepdims=keepdims),
    vjp=(_winner_vjp,),
    formula="max({0}, axes={axes})",
)
# Not -max(-x): negation wraps unsigned integers.
MIN = Op(
    "min",
    _reduce_spec,
    forward=lambda x, *, axes, keepdims: np.min(x, axis=axes, keepdims=keepdims),
    vjp=(_winner_vjp,),
    formula="min({0}, axes={axes})",
)


def _index_spec(x: Spec, *, axis: int) -> Spec:
    return Spec(_reduce_spec(x, axes=(axis,), keepdims=False).shape, dtypes.int64)


ARGMAX = Op("argmax", _index_spec, lambda x, *, axis: np.asarray(np.argmax(x, axis=axis)), None)
ARGSORT = Op(
    "argsort",
    infer=lambda x, *, axis: Spec(x.shape, dtypes.int64),
    # Stable, so that equal elements keep their order on every backend.
    forward=lambda x, *, axis: np.argsort(x, axis=axis, kind="stable"),
    vjp=None,
)
CUMSUM = Op(
    "cumsum",
    infer=lambda x, *, axis: x,
    forward=lambda x, *, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
    vjp=(lambda ct, out, x, *, axis: flip(cumsum(flip(ct, axis), axis), axis),),
)


def max(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The largest element over one or several axes, all by default; equal winners share the gradient.

    >>> from pellucid import Tensor
    >>> max(Tensor([[1.0, 5.0], [3.0, 2.0]]), 1)
    Tensor([5., 3.])
    """
    x = operand(x)
    chosen = normalize_axes(axis, len(shape_of(x)))
    return as_value(x) if not chosen else apply(MAX, x, axes=chosen, keepdims=bool(keepdims))


def min(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The smallest element over one or several axes, all by default; equal winners share the gradient."""
    x = operand(x)
    chosen = normalize_axes(axis, len(shape_of(x)))
    return as_value(x) if not chosen else apply(MIN, x, axes=chosen, keepdims=bool(keepdims))


def argmax(x: Any, axis: int = -1) -> Any:
    """The index of the first largest element along an axis, as int64; it has no derivative."""
    x = operand(x)
    return apply(ARGMAX, x, axis=normalize_axis(axis, len(shape_of(x))))


def argsort(x: Any, axis: int = -1) -> Any:
    """The indices that sort along an axis, equal elements in their order, as int64; they have no derivative."""
    x = operand(x)
    return apply(ARGSORT, x, axis=normalize_axis(axis, len(shape_of(x))))


def cumsum(x: Any, axis: int = -1) -> Any:
    """The running sum along an axis."""
    x = operand(x)
    if dtype_of(x) == dtypes.bool_:
        x = cast(x, dtypes.DEFAULT_INT)
    return apply(CUMSUM, x, axis=normalize_axis(axis, len(shape_of(x))))


def prod(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The product over one or several axes, all by default, as a tree of pairwise products.

    So the gradient is exact where an element is zero.

    >>> from pellucid import Tensor
    >>> prod(Tensor([2.0, 3.0, 4.0]))
    Tensor(24.)
    """
    x = operand(x)
    shape = shape_of(x)
    chosen = normalize_axes(axis, len(shape))
    for axis in chosen:
        x = _pairwise_product(x, axis)
    return reshape(x, reduced(shape, chosen, keepdims))


def _pairwise_product(x: Any, axis: int) -> Any:
    """The product along one axis, which stays with size 1."""
    length = shape_of(x)[axis]
    if length == 0:
        shape = tuple(1 if i == axis else n for i, n in enumerate(shape_of(x)))
        return broadcast_to(np.ones((), dtype_of(x)), shape)
    while length > 1:
        half = length // 2
        pairs = mul(narrow(x, axis, 0, half), narrow(x, axis, half, 2 * half))
        if length % 2:
            from_odd = narrow(x, axis, length - 1, length)
            head = mul(narrow(pairs, axis, 0, 1), from_odd)
            pairs = head if half == 1 else concatenate([head, narrow(pairs, axis, 1, half)], axis)
        x, length = pairs, half
    return x
