"""Operands of any kind become operands of one type."""

import itertools
import re

import numpy as np
import pytest

from pellucid import dtypes, ops
from pellucid.errors import ConfigurationError, DTypeError
from pellucid.tensor import Tensor

PAIRS = list(itertools.product(dtypes.ALL, dtypes.ALL))


def expected_type(left: np.dtype, right: np.dtype) -> np.dtype:
    """The promotion table, written independently: by kind first, then by the values each type can hold."""
    kinds = {left.kind, right.kind}
    if "f" in kinds:
        return max((d for d in (left, right) if d.kind == "f"), key=lambda d: d.itemsize)
    if left == right or "b" in kinds:
        return left if right.kind == "b" else right
    low = min(np.iinfo(left).min, np.iinfo(right).min)
    high = max(np.iinfo(left).max, np.iinfo(right).max)
    holders = [d for d in dtypes.ALL if d.kind in "iu" and np.iinfo(d).min <= low and np.iinfo(d).max >= high]
    return min(holders, key=lambda d: (d.itemsize, d.kind == "i")) if holders else np.dtype("int64")


@pytest.mark.parametrize(("left", "right"), PAIRS, ids=lambda d: d.name)
def test_two_arrays_promote_by_the_table(left: np.dtype, right: np.dtype) -> None:
    result = ops.mul(np.ones(2, left), np.ones(2, right))
    assert result.dtype == expected_type(left, right)
    assert result.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("scalar", [True, 2, 0.5, np.float64(0.5)], ids=lambda s: type(s).__name__)
def test_a_python_scalar_never_widens_an_array(dtype: np.dtype, scalar: float) -> None:
    if isinstance(scalar, bool) or (isinstance(scalar, int) and dtype != dtypes.bool_) or dtype.kind == "f":
        expected = dtype
    else:
        expected = dtypes.int32 if isinstance(scalar, int) else dtypes.float32
    x = Tensor(np.ones(3, dtype))
    assert (x * scalar).dtype == expected
    assert (scalar * x).dtype == expected


@pytest.mark.parametrize("operation", ["+", "-", "*", "/", "**"])
def test_float32_stays_float32_beside_numbers(operation: str) -> None:
    x = Tensor([1.0, 2.0])
    assert eval(f"x {operation} 2").dtype == dtypes.float32
    assert eval(f"2.5 {operation} x").dtype == dtypes.float32
    assert eval(f"x {operation} 1.5 {operation} np.float64(2)", {"x": x, "np": np}).dtype == dtypes.float32


def test_scalars_alone_have_the_default_types() -> None:
    assert ops.add(1, 2).dtype == dtypes.int32
    assert ops.add(1, 2.0).dtype == dtypes.float32
    assert ops.logical_and(True, False).dtype == dtypes.bool_


@pytest.mark.parametrize(
    ("scalar", "dtype"),
    [
        (300, "uint8"),
        (-1, "uint8"),
        (128, "int8"),
        (-(2**31) - 1, "int32"),
        (2**63, "int64"),
        (1e39, "float32"),
        (2**200, "float32"),
        (10**400, "float64"),
    ],
)
def test_a_scalar_that_does_not_fit_is_refused(scalar: float, dtype: str) -> None:
    with pytest.raises(DTypeError) as error:
        Tensor(np.ones(2, dtype)) * scalar
    assert str(error.value) == (
        f"The number {scalar} does not fit in {dtype}.\nHint: convert the array with x.astype(...) first"
    )


@pytest.mark.parametrize(
    ("values", "dtype", "culprit"),
    [
        ([1, 2**31], None, "2147483648"),
        ([[-(2**40)]], None, "-1099511627776"),
        ([1, 256], "uint8", "256"),
        ([1, -1], "uint64", "-1"),
        ([0.5, 1e39], None, "1e+39"),
        ([float("nan")], "int32", "nan"),
    ],
)
def test_a_list_with_a_number_that_does_not_fit_is_refused(values: list, dtype: str | None, culprit: str) -> None:
    with pytest.raises(DTypeError, match=rf"^The number {culprit.replace('+', '[+]')} does not fit in "):
        Tensor(values, dtype)


def test_infinity_and_nan_fit_in_floats() -> None:
    assert Tensor([float("inf"), -float("inf")]).tolist() == [float("inf"), -float("inf")]
    assert np.isnan(Tensor([float("nan")]).numpy()).all()
    assert (Tensor([1.0]) * float("inf")).tolist() == [float("inf")]


@pytest.mark.parametrize("dtype", ["float16", "complex64", "object", "U3", "datetime64[s]"])
def test_arrays_of_unknown_types_are_refused_by_every_operation(dtype: str) -> None:
    x = np.zeros(2, dtype)
    for function in (ops.exp, ops.identity, lambda a: ops.add(a, 1), lambda a: ops.reshape(a, (2, 1)), Tensor):
        with pytest.raises(
            DTypeError, match=rf"^The dtype '{re.escape(x.dtype.name)}' is not supported; supported are: bool, "
        ):
            function(x)


def test_the_byte_order_of_an_array_does_not_matter() -> None:
    swapped = np.array([1.0, 2.0], np.dtype("float32").newbyteorder())
    assert ops.exp(swapped).dtype == dtypes.float32
    np.testing.assert_array_equal(ops.add(swapped, Tensor([1.0, 1.0])).numpy(), [2.0, 3.0])


@pytest.mark.parametrize("values", [None, "abc", [None], ["1.5"], [1j], [[1], [1, 2]], {1: 2}], ids=str)
def test_what_is_no_array_of_numbers_is_refused(values: object) -> None:
    with pytest.raises(DTypeError):
        Tensor(values)
    with pytest.raises(DTypeError):
        Tensor(values, "float32")


def test_cast_converts_values_and_gradients() -> None:
    assert ops.cast(Tensor([1.7, -1.7]), "int32").tolist() == [1, -1]
    assert ops.cast(Tensor([0.0, 2.0]), "bool").tolist() == [False, True]
    x = Tensor([1.0, 2.0], requires_grad=True)
    (ops.cast(x, "float64") * np.array([3.0, 4.0])).sum().backward()
    assert x.grad.dtype == dtypes.float32
    assert x.grad.tolist() == [3.0, 4.0]


def test_cast_to_the_same_type_is_the_operand_itself() -> None:
    x = Tensor([1.0])
    assert ops.cast(x, "float32") is x


def test_cast_to_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"Unknown dtype 'flaot32'.*\nHint: did you mean 'float32'\?"):
        ops.cast(Tensor([1.0]), "flaot32")


def test_functions_of_reals_turn_integers_into_float32() -> None:
    for function in (ops.exp, ops.sigmoid, ops.sqrt, ops.softmax, ops.mean):
        assert function(Tensor([1, 2])).dtype == dtypes.float32
    assert (Tensor([1, 2]) / 2).tolist() == [0.5, 1.0]
    assert (Tensor([2, 3]) ** 2).tolist() == [4.0, 9.0]
