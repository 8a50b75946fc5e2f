"""Functions that are defined from the primitives: means, softmax, normalisation, activations, cross-entropies.

Each is a definition, written once. A backend may have a faster kernel for one; the definition is what that kernel is
tested against. Graph passes recognise combinations such as log(softmax(z)) and replace them by stable forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pellucid.dtypes import is_float
from pellucid.errors import ShapeError
from pellucid.ops.elementwise import (
    abs,
    cast,
    div,
    erf,
    exp,
    expm1,
    greater,
    greater_equal,
    less,
    log,
    maximum,
    minimum,
    mul,
    neg,
    sigmoid,
    softplus,
    sqrt,
    stop_gradient,
    sub,
    tanh,
    where,
)
from pellucid.ops.indexing import take_along_axis
from pellucid.ops.movement import expand_dims, shape_of, squeeze, sum
from pellucid.ops.promotion import dtype_of, floating, operand
from pellucid.ops.reduction import max
from pellucid.shapes import normalize_axes, size

Axes = int | Sequence[int] | None


def square(x: Any) -> Any:
    """x times x."""
    x = operand(x)
    return mul(x, x)


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The arithmetic mean over one or several axes, all by default.

    Raises:
        ShapeError: There is nothing to average.
    """
    (x,) = floating(x)
    shape = shape_of(x)
    count = size([shape[axis] for axis in normalize_axes(axis, len(shape))])
    if count == 0:
        raise ShapeError(f"mean: there are no elements to average in shape {list(shape)}")
    return mul(sum(x, axis, keepdims), 1.0 / count)


def variance(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The mean squared distance from the mean over axis (divided by n, not n - 1)."""
    (x,) = floating(x)
    return mean(square(sub(x, mean(x, axis, keepdims=True))), axis, keepdims)


def norm(x: Any) -> Any:
    """The Euclidean length of all elements together."""
    return sqrt(sum(square(x)))


def clip(x: Any, low: Any, high: Any) -> Any:
    """x, but not below ``low`` nor above ``high``."""
    return minimum(maximum(x, low), high)


def dot(x: Any, y: Any) -> Any:
    """The sum of products of two arrays of one shape."""
    return sum(mul(x, y))


def logsumexp(x: Any, axis: Axes = -1, keepdims: bool = False) -> Any:
    """log(sum(exp(x))), without overflow."""
    (x,) = floating(x)
    # The shift cancels in the result, so its own gradient is left out.
    shift = stop_gradient(max(x, axis, keepdims=True))
    total = log(sum(exp(sub(x, shift)), axis, keepdims=True)) + shift
    return total if keepdims else squeeze(total, axis)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis: positive numbers that add up to 1.

    >>> from pellucid import Tensor
    >>> softmax(Tensor([1.0, 2.0, 3.0]))
    Tensor([0.0900, 0.2447, 0.6652])
    """
    (x,) = floating(x)
    # Subtract the max first: exp overflows float32 above 88.
    raised = exp(sub(x, stop_gradient(max(x, axis, keepdims=True))))
    return div(raised, sum(raised, axis, keepdims=True))


def log_softmax(x: Any, axis: int = -1) -> Any:
    """The logarithm of softmax, exact where softmax underflows."""
    (x,) = floating(x)
    shifted = sub(x, stop_gradient(max(x, axis, keepdims=True)))
    return sub(shifted, log(sum(exp(shifted), axis, keepdims=True)))


def log_sigmoid(x: Any) -> Any:
    """The logarithm of the sigmoid, exact where the sigmoid underflows."""
    return neg(softplus(neg(x)))


def step(x: Any) -> Any:
    """The unit step: 1 for x >= 0, else 0; its derivative is 0."""
    (x,) = floating(x)
    return cast(greater_equal(x, 0), dtype_of(x))


def hard_sigmoid(x: Any) -> Any:
    """The sigmoid in three straight pieces: min(max(x / 6 + 1/2, 0), 1)."""
    (x,) = floating(x)
    return where(less(abs(x), 3), x * (1 / 6) + 0.5, cast(greater(x, 0), dtype_of(x)))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, else a small multiple of x."""
    (x,) = floating(x)
    return where(greater(x, 0), x, x * negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha (exp(x) - 1)."""
    (x,) = floating(x)
    positive = greater(x, 0)
    # The unused branch must stay finite: expm1 of the positive part would overflow, and 0 * inf is NaN.
    return where(positive, x, alpha * expm1(where(positive, 0.0, x)))


def gelu(x: Any, approximate: bool = False) -> Any:
    """x times the normal distribution function of x; ``approximate`` uses the tanh form."""
    (x,) = floating(x)
    if approximate:
        return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    (x,) = floating(x)
    return x / (1 + abs(x))


def swish(x: Any) -> Any:
    """x sigmoid(x), also called SiLU."""
    (x,) = floating(x)
    return x * sigmoid(x)


def normalize(x: Any, axis: Axes, epsilon: float) -> Any:
    """(x - mean) / sqrt(variance + epsilon) over the axes."""
    (x,) = floating(x)
    centred = sub(x, mean(x, axis, keepdims=True))
    return centred / sqrt(mean(square(centred), axis, keepdims=True) + epsilon)


def cross_entropy(log_probabilities: Any, targets: Any) -> Any:
    """-sum of targets times log-probabilities over the last axis; integer targets are class numbers."""
    targets = operand(targets)
    if is_float(dtype_of(targets)):
        return neg(sum(mul(targets, log_probabilities), -1))
    return neg(squeeze(take_along_axis(log_probabilities, expand_dims(targets, -1), -1), -1))
