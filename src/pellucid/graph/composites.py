"""Composites: operations that a reader knows by one name, found again in a graph of primitives.

Softmax, means, cross-entropies and max-pooling are several primitives each. For reading, each becomes one node whose
vjp rule is the textbook's: the gradient of softmax with cross-entropy is y_hat - y. The composites exist for printing
alone: they stand in no registry, and no backend sees them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.dtypes import bool_
from pellucid.graph import numpy_helpers as helpers
from pellucid.graph.ir import Graph, Node, Var
from pellucid.graph.replay import Replay
from pellucid.op import Op, Spec, apply
from pellucid.ops.elementwise import div, mul, sigmoid, sub
from pellucid.ops.movement import expand_dims, reshape, sum, unreduce
from pellucid.ops.promotion import cast
from pellucid.shapes import reduced, size

Inputs = tuple[Var, ...]


@dataclass(frozen=True, eq=False)
class Composite(Op):
    """An operation that is put together from primitives; it is registered nowhere."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "operands", ())


def _same(z: Spec, *others: Spec, **attributes: Any) -> Spec:
    return z


def _softmax_vjp(ct: Any, out: Any, z: Any, *, axis: int) -> Any:
    return out * (ct - sum(ct * out, axis, keepdims=True))


def _log_softmax_vjp(ct: Any, out: Any, z: Any, *, axis: int) -> Any:
    return ct - apply(SOFTMAX, z, axis=axis) * sum(ct, axis, keepdims=True)


