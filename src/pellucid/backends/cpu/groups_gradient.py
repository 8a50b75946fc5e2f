"""The gradient by a small kernel of a convolution, of images whose samples lie side by side; with pooling, too.

Samples are cut into groups of whole registers. A thread goes through its groups, one register of samples after the
other, and keeps the sums of all taps in memory of its own. It puts the images' channels there, too, one plane after the
other with zeros around them: in the image a channel's elements lie so far from each other that they would push each
other out of the caches. A block of registers holds the sums of many taps by few output channels, for a band of rows;
its numbers of the gradient are put side by side first, unless they are read only once.

Where max pooling follows, it sends the gradient of a window to the element that has won, and most of what the gradient
by the kernel reads is zero. Written to memory it would be the largest array of a network. So windows are spread where
their numbers are put side by side. The sums are those of the spread gradient, in the same order: whether someone else
asks for it changes no bit.
"""

# N batch, C channels in, D channels out, O x P windows (or elements), K x T taps.

from __future__ import annotations

import itertools
from collections.abc import Callable

from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.groups_form import GroupsForm
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.backends.cpu.windows import carry, element, over, pieces
from pellucid.dtypes import DType, int32, int64

# How many elements ahead a gradient is asked for that is read once.
_AHEAD = 20


class GroupsGrad:
    """The kernel in the making.

    Record: N, M samples of a group (whole registers), number of groups, C, D, O, P, K, T; rows of a band, the height
    and width of a window; height and width of the image, and of its plane with zeros around it; zeros above it and to
    its left; stride and dilation along H; addresses of x, dw, ct; strides of x by H, W and channel; of ct by O, P and
    D; bytes of a group in dw; where there is pooling the address of the winners, and their strides; where g is summed
    the address of these sums; the thread's own memory. Without pooling a window is an element.
    """

    def __init__(self, dtype: DType, form: GroupsForm) -> None:
        self.dtype, self.form = dtype, form
        self.e = e = Emitter(lanes_for(dtype))
        self.batch, self.in_group, self.groups = (e.field() for _ in range(3))
        self.channels, self.outs, self.out_height, self.out_width = (e.field() for _ in range(4))
        self.taps: list[Value] = [e.field() for _ in range(2)]
        self.band, self.high, self.wide = (e.field() for _ in range(3))
        self.height, self.image_width, self.plane_height, self.plane_width = (e.field() for _ in range(4))
        self.above, self.left, self.step_h, self.gap_h = (e.field() for _ in range(4))
        self.x, self.dw, self.ct = (e.field() for _ in range(3))
        self.x_strides = [e.field() for _ in range(3)]
        self.ct_strides = [e.field() for _ in range(3)]
        self.dw_group = e.field()
        if form.pooled:
            self.won, *self.won_strides = (e.field() for _ in range(4))
        self.totals = e.field() if form.summed else None
        self.know(form)
        self.register = e.lanes * dtype.itemsize
        self.of_tap = e.b.mul(self.channels, self.outs)
        odd = e.b.or_(self.of_tap, I64(1))
        self.pitch = e.b.select(e.b.icmp_signed("<", self.of_tap, I64(e.lanes)), self.of_tap, odd)
        self.kept = e.b.mul(e.b.mul(self.sums_by_taps(), self.taps[1]), self.pitch)
        self.registers = e.b.add(self.kept, self.outs) if form.summed else self.kept
        self.row = e.b.mul(self.plane_width, I64(self.register))
        self.plane = e.b.mul(self.plane_height, self.row)
        self.sums = e.own_memory()
        self.planes = e.advance(self.sums, self.registers, I64(self.register))
        self.beside = e.advance(self.planes, self.channels, self.plane)
        self.columns = e.b.mul(self.out_width, self.wide)
        last = [e.minus(count, I64(1)) for count in (self.out_height, self.out_width, self.outs)]
        self.last = e.advance(
            element(e, self.ct, self.ct_strides, last), e.minus(self.batch, I64(1)), I64(dtype.itemsize)
        )

    def know(self, form: GroupsForm) -> None:
        """Put numbers in the place of fields that the form tells: distances that are known take no registers."""
        if form.single:
            self.channels, self.taps = I64(1), [I64(blocks[0]) for blocks in form.blocks[:2]]
        if not form.pooled:
            self.high = self.wide = I64(1)
        if form.columns is not None:
            self.out_width, self.plane_width = map(I64, form.columns)

    def ask(self, place: Value, near: bool = False) -> None:
        """Ask for a number of the gradient, at most for its last: behind it may lie what another thread works on."""
        self.e.prefetch(self.e.smaller(place, self.last), near=near)

    def sums_by_taps(self) -> Value:
        """How many sums a channel in and out has for a column of taps."""
        return self.taps[0]

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        low, high = e.my_share(self.groups)
        with e.loop(I64(0), e.b.mul(self.channels, self.plane), self.register) as place:
            e.store(e.b.add(self.planes, place), e.constant(0, self.dtype), self.dtype)
        with e.loop(low, high) as group:
            self.clear(self.registers)
            start = e.b.mul(group, self.in_group)
            stop = e.smaller(e.b.add(start, self.in_group), self.batch)
            self.group(start, stop)
            self.join_taps(e.advance(self.dw, group, self.dw_group))
            if self.totals is not None:
                row = e.b.mul(self.outs, I64(self.dtype.itemsize))
                self.join(e.advance(self.totals, group, row), self.kept, self.registers)
        return e.finish()

    def clear(self, count: Value) -> None:
        """Begin so many sums."""
        e = self.e
        with e.loop(I64(0), count) as n:
            e.store(self.sum_at(n), e.constant(0, self.dtype), self.dtype)

    def group(self, start: Value, stop: Value) -> None:
        """The sums over a group of samples."""
        with self.e.loop(start, stop, self.e.lanes) as lane:
            self.samples(lane, self.e.mask(self.e.minus(stop, lane)))

    def sum_at(self, number: Value) -> Value:
        """Where the sums of an element of the kernel lie, a register of them."""
        return self.e.advance(self.sums, number, I64(self.register))

    def number_of(self, tap: Value, c: Value, d: Value) -> Value:
        """The number of the sum of a tap, by its channels in and out.

        Those of a tap are an odd number of registers apart from the next one's, so that all sums of two channels, which
        are loaded and stored together, lie in sets of the cache of their own.
        """
        return self.e.b.add(self.e.b.add(self.e.b.mul(tap, self.pitch), self.e.b.mul(c, self.outs)), d)

    def samples(self, lane: Value, mask: Value) -> None:
        """The share of some samples, band of rows by band."""
        self.each_band(lane, mask, self.of_band)

    def each_band(self, lane: Value, mask: Value, body: Callable[[Numbers], None]) -> None:
        """``body`` of the numbers of each band of rows, for some samples, whose images lie in planes."""
        e = self.e
        self.put_planes(e.b.mul(lane, I64(self.dtype.itemsize)), mask)
        rows = e.b.mul(self.out_height, self.high)
        with e.loop(I64(0), rows, self.band) as first:
            body(Numbers(self, (lane, mask), first, e.smaller(self.band, e.minus(rows, first))))

    def of_band(self, numbers: Numbers) -> None:
        """The share of a band of rows."""
        e = self.e
        if not (self.form.pooled or self.form.in_place):
            numbers.put()

        def some(start: Value, outs: int) -> None:
            numbers.start = start
            if self.form.pooled:
                numbers.spread(e.b.add(start, I64(outs)), min(outs, self.form.blocks[2][0]))
            if self.form.summed and not self.form.single:
                self.add_channels(numbers, start, outs)
            own = min(outs, self.form.blocks[2][0])
            with e.loop(start, e.b.add(start, I64(outs)), own) as d:
                self.channels_of(numbers, d, own)

        pieces(e, I64(0), self.outs, (self.form.together, *self.form.blocks[2]), some)

    def put_planes(self, moved: Value, mask: Value) -> None:
        """The channels of some samples' images, as planes; what lies around them is zero."""
        e = self.e
        source = e.b.add(self.x, moved)
        corner = e.advance(e.advance(self.planes, self.above, self.row), self.left, I64(self.register))

        def put(h: Value, w: Value, c: Value) -> None:
            there = element(e, source, self.x_strides, [h, w, c])
            here = e.advance(e.advance(e.advance(corner, c, self.plane), h, self.row), w, I64(self.register))
            e.store(here, e.load(there, self.dtype, mask), self.dtype)

        def columns(h: Value, w: Value, count: int) -> None:
            for i in range(count):
                put(h, e.b.add(w, I64(i)), I64(0))

        def channels(h: Value, w: Value, c: Value, count: int) -> None:
            for i in range(count):
                put(h, w, e.b.add(c, I64(i)))

        with e.loop(I64(0), self.height) as h:
            if self.form.inputs == (1,):
                pieces(e, I64(0), self.image_width, (4, 1), lambda w, n: columns(h, w, n))
            else:
                with e.loop(I64(0), self.image_width) as w:
                    pieces(e, I64(0), self.channels, self.form.inputs, lambda c, n: channels(h, w, c, n))

    def channels_of(self, numbers: Numbers, d: Value, outs: int) -> None:
        """The share of a band by some output channels, all channels of the images."""
        e, (high, wide, _) = self.e, self.form.blocks
        with e.loop(I64(0), self.channels) as c:
            image = self.image(numbers, c)
            pieces(
                e, I64(0), self.taps[0], high,
                lambda k, ks: pieces(
                    e, I64(0), self.taps[1], wide,
                    lambda t, ts: self.block(image, numbers, (k, t, c, d), (ks, ts, outs), self.form.single),
                ),
            )  # fmt: skip

    def image(self, numbers: Numbers, c: Value) -> Value:
        """Where a channel's rows begin that a band sees."""
        first = self.e.advance(self.planes, self.e.b.mul(numbers.first, self.step_h), self.row)
        return self.e.advance(first, c, self.plane)

    def channels_at(self, d: Value, outs: int) -> list[Value]:
        """Where the sums by some output channels lie."""
        first = self.sum_at(self.e.b.add(self.kept, d))
        return [self.e.beside(first, j, self.dtype) for j in range(outs)]

    def added(self, sums: list[Value], values: list[Value]) -> list[Value]:
        """Sums, each with one more number."""
        place_of = Place(self.e, self.dtype, self.dtype)
        return [LANES["add"](place_of, total, value) for total, value in zip(sums, values, strict=True)]

    def add_channels(self, numbers: Numbers, start: Value, outs: int) -> None:
        """Add a band up by some output channels, whole blocks of them."""
        e, sizes, own = self.e, [numbers.count, self.columns], min(outs, self.form.blocks[2][0])
        firsts = [e.b.add(start, I64(n)) for n in range(0, outs, own)]

        def position(place: list[Value], sums: list[Value]) -> list[Value]:
            return self.added(sums, [value for d in firsts for value in numbers.at(place[0], place[1], d, own)])

        places = self.channels_at(start, outs)
        self.carry_sums(places, lambda sums: carry(e, sizes, sums, position))

    def carry_sums(self, places: list[Value], go: Callable[[list[Value]], list[Value]]) -> None:
        """Go on with some sums."""
        after = go([self.e.load(address, self.dtype) for address in places])
        for address, total in zip(places, after, strict=True):
            self.e.store(address, total, self.dtype)

    def block(
        self,
        image: Value,
        numbers: Numbers,
        place: tuple[Value, Value, Value, Value],
        sizes: tuple[int, int, int],
        alone: bool,
    ) -> None:
        """Some taps of a channel by some output channels: a band is added to their sums.

        ``alone``: it is the only block, and adds the gradient's numbers up as well, if anyone asks for that.
        """
        e, (k, t, c, d), (high, wide, outs) = self.e, place, sizes
        tap = e.b.add(e.b.mul(k, self.taps[1]), t)
        number = self.number_of(tap, c, d)
        taps = [e.b.add(e.b.mul(I64(i), self.taps[1]), I64(j)) for i in range(high) for j in range(wide)]
        first = [self.sum_at(e.b.add(number, e.b.mul(own, self.pitch))) for own in taps]
        places = [e.beside(address, j, self.dtype) for address in first for j in range(outs)]
        places += self.channels_at(d, outs) if self.form.summed and alone else []
        corner = e.advance(e.advance(image, e.b.mul(k, self.gap_h), self.row), t, I64(self.register))
        below = [e.opaque(e.b.mul(e.b.mul(I64(i), self.gap_h), self.row)) for i in range(high)]
        whole = e.b.and_(self.columns, I64(-2))

        def row(i: Value, sums: list[Value]) -> list[Value]:
            left = e.advance(corner, e.b.mul(i, self.step_h), self.row)

            def together(positions: int) -> Callable[[Value, list[Value]], list[Value]]:
                return lambda q, own: self.positions((left, below), numbers, (i, q, d), (positions, wide, outs), own)

            sums = e.reduce_loop(I64(0), whole, 2, sums, together(2))
            return e.reduce_loop(whole, self.columns, 1, sums, together(1))

        self.carry_sums(places, lambda sums: e.reduce_loop(I64(0), numbers.count, 1, sums, row))

    def positions(
        self,
        image: tuple[Value, list[Value]],
        numbers: Numbers,
        place: tuple[Value, Value, Value],
        sizes: tuple[int, int, int],
        sums: list[Value],
    ) -> list[Value]:
        """The sums after some neighbouring elements of the gradient; what their windows share is loaded once."""
        e, dtype, (left, below), (i, q, d) = self.e, self.dtype, image, place
        (count, wide, outs), step = sizes, self.form.step
        here = e.opaque(e.advance(left, e.b.mul(q, I64(step)), I64(self.register)))
        right = [numbers.at(i, e.b.add(q, I64(n)), d, outs) for n in range(count)]
        sums = list(sums)
        for k, distance in enumerate(below):
            row = e.b.add(here, distance) if k else here
            for place_in_row in sorted({n * step + t for n in range(count) for t in range(wide)}):
                x = e.load(e.beside(row, place_in_row, dtype), dtype)
                for n, values in enumerate(right):
                    t = place_in_row - n * step
                    for j, value in enumerate(values if 0 <= t < wide else ()):
                        at = (k * wide + t) * outs + j
                        sums[at] = e.multiply_add(x, value, sums[at])
        taps = len(below) * wide * outs
        for values in right if len(sums) > taps else ():
            sums[taps:] = self.added(sums[taps:], values)
        return sums

    def join_taps(self, result: Value) -> None:
        """The lanes of the gradient's sums, added up, as the group's result: in one go where nothing lies between."""
        e, taps = self.e, self.e.b.mul(*self.taps)
        dense = e.b.icmp_signed("==", self.pitch, self.of_tap)
        rows, count = e.b.select(dense, I64(1), taps), e.b.select(dense, e.b.mul(taps, self.of_tap), self.of_tap)
        with e.loop(I64(0), rows) as row:
            first = e.b.mul(row, self.pitch)
            here = e.advance(result, e.b.mul(row, self.of_tap), I64(self.dtype.itemsize))
            self.join(here, first, e.b.add(first, count))

    def join(self, result: Value, first: Value, stop: Value) -> None:
        """The lanes of some sums, added up, as the group's result."""
        e, place_of = self.e, Place(self.e, self.dtype, self.dtype)

        def add(a: Value, b: Value) -> Value:
            return LANES["add"](place_of, a, b)

        with e.loop(first, stop, e.lanes) as n:
            own = [e.load(self.sum_at(e.b.add(n, I64(i))), self.dtype) for i in range(e.lanes)]
            here = e.advance(result, e.minus(n, first), I64(self.dtype.itemsize))
            e.store(here, e.join_each(own, add), self.dtype, e.mask(e.minus(stop, n)))


