"""Where NaN or infinity began in a computation: the graph, carried out node by node in NumPy."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.graph.ir import Graph, Node, Var


@dataclass(frozen=True, eq=False)
class Fault:
    """The first value that is not finite, of those that made an output not finite.

    Attributes:
        var: The value.
        position: Its node's place in the graph; -1 for an input.
        value: Its numbers.
        operands: The numbers that its node was given.
    """

    var: Var
    position: int
    value: np.ndarray
    operands: tuple[np.ndarray, ...]

    @property
    def node(self) -> Node | None:
        """The operation that made it; None for an input."""
        return self.var.record


class Values:
    """The numbers of every variable of a graph.

    Args:
        graph: The graph.
        inputs: Numbers of its inputs.
    """

    def __init__(self, graph: Graph, inputs: Sequence[np.ndarray]) -> None:
        self._graph = graph
        self._numbers: dict[Var, np.ndarray] = dict(zip(graph.inputs, inputs, strict=True))
        self._constants = dict(graph.constants)
        self._numbers |= self._constants
        with np.errstate(all="ignore"):
            for node in graph.nodes:
                operands = [self._numbers[var] for var in node.inputs]
                self._numbers[node.output] = np.asarray(node.op.forward(*operands, **node.attributes))

    def __getitem__(self, var: Var) -> np.ndarray:
        return self._numbers[var]

    def is_finite(self, var: Var) -> bool:
        """Whether all numbers of a variable are finite."""
        return bool(np.isfinite(self._numbers[var]).all())

    def fault(self, output: Var) -> Fault | None:
        """What made an output not finite: the earliest value on the way to it that came of finite numbers alone.

        Infinity that is written down as a constant is no fault: that of which it makes more is.

        >>> from pellucid import ops
        >>> from pellucid.graph import trace
        >>> x = np.array([2.0, 0.0])
        >>> graph = trace(lambda x: ops.sum(x * ops.log(x)), x).graph
        >>> fault = Values(graph, [x]).fault(graph.outputs[0])
        >>> fault.node.op.name, fault.operands
        ('log', (array([2., 0.]),))
        """
        if self.is_finite(output):
            return None
        place = {node.output: number for number, node in enumerate(self._graph.nodes)}
        pending, seen, origins = [output], {output}, []
        while pending:
            var = pending.pop()
            inputs = var.record.inputs if var.record is not None else ()
            bad = [v for v in inputs if v not in self._constants and not self.is_finite(v)]
            if not bad:
                origins.append(var)
            pending += [v for v in bad if v not in seen]
            seen.update(bad)
        first = min(origins, key=lambda var: place.get(var, -1))
        operands = () if first.record is None else tuple(self._numbers[v] for v in first.record.inputs)
        return Fault(first, place.get(first, -1), self._numbers[first], operands)

    def growth(self, var: Var, ops: Container[str]) -> tuple[Node, float, float] | None:
        """Which of some operations on the way to a variable made its numbers grow most; magnitudes before and after.

        The way leads from every operation to its operand of the largest magnitude.
        """
        best: tuple[Node, float, float] | None = None
        while var.record is not None:
            inputs = [v for v in var.record.inputs if self._numbers[v].dtype.kind == "f" and self._numbers[v].size]
            if not inputs:
                break
            after = self._magnitude(var)
            largest = max(inputs, key=self._magnitude)
            before = self._magnitude(largest)
            grows = var.record.op.name in ops and before > 0
            if grows and (best is None or after / before > best[2] / best[1]):
                best = (var.record, before, after)
            var = largest
        return best

    def _magnitude(self, var: Var) -> float:
        return float(np.abs(self._numbers[var]).max())


def by_row(graph: Graph, rows: int) -> set[Var]:
    """The variables that have a row per sample, given that the first ``rows`` inputs have.

    A variable counts where it has as many rows, and each of them is computed from the same row of one that counts.
    """
    found = set(graph.inputs[:rows])
    if not found:
        return found
    batch = graph.inputs[0].spec.shape[0]
    for node in graph.nodes:
        shape = node.output.spec.shape
        if shape and shape[0] == batch and any(v in found for v in _same_row(node)):
            found.add(node.output)
    return found


def _same_row(node: Node) -> tuple[Var, ...]:
    """The inputs whose first axis is that of the output."""
    name, attributes = node.op.name, node.attributes
    if name == "transpose":
        return node.inputs if attributes["axes"][0] == 0 else ()
    if name == "gather":
        return (node.inputs[1 if attributes["axis"] == 0 else 0],)
    if 0 in (attributes.get("axes") or ()) or attributes.get("axis") == 0 or name == "conv_kernel_grad":
        return ()
    if name.startswith("conv") or (name == "matmul" and node.output.spec.ndim == 2):
        return node.inputs[:1]
    rank = node.output.spec.ndim
    return tuple(v for v in node.inputs if not node.op.broadcasts or v.spec.ndim == rank)
