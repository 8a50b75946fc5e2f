"""Operands as the user gives them -> operands of one element type, as the primitives take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType
from pellucid.errors import DTypeError
from pellucid.op import Op, Spec, Value, apply, current_interpreter

_SCALARS = (bool, int, float)
_SUPPORTED = frozenset(dtypes.ALL)

CAST = Op(
    "cast",
    infer=lambda x, *, dtype: Spec(x.shape, dtype),
    forward=lambda x, *, dtype: x.astype(dtype),
    vjp=(lambda ct, out, x, *, dtype: cast(ct, x.spec.dtype),),
    formula="{dtype}({0})",
)


def cast(x: Any, dtype: Any) -> Any:
    """The elements of ``x`` converted to another type; the gradient is converted back.

    >>> from pellucid import Tensor
    >>> cast(Tensor([1.7, -1.7]), "int32")
    Tensor([ 1, -1], dtype=int32)
    """
    target = dtypes.dtype(dtype)
    x = operand(x)
    return as_value(x) if dtype_of(x) == target else apply(CAST, x, dtype=target)


def number_like(number: Any, like: Any) -> Any:
    """A number in the element type of the array it meets: Python's as it is, a float64 scalar converted."""
    return number if isinstance(number, (int, float)) else cast(number, like.spec.dtype)


def operand(x: Any) -> Any:
    """A value or NumPy array of whatever the user gave (a number, a list, an array)."""
    if isinstance(x, Value) or (isinstance(x, np.ndarray) and x.dtype in _SUPPORTED):
        return x
    return array(x)


def as_value(x: Any) -> Any:
    """The operand as a value: what an operation with nothing to do gives back."""
    return x if isinstance(x, Value) else current_interpreter().constant(x, x.dtype)


def array(x: Any, dtype: DType | None = None) -> np.ndarray:
    """A NumPy array of numbers; Python floats become float32 and Python integers int32 unless ``dtype`` says more.

    Raises:
        DTypeError: The elements are not numbers, or do not fit the type.
    """
    if dtype is None and type(x) is np.ndarray and x.dtype in _SUPPORTED:
        return x
    if isinstance(x, _SCALARS):
        return _scalar(x, dtype or dtypes.scalar_type(x))
    given = getattr(x, "dtype", None)
    if isinstance(x, (list, tuple)) and _holds_values(x):
        raise DTypeError(
            "A list of tensors is no operand: its gradients would be lost.", hint="join them with ops.stack([...])"
        )
    try:
        result = np.asarray(x)
    except ValueError as error:
        raise DTypeError(f"These values do not form an array: {error}.") from None
    if dtype is None and given is None:
        dtype = {"f": dtypes.DEFAULT_FLOAT, "i": dtypes.DEFAULT_INT}.get(result.dtype.kind)
        if result.size == 0:
            dtype = dtypes.DEFAULT_FLOAT
    target = dtypes.dtype(result.dtype if dtype is None or result.dtype.kind not in "biuf" else dtype)
    if given is None:
        _need_fit(result, target)
    with np.errstate(all="ignore"):
        return result.astype(target, copy=False)


def _holds_values(items: list | tuple) -> bool:
    return any(isinstance(i, Value) or (isinstance(i, (list, tuple)) and _holds_values(i)) for i in items)


def _need_fit(values: np.ndarray, dtype: DType) -> None:
    """Refuse Python numbers that the type cannot hold; infinity and NaN fit in floats."""
    if dtype == dtypes.bool_:
        return
    limits = np.finfo(dtype) if dtypes.is_float(dtype) else np.iinfo(dtype)
    checked = values[np.isfinite(values)] if dtypes.is_float(dtype) else values
    for x in checked[~((checked >= limits.min) & (checked <= limits.max))].flat:
        raise _no_fit(x, dtype)


def _no_fit(x: bool | int | float, dtype: DType) -> DTypeError:
    return DTypeError(
        f"The number {x} does not fit in {dtype.name}.", hint="convert the array with x.astype(...) first"
    )


def _scalar(x: bool | int | float, dtype: DType) -> np.ndarray:
    try:
        with np.errstate(over="raise"):
            return np.asarray(x, dtype)
    except (OverflowError, FloatingPointError, ValueError):
        raise _no_fit(x, dtype) from None


def dtype_of(x: Any) -> DType:
    """The element type of a value or array."""
    return x.spec.dtype if isinstance(x, Value) else x.dtype


def promote(*operands: Any) -> tuple[Any, ...]:
    """The operands converted to their common type, by the table of ``dtypes``."""
    strong = [x if isinstance(x, _SCALARS) else operand(x) for x in operands]
    types = [dtype_of(x) for x in strong if not isinstance(x, _SCALARS)]
    scalars = [x for x in strong if isinstance(x, _SCALARS)]
    if types:
        common = dtypes.result_type(*types)
        for scalar in scalars:
            common = dtypes.weak_type(scalar, common)
    else:
        common = dtypes.result_type(*(dtypes.scalar_type(x) for x in scalars))
    return tuple(convert(x, common) for x in strong)


def convert(x: Any, dtype: DType) -> Any:
    """The operand with the given element type."""
    if isinstance(x, _SCALARS):
        return _scalar(x, dtype)
    if dtype_of(x) == dtype:
        return x
    return cast(x, dtype) if isinstance(x, Value) else x.astype(dtype)


def floating(*operands: Any) -> tuple[Any, ...]:
    """The operands converted to a common real type: integers and booleans become float32."""
    promoted = promote(*operands)
    common = dtype_of(promoted[0])
    if dtypes.is_float(common):
        return promoted
    return tuple(convert(x, dtypes.DEFAULT_FLOAT) for x in promoted)
