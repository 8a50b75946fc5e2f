"""Sample operands for every registered operation: what the contract tests are run on.

Operands are float64 where they are real numbers; the tests convert them to float32 as well, and lay them out in memory
in several ways. Values keep their distance from kinks (ties, integers under floor, zero under abs).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import pellucid.ops
from pellucid.op import REGISTRY, Op


@dataclass(frozen=True, eq=False)
class Sample:
    """Operands and attributes of one call.

    Attributes:
        follows_gradient: Whether the vjp rule is the derivative (stop_gradient's is not, on purpose).
    """

    name: str
    operands: tuple[np.ndarray, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    follows_gradient: bool = True

    @property
    def op(self) -> Op:
        return REGISTRY[self.name]

    def cast(self, dtype: Any) -> tuple[np.ndarray, ...]:
        """The operands, real ones with the given type."""
        return tuple(x.astype(dtype) if x.dtype.kind == "f" else x for x in self.operands)

    @property
    def differentiable(self) -> tuple[int, ...]:
        """Which operands have a derivative."""
        return tuple(i for i, x in enumerate(self.operands) if x.dtype.kind == "f" and self.op.rule(i) is not None)

    def __str__(self) -> str:
        shapes = "-".join(f"{x.dtype.name}{'x'.join(map(str, x.shape)) or '_'}" for x in self.operands)
        notes = "-".join(f"{key}={value}" for key, value in self.attributes.items())
        return f"{self.name}-{shapes}" + (f"-{notes}".replace(" ", "") if notes else "")


def numbers(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    """Distinct numbers between two bounds, in random order, none nearer to its neighbour than a quarter step.

    Halves and whole numbers (kinks of rounding and of absolute values) keep the same distance.
    """
    count = int(np.prod(shape))
    rng = np.random.default_rng(seed + 1000 * count)
    step = (high - low) / max(count, 1)
    values = low + step * (np.arange(count) + 0.5 + rng.uniform(-0.2, 0.2, count))
    near = np.abs(2 * values - np.round(2 * values)) < 0.02
    return rng.permutation(np.where(near, values + 0.013, values)).reshape(shape)


def whole(*shape: int, low: int = 0, high: int = 3, dtype: str = "int32", seed: int = 0) -> np.ndarray:
    """Random whole numbers from ``low`` to below ``high``."""
    return np.random.default_rng(seed + 7).integers(low, high, shape).astype(dtype)


def truths(*shape: int, seed: int = 0) -> np.ndarray:
    """Random booleans."""
    return np.random.default_rng(seed + 3).random(shape) < 0.5


_SHAPES = ((), (0,), (1,), (3, 4), (2, 0, 3))
_PAIRS = (
    ((), ()),
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3), (1, 1)),
    ((0,), (1,)),
    ((0, 3), (2, 1, 3)),
)

# Where each function of one real variable is defined.
_DOMAINS = {"log": (0.2, 3.0), "sqrt": (0.2, 3.0), "log1p": (-0.7, 2.0)}
_REAL_UNARY = (
    "neg", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "abs", "sign", "floor", "ceil", "identity",
    "erf", "sigmoid", "softplus", "relu",
)  # fmt: skip
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def _elementwise() -> Iterator[Sample]:
    for name in _REAL_UNARY:
        low, high = _DOMAINS.get(name, (-2.0, 2.0))
        for shape in _SHAPES:
            yield Sample(name, (numbers(*shape, low=low, high=high),))
    for name in ("neg", "abs", "sign", "identity", "relu", "is_finite"):
        yield Sample(name, (whole(3, low=-2),))
    for shape in _SHAPES:
        yield Sample("stop_gradient", (numbers(*shape),), follows_gradient=False)
        yield Sample("is_finite", (numbers(*shape),))
        yield Sample("logical_not", (truths(*shape),))
    yield Sample("is_finite", (np.array([1.0, np.nan, np.inf, -np.inf]),))
    for name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum"):
        for left, right in _PAIRS:
            low = 0.3 if name in ("div", "pow") else -2.0
            yield Sample(name, (numbers(*left, low=low), numbers(*right, low=low, high=1.9, seed=1)))
    yield Sample("div", (numbers(2, 4), numbers(2, 4, low=-3.0, high=-0.5, seed=1)))
    for name in ("add", "sub", "mul", "maximum", "minimum"):
        yield Sample(name, (whole(3, 4, low=-3), whole(4, low=-3, seed=1)))
        yield Sample(name, (whole(4, dtype="uint8"), whole(4, dtype="uint8", seed=1)))
    for name in _COMPARISONS:
        for left, right in _PAIRS:
            yield Sample(name, (numbers(*left), numbers(*right, seed=1)))
        yield Sample(name, (whole(5, 4), whole(4, seed=1)))
    for name in ("logical_and", "logical_or"):
        for left, right in _PAIRS:
            yield Sample(name, (truths(*left), truths(*right, seed=1)))
    for left, right in _PAIRS:
        yield Sample("where", (truths(*left), numbers(*right), numbers(*left, seed=1)))
    yield Sample("where", (truths(2, 1, 3), numbers(4, 1), numbers(seed=1)))
    yield Sample("where", (truths(3), whole(3), whole(3, seed=1)))


def _casts() -> Iterator[Sample]:
    real, small = np.dtype("float64"), np.dtype("int8")
    yield Sample("cast", (numbers(3, 4),), {"dtype": real})
    yield Sample("cast", (numbers(0, 4),), {"dtype": np.dtype("float32")}, follows_gradient=False)
    yield Sample("cast", (numbers(),), {"dtype": np.dtype("int32")}, follows_gradient=False)
    yield Sample("cast", (whole(3),), {"dtype": real})
    yield Sample("cast", (whole(3),), {"dtype": small})
    yield Sample("cast", (truths(3),), {"dtype": small})
    yield Sample("cast", (whole(1),), {"dtype": np.dtype("bool")})


def _movement() -> Iterator[Sample]:
    for old, new in (((2, 6), (3, 4)), ((6,), (1, 2, 3)), ((1,), ()), ((), (1, 1)), ((0, 3), (2, 0))):
        yield Sample("reshape", (numbers(*old),), {"shape": new})
    yield Sample("reshape", (whole(4),), {"shape": (2, 2)})
    for shape, axes in (((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((), ()), ((0, 2), (1, 0)), ((1, 1), (1, 0))):
        yield Sample("transpose", (numbers(*shape),), {"axes": axes})
    for shape, axes in (((4,), (0,)), ((2, 3), (0, 1)), ((2, 3), (1,)), ((0, 3), (0,)), ((), ())):
        yield Sample("flip", (numbers(*shape),), {"axes": axes})
    for old, new in (((), (2, 3)), ((3,), (2, 3)), ((3, 1), (3, 4)), ((1,), (0,)), ((0, 1), (0, 3)), ((2,), (2,))):
        yield Sample("broadcast_to", (numbers(*old),), {"shape": new})
    for shape, axes in (((3, 4), (0,)), ((3, 4), (0, 1)), ((2, 3, 4), (0, 2)), ((0, 3), (0,)), ((1,), (0,)), ((), ())):
        for keepdims in (False, True):
            yield Sample("sum", (numbers(*shape),), {"axes": axes, "keepdims": keepdims})
    yield Sample("sum", (whole(3, 4),), {"axes": (1,), "keepdims": False})


def _reductions() -> Iterator[Sample]:
    for shape, axes in (((3, 4), (0,)), ((3, 4), (0, 1)), ((2, 3, 4), (1,)), ((1,), (0,)), ((0, 3), (1,))):
        for keepdims in (False, True):
            yield Sample("max", (numbers(*shape),), {"axes": axes, "keepdims": keepdims})
            yield Sample("min", (numbers(*shape),), {"axes": axes, "keepdims": keepdims})
    yield Sample("max", (whole(5, low=-9, high=-1),), {"axes": (0,), "keepdims": False})
    yield Sample("min", (whole(5, dtype="uint8"),), {"axes": (0,), "keepdims": False})
    for shape, axis in (((4,), 0), ((3, 4), 0), ((3, 4), 1), ((1,), 0), ((0, 2), 1)):
        yield Sample("argmax", (numbers(*shape),), {"axis": axis})
        yield Sample("argsort", (numbers(*shape),), {"axis": axis})
        yield Sample("cumsum", (numbers(*shape),), {"axis": axis})
    yield Sample("argmax", (np.array([1, 3, 3, 0]),), {"axis": 0})
    yield Sample("argsort", (whole(9),), {"axis": 0})
    yield Sample("argsort", (numbers(0),), {"axis": 0})
    yield Sample("cumsum", (numbers(0, 3),), {"axis": 0})
    yield Sample("cumsum", (whole(3, 2),), {"axis": 1})


def _indexing() -> Iterator[Sample]:
    for shape, starts, stops, steps in (
        ((5,), (1,), (5,), (2,)),
        ((5,), (2,), (2,), (1,)),
        ((4, 6), (0, 1), (4, 6), (3, 2)),
        ((3,), (0,), (3,), (1,)),
        ((0,), (0,), (0,), (1,)),
        ((), (), (), ()),
        ((2, 5), (1, 0), (2, 4), (1, 3)),
    ):
        yield Sample("slice", (numbers(*shape),), {"starts": starts, "stops": stops, "steps": steps})
    for shape, low, high, interior in (
        ((3,), (1,), (2,), (0,)),
        ((3,), (0,), (0,), (2,)),
        ((2, 3), (1, 0), (0, 2), (1, 3)),
        ((0,), (1,), (2,), (3,)),
        ((1,), (0,), (0,), (5,)),
        ((), (), (), ()),
    ):
        yield Sample("pad", (numbers(*shape),), {"low": low, "high": high, "interior": interior})
    yield Sample("pad", (whole(3),), {"low": (1,), "high": (1,), "interior": (0,)})
    yield Sample("concatenate", (numbers(2, 3), numbers(2, 1, seed=1), numbers(2, 0)), {"axis": 1})
    yield Sample("concatenate", (numbers(1), numbers(2)), {"axis": 0})
    yield Sample("concatenate", (numbers(0, 3), numbers(0, 3)), {"axis": 0})
    yield Sample("concatenate", (numbers(4),), {"axis": 0})
    yield Sample("concatenate", (whole(2), whole(3)), {"axis": 0})
    for dtype in ("int32", "int64", "uint8", "int8", "uint64"):
        yield Sample("gather", (numbers(3, 2), whole(4, dtype=dtype)), {"axis": 0})
        yield Sample("take_along_axis", (numbers(2, 3), whole(2, 4, dtype=dtype)), {"axis": 1})
        yield Sample("scatter_add", (numbers(4, 2), whole(4, dtype=dtype)), {"size": 3, "axis": 0})
        yield Sample("add_along_axis", (numbers(2, 4), whole(2, 4, dtype=dtype)), {"size": 3, "axis": 1})
    yield Sample("gather", (numbers(2, 3, 2), whole(2, 2)), {"axis": 1})
    yield Sample("gather", (numbers(2, 3), np.asarray(2)), {"axis": 1})
    yield Sample("gather", (numbers(3, 2), whole(0)), {"axis": 0})
    yield Sample("gather", (whole(3, high=9), whole(2)), {"axis": 0})
    yield Sample("scatter_add", (numbers(2, 2, 2, 2), whole(2, 2)), {"size": 3, "axis": 1})
    yield Sample("scatter_add", (numbers(2), np.asarray(1)), {"size": 3, "axis": 1})
    yield Sample("scatter_add", (numbers(0, 2), whole(0)), {"size": 3, "axis": 0})
    yield Sample("take_along_axis", (numbers(3, 2), whole(1, 2)), {"axis": 0})
    yield Sample("take_along_axis", (numbers(2, 3), whole(2, 0)), {"axis": 1})
    yield Sample("add_along_axis", (numbers(5, 2), whole(5, 2)), {"size": 3, "axis": 0})
    yield Sample("add_along_axis", (numbers(2, 0), whole(2, 0)), {"size": 3, "axis": 1})


def _contractions() -> Iterator[Sample]:
    for left, right in (
        ((2, 3), (3, 4)),
        ((1, 1), (1, 1)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 1)),
        ((2, 3), (5, 3, 4)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((0, 2, 3), (1, 3, 4)),
    ):
        yield Sample("matmul", (numbers(*left), numbers(*right, seed=1)))
    yield Sample("matmul", (whole(2, 3), whole(3, 2)))
    for image, kernel, window in _CONVOLUTIONS:
        x, w = numbers(*image), numbers(*kernel, seed=1)
        out = REGISTRY["conv"].infer(pellucid.op.Spec(image, x.dtype), pellucid.op.Spec(kernel, w.dtype), **window)
        ct = numbers(*out.shape, seed=2)
        yield Sample("conv", (x, w), window)
        yield Sample("conv_input_grad", (ct, w), {"shape": image, **window})
        yield Sample("conv_kernel_grad", (x, ct), {"shape": kernel, **window})


def _window(strides: tuple, pads: tuple, dilation: tuple, groups: int = 1) -> dict[str, Any]:
    return {"strides": strides, "pads": pads, "dilation": dilation, "groups": groups}


_CONVOLUTIONS = (
    ((2, 6, 2), (3, 2, 3), _window((1,), ((0, 0),), (1,))),
    ((1, 7, 2), (2, 2, 1), _window((3,), ((1, 2),), (2,))),
    ((1, 1, 1), (1, 1, 1), _window((1,), ((0, 0),), (1,))),
    ((0, 5, 2), (3, 2, 3), _window((2,), ((1, 1),), (1,))),
    ((2, 5, 4), (3, 2, 6), _window((1,), ((1, 1),), (1,), groups=2)),
    ((2, 5, 6, 2), (3, 2, 2, 3), _window((2, 1), ((1, 1), (0, 1)), (1, 1))),
    ((1, 6, 5, 3), (2, 2, 1, 6), _window((1, 2), ((0, 0), (1, 0)), (2, 1), groups=3)),
    ((1, 5, 5, 1), (2, 2, 1, 1), _window((3, 3), ((0, 0), (0, 0)), (1, 1))),
)


def _pooling() -> Iterator[Sample]:
    for image, window in (
        ((2, 6, 3), {"window": (2,), "strides": (2,), "pads": ((0, 0),)}),
        ((1, 7, 1), {"window": (3,), "strides": (2,), "pads": ((1, 1),)}),
        ((1, 1, 1), {"window": (1,), "strides": (1,), "pads": ((0, 0),)}),
        ((0, 4, 2), {"window": (2,), "strides": (1,), "pads": ((0, 1),)}),
        ((2, 5, 4, 2), {"window": (3, 2), "strides": (1, 2), "pads": ((1, 1), (0, 1))}),
        ((1, 5, 5, 1), {"window": (2, 2), "strides": (3, 3), "pads": ((0, 0), (0, 0))}),
    ):
        x = numbers(*image)
        out = REGISTRY["window_sum"].infer(pellucid.op.Spec(image, x.dtype), **window)
        yield Sample("max_pool_index", (x,), window)
        yield Sample("window_sum", (x,), window)
        yield Sample("window_spread", (numbers(*out.shape),), {"shape": image, **window})
    yield Sample("max_pool_index", (whole(1, 5, 1, low=-5),), {"window": (2,), "strides": (1,), "pads": ((1, 0),)})
    yield Sample("window_sum", (whole(1, 5, 1),), {"window": (2,), "strides": (1,), "pads": ((1, 0),)})


def _random() -> Iterator[Sample]:
    key = np.array([7, 11], np.uint32)
    for shape in ((), (0,), (1,), (3, 5)):
        yield Sample("random_bits", (key,), {"shape": shape})
        for dtype in ("float32", "float64"):
            yield Sample("random_uniform", (key,), {"shape": shape, "dtype": np.dtype(dtype)})
    yield Sample("fold_in", (key, np.asarray(3, np.uint32)))


SAMPLES: tuple[Sample, ...] = (
    *_elementwise(),
    *_casts(),
    *_movement(),
    *_reductions(),
    *_indexing(),
    *_contractions(),
    *_pooling(),
    *_random(),
)
