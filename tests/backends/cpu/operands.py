"""Products of matrices in any order, with endings."""

import numpy as np

from pellucid import ops

ENDINGS = {
    "none": lambda z, b: z,
    "bias and activation": lambda z, b: ops.relu(z + b),
    "of the result's shape": lambda z, b: z * z - 0.5 * b,
}


def operands(rows, columns, inner, turned, ending="none", kind="float32", seed=0):
    """A function of three arrays, these arrays, and both operands as they are multiplied; ``turned`` names some."""
    r = np.random.default_rng(seed)
    a = r.normal(size=(inner, rows) if "a" in turned else (rows, inner)).astype(kind)
    b = r.normal(size=(columns, inner) if "b" in turned else (inner, columns)).astype(kind)
    c = r.normal(size=(rows, columns) if ending == "of the result's shape" else columns).astype(kind)

    def function(a, b, c):
        left, right = a.T if "a" in turned else a, b.T if "b" in turned else b
        return ENDINGS[ending](ops.matmul(left, right), c)

    return function, (a, b, c), (a.T if "a" in turned else a, b.T if "b" in turned else b)
