"""Names of element types, and the algebra of promotion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pellucid import dtypes
from pellucid.errors import ConfigurationError, DTypeError

EACH = pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda d: d.name)
INTEGERS = [d for d in dtypes.ALL if dtypes.is_integer(d)]


@EACH
def test_every_spelling_of_a_type_is_the_type(dtype: np.dtype) -> None:
    for spelling in (dtype.name, dtype, dtype.type, dtype.newbyteorder()):
        assert dtypes.dtype(spelling) is dtype or dtypes.dtype(spelling) == dtype
        assert dtypes.dtype(spelling).isnative


def test_python_types_and_short_names_are_the_defaults() -> None:
    assert dtypes.dtype(float) == dtypes.dtype("float") == dtypes.float32
    assert dtypes.dtype(int) == dtypes.dtype("int") == dtypes.int32
    assert dtypes.dtype(bool) == dtypes.dtype("bool") == dtypes.bool_


@pytest.mark.parametrize("name", [np.float16, np.complex64, np.dtype("object"), np.dtype("U4"), np.longdouble])
def test_types_that_numpy_alone_knows_are_refused(name: object) -> None:
    with pytest.raises(DTypeError, match=r"^The dtype '\w+' is not supported; supported are: bool, .*float64\.\n"):
        dtypes.dtype(name)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"\nHint: did you mean 'float64'\?$"):
        dtypes.dtype("float46")


def test_kinds() -> None:
    assert [d.name for d in dtypes.ALL if dtypes.is_float(d)] == ["float32", "float64"]
    assert not dtypes.is_integer(dtypes.bool_)
    assert len(INTEGERS) == 8


def test_promotion_is_symmetric_and_idempotent() -> None:
    for left, right in itertools.product(dtypes.ALL, repeat=2):
        assert dtypes.result_type(left, right) == dtypes.result_type(right, left)
    for dtype in dtypes.ALL:
        assert dtypes.result_type(dtype) == dtypes.result_type(dtype, dtype) == dtype
        assert dtypes.result_type(dtypes.bool_, dtype) == dtype


def test_promotion_of_three_does_not_depend_on_their_order() -> None:
    for three in itertools.combinations_with_replacement(dtypes.ALL, 3):
        if dtypes.uint64 in three and not any(map(dtypes.is_float, three)):
            continue  # uint64 beside a signed type is int64, which no longer holds uint64
        assert len({dtypes.result_type(*order) for order in itertools.permutations(three)}) == 1


def test_integers_promote_to_the_smallest_that_holds_both() -> None:
    for left, right in itertools.product(INTEGERS, repeat=2):
        result = dtypes.result_type(left, right)
        assert dtypes.is_integer(result)
        if {left, right} & {dtypes.uint64} and {left.kind, right.kind} == {"i", "u"}:
            assert result == dtypes.int64
        else:
            assert np.can_cast(left, result, "safe")
            assert np.can_cast(right, result, "safe")
            assert result.itemsize <= 2 * max(left.itemsize, right.itemsize)


def test_a_float_beside_an_integer_stays_as_wide_as_it_was() -> None:
    for real, whole in itertools.product(dtypes.FLOATS, INTEGERS):
        assert dtypes.result_type(real, whole) == real
    assert dtypes.result_type(dtypes.float32, dtypes.float64) == dtypes.float64


@EACH
def test_scalars_are_weak(dtype: np.dtype) -> None:
    assert dtypes.weak_type(True, dtype) == dtype
    assert dtypes.weak_type(2, dtype) == (dtypes.int32 if dtype == dtypes.bool_ else dtype)
    assert dtypes.weak_type(0.5, dtype) == (dtype if dtypes.is_float(dtype) else dtypes.float32)


def test_scalars_alone_have_default_types() -> None:
    assert [dtypes.scalar_type(x) for x in (True, 2, 0.5)] == [dtypes.bool_, dtypes.int32, dtypes.float32]
