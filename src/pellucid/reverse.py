"""The reverse sweep: from the cotangent of a result to the cotangents of what it was computed from.

The sweep walks records, newest first, and applies each operation's vjp rule; where several paths meet, cotangents
add (the multivariate chain rule). It knows neither tensors nor graphs: anything with ``spec`` and ``record`` will do,
and because the rules call operations, the sweep itself is recorded or traced like any other computation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.dtypes import is_float
from pellucid.errors import DifferentiationError
from pellucid.op import Op, Value, exact_scope
from pellucid.ops.elementwise import add
from pellucid.ops.movement import sum_to

_serial = itertools.count()


class Record:
    """That ``output`` is ``op`` of ``inputs``; ``serial`` grows with time, so it orders records topologically."""

    __slots__ = ("attributes", "inputs", "op", "output", "scope", "serial", "versions")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Any, ...],
        attributes: dict[str, Any],
        output: Any,
        scope: tuple[str, ...] = (),
        versions: tuple[int, ...] = (),
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.output = output
        self.scope = scope
        self.versions = versions
        self.serial = next(_serial)


def dependents(outputs: Sequence[Value], wanted: Sequence[Value]) -> tuple[list[Any], set[int]]:
    """Records between ``outputs`` and ``wanted``, newest first, and the ids of the values on those paths.

    Values of integer or boolean type carry no derivative and end a path.
    """
    stop = {id(value) for value in wanted}
    reached = _reachable(outputs, stop)
    on_path = set(stop)
    between = []
    for record in sorted(reached, key=lambda r: r.serial):
        if id(record.output) in stop or not is_float(record.output.spec.dtype):
            continue
        if any(id(value) in on_path for value in record.inputs):
            on_path.add(id(record.output))
            between.append(record)
    between.reverse()
    return between, on_path


def _reachable(outputs: Sequence[Value], stop: set[int]) -> list[Any]:
    """Every record that the outputs were computed through, not looking behind ``stop``."""
    found: dict[int, Any] = {}
    pending = list(outputs)
    while pending:
        value = pending.pop()
        record = value.record
        if record is None or id(value) in stop or record.serial in found:
            continue
        found[record.serial] = record
        pending.extend(record.inputs)
    return list(found.values())


def sweep(
    outputs: Sequence[Value],
    cotangents: Sequence[Value],
    wanted: Sequence[Value],
    on_record: Callable[[Any], None] | None = None,
    on_cotangent: Callable[[Value, Value], None] | None = None,
) -> list[Value | None]:
    """The cotangents of ``wanted``, given those of ``outputs``; None where no path leads.

    For each record, newest first: ct(input_i) += rule_i(ct(output), output, *inputs).

    Args:
        outputs: The results.
        cotangents: One per result, of its shape.
        wanted: The values whose cotangents are asked for.
        on_record: Called with each record before its rules run (eager tensors check there that no operand changed).
        on_cotangent: Called with each value on the way and its whole cotangent.

    Raises:
        DifferentiationError: A path leads through an operation that has no derivative.
    """
    between, on_path = dependents(outputs, wanted)
    gathered: dict[int, Value] = {}
    for output, cotangent in zip(outputs, cotangents, strict=True):
        _accumulate(gathered, output, cotangent)
    for record in between:
        cotangent = gathered.pop(id(record.output), None)
        if cotangent is None:
            continue
        if on_cotangent is not None:
            on_cotangent(record.output, cotangent)
        if on_record is not None:
            on_record(record)
        _pull_back(record, cotangent, on_path, gathered)
    return [gathered.get(id(value)) for value in wanted]


def _pull_back(record: Any, cotangent: Value, on_path: set[int], gathered: dict[int, Value]) -> None:
    """Apply the vjp rules of one record for the operands on a path."""
    op = record.op
    with exact_scope(record.scope):
        for index, value in enumerate(record.inputs):
            if id(value) not in on_path:
                continue
            rule = op.rule(index)
            if rule is None:
                raise DifferentiationError(
                    f"{op.name}: the derivative with respect to {op.operand_name(index)} does not exist.",
                    details=[f"{op.operand_name(index)}: {value.spec}"],
                    hint="use stop_gradient(...) where the gradient shall end",
                )
            part = rule(cotangent, record.output, *record.inputs, **record.attributes)
            if part is None:
                continue
            if op.broadcasts and part.spec.shape != value.spec.shape:
                part = sum_to(part, value.spec.shape)
            _accumulate(gathered, value, part)


def _accumulate(gathered: dict[int, Value], value: Value, part: Value) -> None:
    before = gathered.get(id(value))
    gathered[id(value)] = part if before is None else add(before, part)
