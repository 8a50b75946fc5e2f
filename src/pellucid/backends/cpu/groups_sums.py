"""The gradient by a small kernel of images by samples, some rows of positions at once: fewer products, more sums.

:mod:`row_cuts` says which sums of the image's rows are multiplied by which sums of the gradient's. Those of the image
are made once for all output channels, band by band; those of the gradient where they are multiplied. What is not
finite in the end, in a group of samples, is computed again, tap by tap. Finite errors are relative to the largest
products of the rows that have sums in common, not to each tap's own.
"""

# C channels in, D channels out, K x T taps, S sums for the K rows of taps, R rows of the gradient at once, W columns of
# a plane.

from __future__ import annotations

import functools
import itertools

from pellucid.backends.cpu.emit import I64, Value
from pellucid.backends.cpu.groups_form import GroupsForm
from pellucid.backends.cpu.groups_gradient import GroupsGrad, Numbers
from pellucid.backends.cpu.row_cuts import Cut, Product
from pellucid.backends.cpu.windows import all_finite, element, pieces
from pellucid.dtypes import DType

# What needs one number of a pair comes before what waits for both.
_ORDER = ("upper", "lower", "both", "difference")


class _Sums(GroupsGrad):
    """The kernel in the making; the record is its base's.

    Behind the planes lie the sums of the rows that a band sees, of one channel: by strip of R rows, column and sum. So
    all that a position needs lies at distances that are known when the kernel is written.
    """

    def __init__(self, dtype: DType, form: GroupsForm, cut: Cut) -> None:
        self.cut = cut
        self.all_products = [product for run in cut.runs for product in run]
        super().__init__(dtype, form)
        self.combined = self.beside
        self.beside = self.e.advance(self.combined, self.e.b.sdiv(self.band, I64(cut.step)), self.strip)

    @property
    def strip(self) -> Value:
        """Bytes of the sums for a strip of rows."""
        return self.e.b.mul(self.sums_by_taps(), self.row)

    @property
    def sums_of_column(self) -> Value:
        """Bytes of all sums of a strip at a column of the image."""
        return I64(len(self.all_products) * self.register)

    def sums_by_taps(self) -> Value:
        """S sums in the place of K taps."""
        return I64(len(self.all_products))

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
            sums = [e.load(e.advance(first, I64(s), apart), dtype) for s in range(len(self.all_products))]
            for k, value in enumerate(self.cut.gradient(e, sums)):
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
        with e.loop(I64(0), self.strips_of(numbers)) as strip:
            source = e.advance(image, e.b.mul(strip, I64(self.cut.step)), self.row)
            target = e.advance(self.combined, strip, self.strip)
            with e.loop(I64(0), self.plane_width) as column:
                here = e.advance(source, column, I64(self.register))
                seen = self.cut.taps + self.cut.step - 1
                rows = [e.load(e.advance(here, I64(k), self.row), dtype) for k in range(seen)]
                first = e.advance(target, column, self.sums_of_column)
                for s, value in enumerate(self.cut.sums(e, rows)):
                    e.store(e.beside(first, s, dtype), value, dtype)

    def strips_of(self, numbers: Numbers) -> Value:
        """Strips of a band's rows."""
        return self.e.b.sdiv(numbers.count, I64(self.cut.step))

    def rows_of(self, part: int) -> set[int]:
        """Which rows of a strip a part of the sums is made of."""
        pairs = [self.all_products[s].pair for s in self.form.parts[part]]
        return {row for pair in pairs for rows in pair for row in rows}

    def fresh(self, part: int) -> set[int]:
        """Which rows of a strip no part before is made of."""
        return self.rows_of(part).difference(*(self.rows_of(n) for n in range(part)))

    def asks(self, part: int) -> list[int]:
        """Of which rows a part asks for the next numbers: all that its run asks for, by a part that waits for none."""
        run_of_product = [n for n, run in enumerate(self.cut.runs) for _ in run]
        runs = [run_of_product[own[0]] for own in self.form.parts]
        parts = [n for n, run in enumerate(runs) if run == runs[part]]
        asking = next((n for n in parts if not self.fresh(n)), parts[0])
        return self.cut.asks[runs[part]] if part == asking else []

    def part_of(self, numbers: Numbers, part: int, c: Value, d: Value) -> None:
        """Some of the sums of a channel in and out.

        Where the gradient is read in place, the first part that needs a row reads it.
        """
        fresh = self.fresh(part)
        factors = _Factors(self, numbers, d, reads=fresh, asks=self.asks(part))
        adds = fresh if self.form.summed and self.form.single else set[int]()
        pieces(
            self.e, I64(0), self.taps[1], self.form.blocks[1],
            lambda t, wide: self.block_of_sums(part, factors, (t, c, d), wide, sorted(adds)),
        )  # fmt: skip

    def block_of_sums(
        self, part: int, factors: _Factors, place: tuple[Value, Value, Value], wide: int, adds: list[int]
    ) -> None:
        """Some sums for some columns of taps: a band is added to them.

        Args:
            part: Which sums.
            factors: What they are multiplied by.
            place: Column of taps, channel in, channel out.
            wide: Columns of taps.
            adds: The rows whose numbers are added up as well.
        """
        e, (t, c, d), own = self.e, place, self.form.parts[part]
        number = self.number_of(t, c, d)
        places = []
        for s in own:
            here = self.sum_at(e.b.add(number, e.b.mul(I64(s), self.column)))
            places += [e.advance(here, e.b.mul(I64(i), self.pitch), I64(self.register)) for i in range(wide)]
        places += self.channels_at(d, 1) if adds else []
        left = e.advance(self.combined, t, self.sums_of_column)
        whole, rows = e.b.and_(self.columns, I64(-2)), self.rows_of(part)

        def strip(i: Value, sums: list[Value]) -> list[Value]:
            image = e.advance(left, i, self.strip)

            def at(positions: int, q: Value, sums: list[Value]) -> list[Value]:
                found = factors.at(i, q, positions, rows)
                sums = self.products(image, part, found, (q, wide), sums)
                for row, numbers in itertools.product(adds, found):  # not their sum, which may be too large
                    sums[-1:] = self.added(sums[-1:], [numbers[row]])
                return sums

            sums = e.reduce_loop(I64(0), whole, 2, sums, functools.partial(at, 2))
            return e.reduce_loop(whole, self.columns, 1, sums, functools.partial(at, 1))

        strips = self.strips_of(factors.numbers)
        self.carry_sums(places, lambda sums: e.reduce_loop(I64(0), strips, 1, sums, strip))

    def products(
        self,
        image: Value,
        part: int,
        found: list[dict[int, Value]],
        place: tuple[Value, int],
        sums: list[Value],
    ) -> list[Value]:
        """The sums after some neighbouring positions, of which the numbers are given, by row.

        What their windows share is loaded once. Sums and differences of numbers are made where they are needed, so that
        nothing waits for both of a pair before.
        """
        e, dtype, step, (q, wide) = self.e, self.dtype, self.form.step, place
        own = [self.all_products[s] for s in self.form.parts[part]]
        sums, here = list(sums), e.advance(image, e.b.mul(q, I64(step)), self.sums_of_column)
        for k in sorted(range(len(own)), key=lambda k: _ORDER.index(own[k].factor)):
            factors = [self.factor(own[k], numbers) for numbers in found]
            for place_in_row in sorted({n * step + t for n in range(len(found)) for t in range(wide)}):
                number = place_in_row * len(self.all_products) + self.form.parts[part][k]
                x = e.load(e.beside(here, number, dtype), dtype)
                for n, factor in enumerate(factors):
                    t = place_in_row - n * step
                    if 0 <= t < wide:
                        at = k * wide + t
                        sums[at] = e.multiply_add(x, factor, sums[at])
        return sums

    def factor(self, product: Product, numbers: dict[int, Value]) -> Value:
        """What a sum is multiplied by, of the numbers of a strip at a position."""
        b = self.e.b
        first, second = (functools.reduce(b.fadd, [numbers[row] for row in rows]) for rows in product.pair)
        match product.factor:
            case "upper":
                return first
            case "lower":
                return second
            case "both":
                return b.fadd(first, second)
            case _:
                return b.fsub(first, second)


