"""The gradient by a small kernel of images by samples, two rows of positions at once: fewer products, more sums.

What three rows of taps get from two rows of the gradient, g0 and g1, and the rows d0 to d3 of the image that they see
takes 4 products of sums instead of 6 products (Winograd's F(3, 2), 1980, along one axis):

    M0 += (d0 - d2) g0,  M1 += (d1 + d2)(g0 + g1),  M2 += (d2 - d1)(g0 - g1),  M3 += (d3 - d1) g1,
    dw0 = M0 + (M1 + M2)/2,  dw1 = (M1 - M2)/2,  dw2 = (M1 + M2)/2 + M3,

and what two rows of taps get, 3 instead of 4:

    M0 += (d0 - d1) g0,  M1 += d1 (g0 + g1),  M2 += (d2 - d1) g1,  dw0 = M0 + M1,  dw1 = M1 + M2.

So taps are cut into runs of three and two rows: 7 products instead of 10 for 5 x 5 taps. The sums of the image's rows
are made once for all output channels, band by band; those of the gradient where they are multiplied. What is not
finite in the end, in a group of samples, is computed again, tap by tap. Finite errors are relative to the largest
products of a run of taps, not to each tap's own.
"""

# C channels in, D channels out, K x T taps, S sums for the K rows of taps, W columns of a plane.

from __future__ import annotations

from collections.abc import Callable

from pellucid.backends.cpu.emit import I64, Value
from pellucid.backends.cpu.groups_form import GroupsForm
from pellucid.backends.cpu.groups_gradient import GroupsGrad, Numbers
from pellucid.backends.cpu.row_runs import STEP, factors_of, rows_of_gradient, sums_of_rows
from pellucid.backends.cpu.windows import all_finite, element, pieces
from pellucid.dtypes import DType

# What needs one number of a pair of rows comes before what waits for both.
_ORDER = ("upper", "lower", "both", "difference")


