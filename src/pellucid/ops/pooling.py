"""Pooling: which element of a window is largest, and the sum of a window.

Max-pooling is "find the winner's index" (no derivative) followed by "take the element at that index" (linear), so
its derivatives of every order come from indexing. Average pooling is a window sum divided by a count.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.errors import ShapeError
from pellucid.op import Op, Spec, apply
from pellucid.ops.contraction import windows
from pellucid.ops.elementwise import div
from pellucid.ops.indexing import take_along_axis
from pellucid.ops.movement import reshape, shape_of
from pellucid.ops.promotion import dtype_of, floating, operand
from pellucid.shapes import Pads, Shape, resolve_padding, show, size, spatial_tuple, window_output

Ints = tuple[int, ...]


def _pool_spec(x: Spec, *, window: Ints, strides: Ints, pads: Pads) -> Spec:
    out = window_output(x.shape[1:-1], window, strides, pads, (1,) * len(window))
    return Spec((x.shape[0], *out, x.shape[-1]), x.dtype)


def _winner_forward(x: np.ndarray, *, window: Ints, strides: Ints, pads: Pads) -> np.ndarray:
    lowest = {"f": -np.inf, "b": False}.get(x.dtype.kind)
    if lowest is None:
        lowest = np.iinfo(x.dtype).min
    rank = len(window)
    view = windows(x, window, strides, pads, (1,) * rank, fill=lowest)
    out = view.shape[1 : 1 + rank]
    flat = view.reshape(x.shape[0], *out, size(window), x.shape[-1])
    winner = np.argmax(flat, axis=1 + rank)
    # In one row: beyond 8192 elements NumPy 2.4 gets others wrong whose last axis has one element (numpy#31980).
    offsets = [offset.reshape(winner.shape) for offset in np.unravel_index(winner.ravel(), window)]
    index = np.zeros(winner.shape, np.int64)
    for axis, (offset, n) in enumerate(zip(offsets, x.shape[1:-1], strict=True)):
        origin = np.arange(out[axis]) * strides[axis] - pads[axis][0]
        shape = [1] * winner.ndim
        shape[1 + axis] = out[axis]
        # A window of nothing but -inf would point into the padding: its nearest real element is as large.
        index = index * n + np.clip(origin.reshape(shape) + offset, 0, n - 1)
    return index


MAX_POOL_INDEX = Op(
    "max_pool_index",
    infer=lambda x, **attributes: Spec(_pool_spec(x, **attributes).shape, dtypes.int64),
    forward=_winner_forward,
    vjp=None,
)


def _window_sum_forward(x: np.ndarray, *, window: Ints, strides: Ints, pads: Pads) -> np.ndarray:
    rank = len(window)
    view = windows(x, window, strides, pads, (1,) * rank)
    return view.sum(axis=tuple(range(1 + rank, 1 + 2 * rank)), dtype=x.dtype)


WINDOW_SUM = Op(
    "window_sum",
    _pool_spec,
    _window_sum_forward,
    (lambda ct, out, x, **attributes: apply(WINDOW_SPREAD, ct, shape=x.spec.shape, **attributes),),
)


def _spread_spec(ct: Spec, *, shape: Shape, window: Ints, strides: Ints, pads: Pads) -> Spec:
    made = _pool_spec(Spec(shape, ct.dtype), window=window, strides=strides, pads=pads)
    if made.shape != ct.shape:
        raise ShapeError(f"an image {show(shape)} gives an output {show(made.shape)}, not {show(ct.shape)} (ct)")
    return Spec(shape, ct.dtype)


def _spread_forward(ct: np.ndarray, *, shape: Shape, window: Ints, strides: Ints, pads: Pads) -> np.ndarray:
    padded = tuple(n + before + after for n, (before, after) in zip(shape[1:-1], pads, strict=True))
    image = np.zeros((shape[0], *padded, shape[-1]), ct.dtype)
    for offset in itertools.product(*map(range, window)):
        places = zip(offset, ct.shape[1:-1], strides, strict=True)
        image[(slice(None), *(slice(o, o + (n - 1) * s + 1, s) for o, n, s in places))] += ct
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(shape[1:-1], pads, strict=True))
    return image[(slice(None), *inside)]


WINDOW_SPREAD = Op(
    "window_spread",
    _spread_spec,
    _spread_forward,
    (lambda g, out, ct, *, shape, **attributes: apply(WINDOW_SUM, g, **attributes),),
)


def _pool_attributes(x: Any, window: Any, strides: Any, padding: Any) -> dict[str, Any]:
    rank = len(shape_of(x)) - 2
    if rank < 1:
        raise ShapeError(f"pooling: images need at least 3 axes [batch, spatial..., channel], not {show(shape_of(x))}")
    sizes = spatial_tuple(window, rank, "the pooling window")
    steps = sizes if strides is None else spatial_tuple(strides, rank, "strides")
    pads = resolve_padding(padding, shape_of(x)[1:-1], sizes, steps, (1,) * rank)
    for (before, after), n in zip(pads, sizes, strict=True):
        if max(before, after) >= n:
            raise ShapeError(f"pooling: padding {(before, after)} leaves a window of {n} with no element of the image")
    return {"window": sizes, "strides": steps, "pads": pads}


def max_pool(
    x: Any, window: int | Sequence[int], strides: int | Sequence[int] | None = None, padding: Any = "valid"
) -> Any:
    """The largest element of each window and channel; of equal ones the first gets the gradient.

    Args:
        x: Images [batch, spatial..., channel].
        window: Size of the window.
        strides: Shift per output position; by default the window's size.
        padding: As for :func:`~pellucid.ops.contraction.conv`; padding never wins.

    >>> from pellucid import Tensor
    >>> max_pool(Tensor([[[1.0], [4.0], [2.0], [3.0]]]), 2)
    Tensor([[[4.],
             [3.]]])
    """
    x = operand(x)
    index = apply(MAX_POOL_INDEX, x, **_pool_attributes(x, window, strides, padding))
    shape, out = shape_of(x), shape_of(index)
    flat = reshape(x, (shape[0], size(shape[1:-1]), shape[-1]))
    winners = reshape(index, (shape[0], size(out[1:-1]), shape[-1]))
    return reshape(take_along_axis(flat, winners, 1), out)


def avg_pool(
    x: Any, window: int | Sequence[int], strides: int | Sequence[int] | None = None, padding: Any = "valid"
) -> Any:
    """The mean of each window and channel; padding is not counted."""
    (x,) = floating(x)
    attributes = _pool_attributes(x, window, strides, padding)
    total = apply(WINDOW_SUM, x, **attributes)
    ones = np.ones((1, *shape_of(x)[1:-1], 1), dtype_of(x))
    return div(total, _window_sum_forward(ones, **attributes))
