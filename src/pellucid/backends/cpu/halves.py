"""Products in two halves of the inner axis, so that what a thread has computed or replaced need not move.

**Weights that training replaces:** each thread multiplies with those rows of the weights that it keeps.

Where threads share the rows of such a product, each of them reads all weights, half of which another one has just
replaced; for a small batch that takes as long as the arithmetic. Where the inner axis is cut in two, the thread that
replaces some rows of the weights is the one that multiplies with them: they stay in the cache of its core, and of the
batch it reads those features alone that belong to them. Only the products of the halves move.

**Sums over samples:** a gradient of small weights over a large batch reads far more than it gives. Where both threads
read all samples, half of these lie in the other core's cache; in halves each thread reads the samples that it has
computed. The same holds for the sum over samples that is the bias's gradient.

The axis is cut in two for any number of threads, so that the bits of the sum are the same.
"""

from __future__ import annotations

from pellucid.alignment import ALIGNMENT
from pellucid.backends.cpu.cutting import larger_half
from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.moves import odd_step
from pellucid.dtypes import DType
from pellucid.plan.barriers import ROW_BLOCK

# Bytes of weights from which on it is worth while, the most bytes of a half's product, and how much longer the inner
# axis must be than the batch.
_LARGE, _LITTLE, _LONGER = 1 << 16, 1 << 17, 2
# How much more samples must hold than the gradient, and the bytes of half of them from which on it is worth a wait.
_MORE, _WORTH_WAITING = 8, 1 << 15
# How many bytes ahead of a sum its parts are asked for: another core has one of them, and a function of many operations
# fills what a core remembers of waiting ones before it comes to the next parts.
_AHEAD = 1 << 10
# Rows that are summed side by side, so that no addition waits for the one before.
_CHAINS = 4


def are_worth_it(rows: int, columns: int, inner: int, dtype: DType) -> bool:
    """Whether the products of two halves had better be computed apart, if the right operand are replaced weights.

    Args:
        rows: Rows of the result.
        columns: Columns of the result.
        inner: The inner size.
        dtype: The type of the elements.
    """
    weights, product = inner * columns * dtype.itemsize, rows * columns * dtype.itemsize
    return dtype.kind == "f" and rows > 1 and inner >= _LONGER * rows and weights >= _LARGE and product <= _LITTLE


def of_samples(rows: int, columns: int, inner: int, dtype: DType, *, data: bool) -> bool:
    """Whether a product over samples, the inner axis, had better be computed in halves of them.

    Args:
        rows: Rows of the result.
        columns: Columns of the result.
        inner: The inner size.
        dtype: The type of the elements.
        data: Whether the left operand is the step's data, which no thread has computed; the right one is computed.
    """
    moving = inner * ((0 if data else rows) + columns)
    worth = moving * dtype.itemsize >= 2 * _WORTH_WAITING
    return dtype.kind == "f" and rows > 1 and worth and moving >= _MORE * rows * columns


def cut(inner: int) -> int:
    """The size of the first half: as two threads cut rows."""
    return min(larger_half(inner, ROW_BLOCK), inner)


def joining_kernel(
    dtype: DType, ending: Ending | None = None, motions: tuple[str, ...] = (), turning: bool = False
) -> int:
    """The address of the sum of two matrices, with an ending; threads share the rows.

    Record: rows, columns; addresses of both, bytes of a row of them; address and row stride of the result; for each
    leaf of the ending, and each result that it keeps, its address and row stride. Where the matrices are ``turning``,
    cursors, and the bytes from those of an even step to those of an odd one.
    """
    e = Emitter(lanes_for(dtype))
    rows, columns, first, second, width, out, out_row = (e.field() for _ in range(7))
    kinds = list(zip(ending.memory_types if ending else [], motions, strict=True))
    leaves = [(e.field(), e.field()) for _ in kinds]
    kept = ending.expression.kept_types if ending else []
    types = [ending.expression.dtype if ending else dtype, *kept]
    results = [(out, out_row), *((e.field(), e.field()) for _ in kept)]
    if turning:
        odd, apart = odd_step(e), e.field()
        first, second = (e.advance(part, odd, apart) for part in (first, second))
    low, high = e.my_share(rows, ROW_BLOCK)
    start, stop = e.b.mul(low, width), e.b.mul(high, width)
    with e.loop(start, e.smaller(e.b.add(start, I64(_AHEAD)), stop), ALIGNMENT) as offset:
        for part in (first, second):
            e.prefetch(e.b.add(part, offset))
    with e.loop(low, high) as i:
        parts = [e.advance(part, i, width) for part in (first, second)]
        below = e.b.add(e.b.mul(i, width), I64(_AHEAD))
        own = [e.advance(address, i, stride) for address, stride in leaves]
        into = [e.advance(address, i, stride) for address, stride in results]
        with e.loop(I64(0), columns, e.lanes) as j:
            mask = e.mask(e.minus(columns, j))
            for part in (first, second):
                e.prefetch(e.b.add(part, e.smaller(e.advance(below, j, I64(dtype.itemsize)), e.minus(stop, I64(1)))))
            left, right = (e.load(e.advance(part, j, I64(dtype.itemsize)), dtype, mask) for part in parts)
            total = e.b.fadd(left, right)
            values = ending.results(e, total, leaf_reader(e, own, kinds, j, mask)) if ending else [total]
            for row, value, kind in zip(into, values, types, strict=True):
                e.store(e.advance(row, j, I64(kind.itemsize)), value, kind, mask)
    return e.finish()


def column_sums_kernel(dtype: DType) -> int:
    """The address of the sums of a matrix's columns in each of two halves of its rows.

    Record: rows, rows of the first half, columns; address of the matrix and bytes of a row; address of the sums of the
    first half, which those of the second one follow.
    """
    e = Emitter(lanes_for(dtype))
    rows, first, columns, matrix, width, out = (e.field() for _ in range(6))
    blocks = e.ceiling(columns, e.lanes)
    with e.loop(*e.my_share(e.b.mul(blocks, I64(2)))) as number:
        half = e.b.sdiv(number, blocks)
        second = e.b.icmp_signed("!=", half, I64(0))
        start, stop = e.b.select(second, first, I64(0)), e.b.select(second, rows, first)
        column = e.b.mul(e.minus(number, e.b.mul(half, blocks)), I64(e.lanes))
        mask, here = e.mask(e.minus(columns, column)), e.advance(matrix, column, I64(dtype.itemsize))

        def row(i: Value, here: Value = here, mask: Value = mask) -> Value:
            return e.load(e.advance(here, i, width), dtype, mask)

        def several(i: Value, sums: list[Value]) -> list[Value]:
            return [e.b.fadd(total, row(e.b.add(i, I64(c)))) for c, total in enumerate(sums)]

        whole = e.b.add(start, e.b.mul(e.b.sdiv(e.minus(stop, start), I64(_CHAINS)), I64(_CHAINS)))
        zero = e.constant(0, dtype)
        a, b, c, d = e.reduce_loop(start, whole, _CHAINS, [zero] * _CHAINS, several)
        total = e.b.fadd(e.b.fadd(a, b), e.b.fadd(c, d))
        (total,) = e.reduce_loop(whole, stop, 1, [total], lambda i, sums: [e.b.fadd(sums[0], row(i))])
        place = e.advance(out, e.b.add(e.b.mul(half, columns), column), I64(dtype.itemsize))
        e.store(place, total, dtype, mask)
    return e.finish()
