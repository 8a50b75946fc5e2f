"""The gradient as a graph: back-propagation is a program that turns a graph into another graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.dtypes import is_float
from pellucid.errors import DifferentiationError, ShapeError
from pellucid.graph.ir import Graph
from pellucid.graph.replay import Replay
from pellucid.op import Value, interpreting
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
    return gradient_with_inner(graph, wrt, (), output)[0]


def gradient_with_inner(
    graph: Graph, wrt: Sequence[int], inner: Sequence[int], output: int = 0
) -> tuple[Graph, tuple[int, ...]]:
    """The same graph, which also returns gradients that it computes on the way anyhow: those by inner values.

    Args:
        graph, wrt, output: As for :func:`gradient`.
        inner: Positions of further outputs, the inner values: those that the loss is computed through.

    Returns:
        The graph, and which of ``inner`` have a gradient in it: the others lie on no path between the inputs and the
        loss. Its outputs are the old ones, the gradients by the inputs, the gradients by these inner values.
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
    passed: dict[Value, Value] = {}
    with interpreting(replay.tracer):
        one = replay.tracer.lift(np.ones(loss.spec.shape, loss.spec.dtype))
        found = sweep([loss], [one], wanted, on_cotangent=passed.__setitem__)
        parts = [
            replay.tracer.lift(np.zeros(var.spec.shape, var.spec.dtype) if part is None else part)
            for var, part in zip(wanted, found, strict=True)
        ]
        passed |= {var: part for var, part in zip(wanted, found, strict=True) if part is not None}
        known = [position for position in inner if replay.env[graph.outputs[position]] in passed]
        parts += [replay.tracer.lift(passed[replay.env[graph.outputs[position]]]) for position in known]
    return replay.finish(tuple(parts)), tuple(known)
