"""The gradient of a 3 x 3 convolution by its kernel, tile by tile: the transpose of :mod:`winograd`'s sums.

dg = G'[sum over tiles of (A dY A') * (B' d B)]G: for each of a tile's 16 numbers one matrix product over all tiles. The
samples are cut into groups that do not depend on the number of threads; each group has sums of its own, and they are
added in order. What is not finite is computed again, tap by tap.
"""

# T tiles at once, C channels in, D channels out; strides are in bytes.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.windows import all_finite, carry, element, keep_if
from pellucid.backends.cpu.winograd import (
    APART,
    NUMBERS,
    SIDE,
    STEP,
    Array,
    Grid,
    both_ways,
    filled_row,
    flat,
    half,
    load_square,
    of_pixels,
    store_numbers,
    tile_rows,
)
from pellucid.dtypes import DType


def of_cotangents(e: Emitter, y: list[Value]) -> list[Value]:
    """A y."""
    return [y[0], e.b.fadd(y[0], y[1]), e.b.fsub(y[0], y[1]), e.b.fneg(y[1])]


def of_products(e: Emitter, s: list[Value]) -> list[Value]:
    """G' s."""
    one_half = half(e, s[0])
    total = e.b.fmul(one_half, e.b.fadd(s[1], s[2]))
    return [e.b.fadd(s[0], total), e.b.fmul(one_half, e.b.fsub(s[1], s[2])), e.b.fadd(total, s[3])]


class _Sums:
    """The kernel that multiplies and adds, in the making.

    Record: the grid; C, D, T, the number of groups, tiles of a group; addresses of x and ct; strides of both by image,
    row and column; output height and width; the address of the sums [group, 16, C, D], their strides by group, number
    and channel; the thread's memory.
    """

    def __init__(self, dtype: DType, registers: int) -> None:
        self.dtype, self.registers = dtype, registers
        self.e = e = Emitter(lanes_for(dtype))
        self.item = I64(dtype.itemsize)
        self.grid = Grid(e)
        self.channels, self.outs, self.block, self.groups, self.group_tiles = (e.field() for _ in range(5))
        self.x, self.ct = e.field(), e.field()
        self.x_by, self.ct_by = ([e.field() for _ in range(3)] for _ in range(2))
        self.out_height, self.out_width = e.field(), e.field()
        self.sums, self.sums_by = e.field(), [e.field() for _ in range(3)]
        own = e.own_memory()
        # In the thread's memory: numbers of the pixels [16, T, C], and of the cotangents [16, T, D].
        self.v_row, self.q_row = (filled_row(e, n, dtype) for n in (self.channels, self.outs))
        self.v_step, self.q_step = (e.b.add(e.b.mul(self.block, n), I64(APART)) for n in (self.v_row, self.q_row))
        self.v = own
        self.q = e.advance(self.v, I64(NUMBERS), self.v_step)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        with e.loop(*e.my_share(self.groups)) as group:
            first = e.b.mul(group, self.group_tiles)
            last = e.smaller(e.b.add(first, self.group_tiles), self.grid.count)
            sums = e.advance(self.sums, group, self.sums_by[0])
            with e.loop(first, last, self.block) as start:
                count = e.smaller(e.minus(last, start), self.block)
                with e.loop(I64(0), count) as t:
                    self.transformed(e.b.add(start, t), t)
                self.products(sums, count, e.b.icmp_signed("==", start, first), e.b.add(start, self.block))
        return e.finish()

    def transformed(self, number: Value, t: Value) -> None:
        """The 16 numbers of a tile's pixels and of its cotangents, for all channels."""
        e = self.e
        v, q = e.advance(self.v, t, self.v_row), e.advance(self.q, t, self.q_row)
        self.grid.pixels(
            self.x, self.x_by, number,
            lambda load: store_numbers(e, load, of_pixels, self.channels, (v, self.v_step), self.dtype),
        )  # fmt: skip
        image, row, column = self.grid.place(number)
        top, left = e.b.mul(row, I64(STEP)), e.b.mul(column, I64(STEP))
        corner = element(e, self.ct, self.ct_by, [image, top, left])
        inside = [
            [self.grid.inside(e.b.add(first, I64(k)), size) for k in range(STEP)]
            for first, size in ((top, self.out_height), (left, self.out_width))
        ]
        load = load_square(e, corner, self.ct_by[1:], (inside[0], inside[1]))
        store_numbers(e, load, of_cotangents, self.outs, (q, self.q_step), self.dtype)

    @contextmanager
    def numbers(self, following: Value) -> Iterator[Value]:
        """A loop over the 16 numbers, in which the tiles are asked for that come next."""
        e, grid, none = self.e, self.grid, I64(0)
        sizes = [e.b.mul(count, self.item) for count in (self.channels, self.outs)]
        arrays = [grid.image(self.x, self.x_by, sizes[0]), Array(self.ct, self.ct_by, sizes[1])]
        with e.loop(none, I64(NUMBERS)) as k:
            grid.ask_part(k, following, self.block, arrays)
            yield k

    def products(self, sums: Value, count: Value, first: Value, following: Value) -> None:
        """For each of the 16 numbers the product of T tiles, added to what the tiles before gave."""
        e, rows, registers = self.e, tile_rows(), self.registers
        zero = e.constant(0, self.dtype)
        places = [divmod(number, registers) for number in range(rows * registers)]
        with (
            self.numbers(following) as k,
            e.loop(I64(0), self.outs, registers * e.lanes) as d,
            e.loop(I64(0), self.channels, rows) as c,
        ):
            distance = e.b.mul(d, self.item)
            v = e.advance(e.advance(self.v, k, self.v_step), c, self.item)
            q = e.b.add(e.advance(self.q, k, self.q_step), distance)
            to = e.b.add(e.advance(e.advance(sums, k, self.sums_by[1]), c, self.sums_by[2]), distance)
            targets = [e.beside(e.advance(to, I64(r), self.sums_by[2]), v, self.dtype) for r, v in places]
            start = [e.b.select(first, zero, e.load(target, self.dtype)) for target in targets]

            def tile(t: Value, carried: list[Value], v: Value = v, q: Value = q) -> list[Value]:
                v_now, q_now = e.advance(v, t, self.v_row), e.advance(q, t, self.q_row)
                right = [e.load(e.beside(q_now, r, self.dtype), self.dtype) for r in range(registers)]
                left = [
                    e.splat(e.load_scalar(e.b.add(v_now, I64(r * self.dtype.itemsize)), self.dtype))
                    for r in range(rows)
                ]
                return [e.multiply_add(left[r], right[v], s) for (r, v), s in zip(places, carried, strict=True)]

            for target, total in zip(targets, e.reduce_loop(I64(0), count, 1, start, tile), strict=True):
                e.store(target, total, self.dtype)


