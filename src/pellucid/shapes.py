"""Shape arithmetic on plain integers: broadcasting, axes, reshaping, convolution windows.

No function here touches an array. Each raises :class:`~pellucid.errors.ShapeError` with both sizes in its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

from pellucid.errors import ConfigurationError, ShapeError

Shape = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def size(shape: Sequence[int]) -> int:
    """Number of elements."""
    return math.prod(shape)


def show(shape: Sequence[int | None]) -> str:
    """The shape as text; an unknown size is a question mark.

    >>> show((None, 784))
    '[?, 784]'
    """
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"


def broadcast(*shapes: Shape) -> Shape:
    """The common shape of elementwise operands: align at the right, size 1 stretches.

    >>> broadcast((128, 10), (10,), ())
    (128, 10)
    """
    result = shapes[0]
    for shape in shapes[1:]:
        if shape != result:
            result = _broadcast_two(result, shape)
    return result


def _broadcast_two(left: Shape, right: Shape) -> Shape:
    rank = max(len(left), len(right))
    padded_left = (1,) * (rank - len(left)) + left
    padded_right = (1,) * (rank - len(right)) + right
    out = []
    for axis, (a, b) in enumerate(zip(padded_left, padded_right, strict=True)):
        if a != b and a != 1 and b != 1:
            raise ShapeError(
                f"shapes {show(left)} and {show(right)} do not broadcast: {a} != {b} "
                f"(axis {axis - rank} counted from the right)"
            )
        out.append(b if a == 1 else a)
    return tuple(out)


def normalize_axis(axis: int, rank: int) -> int:
    """The axis counted from the left.

    >>> normalize_axis(-1, 3)
    2
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} does not exist in an array of {rank} axes")
    return int(axis) % rank


def normalize_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """The axes counted from the left, sorted; None means all."""
    if axes is None:
        return tuple(range(rank))
    given: Any = (axes,) if isinstance(axes, Integral) else axes
    normal = tuple(sorted(normalize_axis(int(axis), rank) for axis in given))
    if len(set(normal)) != len(normal):
        raise ShapeError(f"axes {tuple(given)} name one axis twice")
    return normal


def reduced(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape after a reduction over ``axes``."""
    if keepdims:
        return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def resolve_reshape(old: Shape, new: Sequence[int]) -> Shape:
    """The new shape with its one ``-1`` filled in.

    >>> resolve_reshape((2, 6), (3, -1))
    (3, 4)
    """
    new = tuple(int(n) for n in new)
    unknown = [axis for axis, n in enumerate(new) if n == -1]
    if len(unknown) > 1:
        raise ShapeError(f"the shape {show(new)} has more than one -1")
    if any(n < -1 for n in new):
        raise ShapeError(f"the shape {show(new)} has a negative size")
    if unknown:
        known = size([n for n in new if n != -1])
        if known == 0 or size(old) % known:
            raise ShapeError(f"{size(old)} elements {show(old)} do not divide into the shape {show(new)}")
        new = tuple(size(old) // known if n == -1 else n for n in new)
    if size(new) != size(old):
        raise ShapeError(f"{size(old)} elements {show(old)} do not fill the shape {show(new)} of {size(new)}")
    return new


def spatial_tuple(value: int | Sequence[int], rank: int, what: str) -> tuple[int, ...]:
    """One number per spatial axis, from a number or a sequence; each at least 1."""
    values = tuple(value) if isinstance(value, Iterable) else (value,) * rank
    if len(values) != rank or any(not isinstance(v, Integral) or v < 1 for v in values):
        raise ConfigurationError(f"{what} must be a positive integer or {rank} of them, not {value!r}.")
    return tuple(int(v) for v in values)


def resolve_padding(
    padding: str | int | Sequence, sizes: Shape, window: Shape, strides: Shape, dilation: Shape
) -> Pads:
    """Zeros added before and after each spatial axis.

    ``"valid"`` adds none; ``"same"`` adds as many as make the output ``ceil(size / stride)``, the odd one after; a
    number, or one number or pair per axis, is taken as it is; for one axis, a pair alone will do.

    >>> resolve_padding("same", (5,), (3,), (1,), (1,))
    ((1, 1),)
    """
    rank = len(sizes)
    if padding == "valid":
        return ((0, 0),) * rank
    if padding == "same":
        pads = []
        for n, k, s, d in zip(sizes, window, strides, dilation, strict=True):
            total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            pads.append((total // 2, total - total // 2))
        return tuple(pads)
    if isinstance(padding, str):
        raise ConfigurationError(f"padding must be 'valid', 'same' or numbers, not {padding!r}.")
    values = tuple(padding) if isinstance(padding, Iterable) else (padding,) * rank
    if rank == 1 and len(values) == 2:
        values = (values,)  # the pair of the only axis
    pairs = [tuple(v) if isinstance(v, Iterable) else (v, v) for v in values]
    numbers = [n for pair in pairs for n in pair]
    if [len(pair) for pair in pairs] != [2] * rank or any(not isinstance(n, Integral) or n < 0 for n in numbers):
        raise ConfigurationError(
            f"padding must give a number or a pair of numbers for each of {rank} axes: {padding!r}."
        )
    return tuple((int(before), int(after)) for before, after in pairs)


def window_output(sizes: Shape, window: Shape, strides: Shape, pads: Pads, dilation: Shape) -> Shape:
    """How often a window fits on each spatial axis.

    out = floor((size + before + after - dilation (window - 1) - 1) / stride) + 1, which unpadded and undilated is
    the lectures' ceil((W - F + 1) / S).

    >>> window_output((5, 5), (3, 3), (2, 2), ((0, 0), (0, 0)), (1, 1))
    (2, 2)
    """
    out = []
    for axis, (n, k, s, (before, after), d) in enumerate(zip(sizes, window, strides, pads, dilation, strict=True)):
        extent = d * (k - 1) + 1
        if n + before + after < extent:
            raise ShapeError(
                f"a window of {extent} does not fit on spatial axis {axis} of size {n} + padding {before + after}"
            )
        out.append((n + before + after - extent) // s + 1)
    return tuple(out)
