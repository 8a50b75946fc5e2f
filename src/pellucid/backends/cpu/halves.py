"""Products with weights that training replaces: each thread multiplies with those rows of the weights that it keeps.

Where threads share the rows of such a product, each of them reads all weights, half of which another one has just
replaced; for a small batch that takes as long as the arithmetic. Where the inner axis is cut in two, the thread that
replaces some rows of the weights is the one that multiplies with them: they stay in the cache of its core, and of the
batch it reads those features alone that belong to them. Only the products of the halves move.

The axis is cut in two for any number of threads, so that the bits of the sum are the same.
"""

from __future__ import annotations

from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I64, Emitter, lanes_for
from pellucid.dtypes import DType
from pellucid.plan.barriers import ROW_BLOCK

# Bytes of weights from which on it is worth while, the most bytes of a half's product, and how much longer the inner
# axis must be than the batch.
_LARGE, _LITTLE, _LONGER = 1 << 16, 1 << 17, 2


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


def cut(inner: int) -> int:
    """The size of the first half: as two threads cut the rows of the weights' gradient."""
    return min((-(-inner // ROW_BLOCK) + 1) // 2 * ROW_BLOCK, inner)


def joining_kernel(dtype: DType, ending: Ending | None = None, motions: tuple[str, ...] = ()) -> int:
    """The address of the sum of two matrices, with an ending; threads share the rows.

    Record: rows, columns; addresses of both, bytes of a row of them; address and row stride of the result; for each
    leaf of the ending, and each result that it keeps, its address and row stride.
    """
    e = Emitter(lanes_for(dtype))
    rows, columns, first, second, width, out, out_row = (e.field() for _ in range(7))
    kinds = list(zip(ending.memory_types if ending else [], motions, strict=True))
    leaves = [(e.field(), e.field()) for _ in kinds]
    kept = ending.expression.kept_types if ending else []
    types = [ending.expression.dtype if ending else dtype, *kept]
    results = [(out, out_row), *((e.field(), e.field()) for _ in kept)]
    with e.loop(*e.my_share(rows, ROW_BLOCK)) as i:
        parts = [e.advance(part, i, width) for part in (first, second)]
        own = [e.advance(address, i, stride) for address, stride in leaves]
        into = [e.advance(address, i, stride) for address, stride in results]
        with e.loop(I64(0), columns, e.lanes) as j:
            mask = e.mask(e.minus(columns, j))
            left, right = (e.load(e.advance(part, j, I64(dtype.itemsize)), dtype, mask) for part in parts)
            total = e.b.fadd(left, right)
            values = ending.results(e, total, leaf_reader(e, own, kinds, j, mask)) if ending else [total]
            for row, value, kind in zip(into, values, types, strict=True):
                e.store(e.advance(row, j, I64(kind.itemsize)), value, kind, mask)
    return e.finish()
