"""Kernels of the convolution and of its gradient by the kernel.

Images come padded, so that no tap needs a test; the gradient by the image is a convolution of the spread-out cotangent
with the flipped kernel, and so needs no kernel of its own. Output channels lie side by side and fill registers.
"""

# N batch, O output positions, K taps, G groups, C channels in and D channels out per group; strides are in bytes.

from __future__ import annotations

from collections.abc import Callable

from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.backends.cpu.windows import carry, element, over, pieces
from pellucid.dtypes import DType

# Output positions (forward) or taps (gradient) along the last axis that share one load of a register.
_POSITIONS, _TAPS = 8, 5
# Rows of taps and input channels by registers of output channels, in the gradient of plain convolutions.
_ROWS, _REGISTERS = (12, 6, 3, 1), (2, 1)
# Output channels of the narrow convolution that share one load of the image.
_OUTPUTS = 6


class _Convolution:
    """What both kernels read from their record.

    Record: N, G, C, D; output sizes; taps; then the addresses and strides that each kernel names.
    """

    def __init__(self, dtype: DType, rank: int) -> None:
        self.e = e = Emitter(lanes_for(dtype))
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

    def multiply_each(self, left: list[Value], right: Value, sums: list[Value]) -> list[Value]:
        """sums + left * right, where ``left`` are addresses of single elements."""
        return [self.e.multiply_add(self.scalar(a), right, s) for a, s in zip(left, sums, strict=True)]


def conv_kernel(dtype: DType, rank: int, ending: Ending | None = None, motions: tuple[str, ...] = ()) -> int:
    """The address of the convolution: out[n, o, g, d] = sum over k, c of x[n, o s + k t, g, c] w[k, c, g, d].

    Record, after the common part: addresses of x, w, out; strides of x by batch, output position (each axis), tap (each
    axis) and channel; of w by tap (each axis) and channel; of out by batch and position (each axis); for every leaf of
    the ending its address and its strides by batch and position. ``motions`` says how each leaf moves along the
    channels: ``"stays"`` or ``"next"``.
    """
    k = _Convolution(dtype, rank)
    e = k.e
    x, w, out = k.fields(3)
    x_batch, x_place, x_tap, (x_channel,) = k.fields(1), k.fields(rank), k.fields(rank), k.fields(1)
    w_tap, (w_channel,) = k.fields(rank), k.fields(1)
    o_batch, o_place = k.fields(1), k.fields(rank)
    leaves = [(*k.fields(1), k.fields(1), k.fields(rank)) for _ in (ending.memory_types if ending else ())]
    result = ending.expression.dtype if ending else dtype

    def ended(value: Value, rows: list[Value], start: Value, number: int, lane: Value, mask: Value) -> Value:
        """The ending's expression of one register; ``rows`` are the leaves' addresses in this row."""
        if ending is None:
            return value
        memory = zip(rows, leaves, ending.memory_types, motions, strict=True)

        def leaf() -> Value:
            row, (_, _, strides), kind, how = next(memory)
            here = e.advance(row, e.b.add(start, I64(number)), strides[-1])
            if how == "stays":
                return e.splat(e.load_scalar(here, kind))
            return e.load(e.advance(here, lane, I64(kind.itemsize)), kind, mask)

        return ending.evaluate(e, value, leaf)

    def positions(x_row: Value, out_row: Value, rows: list[Value], group: Value, start: Value, count: int) -> None:
        starts = k.places(x_row, start, x_place[-1], count)
        with e.loop(I64(0), k.outs, e.lanes) as d:
            mask = e.mask(e.minus(k.outs, d))
            lane = e.b.add(e.b.mul(group, k.outs), d)
            w_lane = e.b.mul(lane, I64(dtype.itemsize))

            def tap(taps: list[Value], sums: list[Value]) -> list[Value]:
                w_here = e.b.add(element(e, w, w_tap, taps), w_lane)
                shift = element(e, I64(0), x_tap, taps)
                here = [e.b.add(s, shift) for s in starts]

                def channel(c: Value, sums: list[Value]) -> list[Value]:
                    right = e.load(e.advance(w_here, c, w_channel), dtype, mask)
                    moved = e.b.mul(c, x_channel)
                    return k.multiply_each([e.b.add(h, moved) for h in here], right, sums)

                return e.reduce_loop(I64(0), k.channels, 1, sums, channel)

            totals = carry(e, k.taps, [e.constant(0, dtype)] * count, tap)
            values = [ended(total, rows, start, number, lane, mask) for number, total in enumerate(totals)]
            for place, value in zip(k.places(out_row, start, o_place[-1], count), values, strict=True):
                e.store(e.advance(place, lane, I64(result.itemsize)), value, result, mask)

    def row(n: Value, indices: list[Value]) -> None:
        group, heads = indices[0], indices[1:]
        x_row = element(e, e.advance(x, n, x_batch[0]), x_place[:-1], heads)
        x_row = e.advance(x_row, e.b.mul(group, k.channels), x_channel)
        out_row = element(e, e.advance(out, n, o_batch[0]), o_place[:-1], heads)
        rows = [element(e, e.advance(a, n, batch[0]), place[:-1], heads) for a, batch, place in leaves]
        k.blocks(k.out[-1], _POSITIONS, lambda start, count: positions(x_row, out_row, rows, group, start, count))

    low, high = e.my_share(k.batch)
    with e.loop(low, high) as n:
        over(e, [k.groups, *k.out[:-1]], lambda indices: row(n, indices))
    return e.finish()


