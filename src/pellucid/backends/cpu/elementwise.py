"""Kernels for groups of elementwise operations, with or without a reduction at the end.

A kernel is written from the group's expression and from how each operand moves along the innermost loop (stays, next
element, or a stride); sizes, strides and addresses are in its record.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.dtypes import DType
from pellucid.plan.barriers import ROW_BLOCK
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
        kept: The numbers of earlier terms that are stored as well.
    """

    leaves: tuple[DType, ...]
    constants: tuple[float | int | bool | None, ...]
    terms: tuple[Term, ...]
    kept: tuple[int, ...] = ()

    @property
    def dtype(self) -> DType:
        """Element type of the result."""
        return self.terms[-1].dtype if self.terms else self.leaves[0]

    @property
    def kept_types(self) -> list[DType]:
        """Element types of what is stored beside the result."""
        return [self.terms[number - len(self.leaves)].dtype for number in self.kept]

    @property
    def lanes(self) -> int:
        """Elements that fill a register."""
        return lanes_for(*self.leaves, *(t.dtype for t in self.terms))


def evaluate(e: Emitter, expression: Expression, leaves: Sequence[Value]) -> list[Value]:
    """The expression on registers: its result, and what is kept beside it."""
    values = list(leaves)
    types = list(expression.leaves)
    for term in expression.terms:
        # The type that decides is that of the data: the condition of a where is always bool.
        first = types[term.operands[-1]]
        place = Place(e, first, term.dtype)
        values.append(LANES[term.op](place, *(values[i] for i in term.operands)))
        types.append(term.dtype)
    return [values[-1], *(values[number] for number in expression.kept)]


@dataclass(frozen=True)
class Ending:
    """What becomes of a product (a matrix product, a reduction) while it is in registers.

    Attributes:
        expression: Of leaves, one of which is the product.
        product: The number of that leaf.
    """

    expression: Expression
    product: int

    @property
    def memory_types(self) -> list[DType]:
        """Element types of the leaves that are read from memory."""
        leaves = enumerate(zip(self.expression.leaves, self.expression.constants, strict=True))
        return [dtype for i, (dtype, constant) in leaves if constant is None and i != self.product]

    def evaluate(self, e: Emitter, product: Value, leaf: Callable[[], Value]) -> Value:
        """The result for a register of the product, where nothing is kept beside it."""
        (result,) = self.results(e, product, leaf)
        return result

    def results(self, e: Emitter, product: Value, leaf: Callable[[], Value]) -> list[Value]:
        """The expression of a register of the product; ``leaf`` gives the leaves in memory one by one."""
        values = []
        for number, (dtype, constant) in enumerate(zip(self.expression.leaves, self.expression.constants, strict=True)):
            if number == self.product:
                values.append(product)
            else:
                values.append(leaf() if constant is None else e.constant(constant, dtype))
        return evaluate(e, self.expression, values)


def leaf_reader(
    e: Emitter,
    rows: Sequence[Value],
    leaves: Sequence[tuple[DType, str]],
    lane: Value,
    mask: Value | None,
    vector: int = 0,
) -> Callable[[], Value]:
    """What :meth:`Ending.evaluate` reads its leaves with, one by one.

    Args:
        e: The emitter.
        rows: Where each leaf begins in the present row.
        leaves: The type of each leaf, and how it moves along the row: ``"stays"`` or ``"next"``.
        lane: The number of the first element in the row.
        mask: Which lanes there are.
        vector: The number of the register from there on.
    """
    waiting = iter(list(zip(rows, leaves, strict=True)))

    def read() -> Value:
        here, (kind, how) = next(waiting)
        if how == "stays":
            return e.splat(e.load_scalar(here, kind))
        return e.load(e.beside(e.advance(here, lane, I64(kind.itemsize)), vector, kind), kind, mask)

    return read


def motion(stride: int, itemsize: int) -> str:
    """How an operand moves along the innermost loop."""
    return "stays" if stride == 0 else "next" if stride == itemsize else "stride"


