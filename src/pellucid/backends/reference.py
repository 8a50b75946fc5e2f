"""The reference backend: a NumPy interpreter of the graph, and the specification of every other backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.backends.base import Backend, Executable
from pellucid.graph.ir import Graph, Var
from pellucid.op import REGISTRY


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call: slots are places in the table of live arrays; ``free`` lists those that nothing needs afterwards."""

    forward: Callable[..., np.ndarray]
    inputs: tuple[int, ...]
    attributes: dict[str, Any]
    output: int
    free: tuple[int, ...]


class ReferenceExecutable(Executable):
    """A list of NumPy calls."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        slots: dict[Var, int] = {}
        for var in (*graph.inputs, *(v for v, _ in graph.constants), *(n.output for n in graph.nodes)):
            slots[var] = len(slots)
        self._table: list[np.ndarray | None] = [None] * len(slots)
        for var, value in graph.constants:
            self._table[slots[var]] = value
        self._outputs = [slots[v] for v in graph.outputs]
        self._instructions = self._schedule(slots)

    def _schedule(self, slots: dict[Var, int]) -> list[Instruction]:
        """The calls in order, each freeing what was used for the last time."""
        graph = self.graph
        last_use: dict[Var, int] = {}
        for position, node in enumerate(graph.nodes):
            last_use[node.output] = position
            for var in node.inputs:
                last_use[var] = position
        kept = {*graph.outputs, *(v for v, _ in graph.constants)}
        ends: dict[int, list[int]] = {}
        for var, position in last_use.items():
            if var not in kept:
                ends.setdefault(position, []).append(slots[var])
        return [
            Instruction(
                node.op.forward,
                tuple(slots[v] for v in node.inputs),
                dict(node.attributes),
                slots[node.output],
                tuple(ends.get(position, ())),
            )
            for position, node in enumerate(graph.nodes)
        ]

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Make the calls one after the other."""
        table = list(self._table)
        table[: len(inputs)] = inputs
        with np.errstate(all="ignore"):
            for call in self._instructions:
                result = call.forward(*[table[slot] for slot in call.inputs], **call.attributes)
                table[call.output] = result if isinstance(result, np.ndarray) else np.asarray(result)
                for slot in call.free:
                    table[slot] = None
        return [table[slot] for slot in self._outputs]  # type: ignore[misc]


class ReferenceBackend(Backend):
    """Runs every registered operation through its own NumPy forward."""

    name = "reference"

    @property
    def lowerings(self) -> dict[str, Callable]:  # type: ignore[override]
        """Every operation's forward."""
        return {name: op.forward for name, op in REGISTRY.items()}

    def _compile(self, graph: Graph) -> Executable:
        return ReferenceExecutable(graph)
