"""Every rule of the representation, broken by a hand-made graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, VECTOR, graph_of

from pellucid import ops
from pellucid.errors import GraphError
from pellucid.graph import RULES, Graph, Node, Pass, Var, rewrite, verify
from pellucid.op import REGISTRY, Op, Spec


def good() -> Graph:
    return graph_of(lambda x, y: ops.exp(x) + y * np.arange(3.0, dtype="float32"), VECTOR, VECTOR, arg_names=["x", "y"])


def change(graph: Graph, position: int, **fields: Any) -> Graph:
    nodes = list(graph.nodes)
    nodes[position] = dataclasses.replace(nodes[position], **fields)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def defined_twice(g: Graph) -> Graph:
    return dataclasses.replace(g, nodes=(*g.nodes, g.nodes[0]))


def input_twice(g: Graph) -> Graph:
    return dataclasses.replace(g, inputs=(*g.inputs, g.inputs[0]))


def used_too_early(g: Graph) -> Graph:
    return dataclasses.replace(g, nodes=g.nodes[::-1])


def output_from_nowhere(g: Graph) -> Graph:
    return dataclasses.replace(g, outputs=(Var(VECTOR, "ghost", g.inputs[0].trace),))


def wrong_spec(g: Graph) -> Graph:
    wide = Var(MATRIX, None, g.inputs[0].trace)
    return dataclasses.replace(change(g, 0, output=wide), outputs=g.inputs, nodes=change(g, 0, output=wide).nodes[:1])


def refused_operands(g: Graph) -> Graph:
    return change(g, 0, op=REGISTRY["matmul"], inputs=g.inputs)


def missing_operand(g: Graph) -> Graph:
    return change(g, 1, inputs=g.nodes[1].inputs[:1])


def unknown_attribute(g: Graph) -> Graph:
    return change(g, 0, attributes={"axis": 0})


def wrong_constant(g: Graph) -> Graph:
    ((var, value),) = g.constants
    return dataclasses.replace(g, constants=((var, value.astype("float64")),))


def unregistered(g: Graph) -> Graph:
    op = Op("exp2", lambda x: x, np.exp2, None)
    del REGISTRY["exp2"]
    return change(g, 0, op=op)


def mutable_attribute(g: Graph) -> Graph:
    x = g.inputs[0]
    var = Var(Spec((3,), F32), None, x.trace)
    node = Node(REGISTRY["flip"], (x,), {"axes": [0]}, var, (), None, 99)
    return dataclasses.replace(g, nodes=(*g.nodes, node))


def two_traces(g: Graph) -> Graph:
    stranger = Var(VECTOR, "stranger", g.inputs[0].trace + 1)
    return dataclasses.replace(g, inputs=(*g.inputs, stranger))


BROKEN = [
    (defined_twice, "every variable is defined once", ["Var(float32[3]) is defined twice"]),
    (input_twice, "every variable is defined once", ["Var(float32[3], 'x') is defined twice"]),
    (
        used_too_early,
        "every variable is defined before it is used",
        ["node 0 (add) uses Var(float32[3]) before it is defined"] * 2,
    ),
    (
        output_from_nowhere,
        "every variable is defined before it is used",
        ["the output Var(float32[3], 'ghost') is never defined"],
    ),
    (
        wrong_spec,
        "every node's spec is what its shape rule says",
        ["node 0 (exp) says float32[2, 3], its shape rule float32[3]"],
    ),
    (
        refused_operands,
        "every node's spec is what its shape rule says",
        ["node 0 (matmul): both operands need at least 2 axes, not 1 (x) and 1 (w)"],
    ),
    (
        missing_operand,
        "every node's spec is what its shape rule says",
        ["node 1 (mul): common() missing 1 required positional argument: 'y'"],
    ),
    (
        unknown_attribute,
        "every node's spec is what its shape rule says",
        ["node 0 (exp): same() got an unexpected keyword argument 'axis'"],
    ),
    (
        wrong_constant,
        "every constant holds what its variable says",
        ["the constant Var(float32[3]) holds float64[3]"],
    ),
    (unregistered, "every operation is in the registry", ["Op('exp2') is not in the registry"]),
    (
        mutable_attribute,
        "attributes cannot change",
        ["node 3 (flip) has an attribute that can change: {'axes': [0]}"],
    ),
    (two_traces, "all variables belong to one trace", ["variables of 2 traces are mixed"]),
]


def test_a_good_graph_passes() -> None:
    verify(good())


@pytest.mark.parametrize(("breaking", "sentence", "details"), BROKEN, ids=lambda v: getattr(v, "__name__", None))
def test_a_broken_graph_is_refused_with_the_rule_it_breaks(breaking: Any, sentence: str, details: list) -> None:
    with pytest.raises(GraphError) as error:
        verify(breaking(good()), after="a test")
    lines = [f"graph f after a test: not so: {sentence}.", *(f"  {line}" for line in details)]
    assert str(error.value).splitlines() == lines


def test_every_rule_is_broken_by_some_graph_above() -> None:
    assert {sentence for _, sentence, _ in BROKEN} == {rule.sentence for rule in RULES}


def test_the_rewriter_names_the_pass_that_broke_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = [Pass(two_traces, "break it")]
    monkeypatch.setenv("PELLUCID_VERIFY", "1")
    with pytest.raises(GraphError, match=r"^graph f after two_traces: not so: all variables belong to one trace\."):
        rewrite(good(), passes)
    monkeypatch.setenv("PELLUCID_VERIFY", "0")
    assert len(rewrite(good(), passes).inputs) == 3
