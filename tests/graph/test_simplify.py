"""Every algebraic rule changes the graph and not the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, NUMBER, VECTOR, assert_same_numbers, graph_of, names, run

from pellucid import ops
from pellucid.graph import Graph, verify
from pellucid.graph.rewrite import eliminate_dead, simplify
from pellucid.graph.simplify import SIMPLIFICATIONS
from pellucid.op import REGISTRY, Spec, apply

CUBE = Spec((2, 3, 4), F32)


def simplified(function: Callable, spec: Spec) -> tuple[Graph, Graph]:
    before = graph_of(function, spec)
    after = eliminate_dead(simplify(before))
    verify(after)
    return before, after


def reshaped(x: Any, *shapes: tuple) -> Any:
    for shape in shapes:
        x = apply(REGISTRY["reshape"], x, shape=shape)
    return x


CHANGES = [
    ("add", lambda x: x + 0, VECTOR, []),
    ("add", lambda x: 0 + x, VECTOR, []),
    ("add", lambda x: x + np.zeros(3, "float32"), VECTOR, []),
    ("sub", lambda x: x - 0, VECTOR, []),
    ("mul", lambda x: x * 1, VECTOR, []),
    ("mul", lambda x: 1 * x, VECTOR, []),
    ("div", lambda x: x / 1, VECTOR, []),
    ("pow", lambda x: x**1, VECTOR, []),
    ("pow", lambda x: x**0, VECTOR, ["broadcast_to"]),
    ("pow", lambda x: x**0, NUMBER, []),
    ("pow", lambda x: x**2, VECTOR, ["mul"]),
    ("neg", lambda x: ops.neg(ops.neg(x)), VECTOR, []),
    ("identity", ops.identity, VECTOR, []),
    ("reshape", lambda x: reshaped(x, (3, 2), (6,)), MATRIX, ["reshape"]),
    ("reshape", lambda x: reshaped(x, (3, 2), (2, 3)), MATRIX, []),
    ("reshape", lambda x: reshaped(x, (2, 3)), MATRIX, []),
    ("transpose", lambda x: ops.transpose(ops.transpose(x, (1, 2, 0)), (2, 0, 1)), CUBE, []),
    ("transpose", lambda x: ops.transpose(ops.transpose(x, (1, 2, 0)), (1, 0, 2)), CUBE, ["transpose"]),
    ("log", lambda x: ops.log(ops.exp(x) / (x + 2)), VECTOR, ["add", "log", "sub"]),
    ("log", lambda x: ops.log(ops.sigmoid(x)), VECTOR, ["neg", "softplus", "neg"]),
    ("log", lambda x: ops.log(1 - ops.sigmoid(x)), VECTOR, ["softplus", "neg"]),
    ("log", lambda x: ops.log(ops.maximum(ops.sigmoid(x), 1e-7)), VECTOR, ["neg", "softplus", "neg"]),
    ("log", lambda x: ops.log(ops.maximum(1 - ops.sigmoid(x), 1e-12)), VECTOR, ["softplus", "neg"]),
]


@pytest.mark.parametrize(("rule", "function", "spec", "expected"), CHANGES)
def test_a_rule_changes_the_graph_and_not_the_numbers(
    rule: str, function: Callable, spec: Spec, expected: list[str]
) -> None:
    before, after = simplified(function, spec)
    assert rule in names(before)
    assert names(after) == expected
    assert_same_numbers(before, after, tolerance=0.0 if rule != "log" else 2e-6)


def test_every_rule_is_tried_above() -> None:
    assert {rule for rule, *_ in CHANGES} == set(SIMPLIFICATIONS)


KEEPS = [
    lambda x: x + 1,
    lambda x: 0 - x,
    lambda x: 1 / x,
    lambda x: x * 0,
    lambda x: 1**x,
    lambda x: x**3,
    lambda x: x + np.zeros((2, 3), "float32"),
    lambda x: x * np.array([1, 1, 2], "float32"),
    lambda x: ops.log(x / 2),
    lambda x: ops.log(2 - ops.sigmoid(x)),
    lambda x: ops.log(ops.maximum(ops.sigmoid(x), 0.1)),
    lambda x: ops.log(ops.minimum(ops.sigmoid(x), 1e-7)),
]


@pytest.mark.parametrize("function", KEEPS)
def test_what_only_looks_alike_stays(function: Callable) -> None:
    before, after = simplified(function, VECTOR)
    assert names(after) == names(before)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_logarithm_of_softmax_is_exact_where_softmax_underflows(axis: int) -> None:
    before, after = simplified(lambda z: ops.log(ops.softmax(z, axis)), Spec((2, 2), F32))
    assert "div" not in names(after)
    z = np.array([[0.0, 1e4], [1e4, 0.0]], "float32")
    assert not np.isfinite(run(before, z)[0]).all()
    assert run(after, z)[0].tolist() == [[-1e4, 0.0], [0.0, -1e4]]


@pytest.mark.parametrize("size", [2e2, 1e4])
def test_the_logarithm_of_a_sigmoid_is_exact_where_the_sigmoid_underflows(size: float) -> None:
    _, after = simplified(lambda z: (ops.log(ops.sigmoid(z)), ops.log(1 - ops.sigmoid(z))), Spec((2,), F32))
    log_p, log_q = run(after, [-size, size])
    assert (log_p.tolist(), log_q.tolist()) == ([-size, 0.0], [0.0, -size])


def test_x_to_the_zero_is_one_even_at_zero_and_infinity() -> None:
    before, after = simplified(lambda x: x**0, VECTOR)
    for graph in (before, after):
        assert run(graph, [0.0, np.inf, -1.0])[0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["reshape", "transpose"])
def test_an_output_stays_on_the_way_to_what_is_made_of_it(name):
    def once(x):
        return reshaped(x, (6,)) if name == "reshape" else apply(REGISTRY[name], x, axes=(1, 0))

    def twice(x):
        seen = once(x)
        return reshaped(seen, (3, 2)) if name == "reshape" else apply(REGISTRY[name], seen, axes=(1, 0)), seen

    _, after = simplified(twice, MATRIX)
    last, seen = after.outputs
    assert last.record is not None
    assert last.record.inputs[0] is seen
