"""Operands of a product as sums of bfloat16, in the tiles that a matrix unit multiplies.

A float32 has 24 significant bits, a bfloat16 has 8 and the same exponents. So x is a sum of three without error::

    x = x0 + x1 + x2,    |x1| <= 2^-8 |x|,    |x2| < 2^-15 |x|

x0 is x rounded to 8 bits, so that the rest has either sign, and x1 the first 8 bits of the rest; what is left has no
more than 8. Of the nine products of the parts of x and y six are added. The other three are together less than
2^-22 |x y|, of either sign: about what rounding x y once to float32 may lose. (Henry, Tang and Heinecke 2019,
"Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations", arXiv:1904.06376.)

This holds from about 2^-102 (2e-31) on: parts nearer to 0 than 2^-126 count as 0, as all such numbers do in loops. What
splits relies on that: a last part that has bits behind its first 16 would spill them into its neighbour.

A tile holds pairs of neighbours of the inner axis in 32 bits. Which numbers are neighbours is free, as long as both
operands agree: here number k of a step of 32 goes with number k + 16, so that a pair is made of two registers without
moving anything between lanes.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from pellucid.backends.cpu.emit import I32, I64, Emitter, Value
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH
from pellucid.dtypes import float32

#: Parts of a number, steps of the inner axis in a tile, and the pairs of parts that count, the largest not first.
PARTS, INNER = 3, 32
PRODUCTS = ((2, 0), (0, 0), (1, 0), (1, 1), (0, 1), (0, 2))
#: The same, where one operand's three parts are kept and the other one's are read: these, with what each multiplies.
ORDER = ((2, (0,)), (0, (2, 1, 0)), (1, (1, 0)))
#: Half of a step, and how many rows are turned at once.
HALF, FOUR = INNER // 2, 4
_SIGNIFICANT, _ROUNDING, _SHIFT = 0xFFFF0000, 0x8000, 16


def pair_in_parts(e: Emitter, low: Value, high: Value) -> list[Value]:
    """The parts of two registers of float32, each as one of pairs of bfloat16.

    Of what is not finite they are anything but finite: x minus its first part is none either.
    """
    kind, words = low.type, ir.VectorType(I32, e.lanes)
    constant = lambda value: ir.Constant(words, [I32(value)] * e.lanes)  # noqa: E731
    bits = [e.b.bitcast(x, words) for x in (low, high)]
    parts = []
    for number in range(PARTS):
        whole = [e.b.add(x, constant(_ROUNDING)) for x in bits] if number == 0 else bits
        last = number == PARTS - 1
        own = whole if last else [e.b.and_(x, constant(_SIGNIFICANT)) for x in whole]
        parts.append(e.b.or_(e.b.lshr(whole[0], constant(_SHIFT)), own[1]))
        if not last:
            rest = [e.b.fsub(e.b.bitcast(x, kind), e.b.bitcast(y, kind)) for x, y in zip(bits, own, strict=True)]
            bits = [e.b.bitcast(x, words) for x in rest]
    return parts


def keep(e: Emitter, place: Value, low: Value, high: Value, apart: Value | None = None) -> None:
    """Store the parts of two registers, so many bytes apart: by default as a row of the tiles at a place."""
    distance = I64(TILE) if apart is None else apart
    for number, part in enumerate(pair_in_parts(e, low, high)):
        e.store(e.b.add(place, e.b.mul(distance, I64(number))), e.b.bitcast(part, e.vector_type(float32)), float32)


def transposed_pairs(e: Emitter, place: Value, line: Callable[[int, int], Value]) -> None:
    """Four rows of a step's tiles from lines that lie across them: row n is made of the n-th numbers of all lines.

    Args:
        e: The kernel in the making.
        place: Where the first of the rows begins.
        line: Reads four numbers of a line of the first (0) or second half (1) of the step, by the half and its number.
    """
    halves = [_four_rows(e, [line(half, n) for n in range(ROWS)]) for half in range(2)]
    for row, (low, high) in enumerate(zip(*halves, strict=True)):
        keep(e, e.b.add(place, I64(row * WIDTH)), low, high)


def _four_rows(e: Emitter, lines: list[Value]) -> list[Value]:
    """The numbers of 16 registers of four, those with the same place side by side."""
    count = range(FOUR)
    # Register q holds lines q, q + 4, q + 8 and q + 12 one behind the other; squares of four are turned inside of each.
    joined = [_together(e, [lines[FOUR * g + q] for g in count]) for q in count]
    near = [
        _pick(e, joined[2 * p], joined[2 * p + 1], [(0, half), (1, half), (0, half + 1), (1, half + 1)])
        for p in range(2)
        for half in (0, 2)
    ]
    rows = []
    for half in range(2):
        low, high = near[half], near[2 + half]
        rows += [_pick(e, low, high, [(0, at), (0, at + 1), (1, at), (1, at + 1)]) for at in (0, 2)]
    return rows


def _pick(e: Emitter, a: Value, b: Value, lanes: list[tuple[int, int]]) -> Value:
    """In each quarter of a register four lanes of the same quarter of two others: which of these, and which lane."""
    order = [which * e.lanes + FOUR * quarter + lane for quarter in range(FOUR) for which, lane in lanes]
    return e.b.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, e.lanes), [I32(n) for n in order]))


def _together(e: Emitter, parts: list[Value]) -> Value:
    """Registers one behind the other."""
    while len(parts) > 1:
        width = 2 * parts[0].type.count
        order = ir.Constant(ir.VectorType(I32, width), [I32(n) for n in range(width)])
        parts = [e.b.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