def winograd_sums_kernel(dtype: DType, registers: int) -> int:
    """The address of the sums over tiles; the record is :class:`_Sums`'s. Their rows are filled up."""
    return _Sums(dtype, registers).write()


class _Gathered:
    """The kernel that adds the groups and makes a gradient of the sums, in the making.

    Record: the grid; C, D, the number of groups; output height and width; addresses of x, ct, the sums and the
    gradient; strides of x and ct by image, row and column, of the sums by group, number and channel, of the gradient by
    tap (both axes) and channel; the number of images.
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype
        self.e = e = Emitter(lanes_for(dtype))
        self.item = I64(dtype.itemsize)
        self.grid = Grid(e)
        self.channels, self.outs, self.groups, self.out_height, self.out_width = (e.field() for _ in range(5))
        self.x, self.ct, self.sums, self.target = (e.field() for _ in range(4))
        self.x_by, self.ct_by, self.sums_by, self.to_by = ([e.field() for _ in range(3)] for _ in range(4))
        self.images = e.field()

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        with e.loop(*e.my_share(self.channels)) as c, e.loop(I64(0), self.outs, e.lanes) as d:
            mask, distance = e.mask(e.minus(self.outs, d)), e.b.mul(d, self.item)
            sums = e.b.add(e.advance(self.sums, c, self.sums_by[2]), distance)

            def group(g: Value, carried: list[Value], sums: Value = sums) -> list[Value]:
                here = e.advance(sums, g, self.sums_by[0])
                places = [e.advance(here, I64(k), self.sums_by[1]) for k in range(NUMBERS)]
                return [e.b.fadd(s, e.load(place, self.dtype)) for s, place in zip(carried, places, strict=True)]

            zeros = [e.constant(0, self.dtype)] * (NUMBERS)
            numbers = e.reduce_loop(I64(0), self.groups, 1, zeros, group)
            square = [numbers[SIDE * r : SIDE * (r + 1)] for r in range(SIDE)]
            nine = flat(both_ways(e, of_products, square))
            spoiled = e.b.not_(all_finite(e, nine))
            nine = keep_if(e, spoiled, nine, lambda c=c, d=distance, m=mask: self.tap_by_tap(c, d, m))
            to = e.b.add(e.advance(self.target, c, self.to_by[2]), distance)
            for number, value in enumerate(nine):
                place = element(e, to, self.to_by[:2], [I64(k) for k in divmod(number, 3)])
                e.store(place, value, self.dtype, mask)
        return e.finish()

    def tap_by_tap(self, c: Value, distance: Value, mask: Value) -> list[Value]:
        """The gradients of nine taps as sums over all positions."""
        e, grid = self.e, self.grid

        def position(at: list[Value], sums: list[Value]) -> list[Value]:
            n, o, p = at
            right = e.load(e.b.add(element(e, self.ct, self.ct_by, at), distance), self.dtype, mask)
            image = e.advance(e.advance(self.x, n, self.x_by[0]), c, self.item)
            result = []
            for number, total in enumerate(sums):
                row, column = (
                    e.b.add(e.minus(i, before), I64(k))
                    for i, before, k in zip((o, p), (grid.above, grid.left), divmod(number, 3), strict=True)
                )
                inside = e.b.and_(grid.inside(row, grid.height), grid.inside(column, grid.width))
                address = e.b.select(inside, element(e, image, self.x_by[1:], [row, column]), image)
                pixel = e.b.select(inside, e.load_scalar(address, self.dtype), e.scalar(0, self.dtype))
                result.append(e.multiply_add(e.splat(pixel), right, total))
            return result

        return carry(e, [self.images, self.out_height, self.out_width], [e.constant(0, self.dtype)] * 9, position)


def winograd_gradient_kernel(dtype: DType) -> int:
    """The address of the gradient from the sums; the record is :class:`_Gathered`'s."""
    return _Gathered(dtype).write()
