"""Activations: formulas, derivatives, and what happens far from zero."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from pellucid import compile, grad, jacobian
from pellucid.errors import ConfigurationError
from pellucid.nn import activations
from pellucid.nn.activations import ACTIVATIONS

Function = Callable[[np.ndarray], np.ndarray]


def swish_slope(x: np.ndarray) -> np.ndarray:
    s = special.expit(x)
    return x * s + s * (1 - x * s)


#: Name -> f and f', written with NumPy and SciPy alone.
TABLE: dict[str, tuple[Function, Function]] = {
    "linear": (lambda x: x, np.ones_like),
    "step": (lambda x: np.where(x >= 0, 1.0, 0.0), np.zeros_like),
    "sigmoid": (special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "hard_sigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: np.where(np.abs(x) < 3, 1 / 6, 0.0)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "relu": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "gelu": (lambda x: x * stats.norm.cdf(x), lambda x: stats.norm.cdf(x) + x * stats.norm.pdf(x)),
    "softplus": (lambda x: np.logaddexp(0, x), special.expit),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "swish": (lambda x: x * special.expit(x), swish_slope),
}

# No multiple of 3 is among the points, so that none lies on a kink.
POINTS = np.linspace(-7.9, 7.8, 60)

elementwise = pytest.mark.parametrize("name", TABLE)
every = pytest.mark.parametrize("name", ACTIVATIONS)


def slopes(name: str, x: np.ndarray) -> np.ndarray:
    """f'(x) by automatic differentiation."""
    return np.asarray(grad(lambda v: activations.get(name)(v).sum())(x))


def test_every_activation_is_checked_here() -> None:
    assert set(ACTIVATIONS) == {*TABLE, "softmax"}


def test_the_documented_table_names_every_activation() -> None:
    rows = re.findall(r"^(\w+)  ", activations.__doc__ or "", re.MULTILINE)
    assert rows == ["name", *ACTIVATIONS]


@elementwise
def test_values_are_the_formula(name: str) -> None:
    rounding = 8 * np.finfo("float64").eps  # of a number as large as the points
    np.testing.assert_allclose(activations.get(name)(POINTS), TABLE[name][0](POINTS), rtol=1e-13, atol=rounding)


@elementwise
def test_slopes_are_the_tables_derivative(name: str) -> None:
    np.testing.assert_allclose(slopes(name, POINTS), TABLE[name][1](POINTS), rtol=1e-11, atol=1e-15)