def conv_rows_grad_kernel(dtype: DType) -> int:
    """The address of the gradient by the kernel, where taps along the last axis and channels are one run of memory.

    dw[k, r, d] = sum over n, o, p of x[n, o, k, p, r] ct[n, o, p, d]; r counts taps along the last axis and channels.

    Each thread owns some rows, and adds image by image, so that an image stays in the cache.

    Record: N, R, D, O, P, K; addresses of x, ct, dw; strides of x by batch, O, P and tap k; of ct by batch, O and P; of
    dw by tap k and row.
    """
    e = Emitter(lanes_for(dtype))
    batch, rows, outs, out_height, out_width, taps = (e.field() for _ in range(6))
    x, ct, dw = (e.field() for _ in range(3))
    x_n, x_o, x_p, x_k = (e.field() for _ in range(4))
    ct_n, ct_o, ct_p = (e.field() for _ in range(3))
    dw_k, dw_r = (e.field() for _ in range(2))
    size = I64(dtype.itemsize)

    def block(n: Value, k: Value, r: Value, count: int, v: Value, registers: int) -> None:
        d = [e.b.mul(e.b.add(v, I64(i)), I64(e.lanes)) for i in range(registers)]
        masks = [e.mask(e.minus(outs, first)) for first in d]
        x_first = e.advance(e.advance(e.advance(x, n, x_n), k, x_k), r, size)
        ct_first = e.advance(ct, n, ct_n)
        target = e.advance(e.advance(dw, k, dw_k), r, dw_r)
        places = [e.advance(e.advance(target, I64(i), dw_r), first, size) for i in range(count) for first in d]
        first_image = e.b.icmp_signed("==", n, I64(0))
        zero = e.constant(0, dtype)
        start = [
            e.b.select(first_image, zero, e.load(place, dtype, mask))
            for place, mask in zip(places, masks * count, strict=True)
        ]

        def pixel(indices: list[Value], sums: list[Value]) -> list[Value]:
            o, p = indices
            x_here = e.advance(e.advance(x_first, o, x_o), p, x_p)
            ct_here = e.advance(e.advance(ct_first, o, ct_o), p, ct_p)
            right = [e.load(e.advance(ct_here, first, size), dtype, mask) for first, mask in zip(d, masks, strict=True)]
            left = [e.splat(e.load_scalar(e.b.add(x_here, I64(i * dtype.itemsize)), dtype)) for i in range(count)]
            pairs = [(a, b) for a in left for b in right]
            return [e.multiply_add(a, b, s) for (a, b), s in zip(pairs, sums, strict=True)]

        sums = carry(e, [out_height, out_width], start, pixel)
        for place, total, mask in zip(places, sums, masks * count, strict=True):
            e.store(place, total, dtype, mask)

    row_blocks = e.b.sdiv(e.b.add(rows, I64(_ROWS[0] - 1)), I64(_ROWS[0]))
    registers = e.b.sdiv(e.b.add(outs, I64(e.lanes - 1)), I64(e.lanes))
    low, high = e.my_share(e.b.mul(taps, row_blocks))
    with e.loop(I64(0), batch) as n, e.loop(low, high) as item:
        k, first = e.b.sdiv(item, row_blocks), e.b.mul(e.b.srem(item, row_blocks), I64(_ROWS[0]))
        last = e.smaller(e.b.add(first, I64(_ROWS[0])), rows)
        pieces(
            e, first, last, _ROWS,
            lambda r, count, k=k, n=n: pieces(
                e, I64(0), registers, _REGISTERS, lambda v, width: block(n, k, r, count, v, width)
            ),
        )  # fmt: skip
    return e.finish()


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
                return k.multiply_each([e.b.add(s, shift) for s in starts], right, sums)

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
