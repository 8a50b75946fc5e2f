"""The gradient by a small kernel of a convolution, of images whose samples lie side by side; with pooling, too.

Samples are cut into groups of whole registers. A thread goes through the samples of its groups and keeps the sums of
all taps in memory of its own, so that it reads every image once, and no other thread's.

Where max pooling follows, it sends the gradient of a window to the element that has won, and most of what the gradient
by the kernel reads is zero. Written to memory it would be the largest array of a network. So a thread spreads the
windows of one row, for one register of samples, into memory of its own, and adds up their share at once. The sums are
those of the spread gradient, in the same order: whether someone else asks for it changes no bit.
"""

# N batch, R taps along W times channels in, D channels out, O x P windows (or elements), K taps along H.

from __future__ import annotations

import itertools
from collections.abc import Callable

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.backends.cpu.windows import carry, element, over, pieces
from pellucid.dtypes import DType, int32, int64

# Register blocks: rows of taps, by output channels by the number of registers.
_ROWS, _OUTS = (5, 3, 1), {32: (4, 2, 1), 16: (2, 1)}
# Bytes of the sums, and of a row of windows, at most: they should stay in a core's first caches.
_BYTES = 3 << 15
# Elements of a window that is spread without loops, at most.
_WRITTEN_OUT = 9


def bytes_of(elements: int, dtype: DType) -> int:
    """Bytes of a thread's memory for a register of each of some elements."""
    return elements * lanes_for(dtype) * dtype.itemsize


def suits(batch: int, taps: int, dtype: DType) -> bool:
    """Whether the gradient by a kernel of so many elements is made in groups of samples, pooling or not."""
    return batch > lanes_for(dtype) and bytes_of(taps, dtype) <= _BYTES


def can_spread(row: int, dtype: DType) -> bool:
    """Whether a thread has room to spread a row of windows of so many elements."""
    return bytes_of(row, dtype) <= _BYTES


def without_loops(high: int, wide: int) -> tuple[int, int] | None:
    """The height and width of a window that is spread without loops; none where it is large.

    >>> without_loops(2, 2), without_loops(7, 7)
    ((2, 2), None)
    """
    return (high, wide) if high * wide <= _WRITTEN_OUT else None


