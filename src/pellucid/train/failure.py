"""The first cause of NaN or infinity: a failed step, carried out again node by node in NumPy.

Nothing is paid for it until a step fails. The step is taken apart into the graph of the loss and its gradients, and
the update; the first value that is not finite on the way to what failed is the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import float64
from pellucid.errors import NonFiniteCause, Operand
from pellucid.graph import Fault, Graph, Node, Values, Var, by_row, trace
from pellucid.op import Spec

#: How many elements, rows and losses are told at most.
_SHOWN = 5
#: Numbers beyond this are on the way to an overflow, and an operation that makes them so many times as large is why.
_LARGE = 1e6
#: Operations whose derivative is infinite or undefined somewhere, where their own value is finite or is not used.
_STEEP = ("sqrt", "log", "log1p", "div", "pow")


@dataclass(frozen=True)
class FailedStep:
    """A step that made NaN or infinity, and the numbers it began with.

    Attributes:
        program: The training program.
        rows: The batch, one array per input of rows.
        order: Which rows of the data it is made of.
        fixed: The random key, and the settings that are data.
        number: The number of the step, from 0, as the graph takes it.
        rate: The learning rate.
        state: Parameters and slots from before the step.
        losses: The losses of the steps before.
    """

    program: Any
    rows: Sequence[np.ndarray]
    order: np.ndarray
    fixed: Sequence[np.ndarray]
    number: np.ndarray
    rate: np.ndarray
    state: Sequence[np.ndarray]
    losses: tuple[float, ...]


def first_cause(step: FailedStep) -> NonFiniteCause:
    """Where the step first made NaN or infinity of finite numbers."""
    trained, graph = step.program.trained, step.program.gradient
    parameters = step.state[: len(trained.parameters)]
    values = Values(graph, [*step.rows, *step.fixed, step.number, *parameters])
    count = len(trained.trainable)
    old = len(step.program.forward.outputs)
    gradients, statistics = graph.outputs[old : old + count], graph.outputs[old - step.program.assigned : old]
    for output in (graph.outputs[0], *statistics, *gradients):
        fault = values.fault(output)
        if fault is not None:
            forward = len(step.program.forward.nodes)
            stage = "forward" if fault.position < forward else "backward"
            return _cause(step, graph, values, fault, stage)
    update = _update_graph(trained)
    slots = step.state[len(trained.parameters) :]
    known = [*parameters[:count], *(values[g] for g in gradients), *slots, step.number, step.rate, *step.fixed[1:]]
    values = Values(update, known)
    for output in update.outputs:
        fault = values.fault(output)
        if fault is not None:
            return _cause(step, update, values, fault, "update")
    return NonFiniteCause(None, losses=step.losses)


def _update_graph(trained: Any) -> Graph:
    """New parameters and slots from parameters, gradients, slots, step, learning rate and settings."""

    def update(parameters: list, gradients: list, slots: list, number: Any, rate: Any, settings: list) -> Any:
        t = ops.cast(number, float64) + 1.0
        with trained.settings.traced(settings):
            return trained.optimizer.update_all(parameters, gradients, slots, t, rate)

    specs = [p.spec for p in trained.trainable]
    slots = [{name: slot.spec for name, slot in own.items()} for own in trained.slots]
    names = [p.name for p in trained.trainable]
    names += [f"gradient of {name}" for name in names]
    names += [slot.name for own in trained.slots for _, slot in sorted(own.items())]
    names += ["step", "learning_rate", *trained.settings.names]
    args = (specs, specs, slots, Spec((), np.dtype(np.uint32)), Spec((), float64), trained.settings.specs)
    return trace(update, *args, name="update", arg_names=names).graph


def _cause(step: FailedStep, graph: Graph, values: Values, fault: Fault, stage: str) -> NonFiniteCause:
    bad = ~np.isfinite(fault.value)
    rows: tuple[int, ...] = ()
    if stage != "update" and fault.var in by_row(graph, len(step.rows)):
        samples = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
        rows = tuple(int(row) for row in step.order[samples])
    if fault.node is None:
        name = fault.var.name or "?"
        operand = _operand(name, fault.value, bad)
        held = _holder(step, graph, fault.var)
        return NonFiniteCause(held, "", stage, rows, formula=name, operands=(operand,), losses=step.losses)
    names = [_origin(var) for var in fault.node.inputs]
    operands = [
        _operand(name, value, _blamed(fault.node, value, bad))
        for name, value in zip(names, fault.operands, strict=True)
    ]
    return NonFiniteCause(
        fault.node.op.name,
        "/".join(fault.node.scope),
        stage,
        rows,
        # What this package adds to the loss has no other line than the call of fit.
        None if stage != "forward" or fault.node.place == _place(graph.outputs[0]) else fault.node.place,
        fault.node.op.write(names, dict(fault.node.attributes)),
        tuple(operands),
        _derivative_of(graph, fault.node, len(step.program.forward.nodes)) if stage == "backward" else None,
        _growth(values, fault),
        _largest(step),
        step.losses,
    )


def _holder(step: FailedStep, graph: Graph, var: Var) -> str:
    """What an input of the step or of the update is: ``"input"`` for the data, or who else held a number."""
    trained = step.program.trained
    if any(var is known for known in graph.inputs[: len(step.rows)]) and graph is step.program.gradient:
        return "input"
    if any(var.name == p.name for p in trained.parameters):
        return "parameter"
    slots = (slot.name for own in trained.slots for slot in own.values())
    return "slot" if var.name in slots else "setting"


def _largest(step: FailedStep) -> tuple[str, str, float] | None:
    """The parameter or input with the largest magnitude."""
    inputs = step.program.forward.inputs
    found = [("parameter", p.name, w) for p, w in zip(step.program.trained.trainable, step.state, strict=False)]
    found += [("input", v.name, x) for v, x in zip(inputs, step.rows, strict=False) if x.dtype.kind == "f"]
    sizes = [(kind, str(name), float(np.abs(value).max())) for kind, name, value in found if value.size]
    return max(sizes, key=lambda size: size[2], default=None)


def _growth(values: Values, fault: Fault) -> tuple[str, str, float, float] | None:
    """What made the operands of an overflow so large, if something did at once."""
    assert fault.node is not None, "an input has grown from nothing"
    floats = [v for v in fault.node.inputs if values[v].dtype.kind == "f" and values[v].size]
    largest = max(floats, key=lambda v: float(np.abs(values[v]).max()), default=None)
    if largest is None or float(np.abs(values[largest]).max()) < _LARGE:
        return None
    found = values.growth(largest, _FORWARD_HINT)
    if found is None or found[2] < _LARGE * found[1]:
        return None
    return found[0].op.name, "/".join(found[0].scope), found[1], found[2]


def _place(var: Var) -> str | None:
    return None if var.record is None else var.record.place


def _origin(var: Var) -> str:
    """What an operand is called: its name, or the operation that made it."""
    if var.record is None:
        return var.name or "constant"
    return f"{var.record.op.name}(...)"


def _blamed(node: Node, operand: np.ndarray, bad: np.ndarray) -> np.ndarray | None:
    """Which elements of an operand the bad ones of an elementwise result were made of; None for other operations."""
    stretches = node.op.broadcasts and node.op.name != "matmul"
    if not stretches and (len(node.inputs) > 1 or node.attributes or operand.shape != bad.shape):
        return None
    if operand.ndim == 0:
        return np.asarray(bad.any())
    extra = tuple(range(bad.ndim - operand.ndim))
    stretched = tuple(i for i, n in enumerate(operand.shape) if n == 1)
    return np.any(np.any(bad, axis=extra), axis=stretched, keepdims=True)


def _operand(name: str, value: np.ndarray, bad: np.ndarray | None) -> Operand:
    places = [] if bad is None or (bad.all() and value.size > 1) else np.argwhere(bad)[:_SHOWN].tolist()
    elements = tuple((tuple(place), float(value[tuple(place)])) for place in places)
    finite = value[np.isfinite(value)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    return Operand(name, str(Spec(value.shape, value.dtype)), low, high, elements)


def _derivative_of(graph: Graph, node: Node, forward: int) -> str | None:
    """The forward operation whose derivative a node of the backward stage belongs to: one that used the same values."""
    used = set(node.inputs)
    for other in reversed(graph.nodes[:forward]):
        if other.op.name in _STEEP and (other.output in used or used & set(other.inputs)):
            return other.op.name
    return None


# In words.


def told(cause: NonFiniteCause) -> list[str]:
    """The cause as lines of an error."""
    if cause.op is None:
        lines = [
            "first cause: not found, because the same step stays finite in NumPy, which adds in another order:"
            " the numbers are at the edge of what their type holds"
        ]
    elif cause.op in _HOLDERS:
        lines = [f"first cause: {_HOLDERS[cause.op]}: {_told_operand(cause.operands[0])}"]
    else:
        derivative = f", in the derivative of {cause.derivative_of}" if cause.derivative_of else ""
        place = f", at {cause.place}" if cause.place else ""
        where = "the optimiser" if cause.stage == "update" else _where(cause.layer)
        lines = [f"first cause: {cause.op} in {where}, {cause.stage}{derivative}{place}: {cause.formula}"]
        lines += [f"  of {_told_operand(operand)}" for operand in dict.fromkeys(cause.operands)]
    if cause.growth:
        op, layer, before, after = cause.growth
        lines.append(f"grown before: from {before:.4g} to {after:.4g} by {op} in {_where(layer)}")
    if cause.op not in _HOLDERS and cause.largest and cause.largest[2] > _LARGE:
        kind, name, size = cause.largest
        lines.append(f"largest number before the step: {size:.4g} in the {kind} {name}")
    if cause.rows:
        lines.append(f"rows of the data: {_listed(cause.rows)}")
    if cause.losses:
        lines.append(f"losses of the steps before: {', '.join(f'{loss:.4g}' for loss in cause.losses)}")
    return lines


def _where(layer: str) -> str:
    return f'layer "{layer}"' if layer else "the loss"


def _told_operand(operand: Operand) -> str:
    text = f"{operand.name}: {operand.spec}"
    if operand.spec.endswith("[]"):
        return f"{text} = {operand.elements[0][1] if operand.elements else operand.min:.6g}"
    if operand.min <= operand.max:
        all_finite = all(np.isfinite(value) for _, value in operand.elements)
        text += f"{'' if all_finite else ', finite elements'} from {operand.min:.6g} to {operand.max:.6g}"
    if operand.elements:
        text += "; there: " + ", ".join(f"{value:.6g} at {list(place)}" for place, value in operand.elements)
    return text


def _listed(rows: Sequence[int]) -> str:
    text = ", ".join(str(row) for row in rows[:_SHOWN])
    return text if len(rows) <= _SHOWN else f"{text} ... ({len(rows)} rows)"


_HOLDERS = {
    "input": "the data",
    "parameter": "a parameter was not finite before the step",
    "slot": "a slot of the optimiser was not finite before the step",
    "setting": "a setting of the step",
}
_SMALLER_STEPS = "a smaller learning rate or clip_norm= in the optimiser usually helps"
_HOLDER_HINT = {
    "input": "look at these rows: NaN, infinity, or numbers too large for the model's type",
    "parameter": "look at what was loaded or set by set_weights: training never leaves such a number in a parameter",
    "slot": "optimizer.reset() lets the slots start anew",
    "setting": "look at this number: the learning rate, or a setting of a layer or of the optimiser",
}
_STEEP_HINT = {
    "sqrt": "sqrt has an infinite slope at 0: add a small number under the root, as in ops.sqrt(x + 1e-12)",
    "log": "the slope of log at 0 is infinite: keep its argument away from 0, as in ops.log(ops.maximum(x, 1e-7))",
    "log1p": "the slope of log1p at -1 is infinite: keep its argument above -1",
    "div": "add a small number to the divisor, so that it cannot be 0",
    "pow": "x ** p with p < 1 has an infinite slope at 0: add a small number to x",
}
_FORWARD_HINT = {
    "log": "log needs numbers above 0: keep its argument there, as in ops.log(ops.maximum(x, 1e-7)), or use a loss of"
    " pellucid.nn, which is computed from the logits",
    "log1p": "log1p needs numbers above -1",
    "sqrt": "sqrt needs numbers of at least 0: use ops.sqrt(ops.maximum(x, 0))",
    "div": "add a small number to the divisor, so that it cannot be 0",
    "exp": "exp overflows float32 above 88.7 and float64 above 709.7: subtract the largest argument first, as"
    " ops.softmax and ops.logsumexp do",
    "pow": "a negative number has no broken power, and 0 no negative one; large ones overflow",
}
_FORWARD_HINT["expm1"] = _FORWARD_HINT["exp"]


def advice(cause: NonFiniteCause) -> str:
    """What to do about it."""
    if cause.op in _HOLDER_HINT:
        return _HOLDER_HINT[cause.op]
    if cause.stage == "backward" and cause.derivative_of:
        return _STEEP_HINT[cause.derivative_of]
    culprit = cause.growth[0] if cause.growth and cause.growth[0] in _FORWARD_HINT else cause.op
    if culprit in _FORWARD_HINT and not _has_large_weights(cause):
        return _FORWARD_HINT[culprit]
    if _has_large_weights(cause) or (len(cause.losses) > 1 and cause.losses[-1] > 100 * abs(cause.losses[0])):
        return f"losses or weights grew before, so the learning rate is too high: {_SMALLER_STEPS}"
    if cause.largest and cause.largest[0] == "input" and cause.largest[2] > _LARGE:
        return f"the data reach {cause.largest[2]:.4g}: look at these rows, or scale the inputs"
    return _SMALLER_STEPS


def _has_large_weights(cause: NonFiniteCause) -> bool:
    """Whether weights grew so much before that training has diverged."""
    return cause.largest is not None and cause.largest[0] == "parameter" and cause.largest[2] > _LARGE
