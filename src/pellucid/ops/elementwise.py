"""Elementwise primitives: arithmetic, powers and exponentials, activations that need a stable form, comparisons.

Each primitive is one declaration; the function of the same name promotes its operands and applies it. Operands of
binary primitives broadcast; the reverse sweep sums the cotangents back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.errors import DTypeError
from pellucid.op import Op, Rule, Spec, apply
from pellucid.ops.promotion import cast, dtype_of, floating, operand, promote
from pellucid.shapes import broadcast

__all__ = [
    "abs", "add", "cast", "ceil", "cos", "div", "equal", "erf", "exp", "expm1", "floor", "greater", "greater_equal",
    "identity", "is_finite", "less", "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or",
    "maximum", "minimum", "mul", "neg", "not_equal", "pow", "relu", "sigmoid", "sign", "sin", "softplus", "sqrt",
    "stop_gradient", "sub", "tanh", "where",
]  # fmt: skip


def same(x: Spec) -> Spec:
    """The shape rule of unary operations."""
    return x


def numeric(x: Spec) -> Spec:
    """The shape rule of unary operations on numbers."""
    if x.dtype == dtypes.bool_:
        raise DTypeError("a bool is no number", hint="convert it with .astype('int32')")
    return x


def common(x: Spec, y: Spec) -> Spec:
    """The shape rule of binary operations: one type, shapes broadcast."""
    if x.dtype != y.dtype:
        raise DTypeError(f"element types differ: {x.dtype.name} (x) != {y.dtype.name} (y)")
    return Spec(broadcast(x.shape, y.shape), x.dtype)


def difference(x: Spec, y: Spec) -> Spec:
    """The shape rule of the subtraction, which booleans do not have."""
    return numeric(common(x, y))


def comparison(x: Spec, y: Spec) -> Spec:
    """The shape rule of comparisons."""
    return Spec(common(x, y).shape, dtypes.bool_)


def zero_derivative(ct: Any, out: Any, *operands: Any, **attributes: Any) -> None:
    """The vjp rule of piecewise constant functions: no cotangent flows."""


def _unary(name: str, forward: Callable, rule: Rule, formula: str = "", infer: Callable = same) -> Op:
    return Op(name, infer, forward, (rule,), formula or f"{name}({{0}})")


def _binary(name: str, forward: Callable, wrt_x: Rule, wrt_y: Rule, formula: str, infer: Callable = common) -> Op:
    return Op(name, infer, forward, (wrt_x, wrt_y), formula, broadcasts=True)


def _compare(name: str, forward: Callable, formula: str) -> Op:
    return Op(name, comparison, forward, None, formula, broadcasts=True)


# Arithmetic.

ADD = _binary("add", np.add, lambda ct, out, x, y: ct, lambda ct, out, x, y: ct, "{0} + {1}")
SUB = _binary("sub", np.subtract, lambda ct, out, x, y: ct, lambda ct, out, x, y: -ct, "{0} - {1}", difference)
MUL = _binary("mul", np.multiply, lambda ct, out, x, y: ct * y, lambda ct, out, x, y: ct * x, "{0} * {1}")
DIV = _binary("div", np.divide, lambda ct, out, x, y: ct / y, lambda ct, out, x, y: -ct * out / y, "{0} / {1}")
NEG = _unary("neg", np.negative, lambda ct, out, x: -ct, "-{0}", numeric)


def _pow_wrt_base(ct: Any, out: Any, x: Any, y: Any) -> Any:
    # d x^0 is 0 even at x = 0, where y x^(y-1) would be 0 * inf.
    return ct * y * pow(x, where(equal(y, 0), 1, y - 1))


def _pow_wrt_exponent(ct: Any, out: Any, x: Any, y: Any) -> Any:
    positive = greater(x, 0)
    return where(positive, ct * out * log(where(positive, x, 1)), 0)


POW = _binary("pow", np.power, _pow_wrt_base, _pow_wrt_exponent, "{0} ** {1}")


def _tie_half(x: Any, y: Any) -> Any:
    """1 where x wins, 1/2 where both are equal, 0 elsewhere."""
    return cast(greater(x, y), dtype_of(x)) + 0.5 * cast(equal(x, y), dtype_of(x))


MAXIMUM = _binary(
    "maximum",
    np.maximum,
    lambda ct, out, x, y: ct * _tie_half(x, y),
    lambda ct, out, x, y: ct * _tie_half(y, x),
    "max({0}, {1})",
)
MINIMUM = _binary(
    "minimum",
    np.minimum,
    lambda ct, out, x, y: ct * _tie_half(y, x),
    lambda ct, out, x, y: ct * _tie_half(x, y),
    "min({0}, {1})",
)

# Functions of one variable.

EXP = _unary("exp", np.exp, lambda ct, out, x: ct * out)
EXPM1 = _unary("expm1", np.expm1, lambda ct, out, x: ct * (out + 1))
LOG = _unary("log", np.log, lambda ct, out, x: ct / x)
LOG1P = _unary("log1p", np.log1p, lambda ct, out, x: ct / (1 + x))
SQRT = _unary("sqrt", np.sqrt, lambda ct, out, x: 0.5 * ct / out)
SIN = _unary("sin", np.sin, lambda ct, out, x: ct * cos(x))
COS = _unary("cos", np.cos, lambda ct, out, x: -ct * sin(x))
TANH = _unary("tanh", np.tanh, lambda ct, out, x: ct * (1 - out * out))
ABS = _unary("abs", np.abs, lambda ct, out, x: ct * sign(x), "|{0}|")
SIGN = _unary("sign", np.sign, zero_derivative, infer=numeric)
FLOOR = _unary("floor", np.floor, zero_derivative)
CEIL = _unary("ceil", np.ceil, zero_derivative)
IDENTITY = _unary("identity", np.array, lambda ct, out, x: ct, "{0}")
STOP_GRADIENT = _unary("stop_gradient", np.array, zero_derivative)
IS_FINITE = Op("is_finite", lambda x: Spec(x.shape, dtypes.bool_), np.isfinite, None)


def _erf(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf as scipy_erf  # costs 40 ms to import: only when used

    return scipy_erf(x)


ERF = _unary("erf", _erf, lambda ct, out, x: ct * (2 / math.sqrt(math.pi)) * exp(-x * x))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # exp(-|x|) never overflows, and keeps the digits of tiny results.
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


SIGMOID = _unary("sigmoid", _sigmoid, lambda ct, out, x: ct * out * (1 - out))
SOFTPLUS = _unary("softplus", _softplus, lambda ct, out, x: ct * sigmoid(x))
RELU = _unary("relu", lambda x: np.maximum(x, 0), lambda ct, out, x: where(greater(out, 0), ct, 0), infer=numeric)

# Comparisons and logic.

EQUAL = _compare("equal", np.equal, "{0} == {1}")
NOT_EQUAL = _compare("not_equal", np.not_equal, "{0} != {1}")
LESS = _compare("less", np.less, "{0} < {1}")
LESS_EQUAL = _compare("less_equal", np.less_equal, "{0} <= {1}")
GREATER = _compare("greater", np.greater, "{0} > {1}")
GREATER_EQUAL = _compare("greater_equal", np.greater_equal, "{0} >= {1}")
LOGICAL_AND = _compare("logical_and", np.logical_and, "{0} and {1}")
LOGICAL_OR = _compare("logical_or", np.logical_or, "{0} or {1}")
LOGICAL_NOT = Op("logical_not", lambda x: Spec(x.shape, dtypes.bool_), np.logical_not, None, "not {0}")


def _where_spec(condition: Spec, x: Spec, y: Spec) -> Spec:
    if condition.dtype != dtypes.bool_:
        raise DTypeError(f"the condition must be bool, not {condition.dtype.name}")
    return Spec(broadcast(condition.shape, common(x, y).shape), x.dtype)


WHERE = Op(
    "where",
    _where_spec,
    np.where,
    (
        None,
        lambda ct, out, condition, x, y: where(condition, ct, 0),
        lambda ct, out, condition, x, y: where(condition, 0, ct),
    ),
    "where({0}, {1}, {2})",
    broadcasts=True,
)


def add(x: Any, y: Any) -> Any:
    """x + y."""
    return apply(ADD, *promote(x, y))


def sub(x: Any, y: Any) -> Any:
    """x - y."""
    return apply(SUB, *promote(x, y))


def mul(x: Any, y: Any) -> Any:
    """x y, element by element."""
    return apply(MUL, *promote(x, y))


def div(x: Any, y: Any) -> Any:
    """x / y; integers become float32 first."""
    return apply(DIV, *floating(x, y))


def pow(x: Any, y: Any) -> Any:
    """x to the power y; integers become float32 first."""
    return apply(POW, *floating(x, y))


def maximum(x: Any, y: Any) -> Any:
    """The larger of x and y; where they are equal, each gets half the gradient."""
    return apply(MAXIMUM, *promote(x, y))


def minimum(x: Any, y: Any) -> Any:
    """The smaller of x and y; where they are equal, each gets half the gradient."""
    return apply(MINIMUM, *promote(x, y))


def neg(x: Any) -> Any:
    """-x."""
    return apply(NEG, *promote(x))


def abs(x: Any) -> Any:
    """|x|; the derivative at 0 is taken as 0."""
    return apply(ABS, *promote(x))


def sign(x: Any) -> Any:
    """-1, 0 or 1; its derivative is 0."""
    return apply(SIGN, *promote(x))


def floor(x: Any) -> Any:
    """The largest whole number not above x; its derivative is 0."""
    return apply(FLOOR, *floating(x))


def ceil(x: Any) -> Any:
    """The smallest whole number not below x; its derivative is 0."""
    return apply(CEIL, *floating(x))


def exp(x: Any) -> Any:
    """e to the power x."""
    return apply(EXP, *floating(x))


def expm1(x: Any) -> Any:
    """e to the power x, minus 1, exact near 0."""
    return apply(EXPM1, *floating(x))


def log(x: Any) -> Any:
    """The natural logarithm."""
    return apply(LOG, *floating(x))


def log1p(x: Any) -> Any:
    """log(1 + x), exact near 0."""
    return apply(LOG1P, *floating(x))


def sqrt(x: Any) -> Any:
    """The square root."""
    return apply(SQRT, *floating(x))


def sin(x: Any) -> Any:
    """The sine of an angle in radians."""
    return apply(SIN, *floating(x))


def cos(x: Any) -> Any:
    """The cosine of an angle in radians."""
    return apply(COS, *floating(x))


def tanh(x: Any) -> Any:
    """The hyperbolic tangent; d tanh(x) / dx = 1 - tanh(x)^2."""
    return apply(TANH, *floating(x))


def erf(x: Any) -> Any:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return apply(ERF, *floating(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow; its derivative is y (1 - y).

    >>> from pellucid import Tensor
    >>> sigmoid(Tensor([4.0, -2.0]))
    Tensor([0.98201376, 0.11920292])
    """
    return apply(SIGMOID, *floating(x))


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow; its derivative is the sigmoid."""
    return apply(SOFTPLUS, *floating(x))


def relu(x: Any) -> Any:
    """max(0, x); its derivative is 1 for x > 0 and 0 elsewhere, at 0 too."""
    return apply(RELU, *promote(x))


def identity(x: Any) -> Any:
    """x itself, as a new node of the graph."""
    return apply(IDENTITY, operand(x))


def stop_gradient(x: Any) -> Any:
    """x, but no gradient flows back through it."""
    return apply(STOP_GRADIENT, operand(x))


def is_finite(x: Any) -> Any:
    """Whether each element is neither NaN nor infinite."""
    return apply(IS_FINITE, operand(x))


def equal(x: Any, y: Any) -> Any:
    """x == y, element by element."""
    return apply(EQUAL, *promote(x, y))


def not_equal(x: Any, y: Any) -> Any:
    """x != y, element by element."""
    return apply(NOT_EQUAL, *promote(x, y))


def less(x: Any, y: Any) -> Any:
    """x < y, element by element."""
    return apply(LESS, *promote(x, y))


def less_equal(x: Any, y: Any) -> Any:
    """x <= y, element by element."""
    return apply(LESS_EQUAL, *promote(x, y))


def greater(x: Any, y: Any) -> Any:
    """x > y, element by element."""
    return apply(GREATER, *promote(x, y))


def greater_equal(x: Any, y: Any) -> Any:
    """x >= y, element by element."""
    return apply(GREATER_EQUAL, *promote(x, y))


def logical_and(x: Any, y: Any) -> Any:
    """x and y, of booleans."""
    return apply(LOGICAL_AND, operand(x), operand(y))


def logical_or(x: Any, y: Any) -> Any:
    """x or y, of booleans."""
    return apply(LOGICAL_OR, operand(x), operand(y))


def logical_not(x: Any) -> Any:
    """not x, of booleans."""
    return apply(LOGICAL_NOT, operand(x))


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, y elsewhere.

    >>> from pellucid import Tensor
    >>> where(Tensor([True, False]), Tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.])
    """
    return apply(WHERE, operand(condition), *promote(x, y))
