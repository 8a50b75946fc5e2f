"""What the engine runs as one kernel each: groups of nodes, and products whose result goes through such a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.rows import WIDEST
from pellucid.graph.ir import Graph, Node, Var
from pellucid.plan.fuse import Group, groups
from pellucid.plan.layout import View
from pellucid.plan.merge import as_one, merged
from pellucid.plan.order import Access
from pellucid.plan.rows import RowGroup, row_groups
from pellucid.shapes import size

REDUCTIONS = ("sum", "max", "min")
_CONVOLUTIONS = ("conv", "conv_input_grad")
_PRODUCTS = ("matmul", *_CONVOLUTIONS)


@dataclass(frozen=True)
class Finish:
    """What becomes of a product before it is stored.

    Attributes:
        ending: The computation.
        leaves: What it reads from memory, in the shape of the result.
        output: The variable that it gives.
        name: What it is called in a plan.
        kept: What it gives besides, in the shape of the output.
    """

    ending: Ending
    leaves: list[View]
    output: Var
    name: str
    kept: tuple[Var, ...] = ()


@dataclass(frozen=True)
class Task:
    """A group of nodes, and where there is one the product that the group ends.

    Attributes:
        group: Elementwise nodes, or a reduction with those before it, or any other single node; or nodes that run row
            by row.
        product: A matrix product or reduction whose result the group takes while it is in registers.
        before: The group of a product that is a reduction: elementwise nodes, then the reduction.
        through: The variable by which the group reads the product: itself, or a reshape of it.
    """

    group: Group | RowGroup
    before: Group | None = None
    through: Var | None = None

    @property
    def elementwise(self) -> Group:
        """The group, where it is not one that runs row by row."""
        assert isinstance(self.group, Group)
        return self.group

    @property
    def root(self) -> Node:
        """The node that the task ends with."""
        return self.elementwise.root

    @property
    def product(self) -> Node | None:
        """The product's node."""
        return self.before.root if self.before else None

    @property
    def access(self) -> Access:
        """What the task reads and writes."""
        if isinstance(self.group, RowGroup):
            return Access(frozenset(self.group.inputs), frozenset(), self.group.outputs)
        output = self.root.output
        ending = [v for v in self.group.inputs if v is not self.through]
        elementwise = is_elementwise(self.root)
        same = {v for v in ending if v.spec == output.spec} if elementwise else set()
        taken_in = set(self.before.inputs) if self.before else set()
        return Access(frozenset({*ending, *taken_in}), frozenset(same - taken_in), (output, *self.elementwise.kept))


def tasks_of(graph: Graph) -> list[Task]:
    """The tasks of a graph, in an order in which each can run."""
    by_rows = row_groups(graph, is_elementwise, WIDEST)
    inside = {node for group in by_rows for node in group.nodes}
    found = groups(
        graph,
        lambda n: is_elementwise(n) and n not in inside,
        lambda n: _takes(n) and n not in inside,
        product=lambda n: n.op.name in _PRODUCTS,
        keeps=lambda n: not any(map(_is_convolution, n.inputs)),
    )
    found = [group for group in found if group.root not in inside]
    users: dict[Var, list[Group | RowGroup]] = {}
    for group in (*found, *by_rows):
        for var in group.inputs:
            users.setdefault(var, []).append(group)
    outputs = set(graph.outputs)
    endings: dict[Var, tuple[Group, Var]] = {}
    absorbed: set[Var] = set()
    for group in found:
        end = _end(group, users, outputs)
        if end is None or end[0].root.output in endings:
            continue
        last, through, reshapes = end
        endings[last.root.output] = (group, through)
        absorbed |= {group.root.output, *reshapes}
    tasks = [Task(group) for group in by_rows]
    for group in found:
        if group.root.output not in absorbed:
            before, through = endings.get(group.root.output, (None, None))
            tasks.append(Task(group, before, through))
    return _merged(tasks, graph)


