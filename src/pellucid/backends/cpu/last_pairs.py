"""Convolutions of images by samples, two rows of results at once: sums of rows make 10 products 7 for 5 rows of taps.

Which sums of the image's rows there are says :mod:`pellucid.backends.cpu.row_runs`. They are multiplied by rows of the
kernel, or by sums of these:

    d0 - d2: g0,  d1 + d2: (g0 + g1 + g2)/2,  d2 - d1: (g0 - g1 + g2)/2,  d3 - d1: g2  for a run of three rows,
    d0 - d1: g0,  d1: g0 + g1,  d2 - d1: g1  for a run of two.

A thread makes the sums of a pair of rows for one register of samples, in memory of its own, where the channels of all
columns lie side by side: the taps of a row are one run there, and need no copy with zeros around the image. First come
the products that belong to both rows of results; they begin the sums of the upper and of the lower row.

Rows whose numbers are not finite, or so large that a sum might not be, are computed tap by tap: sums would make NaN of
an infinite pixel, also in results that never saw it. Errors are relative to the largest product of a run, by a tap of
zero, too: beside pixels of 1e8 results of 1 are lost.
"""

# N batch, C channels in, D channels out, K x T taps, R = T C, S sums for the K rows of taps, W columns with zeros.

from __future__ import annotations

import itertools

from pellucid.backends.cpu import batch_last, conv_pool, target
from pellucid.backends.cpu.conv_pool import PoolForm
from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.emit import I64, Value
from pellucid.backends.cpu.row_runs import (
    STEP,
    are_small,
    factors_of,
    no_squares,
    sums_of_kernel,
    sums_of_rows,
    with_squares,
)
from pellucid.backends.cpu.windows import Winners, carry, pieces
from pellucid.dtypes import DType

# Output channels at once, each with two positions of two rows, by the number of registers.
_OUTS = {32: (6, 4, 2, 1), 16: (3, 2, 1)}

Rows = tuple[list[Value], list[Value]]


