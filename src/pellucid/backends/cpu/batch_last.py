"""Convolutions of images whose samples lie side by side, [H, W, C, N]: every lane is a sample.

So any number of channels fills the registers. Taps outside of the image are left out by the loops' bounds, which are
the same for all samples; nothing is padded. The taps along the last spatial axis and the channels are one run of
memory, and one loop. Where the kernel is not finite, the products that were left out are added, which are NaN or 0.
"""

# N batch, H x W image, O x P output, K taps along H, R taps along W times channels in, D channels out.

from __future__ import annotations

from pellucid.backends.cpu import target
from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I1, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.backends.cpu.windows import are_finite, carry, element, even_blocks, keep_if, pieces
from pellucid.dtypes import DType

# Register blocks: output channels by vectors of samples (forward; these by the number of registers), rows of taps by
# output channels (gradient).
OUTS, VECTORS = (6, 4, 2, 1), {32: (4, 2, 1), 16: (2, 1)}
_ROWS, _GRAD_OUTS = {32: 6, 16: 5}, {32: (4, 2, 1), 16: (2, 1)}
# Vectors of samples that the gradient by the kernel goes through all taps with, so that they stay in the second cache.
_CHUNK = 8


class Forward:
    """The convolution in the making.

    Record: N, C, D, H, W, O, P, K, taps along W; strides of the window along H and W; padding before along H and W;
    dilation along H; addresses of x, w, out; strides of x by H and by channel; of w by tap along H and by row; of out
    by O, P and D; for every leaf of the ending its address and strides by O, P and D. With a frame w is dense.
    """

    def __init__(
        self,
        dtype: DType,
        ending: Ending | None,
        motions: tuple[str, ...],
        exact: bool = False,
        framed: bool = False,
    ) -> None:
        self.dtype, self.ending, self.motions, self.exact, self.framed = dtype, ending, motions, exact, framed
        self.not_finite: Value | None = None  # whether a kernel's number times a zero of the frame is none
        self.vectors = VECTORS[target.vector_registers()]
        self.e = e = Emitter(lanes_for(dtype))
        self.batch, self.channels, self.outs, self.height, self.width = (e.field() for _ in range(5))
        self.out_height, self.out_width, self.taps_h, self.taps_w = (e.field() for _ in range(4))
        self.step_h, self.step_w, self.before_h, self.before_w, self.gap_h = (e.field() for _ in range(5))
        self.x, self.w, self.out = (e.field() for _ in range(3))
        self.x_h, self.x_c, self.w_h, self.w_r = (e.field() for _ in range(4))
        self.out_strides = [e.field() for _ in range(3)]
        self.leaf_types = ending.memory_types if ending else []
        self.leaves = [(e.field(), [e.field() for _ in range(3)]) for _ in self.leaf_types]
        self.result = ending.expression.dtype if ending else dtype

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        self.look_at_kernel()
        vectors = e.ceiling(self.batch, e.lanes)
        blocks = e.ceiling(vectors, self.vectors[0])
        low, high = e.my_share(e.b.mul(blocks, self.out_height))
        with e.loop(low, high) as item:
            o, block = e.b.sdiv(item, blocks), e.b.srem(item, blocks)
            first = e.b.mul(block, I64(self.vectors[0]))
            last = e.smaller(e.b.add(first, I64(self.vectors[0])), vectors)
            pieces(e, first, last, self.vectors, lambda v, count: self.row(o, v, count))
        return e.finish()

    def look_at_kernel(self) -> None:
        """See whether all of it is finite, where there are zeros around the image that count."""
        e = self.e
        if self.framed:
            count = e.b.mul(e.b.mul(self.taps_h, self.taps_w), e.b.mul(self.channels, self.outs))
            self.not_finite = e.b.not_(are_finite(e, self.w, count, self.dtype))

    def inside(
        self, place: Value, step: Value, before: Value, gap: Value, size: Value, taps: Value
    ) -> tuple[Value, Value, Value]:
        """The first tap inside the image and the one after the last, and where tap 0 lies."""
        b = self.e.b
        origin = b.sub(b.mul(place, step), before)
        least = b.sdiv(b.add(b.neg(origin), b.sub(gap, I64(1))), gap)
        low = b.select(b.icmp_signed(">", origin, I64(0)), I64(0), least)
        room = b.sub(size, origin)
        most = b.sdiv(b.add(room, b.sub(gap, I64(1))), gap)
        high = b.select(b.icmp_signed(">", room, I64(0)), self.e.smaller(most, taps), I64(0))
        return low, high, origin

    def row(self, o: Value, first: Value, vectors: int) -> None:
        """One row of output positions for some vectors of samples."""
        e = self.e
        taps_h = self.inside(o, self.step_h, self.before_h, self.gap_h, self.height, self.taps_h)
        start = e.b.mul(first, I64(e.lanes))
        masks = [e.mask(e.minus(self.batch, e.b.add(start, I64(v * e.lanes)))) for v in range(vectors)]
        with e.loop(I64(0), self.out_width) as p:
            taps_w = self.inside(p, self.step_w, self.before_w, I64(1), self.width, self.taps_w)
            pieces(
                e, I64(0), self.outs, OUTS,
                lambda d, count: self.block((o, p, d), (taps_h, taps_w), start, masks, count),
            )  # fmt: skip

    def block(
        self,
        place: tuple[Value, Value, Value],
        taps: tuple[tuple[Value, Value, Value], tuple[Value, Value, Value]],
        start: Value,
        masks: list[Value],
        outs: int,
    ) -> None:
        """The sums at one output position, then the ending."""
        self.store(self.sums_of(place[2], taps, start, masks, outs), place, start, masks, outs)

    def sums_of(
        self,
        d: Value,
        taps: tuple[tuple[Value, Value, Value], tuple[Value, Value, Value]],
        start: Value,
        masks: list[Value],
        outs: int,
    ) -> list[Value]:
        """outs x vectors accumulators at one output position: the sums over taps and input channels."""
        e, dtype = self.e, self.dtype
        (low_h, high_h, origin_h), (low_w, high_w, origin_w) = taps
        vectors = range(len(masks))
        samples = e.b.mul(start, I64(dtype.itemsize))
        w_first = e.advance(self.w, d, I64(dtype.itemsize))
        x_first = e.b.add(e.advance(self.x, e.b.mul(origin_w, self.channels), self.x_c), samples)

        def tap(k: Value, sums: list[Value]) -> list[Value]:
            x_row = e.advance(x_first, e.b.add(origin_h, e.b.mul(k, self.gap_h)), self.x_h)
            w_row = e.advance(w_first, k, self.w_h)

            def element(r: Value, sums: list[Value]) -> list[Value]:
                x_here, w_here = e.opaque(e.advance(x_row, r, self.x_c)), e.advance(w_row, r, self.w_r)
                left = [e.load(e.beside(x_here, v, dtype), dtype, masks[v] if self.exact else None) for v in vectors]
                right = [e.splat(e.load_scalar(e.b.add(w_here, I64(d * dtype.itemsize)), dtype)) for d in range(outs)]
                return [
                    e.multiply_add(left[v], right[d], sums[d * len(masks) + v]) for d in range(outs) for v in vectors
                ]

            low, high = (e.b.mul(n, self.channels) for n in (low_w, high_w))
            return e.reduce_loop(low, high, 1, sums, element)

        sums = e.reduce_loop(low_h, high_h, 1, [e.constant(0, dtype)] * (outs * len(masks)), tap)
        if self.not_finite is None:
            return sums
        return keep_if(e, self.not_finite, sums, lambda: self.with_frame(sums, w_first, taps, outs))

    def with_frame(
        self,
        sums: list[Value],
        w_first: Value,
        taps: tuple[tuple[Value, Value, Value], tuple[Value, Value, Value]],
        outs: int,
    ) -> list[Value]:
        """The sums with the products of the zeros around the image."""
        e, dtype, zero = self.e, self.dtype, self.e.scalar(0, self.dtype)
        (low_h, high_h, _), (low_w, high_w, _) = taps
        bounds = (low_h, high_h), tuple(e.b.mul(n, self.channels) for n in (low_w, high_w))

        def product(at: list[Value], totals: list[Value]) -> list[Value]:
            inside: Value = I1(1)
            for i, (low, high) in zip(at, bounds, strict=True):
                own = e.b.and_(e.b.icmp_signed("<=", low, i), e.b.icmp_signed("<", i, high))
                inside = e.b.and_(inside, own)
            here = element(e, w_first, [self.w_h, self.w_r], at)
            numbers = [e.load_scalar(e.b.add(here, I64(d * dtype.itemsize)), dtype) for d in range(outs)]
            left_out = [e.b.select(inside, zero, e.b.fmul(number, zero)) for number in numbers]
            return [e.b.fadd(total, value) for total, value in zip(totals, left_out, strict=True)]

        totals = carry(e, [self.taps_h, e.b.mul(self.taps_w, self.channels)], [zero] * outs, product)
        vectors = len(sums) // outs
        return [e.b.fadd(total, e.splat(totals[n // vectors])) for n, total in enumerate(sums)]

    def store(
        self, sums: list[Value], place: tuple[Value, Value, Value], start: Value, masks: list[Value], outs: int
    ) -> None:
        """The ending of each accumulator, at its place."""
        e = self.e
        for d in range(outs):
            here = (place[0], place[1], e.b.add(place[2], I64(d)))
            target = self.at(self.out, self.out_strides, here)
            for v, mask in enumerate(masks):
                value = self.end(sums[d * len(masks) + v], here, start, v, mask)
                target_v = e.beside(e.advance(target, start, I64(self.result.itemsize)), v, self.result)
                e.store(target_v, value, self.result, mask)

    def at(self, base: Value, strides: list[Value], place: tuple[Value, Value, Value]) -> Value:
        """The address of a place's first sample."""
        for stride, i in zip(strides, place, strict=True):
            base = self.e.advance(base, i, stride)
        return base

    def end(self, value: Value, place: tuple[Value, Value, Value], start: Value, vector: int, mask: Value) -> Value:
        """The ending's expression of one register."""
        if self.ending is None:
            return value
        rows = [self.at(address, strides, place) for address, strides in self.leaves]
        kinds = list(zip(self.leaf_types, self.motions, strict=True))
        return self.ending.evaluate(self.e, value, leaf_reader(self.e, rows, kinds, start, mask, vector))


def conv_last_kernel(
    dtype: DType,
    ending: Ending | None = None,
    motions: tuple[str, ...] = (),
    exact: bool = False,
    framed: bool = False,
) -> int:
    """The address of the convolution of batch-last images; the record is :class:`Forward`'s.

    Args:
        dtype: The type of the elements.
        ending: What becomes of the sums.
        motions: How each leaf of the ending moves along the samples: ``"stays"`` or ``"next"``.
        exact: Whether nothing may be read behind the image. Else the lanes behind the last sample hold what happens to
            lie there, and are not stored: on some processors it takes a multiply-add's time to leave lanes out.
        framed: Whether there are zeros around the image that are multiplied as well, which shows where the kernel is
            not finite. (There are none around the cotangents of a gradient by the image.)
    """
    return Forward(dtype, ending, motions, exact, framed).write()


class _KernelGrad:
    """The gradient by the kernel in the making.

    Record: N, R, D, O, P, K; addresses of x, ct, dw; strides of x by O, P, tap along H and row; of ct by O, P and D; of
    dw by tap along H and row.
    """

    def __init__(self, dtype: DType, row_blocks: tuple[int, ...]) -> None:
        self.dtype, self.row_blocks = dtype, row_blocks
        self.out_blocks = _GRAD_OUTS[target.vector_registers()]
        self.e = e = Emitter(lanes_for(dtype))
        self.batch, self.rows, self.outs, self.out_height, self.out_width, self.taps = (e.field() for _ in range(6))
        self.x, self.ct, self.dw = (e.field() for _ in range(3))
        self.x_o, self.x_p, self.x_k, self.x_r = (e.field() for _ in range(4))
        self.ct_o, self.ct_p, self.ct_d = (e.field() for _ in range(3))
        self.dw_k, self.dw_r = (e.field() for _ in range(2))

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        row_blocks, out_blocks = e.ceiling(self.rows, self.row_blocks[0]), e.ceiling(self.outs, self.out_blocks[0])
        low, high = e.my_share(e.b.mul(e.b.mul(self.taps, row_blocks), out_blocks))
        chunk = _CHUNK * e.lanes
        with e.loop(I64(0), self.batch, chunk) as start:
            samples = (start, e.smaller(e.b.add(start, I64(chunk)), self.batch))
            with e.loop(low, high) as item:
                rest = e.b.sdiv(item, out_blocks)
                outs = self.piece(e.b.srem(item, out_blocks), self.out_blocks[0], self.outs)
                rows = self.piece(e.b.srem(rest, row_blocks), self.row_blocks[0], self.rows)
                self.item(e.b.sdiv(rest, row_blocks), rows, outs, samples)
        return e.finish()

    def piece(self, number: Value, unit: int, stop: Value) -> tuple[Value, Value]:
        """First and last of the number-th piece of a range."""
        first = self.e.b.mul(number, I64(unit))
        return first, self.e.smaller(self.e.b.add(first, I64(unit)), stop)

    def item(
        self, k: Value, rows: tuple[Value, Value], outs: tuple[Value, Value], samples: tuple[Value, Value]
    ) -> None:
        """Some rows of one tap by some output channels, in blocks that fit the registers."""
        e = self.e
        pieces(
            e, *rows, self.row_blocks,
            lambda r, rs: pieces(e, *outs, self.out_blocks, lambda d, ds: self.block((k, r, d), rs, ds, samples)),
        )  # fmt: skip

    def block(
        self, place: tuple[Value, Value, Value], row_count: int, out_count: int, samples: tuple[Value, Value]
    ) -> None:
        """row_count x out_count accumulators over all output positions and some samples, joined and added to dw."""
        e, dtype, size = self.e, self.dtype, I64(self.dtype.itemsize)
        k, r, d = place
        x_first = e.advance(e.advance(self.x, k, self.x_k), r, self.x_r)
        ct_first = e.advance(self.ct, d, self.ct_d)
        whole = e.b.add(samples[0], e.b.and_(e.minus(samples[1], samples[0]), I64(-e.lanes)))

        def position(indices: list[Value], sums: list[Value]) -> list[Value]:
            o, p = indices
            x_here = e.advance(e.advance(x_first, o, self.x_o), p, self.x_p)
            ct_here = e.advance(e.advance(ct_first, o, self.ct_o), p, self.ct_p)
            x_rows = [e.opaque(e.advance(x_here, I64(i), self.x_r)) for i in range(row_count)]
            ct_rows = [e.opaque(e.advance(ct_here, I64(i), self.ct_d)) for i in range(out_count)]

            def vector(n: Value, sums: list[Value], mask: Value | None) -> list[Value]:
                moved = e.opaque(e.b.mul(n, size))
                left, right = ([e.load(e.b.add(row, moved), dtype, mask) for row in own] for own in (x_rows, ct_rows))
                pairs = [(a, b) for a in left for b in right]
                return [e.multiply_add(a, b, s) for (a, b), s in zip(pairs, sums, strict=True)]

            sums = e.reduce_loop(samples[0], whole, e.lanes, sums, lambda n, s: vector(n, s, None))
            tail = e.mask(e.minus(self.batch, whole))
            return e.reduce_loop(whole, samples[1], e.lanes, sums, lambda n, s: vector(n, s, tail))

        zeros = [e.constant(0, dtype)] * (row_count * out_count)
        sums = carry(e, [self.out_height, self.out_width], zeros, position)
        self.store(sums, place, row_count, out_count, e.b.icmp_signed("==", samples[0], I64(0)))

    def store(
        self, sums: list[Value], place: tuple[Value, Value, Value], row_count: int, out_count: int, first: Value
    ) -> None:
        """The joined accumulators, added to what earlier samples gave."""
        e, dtype, place_of = self.e, self.dtype, Place(self.e, self.dtype, self.dtype)
        k, r, d = place
        for i in range(row_count):
            row = e.advance(e.advance(self.dw, k, self.dw_k), e.b.add(r, I64(i)), self.dw_r)
            for j in range(out_count):
                target = e.advance(row, e.b.add(d, I64(j)), I64(dtype.itemsize))
                total = e.join_lanes(sums[i * out_count + j], lambda a, b: LANES["add"](place_of, a, b))
                before = e.b.select(first, e.scalar(0, dtype), e.load_scalar(target, dtype))
                e.store_scalar(target, e.b.fadd(before, total), dtype)


def grad_row_blocks(rows: int) -> tuple[int, ...]:
    """How many rows of taps the gradient by the kernel computes at once: blocks as equal as can be.

    >>> sum(grad_row_blocks(5)), max(grad_row_blocks(100)) <= 6
    (5, True)
    """
    return even_blocks(rows, _ROWS[target.vector_registers()])


def conv_last_grad_kernel(dtype: DType, row_blocks: tuple[int, ...]) -> int:
    """The address of the gradient by the kernel: dw[k, r, d] = sum over o, p, n of x[o, p, k, r, n] ct[o, p, d, n].

    Images come padded. Each thread owns some taps and channels; registers run along the samples, and are joined after
    each chunk of them. ``row_blocks``: what :func:`grad_row_blocks` says. The record is :class:`_KernelGrad`'s.
    """
    return _KernelGrad(dtype, row_blocks).write()
