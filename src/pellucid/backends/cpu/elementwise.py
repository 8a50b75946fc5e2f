"""Kernels for groups of elementwise operations, with or without a reduction at the end.

A kernel is written from the group's expression and from how each operand moves along the innermost loop (stays, next
element, or a stride); sizes, strides and addresses are in its record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.dtypes import DType
from pellucid.plan.layout import Loops


@dataclass(frozen=True)
class Term:
    """One operation of an expression; operands are numbers: leaves first, then earlier terms."""

    op: str
    operands: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True)
class Expression:
    """A group's computation, free of sizes: equal expressions share a kernel.

    Attributes:
        leaves: Element types of what is read.
        constants: For each leaf its number, or None where it is read from memory.
        terms: The operations in order; the last gives the result.
    """

    leaves: tuple[DType, ...]
    constants: tuple[float | int | bool | None, ...]
    terms: tuple[Term, ...]

    @property
    def dtype(self) -> DType:
        """Element type of the result."""
        return self.terms[-1].dtype if self.terms else self.leaves[0]

    @property
    def lanes(self) -> int:
        """Elements that fill a register."""
        return lanes_for(*self.leaves, *(t.dtype for t in self.terms))


def evaluate(e: Emitter, expression: Expression, leaves: Sequence[Value]) -> Value:
    """The expression on registers."""
    values = list(leaves)
    types = list(expression.leaves)
    for term in expression.terms:
        # The type that decides is that of the data: the condition of a where is always bool.
        first = types[term.operands[-1]]
        place = Place(e, first, term.dtype)
        values.append(LANES[term.op](place, *(values[i] for i in term.operands)))
        types.append(term.dtype)
    return values[-1]


def motion(stride: int, itemsize: int) -> str:
    """How an operand moves along the innermost loop."""
    return "stays" if stride == 0 else "next" if stride == itemsize else "stride"


@dataclass(frozen=True)
class Shape:
    """What a kernel is specialised to, beside its expression.

    Attributes:
        loops: Number of nested loops.
        motions: How each operand in memory (the result first) moves along the innermost loop.
    """

    loops: int
    motions: tuple[str, ...]


class _Operands:
    """Addresses of the operands in memory as they advance through the loops."""

    def __init__(self, e: Emitter, shape: Shape, types: Sequence[DType]) -> None:
        self.e, self.types = e, types
        self.motions = shape.motions
        self.addresses = [e.field() for _ in types]
        self.strides = [[e.field() for _ in range(shape.loops)] for _ in types]

    def at(self, addresses: Sequence[Value], loop: int, i: Value) -> list[Value]:
        """The addresses in trip ``i`` of a loop."""
        return [self.e.advance(a, i, s[loop]) for a, s in zip(addresses, self.strides, strict=True)]

    def load(self, number: int, address: Value, mask: Value) -> Value:
        """The next register of an operand."""
        dtype, how = self.types[number], self.motions[number]
        if how == "stays":
            return self.e.splat(self.e.load_scalar(address, dtype))
        if how == "next":
            return self.e.load(address, dtype, mask)
        return self.e.gather(address, self.strides[number][-1], dtype, mask)

    def leaves(self, expression: Expression, addresses: Sequence[Value], mask: Value) -> list[Value]:
        """All leaves of an expression; operand 0 is the result, memory leaves follow."""
        values: list[Any] = []
        number = 1
        for dtype, constant in zip(expression.leaves, expression.constants, strict=True):
            if constant is None:
                values.append(self.load(number, addresses[number], mask))
                number += 1
            else:
                values.append(self.e.constant(constant, dtype))
        return values


def memory_types(expression: Expression, result: DType) -> list[DType]:
    """Element types of the operands in memory, the result first."""
    read = zip(expression.leaves, expression.constants, strict=True)
    return [result, *(dtype for dtype, constant in read if constant is None)]


def map_kernel(expression: Expression, shape: Shape) -> int:
    """The address of a kernel that writes an expression; the result moves element by element.

    Record: loop sizes, addresses, strides (operand by operand).
    """
    e = Emitter(expression.lanes)
    sizes = [e.field() for _ in range(shape.loops)]
    operands = _Operands(e, shape, memory_types(expression, expression.dtype))

    def innermost(addresses: Sequence[Value], low: Value, high: Value) -> None:
        with e.loop(low, high, e.lanes) as i:
            here = operands.at(addresses, shape.loops - 1, i)
            mask = e.mask(e.minus(high, i))
            value = evaluate(e, expression, operands.leaves(expression, here, mask))
            if shape.motions[0] == "next":
                e.store(here[0], value, expression.dtype, mask)
            else:
                e.scatter(here[0], operands.strides[0][-1], value, expression.dtype, mask)

    def nest(loop: int, addresses: Sequence[Value]) -> None:
        share = e.my_share(sizes[loop], e.lanes if shape.loops == 1 else 1) if loop == 0 else (I64(0), sizes[loop])
        if loop == shape.loops - 1:
            innermost(addresses, *share)
            return
        with e.loop(*share) as i:
            nest(loop + 1, operands.at(addresses, loop, i))

    nest(0, operands.addresses)
    return e.finish()


#: Reduction -> (its neutral element, how two registers join).
_JOINS = {"sum": "add", "max": "maximum", "min": "minimum"}


def _neutral(reduction: str, dtype: DType) -> float | int:
    if reduction == "sum":
        return 0
    if dtype.kind == "f":
        return -np.inf if reduction == "max" else np.inf
    if dtype.kind == "b":
        return 0 if reduction == "max" else 1
    limits = np.iinfo(dtype)
    return int(limits.min if reduction == "max" else limits.max)


def reduce_kernel(expression: Expression, reduction: str, kept: Shape, reduced: int) -> int:
    """The address of a kernel that reduces an expression over its inner ``reduced`` loops.

    The outer loops run over what is kept, so each result has one owner and one order of summation. The innermost
    reduced loop runs over registers, whose lanes are joined at the end in a fixed tree.

    Record: loop sizes, addresses, strides; the result's strides along reduced loops are 0.
    """
    e = Emitter(expression.lanes)
    loops = kept.loops
    sizes = [e.field() for _ in range(loops)]
    dtype = expression.dtype
    operands = _Operands(e, kept, memory_types(expression, dtype))
    outer = loops - reduced
    neutral = e.constant(_neutral(reduction, dtype), dtype)
    place = Place(e, dtype, dtype)

    def join(x: Value, y: Value) -> Value:
        return LANES[_JOINS[reduction]](place, x, y)

    def accumulate(loop: int, addresses: Sequence[Value], total: Value) -> Value:
        def body(i: Value, carried: list[Value]) -> list[Value]:
            here = operands.at(addresses, loop, i)
            if loop < loops - 1:
                return [accumulate(loop + 1, here, carried[0])]
            mask = e.mask(e.minus(sizes[loop], i))
            value = evaluate(e, expression, operands.leaves(expression, here, mask))
            return [join(carried[0], e.b.select(mask, value, neutral))]

        step = e.lanes if loop == loops - 1 else 1
        return e.reduce_loop(I64(0), sizes[loop], step, [total], body)[0]

    def nest(loop: int, addresses: Sequence[Value]) -> None:
        if loop == outer:
            total = accumulate(loop, addresses, neutral)
            e.store_scalar(addresses[0], e.join_lanes(total, join), dtype)
            return
        share = e.my_share(sizes[loop]) if loop == 0 else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, operands.at(addresses, loop, i))

    if outer == 0:
        e.only_first_thread(lambda: nest(0, operands.addresses))
    else:
        nest(0, operands.addresses)
    return e.finish()


def columns_kernel(expression: Expression, reduction: str, shape: Shape, reduced: int) -> int:
    """As :func:`reduce_kernel`, for results that lie side by side: each lane reduces a column of its own.

    The loops are: kept outer ones, the reduced ones, and innermost the kept one over registers. Record as there.
    """
    e = Emitter(expression.lanes)
    loops = shape.loops
    sizes = [e.field() for _ in range(loops)]
    dtype = expression.dtype
    operands = _Operands(e, shape, memory_types(expression, dtype))
    neutral = e.constant(_neutral(reduction, dtype), dtype)
    place = Place(e, dtype, dtype)
    outer = loops - 1 - reduced

    def down(loop: int, addresses: Sequence[Value], total: Value, mask: Value) -> Value:
        def body(i: Value, carried: list[Value]) -> list[Value]:
            here = operands.at(addresses, loop, i)
            if loop + 1 < outer + reduced:
                return [down(loop + 1, here, carried[0], mask)]
            value = evaluate(e, expression, operands.leaves(expression, here, mask))
            return [LANES[_JOINS[reduction]](place, carried[0], value)]

        return e.reduce_loop(I64(0), sizes[loop], 1, [total], body)[0]

    def across(addresses: Sequence[Value], low: Value, high: Value) -> None:
        with e.loop(low, high, e.lanes) as i:
            here = operands.at(addresses, loops - 1, i)
            mask = e.mask(e.minus(high, i))
            e.store(here[0], down(outer, here, neutral, mask), dtype, mask)

    def nest(loop: int, addresses: Sequence[Value]) -> None:
        if loop == outer:
            share = e.my_share(sizes[-1], e.lanes) if outer == 0 else (I64(0), sizes[-1])
            across(addresses, *share)
            return
        share = e.my_share(sizes[loop]) if loop == 0 else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, operands.at(addresses, loop, i))

    nest(0, operands.addresses)
    return e.finish()


def shape_of(loops: Loops, types: Sequence[DType]) -> Shape:
    """The specialisation for some loops."""
    motions = tuple(motion(s[-1], d.itemsize) for s, d in zip(loops.strides, types, strict=True))
    return Shape(len(loops.sizes), motions)
