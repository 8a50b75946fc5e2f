"""What every operation promises, on every sample, in both precisions and on every backend."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.contracts.samples import SAMPLES, Sample

from pellucid import backends
from pellucid.autodiff import grad, vjp
from pellucid.compile import compile
from pellucid.errors import DifferentiationError, DTypeError, ShapeError
from pellucid.graph import rewrite, trace, verify
from pellucid.op import REGISTRY, Spec, apply
from pellucid.tensor import Tensor

BACKENDS = [name for name in backends.names() if name != "auto"]
PRECISIONS = ("float32", "float64")
SMOOTH = [s for s in SAMPLES if s.differentiable and s.follows_gradient]

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)
each_smooth = pytest.mark.parametrize("sample", SMOOTH, ids=str)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def eager(sample: Sample, operands: tuple[np.ndarray, ...]) -> Tensor:
    return apply(sample.op, *operands, **sample.attributes)


def spread(x: np.ndarray) -> np.ndarray:
    """The same array, every second element of a larger one."""
    buffer = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view = buffer[(..., *(slice(0, 2 * n, 2) for n in x.shape))]
    view[...] = x
    return view


def reversed_in_memory(x: np.ndarray) -> np.ndarray:
    """The same array, stored last element first and last axis outermost."""
    backwards = (..., *(slice(None, None, -1) for _ in x.shape))
    return np.array(x[backwards], order="F")[backwards]


def assert_as_exact(actual: np.ndarray, expected: np.ndarray, backend: str) -> None:
    """The reference backend computes what eager does, bit by bit; other backends round otherwise."""
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    if backend == "reference" or expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
    else:
        tolerance = 2e-6 if expected.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_every_operation_has_a_sample() -> None:
    assert set(REGISTRY) - {sample.name for sample in SAMPLES} == set()


def test_every_sample_is_of_a_registered_operation_and_has_its_own_name() -> None:
    assert {sample.name for sample in SAMPLES} <= set(REGISTRY)
    assert len({str(sample) for sample in SAMPLES}) == len(SAMPLES)


@each_sample
@each_precision
def test_the_shape_rule_foretells_shape_and_type(sample: Sample, precision: str) -> None:
    operands = sample.cast(precision)
    foretold = sample.op.infer(*(Spec(x.shape, x.dtype) for x in operands), **sample.attributes)
    with np.errstate(all="ignore"):
        result = np.asarray(sample.op.forward(*operands, **sample.attributes))
    assert foretold == Spec(result.shape, result.dtype)
    assert eager(sample, operands).spec == foretold


@each_sample
def test_the_forward_leaves_its_operands_as_they_were(sample: Sample) -> None:
    operands = tuple(x.copy() for x in sample.operands)
    eager(sample, operands)
    for now, before in zip(operands, sample.operands, strict=True):
        np.testing.assert_array_equal(now, before)


@each_sample
@pytest.mark.parametrize("layout", [spread, reversed_in_memory])
def test_the_memory_layout_of_operands_does_not_matter(sample: Sample, layout: Callable) -> None:
    expected = eager(sample, sample.operands).numpy()
    actual = eager(sample, tuple(layout(x) for x in sample.operands)).numpy()
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=1e-14)
    else:
        np.testing.assert_array_equal(actual, expected)


@each_sample
@each_precision
@pytest.mark.parametrize("backend", BACKENDS)
def test_eager_traced_rewritten_and_compiled_agree(sample: Sample, precision: str, backend: str) -> None:
    operands = sample.cast(precision)
    expected = eager(sample, operands).numpy()

    def function(*values: Any) -> Any:
        return apply(sample.op, *values, **sample.attributes)

    graph = trace(function, *operands).graph
    verify(graph)
    (traced,) = backends.get(backend).compile(graph)(*operands)
    assert_as_exact(traced, expected, backend)

    rewritten = rewrite(graph)
    verify(rewritten)
    (after,) = backends.get(backend).compile(rewritten)(*operands)
    assert_as_exact(after, expected, backend)

    assert_as_exact(compile(function, backend)(*operands).numpy(), expected, backend)


@each_sample
def test_a_graph_of_constants_folds_to_the_eager_result(sample: Sample) -> None:
    graph = rewrite(trace(lambda: apply(sample.op, *map(Tensor.wrap, sample.operands), **sample.attributes)).graph)
    (folded,) = backends.get("reference").compile(graph)()
    np.testing.assert_array_equal(folded, eager(sample, sample.operands).numpy())


@each_sample
def test_printing_and_formula_name_every_operand(sample: Sample) -> None:
    names = [f"operand_{i}" for i in range(len(sample.operands))]
    graph = trace(lambda *xs: apply(sample.op, *xs, **sample.attributes), *sample.operands, arg_names=names).graph
    for name in names:
        assert name in str(graph)
        assert name in graph.table()


# Derivatives.


def along_floats(sample: Sample) -> tuple[Callable, list[np.ndarray]]:
    """The operation as a function of its differentiable operands alone, and those operands."""
    places = sample.differentiable

    def function(floats: list[Any]) -> Any:
        operands = list(sample.operands)
        for place, value in zip(places, floats, strict=True):
            operands[place] = value
        return apply(sample.op, *operands, **sample.attributes)

    return function, [sample.operands[i] for i in places]


def inner(left: Any, right: list[np.ndarray]) -> Any:
    """<left, right> over lists of arrays."""
    return sum((a * b).sum() for a, b in zip(left, right, strict=True))


def directions(points: list[np.ndarray], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(x.shape)) for x in points]


def central_difference(function: Callable, points: list, direction: list, step: float = 1e-6) -> float:
    """d/dt function(points + t direction), by a central difference."""
    ahead = function([np.asarray(x + step * d) for x, d in zip(points, direction, strict=True)])
    behind = function([np.asarray(x - step * d) for x, d in zip(points, direction, strict=True)])
    return (float(ahead) - float(behind)) / (2 * step)


@each_smooth
def test_the_gradient_is_the_central_difference(sample: Sample) -> None:
    function, points = along_floats(sample)
    (cotangent,) = directions([function(points).numpy()], 1)
    along = directions(points, 2)

    def number(xs: list) -> Any:
        return (function(xs) * cotangent).sum()

    gradient = grad(number)(points)
    assert [g.spec for g in gradient] == [Spec(x.shape, x.dtype) for x in points]
    expected = central_difference(number, points, along)
    np.testing.assert_allclose(float(inner(gradient, along)), expected, rtol=1e-7, atol=1e-7)


@each_smooth
def test_the_gradient_of_the_gradient_is_the_central_difference(sample: Sample) -> None:
    function, points = along_floats(sample)
    (cotangent,) = directions([function(points).numpy()], 1)
    first, second = directions(points, 2), directions(points, 3)

    def slope(xs: list) -> Any:
        return inner(grad(lambda ys: (function(ys) * cotangent).sum())(xs), first)

    gradient = grad(slope)(points)
    expected = central_difference(slope, points, second)
    np.testing.assert_allclose(float(inner(gradient, second)), expected, rtol=1e-6, atol=1e-6)


@each_smooth
def test_the_law_of_the_transpose(sample: Sample) -> None:
    """<u, J v> = <J' u, v>, where J v is the derivative of <J' u, v> by u."""
    function, points = along_floats(sample)
    result, pullback = vjp(function, points)
    (u,) = directions([result.numpy()], 4)
    v = directions(points, 5)
    (transposed,) = pullback(u)

    forward = grad(lambda start: inner(vjp(function, points)[1](start)[0], v))(u)
    np.testing.assert_allclose(float((forward * u).sum()), float(inner(transposed, v)), rtol=1e-12, atol=1e-12)

    difference = central_difference(lambda xs: (function(xs) * u).sum(), points, v)
    np.testing.assert_allclose(float((forward * u).sum()), difference, rtol=1e-7, atol=1e-7)


@each_smooth
def test_the_traced_gradient_is_the_eager_one(sample: Sample) -> None:
    function, points = along_floats(sample)
    (cotangent,) = directions([function(points).numpy()], 1)

    def gradients(*xs: Any) -> Any:
        return grad(lambda ys: (function(ys) * cotangent).sum())(list(xs))

    eagerly = gradients(*points)
    for one, other in zip(compile(gradients, "reference")(*points), eagerly, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.name == "stop_gradient"], ids=str)
def test_no_gradient_flows_through_stop_gradient(sample: Sample) -> None:
    gradient = grad(lambda x: (eager(sample, (x,)) + 2 * x).sum())(sample.operands[0])
    np.testing.assert_array_equal(gradient.numpy(), np.full(gradient.shape, 2.0))


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.op.vjp is None], ids=str)
def test_results_without_derivative_are_untracked_or_refused(sample: Sample) -> None:
    """A comparison or an index ends the path; a result of real numbers without a rule is an error, never a zero."""
    operands = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in sample.operands]
    result = apply(sample.op, *operands, **sample.attributes)
    assert not result.requires_grad
    assert result.record is None


@pytest.mark.parametrize(
    ("sample", "place"),
    [(s, i) for s in SAMPLES for i, x in enumerate(s.operands) if x.dtype.kind != "f"],
    ids=lambda value: str(value),
)
def test_whole_numbers_and_truths_have_no_gradient(sample: Sample, place: int) -> None:
    def function(x: Any) -> Any:
        operands = list(sample.operands)
        operands[place] = x
        return apply(sample.op, *operands, **sample.attributes)

    with pytest.raises(DTypeError) as error:
        grad(lambda x: function(x).sum())(sample.operands[place])
    x = sample.operands[place]
    assert str(error.value) == (
        f"grad: the argument is {Spec(x.shape, x.dtype)}; only float arrays have gradients.\n"
        "Hint: convert it with .astype('float32')"
    )


def test_a_missing_rule_of_a_real_operand_is_named() -> None:
    from pellucid.op import Op

    op = Op("without_derivative", lambda x: x, np.trunc, None)
    try:
        with pytest.raises(DifferentiationError) as error:
            grad(lambda x: apply(op, x).sum())(np.ones(3, "float32"))
    finally:
        del REGISTRY["without_derivative"]
    assert str(error.value) == (
        "without_derivative: the derivative with respect to x does not exist.\n"
        "  x: float32[3]\n"
        "Hint: use stop_gradient(...) where the gradient shall end"
    )


# Errors.

ELEMENTWISE_PAIRS = [name for name, op in REGISTRY.items() if op.broadcasts and len(op.operands) == 2]


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE_PAIRS if n not in ("matmul", "logical_and", "logical_or")])
def test_operands_of_two_types_are_refused(name: str) -> None:
    with pytest.raises(DTypeError, match=rf"^{name}: element types differ: float32 \(x\) != float64 \(y\)"):
        apply(REGISTRY[name], np.ones(2, "float32"), np.ones(2, "float64"))


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE_PAIRS if n != "matmul"])
def test_operands_that_do_not_broadcast_are_refused(name: str) -> None:
    dtype = "bool" if name.startswith("logical") else "float32"
    with pytest.raises(ShapeError, match=rf"^{name}: shapes \[2\] and \[3\] do not broadcast: 2 != 3 "):
        apply(REGISTRY[name], np.ones(2, dtype), np.ones(3, dtype))


@pytest.mark.parametrize(
    ("name", "kind"),
    list(itertools.product(("gather", "take_along_axis", "scatter_add", "add_along_axis"), ("float32", "bool"))),
)
def test_indices_that_are_no_integers_are_refused(name: str, kind: str) -> None:
    attributes = {"axis": 0} | ({"size": 2} if "add" in name else {})
    with pytest.raises(DTypeError, match=rf"^{name}: indices must be integers, not {kind}"):
        apply(REGISTRY[name], np.ones(2, "float32"), np.ones(2, kind), **attributes)
