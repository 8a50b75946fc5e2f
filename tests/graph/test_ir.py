"""Graphs print deterministically, as text, as a table and as a picture."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.graph.build import F32, MATRIX, NUMBER, VECTOR, graph_of

import pellucid
from pellucid import ops
from pellucid.autodiff import grad
from pellucid.errors import TraceError
from pellucid.graph import Graph, Var, rewrite
from pellucid.op import Spec, scope


def layer(x: Any, kernel: Any, bias: Any) -> Any:
    with scope("dense"):
        z = x @ kernel + bias
    with scope("activation"):
        return ops.sigmoid(z) * 2.0


def layer_graph() -> Graph:
    specs = (MATRIX, Spec((3, 4), F32), Spec((4,), F32))
    return graph_of(layer, *specs, name="layer", arg_names=["x", "kernel", "bias"])


def test_the_printed_form_is_one_line_per_node_with_its_layer() -> None:
    assert str(layer_graph()) == (
        "graph layer(x: float32[2, 3], kernel: float32[3, 4], bias: float32[4]):\n"
        "  %0: float32[2, 4] = matmul(x, kernel)  # dense\n"
        "  %1: float32[2, 4] = add(%0, bias)  # dense\n"
        "  %2: float32[2, 4] = sigmoid(%1)  # activation\n"
        "  %3: float32[2, 4] = mul(%2, 2.0)  # activation\n"
        "  return %3"
    )


def test_the_table_writes_formulas_as_in_the_lectures() -> None:
    rows = [line.rstrip() for line in layer_graph().table().splitlines()]
    assert rows == [
        "node  formula      shape          layer",
        "%0    x @ kernel   float32[2, 4]  dense",
        "%1    %0 + bias    float32[2, 4]  dense",
        "%2    sigmoid(%1)  float32[2, 4]  activation",
        "%3    %2 * 2.0     float32[2, 4]  activation",
    ]


def test_constants_are_shown_by_value_or_shape() -> None:
    graph = graph_of(lambda x: x + np.arange(3.0, dtype="float32") + np.ones((3, 3), "float32") + 1, VECTOR)
    lines = str(graph).splitlines()
    assert "  c0: float32[3] = [0.0, 1.0, 2.0]" in lines
    assert "  c1: float32[3, 3] = array[3, 3]" in lines
    assert any(line.endswith("add(%1, 1.0)") for line in lines)


def test_scalars_of_every_type_print_as_numbers() -> None:
    graph = graph_of(lambda b, i: (ops.where(b, i, 7), ops.logical_and(b, True)), Spec((), np.dtype("bool")), NUMBER)
    assert "where(in0, in1, 7.0)" in str(graph)
    assert "logical_and(in0, True)" in str(graph)


def test_every_variable_has_its_own_name_even_where_users_give_one_twice() -> None:
    graph = graph_of(
        lambda a, b, c, d: a + b + c + d + np.ones(3, "float32"),
        *[VECTOR] * 4,
        arg_names=["w", "w", "c0", "in0"],
    )
    names = list(graph.names().values())
    assert names[:4] == ["w", "w_2", "c0", "in0"]
    assert len(set(names)) == len(names)


def busy(x: Any, p: Any) -> Any:
    with scope("body"):
        return grad(lambda q: (ops.softmax(x @ q["w"] + q["b"], 1) ** 2).sum() + ops.max_pool(x[None], 2).sum())(p)


def busy_graph() -> Graph:
    return rewrite(graph_of(busy, MATRIX, {"w": Spec((3, 4), F32), "b": Spec((4,), F32)}))


def test_two_traces_print_the_same_text() -> None:
    assert str(busy_graph()) == str(busy_graph())
    assert busy_graph().to_dot() == busy_graph().to_dot()
    assert busy_graph().table() == busy_graph().table()


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_the_text_does_not_depend_on_pythons_hash_seed(seed: str) -> None:
    roots = [str(Path(pellucid.__file__).parents[1]), str(Path(__file__).parents[2])]
    program = "from tests.graph.test_ir import busy_graph; print(busy_graph()); print(busy_graph().to_dot())"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(roots)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"{busy_graph()}\n{busy_graph().to_dot()}\n"


# One statement of Graphviz' language as far as it is used: an attribute, a node or an edge, a cluster's start or end.
_ID = r'"(?:[^"\\]|\\.)*"'
_STATEMENT = re.compile(
    rf"""(?x) ^\s* (?:
        digraph \s {_ID} \s \{{
      | rankdir=LR;
      | node \s \[ fontname={_ID},\ fontsize=10 \];
      | {_ID} \s \[ shape=\w+,\ label={_ID} \];
      | {_ID} \s -> \s {_ID};
      | subgraph \s cluster_\d+ \s \{{ \s label={_ID}; \s color=gray;
      | \}}
    ) $"""
)


def test_the_picture_is_well_formed() -> None:
    for graph in (layer_graph(), busy_graph(), graph_of(lambda x: x, VECTOR)):
        lines = graph.to_dot().splitlines()
        assert [line for line in lines if not _STATEMENT.match(line)] == []
        assert sum(line.count("{") for line in lines) == sum(line.count("}") for line in lines)


def test_the_picture_declares_every_end_of_every_edge() -> None:
    for graph in (layer_graph(), busy_graph()):
        text = graph.to_dot()
        declared = set(re.findall(rf"^\s*({_ID}) \[", text, re.MULTILINE))
        edges = re.findall(rf"^\s*({_ID}) -> ({_ID});", text, re.MULTILINE)
        assert {end for edge in edges for end in edge} <= declared
        assert len(edges) == sum(len(node.inputs) for node in graph.nodes) + len(graph.outputs)


def test_layers_are_boxes_around_their_nodes() -> None:
    text = layer_graph().to_dot()
    assert 'subgraph cluster_0 { label="dense"; color=gray;' in text
    assert 'subgraph cluster_1 { label="activation"; color=gray;' in text
    assert '"%0" [shape=ellipse, label="matmul\\nfloat32[2, 4]"];' in text


def test_quotes_in_names_are_escaped() -> None:
    graph = graph_of(lambda x: x * 2, VECTOR, arg_names=['say "x" \\ y'], name='a "graph"')
    lines = graph.to_dot().splitlines()
    assert [line for line in lines if not _STATEMENT.match(line)] == []
    assert lines[0] == 'digraph "a \\"graph\\"" {'
    assert r'  "say \"x\" \\ y" [shape=box, label="say \"x\" \\ y\nfloat32[3]"];' in lines


def test_a_notebook_shows_the_table_as_html() -> None:
    html = graph_of(lambda x: x < 1, VECTOR, arg_names=["<a&b>"])._repr_html_()
    assert html.startswith("<pre>")
    assert "&lt;a&amp;b>" in html


def test_graphs_and_nodes_are_frozen() -> None:
    graph = layer_graph()
    for target, name in ((graph, "nodes"), (graph.nodes[0], "inputs")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(target, name, ())


def test_nodes_remember_where_the_user_wrote_them() -> None:
    places = {node.place for node in layer_graph().nodes}
    first = layer.__code__.co_firstlineno
    assert places == {f"test_ir.py:{first + 2} in layer", f"test_ir.py:{first + 4} in layer"}


READINGS = [bool, float, int, np.asarray, Var.item, Var.numpy, Var.tolist, "ab".__getitem__]


@pytest.mark.parametrize("read", READINGS)
def test_a_variable_has_no_number(read: Any) -> None:
    (var,) = graph_of(lambda x: x, VECTOR, arg_names=["x"]).inputs
    with pytest.raises(TraceError) as error:
        read(var)
    assert str(error.value) == (
        "The traced variable Var(float32[3], 'x') has no number yet, so Python cannot decide or count with it.\n"
        "Hint: use where(...) instead of if, and operations of pellucid.ops instead of float(), int() or NumPy"
    )