@dataclass(frozen=True)
class Shape:
    """What a kernel is specialised to, beside its expression.

    Attributes:
        loops: Number of nested loops.
        motions: How each operand in memory (the result first, what is kept last) moves along the innermost loop.
        by_rows: Whether threads share the rows of a matrix as products do; a single loop runs over all of them.
    """

    loops: int
    motions: tuple[str, ...]
    by_rows: bool = False


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

    def store(self, number: int, address: Value, value: Value, mask: Value) -> None:
        """Write the next register of an operand."""
        if self.motions[number] == "next":
            self.e.store(address, value, self.types[number], mask)
        else:
            self.e.scatter(address, self.strides[number][-1], value, self.types[number], mask)

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

    Record: loop sizes (by rows in a single loop: their number and width), addresses, strides (operand by operand: the
    result, what is read, what is kept).
    """
    e = Emitter(expression.lanes)
    sizes = [e.field() for _ in range(shape.loops)]
    width = e.field() if shape.by_rows and shape.loops == 1 else None
    types = memory_types(expression, expression.dtype)
    operands = _Operands(e, shape, [*types, *expression.kept_types])
    written = (0, *range(len(types), len(operands.types)))

    def innermost(addresses: Sequence[Value], low: Value, high: Value) -> None:
        with e.loop(low, high, e.lanes) as i:
            here = operands.at(addresses, shape.loops - 1, i)
            mask = e.mask(e.minus(high, i))
            values = evaluate(e, expression, operands.leaves(expression, here, mask))
            for number, value in zip(written, values, strict=True):
                operands.store(number, here[number], value, mask)

    def share_of_first() -> tuple[Value, Value]:
        unit = ROW_BLOCK if shape.by_rows else e.lanes if shape.loops == 1 else 1
        low, high = e.my_share(sizes[0], unit)
        return (low, high) if width is None else (e.b.mul(low, width), e.b.mul(high, width))

    def nest(loop: int, addresses: Sequence[Value]) -> None:
        share = share_of_first() if loop == 0 else (I64(0), sizes[loop])
        if loop == shape.loops - 1:
            innermost(addresses, *share)
            return
        with e.loop(*share) as i:
            nest(loop + 1, operands.at(addresses, loop, i))

    nest(0, operands.addresses)
    return e.finish()


#: Registers that a reduction fills side by side.
_CHAINS = 4

#: Reduction -> (its neutral element, how two registers join).
JOINS = {"sum": "add", "max": "maximum", "min": "minimum"}


def neutral(reduction: str, dtype: DType) -> float | int:
    """The number that changes nothing."""
    if reduction == "sum":
        return 0
    if dtype.kind == "f":
        return -np.inf if reduction == "max" else np.inf
    if dtype.kind == "b":
        return 0 if reduction == "max" else 1
    limits = np.iinfo(dtype)
    return int(limits.min if reduction == "max" else limits.max)


@dataclass(frozen=True)
class Folding:
    """A reduction's computation: an expression, how its elements join, and what becomes of the result.

    Attributes:
        expression: What is reduced.
        reduction: ``"sum"``, ``"max"`` or ``"min"``.
        ending: What the result goes through, or None.
    """

    expression: Expression
    reduction: str
    ending: Ending | None = None


class _Reduction:
    """What the kernels of reductions share: operands, the join of two registers, the ending.

    Operands in memory are the result, the leaves of the expression, the leaves of the ending, what the ending keeps.
    """

    def __init__(self, folding: Folding, shape: Shape) -> None:
        expression, reduction, ending = folding.expression, folding.reduction, folding.ending
        self.e = e = Emitter(expression.lanes)
        self.expression, self.reduction, self.ending = expression, reduction, ending
        self.dtype = expression.dtype
        self.result = ending.expression.dtype if ending else self.dtype
        self.sizes = [e.field() for _ in range(shape.loops)]
        types = memory_types(expression, self.result)
        self._ending_from = len(types)
        types += ending.memory_types if ending else []
        self._kept_from = len(types)
        self.operands = _Operands(e, shape, [*types, *(ending.expression.kept_types if ending else ())])
        self.neutral = e.constant(neutral(reduction, self.dtype), self.dtype)

    def join(self, x: Value, y: Value) -> Value:
        """Two registers as one."""
        return LANES[JOINS[self.reduction]](Place(self.e, self.dtype, self.dtype), x, y)

    def value(self, addresses: Sequence[Value], mask: Value) -> Value:
        """The expression at some addresses."""
        (value,) = evaluate(self.e, self.expression, self.operands.leaves(self.expression, addresses, mask))
        return value

    @property
    def written(self) -> list[int]:
        """The numbers of the operands that :meth:`end` gives."""
        return [0, *range(self._kept_from, len(self.operands.types))]

    def end(self, total: Value, addresses: Sequence[Value], mask: Value) -> list[Value]:
        """What is stored for a register of results."""
        if self.ending is None:
            return [total]
        numbers = iter(range(self._ending_from, self._kept_from))

        def leaf() -> Value:
            number = next(numbers)
            return self.operands.load(number, addresses[number], mask)

        return self.ending.results(self.e, total, leaf)


def reduce_kernel(folding: Folding, shape: Shape, reduced: int) -> int:
    """The address of a kernel that reduces an expression over its inner ``reduced`` loops.

    The outer loops run over what is kept, so each result has one owner and one order of summation. The innermost
    reduced loop runs over registers in several chains, so that no register waits for the one before; chains, and at
    the end lanes, are joined in a fixed tree.

    Record: loop sizes, addresses, strides; those of the result and of the ending's leaves are 0 along reduced loops.
    """
    r = _Reduction(folding, shape)
    e, operands, loops = r.e, r.operands, shape.loops
    outer = loops - reduced

    def accumulate(loop: int, addresses: Sequence[Value], total: Value) -> Value:
        if loop == loops - 1:
            return _innermost(r, loop, addresses, total)

        def body(i: Value, carried: list[Value]) -> list[Value]:
            return [accumulate(loop + 1, operands.at(addresses, loop, i), carried[0])]

        return e.reduce_loop(I64(0), r.sizes[loop], 1, [total], body)[0]

    def nest(loop: int, addresses: Sequence[Value]) -> None:
        if loop == outer:
            total = e.join_lanes(accumulate(loop, addresses, r.neutral), r.join)
            if r.ending is None:
                e.store_scalar(addresses[0], total, r.result)
                return
            for number, value in zip(r.written, r.end(e.splat(total), addresses, e.mask(I64(1))), strict=True):
                e.store_scalar(addresses[number], e.b.extract_element(value, I32(0)), operands.types[number])
            return
        share = e.my_share(r.sizes[loop]) if loop == 0 else (I64(0), r.sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, operands.at(addresses, loop, i))

    if outer == 0:
        e.only_first_thread(lambda: nest(0, operands.addresses))
    else:
        nest(0, operands.addresses)
    return e.finish()


def _innermost(r: _Reduction, loop: int, addresses: Sequence[Value], total: Value) -> Value:
    """A register joined with all registers of the innermost loop."""
    e, size = r.e, r.sizes[loop]
    unit = _CHAINS * e.lanes
    blocks = e.b.sdiv(size, I64(unit))
    whole = e.b.mul(blocks, I64(unit))

    def value(i: Value, mask: Value) -> Value:
        return r.value(r.operands.at(addresses, loop, i), mask)

    def block(i: Value, chains: list[Value]) -> list[Value]:
        full = e.mask(I64(e.lanes))
        places = [e.b.add(i, I64(k * e.lanes)) for k in range(_CHAINS)]
        return [r.join(chain, value(place, full)) for chain, place in zip(chains, places, strict=True)]

    def in_chains(_: Value, carried: list[Value]) -> list[Value]:
        start = [carried[0], *[r.neutral] * (_CHAINS - 1)]
        return [functools.reduce(r.join, e.reduce_loop(I64(0), whole, unit, start, block))]

    def rest(i: Value, carried: list[Value]) -> list[Value]:
        mask = e.mask(e.minus(size, i))
        return [r.join(carried[0], e.b.select(mask, value(i, mask), r.neutral))]

    # A loop of one trip or none: what is short has no chains to join.
    total = e.reduce_loop(I64(0), e.smaller(blocks, I64(1)), 1, [total], in_chains)[0]
    return e.reduce_loop(whole, size, e.lanes, [total], rest)[0]


def columns_kernel(folding: Folding, shape: Shape, reduced: int) -> int:
    """As :func:`reduce_kernel`, for results that lie side by side: each lane reduces a column of its own.

    The loops are: kept outer ones, the reduced ones, and innermost the kept one over registers. Record as there.
    """
    r = _Reduction(folding, shape)
    e, operands, loops = r.e, r.operands, shape.loops
    outer = loops - 1 - reduced

    def down(loop: int, addresses: Sequence[Value], total: Value, mask: Value) -> Value:
        def body(i: Value, carried: list[Value]) -> list[Value]:
            here = operands.at(addresses, loop, i)
            if loop + 1 < outer + reduced:
                return [down(loop + 1, here, carried[0], mask)]
            return [r.join(carried[0], r.value(here, mask))]

        return e.reduce_loop(I64(0), r.sizes[loop], 1, [total], body)[0]

    def across(addresses: Sequence[Value], low: Value, high: Value) -> None:
        with e.loop(low, high, e.lanes) as i:
            here = operands.at(addresses, loops - 1, i)
            mask = e.mask(e.minus(high, i))
            values = r.end(down(outer, here, r.neutral, mask), here, mask)
            for number, value in zip(r.written, values, strict=True):
                operands.store(number, here[number], value, mask)

    def nest(loop: int, addresses: Sequence[Value]) -> None:
        if loop == outer:
            share = e.my_share(r.sizes[-1], e.lanes) if outer == 0 else (I64(0), r.sizes[-1])
            across(addresses, *share)
            return
        share = e.my_share(r.sizes[loop]) if loop == 0 else (I64(0), r.sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, operands.at(addresses, loop, i))

    nest(0, operands.addresses)
    return e.finish()


def shape_of(loops: Loops, types: Sequence[DType], *, by_rows: bool = False) -> Shape:
    """The specialisation for some loops."""
    motions = tuple(motion(s[-1], d.itemsize) for s, d in zip(loops.strides, types, strict=True))
    return Shape(len(loops.sizes), motions, by_rows)
