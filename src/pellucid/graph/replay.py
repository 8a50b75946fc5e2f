"""Rebuilding a graph node by node: what every pass, and the gradient, is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.graph.ir import Graph, Node, Var
from pellucid.graph.trace import Tracer
from pellucid.op import exact_scope, interpreting

Rule = Callable[["Replay", Node, tuple[Var, ...]], "Any | None"]


class Replay:
    """A new graph that grows from an old one, with the old one's inputs, constants and places.

    Attributes:
        tracer: What the new nodes are written to.
        env: Old variable -> new variable.
    """

    def __init__(self, graph: Graph) -> None:
        self.source = graph
        self.tracer = Tracer()
        self.env: dict[Var, Var] = {v: self.tracer.input(v.spec, v.name) for v in graph.inputs}
        for var, value in graph.constants:
            self.env[var] = self.tracer.lift(value)

    def value(self, var: Var) -> np.ndarray | None:
        """The numbers of a constant of the new graph; None for anything else."""
        return self.tracer.constants.get(var)

    def run(self, rule: Rule | None = None) -> None:
        """Copy every node; ``rule`` may give another value for one, or None to leave it as it is."""
        with interpreting(self.tracer):
            for node in self.source.nodes:
                inputs = tuple(self.env[v] for v in node.inputs)
                self.tracer.place = node.place
                with exact_scope(node.scope):
                    new = rule(self, node, inputs) if rule else None
                    if new is None:
                        new = self.tracer.emit(node.op, inputs, node.attributes, node.output.spec)
                    self.env[node.output] = self.tracer.lift(new)
        self.tracer.place = None

    def finish(self, extra: tuple[Var, ...] = ()) -> Graph:
        """The new graph, with the old outputs and ``extra`` ones."""
        outputs = (*(self.env[v] for v in self.source.outputs), *extra)
        return self.tracer.graph(self.source.name, outputs)
