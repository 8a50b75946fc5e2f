"""Kernels at the edges of a loop's step: the rows of the batch come in, numbers of the step come in and go out.

A loop keeps one cursor per thread, the number of the step, each on a cache line of its own.
"""

from __future__ import annotations

from llvmlite import ir

from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I1, I64, POINTER, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import Place, convert
from pellucid.dtypes import DType, int64
from pellucid.plan.barriers import ROW_BLOCK

#: Bytes from the cursor of one thread to that of the next.
CURSOR_STRIDE = 64
#: The place in a cursor's line of how many steps follow the present one, the next of them at once.
STEPS_LEFT = 1


def cursor_of(e: Emitter) -> Value:
    """The address of this thread's cursor; the next field of the record is that of the first one."""
    return e.advance(e.field(), e.thread, I64(CURSOR_STRIDE))


def _step(e: Emitter) -> Value:
    """The number of the step; the next field of the record is the address of the cursors."""
    return e.load_scalar(cursor_of(e), int64)


def odd_step(e: Emitter) -> Value:
    """1 in every second step, else 0; the next field of the record is the address of the cursors."""
    return e.b.and_(_step(e), I64(1))


class BatchRows:
    """The rows of the step's batch, where they lie in a data set.

    Record: cursors, rows of a batch, order.

    Attributes:
        rows: How many there are.
        order: The address of their numbers.
        odd: 1 in every second step, else 0.
    """

    def __init__(self, e: Emitter) -> None:
        self.e = e
        self._cursor = cursor_of(e)
        step, self.rows, order = e.load_scalar(self._cursor, int64), e.field(), e.field()
        self.order, self.odd = e.advance(order, e.b.mul(step, self.rows), I64(8)), e.b.and_(step, I64(1))

    def number(self, row: Value, order: Value = None) -> Value:
        """The number in the data set of a row of the batch, or of the one whose numbers are there."""
        return self.e.load_scalar(self.e.advance(order or self.order, row, I64(8)), int64)

    def next_order(self) -> Value:
        """The address of the numbers of the next batch's rows, or of this one's where none follows."""
        e = self.e
        left = e.load_scalar(e.b.add(self._cursor, I64(8 * STEPS_LEFT)), int64)
        return e.b.select(e.b.icmp_signed(">", left, I64(0)), e.advance(self.order, self.rows, I64(8)), self.order)


def gather_rows_kernel(
    source: DType, target: DType, ending: Ending | None = None, motions: tuple[str, ...] = ()
) -> int:
    """The address of the kernel that gathers a batch from a data set, converting its elements.

    Record: cursors; number of rows, elements of a row; order (int64); address and row stride of source and target; the
    address of each leaf of the ending, which is the same for all rows. ``motions`` says how it moves along a row.
    """
    e = Emitter(lanes_for(target))
    place = Place(e, source, target)
    step, rows, width, order = _step(e), e.field(), e.field(), e.field()
    (data, data_stride), (batch, batch_stride) = ((e.field(), e.field()) for _ in range(2))
    leaves = list(zip(ending.memory_types if ending else [], motions, strict=True))
    same_rows = [e.field() for _ in leaves]
    result = ending.expression.dtype if ending else target
    own = e.advance(order, e.b.mul(step, rows), I64(8))
    with e.loop(*e.my_share(rows, ROW_BLOCK)) as i:
        number = e.load_scalar(e.advance(own, i, I64(8)), int64)
        row, into = e.advance(data, number, data_stride), e.advance(batch, i, batch_stride)

        def copy(j: Value, mask: Value | None, row: Value = row, into: Value = into) -> None:
            value = convert(place, e.load(e.advance(row, j, I64(source.itemsize)), source, mask))
            if ending is not None:
                value = ending.evaluate(e, value, leaf_reader(e, same_rows, leaves, j, mask))
            e.store(e.advance(into, j, I64(result.itemsize)), value, result, mask)

        whole = e.b.mul(e.b.sdiv(width, I64(e.lanes)), I64(e.lanes))
        with e.loop(I64(0), whole, e.lanes) as j:
            copy(j, None)
        with e.b.if_then(e.b.icmp_signed("<", whole, width)):
            copy(whole, e.mask(e.minus(width, whole)))
    return e.finish()


def move_kernel() -> int:
    """The address of the kernel that copies arrays from or to tables with a row per step.

    Record: cursors; number of arrays; for each its source, what a step adds to it, its target, what a step adds to
    that, and its bytes.
    """
    e = Emitter(1)
    step, count = _step(e), e.field()
    head = 2 * 8
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, I1])
    copy = ir.Function(e.module, kind, "llvm.memcpy.p0.p0.i64")
    first = e.b.add(e.b.ptrtoint(e.record, I64), I64(head))

    def body() -> None:
        with e.loop(I64(0), count) as i:
            item = e.advance(first, i, I64(5 * 8))
            source, source_step, target, target_step, size = (
                e.load_scalar(e.b.add(item, I64(8 * n)), int64) for n in range(5)
            )
            from_, to = e.advance(source, step, source_step), e.advance(target, step, target_step)
            e.b.call(copy, [e.pointer(to), e.pointer(from_), size, I1(0)])

    e.only_first_thread(body)
    return e.finish()
