"""Kernels of the convolution and of its gradient by the kernel.

Images come padded, so that no tap needs a test; the gradient by the image is a convolution of the spread-out cotangent
with the flipped kernel, and so needs no kernel of its own. Output channels lie side by side and fill registers.
"""

# N batch, O output positions, K taps, G groups, C channels in and D channels out per group; strides are in bytes.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pellucid.backends.cpu import target
from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.backends.cpu.windows import carry, element, even_blocks, over, pieces
from pellucid.dtypes import DType

# Output positions along the last axis that share one load of a register, at most, where there is one register of them
# or there are two, of channels or of rows: registers of 64 bytes are 32, shorter ones may be 16. Taps of the gradient
# that share one.
_POSITIONS, _POSITIONS_OF_TWO, _TAPS = {64: 14}, {64: 12}, 5
# Steps of a loop over a run of channels that are written out at most, where it is long and where it is short.
_UNROLLED, _LONG, _OF_SHORT = 8, 20, 4
# Output channels of the narrow convolution that share one load of the image.
_OUTPUTS = 6


@dataclass(frozen=True)
class Form:
    """What the loops of a convolution's kernel are written for.

    Attributes:
        lanes: Output channels in a register.
        whole: Whether the channels of each group fill their registers.
        unrolled: Steps of a run of channels that are written out: :func:`unrolled_steps`.
        apart: Bytes between neighbouring positions of the image and between its channels, and between input channels
            of the kernel. Known in advance, they cost nothing in a load; computed, each sum would take the place of a
            multiply-add on processors whose integer and vector units share ports.
        blocks: Positions of a row that are computed at once: :func:`position_blocks`.
        registers: Registers of output channels at once: :func:`registers_of_channels`.
        rows: Rows of positions at once, 1 or 2: where the next one's windows begin one tap further, all rows of the
            image but two are read for both.
    """

    lanes: int
    whole: bool
    unrolled: int
    apart: tuple[int, int, int]
    blocks: tuple[int, ...] = ()
    registers: int = 1
    rows: int = 1


class _Convolution:
    """What both kernels read from their record.

    Record: N, G, C, D; output sizes; taps; then the addresses and strides that each kernel names.
    """

    def __init__(self, dtype: DType, rank: int, lanes: int | None = None) -> None:
        self.e = e = Emitter(lanes or lanes_for(dtype))
        self.dtype, self.rank = dtype, rank
        self.batch, self.groups, self.channels, self.outs = (e.field() for _ in range(4))
        self.out = [e.field() for _ in range(rank)]
        self.taps = [e.field() for _ in range(rank)]

    def fields(self, count: int) -> list[Value]:
        """The next numbers of the record."""
        return [self.e.field() for _ in range(count)]

    def scalar(self, address: Value) -> Value:
        """One element in every lane."""
        return self.e.splat(self.e.load_scalar(address, self.dtype))

    def lane(self, group: Value, d: Value) -> Value:
        """The distance of output channel d of a group."""
        b = self.e.b
        return b.mul(b.add(b.mul(group, self.outs), d), I64(self.dtype.itemsize))

    def blocks(self, stop: Value, block: int, body: Callable[[Value, int], None]) -> None:
        """``body(start, count)`` for blocks of a range, then for single numbers."""
        e = self.e
        whole = e.b.mul(e.b.sdiv(stop, I64(block)), I64(block))
        with e.loop(I64(0), whole, block) as i:
            body(i, block)
        with e.loop(whole, stop) as i:
            body(i, 1)

    def places(self, row: Value, start: Value, stride: Value, count: int) -> list[Value]:
        """Addresses one stride apart, from the start-th place of a row on."""
        first = self.e.advance(row, start, stride)
        return [self.e.advance(first, I64(number), stride) for number in range(count)]

    def store_each(self, totals: list[Value], places: list[Value], lane: Value, mask: Value) -> None:
        """Write a register at each of some places."""
        for place, total in zip(places, totals, strict=True):
            self.e.store(self.e.b.add(place, lane), total, self.dtype, mask)

    def multiply_each(self, left: list[Value], right: list[Value], sums: list[Value]) -> list[Value]:
        """sums + left * right for every pair, where ``left`` are addresses of single elements."""
        pairs = [(x, y) for x in map(self.scalar, left) for y in right]
        return [self.e.multiply_add(x, y, s) for (x, y), s in zip(pairs, sums, strict=True)]


