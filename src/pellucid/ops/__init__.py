"""The operations: primitives by family, and the functions composed from them.

Everything here takes tensors, traced variables, NumPy arrays and Python numbers alike.
"""

from pellucid.ops.composite import (
    clip,
    cross_entropy,
    dot,
    elu,
    gelu,
    hard_sigmoid,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mean,
    norm,
    normalize,
    softmax,
    softsign,
    square,
    step,
    swish,
    variance,
)
from pellucid.ops.contraction import conv, matmul
from pellucid.ops.elementwise import (
    abs,
    add,
    ceil,
    cos,
    div,
    equal,
    erf,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    identity,
    is_finite,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    pow,
    relu,
    sigmoid,
    sign,
    sin,
    softplus,
    sqrt,
    stop_gradient,
    sub,
    tanh,
    where,
)
from pellucid.ops.indexing import (
    add_along_axis,
    concatenate,
    gather,
    one_hot,
    pad,
    scatter_add,
    stack,
    take_along_axis,
)
from pellucid.ops.movement import broadcast_to, expand_dims, flip, reshape, squeeze, sum, transpose
from pellucid.ops.pooling import avg_pool, max_pool
from pellucid.ops.promotion import cast, number_like
from pellucid.ops.random import fold_in, random_bits, random_key, random_normal, random_uniform
from pellucid.ops.reduction import argmax, argsort, cumsum, max, min, prod

__all__ = [
    "abs", "add", "add_along_axis", "argmax", "argsort", "avg_pool", "broadcast_to", "cast", "ceil", "clip",
    "concatenate", "conv", "cos", "cross_entropy", "cumsum", "div", "dot", "elu", "equal", "erf", "exp", "expand_dims",
    "expm1", "flip", "floor", "fold_in", "gather", "gelu", "greater", "greater_equal", "hard_sigmoid", "identity",
    "is_finite", "leaky_relu", "less", "less_equal", "log", "log1p", "log_sigmoid", "log_softmax", "logical_and",
    "logical_not", "logical_or", "logsumexp", "matmul", "max", "max_pool", "maximum", "mean", "min", "minimum", "mul",
    "neg", "norm", "normalize", "not_equal",
    "number_like", "one_hot", "pad", "pow", "prod", "random_bits", "random_key",
    "random_normal", "random_uniform", "relu", "reshape", "scatter_add", "sigmoid", "sign", "sin", "softmax",
    "softplus", "softsign", "sqrt", "square", "squeeze", "stack", "step", "stop_gradient", "sub", "sum", "swish",
    "take_along_axis", "tanh", "transpose", "variance", "where",
]  # fmt: skip
