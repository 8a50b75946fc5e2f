"""The passes: a visible list of named functions from graph to graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid import config
from pellucid.graph.commute import pool_before_relu
from pellucid.graph.ir import Graph, Node, Var
from pellucid.graph.replay import Replay
from pellucid.graph.simplify import SIMPLIFICATIONS
from pellucid.graph.verify import verify

# Folding must not blow a graph up: a broadcast constant stays a node beyond this many elements.
_FOLD_LIMIT = 4096


@dataclass(frozen=True)
class Pass:
    """A named pass."""

    run: Callable[[Graph], Graph]
    purpose: str

    @property
    def name(self) -> str:
        """The function's name."""
        return self.run.__name__


def fold_constants(graph: Graph) -> Graph:
    """Evaluate nodes whose inputs are all constants."""

    def rule(replay: Replay, node: Node, inputs: tuple[Var, ...]) -> np.ndarray | None:
        values = [replay.value(v) for v in inputs]
        if not values or any(v is None for v in values):
            return None
        largest = max(_FOLD_LIMIT, *(v.size for v in values if v is not None))
        if int(np.prod(node.output.spec.shape)) > largest:
            return None
        with np.errstate(all="ignore"):
            return np.asarray(node.op.forward(*values, **node.attributes))

    replay = Replay(graph)
    replay.run(rule)
    return replay.finish()


def simplify(graph: Graph) -> Graph:
    """Apply algebra: neutral elements, inverse pairs, and stable forms of logarithms."""

    def rule(replay: Replay, node: Node, inputs: tuple[Var, ...]) -> Var | None:
        for simplification in SIMPLIFICATIONS.get(node.op.name, ()):
            new = simplification(replay, node, inputs)
            if new is not None and new.spec == node.output.spec:
                return new
        return None

    replay = Replay(graph)
    replay.run(rule)
    return replay.finish()


def erase_markers(graph: Graph) -> Graph:
    """Drop stop_gradient nodes: once the gradient is taken, they compute nothing."""

    def rule(replay: Replay, node: Node, inputs: tuple[Var, ...]) -> Var | None:
        return inputs[0] if node.op.name == "stop_gradient" else None

    replay = Replay(graph)
    replay.run(rule)
    return replay.finish()


def eliminate_common(graph: Graph) -> Graph:
    """Compute equal expressions once."""
    known: dict[object, Var] = {}

    def rule(replay: Replay, node: Node, inputs: tuple[Var, ...]) -> Var | None:
        key = (node.op.name, inputs, tuple(sorted(node.attributes.items())))
        found = known.get(key)
        if found is None:
            known[key] = found = replay.tracer.emit(node.op, inputs, node.attributes, node.output.spec)
        return found

    replay = Replay(graph)
    replay.run(rule)
    return replay.finish()


def eliminate_dead(graph: Graph) -> Graph:
    """Drop nodes and constants that no output needs."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            kept.append(node)
            needed.update(node.inputs)
    constants = tuple((v, a) for v, a in graph.constants if v in needed)
    return Graph(graph.name, graph.inputs, constants, tuple(reversed(kept)), graph.outputs)


_FOLD = Pass(fold_constants, "evaluate nodes whose inputs are constants")
_SIMPLIFY = Pass(simplify, "neutral elements, inverse pairs, stable logarithms of softmax and sigmoid")
_COMMON = Pass(eliminate_common, "compute equal expressions once")
_DEAD = Pass(eliminate_dead, "drop what no output needs")
_ERASE = Pass(erase_markers, "drop stop_gradient markers")

_POOL = Pass(pool_before_relu, "apply relu to the winners of max pooling only")

#: Before the gradient is taken: stable forms must be found on the forward graph, so that their gradients are simple.
FORWARD_PASSES = (_FOLD, _COMMON, _SIMPLIFY, _DEAD, _POOL, _SIMPLIFY, _DEAD)

#: Before a backend compiles.
PASSES = (_ERASE, _FOLD, _COMMON, _SIMPLIFY, _COMMON, _DEAD)


def rewrite(graph: Graph, passes: Sequence[Pass] = PASSES) -> Graph:
    """The graph after the passes in order, verified after each where ``PELLUCID_VERIFY`` is set."""
    checking = config.flag(config.VERIFY)
    if checking:
        verify(graph)
    for one in passes:
        graph = one.run(graph)
        if checking:
            verify(graph, after=one.name)
    return graph
