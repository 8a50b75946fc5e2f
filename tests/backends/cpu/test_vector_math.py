"""The accuracy of vector functions, in units in the last place of the exact result, and their special values."""

import numpy as np
import pytest
from scipy import special

from pellucid import compile, ops

COUNT = 50_001


def in_double(function):
    """For functions that are not there in extended precision."""
    return lambda x: function(x.astype(np.float64))


def powers_of_e(low, high):
    """A drawing of numbers of both signs and of all sizes between two powers of e."""
    return lambda r: np.exp(r.uniform(low, high, COUNT)) * r.choice([-1, 1], COUNT)


def evenly(low, high):
    return lambda r: r.uniform(low, high, COUNT)


def multiples_of_half_pi(r):
    return r.integers(-20_000, 20_000, COUNT) * (np.pi / 2)


def exact_sigmoid(x):
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


RANGES = {
    "exp": (ops.exp, np.exp, evenly(-87, 88)),
    "exp near 0": (ops.exp, np.exp, evenly(-1, 1)),
    "exp, subnormal": (ops.exp, np.exp, evenly(-104, -87)),
    "expm1": (ops.expm1, np.expm1, evenly(-20, 88)),
    "expm1 around 0": (ops.expm1, np.expm1, evenly(-3, 3)),
    "expm1 near 0": (ops.expm1, np.expm1, powers_of_e(-103, 0)),
    "log": (ops.log, np.log, lambda r: np.exp(evenly(-103, 80)(r))),
    "log near 1": (ops.log, np.log, evenly(0.5, 2)),
    "log1p": (ops.log1p, np.log1p, evenly(-0.9, 3)),
    "log1p near -1": (ops.log1p, np.log1p, lambda r: np.abs(powers_of_e(-16, 0)(r)) - 1),
    "log1p near 0": (ops.log1p, np.log1p, powers_of_e(-103, -1)),
    "log1p, large": (ops.log1p, np.log1p, lambda r: np.exp(evenly(0, 88.7)(r))),
    "sin": (ops.sin, np.sin, evenly(-10, 10)),
    "sin, large": (ops.sin, np.sin, evenly(-1e6, 1e6)),
    "sin near 0": (ops.sin, np.sin, powers_of_e(-103, 0)),
    "sin at its zeros": (ops.sin, np.sin, multiples_of_half_pi),
    "cos": (ops.cos, np.cos, evenly(-10, 10)),
    "cos, large": (ops.cos, np.cos, evenly(-1e6, 1e6)),
    "cos at its zeros": (ops.cos, np.cos, multiples_of_half_pi),
    "tanh": (ops.tanh, np.tanh, evenly(-20, 20)),
    "tanh near 0": (ops.tanh, np.tanh, powers_of_e(-103, 0)),
    "tanh, where formulas change": (ops.tanh, np.tanh, evenly(0.5, 0.6)),
    "erf": (ops.erf, in_double(special.erf), evenly(-6, 6)),
    "erf near 0": (ops.erf, in_double(special.erf), powers_of_e(-103, 0)),
    "sigmoid": (ops.sigmoid, exact_sigmoid, evenly(-104, 80)),
    "sigmoid near 0": (ops.sigmoid, exact_sigmoid, evenly(-2, 2)),
    "softplus": (ops.softplus, lambda x: np.logaddexp(0, x), evenly(-104, 80)),
    "softplus near 0": (ops.softplus, lambda x: np.logaddexp(0, x), evenly(-2, 2)),
}

each_type = pytest.mark.parametrize("dtype", ["float32", "float64"])


def units_off(found, exact, dtype):
    """The largest error in units in the last place of the exact result."""
    unit = np.spacing(np.abs(exact.astype(dtype))).astype(np.longdouble)
    return float((np.abs(np.asarray(found) - exact) / unit).max())


@each_type
@pytest.mark.parametrize("name", RANGES)
def test_functions_are_within_two_or_three_units_in_the_last_place(name, dtype):
    function, exact, draw = RANGES[name]
    x = draw(np.random.default_rng(0)).astype(dtype)
    found = compile(function, backend="cpu")(x)
    assert units_off(found, exact(x.astype(np.longdouble)), dtype) < (2 if dtype == "float32" else 3)


UNARY = [
    ops.exp, ops.expm1, ops.log, ops.log1p, ops.sin, ops.cos, ops.tanh, ops.erf, ops.sigmoid, ops.softplus,
]  # fmt: skip
EDGES = [
    0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1, -1, 3, -3, 88.5, 89, -88, -103, -105, 709.5, 710, -710, -745, -746, 1e4,
    -1e4, 1.5e5, -2e8, 1e22,
]  # fmt: skip


def edges_of(dtype):
    limits = np.finfo(dtype)
    tiny = [limits.smallest_subnormal, 5 * limits.smallest_subnormal, limits.tiny]
    return np.array([*EDGES, *tiny, *(-x for x in tiny), limits.max, -limits.max], dtype)