class Numbers:
    """The gradient's numbers in a band of rows, for some samples.

    Args:
        kernel: The kernel.
        samples: The first sample, and a mask of those that are some.
        first: The band's first row.
        count: How many rows it has.

    Attributes:
        start: The first of the channels whose windows are spread.
    """

    def __init__(self, kernel: GroupsGrad, samples: tuple[Value, Value], first: Value, count: Value) -> None:
        self.kernel, self.first, self.count = kernel, first, count
        self.lane, self.mask = samples
        self.elements = kernel.e.b.mul(count, kernel.columns)
        self.start: Value = I64(0)

    def at(self, row: Value, column: Value, d: Value, outs: int) -> list[Value]:
        """The numbers at a place of the band, by some output channels."""
        k, e, dtype = self.kernel, self.kernel.e, self.kernel.dtype
        if not k.form.in_place:
            here = self.beside(row, column, d, outs)
            return [e.load(e.beside(here, j, dtype), dtype) for j in range(outs)]
        found = []
        for j in range(outs):
            place = [e.b.add(self.first, row), column, e.b.add(d, I64(j))]
            address = e.advance(element(e, k.ct, k.ct_strides, place), self.lane, I64(dtype.itemsize))
            k.ask(e.advance(address, I64(_AHEAD), k.ct_strides[1]), near=True)
            found.append(e.load(address, dtype, self.mask))
        return found

    def beside(self, row: Value, column: Value, d: Value, outs: int) -> Value:
        """Where the numbers at a place of the band lie side by side, by a block of output channels."""
        k, e = self.kernel, self.kernel.e
        first = e.minus(d, self.start) if k.form.pooled else d
        block = e.advance(k.beside, e.b.mul(first, self.elements), I64(k.register))
        return e.advance(block, e.b.add(e.b.mul(row, k.columns), column), I64(outs * k.register))

    def put(self) -> None:
        """Put the numbers side by side, those of each block of output channels by themselves."""
        k, e, dtype = self.kernel, self.kernel.e, self.kernel.dtype

        def element_of(place: list[Value]) -> None:
            def channels(d: Value, outs: int) -> None:
                here = self.beside(place[0], place[1], d, outs)
                for j in range(outs):
                    there = [e.b.add(self.first, place[0]), place[1], e.b.add(d, I64(j))]
                    address = e.advance(element(e, k.ct, k.ct_strides, there), self.lane, I64(dtype.itemsize))
                    e.store(e.beside(here, j, dtype), e.load(address, dtype, self.mask), dtype)

            pieces(e, I64(0), k.outs, k.form.blocks[2], channels)

        over(e, [self.count, k.columns], element_of)

    def spread(self, stop: Value, own: int) -> None:
        """Put the windows' numbers of the next channels where their winners lie, and zeros beside them.

        Args:
            stop: After which channel it ends.
            own: Channels of a block.
        """
        k, e = self.kernel, self.kernel.e
        with e.loop(self.start, stop, own) as d:
            over(e, [e.b.sdiv(self.count, k.high), k.out_width], lambda place: self.window(place, d, own))

    def window(self, place: list[Value], d: Value, outs: int) -> None:
        """The same for a single window of the band."""
        k, e, dtype = self.kernel, self.kernel.e, self.kernel.dtype
        row = e.b.add(e.b.sdiv(self.first, k.high), place[0])
        top, left = (e.b.mul(at, size) for at, size in zip(place, (k.high, k.wide), strict=True))
        first = e.b.add(e.b.mul(e.b.mul(row, k.high), k.columns), left)
        found: list[tuple[Value, Value]] = []
        for j in range(outs):
            there = [row, place[1], e.b.add(d, I64(j))]
            address = e.advance(element(e, k.ct, k.ct_strides, there), self.lane, I64(dtype.itemsize))
            won = e.advance(element(e, k.won, k.won_strides, there), self.lane, I64(int64.itemsize))
            winner = e.b.trunc(e.load(won, int64, self.mask), e.vector_type(int32))
            # Its number, if the window's first element had 0.
            number = e.b.sub(winner, e.splat(e.b.trunc(first, I32)))
            found.append((number, e.load(address, dtype, self.mask)))

        def element_of(taps: list[Value]) -> None:
            number = e.splat(e.b.trunc(e.b.add(e.b.mul(taps[0], k.columns), taps[1]), I32))
            here = self.beside(e.b.add(top, taps[0]), e.b.add(left, taps[1]), d, outs)
            for j, (winner, value) in enumerate(found):
                kept = e.b.select(e.b.icmp_signed("==", winner, number), value, e.constant(0, dtype))
                e.store(e.beside(here, j, dtype), kept, dtype)

        if k.form.window is None:
            over(e, [k.high, k.wide], element_of)
        else:
            for taps in itertools.product(*map(range, k.form.window)):
                element_of([I64(n) for n in taps])


def groups_grad_kernel(dtype: DType, form: GroupsForm) -> int:
    """The address of dw[k, t, c, d] = sum over o, p, n of x[o, p, k, t, c, n] g[o, p, d, n], for each group of samples.

    g is the gradient ct, or that of windows, at the places where the winners lie, and zero elsewhere. Each thread owns
    some groups. The record is :class:`GroupsGrad`'s.
    """
    return GroupsGrad(dtype, form).write()
