"""The rows of single operations: every node of a graph with its formula, local derivatives, value and gradient."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid import backends
from pellucid.analysis.explain_rows import FORWARD, LOSS, Row, Slope
from pellucid.dtypes import is_float
from pellucid.graph import Graph, Node, Var
from pellucid.graph.cotangents import Swept, with_cotangents
from pellucid.tensor import Tensor, no_grad

#: Operation -> the local derivative by each operand, written with the operands {0}, {1}, ... and the result {out}.
LOCAL: dict[str, tuple[str, ...]] = {
    "add": ("1", "1"), "sub": ("1", "-1"), "mul": ("{1}", "{0}"), "div": ("1 / {1}", "-{out} / {1}"), "neg": ("-1",),
    "pow": ("{1} {0}^({1} - 1)", "{out} log {0}"), "exp": ("{out}",), "expm1": ("{out} + 1",), "log": ("1 / {0}",),
    "log1p": ("1 / (1 + {0})",), "sqrt": ("1 / (2 {out})",), "sin": ("cos({0})",), "cos": ("-sin({0})",),
    "tanh": ("1 - {out}^2",), "abs": ("sign({0})",), "sign": ("0",), "floor": ("0",), "ceil": ("0",),
    "identity": ("1",), "stop_gradient": ("0",), "erf": ("2 / sqrt(pi) exp(-{0}^2)",),
    "sigmoid": ("{out} (1 - {out})",), "softplus": ("sigma({0})",), "relu": ("1 where {0} > 0, else 0",),
    "maximum": ("1 where {0} is larger, else 0", "1 where {1} is larger, else 0"),
    "minimum": ("1 where {0} is smaller, else 0", "1 where {1} is smaller, else 0"),
    "where": ("", "1 where {0}, else 0", "0 where {0}, else 1"), "cast": ("1",),
    "matmul": ("{1}", "{0}"), "conv": ("{1}", "{0}"), "conv_input_grad": ("{1}", "{0}"),
    "conv_kernel_grad": ("{1}", "{0}"), "sum": ("1 for each element",),
    "max": ("1 at the largest, else 0",), "min": ("1 at the smallest, else 0",), "cumsum": ("1 for each later sum",),
    "reshape": ("1",), "transpose": ("1",), "flip": ("1",), "broadcast_to": ("1 for each copy",),
    "slice": ("1 inside of the slice, else 0",), "pad": ("1",), "gather": ("1 at each place that is read, else 0",),
    "take_along_axis": ("1 at each place that is read, else 0",), "scatter_add": ("1",), "add_along_axis": ("1",),
    "window_sum": ("1 for each window",), "window_spread": ("1 for each element",),
}  # fmt: skip

# Operations whose derivative is one number for each element.
_POINTWISE = frozenset({
    "add", "sub", "mul", "div", "neg", "pow", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "abs",
    "sign", "floor", "ceil", "identity", "stop_gradient", "erf", "sigmoid", "softplus", "relu", "maximum", "minimum",
    "where", "cast",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A graph with the numbers of every variable and of every gradient.

    Attributes:
        graph: The forward computation.
        values: Variable -> its numbers.
        gradients: Variable -> the gradient of the output by it.
    """

    graph: Graph
    values: dict[Var, np.ndarray]
    gradients: dict[Var, np.ndarray]


def evaluate(graph: Graph, inputs: Sequence[np.ndarray], wrt: Sequence[int] | None = None) -> Evaluated:
    """Run a graph forward and backward, and keep everything."""
    swept: Swept = with_cotangents(graph, wrt)
    variables = [*graph.inputs, *(v for v, _ in graph.constants), *(node.output for node in graph.nodes)]
    outputs = [swept.copies[v] for v in variables] + list(swept.cotangents.values())
    # Every number is asked for, so there is nothing that a pass could save.
    found = backends.get("reference").compile(swept.with_outputs(outputs)).run(list(inputs))
    values = dict(zip(variables, found, strict=False))
    gradients = dict(zip(swept.cotangents, found[len(variables) :], strict=True))
    return Evaluated(graph, values, gradients)