def assert_same_values(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0)
    real = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[real], np.signbit(expected)[real])


@each_type
@pytest.mark.parametrize("function", UNARY)
def test_special_values_are_those_of_the_reference(function, dtype):
    x = edges_of(dtype)
    expected = np.asarray(compile(function, backend="reference")(x))
    assert_same_values(np.asarray(compile(function, backend="cpu")(x)), expected)


@each_type
@pytest.mark.parametrize("function", [ops.expm1, ops.log1p, ops.sin, ops.tanh])
def test_the_smallest_numbers_are_kept(function, dtype):
    x = np.finfo(dtype).smallest_subnormal * np.array([1, -1, 2, 3, -1001])
    np.testing.assert_array_equal(np.asarray(compile(function, backend="cpu")(x.astype(dtype))), x)


@each_type
@pytest.mark.parametrize("function", [ops.tanh, ops.erf])
def test_functions_reach_one_and_stay_there(function, dtype):
    x = np.linspace(20, 60, 1001).astype(dtype)
    found = np.asarray(compile(lambda x: (function(x), function(-x)), backend="cpu")(x))
    np.testing.assert_array_equal(found, [np.ones_like(x), -np.ones_like(x)])


# Angles beyond the reduction.


@each_type
@pytest.mark.parametrize(("function", "exact"), [(ops.sin, np.sin), (ops.cos, np.cos)])
def test_huge_angles_among_small_ones_are_exact(function, exact, dtype):
    r = np.random.default_rng(0)
    x = r.uniform(-10, 10, 5_003).astype(dtype)
    x[::37] = np.exp(r.uniform(11, 80, len(x[::37]))).astype(dtype)
    x[5::1000] = np.nan
    found, expected = np.asarray(compile(function, backend="cpu")(x)), exact(x.astype(np.longdouble))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    real = ~np.isnan(x)
    assert units_off(found[real], expected[real], dtype) < 2


@each_type
def test_huge_angles_inside_other_kernels(dtype):
    x = (np.arange(12 * 37).reshape(12, 37) * 1e4).astype(dtype)

    def function(x):
        return ops.sum(ops.cos(x) * ops.sin(x.T).T, axis=1), ops.sin(x @ x.T)

    found, expected = (compile(function, backend=b)(x) for b in ("cpu", "reference"))
    np.testing.assert_allclose(np.asarray(found[0]), np.asarray(expected[0]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(found[1]), np.sin(np.asarray(compile(lambda x: x @ x.T)(x))), atol=1e-6)


# Powers.


def power(x, y):
    with np.errstate(all="ignore"):
        return np.power(x, y)


def of_all_sizes(r, dtype, largest):
    """Bases of all sizes, and exponents for results of all sizes."""
    x = np.exp(evenly(-largest, largest)(r)).astype(dtype)
    return x, evenly(-1.15 * largest, largest)(r) / np.log(x.astype(float))


def near_one(r, dtype, largest):
    x = (1 + powers_of_e(-15, -1)(r)).astype(dtype)
    return x, evenly(-1.15 * largest, largest)(r) / np.log(x.astype(float))


def subnormal(r, dtype, largest):
    return np.exp(evenly(-1.05 * largest, -largest)(r)), evenly(-0.9, 1.1)(r)


def whole(r, dtype, largest):
    return r.choice([-1, 1], COUNT) * evenly(0.1, 9)(r), r.integers(-20, 21, COUNT)


@each_type
@pytest.mark.parametrize("draw", [of_all_sizes, near_one, subnormal, whole])
def test_powers_are_within_two_units_in_the_last_place(draw, dtype):
    x, y = (v.astype(dtype) for v in draw(np.random.default_rng(0), dtype, 87 if dtype == "float32" else 706))
    found = compile(lambda x, y: x**y, backend="cpu")(x, y)
    assert units_off(found, power(x.astype(np.longdouble), y.astype(np.longdouble)), dtype) < 2


@each_type
def test_powers_of_special_values_are_those_of_numpy(dtype):
    odd, even = 2.0**24 - 1, 2.0**24 + 2
    numbers = [2, -2, -0.5, 1.5, -1.5, 1e30, -1e30, odd, -odd, even, 1 + np.finfo(dtype).eps]
    edges = np.concatenate([edges_of(dtype), np.array(numbers, dtype)])
    x, y = (np.ascontiguousarray(v.ravel()) for v in np.meshgrid(edges, edges))
    found = np.asarray(compile(lambda x, y: ops.pow(x, y), backend="cpu")(x, y))
    # NumPy's own powers of float32 are less exact than ours.
    expected = power(x.astype(np.float64), y.astype(np.float64)) if dtype == "float32" else power(x, y)
    with np.errstate(all="ignore"):
        assert_same_values(found, expected.astype(dtype))