class _Factors:
    """What the sums of a band's rows are multiplied by, of one output channel.

    Args:
        kernel: The kernel.
        numbers: The band's numbers.
        d: The channel.
        reads: Rows of a strip that are read where the gradient lies, if it is read in place, and put side by side.
        asks: Rows of which the next channel's numbers are asked for there; after the last channel what comes then.
    """

    def __init__(self, kernel: _Sums, numbers: Numbers, d: Value, *, reads: set[int], asks: list[int]) -> None:
        self.kernel, self.numbers = kernel, numbers
        e, strides, far = kernel.e, kernel.ct_strides, kernel.form.in_place
        self.reads, self.asks = reads if far else set[int](), asks if far else []
        self.near = kernel.beside if far else numbers.beside(I64(0), I64(0), d, 1)
        if self.reads or self.asks:
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

    def at(self, strip: Value, column: Value, positions: int, rows: set[int]) -> list[dict[int, Value]]:
        """The numbers of some rows of a strip at some neighbouring positions."""
        places = [self.kernel.e.b.add(column, I64(n)) for n in range(positions)]
        for place, row in itertools.product(places, self.asks):
            self.kernel.ask(self.kernel.e.b.add(self.far(strip, row, place), self.next))
        return [{row: self.number(strip, row, place) for row in sorted(rows)} for place in places]

    def far(self, strip: Value, row: int, column: Value) -> Value:
        """Where a number lies in the gradient."""
        k = self.kernel
        below = k.e.b.add(k.e.b.mul(strip, I64(k.cut.step)), I64(row))
        return element(k.e, self.there, k.ct_strides[:2], [below, column])

    def number(self, strip: Value, row: int, column: Value) -> Value:
        """A number of one of a strip's rows."""
        k, e, dtype = self.kernel, self.kernel.e, self.kernel.dtype
        if k.form.in_place:  # a position's beside each other
            place = e.b.add(e.b.mul(strip, k.columns), column)
            near = e.beside(e.advance(self.near, place, I64(k.cut.step * k.register)), row, dtype)
        else:
            below = e.b.add(e.b.mul(strip, I64(k.cut.step)), I64(row))
            near = e.advance(self.near, e.b.add(e.b.mul(below, k.columns), column), I64(k.register))
        if row not in self.reads:
            return e.load(near, dtype)
        value = e.load(self.far(strip, row, column), dtype, self.numbers.mask)
        e.store(near, value, dtype)
        return value


def groups_sums_kernel(dtype: DType, form: GroupsForm) -> int:
    """The address of what :func:`groups_gradient.groups_grad_kernel` gives, by sums of rows; the record is the same."""
    assert form.cut is not None
    return _Sums(dtype, form, form.cut).write()
