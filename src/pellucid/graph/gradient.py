"""The gradient as a graph: back-propagation is a program that turns a graph into another graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.dtypes import is_float
from pellucid.errors import DifferentiationError, ShapeError
from pellucid.graph.ir import Graph
from pellucid.graph.replay import Replay
from pellucid.op import interpreting
from pellucid.reverse import sweep
from pellucid.shapes import show, size


def gradient(graph: Graph, wrt: Sequence[int], output: int = 0) -> Graph:
    """The graph that returns the old outputs, then the gradient of one of them by some inputs.

    Args:
        graph: The forward computation.
        wrt: Positions of the inputs to differentiate by.
        output: Position of the output, which must be one number.

    Raises:
        ShapeError: The output is not one number.
        DifferentiationError: An input is not of float type, or a path has no derivative.
    """
    replay = Replay(graph)
    replay.run()
    loss = replay.env[graph.outputs[output]]
    if size(loss.spec.shape) != 1:
        raise ShapeError(
            f"gradient: output {output} of graph {graph.name} has shape {show(loss.spec.shape)}, not one number"
        )
    wanted = [replay.tracer.inputs[position] for position in wrt]
    for var in wanted:
        if not is_float(var.spec.dtype):
            raise DifferentiationError(
                f"gradient: input {var.name or '?'} of graph {graph.name} is {var.spec}, not a float."
            )
    with interpreting(replay.tracer):
        one = replay.tracer.lift(np.ones(loss.spec.shape, loss.spec.dtype))
        found = sweep([loss], [one], wanted)
        parts = [
            replay.tracer.lift(np.zeros(var.spec.shape, var.spec.dtype) if part is None else part)
            for var, part in zip(wanted, found, strict=True)
        ]
    return replay.finish(tuple(parts))