class Forward(_Convolution):
    """The convolution in the making.

    Record, after the common part: addresses of x, w, out; strides of x by batch, output position (each axis), tap (each
    axis) and channel; of w by tap (each axis) and channel; of out by batch and position (each axis); for every leaf of
    the ending its address and its strides by batch and position.
    """

    def __init__(
        self,
        dtype: DType,
        rank: int,
        ending: Ending | None,
        motions: tuple[str, ...],
        form: Form,
    ) -> None:
        super().__init__(dtype, rank, form.lanes)
        self.ending, self.motions, self.form = ending, motions, form
        self.x, self.w, self.target = self.fields(3)
        self.x_batch, self.x_place = self.fields(1)[0], self.fields(rank)
        self.x_tap, self.x_channel = self.fields(rank), self.fields(1)[0]
        self.w_tap, _ = self.fields(rank), self.fields(1)  # the stride by channels is the form's
        self.o_batch, self.o_place = self.fields(1)[0], self.fields(rank)
        self.leaf_types = ending.memory_types if ending else []
        self.leaves = [(*self.fields(2), self.fields(rank)) for _ in self.leaf_types]
        self.result = ending.expression.dtype if ending else dtype

    def write(self) -> int:
        """The kernel's address."""
        e, together = self.e, self.form.rows
        items = e.ceiling(self.out[0], together)
        with e.loop(*e.my_share(e.b.mul(self.batch, items))) as item:
            n, first = e.b.sdiv(item, items), e.b.mul(e.b.srem(item, items), I64(together))

            def rows(count: int) -> list[Value]:
                over(e, [self.groups, *self.out[1:-1]], lambda i: self.row(n, i[0], [first, *i[1:]], count))
                return []

            if together == 1:
                rows(1)
            else:
                e.either(e.b.icmp_signed("<", e.b.add(first, I64(1)), self.out[0]), lambda: rows(2), lambda: rows(1))
        return e.finish()

    def row(self, n: Value, group: Value, heads: list[Value], rows: int) -> None:
        """The output positions along the last axis, of one row or of two."""
        e = self.e
        x_row = element(e, e.advance(self.x, n, self.x_batch), self.x_place[:-1], heads)
        x_row = e.advance(x_row, e.b.mul(group, self.channels), self.x_channel)
        out_row = element(e, e.advance(self.target, n, self.o_batch), self.o_place[:-1], heads)
        leaves = [element(e, e.advance(a, n, batch), place[:-1], heads) for a, batch, place in self.leaves]
        pieces(
            e, I64(0), self.out[-1], self.form.blocks,
            lambda first, count: self.positions((x_row, out_row, leaves), group, first, count, rows),
        )  # fmt: skip

    def positions(
        self, places: tuple[Value, Value, list[Value]], group: Value, start: Value, count: int, rows: int
    ) -> None:
        """count accumulators of each row for each register of output channels, then the ending."""
        e, (x_row, out_row, leaves), registers = self.e, places, self.form.registers
        x_start = e.advance(x_row, start, self.x_place[-1])
        with e.loop(I64(0), self.outs, registers * e.lanes) as d:
            masks = [self.mask(d)] * registers
            lane = e.b.add(e.b.mul(group, self.outs), d)
            lanes = [e.b.add(lane, I64(r * e.lanes)) for r in range(registers)]
            w_lane = e.advance(self.w, lane, I64(self.dtype.itemsize))
            totals = iter(
                self.taps_of(x_start, count, w_lane, masks)
                if rows == 1
                else self.taps_of_two(x_start, count, w_lane, masks)
            )
            for number in range(rows):
                below = [e.advance(a, I64(number), leaf[2][0]) for a, leaf in zip(leaves, self.leaves, strict=True)]
                out = e.advance(out_row, I64(number), self.o_place[0])
                targets = self.places(out, start, self.o_place[-1], count)
                where = [(i, r) for i in range(count) for r in range(registers)]
                values = [self.ended(next(totals), below, e.b.add(start, I64(i)), lanes[r], masks[r]) for i, r in where]
                for value, (i, r) in zip(values, where, strict=True):
                    e.store(e.advance(targets[i], lanes[r], I64(self.result.itemsize)), value, self.result, masks[r])

    def mask(self, d: Value) -> Value | None:
        """The lanes of a register of output channels that are some; None: all of them."""
        return None if self.form.whole else self.e.mask(self.e.minus(self.outs, d))

    def taps_of(self, x_start: Value, count: int, w_lane: Value, masks: Sequence[Value | None]) -> list[Value]:
        """The sums over taps and input channels for some positions, each with a register of channels for every mask."""
        zeros = [self.e.constant(0, self.dtype)] * (count * len(masks))

        def tap(taps: list[Value], sums: list[Value]) -> list[Value]:
            return self.channels_of(x_start, taps, [element(self.e, w_lane, self.w_tap, taps)], count, masks, sums)

        return carry(self.e, self.taps, zeros, tap)

    def taps_of_two(self, x_start: Value, count: int, w_lane: Value, masks: Sequence[Value | None]) -> list[Value]:
        """The same for the positions below them, too: each row of the image is read once, for two rows of taps."""
        e, one, many = self.e, I64(1), count * len(masks)
        zeros = [e.constant(0, self.dtype)] * (2 * many)

        def image_row(number: Value, taps: list[Value], sums: list[Value]) -> list[Value]:
            """A row of the image, for rows of taps: the first one is that of the upper positions."""

            def tap(others: list[Value], own: list[Value]) -> list[Value]:
                ws = [element(e, w_lane, self.w_tap, [k, *others]) for k in taps]
                return self.channels_of(x_start, [number, *others], ws, count, masks, own)

            return carry(e, self.taps[1:], sums, tap)

        sums = [*image_row(I64(0), [I64(0)], zeros[:many]), *zeros[many:]]
        sums = e.reduce_loop(
            one, self.taps[0], 1, sums, lambda number, own: image_row(number, [number, e.minus(number, one)], own)
        )
        return [*sums[:many], *image_row(self.taps[0], [e.minus(self.taps[0], one)], sums[many:])]

    def channels_of(
        self,
        x_start: Value,
        place: list[Value],
        w_places: list[Value],
        count: int,
        masks: Sequence[Value | None],
        sums: list[Value],
    ) -> list[Value]:
        """The sums after all channels of an element of the image for each position, by one tap or more."""
        e, dtype, many = self.e, self.dtype, count * len(masks)
        position, x_channel, w_channel = self.form.apart
        x_here = element(e, x_start, self.x_tap, place)

        def several(c: Value, sums: list[Value]) -> list[Value]:
            x_now = e.advance(x_here, c, I64(x_channel))
            w_now = [e.advance(w_here, c, I64(w_channel)) for w_here in w_places]
            for number in range(self.form.unrolled):
                ws = [e.b.add(w, I64(number * w_channel)) for w in w_now]
                right = [[e.load(e.beside(w, r, dtype), dtype, mask) for r, mask in enumerate(masks)] for w in ws]
                sums = list(sums)
                for i in range(count):
                    left = self.scalar(e.b.add(x_now, I64(number * x_channel + i * position)))
                    for at, own in enumerate(right):
                        for r, value in enumerate(own):
                            place = at * many + i * len(own) + r
                            sums[place] = e.multiply_add(left, value, sums[place])
            return sums

        return e.reduce_loop(I64(0), self.channels, self.form.unrolled, sums, several)

    def ended(self, value: Value, rows: list[Value], place: Value, lane: Value, mask: Value | None) -> Value:
        """The ending's expression of one register; ``rows`` are the leaves' addresses in this row."""
        if self.ending is None:
            return value
        here = [self.e.advance(row, place, leaf[2][-1]) for row, leaf in zip(rows, self.leaves, strict=True)]
        kinds = list(zip(self.leaf_types, self.motions, strict=True))
        return self.ending.evaluate(self.e, value, leaf_reader(self.e, here, kinds, lane, mask))


