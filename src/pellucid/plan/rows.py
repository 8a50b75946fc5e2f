"""Which nodes work row by row: softmax, cross-entropy, the gradient of both, a normalisation run as one kernel.

A row is the last axis. A *wide* value has a number for every element of every row, a *narrow* one has one per row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from pellucid.graph.ir import Graph, Node, Var
from pellucid.plan.summaries import Summary, summaries
from pellucid.shapes import Shape, size

REDUCTIONS = frozenset({"sum", "max", "min"})
_ALONG = frozenset({"take_along_axis", "add_along_axis"})

WIDE, NARROW, COLUMN, SCALAR = "wide", "narrow", "column", "scalar"


@dataclass
class RowGroup:
    """Nodes that run row by row together.

    Attributes:
        lead: The shape of what there is a row for.
        width: Elements of a row.
        nodes: In order.
        inputs: What is read -> how: wide, narrow, one number per column, or one number.
        outputs: What others read.
        kinds: Whether a result is wide or narrow where its shape does not tell.
    """

    lead: Shape
    width: int
    nodes: list[Node] = field(default_factory=list)
    inputs: dict[Var, str] = field(default_factory=dict)
    outputs: tuple[Var, ...] = ()
    kinds: dict[Var, str] = field(default_factory=dict)

    @property
    def wide(self) -> Shape:
        """The shape of a wide value."""
        return (*self.lead, self.width)

    def kind_of_result(self, node: Node) -> str | None:
        """Whether a node's result is wide or narrow; None if it is neither."""
        shape = node.output.spec.shape
        if node.output in self.kinds:
            return self.kinds[node.output]
        if shape == self.wide:
            return WIDE
        return NARROW if shape in (self.lead, (*self.lead, 1)) else None

    def use(self, var: Var, result: str, shape: Shape) -> str | None:
        """How an elementwise node whose result has a shape reads a variable; None if it is no way of a row group."""
        own = var.spec.shape
        if own == shape:
            return result
        if result == WIDE and own == (*self.lead, 1):
            return NARROW
        if size(own) == 1:
            return SCALAR
        if result == NARROW:
            return None
        return COLUMN if own[-1] == self.width and size(own) == self.width else None

    def uses(self, node: Node, elementwise: Callable[[Node], bool]) -> list[str] | None:
        """How a node reads each of its inputs; None if it is no node of this group."""
        result = self.kind_of_result(node)
        name, shapes = node.op.name, [v.spec.shape for v in node.inputs]
        narrow = (self.lead, (*self.lead, 1))
        last = len(self.lead)
        if result is None:
            return None
        if elementwise(node):
            found = [self.use(v, result, node.output.spec.shape) for v in node.inputs]
            return None if None in found else found  # type: ignore[return-value]
        if name in REDUCTIONS and result == NARROW:
            return [WIDE] if shapes[0] == self.wide and node.attributes["axes"] == (last,) else None
        if name == "argmax" and result == NARROW:
            return [WIDE] if shapes[0] == self.wide and node.attributes["axis"] in (last, -1) else None
        if name == "reshape" and result == NARROW:
            return [NARROW] if shapes[0] in narrow else None
        if name == "broadcast_to" and result == WIDE:
            return [NARROW] if shapes[0] == narrow[1] else None
        if name in _ALONG and node.attributes["axis"] in (last, -1) and shapes[1] == narrow[1]:
            if name == "take_along_axis" and shapes[0] == self.wide:
                return [WIDE, NARROW]
            if name == "add_along_axis" and shapes[0] == narrow[1] and result == WIDE:
                return [NARROW, NARROW]
        return None


def row_groups(graph: Graph, elementwise: Callable[[Node], bool], widest: int) -> list[RowGroup]:
    """Groups of nodes that can run row by row, each with at least two steps along the rows; first the summaries.

    Args:
        graph: The graph.
        elementwise: Whether a node works element by element.
        widest: The most elements of a row.
    """
    found = [_of_summary(summary) for summary in summaries(graph, elementwise)]
    taken = {node for group in found for node in group.nodes}
    for seed in graph.nodes:
        if seed in taken or not _starts(seed, widest):
            continue
        shape = seed.inputs[0].spec.shape
        group = _grown(RowGroup(shape[:-1], shape[-1]), graph, seed, taken, elementwise)
        steps = sum(not elementwise(n) and n.op.name not in ("reshape", "broadcast_to") for n in group.nodes)
        if steps >= 2 and _can_run(graph, [*found, group]):
            found.append(group)
            taken.update(group.nodes)
    return found


