"""Two rows of positions at once: rows of taps are cut into runs of three and two, whose sums save products.

Of a run of three, with the rows d0 to d3 of the image, Winograd's F(2, 3) (1980) along one axis makes 6 products 4. By
what the sums of the image's rows are multiplied says their factor: for a convolution the kernel's rows, or sums of
them, and the products belong to the upper row of results, the lower one, both, or to both with opposite signs; for the
gradient by the kernel, which is the transpose, the two rows of the gradient, their sum, or their difference.

    d0 - d2 (upper),  d1 + d2 (both),  d2 - d1 (difference),  d3 - d1 (lower).

A run of two needs 3 instead of 4:

    d0 - d1 (upper),  d1 (both),  d2 - d1 (lower).
"""

from __future__ import annotations

from pellucid.backends.cpu.emit import Emitter, Value
from pellucid.backends.cpu.windows import all_finite
from pellucid.dtypes import DType

#: Rows of positions that are computed at once.
STEP = 2
#: Rows of taps that are cut into runs.
TAPS = range(2, 8)
#: The sums of a run of so many rows, by what becomes of them.
FACTORS = {3: ("upper", "both", "difference", "lower"), 2: ("upper", "both", "lower")}
# How far from overflow sums of squares have to be: those of the sums of rows are at most 8 times as large for images, 3
# times for kernels, and a result sees up to 16 lanes of an image; the root of 8 * 3 * 16, 20, is less than 64.
_ROOM = 64.0


def runs_of(rows: int) -> tuple[int, ...]:
    """Into what runs of three and two the rows of taps are cut, of which there are two at least.

    >>> runs_of(5), runs_of(4), runs_of(3)
    ((3, 2), (2, 2), (3,))
    """
    twos = -rows % 3
    return (3,) * ((rows - 2 * twos) // 3) + (2,) * twos


def factors_of(runs: tuple[int, ...]) -> tuple[str, ...]:
    """What becomes of the sums of some runs.

    >>> len(factors_of((3, 2)))
    7
    """
    return tuple(factor for run in runs for factor in FACTORS[run])


def sums_of_rows(e: Emitter, rows: list[Value], runs: tuple[int, ...]) -> list[Value]:
    """The sums of an image's rows, of which there is one more than taps."""
    b, sums, first = e.b, list[Value](), 0
    for run in runs:
        d = rows[first : first + run + 1]
        if run == 2:
            sums += [b.fsub(d[0], d[1]), d[1], b.fsub(d[2], d[1])]
        else:
            sums += [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[3], d[1])]
        first += run
    return sums


def sums_of_kernel(e: Emitter, rows: list[Value], runs: tuple[int, ...]) -> list[Value]:
    """What the sums of an image's rows are multiplied by in a convolution: rows of the kernel, and sums of them."""
    b, half, sums, first = e.b, _half(e, rows[0]), list[Value](), 0
    for run in runs:
        g = rows[first : first + run]
        if run == 2:
            sums += [g[0], b.fadd(g[0], g[1]), g[1]]
        else:
            outer = b.fadd(g[0], g[2])
            sums += [g[0], b.fmul(half, b.fadd(outer, g[1])), b.fmul(half, b.fsub(outer, g[1])), g[2]]
        first += run
    return sums


def rows_of_gradient(e: Emitter, sums: list[Value], runs: tuple[int, ...]) -> list[Value]:
    """The gradient by rows of taps, from the sums of products of each run."""
    b, half, rows, first = e.b, _half(e, sums[0]), list[Value](), 0
    for run in runs:
        m = sums[first : first + run + 1]
        if run == 2:
            rows += [b.fadd(m[0], m[1]), b.fadd(m[1], m[2])]
        else:
            outer = b.fmul(half, b.fadd(m[1], m[2]))
            rows += [b.fadd(m[0], outer), b.fmul(half, b.fsub(m[1], m[2])), b.fadd(outer, m[3])]
        first += run + 1
    return rows


def _half(e: Emitter, like: Value) -> Value:
    """A register of 1/2, of the type of another one."""
    return like.type([like.type.element(0.5)] * e.lanes)


def no_squares(e: Emitter, dtype: DType) -> list[Value]:
    """Totals of no squares yet: several, since each has to wait for its last one."""
    return [e.constant(0, dtype)] * 3


def with_squares(e: Emitter, totals: list[Value], values: list[Value]) -> list[Value]:
    """Totals, each with the squares of some of the values added."""
    totals = list(totals)
    for n, value in enumerate(values):
        at = n % len(totals)
        totals[at] = e.multiply_add(value, value, totals[at])
    return totals


def are_small(e: Emitter, squares: list[Value]) -> Value:
    """Whether rows, given by totals of their squares, are finite, and so small that sums of products are finite, too.

    The sum of |x y| is at most the root of the sum of x^2 times that of y^2 (Cauchy and Schwarz): where both are
    finite, with room for the sums of rows, nothing on the way to a result is too large or NaN.
    """
    total = squares[0]
    for other in squares[1:]:
        total = e.b.fadd(total, other)
    kind = squares[0].type
    return all_finite(e, [e.b.fmul(total, kind([kind.element(_ROOM)] * e.lanes))])
