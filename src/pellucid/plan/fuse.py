"""Which nodes run as one kernel: elementwise nodes join the node that alone uses them.

What the graph returns as well, such as an optimiser's moments, is kept: its group gives it beside the root's output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.graph.ir import Graph, Node, Var


@dataclass(frozen=True)
class Group:
    """Nodes that run together: elementwise ones in order, then the root, which may be a reduction.

    Attributes:
        nodes: In order; the last is the root, whose output is the group's.
        inputs: The variables that the group reads, each once, in the order of first use.
        kept: What others read, or the graph returns, beside the output of the root; in the root's shape.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Var, ...]
    kept: tuple[Var, ...] = ()

    @property
    def root(self) -> Node:
        """The node whose output the group computes."""
        return self.nodes[-1]


def groups(
    graph: Graph,
    joins: Callable[[Node], bool],
    takes: Callable[[Node], bool],
    limit: int = 24,
    product: Callable[[Node], bool] = lambda node: False,
    keeps: Callable[[Node], bool] = lambda node: False,
) -> list[Group]:
    """The nodes of a graph in groups, in an order in which each can run.

    Args:
        graph: The graph.
        joins: Whether a node can be computed inside the group of the node that uses it.
        takes: Whether a node can have others computed inside its group.
        limit: Largest number of nodes in a group, so that kernels stay small.
        product: Whether a node can take a group in as its ending. A group ends one product: in a sum of products each
            addition is the ending of its own one, and no product is written to memory only to be read again.
        keeps: Whether a node whose output the graph returns can be computed inside the group of an elementwise node.
    """
    users = _users(graph)
    outputs = set(graph.outputs)

    def ends_product(node: Node) -> bool:
        sources = (var.record for var in node.inputs if len(users[var]) == 1 and var not in outputs)
        return any(source is not None and product(source) for source in sources)

    leader: dict[Var, Node] = {}
    members: dict[Node, list[Node]] = {}
    for node in reversed(graph.nodes):
        chosen = None
        shown = node.output in outputs
        if joins(node) and (not shown or keeps(node)):
            leaders = {id(leader[user.output]): leader[user.output] for user in users.get(node.output, ())}
            if len(leaders) == 1:
                (candidate,) = leaders.values()
                fits = takes(candidate) and _domain(candidate) == node.output.spec.shape
                fits = fits and (not shown or joins(candidate))
                fits = fits and not (ends_product(node) and any(map(ends_product, members[candidate])))
                if fits and len(members[candidate]) < limit:
                    chosen = candidate
        chosen = chosen or node
        leader[node.output] = chosen
        members.setdefault(chosen, []).append(node)
    return [_group(list(reversed(members[node])), outputs) for node in graph.nodes if node in members]


def _domain(node: Node) -> tuple[int, ...]:
    """The shape over which a root runs: a reduction's is that of what it reduces."""
    if "axes" in node.attributes and "keepdims" in node.attributes:
        return node.inputs[0].spec.shape
    return node.output.spec.shape


def _users(graph: Graph) -> dict[Var, list[Node]]:
    users: dict[Var, list[Node]] = {}
    for node in graph.nodes:
        for var in node.inputs:
            users.setdefault(var, []).append(node)
    return users


def _group(nodes: list[Node], outputs: set[Var]) -> Group:
    made = {node.output for node in nodes}
    inputs = {var: None for node in nodes for var in node.inputs if var not in made}
    kept = tuple(node.output for node in nodes[:-1] if node.output in outputs)
    return Group(tuple(nodes), tuple(inputs), kept)