def _mean_vjp(ct: Any, out: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    count = size([x.spec.shape[axis] for axis in axes])
    return unreduce(div(ct, count), x.spec.shape, axes, keepdims)


def _of_sample(ct: Any) -> Any:
    return expand_dims(ct, -1)


def _class_error(ct: Any, out: Any, z: Any, y: Any) -> Any:
    error = sub(
        apply(SOFTMAX, z, axis=z.spec.ndim - 1), cast(apply(ONE_HOT, y, classes=z.spec.shape[-1]), z.spec.dtype)
    )
    return mul(error, _of_sample(ct))


def _row_error(ct: Any, out: Any, z: Any, y: Any) -> Any:
    return mul(sub(apply(SOFTMAX, z, axis=z.spec.ndim - 1), y), _of_sample(ct))


SOFTMAX = Composite("softmax", _same, lambda z, *, axis: helpers.softmax(z, axis), (_softmax_vjp,))
LOG_SOFTMAX = Composite("log_softmax", _same, lambda z, *, axis: helpers.log_softmax(z, axis), (_log_softmax_vjp,))
MEAN = Composite(
    "mean",
    lambda x, *, axes, keepdims: Spec(reduced(x.shape, axes, keepdims), x.dtype),
    lambda x, *, axes, keepdims: np.mean(x, axis=axes, keepdims=keepdims),
    (_mean_vjp,),
)
SQUARE = Composite("square", _same, np.square, (lambda ct, out, x: mul(mul(2.0, ct), x),))
ONE_HOT = Composite(
    "one_hot",
    lambda y, *, classes: Spec((*y.shape, classes), bool_),
    lambda y, *, classes: helpers.one_hot(y, classes),
    None,
)
CROSS_ENTROPY = Composite(
    "cross_entropy", lambda z, y: Spec(y.shape, z.dtype), helpers.cross_entropy, (_class_error, None)
)
CROSS_ENTROPY_OF_ROWS = Composite(
    "cross_entropy_of_rows",
    lambda z, y: Spec(z.shape[:-1], z.dtype),
    helpers.cross_entropy_of_rows,
    (_row_error, None),
)
BINARY_CROSS_ENTROPY = Composite(
    "binary_cross_entropy",
    _same,
    helpers.binary_cross_entropy,
    (lambda ct, out, z, y: mul(sub(sigmoid(z), y), ct), None),
)


def _pool_spec(x: Spec, *, shape: tuple[int, ...], **window: Any) -> Spec:
    return Spec(shape, x.dtype)


MAX_POOL = Composite(
    "max_pool",
    _pool_spec,
    lambda x, *, shape, window, strides, pads: helpers.max_pool(x, window, strides, pads),
    (lambda ct, out, x, *, shape, **window: apply(MAX_POOL_GRADIENT, ct, x, **window),),
)
MAX_POOL_GRADIENT = Composite(
    "max_pool_gradient",
    lambda ct, x, **window: x,
    lambda ct, x, *, window, strides, pads: helpers.max_pool_gradient(ct, x, window, strides, pads),
    None,
)

#: All composites by name.
COMPOSITES: dict[str, Composite] = {
    op.name: op
    for op in (
        SOFTMAX, LOG_SOFTMAX, MEAN, SQUARE, ONE_HOT, CROSS_ENTROPY, CROSS_ENTROPY_OF_ROWS, BINARY_CROSS_ENTROPY,
        MAX_POOL, MAX_POOL_GRADIENT,
    )
}  # fmt: skip


def _made_by(var: Var, name: str) -> Inputs | None:
    """The inputs of the node that made ``var``, if it is of the named operation."""
    return var.record.inputs if var.record is not None and var.record.op.name == name else None


def _attribute(var: Var, name: str) -> Any:
    return var.record.attributes[name] if var.record is not None else None


def _shifted(var: Var) -> tuple[Var, int] | None:
    """z and the axis of z - max(z)."""
    parts = _made_by(var, "sub")
    marked = _made_by(parts[1], "stop_gradient") if parts else None
    if not parts or not marked or (largest := _made_by(marked[0], "max")) is None or largest[0] is not parts[0]:
        return None
    axes = _attribute(marked[0], "axes")
    return (parts[0], axes[0]) if len(axes) == 1 and _attribute(marked[0], "keepdims") else None


def _find_softmax(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    raised, total = _made_by(inputs[0], "exp"), _made_by(inputs[1], "sum")
    found = _shifted(raised[0]) if raised else None
    if not found or not total or total[0] is not inputs[0] or _attribute(inputs[1], "axes") != (found[1],):
        return None
    return apply(SOFTMAX, found[0], axis=found[1])


def _find_log_softmax(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    found, logarithm = _shifted(inputs[0]), _made_by(inputs[1], "log")
    total = _made_by(logarithm[0], "sum") if logarithm else None
    raised = _made_by(total[0], "exp") if total else None
    if not found or not logarithm or not raised or raised[0] is not inputs[0]:
        return None
    return apply(LOG_SOFTMAX, found[0], axis=found[1]) if _attribute(logarithm[0], "axes") == (found[1],) else None


def _find_product(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """A mean, or a square."""
    if inputs[0] is inputs[1]:
        return apply(SQUARE, inputs[0])
    summed, factor = _made_by(inputs[0], "sum"), replay.value(inputs[1])
    if not summed or factor is None or factor.ndim:
        return None
    axes, keepdims = _attribute(inputs[0], "axes"), _attribute(inputs[0], "keepdims")
    count = size([summed[0].spec.shape[axis] for axis in axes])
    if not math.isclose(float(factor) * count, 1.0, rel_tol=1e-6):
        return None
    return apply(MEAN, summed[0], axes=axes, keepdims=keepdims)


def _find_loss(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    """A cross-entropy behind a minus sign."""
    found = _of_classes(inputs[0])
    if found is None:
        found = _of_rows(inputs[0])
    terms = _made_by(inputs[0], "add")
    return _binary(replay, terms, negated=True) if found is None and terms else found


def _of_classes(var: Var) -> Var | None:
    """The logarithm of the probability of each sample's class."""
    squeezed = _made_by(var, "reshape")
    taken = _made_by(squeezed[0], "take_along_axis") if squeezed else None
    logs, numbers = (_made_by(taken[0], "log_softmax"), _made_by(taken[1], "reshape")) if taken else (None, None)
    if not squeezed or not taken or not logs or not numbers:
        return None
    last = taken[0].spec.ndim - 1
    along = {_attribute(squeezed[0], "axis"), _attribute(taken[0], "axis")}
    if along != {last} or numbers[0].spec.shape != var.spec.shape:
        return None
    apply(SOFTMAX, logs[0], axis=last)  # y_hat stands in the forward pass; the gradient needs it
    return apply(CROSS_ENTROPY, logs[0], numbers[0])


def _of_rows(var: Var) -> Var | None:
    """The sum of targets times logarithms of probabilities."""
    summed = _made_by(var, "sum")
    product = _made_by(summed[0], "mul") if summed else None
    logs = _made_by(product[1], "log_softmax") if product else None
    if not product or not logs or product[0].spec != logs[0].spec:
        return None
    last = logs[0].spec.ndim - 1
    if _attribute(var, "axes") != (last,) or _attribute(product[1], "axis") != last:
        return None
    apply(SOFTMAX, logs[0], axis=last)
    return apply(CROSS_ENTROPY_OF_ROWS, logs[0], product[0])


def _binary(replay: Replay, terms: Inputs, negated: bool = False) -> Var | None:
    """y softplus(-z) + (1 - y) softplus(z); negated, each softplus has a minus sign."""
    hit, miss = _made_by(terms[0], "mul"), _made_by(terms[1], "mul")
    rest = _made_by(miss[0], "sub") if miss else None
    one = replay.value(rest[0]) if rest else None
    if not hit or not miss or not rest or one is None or not bool(np.all(one == 1)) or rest[1] is not hit[0]:
        return None
    losses = [_made_by(v, "neg") if negated else (v,) for v in (hit[1], miss[1])]
    of_hit, of_miss = (_made_by(loss[0], "softplus") if loss else None for loss in losses)
    minus = _made_by(of_hit[0], "neg") if of_hit else None
    if not of_miss or not minus or minus[0] is not of_miss[0] or hit[0].spec != of_miss[0].spec:
        return None
    sigmoid(of_miss[0])
    return apply(BINARY_CROSS_ENTROPY, of_miss[0], hit[0])


def _find_max_pool(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
    taken = _made_by(inputs[0], "take_along_axis")
    image, place = (_made_by(taken[0], "reshape"), _made_by(taken[1], "reshape")) if taken else (None, None)
    pooled = _made_by(place[0], "max_pool_index") if place else None
    if not image or not place or not pooled or pooled[0] is not image[0] or place[0].record is None:
        return None
    made = apply(MAX_POOL, pooled[0], shape=place[0].spec.shape, **place[0].record.attributes)
    return reshape(made, node.output.spec.shape)


FINDERS: dict[str, Callable[[Replay, Node, Inputs], Var | None]] = {
    "div": _find_softmax,
    "sub": _find_log_softmax,
    "mul": _find_product,
    "neg": _find_loss,
    "add": lambda replay, node, inputs: _binary(replay, inputs),
    "reshape": _find_max_pool,
}


def with_composites(graph: Graph) -> Graph:
    """The graph with composites in place of the primitives that they are made of.

    >>> from pellucid import ops
    >>> from pellucid.graph import trace
    >>> graph = with_composites(trace(ops.softmax, np.zeros((2, 3))).graph)
    >>> graph.nodes[-1].op.name
    'softmax'
    """

    def rule(replay: Replay, node: Node, inputs: Inputs) -> Var | None:
        finder = FINDERS.get(node.op.name)
        found = finder(replay, node, inputs) if finder else None
        return found if found is not None and found.spec == node.output.spec else None

    replay = Replay(graph)
    replay.run(rule)
    return replay.finish()
