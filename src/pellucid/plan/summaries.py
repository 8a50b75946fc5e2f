"""Which nodes summarise an array: several numbers about all of its elements, in one vector, run as one kernel.

The minimum, the mean and the share of zeros of an array take a pass over it each, unless one pass gives them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pellucid.graph.ir import Graph, Node, Var
from pellucid.shapes import size

_REDUCTIONS = frozenset({"sum", "max", "min"})


@dataclass(frozen=True)
class Summary:
    """Nodes that make a vector of numbers, each from all elements of some arrays of one axis.

    Attributes:
        elements: The number of elements of each array.
        nodes: In order; the last one puts the numbers side by side. Nobody else reads what the others give.
        inputs: What is read: arrays, and single numbers.
    """

    elements: int
    nodes: tuple[Node, ...]
    inputs: tuple[Var, ...]

    @property
    def output(self) -> Var:
        """The vector."""
        return self.nodes[-1].output

    def is_array(self, var: Var) -> bool:
        """Whether a variable has a number for each element."""
        return var.spec.shape == (self.elements,)


def summaries(graph: Graph, elementwise: Callable[[Node], bool]) -> list[Summary]:
    """The summaries of a graph that have more than one reduction.

    Args:
        graph: The graph.
        elementwise: Whether a node works element by element.
    """
    users: dict[Var, list[Node]] = {}
    for node in graph.nodes:
        for var in node.inputs:
            users.setdefault(var, []).append(node)
    found = []
    for root in graph.nodes:
        if root.op.name == "concatenate" and all(var.spec.shape == (1,) for var in root.inputs):
            summary = _summary(graph, root, users, elementwise)
            if summary is not None:
                found.append(summary)
    return found


def _summary(
    graph: Graph, root: Node, users: Mapping[Var, Sequence[Node]], elementwise: Callable[[Node], bool]
) -> Summary | None:
    """The nodes that a vector alone is made of, with all arrays of one size."""
    members, elements, shown = {root}, 0, set(graph.outputs)
    for node in reversed(graph.nodes):
        alone = node.output not in shown and all(user in members for user in users.get(node.output, [root, None]))
        if not alone or not _fits(node, elements, elementwise):
            continue
        if node.op.name in _REDUCTIONS:
            elements = size(node.inputs[0].spec.shape)
        members.add(node)
    nodes = tuple(node for node in graph.nodes if node in members)
    if sum(node.op.name in _REDUCTIONS for node in nodes) < 2:
        return None
    made = {node.output for node in nodes}
    return Summary(elements, nodes, tuple(dict.fromkeys(v for n in nodes for v in n.inputs if v not in made)))


def _fits(node: Node, elements: int, elementwise: Callable[[Node], bool]) -> bool:
    """Whether a node belongs to a summary of arrays of so many elements; 0: of any number, which it decides."""
    shape, shapes = node.output.spec.shape, [var.spec.shape for var in node.inputs]
    if node.op.name in _REDUCTIONS:
        long = len(shapes[0]) == 1 and shapes[0][0] > 1 and elements in (0, shapes[0][0])
        return long and size(shape) == 1
    if node.op.name == "reshape":
        return size(shape) == 1
    known = [(elements,)] if elements else []
    narrow = size(shape) == 1
    fits = narrow or shape in known
    return elementwise(node) and fits and all(size(s) == 1 or (not narrow and s in known) for s in shapes)
