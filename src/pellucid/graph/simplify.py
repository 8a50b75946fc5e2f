"""The algebraic rules of the simplify pass, by the operation at their root.

A rule looks at a node whose inputs are already rewritten and returns an equal variable, or None. A result of
another shape or type is refused by the pass, so that ``x + 0`` with a stretching zero stays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pellucid.graph.ir import Node, Var
from pellucid.graph.replay import Replay
from pellucid.ops.elementwise import log, neg, softplus, sub
from pellucid.ops.indexing import concatenate
from pellucid.ops.movement import broadcast_to, reshape, transpose

Inputs = tuple[Var, ...]
Simplification = Callable[[Replay, Node, Inputs], "Var | None"]

# max(p, guard) inside a logarithm protects against log(0); the stable form needs no guard this small.
_GUARD = 1e-6


def _made_by(var: Var, name: str) -> Inputs | None:
    """The inputs of the node that made ``var``, if it is of the named operation."""
    return var.record.inputs if var.record is not None and var.record.op.name == name else None


def _is_number(replay: Replay, var: Var, number: float) -> bool:
    value = replay.value(var)
    return value is not None and value.size > 0 and bool(np.all(value == number))


def neutral(number: float, both_sides: bool) -> Simplification:
    """x + 0 = x, x * 1 = x, x / 1 = x, x ** 1 = x."""

    def rule(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
        x, y = inputs
        if _is_number(replay, y, number):
            return x
        return y if both_sides and _is_number(replay, x, number) else None

    return rule


def double_negation(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """-(-x) = x."""
    inner = _made_by(inputs[0], "neg")
    return inner[0] if inner else None


def power_zero(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """x ** 0 = 1, at x = 0 too."""
    if not _is_number(replay, inputs[1], 0):
        return None
    return broadcast_to(replay.tracer.lift(np.ones((), node.output.spec.dtype)), node.output.spec.shape)


def square_as_product(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """x ** 2 = x * x, which needs no logarithm."""
    x, y = inputs
    return x * x if _is_number(replay, y, 2) else None


def pass_through(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """identity(x) = x."""
    return inputs[0]


def _is_asked_for(replay: Replay, node: Node) -> bool:
    """Whether the operand is an output: whoever records it asks for its gradient, which it has only on the way."""
    return any(var is node.inputs[0] for var in replay.source.outputs)


def reshape_of_reshape(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """Only the last of two reshapes counts; one to the same shape is none."""
    if inputs[0].spec.shape == node.output.spec.shape:
        return inputs[0]
    if _is_asked_for(replay, node):
        return None
    inner = _made_by(inputs[0], "reshape")
    return reshape(inner[0], node.output.spec.shape) if inner else None


def transpose_of_transpose(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """Two transposes are one; an inverse pair is none."""
    inner = _made_by(inputs[0], "transpose")
    if not inner or inputs[0].record is None or _is_asked_for(replay, node):
        return None
    first, second = inputs[0].record.attributes["axes"], node.attributes["axes"]
    return transpose(inner[0], tuple(first[axis] for axis in second))


def _unguarded(replay: Replay, var: Var) -> Var:
    """p of max(p, tiny), else the variable itself."""
    inner = _made_by(var, "maximum")
    if inner:
        bound = replay.value(inner[1])
        if bound is not None and bool(np.all((bound > 0) & (bound <= _GUARD))):
            return inner[0]
    return var


def log_of_softmax(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """log(exp(t) / s) = t - log(s): a softmax under a logarithm never underflows."""
    quotient = _made_by(_unguarded(replay, inputs[0]), "div")
    raised = _made_by(quotient[0], "exp") if quotient else None
    return sub(raised[0], log(quotient[1])) if quotient and raised else None


def log_of_sigmoid(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """log(sigmoid(x)) = -softplus(-x), and log(1 - sigmoid(x)) = -softplus(x)."""
    inside = _unguarded(replay, inputs[0])
    squashed = _made_by(inside, "sigmoid")
    if squashed:
        return neg(softplus(neg(squashed[0])))
    difference = _made_by(inside, "sub")
    if difference and _is_number(replay, difference[0], 1):
        squashed = _made_by(difference[1], "sigmoid")
        if squashed:
            return neg(softplus(squashed[0]))
    return None


#: The longest sum that is searched for parts; beyond, the search would take longer than it saves.
_PARTS = 512


def _summands(var: Var, limit: int) -> list[Var]:
    """The variables whose sum a variable is, at most ``limit`` of them."""
    found: list[Var] = []
    waiting = [var]
    while waiting and len(found) + len(waiting) <= limit:
        one = waiting.pop()
        inner = _made_by(one, "add")
        if inner and all(v.spec == one.spec for v in inner):
            waiting += inner
        else:
            found.append(one)
    return found + waiting


def sum_of_parts(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """pad(x) + pad(y) + ... = concatenate(x, y, ...), where the parts lie side by side without gaps or overlaps.

    The gradient of cutting an array into pieces (time steps, gates) is such a sum.
    """
    places: list[tuple[int, Var]] = []
    axes: set[int] = set()
    for var in [v for x in inputs for v in _summands(x, _PARTS)]:
        record = var.record
        if record is None or record.op.name != "pad" or any(record.attributes["interior"]):
            return None
        low, high = record.attributes["low"], record.attributes["high"]
        padded = [a for a, (before, after) in enumerate(zip(low, high, strict=True)) if before or after]
        axes.update(padded)
        if len(axes) != 1 or min(*low, *high) < 0:
            return None
        places.append((low[padded[0]], record.inputs[0]))
    (axis,) = axes
    places.sort(key=lambda place: place[0])
    end = 0
    for start, part in places:
        if start != end:
            return None
        end += part.spec.shape[axis]
    return concatenate([part for _, part in places], axis) if end == node.output.spec.shape[axis] else None


SIMPLIFICATIONS: dict[str, tuple[Simplification, ...]] = {
    "add": (neutral(0, both_sides=True), sum_of_parts),
    "sub": (neutral(0, both_sides=False),),
    "mul": (neutral(1, both_sides=True),),
    "div": (neutral(1, both_sides=False),),
    "pow": (neutral(1, both_sides=False), power_zero, square_as_product),
    "neg": (double_negation,),
    "identity": (pass_through,),
    "reshape": (reshape_of_reshape,),
    "transpose": (transpose_of_transpose,),
    "log": (log_of_softmax, log_of_sigmoid),
}