def lanes_of_channels(channels: int, dtype: DType) -> int:
    """The width of registers for so many output channels: two half registers take no longer than a whole one.

    >>> from pellucid.dtypes import float64
    >>> lanes_of_channels(2, float64) <= lanes_for(float64)
    True
    """
    lanes = lanes_for(dtype)
    while lanes > 4 and 2 * channels <= lanes:
        lanes //= 2
    return lanes


def registers_of_channels(channels: int, dtype: DType) -> int:
    """How many registers of output channels a position has at once: two, where they are full and there is room."""
    full = channels % (2 * lanes_for(dtype)) == 0
    return 2 if full and target.vector_registers() == 32 else 1


def position_blocks(width: int, registers: int = 1) -> tuple[int, ...]:
    """How many output positions of a row are computed at once: so many that none is left to a block of few.

    ``registers``: how many of them a position has, of channels and of rows.

    >>> max(position_blocks(30)), position_blocks(5)
    (10, (5,))
    """
    most = (
        _POSITIONS_OF_TWO.get(target.vector_bytes(), 6) if registers == 2 else _POSITIONS.get(target.vector_bytes(), 8)
    )
    return even_blocks(width, most) if width else (1,)


def unrolled_steps(run: int) -> int:
    """How many steps of a loop over a run of channels are written out: a divisor of it.

    >>> unrolled_steps(9), unrolled_steps(30), unrolled_steps(64), unrolled_steps(31)
    (3, 6, 8, 1)
    """
    most = _UNROLLED if run >= _LONG else _OF_SHORT
    return next(n for n in range(most, 0, -1) if run % n == 0)