class _Pairs(GroupsGrad):
    """The kernel in the making; the record is its base's.

    Behind the planes lie the sums of the rows that a band sees, of one channel: by pair of rows, sum and column.
    """

    def __init__(self, dtype: DType, form: GroupsForm) -> None:
        self.factors = factors_of(form.runs)
        super().__init__(dtype, form)
        self.combined = self.beside
        self.beside = self.e.advance(self.combined, self.e.b.sdiv(self.band, I64(STEP)), self.pair)

    @property
    def pair(self) -> Value:
        """Bytes of the sums for a pair of rows."""
        return self.e.b.mul(self.sums_by_taps(), self.row)

    def sums_by_taps(self) -> Value:
        """S sums in the place of K taps."""
        return I64(len(self.factors))

    @property
    def column(self) -> Value:
        """Sums from one number of them to the next."""
        return self.e.b.mul(self.taps[1], self.pitch)

    def group(self, start: Value, stop: Value) -> None:
        """The sums over a group of samples; again tap by tap, if they are not finite."""
        super().group(start, stop)
        e = self.e
        with e.b.if_then(e.b.not_(self.combine()), likely=False):
            self.clear(self.kept)
            with e.loop(start, stop, e.lanes) as lane:
                self.each_band(lane, e.mask(e.minus(stop, lane)), self.of_band_plainly)

    def combine(self) -> Value:
        """Make the gradient of the sums, in their place; whether all of it is finite."""
        e, dtype = self.e, self.dtype
        apart = e.b.mul(self.column, I64(self.register))

        def column(n: Value, nothing: list[Value]) -> list[Value]:
            first = self.sum_at(n)
            sums = [e.load(e.advance(first, I64(s), apart), dtype) for s in range(len(self.factors))]
            for k, value in enumerate(rows_of_gradient(e, sums, self.form.runs)):
                e.store(e.advance(first, I64(k), apart), value, dtype)
                nothing = [e.multiply_add(value, e.constant(0, dtype), nothing[0])]
            return nothing

        return all_finite(e, e.reduce_loop(I64(0), self.column, 1, [e.constant(0, dtype)], column))

    def of_band(self, numbers: Numbers) -> None:
        """The share of a band of rows."""
        e = self.e
        adds = self.form.summed and not self.form.single
        self.lay(numbers)
        if adds and not self.form.by_channel:
            pieces(e, I64(0), self.outs, (self.form.together, 1), lambda d, n: self.add_channels(numbers, d, n))
        with e.loop(I64(0), self.channels) as c:
            self.put_sums(self.image(numbers, c), numbers)
            with e.loop(I64(0), self.outs) as d:
                if self.form.by_channel:
                    numbers.start = d
                    numbers.spread(e.b.add(d, I64(1)), 1)
                    if adds:
                        self.add_channels(numbers, d, 1)
                for number in range(len(self.form.parts)):
                    self.part_of(numbers, number, c, d)

    def of_band_plainly(self, numbers: Numbers) -> None:
        """The share of a band of rows, tap by tap."""
        e = self.e
        self.lay(numbers)
        with e.loop(I64(0), self.outs) as d:
            if self.form.by_channel:
                numbers.start = d
                numbers.spread(e.b.add(d, I64(1)), 1)
            with e.loop(I64(0), self.channels) as c:
                image = self.image(numbers, c)
                with e.loop(I64(0), self.taps[0]) as k, e.loop(I64(0), self.taps[1]) as t:
                    self.block(image, numbers, (k, t, c, d), (1, 1, 1), alone=False)

    def lay(self, numbers: Numbers) -> None:
        """Put the numbers of all output channels side by side, unless that is done one by one, or not at all."""
        if not (self.form.pooled or self.form.in_place):
            numbers.put()
        elif self.form.pooled and not self.form.by_channel:
            numbers.start = I64(0)
            numbers.spread(self.outs, 1)

    def put_sums(self, image: Value, numbers: Numbers) -> None:
        """The sums of the rows that a band sees, of one channel."""
        e, dtype = self.e, self.dtype
        with e.loop(I64(0), self.pairs_of(numbers)) as pair:
            source = e.advance(image, e.b.mul(pair, I64(STEP)), self.row)
            target = e.advance(self.combined, pair, self.pair)
            with e.loop(I64(0), self.row, self.register) as place:
                here = e.b.add(source, place)
                rows = [e.load(e.advance(here, I64(k), self.row), dtype) for k in range(sum(self.form.runs) + 1)]
                sums = sums_of_rows(e, rows, self.form.runs)
                for s, value in enumerate(sums):
                    e.store(e.advance(e.b.add(target, place), I64(s), self.row), value, dtype)

    def pairs_of(self, numbers: Numbers) -> Value:
        """Pairs of rows of a band."""
        return self.e.b.sdiv(numbers.count, I64(STEP))

    def part_of(self, numbers: Numbers, part: int, c: Value, d: Value) -> None:
        """Some of the sums of a channel in and out.

        Where the gradient is read in place, the first part reads it. The second asks for the next numbers: it lasts
        long enough, and does not wait for any itself.
        """
        first, asking = part == 0, part == min(1, len(self.form.parts) - 1)
        far = self.form.in_place
        factors = _Factors(self, numbers, d, reads=far and first, asks=far and asking)
        adds = first and self.form.summed and self.form.single
        pieces(
            self.e, I64(0), self.taps[1], self.form.blocks[1],
            lambda t, wide: self.block_of_sums(self.form.parts[part], factors, (t, c, d), wide, adds),
        )  # fmt: skip

    def block_of_sums(
        self, own: tuple[int, ...], factors: _Factors, place: tuple[Value, Value, Value], wide: int, adds: bool
    ) -> None:
        """Some sums for some columns of taps: a band is added to them.

        Args:
            own: The numbers of the sums.
            factors: What they are multiplied by.
            place: Column of taps, channel in, channel out.
            wide: Columns of taps.
            adds: Whether the gradient's numbers are added up as well.
        """
        e, (t, c, d), numbers = self.e, place, factors.numbers
        number = self.number_of(t, c, d)
        places = []
        for s in own:
            here = self.sum_at(e.b.add(number, e.b.mul(I64(s), self.column)))
            places += [e.advance(here, e.b.mul(I64(i), self.pitch), I64(self.register)) for i in range(wide)]
        places += self.channels_at(d, 1) if adds else []
        left = e.advance(self.combined, t, I64(self.register))
        whole = e.b.and_(self.columns, I64(-2))

        def pair(i: Value, sums: list[Value]) -> list[Value]:
            image = e.advance(left, i, self.pair)
            rows = [e.opaque(e.advance(image, I64(s), self.row)) for s in own]

            def together(positions: int) -> Callable[[Value, list[Value]], list[Value]]:
                return lambda q, carried: self.products(rows, own, factors.at(i, q, positions), (q, wide), carried)

            sums = e.reduce_loop(I64(0), whole, 2, sums, together(2))
            return e.reduce_loop(whole, self.columns, 1, sums, together(1))

        self.carry_sums(places, lambda sums: e.reduce_loop(I64(0), self.pairs_of(numbers), 1, sums, pair))

    def products(
        self,
        rows: list[Value],
        own: tuple[int, ...],
        found: list[tuple[Value, Value]],
        place: tuple[Value, int],
        sums: list[Value],
    ) -> list[Value]:
        """The sums after some neighbouring positions, of which the pairs of numbers are given.

        What their windows share is loaded once. Sums and differences of numbers are made where they are needed, so that
        nothing waits for both of a pair before.
        """
        e, dtype, step, (q, wide) = self.e, self.dtype, self.form.step, place
        sums, moved = list(sums), e.b.mul(q, I64(step * self.register))
        for k in sorted(range(len(own)), key=lambda k: _ORDER.index(self.factors[own[k]])):
            here = e.b.add(rows[k], moved)
            factors = [self.factor(self.factors[own[k]], *numbers) for numbers in found]
            for place_in_row in sorted({n * step + t for n in range(len(found)) for t in range(wide)}):
                x = e.load(e.beside(here, place_in_row, dtype), dtype)
                for n, factor in enumerate(factors):
                    t = place_in_row - n * step
                    if 0 <= t < wide:
                        at = k * wide + t
                        sums[at] = e.multiply_add(x, factor, sums[at])
        if len(sums) > len(own) * wide:
            for row in range(STEP):  # not their sum, which may be too large
                for numbers in found:
                    sums[-1:] = self.added(sums[-1:], [numbers[row]])
        return sums

    def factor(self, name: str, upper: Value, lower: Value) -> Value:
        """What a sum is multiplied by, as :data:`row_runs.FACTORS` names it, at a pair of rows' position."""
        match name:
            case "upper":
                return upper
            case "lower":
                return lower
            case "both":
                return self.e.b.fadd(upper, lower)
            case _:
                return self.e.b.fsub(upper, lower)