class _GroupsGrad:
    """The kernel in the making.

    Record: N, M samples of a group (whole registers), number of groups, R, D, O, P, K; height and width of a window;
    addresses of x, dw, ct; strides of x by place along H and W, tap along H and row; of ct by O, P and D; bytes of a
    group in dw; where there is pooling the address of the winners, their strides, and the width of the image; where g
    is summed the address of these sums; the thread's own memory. Without pooling a window is some rows of one element.
    """

    def __init__(self, dtype: DType, pooled: bool, summed: bool, window: tuple[int, int] | None) -> None:
        self.dtype, self.pooled, self.summed, self.window = dtype, pooled, summed, window
        self.e = e = Emitter(lanes_for(dtype))
        self.blocks = _OUTS[target.vector_registers()]
        self.batch, self.in_group, self.groups = (e.field() for _ in range(3))
        self.rows, self.outs, self.out_height, self.out_width, self.taps = (e.field() for _ in range(5))
        self.high, self.wide = (e.field() for _ in range(2))
        self.x, self.dw, self.ct = (e.field() for _ in range(3))
        self.x_o, self.x_p, self.x_k, self.x_r = (e.field() for _ in range(4))
        self.ct_strides = [e.field() for _ in range(3)]
        self.dw_group = e.field()
        if self.pooled:
            self.won, *self.won_strides = (e.field() for _ in range(4))
            self.width = e.field()
        self.totals = e.field() if summed else None
        self.sums = e.own_memory()
        self.register = e.lanes * dtype.itemsize
        self.count = e.b.mul(e.b.mul(self.taps, self.rows), self.outs)
        self.registers = e.b.add(self.count, self.outs) if summed else self.count
        self.spread = e.advance(self.sums, self.registers, I64(self.register))
        self.columns = e.b.mul(self.out_width, self.wide)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        with e.loop(*e.my_share(self.groups)) as group:
            with e.loop(I64(0), self.registers) as n:
                e.store(self.sum_at(n), e.constant(0, self.dtype), self.dtype)
            start = e.b.mul(group, self.in_group)
            stop = e.smaller(e.b.add(start, self.in_group), self.batch)
            whole = e.b.add(start, e.b.and_(e.minus(stop, start), I64(-e.lanes)))
            with e.loop(start, whole, e.lanes) as lane:
                self.samples(lane, None)
            with e.loop(whole, stop, e.lanes) as lane:
                self.samples(lane, e.mask(e.minus(stop, lane)))
            self.join(e.advance(self.dw, group, self.dw_group), I64(0), self.count)
            if self.totals is not None:
                row = e.b.mul(self.outs, I64(self.dtype.itemsize))
                self.join(e.advance(self.totals, group, row), self.count, self.registers)
        return e.finish()

    def sum_at(self, number: Value) -> Value:
        """Where the sums of an element of the kernel lie, a register of them."""
        return self.e.advance(self.sums, number, I64(self.register))

    def samples(self, lane: Value, mask: Value | None) -> None:
        """The share of some samples, row of windows by row."""
        e = self.e
        moved = e.b.mul(lane, I64(self.dtype.itemsize))
        with e.loop(I64(0), self.out_height) as o:
            if self.pooled:
                over(e, [self.out_width, self.outs], lambda place: self.spread_window([o, *place], lane, mask))
            row = e.b.mul(o, self.high)
            top, ct = (e.advance(e.b.add(base, moved), row, stride) for base, stride in self.images)
            if self.summed:
                pieces(e, I64(0), self.outs, self.blocks, lambda d, ds: self.add_channels(ct, d, ds, mask))
            with e.loop(I64(0), self.taps) as k:
                x = e.advance(top, k, self.x_k)
                pieces(
                    e, I64(0), self.rows, _ROWS,
                    lambda r, rs: pieces(
                        e, I64(0), self.outs, self.blocks, lambda d, ds: self.block((x, ct), (k, r, d), (rs, ds), mask)
                    ),
                )  # fmt: skip

    @property
    def images(self) -> list[tuple[Value, Value]]:
        """Where the images and their gradients begin, and the bytes from row to row."""
        return [(self.x, self.x_o), (self.ct, self.ct_strides[0])]

    def spread_window(self, place: list[Value], lane: Value, mask: Value | None) -> None:
        """The gradient of a window's elements, in memory of the thread's own."""
        e, (o, p, d) = self.e, place
        ct, won = element(e, self.ct, self.ct_strides, place), element(e, self.won, self.won_strides, place)
        value = e.load(e.advance(ct, lane, I64(self.dtype.itemsize)), self.dtype, mask)
        winner = e.b.trunc(e.load(e.advance(won, lane, I64(8)), int64, mask), e.vector_type(int32))
        left = e.b.mul(p, self.wide)
        first = e.b.add(e.b.mul(e.b.mul(o, self.high), self.width), left)
        winner = e.b.sub(winner, e.splat(e.b.trunc(first, I32)))  # its number, if the window's first element had 0

        def spread(taps: list[Value]) -> None:
            i, j = taps
            number = e.splat(e.b.trunc(e.b.add(e.b.mul(i, self.width), j), I32))
            kept = e.b.select(e.b.icmp_signed("==", winner, number), value, e.constant(0, self.dtype))
            e.store(self.spread_at(i, e.b.add(left, j), d), kept, self.dtype)

        if self.window is None:
            over(e, [self.high, self.wide], spread)
        else:
            for i, j in itertools.product(*map(range, self.window)):
                spread([I64(i), I64(j)])

    def spread_at(self, row: Value, column: Value, d: Value) -> Value:
        """Where the gradient of an image's element lies in the row of windows."""
        e = self.e
        place = e.b.add(e.b.mul(row, self.columns), column)
        return e.advance(self.spread, e.b.add(e.b.mul(place, self.outs), d), I64(self.register))

    def gradients(self, ct: Value, place: tuple[Value, Value, Value], count: int, mask: Value | None) -> list[Value]:
        """The gradients of an element of the row of windows, by some output channels."""
        e, (i, q, d), dtype = self.e, place, self.dtype
        if self.pooled:
            here = self.spread_at(i, q, d)
            return [e.load(e.beside(here, j, dtype), dtype) for j in range(count)]
        here = element(e, ct, self.ct_strides, place)
        return [e.load(e.advance(here, I64(j), self.ct_strides[2]), dtype, mask) for j in range(count)]

    def add_channels(self, ct: Value, d: Value, count: int, mask: Value | None) -> None:
        """Add the row of windows up by some output channels."""
        e, dtype, place_of = self.e, self.dtype, Place(self.e, self.dtype, self.dtype)
        first = self.sum_at(e.b.add(self.count, d))
        places = [e.beside(first, j, dtype) for j in range(count)]

        def position(indices: list[Value], sums: list[Value]) -> list[Value]:
            values = self.gradients(ct, (indices[0], indices[1], d), count, mask)
            return [LANES["add"](place_of, total, value) for total, value in zip(sums, values, strict=True)]

        self.carry_sums(places, position)

    def carry_sums(self, places: list[Value], position: Callable[[list[Value], list[Value]], list[Value]]) -> None:
        """Go on with some sums through all elements of a row of windows."""
        before = [self.e.load(address, self.dtype) for address in places]
        after = carry(self.e, [self.high, self.columns], before, position)
        for address, total in zip(places, after, strict=True):
            self.e.store(address, total, self.dtype)

    def block(
        self,
        images: tuple[Value, Value],
        place: tuple[Value, Value, Value],
        sizes: tuple[int, int],
        mask: Value | None,
    ) -> None:
        """Some rows of taps by some output channels: the row of windows is added to their sums."""
        e, dtype, (x, ct) = self.e, self.dtype, images
        (k, r, d), (row_count, out_count) = place, sizes
        first = e.advance(x, r, self.x_r)
        numbers = [e.b.add(e.b.mul(e.b.add(e.b.mul(k, self.rows), r), self.outs), d)]
        numbers += [e.b.add(numbers[0], e.b.mul(I64(i), self.outs)) for i in range(1, row_count)]
        places = [e.beside(self.sum_at(n), j, dtype) for n in numbers for j in range(out_count)]
        below = [e.opaque(e.b.mul(I64(n), self.x_r)) for n in range(row_count)]

        def position(indices: list[Value], sums: list[Value]) -> list[Value]:
            i, q = indices
            x_here = e.opaque(e.advance(e.advance(first, i, self.x_o), q, self.x_p))
            left = [e.load(e.b.add(x_here, distance) if n else x_here, dtype, mask) for n, distance in enumerate(below)]
            right = self.gradients(ct, (i, q, d), out_count, mask)
            pairs = [(a, b) for a in left for b in right]
            return [e.multiply_add(a, b, s) for (a, b), s in zip(pairs, sums, strict=True)]

        self.carry_sums(places, position)

    def join(self, result: Value, first: Value, stop: Value) -> None:
        """The lanes of some sums, added up, as the group's result."""
        e, place_of = self.e, Place(self.e, self.dtype, self.dtype)
        with e.loop(first, stop) as n:
            total = e.join_lanes(e.load(self.sum_at(n), self.dtype), lambda a, b: LANES["add"](place_of, a, b))
            e.store_scalar(e.advance(result, e.minus(n, first), I64(self.dtype.itemsize)), total, self.dtype)


def groups_grad_kernel(
    dtype: DType, pooled: bool = False, summed: bool = False, window: tuple[int, int] | None = None
) -> int:
    """The address of dw[k, r, d] = sum over o, p, n of x[o, p, k, r, n] g[o, p, d, n], for each group of samples.

    g is the gradient ct, or (``pooled``) that of windows, at the places where the winners lie, and zero elsewhere;
    these windows lie side by side and cover the image. x comes padded. ``summed`` gives the sums of g by channels, too:
    the gradient by a bias. ``window``: what :func:`without_loops` says. Each thread owns some groups. The record is
    :class:`_GroupsGrad`'s.
    """
    return _GroupsGrad(dtype, pooled, summed, window).write()