def conv_kernel(dtype: DType, rank: int, ending: Ending | None, motions: tuple[str, ...], form: Form) -> int:
    """The address of the convolution: out[n, o, g, d] = sum over k, c of x[n, o s + k t, g, c] w[k, c, g, d].

    The record is :class:`Forward`'s. ``motions`` says how each leaf of the ending moves along the channels:
    ``"stays"`` or ``"next"``. The image has two axes or more.
    """
    return Forward(dtype, rank, ending, motions, form).write()


def narrow_conv_kernel(dtype: DType, rank: int) -> int:
    """The address of the convolution for few output channels: registers run over the input channels instead.

    Each result is one register of products, whose lanes are joined at the end. One group only.

    Record, after the common part: addresses of x, w, out; strides of x by batch, output position (each axis) and tap
    (each axis); of w by tap (each axis) and output channel; of out by batch and position (each axis). Channels lie side
    by side in all three.
    """
    k = _Convolution(dtype, rank)
    e = k.e
    x, w, out = k.fields(3)
    x_batch, x_place, x_tap = k.fields(1), k.fields(rank), k.fields(rank)
    w_tap, (w_out,) = k.fields(rank), k.fields(1)
    o_batch, o_place = k.fields(1), k.fields(rank)
    width = I64(dtype.itemsize)
    place_of = Place(e, dtype, dtype)

    def outputs(x_here: Value, target: Value, start: Value, count: int) -> None:
        def tap(taps: list[Value], sums: list[Value]) -> list[Value]:
            x_tap_here, w_tap_here = element(e, x_here, x_tap, taps), element(e, w, w_tap, taps)
            kernels = k.places(w_tap_here, start, w_out, count)

            def channels(c: Value, sums: list[Value]) -> list[Value]:
                mask = e.mask(e.minus(k.channels, c))
                left = e.load(e.advance(x_tap_here, c, width), dtype, mask)
                right = [e.load(e.advance(a, c, width), dtype, mask) for a in kernels]
                return [e.multiply_add(left, v, s) for v, s in zip(right, sums, strict=True)]

            return e.reduce_loop(I64(0), k.channels, e.lanes, sums, channels)

        totals = carry(e, k.taps, [e.constant(0, dtype)] * count, tap)
        for total, address in zip(totals, k.places(target, start, width, count), strict=True):
            e.store_scalar(address, e.join_lanes(total, lambda a, b: LANES["add"](place_of, a, b)), dtype)

    def pixel(n: Value, places: list[Value]) -> None:
        x_here = element(e, e.advance(x, n, x_batch[0]), x_place, places)
        target = element(e, e.advance(out, n, o_batch[0]), o_place, places)
        k.blocks(k.outs, _OUTPUTS, lambda start, count: outputs(x_here, target, start, count))

    low, high = e.my_share(k.batch)
    with e.loop(low, high) as n:
        over(e, k.out, lambda places: pixel(n, places))
    return e.finish()