def operation_rows(
    evaluated: Evaluated,
    names: Mapping[Var, str],
    layers: Mapping[Var, str],
    loss_phase: frozenset[Var],
    always: Sequence[Var] = (),
) -> list[Row]:
    """A row per input and per node.

    Args:
        evaluated: The graph and its numbers.
        names: What variables are called; the others get numbers.
        layers: Variable -> its layer.
        loss_phase: The variables that belong to the loss.
        always: Inputs that get a row even where nothing reads them.
    """
    graph = evaluated.graph
    called = variable_names(graph, names)
    read = {v for node in graph.nodes for v in node.inputs} | set(graph.outputs) | set(always)
    arrays = [v for v, a in graph.constants if a.ndim and v in read]
    rows = []
    for var in (*(v for v in graph.inputs if v in read), *arrays):
        gradient = evaluated.gradients.get(var)
        rows.append(Row(FORWARD, layers.get(var, ""), called[var], "", evaluated.values[var], gradient=gradient))
    for node in graph.nodes:
        var = node.output
        formula = node.op.write([called[v] for v in node.inputs], dict(node.attributes))
        rows.append(Row(
            LOSS if var in loss_phase else FORWARD, layers.get(var, ""), called[var], f"{called[var]} = {formula}",
            evaluated.values[var], tuple(called[v] for v in node.inputs), slopes(node, evaluated, called),
            evaluated.gradients.get(var),
        ))  # fmt: skip
    return rows


def variable_names(graph: Graph, names: Mapping[Var, str]) -> dict[Var, str]:
    """A distinct name for every variable; numbers are their own."""
    called: dict[Var, str] = {}
    taken: set[str] = set()
    for var, name in graph.names().items():
        # The graph calls what has no name %0, %1, ...
        wish = names.get(var) or (f"v{int(name[1:]) + 1}" if name.startswith("%") else name)
        number, own = 2, wish
        while own in taken and not _is_number(own):
            own, number = f"{wish}_{number}", number + 1
        taken.add(own)
        called[var] = own
    return called


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] == "-" or text in ("True", "False", "inf", "nan")


def slopes(node: Node, evaluated: Evaluated, called: Mapping[Var, str]) -> tuple[Slope, ...]:
    """The local derivatives of a node by its operands of float type that are no numbers."""
    formulas = LOCAL.get(node.op.name, ())
    operands = [called[v] for v in node.inputs]
    found = []
    for place, var in enumerate(node.inputs):
        constant = _is_number(called[var])
        if constant or not is_float(var.spec.dtype) or not is_float(node.output.spec.dtype):
            continue
        formula = formulas[place] if place < len(formulas) else "1" if node.op.name == "concatenate" else ""
        written = formula.format(*operands, out=called[node.output])
        written = re.sub(r"([A-Za-z]\w*\^\w+)(?=\^)", r"(\1)", written)  # a^1 squared is (a^1)^2
        if node.op.rule(place) is not None and var in evaluated.gradients:
            found.append(Slope(called[var], written, _numbers(node, place, evaluated)))
    return tuple(found)


def _numbers(node: Node, place: int, evaluated: Evaluated) -> np.ndarray | None:
    """The derivative of each element by the operand's element that it is made of."""
    rule = node.op.rule(place)
    if node.op.name not in _POINTWISE or rule is None:
        return None
    out = evaluated.values[node.output]
    with no_grad(), np.errstate(all="ignore"):
        operands = [Tensor.wrap(evaluated.values[v]) for v in node.inputs]
        part = rule(Tensor.wrap(np.ones_like(out)), Tensor.wrap(out), *operands, **node.attributes)
    return np.zeros_like(out) if part is None else np.broadcast_to(np.asarray(part), out.shape)