@elementwise
def test_slopes_agree_with_finite_differences(name: str) -> None:
    h = 1e-6
    f: Any = activations.get(name)
    numerical = (np.asarray(f(POINTS + h)) - np.asarray(f(POINTS - h))) / (2 * h)
    np.testing.assert_allclose(slopes(name, POINTS), numerical, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        # Without hard_sigmoid: torch keeps its 1/6 in float32.
        ("sigmoid", "sigmoid"), ("tanh", "tanh"), ("relu", "relu"),
        ("leaky_relu", "leaky_relu"), ("elu", "elu"), ("gelu", "gelu"), ("softplus", "softplus"),
        ("softsign", "softsign"), ("swish", "silu"),
    ],
)  # fmt: skip
def test_values_and_slopes_are_those_of_torch(name: str, peer: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(POINTS, requires_grad=True)
    y = getattr(torch.nn.functional, peer)(x)
    y.sum().backward()
    # torch's softplus returns x itself above 20; the points stay below.
    np.testing.assert_allclose(activations.get(name)(POINTS), y.detach().numpy(), rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(slopes(name, POINTS), x.grad.numpy(), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        ("step", 0.0, 1, 0),
        ("relu", 0.0, 0, 0),
        ("leaky_relu", 0.0, 0, 0.01),
        ("elu", 0.0, 0, 1),
        ("hard_sigmoid", 3.0, 1, 0),
        ("hard_sigmoid", -3.0, 0, 0),
        ("softsign", 0.0, 0, 1),
    ],
)
def test_at_a_kink_the_tables_side_is_taken(name: str, x: float, value: float, slope: float) -> None:
    at = np.array([x])
    assert np.asarray(activations.get(name)(at)).tolist() == [value]
    assert slopes(name, at).tolist() == [slope]


LIMITS = {
    "linear": (-1000, 1000), "step": (0, 1), "sigmoid": (0, 1), "hard_sigmoid": (0, 1), "tanh": (-1, 1),
    "relu": (0, 1000), "leaky_relu": (-10, 1000), "elu": (-1, 1000), "gelu": (0, 1000), "softplus": (0, 1000),
    "softsign": (-1000 / 1001, 1000 / 1001), "swish": (0, 1000),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@elementwise
def test_far_from_zero_values_and_slopes_are_finite_and_right(name: str, dtype: str) -> None:
    far = np.array([-1000.0, 1000.0], dtype)
    value = np.asarray(activations.get(name)(far))
    assert value.dtype == dtype
    np.testing.assert_allclose(value, LIMITS[name], rtol=1e-6, atol=1e-30)
    with np.errstate(over="ignore"):  # cosh
        expected = TABLE[name][1](far.astype("float64"))
    rounding = 2 * np.finfo(dtype).eps / 1000  # of the two terms 1 / 1001 whose difference is softsign's slope
    np.testing.assert_allclose(slopes(name, far), expected, rtol=1e-6, atol=rounding)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_far_from_zero_is_one_hot_with_finite_slopes(dtype: str) -> None:
    x = np.array([[-1000.0, 1000.0, 0.0]], dtype)
    assert np.asarray(activations.get("softmax")(x)).tolist() == [[0, 1, 0]]
    assert np.asarray(grad(lambda v: activations.get("softmax")(v)[0, 1])(x)).tolist() == [[0, 0, 0]]


def test_softmax_of_the_lectures() -> None:
    y = np.asarray(activations.get("softmax")(np.array([[1.0, 2, 3, 4, 1, 2, 3]])))
    assert y.round(3).tolist() == [[0.024, 0.064, 0.175, 0.475, 0.024, 0.064, 0.175]]


def test_softmax_is_scipys_on_every_row() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5)) * 10
    np.testing.assert_allclose(activations.get("softmax")(x), special.softmax(x, axis=-1), rtol=1e-13)


def test_the_jacobian_of_softmax_is_the_tables() -> None:
    x = np.array([0.3, -1.0, 2.0, 0.0])
    f = special.softmax(x)
    np.testing.assert_allclose(
        jacobian(activations.get("softmax"))(x), f[:, None] * (np.eye(4) - f), rtol=1e-12, atol=1e-15
    )


@every
def test_compiled_equals_eager(name: str) -> None:
    x = POINTS.reshape(6, 10).astype("float32")
    # 1 + erf(x / sqrt 2) cancels left of 0: one unit in the last place of erf, 2^-24, moves gelu by |x| 2^-25, and two
    # good error functions are up to three units apart; |x| < 6 where anything is left.
    atol = 3 * 6 * 2.0**-25 if name == "gelu" else 1e-7
    np.testing.assert_allclose(compile(activations.get(name))(x), activations.get(name)(x), rtol=2e-6, atol=atol)


def test_none_is_linear_and_a_function_is_itself() -> None:
    assert activations.get(None) is activations.linear
    assert activations.get(np.tanh) is np.tanh


def test_an_unknown_name_gets_the_nearest_spelling() -> None:
    with pytest.raises(ConfigurationError) as error:
        activations.get("sigmod")
    assert str(error.value) == (
        "Unknown activation 'sigmod'; known are: elu, gelu, hard_sigmoid, leaky_relu, linear, relu, sigmoid, softmax, "
        "softplus, softsign, step, swish, tanh.\nHint: did you mean 'sigmoid'?"
    )


def test_what_is_neither_name_nor_function_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^An activation must be a name or a function, not 5\.$"):
        activations.get(5)  # type: ignore[arg-type]
