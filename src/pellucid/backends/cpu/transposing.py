"""Copies that turn columns into rows: square blocks are transposed in registers.

Element by element such a copy touches a new cache line for every number; by blocks it reads and writes whole registers.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I32, I64, Emitter, Value
from pellucid.dtypes import DType

#: From so many on threads may share rows rather than columns.
ROWS_TO_SHARE = 64


def transposed(e: Emitter, rows: list[Value]) -> list[Value]:
    """The columns of a square of registers, by exchanging halves, quarters, and so on."""
    rows = list(rows)
    distance = 1
    while distance < e.lanes:
        for i in range(e.lanes):
            if i & distance:
                continue
            a, b = rows[i], rows[i + distance]
            keep = [lane if not lane & distance else e.lanes + lane - distance for lane in range(e.lanes)]
            move = [lane + distance if not lane & distance else e.lanes + lane for lane in range(e.lanes)]
            rows[i], rows[i + distance] = _shuffle(e, a, b, keep), _shuffle(e, a, b, move)
        distance *= 2
    return rows


def _shuffle(e: Emitter, a: Value, b: Value, lanes: list[int]) -> Value:
    order = ir.Constant(ir.VectorType(I32, e.lanes), [I32(lane) for lane in lanes])
    return e.b.shuffle_vector(a, b, order)


class _Transposing:
    """One kernel in the making.

    Record: sizes of the outer loops; rows and columns of the source; addresses of target and source; the target's
    stride along the source's columns, the source's stride along its rows; for each outer loop the strides of both.
    """

    def __init__(self, dtype: DType, loops: int, by_rows: bool) -> None:
        self.dtype, self.by_rows = dtype, by_rows
        self.e = e = Emitter(target.vector_bytes() // dtype.itemsize)
        self.sizes = [e.field() for _ in range(loops)]
        self.rows, self.columns = e.field(), e.field()
        self.addresses = (e.field(), e.field())
        self.to_stride, self.from_stride = e.field(), e.field()
        self.strides = [(e.field(), e.field()) for _ in range(loops)]

    def write(self) -> int:
        """The kernel's address."""
        self.nest(0, *self.addresses)
        return self.e.finish()

    def nest(self, loop: int, to: Value, source: Value) -> None:
        """The loops over other axes; threads share the columns, or the rows."""
        e = self.e
        if loop < len(self.sizes):
            with e.loop(I64(0), self.sizes[loop]) as i:
                a, b = self.strides[loop]
                self.nest(loop + 1, e.advance(to, i, a), e.advance(source, i, b))
            return
        everything = I64(0), self.columns if self.by_rows else self.rows
        low, high = e.my_share(self.rows if self.by_rows else self.columns, e.lanes)
        rows, columns = ((low, high), everything) if self.by_rows else (everything, (low, high))
        with e.loop(*columns, e.lanes) as column, e.loop(*rows, e.lanes) as row:
            self.block(to, source, row, column, columns[1])

    def block(self, to: Value, source: Value, row: Value, column: Value, last_column: Value) -> None:
        """One square block, or what is left of one at the edges."""
        e, size = self.e, I64(self.dtype.itemsize)
        from_first = e.advance(e.advance(source, row, self.from_stride), column, size)
        to_first = e.advance(e.advance(to, column, self.to_stride), row, size)
        rows, columns = e.minus(self.rows, row), e.minus(last_column, column)

        def move(load_mask: Callable[[int], Value | None], store_mask: Callable[[int], Value | None]) -> None:
            loaded = [
                e.load(e.advance(from_first, I64(i), self.from_stride), self.dtype, load_mask(i))
                for i in range(e.lanes)
            ]
            for i, value in enumerate(transposed(e, loaded)):
                e.store(e.advance(to_first, I64(i), self.to_stride), value, self.dtype, store_mask(i))

        whole = e.b.and_(e.b.icmp_signed(">=", rows, I64(e.lanes)), e.b.icmp_signed(">=", columns, I64(e.lanes)))
        with e.b.if_else(whole) as (then, otherwise):
            with then:
                move(lambda i: None, lambda i: None)
            with otherwise:
                along_columns, along_rows = e.mask(columns), e.mask(rows)

                def only(count: Value, mask: Value) -> Callable[[int], Value]:
                    return lambda i: e.b.and_(mask, e.splat(e.b.icmp_signed(">", count, I64(i))))

                move(only(rows, along_columns), only(columns, along_rows))


def transposing_kernel(dtype: DType, loops: int, by_rows: bool) -> int:
    """The address of the kernel that copies a matrix whose rows lie in columns, inside of ``loops`` outer loops.

    Elements have 4 or 8 bytes; threads share the source's columns, or (``by_rows``) its rows. The record is
    :class:`_Transposing`'s.
    """
    return _Transposing(dtype, loops, by_rows).write()