def _merged(tasks: list[Task], graph: Graph) -> list[Task]:
    """The tasks, those as one that work on the same matrices element by element."""
    inputs, shown = frozenset(graph.inputs), frozenset(graph.outputs)
    groups = [_mergeable(task, inputs) for task in tasks]
    parts = merged([task.access for task in tasks], groups, _run_alike)
    if len(parts) == len(tasks):
        return tasks
    readers: dict[Var, set[int]] = {}
    for number, part in enumerate(parts):
        for var in {var for n in part for var in tasks[n].access.reads}:
            readers.setdefault(var, set()).add(number)
    place = {node: number for number, node in enumerate(graph.nodes)}
    found = []
    for number, part in enumerate(parts):
        if len(part) == 1:
            found.append(tasks[part[0]])
            continue
        own = {number}
        kept = lambda var, own=own: var in shown or readers.get(var, own) != own  # noqa: E731
        found.append(Task(as_one([tasks[n].elementwise for n in part], place, kept)))
    return found


def _mergeable(task: Task, inputs: frozenset[Var]) -> Group | None:
    """The group of a task that may run together with others; data that come in one group's result stay its own."""
    group = task.group
    if not isinstance(group, Group) or task.before is not None or not is_elementwise(group.root):
        return None
    shape = group.root.output.spec.shape
    whole = [var for var in group.inputs if var.spec.shape == shape]
    if len(shape) != 2 or size(shape) < 2 or (len(whole) == 1 and whole[0] in inputs):
        return None
    return group


def _run_alike(one: Group, other: Group) -> bool:
    """Whether two groups have the same loops and as many lanes."""
    return one.root.output.spec.shape == other.root.output.spec.shape and _lanes([one]) == _lanes([other])


def _end(
    group: Group, users: dict[Var, list[Group | RowGroup]], outputs: set[Var]
) -> tuple[Group, Var, list[Var]] | None:
    """The elementwise group that alone uses a product or reduction, by which variable, and the reshapes between."""
    root = group.root
    if root.op.name not in (*REDUCTIONS, *_PRODUCTS) or size(root.output.spec.shape) == 0:
        return None
    if root.op.name == "matmul" and root.output.spec.ndim != 2:
        return None
    var, reshapes = root.output, []
    while True:
        own = users.get(var, [])
        if len(own) != 1 or var in outputs:
            return None
        (end,) = own
        if isinstance(end, RowGroup):
            return None
        if end.root.op.name != "reshape":
            break
        if not _passes(root, var, end.root.output):
            return None
        var = end.root.output
        reshapes.append(var)
    fits = end.root.op.name in LANES and end.root.output.spec.shape == var.spec.shape
    if not fits or _lanes([end]) != _lanes([group]):
        return None
    return end, var, reshapes


def _passes(root: Node, var: Var, reshaped: Var) -> bool:
    """Whether an ending can be computed through a reshape: of a matrix whose rows stay, of a sum whose axes stay."""
    if root.op.name == "matmul":
        return reshaped.spec.ndim > 1 and reshaped.spec.shape[-1] == root.output.spec.shape[-1]
    return root.op.name in REDUCTIONS and _long_axes(reshaped) == _long_axes(var)


def _long_axes(var: Var) -> list[int]:
    return [n for n in var.spec.shape if n != 1]


def _lanes(parts: Sequence[Group]) -> int:
    """Lanes of a kernel that computes the groups."""
    types = [v.spec.dtype for g in parts for v in (*g.inputs, *(n.output for n in g.nodes))]
    return lanes_for(*types)


def is_elementwise(node: Node) -> bool:
    """Whether each element of a node's result is computed by itself."""
    return node.op.name in LANES


def _is_convolution(var: Var) -> bool:
    """Whether a variable is a convolution's result; its kernels keep nothing beside the result of their ending."""
    return var.record is not None and var.record.op.name in _CONVOLUTIONS


def _takes(node: Node) -> bool:
    return node.op.name in LANES or node.op.name in REDUCTIONS