class _Pairs(batch_last.Forward):
    """The part of the kernel that makes sums, and multiplies them.

    Record: its base's; then the columns of a row of sums, and the thread's memory: the sums by number, column and
    channel, a register each; behind them those of the kernel's rows by number, element of R and output channel.
    """

    runs: tuple[int, ...]

    def prepare(self, runs: tuple[int, ...]) -> None:
        """Read what is behind the base's record."""
        e, item = self.e, self.dtype.itemsize
        self.runs, self.factors, self.plane = runs, factors_of(runs), e.field()
        self.register, self.memory = I64(e.lanes * item), e.own_memory()
        self.row_of_sums = e.b.mul(e.b.mul(self.plane, self.channels), self.register)
        self.run = e.b.mul(self.taps_w, self.channels)
        self.u = e.advance(self.memory, I64(len(self.factors)), self.row_of_sums)
        self.u_row = e.b.mul(self.outs, I64(item))
        self.u_step = e.b.mul(self.run, self.u_row)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        with e.loop(self.memory, self.u, e.lanes * self.dtype.itemsize) as place:
            e.store(place, e.constant(0, self.dtype), self.dtype)
        self.look_at_kernel()
        kernel_is_small = self.put_kernel()
        vectors = e.ceiling(self.batch, e.lanes)
        with e.loop(*e.my_share(e.b.mul(self.pairs, vectors))) as item:
            pair, start = e.b.sdiv(item, vectors), e.b.mul(e.b.srem(item, vectors), I64(e.lanes))
            mask = e.mask(e.minus(self.batch, start))
            rows_are_small = self.put_sums(pair, start, mask)
            with e.b.if_else(e.b.and_(kernel_is_small, rows_are_small), likely=True) as (good, bad):
                with good:
                    self.put_pair(pair, start, mask)
                with bad:
                    self.put_tap_by_tap(pair, start, mask)
        return e.finish()

    def put_pair(self, pair: Value, start: Value, mask: Value) -> None:
        """The results of a pair of rows, from the sums."""
        e, own = self.e, _OUTS[target.vector_registers()]

        def positions(p: Value, count: int) -> None:
            pieces(
                e, I64(0), self.outs, own,
                lambda d, outs: self.put((pair, p, d), start, mask, self.sums_at(p, d, count, outs), outs),
            )  # fmt: skip

        pieces(e, I64(0), self.columns, self.widths, positions)

    @property
    def pairs(self) -> Value:
        """Pairs of rows of results."""
        return self.e.ceiling(self.out_height, STEP)

    @property
    def columns(self) -> Value:
        """Positions of a row."""
        return self.out_width

    @property
    def widths(self) -> tuple[int, ...]:
        """How many positions of a row are computed at once."""
        return (2, 1)

    def put_kernel(self) -> Value:
        """The sums of the kernel's rows; whether they are small."""
        e, dtype, item = self.e, self.dtype, I64(self.dtype.itemsize)

        def some(indices: list[Value], squares: list[Value]) -> list[Value]:
            r, d = indices[0], e.b.mul(indices[1], I64(e.lanes))
            mask, distance = e.mask(e.minus(self.outs, d)), e.b.mul(d, item)
            here = e.b.add(e.advance(self.w, r, self.w_r), distance)
            rows = [e.load(e.advance(here, I64(k), self.w_h), dtype, mask) for k in range(sum(self.runs))]
            to = e.b.add(e.advance(self.u, r, self.u_row), distance)
            for number, value in enumerate(sums_of_kernel(e, rows, self.runs)):
                e.store(e.advance(to, I64(number), self.u_step), value, dtype, mask)
            return with_squares(e, squares, rows)

        return are_small(e, carry(e, [self.run, e.ceiling(self.outs, e.lanes)], no_squares(e, dtype), some))

    def put_sums(self, pair: Value, start: Value, mask: Value) -> Value:
        """The sums of the rows that a pair of results' rows sees, for a register of samples; whether they are small."""
        e, dtype = self.e, self.dtype
        first = e.minus(e.b.mul(pair, I64(STEP)), self.before_h)
        x = e.advance(self.x, start, I64(dtype.itemsize))
        nothing, sources = e.b.xor(mask, mask), list[tuple[Value, Value]]()
        for k in range(sum(self.runs) + 1):
            row = e.b.add(first, I64(k))
            inside = e.b.icmp_unsigned("<", row, self.height)
            address = e.b.select(inside, e.advance(x, row, self.x_h), x)
            sources.append((address, e.b.select(inside, mask, nothing)))
        columns = e.smaller(self.width, e.minus(self.plane, self.before_w))
        to = e.advance(self.memory, e.b.mul(self.before_w, self.channels), self.register)

        def element(n: Value, squares: list[Value]) -> list[Value]:
            moved = e.b.mul(n, self.x_c)
            rows = [e.load(e.b.add(address, moved), dtype, own) for address, own in sources]
            here = e.advance(to, n, self.register)
            for number, value in enumerate(sums_of_rows(e, rows, self.runs)):
                e.store(e.advance(here, I64(number), self.row_of_sums), value, dtype)
            return with_squares(e, squares, rows)

        elements = e.b.mul(columns, self.channels)
        return are_small(e, e.reduce_loop(I64(0), elements, 1, no_squares(e, dtype), element))

    def sums_at(self, p: Value, d: Value, count: int, outs: int) -> Rows:
        """The sums for some positions, each with its output channels: of the upper row, and of the lower one."""
        e, many = self.e, count * outs
        zeros = [e.constant(0, self.dtype)] * many
        both, difference, above, below = (
            [n for n, own in enumerate(self.factors) if own == kind]
            for kind in ("both", "difference", "upper", "lower")
        )
        sums = [zeros, zeros] if difference else [zeros]
        for first, second in itertools.zip_longest(both, difference):
            sums = self.products((p, d, outs), [first] if second is None else [first, second], sums)
        upper, lower = sums[0], sums[0]
        if difference:
            pairs = list(zip(*sums, strict=True))
            upper, lower = [e.b.fadd(x, y) for x, y in pairs], [e.b.fsub(x, y) for x, y in pairs]
        rows = [upper, lower]
        for numbers in zip(above, below, strict=True):
            rows = self.products((p, d, outs), list(numbers), rows)
        return rows[0], rows[1]

    def products(
        self, place: tuple[Value, Value, int], numbers: list[int], sums: list[list[Value]]
    ) -> list[list[Value]]:
        """Parts of the sums after the products of one of the image's sums each; no more than stay in registers.

        Args:
            place: The first position, the first output channel, and how many of these there are.
            numbers: The number of what is multiplied for each part; parts behind stay.
            sums: The parts.
        """
        e, dtype, (p, d, outs) = self.e, self.dtype, place
        many, used = len(sums[0]), [value for own, _ in zip(sums, numbers, strict=False) for value in own]
        first = e.b.mul(e.b.mul(p, self.step_w), self.channels)
        column = e.b.mul(e.b.mul(self.step_w, self.channels), self.register)
        apart = [e.opaque(e.b.mul(I64(i), column)) for i in range(many // outs)]
        left = [e.advance(e.advance(self.memory, I64(n), self.row_of_sums), first, self.register) for n in numbers]
        right = [e.advance(e.advance(self.u, I64(n), self.u_step), d, I64(dtype.itemsize)) for n in numbers]

        def element(r: Value, carried: list[Value]) -> list[Value]:
            after = list(carried)
            for part, (x, w) in enumerate(zip(left, right, strict=True)):
                x_here, w_here = e.opaque(e.advance(x, r, self.register)), e.opaque(e.advance(w, r, self.u_row))
                values = [e.load(e.b.add(x_here, distance), dtype) for distance in apart]
                for own in range(outs):
                    weight = e.splat(e.load_scalar(e.b.add(w_here, I64(own * dtype.itemsize)), dtype))
                    for i, value in enumerate(values):
                        at = part * many + i * outs + own
                        after[at] = e.multiply_add(value, weight, after[at])
            return after

        used = e.reduce_loop(I64(0), self.run, 1, used, element)
        return [*(used[n : n + many] for n in range(0, len(used), many)), *sums[len(numbers) :]]

    def taps_at(self, row: Value, column: Value) -> tuple[tuple[Value, Value, Value], tuple[Value, Value, Value]]:
        """The taps that see the image from a position."""
        return (
            self.inside(row, self.step_h, self.before_h, self.gap_h, self.height, self.taps_h),
            self.inside(column, self.step_w, self.before_w, I64(1), self.width, self.taps_w),
        )

    def put(self, place: tuple[Value, Value, Value], start: Value, mask: Value, rows: Rows, outs: int) -> None:
        """Store the sums of some positions: of the upper row, and of the lower one if there is one."""
        e, (pair, p, d) = self.e, place
        first = e.b.mul(pair, I64(STEP))

        def store(row: Value, values: list[Value]) -> None:
            for i in range(len(values) // outs):
                own = values[i * outs : (i + 1) * outs]
                self.store(own, (row, e.b.add(p, I64(i)), d), start, [mask], outs)

        store(first, rows[0])
        second = e.b.add(first, I64(1))
        with e.b.if_then(e.b.icmp_signed("<", second, self.out_height)):
            store(second, rows[1])

    def put_tap_by_tap(self, pair: Value, start: Value, mask: Value) -> None:
        """The results of a pair of rows, from the image."""
        e, first = self.e, self.e.b.mul(pair, I64(STEP))
        stop = e.smaller(e.b.add(first, I64(STEP)), self.out_height)
        with e.loop(first, stop) as row, e.loop(I64(0), self.columns) as column:
            taps = self.taps_at(row, column)
            with e.loop(I64(0), self.outs) as own:
                self.block((row, column, own), taps, start, [mask], 1)


class _Pooled(_Pairs, conv_pool.PooledLast):
    """With max pooling by windows of 2 x 2, each of which is two positions of a pair of rows.

    Record: that of :class:`~pellucid.backends.cpu.conv_pool.PooledLast`, then what :class:`_Pairs` reads.
    """

    @property
    def pairs(self) -> Value:
        """Rows of windows."""
        return self.out_height

    @property
    def columns(self) -> Value:
        """Positions of a row in windows."""
        return self.e.b.mul(self.out_width, I64(STEP))

    @property
    def widths(self) -> tuple[int, ...]:
        """A window's positions."""
        return (STEP,)

    def put(self, place: tuple[Value, Value, Value], start: Value, mask: Value, rows: Rows, outs: int) -> None:
        """Store the winners of a window."""
        e, (pair, p, d) = self.e, place
        top, column = e.b.mul(pair, I64(STEP)), e.b.sdiv(p, I64(STEP))
        winners = Winners(e, self.result, [self.stored.number(top, p)] * outs, placed=self.pooling.placed)
        carried = winners.start
        for i, values in enumerate(rows):
            for j in range(STEP):
                at = e.b.add(top, I64(i)), e.b.add(p, I64(j))
                number = self.stored.number(*at)
                for own in range(outs):
                    here = (*at, e.b.add(d, I64(own)))
                    value = self.end(values[j * outs + own], here, start, 0, mask)
                    carried = winners.look(carried, own, value, number)
        self.put_winners(winners.results(carried), (pair, column, d), start, [mask])

    def put_tap_by_tap(self, pair: Value, start: Value, mask: Value) -> None:
        """The results of a row of windows, from the image."""
        e = self.e
        with e.loop(I64(0), self.out_width) as column, e.loop(I64(0), self.outs) as own:
            self.windows((pair, column, own), start, [mask], 1)


def last_pairs_kernel(
    dtype: DType,
    ending: Ending | None,
    motions: tuple[str, ...],
    exact: bool,
    framed: bool,
    runs: tuple[int, ...],
    pooling: PoolForm | None = None,
) -> int:
    """The address of the convolution; the record is :class:`_Pairs`'s, or with pooling :class:`_Pooled`'s.

    Args:
        dtype: The type of the elements.
        ending: What becomes of the sums.
        motions: How each leaf of the ending moves along the samples: ``"stays"`` or ``"next"``.
        exact: Whether nothing may be read behind the image.
        framed: Whether zeros around the image are multiplied as well: see ``batch_last.conv_last_kernel``.
        runs: Those of the rows of taps.
        pooling: What is pooled, if anything.
    """
    kernel = (
        _Pairs(dtype, ending, motions, exact, framed)
        if pooling is None
        else _Pooled(dtype, ending, motions, pooling, exact, framed)
    )
    kernel.prepare(runs)
    return kernel.write()
