"""The accuracy of vector functions, in units in the last place of the exact result."""

import numpy as np
import pytest

from pellucid import compile, ops

RANGES = {
    "exp": (ops.exp, np.exp, lambda r: r.uniform(-87, 88, 50_001)),
    "exp near 0": (ops.exp, np.exp, lambda r: r.uniform(-1, 1, 50_001)),
    "log": (ops.log, np.log, lambda r: np.exp(r.uniform(-80, 80, 50_001))),
    "log near 1": (ops.log, np.log, lambda r: r.uniform(0.5, 2, 50_001)),
    "log1p": (ops.log1p, np.log1p, lambda r: r.uniform(-0.9, 3, 50_001)),
    "log1p near 0": (ops.log1p, np.log1p, lambda r: np.exp(r.uniform(-60, 0, 50_001))),
    "tanh": (ops.tanh, np.tanh, lambda r: r.uniform(-9, 9, 50_001)),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda r: r.uniform(-80, 80, 50_001)),
    "softplus": (ops.softplus, lambda x: np.logaddexp(0, x), lambda r: r.uniform(-80, 80, 50_001)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RANGES)
def test_functions_are_within_three_units_in_the_last_place(name, dtype):
    function, exact, draw = RANGES[name]
    x = draw(np.random.default_rng(0)).astype(dtype)
    expected = exact(x.astype(np.longdouble))
    found = np.asarray(compile(function, backend="cpu")(x))
    unit = np.spacing(np.abs(expected.astype(dtype))).astype(np.longdouble)
    assert float((np.abs(found - expected) / unit).max()) < 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [ops.exp, ops.log, ops.log1p, ops.tanh, ops.sigmoid, ops.softplus])
def test_special_values_are_those_of_the_reference(function, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e4, -1e4, tiny, np.finfo(dtype).max], dtype)
    expected = np.asarray(compile(function, backend="reference")(x))
    np.testing.assert_allclose(np.asarray(compile(function, backend="cpu")(x)), expected, rtol=1e-6, atol=0)