def conv_kernel_grad_kernel(dtype: DType, rank: int) -> int:
    """The address of the gradient by the kernel.

    dw[k, c, g, d] = sum over n, o of x[n, o s + k t, g, c] ct[n, o, g, d]

    Each thread owns some channels and taps, and adds over all samples in their order.

    Record, after the common part: addresses of x, ct, dw; strides of x as for the convolution; of ct by batch and
    position (each axis); of dw by tap (each axis) and channel.
    """
    k = _Convolution(dtype, rank)
    e = k.e
    x, ct, dw = k.fields(3)
    x_batch, x_place, x_tap, (x_channel,) = k.fields(1), k.fields(rank), k.fields(rank), k.fields(1)
    c_batch, c_place = k.fields(1), k.fields(rank)
    w_tap, (w_channel,) = k.fields(rank), k.fields(1)

    def taps(x_start: Value, w_start: Value, group: Value, start: Value, count: int) -> None:
        starts = k.places(x_start, start, x_tap[-1], count)
        with e.loop(I64(0), k.outs, e.lanes) as d:
            mask = e.mask(e.minus(k.outs, d))
            lane = k.lane(group, d)

            def sample(indices: list[Value], sums: list[Value]) -> list[Value]:
                n, places = indices[0], indices[1:]
                right = element(e, e.advance(ct, n, c_batch[0]), c_place, places)
                right = e.load(e.b.add(right, lane), dtype, mask)
                shift = element(e, e.b.mul(n, x_batch[0]), x_place, places)
                return k.multiply_each([e.b.add(s, shift) for s in starts], [right], sums)

            totals = carry(e, [k.batch, *k.out], [e.constant(0, dtype)] * count, sample)
            k.store_each(totals, k.places(w_start, start, w_tap[-1], count), lane, mask)

    def owned(number: Value, indices: list[Value]) -> None:
        group, heads = indices[0], indices[1:]
        tap, c = (number, heads[0]) if rank == 1 else (e.b.sdiv(number, k.channels), e.b.srem(number, k.channels))
        first = [tap, *heads[: rank - 2]] if rank > 1 else []
        channel = e.b.add(e.b.mul(group, k.channels), c)
        x_start = e.advance(element(e, x, x_tap[:-1], first), channel, x_channel)
        w_start = e.advance(element(e, dw, w_tap[:-1], first), c, w_channel)
        k.blocks(k.taps[-1], _TAPS, lambda start, count: taps(x_start, w_start, group, start, count))

    if rank == 1:
        with e.loop(*e.my_share(k.channels)) as c:
            over(e, [k.groups], lambda indices: owned(c, [*indices, c]))
        return e.finish()
    with e.loop(*e.my_share(e.b.mul(k.taps[0], k.channels))) as number:
        over(e, [k.groups, *k.taps[1:-1]], lambda indices: owned(number, indices))
    return e.finish()
