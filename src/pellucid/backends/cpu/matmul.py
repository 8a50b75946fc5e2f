"""The matrix product: register blocks of rows by vectors, for any strides of the left operand."""

# M rows, N columns, K inner size. A is [M, K] with any strides, B is [K, N] and C is [M, N] with dense rows.

from __future__ import annotations

from dataclasses import dataclass

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.dtypes import DType

# Rows and vectors of the register block: 8 x 3 accumulators and 3 vectors of B leave AVX-512 five registers.
ROWS, VECTORS = 8, 3


@dataclass(frozen=True)
class _Operands:
    """The record: addresses, and strides in bytes."""

    a: Value
    b: Value
    c: Value
    a_row: Value
    a_inner: Value
    b_row: Value
    c_row: Value


def matmul_kernel(dtype: DType, batch_loops: int) -> int:
    """The address of a matrix product, inside ``batch_loops`` loops over batches.

    Record: M, N, K, batch sizes; addresses of A, B, C; strides a_row, a_inner, b_row, c_row; then for each batch loop
    the strides of A, B and C.
    """
    e = Emitter(lanes_for(dtype))
    m, n, k = e.field(), e.field(), e.field()
    sizes = [e.field() for _ in range(batch_loops)]
    operands = _Operands(*(e.field() for _ in range(7)))
    strides = [[e.field() for _ in range(3)] for _ in range(batch_loops)]

    def nest(loop: int, a: Value, b: Value, c: Value) -> None:
        if loop == batch_loops:
            rows = e.my_share(m, ROWS) if batch_loops == 0 else (I64(0), m)
            here = _Operands(a, b, c, operands.a_row, operands.a_inner, operands.b_row, operands.c_row)
            _product(e, dtype, here, rows, n, k)
            return
        share = e.my_share(sizes[loop]) if loop == 0 else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            moved = (e.advance(x, i, s) for x, s in zip((a, b, c), strides[loop], strict=True))
            nest(loop + 1, *moved)

    nest(0, operands.a, operands.b, operands.c)
    return e.finish()


def _product(e: Emitter, dtype: DType, x: _Operands, rows: tuple[Value, Value], n: Value, k: Value) -> None:
    """All columns of some rows: wide blocks of columns first, then single vectors, the last one masked."""
    low, high = rows
    wide = e.lanes * VECTORS
    wide_end = e.b.mul(e.b.sdiv(n, I64(wide)), I64(wide))
    with e.loop(I64(0), wide_end, wide) as j:
        _columns(e, dtype, x, (low, high), j, k, VECTORS, None)
    with e.loop(wide_end, n, e.lanes) as j:
        _columns(e, dtype, x, (low, high), j, k, 1, e.mask(e.minus(n, j)))


def _columns(
    e: Emitter,
    dtype: DType,
    x: _Operands,
    rows: tuple[Value, Value],
    j: Value,
    k: Value,
    vectors: int,
    mask: Value | None,
) -> None:
    """One block of columns: blocks of rows first, then single rows."""
    low, high = rows
    blocks = e.b.mul(e.b.sdiv(e.minus(high, low), I64(ROWS)), I64(ROWS))
    blocks_end = e.b.add(low, blocks)
    with e.loop(low, blocks_end, ROWS) as i:
        _block(e, dtype, x, i, j, k, ROWS, vectors, mask)
    with e.loop(blocks_end, high) as i:
        _block(e, dtype, x, i, j, k, 1, vectors, mask)


def _block(
    e: Emitter,
    dtype: DType,
    x: _Operands,
    i: Value,
    j: Value,
    k: Value,
    rows: int,
    vectors: int,
    mask: Value | None,
) -> None:
    """rows x vectors accumulators, K fused multiply-adds each."""
    width = I64(dtype.itemsize)
    a_rows = [e.advance(x.a, e.b.add(i, I64(r)), x.a_row) for r in range(rows)]
    b_start = e.advance(x.b, j, width)
    zero = e.constant(0, dtype)

    def step(inner: Value, sums: list[Value]) -> list[Value]:
        b_row = e.advance(b_start, inner, x.b_row)
        offsets = [e.b.add(b_row, I64(v * e.lanes * dtype.itemsize)) for v in range(vectors)]
        b = [e.load(address, dtype, mask) for address in offsets]
        a = [e.splat(e.load_scalar(e.advance(row, inner, x.a_inner), dtype)) for row in a_rows]
        return [e.multiply_add(a[r], b[v], sums[r * vectors + v]) for r in range(rows) for v in range(vectors)]

    sums = e.reduce_loop(I64(0), k, 1, [zero] * (rows * vectors), step)
    for r in range(rows):
        c_row = e.advance(e.advance(x.c, e.b.add(i, I64(r)), x.c_row), j, width)
        for v in range(vectors):
            e.store(e.b.add(c_row, I64(v * e.lanes * dtype.itemsize)), sums[r * vectors + v], dtype, mask)
