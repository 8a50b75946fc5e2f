"""Element types: the ones Pellucid knows, and how they promote.

Promotion table (symmetric; ``result_type`` is its only implementation):

=================  ==========================================================================
operands           result
=================  ==========================================================================
same, same         the same
bool, X            X
integer, float     the float: ``int64`` with ``float32`` is ``float32`` (NumPy says float64)
float32, float64   float64
integer, integer   the smallest integer that holds both; with uint64 and a signed one: int64
=================  ==========================================================================

A Python scalar is weak: it takes the type of the array it meets and never promotes it, so ``x * 0.5`` stays
float32. Only the kind can change: an integer array with a Python float is ``float32``, a boolean array with a
Python integer is ``int32``. NumPy's ``float64`` scalar is a subclass of ``float`` and counts as a Python scalar.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import DTypeError, unknown_name

DType = np.dtype

bool_ = np.dtype("bool")
int8, int16, int32, int64 = (np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
float32, float64 = np.dtype("float32"), np.dtype("float64")

ALL = (bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64)
FLOATS = (float32, float64)
DEFAULT_FLOAT = float32
DEFAULT_INT = int32

_BY_NAME = {dtype.name: dtype for dtype in ALL}
_KNOWN = {dtype: dtype for dtype in ALL}
_BY_NAME["float"] = DEFAULT_FLOAT
_BY_NAME["int"] = DEFAULT_INT


def dtype(name: Any) -> DType:
    """The element type of a name, a NumPy dtype or a Python type.

    Raises:
        ConfigurationError: The name is not one of the types that Pellucid knows.
        DTypeError: NumPy knows the type, Pellucid does not (float16, complex, strings, objects).

    >>> dtype("float32")
    dtype('float32')
    """
    if isinstance(name, np.dtype):
        found = _KNOWN.get(name) or _BY_NAME.get(name.name)  # the name of another byte order is the same
    elif isinstance(name, str):
        if name not in _BY_NAME:
            raise unknown_name("dtype", name, _BY_NAME)
        found = _BY_NAME[name]
    elif name is float or name is int or name is bool:
        found = {float: DEFAULT_FLOAT, int: DEFAULT_INT, bool: bool_}[name]
    else:
        found = _BY_NAME.get(np.dtype(name).name)
    if found is None:
        raise DTypeError(
            f"The dtype {np.dtype(name).name!r} is not supported; supported are: {', '.join(d.name for d in ALL)}.",
            hint="convert the array first, for instance with x.astype('float32')",
        )
    return found


def is_float(dtype: DType) -> bool:
    """Whether the type holds real numbers, that is, whether gradients flow through it."""
    return dtype.kind == "f"


def is_integer(dtype: DType) -> bool:
    """Whether the type holds whole numbers (bool is not one)."""
    return dtype.kind in "iu"


def weak_type(scalar: bool | int | float, other: DType) -> DType:
    """The type a Python scalar takes beside an array of type ``other``.

    >>> weak_type(0.5, float64), weak_type(2, uint8), weak_type(0.5, int64)
    (dtype('float64'), dtype('uint8'), dtype('float32'))
    """
    if isinstance(scalar, bool) or other.kind == "f":
        return other
    if isinstance(scalar, int):
        return DEFAULT_INT if other == bool_ else other
    return DEFAULT_FLOAT


def scalar_type(scalar: bool | int | float) -> DType:
    """The type of a Python scalar that meets no array."""
    if isinstance(scalar, bool):
        return bool_
    return DEFAULT_INT if isinstance(scalar, int) else DEFAULT_FLOAT


def result_type(*types: DType) -> DType:
    """The type that arrays of the given types promote to (the table above).

    >>> result_type(float32, int64), result_type(uint8, int8), result_type(uint64, int8)
    (dtype('float32'), dtype('int16'), dtype('int64'))
    """
    result = types[0]
    for other in types[1:]:
        if other is result or other == result:
            continue
        if is_float(result) and not is_float(other):
            continue
        if is_float(other) and not is_float(result):
            result = other
            continue
        promoted = np.promote_types(result, other)
        result = int64 if promoted.kind == "f" and not is_float(result) else promoted
    return result
