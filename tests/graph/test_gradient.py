"""The gradient of a graph is a graph: old outputs first, then one gradient per chosen input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, NUMBER, VECTOR, graph_of, names, numbers, run

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.errors import DifferentiationError, ShapeError
from pellucid.graph import FORWARD_PASSES, Graph, gradient, gradient_with_inner, rewrite, trace, verify
from pellucid.op import Spec, scope


def loss(x: Any, w: Any) -> Any:
    with scope("head"):
        return (ops.tanh(x @ w) ** 2).sum()


WEIGHTS = Spec((3, 4), F32)


def test_the_gradient_graph_is_the_eager_gradient() -> None:
    graph = gradient(graph_of(loss, MATRIX, WEIGHTS), [1, 0])
    verify(graph)
    x, w = numbers(MATRIX), numbers(WEIGHTS, 1)
    value, by_w, by_x = run(graph, x, w)
    assert value == loss(x, w).item()
    for found, expected in zip((by_x, by_w), grad(loss, (0, 1))(x, w), strict=True):
        np.testing.assert_array_equal(found, expected.numpy())


def test_the_gradient_of_the_gradient_graph() -> None:
    first = gradient(graph_of(lambda x: (x**4).sum(), NUMBER), [0])
    second = gradient(first, [0], output=1)
    verify(second)
    assert [float(v) for v in run(second, 2.0)] == [16.0, 32.0, 48.0]


def test_backward_nodes_belong_to_the_layer_of_their_forward_node() -> None:
    graph = gradient(graph_of(loss, MATRIX, WEIGHTS), [1])
    assert {node.scope for node in graph.nodes if node.op.name in ("matmul", "transpose")} == {("head",)}


def test_an_input_without_influence_has_gradient_zero() -> None:
    graph = gradient(graph_of(lambda x, y: (x * 2).sum(), VECTOR, VECTOR), [1])
    assert run(graph, [1, 2, 3], [1, 2, 3])[1].tolist() == [0.0, 0.0, 0.0]


def test_the_loss_may_be_the_input_itself() -> None:
    assert [float(v) for v in run(gradient(graph_of(lambda x: x, NUMBER), [0]), 5.0)] == [5.0, 1.0]


def test_only_one_number_has_a_gradient() -> None:
    graph = graph_of(lambda x: (x.sum(), x * 2), VECTOR)
    gradient(graph, [0], output=0)
    with pytest.raises(ShapeError) as error:
        gradient(graph, [0], output=1)
    assert str(error.value) == "gradient: output 1 of graph f has shape [3], not one number"


def test_only_real_inputs_have_gradients() -> None:
    graph = graph_of(
        lambda x, i: ops.gather(x, i).sum(), VECTOR, Spec((2,), np.dtype("int64")), arg_names=["x", "labels"]
    )
    with pytest.raises(DifferentiationError) as error:
        gradient(graph, [1])
    assert str(error.value) == "gradient: input labels of graph f is int64[2], not a float."
    assert run(gradient(graph, [0]), [1, 2, 3], [0, 0])[1].tolist() == [2.0, 0.0, 0.0]


# The pairs that must be stable: found on the forward graph, so that their gradients are p - y.

CLASSES, BITS = 5, 7


def softmax_loss(z: Any, y: Any) -> Any:
    return -(y * ops.log(ops.softmax(z))).sum()


def guarded_softmax_loss(z: Any, y: Any) -> Any:
    return -(y * ops.log(ops.maximum(ops.softmax(z), 1e-7))).sum()


def sigmoid_loss(z: Any, y: Any) -> Any:
    p = ops.sigmoid(z)
    return -(y * ops.log(p) + (1 - y) * ops.log(1 - p)).sum()


def guarded_sigmoid_loss(z: Any, y: Any) -> Any:
    p = ops.sigmoid(z)
    return -(y * ops.log(ops.maximum(p, 1e-7)) + (1 - y) * ops.log(ops.maximum(1 - p, 1e-7))).sum()


def stable_gradient(function: Any, *specs: Spec) -> Graph:
    return rewrite(gradient(rewrite(graph_of(function, *specs), FORWARD_PASSES), [0]))


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("function", [softmax_loss, guarded_softmax_loss])
def test_softmax_with_cross_entropy_is_finite_and_its_gradient_p_minus_y(function: Any, size: float) -> None:
    spec = Spec((4, CLASSES), F32)
    z = (size * np.random.default_rng(0).choice([-1, 1], spec.shape)).astype("float32")
    y = np.eye(CLASSES, dtype="float32")[[0, 1, 2, 4]]
    value, by_z = run(stable_gradient(function, spec, spec), z, y)
    wide = z.astype("float64") - z.max(1, keepdims=True)
    p = np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    exact = -(y * (wide - np.log(np.exp(wide).sum(1, keepdims=True)))).sum()
    np.testing.assert_allclose(value, exact, rtol=1e-6)
    np.testing.assert_allclose(by_z, p - y, atol=1e-6)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("function", [sigmoid_loss, guarded_sigmoid_loss])
def test_sigmoid_with_binary_cross_entropy_is_finite_and_its_gradient_p_minus_y(function: Any, size: float) -> None:
    spec = Spec((BITS,), F32)
    z = (size * np.array([1, -1, 1, -1, 1, -1, 0])).astype("float32")
    y = np.array([1, 1, 0, 0, 0.5, 0.5, 1], "float32")
    value, by_z = run(stable_gradient(function, spec, spec), z, y)
    wide = z.astype("float64")
    exact = (y * np.logaddexp(0, -wide) + (1 - y) * np.logaddexp(0, wide)).sum()
    np.testing.assert_allclose(value, exact, rtol=1e-6)
    np.testing.assert_allclose(by_z, 1 / (1 + np.exp(-np.clip(wide, -700, 700))) - y, atol=1e-6)


@pytest.mark.parametrize("function", [softmax_loss, sigmoid_loss])
def test_without_the_stable_forms_the_same_losses_are_not_finite(function: Any) -> None:
    """So the tests above can fail."""
    spec = Spec((1, 2), F32)
    value, by_z = run(gradient(graph_of(function, spec, spec), [0]), [[-1e4, 1e4]], [[1.0, 0.0]])
    assert not (np.isfinite(value) and np.isfinite(by_z).all())


def test_the_stable_forms_leave_no_quotient_under_a_logarithm() -> None:
    spec = Spec((4, CLASSES), F32)
    assert "div" not in names(rewrite(graph_of(softmax_loss, spec, spec)))
    assert "sigmoid" not in names(rewrite(graph_of(sigmoid_loss, spec, spec)))


def test_thousands_of_nodes_have_a_gradient() -> None:
    def chain(x: Any) -> Any:
        y = x
        for _ in range(5000):
            y = y + x
        return y

    graph = rewrite(gradient(graph_of(chain, NUMBER), [0]))
    assert float(run(graph, 1.0)[1]) == 5001.0


def test_gradients_by_inner_values_are_those_met_on_the_way():
    def forward(x, w):
        z = x @ w
        a = ops.tanh(z)
        aside = ops.sum(ops.exp(w))
        return ops.sum(a * a), z, a, x, aside

    r = np.random.default_rng(0)
    x, w = r.normal(size=(3, 2)), r.normal(size=(2, 4))
    graph = trace(forward, x, w).graph
    found, known = gradient_with_inner(graph, [1], [1, 2, 3, 4])
    assert known == (1, 2)
    *_, by_w, by_z, by_a = run(found, x, w)
    a = np.tanh(x @ w)
    np.testing.assert_allclose(by_a, 2 * a)
    np.testing.assert_allclose(by_z, 2 * a * (1 - a * a))
    np.testing.assert_allclose(by_w, x.T @ by_z)


def test_inner_gradients_leave_the_others_as_they_are():
    def forward(x, w):
        z = x * w
        return ops.sum(ops.sin(z)), z

    graph = trace(forward, np.ones(3), np.ones(3)).graph
    plain, (more, known) = gradient(graph, [1]), gradient_with_inner(graph, [1], [1])
    assert known == (1,)
    assert str(Graph(more.name, more.inputs, more.constants, more.nodes, more.outputs[:-1])) == str(plain)
