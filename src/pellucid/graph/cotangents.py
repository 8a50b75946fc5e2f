"""A graph joined with its backward sweep, in which the gradient of every variable can be found.

:func:`pellucid.graph.gradient` gives the gradients of the inputs; who explains a step wants all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.dtypes import is_float
from pellucid.graph.ir import Graph, Var
from pellucid.graph.replay import Replay
from pellucid.op import interpreting
from pellucid.reverse import sweep


@dataclass(frozen=True, eq=False)
class Swept:
    """A forward graph with the sweep behind it.

    Attributes:
        graph: The forward nodes, then the backward ones; its outputs are those of the forward graph.
        copies: Variable of the forward graph -> the variable of ``graph`` that stands for it.
        cotangents: Variable of the forward graph -> the gradient of the output by it; none where no path leads.
    """

    graph: Graph
    copies: dict[Var, Var]
    cotangents: dict[Var, Var]

    def with_outputs(self, outputs: Sequence[Var]) -> Graph:
        """The graph with other outputs."""
        return Graph(self.graph.name, self.graph.inputs, self.graph.constants, self.graph.nodes, tuple(outputs))


def with_cotangents(graph: Graph, wrt: Sequence[int] | None = None, output: int = 0) -> Swept:
    """The graph, and behind it the gradient of one output by every variable on the way to some inputs.

    Back-propagation: the gradient of the output by itself is 1, and of v it is the sum over all nodes u that use v of
    (local derivative of u by v)^T times the gradient by u. An output of several numbers counts as their sum.

    Args:
        graph: The forward computation.
        wrt: Positions of the inputs to reach; all of float type by default.
        output: Position of the output.

    Raises:
        DifferentiationError: A path leads through an operation that has no derivative.

    >>> from pellucid.graph import trace
    >>> swept = with_cotangents(trace(lambda a: (2.0 * a) ** 2, np.float64(3)).graph)
    >>> print(swept.with_outputs(list(swept.cotangents.values())).nodes[0].op.name, len(swept.cotangents))
    mul 3
    """
    replay = Replay(graph)
    replay.run()
    result = replay.env[graph.outputs[output]]
    positions = range(len(graph.inputs)) if wrt is None else wrt
    wanted = [v for v in (replay.tracer.inputs[p] for p in positions) if is_float(v.spec.dtype)]
    with interpreting(replay.tracer):
        seed = replay.tracer.lift(np.ones(result.spec.shape, result.spec.dtype))
        found: dict[Any, Any] = {}
        parts = sweep([result], [seed], wanted, on_cotangent=found.__setitem__)
        found |= {var: part for var, part in zip(wanted, parts, strict=True) if part is not None}
    cotangents = {old: found[new] for old, new in replay.env.items() if new in found}
    return Swept(replay.finish(), dict(replay.env), cotangents)
