"""How a product of matrices is cut: into register blocks, and into what each thread computes."""

# M rows, N columns, K inner size, as in matmul.py.

from __future__ import annotations

import math

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import lanes_for
from pellucid.dtypes import DType

#: What threads share: the rows of the result, its columns, or its columns in wide blocks and the rows of what is left.
BY_ROWS, BY_COLUMNS, BY_BLOCKS = "rows", "columns", "blocks"

# Rows of the register block by the number of registers, and its vectors: 8 x 3 accumulators and 3 vectors of B leave 32
# registers five, 4 x 3 accumulators leave 16 registers one.
_ROWS, VECTORS = {32: 8, 16: 4}, 3
# Lanes from which on the last columns may have half a register, which takes half the time on some processors.
_HALVED = 8
# How much more arithmetic it is worth to share weights by columns, so that they stay in one core's cache.
_WORTH = 1.03
#: The part of the columns that may be left over by wide blocks: as much of the weights moves between cores.
MOVING = 8


def block_rows() -> int:
    """Rows that are computed at once."""
    return _ROWS[target.vector_registers()]


def block_columns(dtype: DType) -> int:
    """Columns that are computed at once."""
    return VECTORS * lanes_for(dtype)


def narrowest(lanes: int) -> int:
    """The width of the smallest register that columns are computed in."""
    return lanes // 2 if lanes >= _HALVED else lanes


def shared(rows: int, columns: int, inner: int, dtype: DType, *, weights: str) -> str:
    """What two threads had better share of a product: its rows, or its columns in one of two ways.

    Weights that are larger than the activations had better not move: a thread that computes some columns reads and
    updates these columns of the weights alone, step after step, and they stay in the cache of its core. Wide blocks of
    columns take the least time; where threads have as many of them, they share the rows of the few columns left.

    Args:
        rows: Rows of the result.
        columns: Columns of the result.
        inner: The inner size.
        dtype: The type of the elements.
        weights: What the weights are: the ``"right"`` operand, or the ``"result"``; else the rows are shared.
    """
    samples, features = (rows, inner) if weights == "right" else (inner, rows)
    large = features * columns > samples * (features + columns)
    if weights == "" or not large or columns <= lanes_for(dtype):
        return BY_ROWS
    return _cheapest(_costs(rows, columns, dtype))


def without_blocks(rows: int, columns: int, dtype: DType) -> str:
    """The same for a product of which :func:`shared` says something else than the rows, where there are no blocks."""
    costs = _costs(rows, columns, dtype)
    costs.pop(BY_BLOCKS, None)
    return _cheapest(costs)


def _cheapest(costs: dict[str, float]) -> str:
    best = min((way for way in costs if way != BY_ROWS), key=costs.__getitem__)
    return best if costs[best] <= _WORTH * costs[BY_ROWS] else BY_ROWS


def _costs(rows: int, columns: int, dtype: DType) -> dict[str, float]:
    """What each way costs the thread that has more to do."""
    lanes, wide = lanes_for(dtype), block_columns(dtype)
    own_rows, own_columns = larger_half(rows, block_rows()), larger_half(columns, narrowest(lanes))
    blocks = columns // (2 * wide) * wide
    left = columns - 2 * blocks
    costs = {BY_ROWS: own_rows * _column_cost(columns, lanes), BY_COLUMNS: rows * _column_cost(own_columns, lanes)}
    if left * MOVING <= columns:
        costs[BY_BLOCKS] = rows * _column_cost(blocks, lanes) + own_rows * _column_cost(left, lanes)
    return costs


def larger_half(count: int, unit: int) -> int:
    """What the first of two threads has of so many that are cut at multiples of a unit."""
    return math.ceil(math.ceil(count / unit) / 2) * unit


def _column_cost(columns: int, lanes: int) -> float:
    """Cycles per row block and inner step: multiply-adds of full blocks, loads of single registers."""
    wide, left = divmod(columns, VECTORS * lanes)
    pair, left = divmod(left, (VECTORS - 1) * lanes)
    single, left = divmod(left + narrowest(lanes) - 1, lanes)
    narrow = 0.5 if left >= narrowest(lanes) and narrowest(lanes) < lanes else 0
    rows = block_rows()
    return (wide * VECTORS + pair * (VECTORS - 1)) * rows + single * (rows + 1) + narrow * (rows + 2)
