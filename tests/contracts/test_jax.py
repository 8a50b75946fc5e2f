"""Values and derivatives to second order against an independent implementation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.contracts.samples import numbers

from pellucid import ops
from pellucid.autodiff import grad, jacobian
from pellucid.compile import compile

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
lax = pytest.importorskip("jax.lax")


@pytest.fixture(autouse=True, scope="module")
def double_precision() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@dataclass(frozen=True, eq=False)
class Case:
    """A function, written with ours and with theirs, and the point at which both are compared."""

    name: str
    ours: Callable
    theirs: Callable
    points: tuple[np.ndarray, ...]

    def __str__(self) -> str:
        return self.name


X = numbers(3, 4)
POSITIVE = numbers(3, 4, low=0.2, high=3.0)
Y = numbers(3, 4, seed=1)
IMAGE_1D, IMAGE_2D = numbers(2, 7, 4), numbers(2, 6, 5, 4)
LABELS = np.array([1, 3, 0])


def _unary() -> Iterator[Case]:
    for name in ("negative", "exp", "expm1", "sin", "cos", "tanh", "abs", "sign", "floor", "ceil"):
        yield Case(name, getattr(ops, {"negative": "neg"}.get(name, name)), getattr(jnp, name), (X,))
    for name in ("log", "log1p", "sqrt"):
        yield Case(name, getattr(ops, name), getattr(jnp, name), (POSITIVE,))
    for name in ("sigmoid", "softplus", "relu", "leaky_relu", "elu", "log_sigmoid", "log_softmax", "softmax", "swish"):
        yield Case(name, getattr(ops, name), getattr(jax.nn, name), (X,))
    yield Case("softsign", ops.softsign, jax.nn.soft_sign, (X,))
    yield Case("gelu", ops.gelu, lambda x: jax.nn.gelu(x, approximate=False), (X,))
    yield Case("gelu-tanh", lambda x: ops.gelu(x, approximate=True), jax.nn.gelu, (X,))
    yield Case("elu-2", lambda x: ops.elu(x, 2.0), lambda x: jax.nn.elu(x, 2.0), (X,))
    yield Case("leaky_relu-0.2", lambda x: ops.leaky_relu(x, 0.2), lambda x: jax.nn.leaky_relu(x, 0.2), (X,))
    yield Case("hard_sigmoid", ops.hard_sigmoid, jax.nn.hard_sigmoid, (4 * X,))
    yield Case("erf", ops.erf, lambda x: lax.erf(x), (X,))
    yield Case("clip", lambda x: ops.clip(x, -0.7, 0.9), lambda x: jnp.clip(x, -0.7, 0.9), (X,))
    yield Case("square", ops.square, jnp.square, (X,))
    yield Case("norm", ops.norm, jnp.linalg.norm, (X.ravel(),))


def _binary() -> Iterator[Case]:
    for ours, theirs in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("maximum",) * 2, ("minimum",) * 2):
        yield Case(ours, getattr(ops, ours), getattr(jnp, theirs), (X, Y[0]))
    yield Case("div", ops.div, jnp.divide, (X, POSITIVE))
    yield Case("pow", ops.pow, jnp.power, (POSITIVE, Y[:, :1]))
    yield Case("pow-whole", lambda x: x**3, lambda x: x**3, (X,))
    yield Case("pow-zero", lambda x: x**0, lambda x: x**0, (X,))
    yield Case("where", lambda x, y: ops.where(X > 0, x, y), lambda x, y: jnp.where(X > 0, x, y), (X, Y))
    yield Case("dot", ops.dot, lambda x, y: (x * y).sum(), (X, Y))


def _reductions() -> Iterator[Case]:
    for axes in (None, 0, (0, 1), -1):
        for keepdims in (False, True):
            for name, theirs in (("sum", jnp.sum), ("mean", jnp.mean), ("variance", jnp.var), ("max", jnp.max)):
                yield Case(
                    f"{name}-{axes}-{keepdims}",
                    functools.partial(getattr(ops, name), axis=axes, keepdims=keepdims),
                    functools.partial(theirs, axis=axes, keepdims=keepdims),
                    (X,),
                )
    for name, theirs in (("min", jnp.min), ("prod", jnp.prod), ("logsumexp", jax.nn.logsumexp)):
        yield Case(name, functools.partial(getattr(ops, name), axis=1), functools.partial(theirs, axis=1), (X,))
    yield Case("cumsum", lambda x: ops.cumsum(x, 0), lambda x: jnp.cumsum(x, 0), (X,))
    yield Case("softmax-0", lambda x: ops.softmax(x, 0), lambda x: jax.nn.softmax(x, 0), (X,))
    yield Case("prod-of-zeros", ops.prod, jnp.prod, (np.array([2.0, 0.0, 3.0, 0.0, 5.0]),))
    yield Case("max-of-ties", ops.max, jnp.max, (np.array([1.0, 3.0, 3.0, 2.0]),))
    yield Case(
        "normalize",
        lambda x: ops.normalize(x, -1, 1e-3),
        lambda x: (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-3),
        (X,),
    )


def _losses() -> Iterator[Case]:
    def with_labels(z: Any) -> Any:
        return ops.cross_entropy(ops.log_softmax(z), LABELS).mean()

    def with_rows(z: Any) -> Any:
        return ops.cross_entropy(ops.log_softmax(z), np.eye(4)[LABELS]).mean()

    def theirs(z: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(z), LABELS[:, None], 1).mean()

    yield Case("cross_entropy-labels", with_labels, theirs, (X,))
    yield Case("cross_entropy-rows", with_rows, theirs, (X,))


def _movement() -> Iterator[Case]:
    yield Case("transpose", lambda x: ops.transpose(x) * Y.T, lambda x: x.T * Y.T, (X,))
    yield Case("flip", lambda x: ops.flip(x, 1) * Y, lambda x: jnp.flip(x, 1) * Y, (X,))
    yield Case("index", lambda x: x[::-2, 1:3] ** 2, lambda x: x[::-2, 1:3] ** 2, (X,))
    yield Case("gather", lambda x: x[:, [3, 3, 0]] ** 2, lambda x: x[:, jnp.array([3, 3, 0])] ** 2, (X,))
    yield Case("stack", lambda x, y: ops.stack([x, y], 1) ** 2, lambda x, y: jnp.stack([x, y], 1) ** 2, (X, Y))
    yield Case(
        "pad",
        lambda x: ops.pad(x, (1, 0), (0, 2), (2, 1)) ** 2,
        lambda x: lax.pad(x, 0.0, ((1, 0, 2), (0, 2, 1))) ** 2,
        (X,),
    )
    for name, left, right in (
        ("matrix-matrix", (3, 4), (4, 2)),
        ("vector-matrix", (4,), (4, 2)),
        ("matrix-vector", (3, 4), (4,)),
        ("vector-vector", (4,), (4,)),
        ("batch-matrix", (2, 3, 4), (4, 2)),
        ("vector-batch", (4,), (2, 4, 3)),
        ("batch-batch", (2, 1, 2, 3), (2, 3, 1)),
    ):
        yield Case(f"matmul-{name}", ops.matmul, jnp.matmul, (numbers(*left), numbers(*right, seed=1)))


def _convolutions() -> Iterator[Case]:
    for name, image, kernel, options in (
        ("1d", IMAGE_1D, (3, 4, 2), {}),
        ("1d-same", IMAGE_1D, (3, 4, 2), {"padding": "same", "strides": 2}),
        ("1d-dilated", IMAGE_1D, (2, 4, 2), {"dilation": 3}),
        ("2d", IMAGE_2D, (3, 2, 4, 3), {}),
        ("2d-strides", IMAGE_2D, (3, 2, 4, 3), {"strides": (2, 3)}),
        ("2d-same", IMAGE_2D, (3, 2, 4, 3), {"padding": "same", "strides": (1, 2)}),
        ("2d-explicit", IMAGE_2D, (3, 3, 4, 2), {"padding": ((0, 2), (1, 0)), "strides": (3, 1)}),
        ("2d-number", IMAGE_2D, (3, 3, 4, 2), {"padding": 2}),
        ("2d-dilated", IMAGE_2D, (2, 2, 4, 2), {"dilation": (2, 3), "padding": 1}),
        ("2d-groups", IMAGE_2D, (3, 2, 2, 6), {"groups": 2, "padding": "same"}),
        ("2d-depthwise", IMAGE_2D, (2, 2, 1, 4), {"groups": 4, "strides": 2}),
        ("2d-pointwise", IMAGE_2D, (1, 1, 4, 3), {"strides": 2}),
        ("2d-all", IMAGE_2D, (2, 2, 2, 4), {"groups": 2, "dilation": 2, "strides": (1, 2), "padding": "same"}),
    ):
        weights = numbers(*kernel, seed=1)
        theirs = functools.partial(_their_convolution, rank=image.ndim - 2, **options)
        yield Case(f"conv-{name}", functools.partial(ops.conv, **options), theirs, (image, weights))


def _their_convolution(
    x: Any, w: Any, rank: int, strides: Any = 1, padding: Any = "valid", dilation: Any = 1, groups: int = 1
) -> Any:
    def pair(value: Any) -> Any:
        return (value,) * rank if isinstance(value, int) else value

    if isinstance(padding, int):
        padding = ((padding, padding),) * rank
    spatial = "HW"[:rank]
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=pair(strides),
        padding=padding.upper() if isinstance(padding, str) else padding,
        rhs_dilation=pair(dilation),
        feature_group_count=groups,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
    )


def _pools() -> Iterator[Case]:
    for name, image, window, strides, padding in (
        ("1d", IMAGE_1D, (2,), (2,), "VALID"),
        ("1d-same", IMAGE_1D, (3,), (2,), "SAME"),
        ("2d", IMAGE_2D, (2, 2), (2, 2), "VALID"),
        ("2d-overlapping", IMAGE_2D, (3, 2), (1, 1), "VALID"),
        ("2d-same", IMAGE_2D, (3, 3), (2, 2), "SAME"),
        ("2d-explicit", IMAGE_2D, (3, 2), (2, 1), ((1, 0), (0, 1))),
    ):
        ours = padding.lower() if isinstance(padding, str) else padding
        theirs = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
        sizes, steps = (1, *window, 1), (1, *strides, 1)

        def largest(x: Any, sizes: tuple = sizes, steps: tuple = steps, pads: Any = theirs) -> Any:
            return lax.reduce_window(x, -jnp.inf, lax.max, sizes, steps, pads)

        def average(x: Any, sizes: tuple = sizes, steps: tuple = steps, pads: Any = theirs) -> Any:
            total = lax.reduce_window(x, 0.0, lax.add, sizes, steps, pads)
            return total / lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, sizes, steps, pads)

        yield Case(f"max_pool-{name}", lambda x, a=(window, strides, ours): ops.max_pool(x, *a), largest, (image,))
        yield Case(f"avg_pool-{name}", lambda x, a=(window, strides, ours): ops.avg_pool(x, *a), average, (image,))


CASES = [
    *_unary(),
    *_binary(),
    *_reductions(),
    *_losses(),
    *_movement(),
    *_convolutions(),
    *_pools(),
]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def weighted(function: Callable, weights: Any) -> Callable:
    """A number that depends on every element of the result, each in its own way."""
    return lambda *xs: (function(*xs) * weights).sum()


def slope(gradient: Callable, function: Callable, weights: Any, along: Any) -> Callable:
    """The derivative of the weighted result along a direction, as a function of the point."""
    wrt = tuple(range(len(along)))

    def directional(*xs: Any) -> Any:
        parts = gradient(weighted(function, weights), wrt)(*xs)
        return sum((part * direction).sum() for part, direction in zip(parts, along, strict=True))

    return directional


@dataclass(frozen=True)
class Expected:
    """What jax makes of a case: the value, the gradients, and the gradients of a directional derivative."""

    value: Any
    first: tuple
    second: tuple
    weights: np.ndarray
    along: tuple[np.ndarray, ...]


@functools.cache
def expected(case: Case) -> Expected:
    wrt = tuple(range(len(case.points)))
    weights = numbers(*jax.eval_shape(case.theirs, *case.points).shape, seed=9)
    along = tuple(numbers(*x.shape, seed=5) for x in case.points)

    @jax.jit
    def everything(*xs: Any) -> Any:
        first = jax.grad(weighted(case.theirs, weights), wrt)(*xs)
        return case.theirs(*xs), first, jax.grad(slope(jax.grad, case.theirs, weights, along), wrt)(*xs)

    return Expected(*everything(*case.points), weights, along)


def assert_close(ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-12, atol=1e-12)


@each_case
def test_values_agree(case: Case) -> None:
    # As tensors, so that Python's operators in a case are ours.
    assert_close(case.ours(*(ops.identity(x) for x in case.points)), expected(case).value)


@each_case
def test_gradients_agree(case: Case) -> None:
    wrt = tuple(range(len(case.points)))
    gradient = grad(weighted(case.ours, expected(case).weights), wrt)
    results = zip(gradient(*case.points), compile(gradient)(*case.points), expected(case).first, strict=True)
    for eager, compiled, theirs in results:
        assert_close(eager, theirs)
        assert_close(compiled, theirs)


# The second derivative of a tie is a matter of convention.
SMOOTH = [case for case in CASES if case.name != "max-of-ties"]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_second_derivatives_agree(case: Case) -> None:
    wrt = tuple(range(len(case.points)))
    ours = grad(slope(grad, case.ours, expected(case).weights, expected(case).along), wrt)(*case.points)
    for one, theirs in zip(ours, expected(case).second, strict=True):
        assert_close(one, theirs)


def test_jacobian_and_third_derivative_agree() -> None:
    def ours(x: Any) -> Any:
        return ops.softmax(x * x) @ Y.T

    def theirs(x: Any) -> Any:
        return jax.nn.softmax(x * x) @ Y.T

    assert_close(jacobian(ours)(X[0]), jax.jacobian(theirs)(X[0]))
    third = jax.jit(jax.jacobian(jax.jacobian(jax.jacobian(theirs))))
    assert_close(jacobian(jacobian(jacobian(ours)))(X[0]), third(X[0]))
