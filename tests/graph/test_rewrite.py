"""The passes: each does what it says, none changes a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, VECTOR, assert_same_numbers, graph_of, names, run

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.graph import FORWARD_PASSES, PASSES, rewrite, verify
from pellucid.graph.rewrite import (
    eliminate_common,
    eliminate_dead,
    erase_markers,
    fold_constants,
    simplify,
)
from pellucid.op import Spec, scope


def test_passes_have_names_and_purposes() -> None:
    for one in (*PASSES, *FORWARD_PASSES):
        assert one.name == one.run.__name__
        assert one.purpose


def test_nodes_of_constants_alone_are_evaluated() -> None:
    def function(x: Any) -> Any:
        one = ops.stop_gradient(x) * 0 + 1  # not a constant: it depends on x
        return x * ops.identity(one) + inner()

    def inner() -> Any:
        return ops.exp(np.arange(3.0, dtype="float32"))

    graph = graph_of(function, VECTOR)
    assert "exp" not in names(graph)
    hidden = graph_of(lambda x: grad(lambda y: (y * y).sum() + 0 * x.sum())(np.ones(3, "float32")), VECTOR)
    folded = eliminate_dead(fold_constants(hidden))
    verify(folded)
    assert len(folded.nodes) < len(hidden.nodes)
    assert_same_numbers(hidden, folded)


def test_folding_does_not_blow_a_graph_up() -> None:
    def function(x: Any) -> Any:
        return grad(lambda y: ops.broadcast_to(y, (100, 100)).sum() + x.sum())(1.0)

    graph = fold_constants(graph_of(function, VECTOR))
    assert max(value.size for _, value in graph.constants) <= 4096
    assert run(graph, [1, 2, 3])[0] == 10_000.0


def test_equal_expressions_are_computed_once() -> None:
    graph = graph_of(lambda x, y: ops.exp(x + y) * ops.exp(x + y) + ops.sum(x, 0) + ops.sum(x, 0, True), VECTOR, VECTOR)
    common = eliminate_common(graph)
    verify(common)
    assert names(common).count("exp") == 1
    assert names(common).count("add") == names(graph).count("add") - 1
    assert names(common).count("sum") == 2
    assert_same_numbers(graph, common)


def test_random_numbers_of_one_key_are_one_expression_and_of_two_keys_two() -> None:
    key = Spec((2,), np.dtype("uint32"))

    def function(k: Any) -> Any:
        draws = [ops.random_uniform(k, (2,)) for _ in range(2)]
        return draws[0], draws[1], ops.random_uniform(ops.fold_in(k, 1), (2,))

    common = eliminate_common(graph_of(function, key))
    assert names(common).count("random_uniform") == 2
    first, second, other = run(common, [1, 2])
    assert first.tolist() == second.tolist() != other.tolist()


def test_what_no_output_needs_is_dropped() -> None:
    def function(x: Any) -> Any:
        ops.exp(x) + np.arange(3.0, dtype="float32")
        return x * 2

    graph = eliminate_dead(graph_of(function, VECTOR, arg_names=["x"]))
    verify(graph)
    assert names(graph) == ["mul"]
    assert len(graph.constants) == 1
    assert len(graph.inputs) == 1
    unused = eliminate_dead(graph_of(lambda x, y: y, VECTOR, MATRIX))
    assert len(unused.inputs) == 2


def test_markers_of_the_gradient_are_erased() -> None:
    graph = graph_of(lambda x: ops.stop_gradient(ops.exp(ops.stop_gradient(x))), VECTOR)
    erased = erase_markers(graph)
    assert names(erased) == ["exp"]
    assert_same_numbers(graph, erased)


def test_simplify_refuses_what_would_change_the_shape() -> None:
    zeros, one = np.zeros((2, 3), "float32"), np.ones((1, 1), "float32")
    graph = graph_of(lambda x: (x + zeros, x * one), VECTOR)
    assert names(eliminate_dead(simplify(graph))) == ["add", "mul"]


def model(p: Any, x: Any) -> Any:
    with scope("hidden"):
        h = ops.relu(x @ p["w"] + p["b"])
    with scope("out"):
        return -(ops.log(ops.softmax(h @ p["v"])) * np.eye(2, dtype="float32")).sum() + 0.5 * (p["w"] ** 2).sum()


PARAMETERS = {"w": Spec((3, 4), F32), "b": Spec((4,), F32), "v": Spec((4, 2), F32)}


@pytest.mark.parametrize("passes", [PASSES, FORWARD_PASSES], ids=["all", "forward"])
def test_the_list_of_passes_keeps_the_numbers_of_a_model_and_its_gradient(passes: tuple) -> None:
    for function in (model, grad(model), lambda p, x: grad(lambda q: (grad(model)(q, x)["w"] ** 2).sum())(p)):
        before = graph_of(function, PARAMETERS, MATRIX)
        after = rewrite(before, passes)
        verify(after)
        assert str(after) != str(before)
        assert len(after.nodes) <= len(before.nodes)
        assert [v.spec for v in after.outputs] == [v.spec for v in before.outputs]
        assert_same_numbers(before, after, tolerance=2e-6)


def test_rewriting_twice_changes_nothing_more() -> None:
    once = rewrite(graph_of(grad(model), PARAMETERS, MATRIX))
    assert str(rewrite(once)) == str(once)


def test_layers_survive_every_pass() -> None:
    graph = rewrite(graph_of(model, PARAMETERS, MATRIX))
    assert {node.scope for node in graph.nodes} >= {("hidden",), ("out",)}


def test_outputs_may_repeat_or_be_inputs() -> None:
    graph = rewrite(graph_of(lambda x: (x, x + 0, x * 1, x), VECTOR))
    verify(graph)
    assert graph.nodes == ()
    assert [out.tolist() for out in run(graph, [1, 2, 3])] == [[1.0, 2.0, 3.0]] * 4