def _of_summary(summary: Summary) -> RowGroup:
    """A summary as a group: it has a row for each of its numbers, and arrays have a number for each column."""
    inputs = {var: COLUMN if summary.is_array(var) else SCALAR for var in summary.inputs}
    kinds = {node.output: WIDE if summary.is_array(node.output) else NARROW for node in summary.nodes}
    kinds[summary.output] = NARROW
    shape = summary.output.spec.shape
    return RowGroup(shape, summary.elements, list(summary.nodes), inputs, (summary.output,), kinds)


def _can_run(graph: Graph, found: list[RowGroup]) -> bool:
    """Whether no group has to wait for another one that waits for it."""
    unit: dict[Var, object] = {node.output: node for node in graph.nodes}
    for group in found:
        unit.update({node.output: group for node in group.nodes})
    waits: dict[int, set[int]] = {id(u): set() for u in unit.values()}
    for node in graph.nodes:
        own = id(unit[node.output])
        waits[own] |= {id(unit[v]) for v in node.inputs if v in unit} - {own}
    try:
        list(TopologicalSorter(waits).static_order())
    except CycleError:
        return False
    return True


def _starts(node: Node, widest: int) -> bool:
    """Whether a node is a step along rows."""
    if node.op.name not in REDUCTIONS and node.op.name != "argmax":
        return False
    shape = node.inputs[0].spec.shape
    last = len(shape) - 1
    along = node.attributes["axes"] == (last,) if node.op.name in REDUCTIONS else node.attributes["axis"] in (last, -1)
    return along and last >= 1 and 2 <= shape[-1] <= widest and size(shape) > 0


def _grown(
    group: RowGroup, graph: Graph, seed: Node, taken: set[Node], elementwise: Callable[[Node], bool]
) -> RowGroup:
    """The group with every node that belongs to it: connected with the seed, and with no way out and in again."""
    members = _connected(group, graph, seed, taken, elementwise)
    kinds: dict[Var, str] = {}
    outside: set[Var] = set()  # values that depend on the group, but are computed elsewhere
    for node in graph.nodes:
        uses = group.uses(node, elementwise) if node in members else None
        fits = uses is not None and not any(v in outside for v in node.inputs)
        known = {**group.inputs, **kinds}
        fits = fits and all(known.get(v, use) == use for v, use in zip(node.inputs, uses or (), strict=False))
        if fits and uses is not None:
            group.nodes.append(node)
            kinds[node.output] = group.kind_of_result(node) or WIDE
            group.inputs.update({v: use for v, use in zip(node.inputs, uses, strict=True) if v not in kinds})
        elif any(v in kinds or v in outside for v in node.inputs):
            outside.add(node.output)
    inner = set(group.nodes)
    read_elsewhere = {v for node in graph.nodes if node not in inner for v in node.inputs} | set(graph.outputs)
    group.outputs = tuple(n.output for n in group.nodes if n.output in read_elsewhere)
    return group


def _connected(
    group: RowGroup, graph: Graph, seed: Node, taken: set[Node], elementwise: Callable[[Node], bool]
) -> set[Node]:
    """The nodes that could belong to the group and that hang together with the seed."""
    candidates = {n.output: n for n in graph.nodes if n not in taken and group.uses(n, elementwise) is not None}
    neighbours: dict[Node, list[Node]] = {n: [] for n in candidates.values()}
    for node in candidates.values():
        for var in node.inputs:
            if var in candidates:
                neighbours[node].append(candidates[var])
                neighbours[candidates[var]].append(node)
    return _reach(seed, neighbours)


def _reach(seed: Node, neighbours: dict[Node, list[Node]]) -> set[Node]:
    reached: set[Node] = set()
    stack = [seed] if seed in neighbours else []
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += neighbours[node]
    return reached
