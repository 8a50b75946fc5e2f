"""Some rows of the gradient at once: of which sums the gradient by a kernel is made, and what they are multiplied by.

What three rows of taps get from two rows of the gradient, g0 and g1, and the rows d0 to d3 of the image that they see
takes 4 products of sums instead of 6 products (Winograd's F(3, 2), 1980, along one axis):

    M0 += (d0 - d2) g0,  M1 += (d1 + d2)(g0 + g1),  M2 += (d2 - d1)(g0 - g1),  M3 += (d3 - d1) g1,
    dw0 = M0 + (M1 + M2)/2,  dw1 = (M1 - M2)/2,  dw2 = (M1 + M2)/2 + M3,

and what two rows of taps get, 3 instead of 4:

    M0 += (d0 - d1) g0,  M1 += d1 (g0 + g1),  M2 += (d2 - d1) g1,  dw0 = M0 + M1,  dw1 = M1 + M2.

So :class:`Twos` cuts taps into runs of three and two rows: 7 products instead of 10 for five rows of taps and two of
the gradient. :class:`Fours` takes the second of these between neighbours, and either of them between pairs of
neighbours: 11 products instead of 20 for four rows of the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pellucid.backends.cpu.emit import Emitter, Value
from pellucid.backends.cpu.row_runs import FACTORS, rows_of_gradient, runs_of, sums_of_rows


class Product(NamedTuple):
    """What the sums of the image's rows are multiplied by.

    Attributes:
        pair: Two numbers of the gradient, each given by the rows of which it is the sum.
        factor: What becomes of the two, as :data:`row_runs.FACTORS` names it.
    """

    pair: tuple[tuple[int, ...], tuple[int, ...]]
    factor: str


@dataclass(frozen=True)
class Twos:
    """Two rows of the gradient at once.

    Attributes:
        taps: Rows of taps.

    >>> [len(run) for run in Twos(5).runs]
    [4, 3]
    """

    taps: int
    step: ClassVar[int] = 2

    @property
    def runs(self) -> list[list[Product]]:
        """The products, by runs that are made of the same two numbers."""
        return [[Product(((0,), (1,)), factor) for factor in FACTORS[run]] for run in runs_of(self.taps)]

    @property
    def asks(self) -> list[list[int]]:
        """The rows whose next numbers each run asks for: all by the second, which waits for none, if there is one."""
        asking = min(1, len(self.runs) - 1)
        return [[0, 1] if n == asking else [] for n in range(len(self.runs))]

    def sums(self, e: Emitter, rows: list[Value]) -> list[Value]:
        """The sums of the rows of the image that are seen, in the order of the products."""
        return sums_of_rows(e, rows, runs_of(self.taps))

    def gradient(self, e: Emitter, products: list[Value]) -> list[Value]:
        """The gradient by rows of taps."""
        return rows_of_gradient(e, products, runs_of(self.taps))


@dataclass(frozen=True)
class Fours:
    """Four rows of the gradient at once, g[0] to g[3].

    Rows of taps are taken two by two, 2k and 2k + 1, and so are the gradient's, 2b and 2b + 1:

        A[k] = sum over b of (d[2k + 2b] - d[2k + 2b + 1]) g[2b],
        B[k] = sum over b of (d[2k + 2b + 2] - d[2k + 2b + 1]) g[2b + 1],
        C[k] = sum over b of d[2k + 2b + 1] (g[2b] + g[2b + 1]),
        dw[2k] = A[k] + C[k],  dw[2k + 1] = B[k] + C[k].

    A, B and C, in this order the runs of products, are gradients again, of two or three taps each, from the two numbers
    that b counts: 3 or 4 products, as :class:`Twos` has them. Where the number of taps is odd, the last of B is not
    needed, nor one product that it alone is made of.

    Attributes:
        taps: Rows of taps, four to six.

    >>> [len(run) for run in Fours(5).runs], [len(run) for run in Fours(4).runs]
    ([4, 3, 4], [3, 3, 3])
    """

    taps: int
    step: ClassVar[int] = 4

    @property
    def taps_of_runs(self) -> int:
        """Taps of A, B and C."""
        return (self.taps + 1) // 2

    @property
    def runs(self) -> list[list[Product]]:
        """The products, by runs that are made of the same two numbers."""
        factors = FACTORS[self.taps_of_runs]
        pairs = [((0,), (2,)), ((1,), (3,)), ((0, 1), (2, 3))]
        counts = [len(factors), len(factors) - self.taps % 2, len(factors)]
        return [[Product(pair, f) for f in factors[:n]] for pair, n in zip(pairs, counts, strict=True)]

    @property
    def asks(self) -> list[list[int]]:
        """The rows whose next numbers each run asks for: one each, which is as fast as more; no run asks for row 3."""
        return [[2], [1], [0]]

    def sums(self, e: Emitter, rows: list[Value]) -> list[Value]:
        """The sums of the rows of the image that are seen, in the order of the products."""
        b, run = e.b, (self.taps_of_runs,)
        upper, middle, lower = rows[0::2], rows[1::2], rows[2::2]
        above = [b.fsub(x, y) for x, y in zip(upper, middle, strict=False)]
        below = [b.fsub(x, y) for x, y in zip(lower, middle, strict=False)]
        below += below[-1:] * (self.taps % 2)  # in the place of what only the sum that is left out would need
        found = [sums_of_rows(e, of_pairs, run) for of_pairs in (above, below, middle)]
        return [value for own, products in zip(found, self.runs, strict=True) for value in own[: len(products)]]

    def gradient(self, e: Emitter, products: list[Value]) -> list[Value]:
        """The gradient by rows of taps."""
        first, rows = 0, []
        for run in self.runs:
            own = products[first : first + len(run)]
            own += own[-1:] * (self.taps_of_runs + 1 - len(own))
            rows.append(rows_of_gradient(e, own, (self.taps_of_runs,)))
            first += len(run)
        above, below, middle = rows
        both = [(e.b.fadd(a, c), e.b.fadd(b, c)) for a, b, c in zip(above, below, middle, strict=True)]
        return [value for pair in both for value in pair][: self.taps]


Cut = Twos | Fours
