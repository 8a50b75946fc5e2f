"""Which elementwise groups run as one: those that read the same matrices, and those that read each other's results.

A recurrent cell's gates and states, and their gradients, are many groups on one shape. As one they read every matrix
once, in one instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.graph.ir import Node, Var
from pellucid.plan.fuse import Group
from pellucid.plan.order import Access, after_what_they_read

#: How far back groups look for others.
_WINDOW = 64


def merged(
    tasks: Sequence[Access],
    groups: Sequence[Group | None],
    alike: Callable[[Group, Group], bool],
    limit: int = 48,
) -> list[list[int]]:
    """The numbers of the tasks, those that run as one together, in an order in which all can run.

    A group comes later, to the place of another one, where no task between the two reads its results.

    Args:
        tasks: What each reads and writes.
        groups: For each the group that may be merged with others; None where it may not.
        alike: Whether two groups may be one kernel.
        limit: Largest number of nodes that run as one.
    """
    result: list[list[int]] = []
    for number in after_what_they_read(tasks):
        own = groups[number]
        unit = [number]
        for other in reversed(result[-_WINDOW:]) if own is not None else ():
            first = groups[other[0]]
            if first is None or own is None or not alike(first, own):
                continue
            if sum(_nodes(groups, part) for part in (unit, other)) > limit:
                continue
            if _belong(tasks, groups, other, unit) and _can_wait(tasks, result, other):
                result = [part for part in result if part is not other]
                unit = other + unit
        result.append(unit)
    return result


def _nodes(groups: Sequence[Group | None], numbers: list[int]) -> int:
    return sum(len(group.nodes) for n in numbers if (group := groups[n]) is not None)


def _belong(tasks: Sequence[Access], groups: Sequence[Group | None], one: list[int], other: list[int]) -> bool:
    """Whether the second reads what the first computes, or both read a whole value of their shape."""
    written = {var for n in one for var in tasks[n].writes}
    read, theirs = ({var for n in part for var in tasks[n].reads} for part in (one, other))
    (shape,) = {group.root.output.spec.shape for n in one if (group := groups[n]) is not None}
    return any(var.spec.shape == shape for var in (written | read) & theirs)


def _can_wait(tasks: Sequence[Access], result: list[list[int]], part: list[int]) -> bool:
    """Whether nothing behind a part reads what it computes."""
    written = {var for n in part for var in tasks[n].writes}
    start = next(i for i in range(len(result) - 1, -1, -1) if result[i] is part)
    return not any(written & tasks[n].reads for behind in result[start + 1 :] for n in behind)


def as_one(groups: Sequence[Group], place: dict[Node, int], kept: Callable[[Var], bool]) -> Group:
    """Groups as a single one.

    Args:
        groups: The groups.
        place: Where each node stands in the graph.
        kept: Whether others read a result of them, or the graph returns it.
    """
    nodes = sorted((node for group in groups for node in group.nodes), key=place.__getitem__)
    made = {node.output for node in nodes}
    inputs = {var: None for node in nodes for var in node.inputs if var not in made}
    results = {var for group in groups for var in (group.root.output, *group.kept)}
    beside = tuple(node.output for node in nodes[:-1] if node.output in results and kept(node.output))
    return Group(tuple(nodes), tuple(inputs), beside)
