"""The intermediate representation: frozen variables, nodes and graphs, and their printed form.

A graph is a list of nodes in an order in which each can be computed; every variable is defined once. Nothing in it
changes after it was built: a pass reads one graph and builds another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import TraceError
from pellucid.op import Op, Spec, show_attribute
from pellucid.ops.operators import Operators
from pellucid.shapes import show


class Var(Operators):
    """A variable of a graph: a shape and an element type, not yet numbers.

    Attributes:
        record: The node that defines it; None for inputs and constants.
        trace: The number of the trace it belongs to.
    """

    __slots__ = ("__weakref__", "name", "record", "spec", "trace")

    def __init__(self, spec: Spec, name: str | None, trace: int) -> None:
        self.spec = spec
        self.name = name
        self.trace = trace
        self.record: Node | None = None

    def _no_number(self, *args: Any, **kwargs: Any) -> Any:
        raise TraceError(
            f"The traced variable {self!r} has no number yet, so Python cannot decide or count with it.",
            hint="use where(...) instead of if, and operations of pellucid.ops instead of float(), int() or NumPy",
        )

    __bool__ = __float__ = __int__ = __index__ = __array__ = item = numpy = tolist = _no_number

    def __repr__(self) -> str:
        return f"Var({self.spec}{f', {self.name!r}' if self.name else ''})"


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation of a graph: ``output = op(*inputs, **attributes)``.

    ``scope`` is the path of layers that made it, ``place`` the user's line; ``serial`` orders nodes in time.
    """

    op: Op
    inputs: tuple[Var, ...]
    attributes: Mapping[str, Any]
    output: Var
    scope: tuple[str, ...]
    place: str | None
    serial: int


@dataclass(frozen=True, eq=False)
class Graph:
    """A computation: inputs and constants, nodes in order, outputs.

    Printing it is deterministic: equal computations print equal text.
    """

    name: str
    inputs: tuple[Var, ...]
    constants: tuple[tuple[Var, np.ndarray], ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Var, ...]

    def names(self) -> dict[Var, str]:
        """A distinct name for every variable: the user's for inputs, numbers for the rest, digits for scalars."""
        names: dict[Var, str] = {}
        taken: set[str] = set()

        def distinct(base: str) -> str:
            name, again = base, 2
            while name in taken:
                name, again = f"{base}_{again}", again + 1
            taken.add(name)
            return name

        for position, var in enumerate(self.inputs):
            names[var] = distinct(var.name or f"in{position}")
        for position, (var, value) in enumerate(self.constants):
            names[var] = _show_scalar(value) if value.ndim == 0 else distinct(f"c{position}")
        for position, node in enumerate(self.nodes):
            names[node.output] = f"%{position}"
        return names

    def __str__(self) -> str:
        names = self.names()
        inputs = ", ".join(f"{names[v]}: {v.spec}" for v in self.inputs)
        lines = [f"graph {self.name}({inputs}):"]
        lines += [f"  {names[v]}: {v.spec} = {_show_array(a)}" for v, a in self.constants if a.ndim]
        for node in self.nodes:
            comment = f"  # {'/'.join(node.scope)}" if node.scope else ""
            lines.append(f"  {names[node.output]}: {node.output.spec} = {_call(node, names)}{comment}")
        lines.append(f"  return {', '.join(names[v] for v in self.outputs)}")
        return "\n".join(lines)

    def table(self) -> str:
        """One row per node: its name, its formula, its shape, and the layer that made it.

        The formula is written in the names of the operands, as in the lectures: ``%0 = x @ kernel``.
        """
        names = self.names()
        rows = [("node", "formula", "shape", "layer")]
        for node in self.nodes:
            formula = node.op.write([names[v] for v in node.inputs], dict(node.attributes))
            rows.append((names[node.output], formula, str(node.output.spec), "/".join(node.scope)))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    def to_dot(self) -> str:
        """The graph in Graphviz' language, forward left to right; layers are boxes around their nodes."""
        names = self.names()
        lines = [f"digraph {_quote(self.name)} {{", "  rankdir=LR;", '  node [fontname="Helvetica", fontsize=10];']
        for var in self.inputs:
            lines.append(f"  {_quote(names[var])} [shape=box, label={_quote(names[var], str(var.spec))}];")
        shown = {v for node in self.nodes for v in node.inputs}
        for var, value in self.constants:
            if var in shown:
                label = _quote(names[var], "" if value.ndim == 0 else str(var.spec))
                lines.append(f"  {_dot_id(var, names)} [shape=plaintext, label={label}];")
        lines += self._dot_nodes(names)
        for node in self.nodes:
            lines += [f"  {_dot_id(v, names)} -> {_dot_id(node.output, names)};" for v in node.inputs]
        for position, var in enumerate(self.outputs):
            lines.append(f'  "out{position}" [shape=doublecircle, label="out{position}"];')
            lines.append(f'  {_dot_id(var, names)} -> "out{position}";')
        return "\n".join([*lines, "}"])

    def _dot_nodes(self, names: dict[Var, str]) -> list[str]:
        by_scope: dict[str, list[str]] = {}
        for node in self.nodes:
            line = (
                f"{_dot_id(node.output, names)} [shape=ellipse, label={_quote(node.op.name, str(node.output.spec))}];"
            )
            by_scope.setdefault("/".join(node.scope), []).append(line)
        lines = [f"  {line}" for line in by_scope.pop("", [])]
        for number, (scope, inner) in enumerate(by_scope.items()):
            lines.append(f"  subgraph cluster_{number} {{ label={_quote(scope)}; color=gray;")
            lines += [f"    {line}" for line in inner]
            lines.append("  }")
        return lines

    def _repr_html_(self) -> str:
        return f"<pre>{self.table().replace('&', '&amp;').replace('<', '&lt;')}</pre>"


def _call(node: Node, names: dict[Var, str]) -> str:
    written = [names[v] for v in node.inputs]
    written += [f"{key}={show_attribute(value)}" for key, value in node.attributes.items()]
    return f"{node.op.name}({', '.join(written)})"


def _dot_id(var: Var, names: dict[Var, str]) -> str:
    return _quote(names[var])


def _quote(*lines: str) -> str:
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines if line)
    return f'"{text}"'


def _show_scalar(value: np.ndarray) -> str:
    return (
        repr(value.item())
        if value.dtype.kind == "b"
        else f"{value.item()!r}"
        if value.dtype.kind != "f"
        else str(value)
    )


def _show_array(value: np.ndarray) -> str:
    if value.size <= 8:
        return str(value.tolist())
    return f"array{show(value.shape)}"
