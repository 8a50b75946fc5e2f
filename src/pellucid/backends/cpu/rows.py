"""Kernels for groups that work row by row: every lane has a row of its own, and the loops run along the columns.

So reductions along rows need no shuffling, and a softmax with its cross-entropy and its gradient is one kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from pellucid.backends.cpu.elementwise import JOINS, neutral
from pellucid.backends.cpu.emit import I64, Emitter, Value, element_type, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place, larger
from pellucid.backends.cpu.summaries import SUMMARY, summary_kernel
from pellucid.dtypes import DType, int64
from pellucid.plan.barriers import ROW_BLOCK
from pellucid.plan.rows import COLUMN, NARROW, REDUCTIONS, SCALAR, WIDE

#: The most columns of a row, so that what is kept of a block of rows lies in the first cache.
WIDEST = 64


@dataclass(frozen=True)
class Leaf:
    """What is read: its type, how it lies, and its number where that is known."""

    dtype: DType
    kind: str
    constant: float | int | bool | None


@dataclass(frozen=True)
class Step:
    """One operation: operands are numbers of leaves, then of earlier steps."""

    op: str
    operands: tuple[int, ...]
    dtype: DType
    kind: str


@dataclass(frozen=True)
class RowProgram:
    """The computation of a row group, free of sizes.

    Attributes:
        leaves: What is read.
        steps: The operations in order.
        outputs: Numbers of the values that are stored.
    """

    leaves: tuple[Leaf, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def dtype(self, number: int) -> DType:
        """The element type of a value."""
        count = len(self.leaves)
        return self.leaves[number].dtype if number < count else self.steps[number - count].dtype

    def kind(self, number: int) -> str:
        """How a value lies."""
        count = len(self.leaves)
        return self.leaves[number].kind if number < count else self.steps[number - count].kind


class _Rows:
    """One kernel in the making.

    Record: rows, columns; address of the flag and number of the instruction; then for every leaf in memory and every
    output: address, row stride, column stride.

    The steps are cut into passes: a pass is one loop over the columns, and a value that a reduction gives is known
    from the next pass on. Wide values that a later pass needs are kept in a table of registers.
    """

    def __init__(self, program: RowProgram) -> None:
        self.program = program
        self.e = e = Emitter(lanes_for(*(program.dtype(n) for n in range(len(program.leaves) + len(program.steps)))))
        self.rows, self.columns, self.flag, self.number = (e.field() for _ in range(4))
        self.leaf_fields = [None if s.constant is not None else self._field() for s in program.leaves]
        self.output_fields = [self._field() for _ in program.outputs]
        self.passes = self._passes()
        self.values: dict[int, Value] = {}
        self.kept = self._keep()

    def _field(self) -> tuple[Value, Value, Value]:
        return self.e.field(), self.e.field(), self.e.field()

    def _passes(self) -> list[int]:
        """For each value the first pass in which it is known."""
        known = [0] * len(self.program.leaves)
        for step in self.program.steps:
            latest = max((known[n] for n in step.operands), default=0)
            ends = step.op in (*REDUCTIONS, "argmax", "take_along_axis")
            known.append(latest + 1 if ends else latest)
        return known

    def _pass_of(self, step: int) -> int:
        """The pass in which a step runs."""
        return max((self.passes[n] for n in self.program.steps[step].operands), default=0)

    def _keep(self) -> dict[int, Value]:
        """A table of registers for each wide value that is used in a later pass than its own."""
        kept: dict[int, Value] = {}
        for number, step in enumerate(self.program.steps):
            now = self._pass_of(number)
            for operand in step.operands:
                wide = self.program.kind(operand) == WIDE
                if wide and operand not in kept and self._is_kept_by(operand) < now:
                    kept[operand] = self._table(self.program.dtype(operand))
        return kept

    def _table(self, dtype: DType) -> Value:
        kind = ir.ArrayType(self._register(dtype), WIDEST)
        return self.e.b.ptrtoint(self.e.b.alloca(kind), I64)

    def _register(self, dtype: DType) -> ir.VectorType:
        """The type of a register as it is kept: booleans as bytes."""
        return ir.VectorType(element_type(dtype), self.e.lanes)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        low, high = e.my_share(self.rows, ROW_BLOCK)
        last = max((self._pass_of(n) for n in range(len(self.program.steps))), default=0)
        with e.loop(low, high, e.lanes) as row:
            mask = e.mask(e.minus(high, row))
            self.values = {}
            self._load_fixed(row, mask)
            for number in range(last + 1):
                self._pass(number, row, mask)
            self._steps_between(last + 1, mask)
            self._store_narrow(row, mask)
        return e.finish()

    # What does not change along the row.

    def _load_fixed(self, row: Value, mask: Value) -> None:
        e = self.e
        for number, (leaf, where) in enumerate(zip(self.program.leaves, self.leaf_fields, strict=True)):
            if where is None:
                assert leaf.constant is not None
                self.values[number] = e.constant(leaf.constant, leaf.dtype)
            elif leaf.kind == SCALAR:
                self.values[number] = e.splat(e.load_scalar(where[0], leaf.dtype))
            elif leaf.kind == NARROW:
                address = e.advance(where[0], row, where[1])
                self.values[number] = e.gather(address, where[1], leaf.dtype, mask)

    def _steps_between(self, number: int, mask: Value) -> None:
        """Narrow steps that run before the loop of a pass."""
        first = len(self.program.leaves)
        for index, step in enumerate(self.program.steps):
            ends = step.op in (*REDUCTIONS, "argmax", "take_along_axis")
            if step.kind == NARROW and not ends and self._pass_of(index) == number:
                self.values[first + index] = self._compute(step, self.values)
        self._check_indices(number, mask)

    def _check_indices(self, number: int, mask: Value) -> None:
        """Replace indices outside of the row by 0, and raise the flag."""
        e, b = self.e, self.e.b
        for index, step in enumerate(self.program.steps):
            if step.op not in ("take_along_axis", "add_along_axis") or self._pass_of(index) != number:
                continue
            operand = step.operands[1]
            place = Place(e, self.program.dtype(operand), int64)
            wide = LANES["cast"](place, self.values[operand])
            good = b.icmp_unsigned("<", wide, e.splat(self.columns))
            bad = b.and_(b.not_(good), mask)
            with b.if_then(e.any(bad), likely=False):
                for lane in range(e.lanes):
                    position = ir.IntType(32)(lane)
                    with b.if_then(b.extract_element(bad, position)):
                        for offset, value in enumerate(
                            (b.add(self.number, I64(1)), b.extract_element(wide, position), self.columns)
                        ):
                            e.store_scalar(b.add(self.flag, I64(8 * offset)), value, int64)
            self.values[-1 - index] = b.select(good, wide, e.constant(0, int64))

    # Along the row.

    def _pass(self, number: int, row: Value, mask: Value) -> None:
        """One loop over the columns."""
        self._steps_between(number, mask)
        first, e = len(self.program.leaves), self.e
        steps = [
            (i, s) for i, s in enumerate(self.program.steps)
            if self._pass_of(i) == number and (s.kind == WIDE or self.passes[first + i] == number + 1)
        ]  # fmt: skip
        folds = [(i, s) for i, s in steps if s.kind == NARROW]
        start = [value for _, s in folds for value in self._start(s)]

        def body(column: Value, carried: list[Value]) -> list[Value]:
            here = dict(self.values)
            here_column = e.splat(column)
            result = []
            waiting = list(carried)
            for index, step in steps:
                for operand in step.operands:
                    if operand not in here:
                        here[operand] = self._wide(operand, number, row, column, mask)
                if step.kind == WIDE:
                    here[first + index] = self._wide_step(index, step, here, here_column)
                    self._store_wide(first + index, here[first + index], row, column, mask)
                    continue
                before, waiting = waiting[: self._width(step)], waiting[self._width(step) :]
                result += self._fold(index, step, here, before, here_column)
            return result

        if not steps:
            return
        ended = e.reduce_loop(I64(0), self.columns, 1, start, body)
        for index, step in folds:
            own, ended = ended[: self._width(step)], ended[self._width(step) :]
            self.values[first + index] = own[-1]

    @staticmethod
    def _width(step: Step) -> int:
        """How many registers a fold carries."""
        return 2 if step.op == "argmax" else 1

    def _start(self, step: Step) -> list[Value]:
        e, dtype = self.e, self.program.dtype(step.operands[0])
        if step.op == "argmax":
            low = -float("inf") if dtype.kind == "f" else neutral("max", dtype)
            return [e.constant(low, dtype), e.constant(0, step.dtype)]
        return [e.constant(0 if step.op == "take_along_axis" else neutral(step.op, dtype), dtype)]

    def _fold(self, index: int, step: Step, here: dict[int, Value], before: list[Value], column: Value) -> list[Value]:
        """The next registers of a reduction."""
        e, value = self.e, here[step.operands[0]]
        place = Place(e, self.program.dtype(step.operands[0]), step.dtype)
        if step.op == "take_along_axis":
            return [e.b.select(e.b.icmp_signed("==", column, here[-1 - index]), value, before[0])]
        if step.op == "argmax":
            better = larger(place, value, before[0])
            return [e.b.select(better, value, before[0]), e.b.select(better, column, before[1])]
        return [LANES[JOINS[step.op]](place, before[0], value)]

    def _wide_step(self, index: int, step: Step, here: dict[int, Value], column: Value) -> Value:
        e = self.e
        if step.op == "broadcast_to":
            return here[step.operands[0]]
        if step.op == "add_along_axis":
            chosen = e.b.icmp_signed("==", column, here[-1 - index])
            return e.b.select(chosen, here[step.operands[0]], e.constant(0, step.dtype))
        return self._compute(step, here)

    def _compute(self, step: Step, values: dict[int, Value]) -> Value:
        """An elementwise operation, or a reshape, which changes nothing here."""
        if step.op == "reshape":
            return values[step.operands[0]]
        place = Place(self.e, self.program.dtype(step.operands[-1]), step.dtype)
        return LANES[step.op](place, *(values[n] for n in step.operands))

    def _wide(self, number: int, now: int, row: Value, column: Value, mask: Value) -> Value:
        """A wide value of an earlier pass, or a leaf."""
        e, first = self.e, len(self.program.leaves)
        dtype = self.program.dtype(number)
        if number in self.kept and self._is_kept_by(number) < now:
            return e.load(self._slot(number, column), dtype)
        assert number < first
        where = self.leaf_fields[number]
        assert where is not None
        if self.program.leaves[number].kind == COLUMN:
            return e.splat(e.load_scalar(e.advance(where[0], column, where[2]), dtype))
        address = e.advance(e.advance(where[0], row, where[1]), column, where[2])
        value = e.gather(address, where[1], dtype, mask)
        if number in self.kept and self._is_kept_by(number) == now:
            e.store(self._slot(number, column), value, dtype)
        return value

    def _is_kept_by(self, number: int) -> int:
        """The pass that fills a value's table: its own, for a leaf the first that reads it."""
        first = len(self.program.leaves)
        if number >= first:
            return self._pass_of(number - first)
        return min(self._pass_of(i) for i, s in enumerate(self.program.steps) if number in s.operands)

    def _slot(self, number: int, column: Value) -> Value:
        size = self.e.lanes * self.program.dtype(number).itemsize
        return self.e.advance(self.kept[number], column, I64(size))

    def _store_wide(self, number: int, value: Value, row: Value, column: Value, mask: Value) -> None:
        e, dtype = self.e, self.program.dtype(number)
        if number in self.kept:
            e.store(self._slot(number, column), value, dtype)
        for output, (address, row_stride, column_stride) in zip(self.program.outputs, self.output_fields, strict=True):
            if output == number:
                here = e.advance(e.advance(address, row, row_stride), column, column_stride)
                e.scatter(here, row_stride, value, dtype, mask)

    def _store_narrow(self, row: Value, mask: Value) -> None:
        for output, (address, stride, _) in zip(self.program.outputs, self.output_fields, strict=True):
            if self.program.kind(output) == NARROW:
                here = self.e.advance(address, row, stride)
                self.e.scatter(here, stride, self.values[output], self.program.dtype(output), mask)


def rows_kernel(program: RowProgram) -> int:
    """The address of the kernel of a row program; the record is :class:`_Rows`'s."""
    if program.steps[-1].op == SUMMARY:
        return summary_kernel(program)
    return _Rows(program).write()
