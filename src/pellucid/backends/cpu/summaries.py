"""Kernels for summaries: a vector of numbers, each made from all elements of some arrays.

Lanes lie along the elements. What is read once serves every number that a pass gives, and nothing is written but the
vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.backends.cpu.elementwise import JOINS, neutral
from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.plan.barriers import ROW_BLOCK
from pellucid.plan.rows import COLUMN, NARROW, REDUCTIONS

if TYPE_CHECKING:
    from pellucid.backends.cpu.rows import RowProgram, Step

#: The operation that ends a summary.
SUMMARY = "concatenate"

# Registers that are folded before the result joins those of the others: sums of many numbers stay exact for longer.
_CHUNK = 512


class _Summary:
    """One kernel in the making.

    Record: numbers, elements; two that belong to other kernels of rows; then for every leaf in memory and the vector:
    address, and the bytes from number to number and from element to element.

    A pass is one loop over the elements. A number that is folded in it is known from the next one on; arrays that were
    computed in a pass before are computed again. The numbers belong to threads by ``ROW_BLOCK``: each thread that has
    some computes all, and stores its own.
    """

    def __init__(self, program: RowProgram) -> None:
        self.program = program
        self.first = len(program.leaves)
        self.e = e = Emitter(lanes_for(*(program.dtype(n) for n in range(self.first + len(program.steps)))))
        self.rows, self.columns, _, _ = (e.field() for _ in range(4))
        self.fields = [None if leaf.constant is not None else self._field() for leaf in program.leaves]
        self.target = self._field()
        self.values: dict[int, Value] = {}
        self.known = [0] * self.first
        for step in program.steps:
            latest = max((self.known[n] for n in step.operands), default=0)
            self.known.append(latest + (step.op in REDUCTIONS))

    def _field(self) -> tuple[Value, Value, Value]:
        return self.e.field(), self.e.field(), self.e.field()

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        low, high = e.my_share(self.rows, ROW_BLOCK)
        with e.b.if_then(e.b.icmp_signed("<", low, high)):
            self._load_numbers()
            self._narrow_steps(0)
            for number in range(self.known[-1]):
                self._pass(number)
                self._narrow_steps(number + 1)
            self._store(low, high)
        return e.finish()

    def _load_numbers(self) -> None:
        """The leaves that are single numbers."""
        for number, (leaf, where) in enumerate(zip(self.program.leaves, self.fields, strict=True)):
            if where is None:
                assert leaf.constant is not None
                self.values[number] = self.e.constant(leaf.constant, leaf.dtype)
            elif leaf.kind != COLUMN:
                self.values[number] = self.e.splat(self.e.load_scalar(where[0], leaf.dtype))

    def _narrow_steps(self, number: int) -> None:
        """What follows from the numbers that are known before a pass."""
        for index, step in enumerate(self.program.steps[:-1], self.first):
            if step.kind == NARROW and step.op not in REDUCTIONS and self.known[index] == number:
                self.values[index] = self._compute(step, [self.values[n] for n in step.operands])

    def _compute(self, step: Step, operands: list[Value]) -> Value:
        """An elementwise operation, or a reshape, which changes nothing here."""
        if step.op == "reshape":
            return operands[0]
        return LANES[step.op](Place(self.e, self.program.dtype(step.operands[-1]), step.dtype), *operands)

    def _pass(self, number: int) -> None:
        """One loop over the elements, and the numbers that it gives."""
        e, columns = self.e, self.columns
        steps = enumerate(self.program.steps, self.first)
        folds = [(i, s) for i, s in steps if s.op in REDUCTIONS and self.known[i] == number + 1]
        start = [e.constant(neutral(step.op, step.dtype), step.dtype) for _, step in folds]
        chunk = I64(_CHUNK * e.lanes)
        whole = e.b.mul(e.b.sdiv(columns, I64(e.lanes)), I64(e.lanes))

        def joined(before: list[Value], more: list[Value]) -> list[Value]:
            return [self._join(s, x, y) for (_, s), x, y in zip(folds, before, more, strict=True)]

        def in_whole(column: Value, carried: list[Value]) -> list[Value]:
            here: dict[int, Value] = {}
            return joined(carried, [self._wide(s.operands[0], column, None, here) for _, s in folds])

        def in_chunks(column: Value, carried: list[Value]) -> list[Value]:
            stop = e.smaller(e.b.add(column, chunk), whole)
            return joined(carried, e.reduce_loop(column, stop, e.lanes, start, in_whole))

        def rest(column: Value, carried: list[Value]) -> list[Value]:
            mask, here = e.mask(e.minus(columns, column)), dict[int, Value]()
            values = [self._wide(s.operands[0], column, mask, here) for _, s in folds]
            return joined(carried, [e.b.select(mask, v, s) for v, s in zip(values, start, strict=True)])

        totals = e.reduce_loop(I64(0), whole, _CHUNK * e.lanes, start, in_chunks)
        totals = e.reduce_loop(whole, columns, e.lanes, totals, rest)
        for (index, step), total in zip(folds, totals, strict=True):
            self.values[index] = e.splat(e.join_lanes(total, lambda x, y, s=step: self._join(s, x, y)))

    def _join(self, step: Step, x: Value, y: Value) -> Value:
        """Two registers of a reduction as one."""
        return LANES[JOINS[step.op]](Place(self.e, step.dtype, step.dtype), x, y)

    def _wide(self, number: int, column: Value, mask: Value | None, here: dict[int, Value]) -> Value:
        """A register of a value: read, computed, or the same number in all lanes."""
        if number in self.values:
            return self.values[number]
        if number not in here:
            if number < self.first:
                here[number] = self._load(number, column, mask)
            else:
                step = self.program.steps[number - self.first]
                here[number] = self._compute(step, [self._wide(n, column, mask, here) for n in step.operands])
        return here[number]

    def _load(self, number: int, column: Value, mask: Value | None) -> Value:
        """Elements of an array from one on, whatever the distance between them."""
        e, dtype, where = self.e, self.program.leaves[number].dtype, self.fields[number]
        assert where is not None
        address, stride = e.advance(where[0], column, where[2]), where[2]
        with e.b.if_else(e.b.icmp_signed("==", stride, I64(dtype.itemsize)), likely=True) as (beside, apart):
            with beside:
                neighbours, end = e.load(address, dtype, mask), e.b.block
            with apart:
                gathered = e.gather(address, stride, dtype, e.mask(I64(e.lanes)) if mask is None else mask)
                end_apart = e.b.block
        value = e.b.phi(neighbours.type)
        value.add_incoming(neighbours, end)
        value.add_incoming(gathered, end_apart)
        return value

    def _store(self, low: Value, high: Value) -> None:
        """This thread's numbers of the vector."""
        e, b = self.e, self.e.b
        address, stride, _ = self.target
        for place, operand in enumerate(self.program.steps[-1].operands):
            mine = b.and_(b.icmp_signed("<=", low, I64(place)), b.icmp_signed("<", I64(place), high))
            with b.if_then(mine):
                value = b.extract_element(self.values[operand], I32(0))
                e.store_scalar(e.advance(address, I64(place), stride), value, self.program.steps[-1].dtype)


def summary_kernel(program: RowProgram) -> int:
    """The address of the kernel of a summary; the record is :class:`_Summary`'s."""
    return _Summary(program).write()