class _Factors:
    """What the sums of a band's rows are multiplied by, of one output channel.

    Args:
        kernel: The kernel.
        numbers: The band's numbers.
        d: The channel.
        reads: Whether they are read where the gradient lies, and put side by side.
        asks: Whether the next channel's numbers are asked for there; after the last channel what comes then.
    """

    def __init__(self, kernel: _Pairs, numbers: Numbers, d: Value, *, reads: bool, asks: bool) -> None:
        self.kernel, self.numbers, self.reads, self.asks = kernel, numbers, reads, asks
        e, strides = kernel.e, kernel.ct_strides
        self.near = kernel.beside if kernel.form.in_place else numbers.beside(I64(0), I64(0), d, 1)
        if reads or asks:
            start = element(e, kernel.ct, strides, [numbers.first, I64(0), d])
            self.there = e.advance(start, numbers.lane, I64(kernel.dtype.itemsize))
            self.next = self.to_next(d, strides)

    def to_next(self, d: Value, strides: list[Value]) -> Value:
        """Bytes from a channel's numbers to those that are read after them.

        They are the next channel's, after the last one the next band's, after the last band those of the next samples.
        """
        e, kernel, numbers = self.kernel.e, self.kernel, self.numbers
        rows = e.b.mul(kernel.out_height, kernel.high)
        below = e.b.add(numbers.first, numbers.count)
        ends = e.b.icmp_signed(">=", below, rows)
        up = e.minus(I64(kernel.register), e.b.mul(numbers.first, strides[0]))
        band = e.b.select(ends, up, e.b.mul(numbers.count, strides[0]))
        back = e.b.mul(e.minus(kernel.outs, I64(1)), strides[2])
        more = e.b.icmp_signed("<", e.b.add(d, I64(1)), kernel.outs)
        return e.b.select(more, strides[2], e.minus(band, back))

    def at(self, pair: Value, column: Value, positions: int) -> list[tuple[Value, Value]]:
        """The pairs of numbers at some neighbouring positions."""
        places = [self.kernel.e.b.add(column, I64(n)) for n in range(positions)]
        return [(self.number(pair, 0, place), self.number(pair, 1, place)) for place in places]

    def number(self, pair: Value, i: int, column: Value) -> Value:
        """A number of one of a pair's rows."""
        k, e, dtype = self.kernel, self.kernel.e, self.kernel.dtype
        row = e.b.add(e.b.mul(pair, I64(STEP)), I64(i))
        near = e.advance(self.near, e.b.add(e.b.mul(row, k.columns), column), I64(k.register))
        there = element(e, self.there, k.ct_strides[:2], [row, column]) if self.reads or self.asks else near
        if self.asks:
            k.ask(e.b.add(there, self.next))
        if not self.reads:
            return e.load(near, dtype)
        value = e.load(there, dtype, self.numbers.mask)
        e.store(near, value, dtype)
        return value


def groups_pairs_kernel(dtype: DType, form: GroupsForm) -> int:
    """The address of what :func:`groups_gradient.groups_grad_kernel` gives, by sums of rows; the record is the same."""
    return _Pairs(dtype, form).write()
