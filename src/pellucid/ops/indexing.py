"""Primitives that pick, place and join elements: slice, pad, concatenate, gather, scatter and their kin.

Each picking operation has a placing one as its transpose, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.errors import DataError, DTypeError, ShapeError
from pellucid.op import Op, Rule, Spec, apply
from pellucid.ops.elementwise import add, equal, less, where
from pellucid.ops.movement import expand_dims, flip, reshape, shape_of
from pellucid.ops.promotion import cast, dtype_of, operand, promote
from pellucid.shapes import Shape, normalize_axis, show

Ints = tuple[int, ...]


def _slice_spec(x: Spec, *, starts: Ints, stops: Ints, steps: Ints) -> Spec:
    sizes = []
    for axis, (n, start, stop, step) in enumerate(zip(x.shape, starts, stops, steps, strict=True)):
        if not (0 <= start <= stop <= n and step >= 1):
            raise ShapeError(f"{start}:{stop}:{step} does not lie in axis {axis} of {show(x.shape)}")
        sizes.append(-(-(stop - start) // step))
    return Spec(tuple(sizes), x.dtype)


def _slice_vjp(ct: Any, out: Any, x: Any, *, starts: Ints, stops: Ints, steps: Ints) -> Any:
    taken = zip(x.spec.shape, starts, steps, out.spec.shape, strict=True)
    # Behind the last element taken; an axis of which nothing was taken gets its whole size back.
    high = tuple(n - (start + (count - 1) * step + 1) if count else n - start for n, start, step, count in taken)
    return pad(ct, starts, high, tuple(step - 1 for step in steps))


SLICE = Op(
    "slice",
    _slice_spec,
    forward=lambda x, *, starts, stops, steps: x[
        tuple(slice(*bounds) for bounds in zip(starts, stops, steps, strict=True))
    ],
    vjp=(_slice_vjp,),
)


def _pad_spec(x: Spec, *, low: Ints, high: Ints, interior: Ints) -> Spec:
    if not len(low) == len(high) == len(interior) == x.ndim:
        raise ShapeError(f"padding {low}, {high}, {interior} does not give one number for each axis of {show(x.shape)}")
    if min((*low, *high, *interior), default=0) < 0:
        raise ShapeError(f"padding {low}, {high}, {interior} has a negative number")
    sizes = tuple(
        before + n + max(n - 1, 0) * between + after
        for n, before, after, between in zip(x.shape, low, high, interior, strict=True)
    )
    return Spec(sizes, x.dtype)


def _pad_forward(x: np.ndarray, *, low: Ints, high: Ints, interior: Ints) -> np.ndarray:
    spec = _pad_spec(Spec(x.shape, x.dtype), low=low, high=high, interior=interior)
    out = np.zeros(spec.shape, x.dtype)
    out[_inside(x.shape, low, interior)] = x
    return out


def _inside(shape: Shape, low: Ints, interior: Ints) -> tuple[slice, ...]:
    """Where the elements of ``shape`` lie in the padded array."""
    return tuple(
        slice(before, before + (n - 1) * (between + 1) + 1 if n else before, between + 1)
        for n, before, between in zip(shape, low, interior, strict=True)
    )


def _pad_vjp(ct: Any, out: Any, x: Any, *, low: Ints, high: Ints, interior: Ints) -> Any:
    bounds = _inside(x.spec.shape, low, interior)
    return apply(
        SLICE,
        ct,
        starts=tuple(b.start for b in bounds),
        stops=tuple(b.stop for b in bounds),
        steps=tuple(b.step for b in bounds),
    )


PAD = Op("pad", _pad_spec, _pad_forward, (_pad_vjp,))


def _concatenate_spec(*parts: Spec, axis: int) -> Spec:
    first = parts[0]
    for number, part in enumerate(parts):
        same_rank = part.ndim == first.ndim
        if not same_rank or any(
            a != b for i, (a, b) in enumerate(zip(part.shape, first.shape, strict=True)) if i != axis
        ):
            raise ShapeError(f"part {number} {show(part.shape)} does not join {show(first.shape)} along axis {axis}")
        if part.dtype != first.dtype:
            raise DTypeError(f"part {number} is {part.dtype.name}, the first {first.dtype.name}")
    total = sum(part.shape[axis] for part in parts)
    return Spec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def _concatenate_vjp(index: int) -> Rule:
    def rule(ct: Any, out: Any, *parts: Any, axis: int) -> Any:
        start = sum(part.spec.shape[axis] for part in parts[:index])
        return narrow(ct, axis, start, start + parts[index].spec.shape[axis])

    return rule


CONCATENATE = Op(
    "concatenate",
    _concatenate_spec,
    forward=lambda *parts, axis: np.concatenate(parts, axis),
    vjp=_concatenate_vjp,
)


def _need_integers(indices: Spec) -> None:
    if not dtypes.is_integer(indices.dtype):
        raise DTypeError(f"indices must be integers, not {indices.dtype.name}")


def _check_bounds(op: str, indices: np.ndarray, size: int) -> None:
    """NumPy counts negative indices from the end; a wrong label would pass silently."""
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        bad = indices.min() if indices.min() < 0 else indices.max()
        raise DataError(f"{op}: the index {bad} lies outside 0..{size - 1}.")


def _gather_spec(x: Spec, indices: Spec, *, axis: int) -> Spec:
    _need_integers(indices)
    return Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def _gather_forward(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    _check_bounds("gather", indices, x.shape[axis])
    return np.take(x, indices, axis)


GATHER = Op(
    "gather",
    _gather_spec,
    _gather_forward,
    (lambda ct, out, x, indices, *, axis: scatter_add(ct, indices, x.spec.shape[axis], axis), None),
    formula="{0}[{1}, axis={axis}]",
)


def _scatter_spec(updates: Spec, indices: Spec, *, size: int, axis: int) -> Spec:
    _need_integers(indices)
    if updates.shape[axis : axis + indices.ndim] != indices.shape:
        raise ShapeError(f"updates {show(updates.shape)} do not hold indices {show(indices.shape)} at axis {axis}")
    return Spec((*updates.shape[:axis], size, *updates.shape[axis + indices.ndim :]), updates.dtype)


def _scatter_forward(updates: np.ndarray, indices: np.ndarray, *, size: int, axis: int) -> np.ndarray:
    _check_bounds("scatter_add", indices, size)
    spec = _scatter_spec(Spec(updates.shape, updates.dtype), Spec(indices.shape, indices.dtype), size=size, axis=axis)
    out = np.zeros(spec.shape, updates.dtype)
    place: Any = (*(slice(None),) * axis, indices)
    np.add.at(out, place, updates)
    return out


SCATTER_ADD = Op(
    "scatter_add",
    _scatter_spec,
    _scatter_forward,
    (lambda ct, out, updates, indices, *, size, axis: gather(ct, indices, axis), None),
)


def _along_spec(x: Spec, indices: Spec, *, axis: int) -> Spec:
    _need_integers(indices)
    matches = x.ndim == indices.ndim and all(
        a == b for i, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True)) if i != axis
    )
    if not matches:
        raise ShapeError(f"indices {show(indices.shape)} do not run along axis {axis} of {show(x.shape)}")
    return Spec(indices.shape, x.dtype)


def _take_along_forward(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    _check_bounds("take_along_axis", indices, x.shape[axis])
    return np.take_along_axis(x, indices, axis)


TAKE_ALONG_AXIS = Op(
    "take_along_axis",
    _along_spec,
    _take_along_forward,
    (lambda ct, out, x, indices, *, axis: add_along_axis(ct, indices, x.spec.shape[axis], axis), None),
)


def _add_along_spec(updates: Spec, indices: Spec, *, size: int, axis: int) -> Spec:
    _need_integers(indices)
    if updates.shape != indices.shape:
        raise ShapeError(f"updates {show(updates.shape)} and indices {show(indices.shape)} differ")
    return Spec((*updates.shape[:axis], size, *updates.shape[axis + 1 :]), updates.dtype)


def _add_along_forward(updates: np.ndarray, indices: np.ndarray, *, size: int, axis: int) -> np.ndarray:
    _check_bounds("add_along_axis", indices, size)
    out = np.zeros((*updates.shape[:axis], size, *updates.shape[axis + 1 :]), updates.dtype)
    places = list(np.ogrid[tuple(slice(n) for n in indices.shape)]) if indices.ndim else []
    places[axis] = indices
    # Windows may overlap, so one place can receive several updates: plain assignment would lose them.
    np.add.at(out, tuple(places), updates)
    return out


ADD_ALONG_AXIS = Op(
    "add_along_axis",
    _add_along_spec,
    _add_along_forward,
    (lambda ct, out, updates, indices, *, size, axis: take_along_axis(ct, indices, axis), None),
)


def narrow(x: Any, axis: int, start: int, stop: int) -> Any:
    """The elements ``start:stop`` of one axis."""
    x = operand(x)
    shape = shape_of(x)
    if (start, stop) == (0, shape[axis]):
        return x
    starts = tuple(start if i == axis else 0 for i in range(len(shape)))
    stops = tuple(stop if i == axis else n for i, n in enumerate(shape))
    return apply(SLICE, x, starts=starts, stops=stops, steps=(1,) * len(shape))


def pad(x: Any, low: Sequence[int], high: Sequence[int], interior: Sequence[int] | None = None) -> Any:
    """Zeros before, after and between the elements of each axis.

    >>> from pellucid import Tensor
    >>> pad(Tensor([1.0, 2.0]), [1], [0], [2])
    Tensor([0., 1., 0., 0., 2.])
    """
    x = operand(x)
    between = tuple(interior) if interior is not None else (0,) * len(low)
    if not any((*low, *high, *between)):
        return x
    return apply(PAD, x, low=tuple(low), high=tuple(high), interior=between)


def concatenate(parts: Sequence[Any], axis: int = -1) -> Any:
    """The parts joined along an existing axis."""
    if not parts:
        raise ShapeError("concatenate: there are no parts to join")
    promoted = promote(*parts)
    axis = normalize_axis(axis, len(shape_of(promoted[0])))
    return promoted[0] if len(promoted) == 1 else apply(CONCATENATE, *promoted, axis=axis)


def stack(parts: Sequence[Any], axis: int = 0) -> Any:
    """The parts joined along a new axis."""
    return concatenate([expand_dims(part, axis) for part in parts], axis)


def gather(x: Any, indices: Any, axis: int = 0) -> Any:
    """The slices of ``x`` at integer ``indices`` of one axis; the gradient adds up where an index repeats.

    >>> from pellucid import Tensor
    >>> gather(Tensor([10.0, 20.0, 30.0]), Tensor([2, 0]))
    Tensor([30., 10.])
    """
    x = operand(x)
    return apply(GATHER, x, operand(indices), axis=normalize_axis(axis, len(shape_of(x))))


def scatter_add(updates: Any, indices: Any, size: int, axis: int = 0) -> Any:
    """Zeros of ``size`` along an axis, to which each update is added at its index: the transpose of gather."""
    updates, indices = operand(updates), operand(indices)
    rank = len(shape_of(updates)) - len(shape_of(indices)) + 1
    return apply(SCATTER_ADD, updates, indices, size=int(size), axis=normalize_axis(axis, rank))


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """One element of ``x`` per index, all other axes running along.

    >>> from pellucid import Tensor
    >>> take_along_axis(Tensor([[0.1, 0.9], [0.8, 0.2]]), Tensor([[1], [0]]))
    Tensor([[0.9],
            [0.8]])
    """
    x = operand(x)
    return apply(TAKE_ALONG_AXIS, x, operand(indices), axis=normalize_axis(axis, len(shape_of(x))))


def add_along_axis(updates: Any, indices: Any, size: int, axis: int = -1) -> Any:
    """Zeros of ``size`` along an axis, to which updates are added: the transpose of take_along_axis."""
    updates = operand(updates)
    return apply(
        ADD_ALONG_AXIS, updates, operand(indices), size=int(size), axis=normalize_axis(axis, len(shape_of(updates)))
    )


def index(x: Any, key: Any) -> Any:
    """``x[key]`` with integers, slices, ``...``, ``None`` and at most one integer array.

    Raises:
        ShapeError: An index lies outside its axis, or there are more indices than axes.
    """
    x = operand(x)
    keys = _expand_ellipsis(key if isinstance(key, tuple) else (key,), len(shape_of(x)))
    picks = [item for item in keys if item is not None]
    x = _basic_slice(x, [item if isinstance(item, (slice, int)) else slice(None) for item in picks])
    arrays = [(axis, item) for axis, item in enumerate(picks) if not isinstance(item, (slice, int))]
    if len(arrays) > 1:
        raise ShapeError("index: at most one axis can be indexed by an array", hint="use gather for each axis in turn")
    shape: list[int] = []
    sizes = iter(shape_of(x))
    for item in keys:
        if item is None:
            shape.append(1)
        elif isinstance(item, int):
            next(sizes)
        else:
            shape.append(next(sizes))
    if not arrays:
        return reshape(x, shape)
    axis, indices = arrays[0]
    before = sum(1 for item in keys[: _place(keys, axis)] if not isinstance(item, int))
    return gather(reshape(x, shape), _wrapped(indices, shape[before]), before)


def _place(keys: Sequence[Any], axis: int) -> int:
    """Where in ``keys`` the key of the given axis stands."""
    return [i for i, item in enumerate(keys) if item is not None][axis]


def _wrapped(indices: Any, size: int) -> Any:
    """Integer indices with negative ones counted from the end; a mask becomes the indices it selects."""
    indices = np.zeros(0, np.int64) if isinstance(indices, list) and not indices else operand(indices)
    if dtype_of(indices) == dtypes.bool_:
        if shape_of(indices) != (size,):
            raise ShapeError(f"index: a mask of {show(shape_of(indices))} does not fit an axis of {size}")
        return np.flatnonzero(np.asarray(indices))
    if dtype_of(indices).kind != "i":
        return indices
    # In int64, because the size may not fit in the type of the indices.
    if isinstance(indices, np.ndarray):
        wide = indices.astype(np.int64)
        return np.where(wide < 0, wide + size, wide)
    wide = cast(indices, dtypes.int64)
    return where(less(wide, 0), add(wide, size), wide)


def _expand_ellipsis(keys: tuple, rank: int) -> list[Any]:
    used = sum(1 for key in keys if key is not None and key is not Ellipsis)
    if used > rank:
        raise ShapeError(f"index: {used} indices for {rank} axes")
    # A Python bool is an int, but no index: as an array it is a mask that does not fit.
    keys = tuple(np.asarray(k) if isinstance(k, bool) else int(k) if isinstance(k, np.integer) else k for k in keys)
    dots = [i for i, key in enumerate(keys) if key is Ellipsis]
    if len(dots) > 1:
        raise ShapeError("index: '...' may stand only once")
    at = dots[0] if dots else len(keys)
    return [*keys[:at], *[slice(None)] * (rank - used), *keys[at + 1 :]]


def _basic_slice(x: Any, picks: Sequence[slice | int]) -> Any:
    """The part of ``x`` that integers and slices select, every axis kept (an integer leaves size 1)."""
    shape = shape_of(x)
    starts, stops, steps, flipped = [], [], [], []
    for axis, (item, n) in enumerate(zip(picks, shape, strict=True)):
        if isinstance(item, int):
            if not -n <= item < n:
                raise ShapeError(f"index: {item} lies outside axis {axis} of {show(shape)}")
            item = slice(item % n, item % n + 1)
        start, stop, step = item.indices(n)
        if step < 0:
            count = len(range(start, stop, step))
            start, stop, step = start + (count - 1) * step, start + 1, -step
            if count == 0:
                start = stop = 0
            flipped.append(axis)
        starts.append(start)
        stops.append(max(start, stop))
        steps.append(step)
    whole = all(a == 0 and b == n and s == 1 for a, b, s, n in zip(starts, stops, steps, shape, strict=True))
    if not whole:
        x = apply(SLICE, x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
    return flip(x, flipped) if flipped else x


def one_hot(labels: Any, n_classes: int, dtype: Any = "float32") -> Any:
    """A row of zeros with a one at each label.

    >>> from pellucid import Tensor
    >>> one_hot(Tensor([2, 0]), 3)
    Tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    labels = operand(labels)
    return cast(equal(expand_dims(labels, -1), np.arange(n_classes, dtype=np.int32)), dtype)
