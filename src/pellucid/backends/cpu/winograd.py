"""3 x 3 convolutions by Winograd's minimal filtering: sums and differences of pixels make 36 multiplications 16.

A tile of 2 x 2 results needs 4 x 4 pixels d and the kernel g: Y = A'[(G g G') * (B' d B)]A, * number by number
(Winograd 1980; Lavin and Gray 2015, arXiv:1509.09308). Over channels, each of the 16 numbers of a tile is a matrix
product.

The differences would make NaN of an infinite pixel, also in results that never saw it. So a register of results that is
not finite is computed again, tap by tap, as :mod:`pellucid.backends.cpu.convolution` does it.
"""

# T tiles at once, C channels in, D channels out; strides are in bytes.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from pellucid.backends.cpu import target
from pellucid.backends.cpu.conv_pool import PoolForm, Stored
from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.windows import Winners, all_finite, carry, element, keep_if
from pellucid.dtypes import DType, int64

#: Pixels along a side of a tile that are read, and that are computed; numbers of a tile that are multiplied.
SIDE, STEP, NUMBERS = 4, 2, 16
#: Bytes between the matrices of a tile's numbers, which keep them off the same places of the cache.
APART = 64
#: Bytes of a line of a cache.
LINE = 64
# Registers of output channels that are computed at once.
_REGISTERS = (2, 3, 1)

Square = list[list[Value]]


def tile_rows() -> int:
    """Tiles by whose rows a product is blocked: with two registers of channels they fill the accumulators."""
    return 8 if target.vector_bytes() == 64 else 4


def registers_for(outs: int, dtype: DType) -> int:
    """How many registers of output channels are computed at once: as many as leave none over."""
    count = -(-outs // lanes_for(dtype))
    return next(n for n in _REGISTERS if count % n == 0)


def half(e: Emitter, like: Value) -> Value:
    """1/2 in every lane of a register like another one."""
    return like.type([like.type.element(0.5)] * e.lanes)


def both_ways(e: Emitter, once: Callable[[Emitter, list[Value]], list[Value]], square: Square) -> Square:
    """The transform of the columns of a square of registers, and then of its rows."""
    columns = [once(e, list(column)) for column in zip(*square, strict=True)]
    return [once(e, list(row)) for row in zip(*columns, strict=True)]


def flat(square: Square) -> list[Value]:
    """Its registers row by row."""
    return list(chain(*square))


def of_pixels(e: Emitter, d: list[Value]) -> list[Value]:
    """B' d."""
    return [e.b.fsub(d[0], d[2]), e.b.fadd(d[1], d[2]), e.b.fsub(d[2], d[1]), e.b.fsub(d[1], d[3])]


def of_kernel(e: Emitter, g: list[Value]) -> list[Value]:
    """G g."""
    one_half = half(e, g[0])
    outer = e.b.fadd(g[0], g[2])
    return [g[0], e.b.fmul(one_half, e.b.fadd(outer, g[1])), e.b.fmul(one_half, e.b.fsub(outer, g[1])), g[2]]


def of_sums(e: Emitter, m: list[Value]) -> list[Value]:
    """A' m."""
    return [e.b.fadd(e.b.fadd(m[0], m[1]), m[2]), e.b.fsub(e.b.fsub(m[1], m[2]), m[3])]


def load_square(
    e: Emitter, corner: Value, strides: Sequence[Value], inside: tuple[list[Value], list[Value]] | None
) -> Callable[[Value, Value, DType], Square]:
    """A function that loads a square of pixels: registers of channels at a distance from a corner, under a mask.

    ``inside``: for each row and column whether it lies in the image; None: all do.
    """
    count = SIDE if inside is None else len(inside[0])

    def load(distance: Value, mask: Value, dtype: DType) -> Square:
        square = []
        for r in range(count):
            row = e.b.add(e.advance(corner, I64(r), strides[0]), distance)
            here = [e.advance(row, I64(s), strides[1]) for s in range(count)]
            masks = [mask] * count
            if inside is not None:
                masks = [e.b.and_(mask, e.splat(e.b.and_(inside[0][r], column))) for column in inside[1]]
            square.append([e.load(a, dtype, m) for a, m in zip(here, masks, strict=True)])
        return square

    return load


def store_numbers(
    e: Emitter,
    load: Callable[..., Square],
    once: Callable[[Emitter, list[Value]], list[Value]],
    channels: Value,
    to: tuple[Value, Value],
    dtype: DType,
) -> None:
    """The transform of a tile for all channels; ``to``: where the first of its numbers go, and their distance."""
    with e.loop(I64(0), channels, e.lanes) as c:
        distance = e.b.mul(c, I64(dtype.itemsize))
        square = load(distance, e.mask(e.minus(channels, c)), dtype)
        for k, value in enumerate(flat(both_ways(e, once, square))):
            e.store(e.b.add(e.advance(to[0], I64(k), to[1]), distance), value, dtype)


def filled_row(e: Emitter, count: Value, dtype: DType) -> Value:
    """Bytes of the registers for so many numbers."""
    return e.b.mul(e.b.mul(e.ceiling(count, e.lanes), I64(e.lanes)), I64(dtype.itemsize))


@dataclass(frozen=True)
class Array:
    """What tiles are read from or written to.

    Attributes:
        base: The address of its first pixel.
        strides: Bytes between images, rows and columns.
        size: Bytes of a pixel.
        before: By how many rows and columns the pixels that only a tile has lie before its results.
        side: Pixels along a side of a tile.
        write: Whether they are written.
    """

    base: Value
    strides: Sequence[Value]
    size: Value
    before: tuple[Value, Value] = (I64(0), I64(0))
    side: int = STEP
    write: bool = False


class Grid:
    """How an image is cut into tiles.

    Record: the number of all tiles, rows and columns of tiles of an image; the image's height and width; padding before
    both.
    """

    def __init__(self, e: Emitter) -> None:
        self.e = e
        self.count, self.rows, self.columns, self.height, self.width, self.above, self.left = (
            e.field() for _ in range(7)
        )

    def place(self, number: Value) -> tuple[Value, Value, Value]:
        """Image, row and column of a tile; there are fewer than 2^31."""
        b, short = self.e.b, [self.e.b.trunc(n, I32) for n in (number, self.columns, self.rows)]
        row, column = b.udiv(short[0], short[1]), b.urem(short[0], short[1])
        image, row = b.udiv(row, short[2]), b.urem(row, short[2])
        return b.zext(image, I64), b.zext(row, I64), b.zext(column, I64)

    def corner(self, row: Value, column: Value) -> tuple[Value, Value]:
        """Where a tile's first pixel lies in the image, which may be outside."""
        b = self.e.b
        return b.sub(b.mul(row, I64(STEP)), self.above), b.sub(b.mul(column, I64(STEP)), self.left)

    def inside(self, position: Value, size: Value) -> Value:
        """Whether a position lies in the image; negative ones are large as unsigned numbers."""
        return self.e.b.icmp_unsigned("<", position, size)

    def each_inside(self, first: Value, size: Value) -> list[Value]:
        """Which pixels of a tile's side lie in the image."""
        return [self.inside(self.e.b.add(first, I64(k)), size) for k in range(SIDE)]

    def ask(self, number: Value, arrays: Sequence[Array]) -> None:
        """Ask for the pixels of a tile, of an image those that the tiles to its left and above it do not have."""
        e = self.e
        image, row, column = self.place(number)
        for array in arrays:
            place = zip((row, column), array.before, strict=True)
            first = [e.minus(e.b.mul(n, I64(array.side)), before) for n, before in place]
            for k in range(array.side**2):
                pixel = [e.b.add(n, I64(i)) for n, i in zip(first, divmod(k, array.side), strict=True)]
                here = element(e, array.base, array.strides, [image, *pixel])
                with e.loop(I64(0), array.size, LINE) as line:
                    e.prefetch(e.b.add(here, line), write=array.write)

    def ask_part(self, k: Value, first: Value, count: Value, arrays: Sequence[Array]) -> None:
        """The same for the k-th of 16 parts of some tiles, as far as there are some."""
        e = self.e
        share = e.ceiling(count, NUMBERS)
        start = e.b.add(first, e.b.mul(k, share))
        stop = e.smaller(e.b.add(start, share), e.smaller(e.b.add(first, count), self.count))
        with e.loop(start, stop) as number:
            self.ask(number, arrays)

    def image(self, base: Value, strides: Sequence[Value], size: Value) -> Array:
        """The image, whose first tile begins in the zeros around it."""
        above, left = (self.e.minus(n, I64(SIDE - STEP)) for n in (self.above, self.left))
        return Array(base, strides, size, (above, left))

    def pixels(
        self, base: Value, strides: Sequence[Value], number: Value, body: Callable[[Callable[..., Square]], None]
    ) -> None:
        """``body(load)`` for a tile, written once for tiles inside the image and once for those at its edge."""
        e = self.e
        image, row, column = self.place(number)
        top, left = self.corner(row, column)
        corner = element(e, base, strides, [image, top, left])
        rows, columns = self.each_inside(top, self.height), self.each_inside(left, self.width)
        ends = e.b.and_(e.b.and_(rows[0], rows[-1]), e.b.and_(columns[0], columns[-1]))
        with e.b.if_else(ends) as (within, at_edge):
            with within:
                body(load_square(e, corner, strides[1:], None))
            with at_edge:
                body(load_square(e, corner, strides[1:], (rows, columns)))


class _Convolution:
    """The kernel in the making.

    Record: the grid; output height and width, T, C, D; addresses of x, the kernel w, its transform u, and the result;
    strides of x by image, row and column, of w by tap (both axes) and channel, of u by number and channel, of the
    result by image, row and column; the thread's memory; for every leaf of the ending its address and its strides by
    image, row and column; where it pools, what :class:`~pellucid.backends.cpu.conv_pool.Stored` reads.
    """

    def __init__(
        self,
        dtype: DType,
        ending: Ending | None,
        motions: tuple[str, ...],
        registers: int,
        pooling: PoolForm | None,
    ) -> None:
        self.registers = registers
        self.dtype, self.ending, self.motions, self.pooling = dtype, ending, motions, pooling
        self.e = e = Emitter(lanes_for(dtype))
        self.item = I64(dtype.itemsize)
        self.grid = Grid(e)
        self.out_height, self.out_width, self.block, self.channels, self.outs = (e.field() for _ in range(5))
        self.x, self.w, self.u, self.target = (e.field() for _ in range(4))
        self.x_by, self.w_by, self.u_by, self.out_by = ([e.field() for _ in range(n)] for n in (3, 3, 2, 3))
        own = e.own_memory()
        self.leaf_types = ending.memory_types if ending else []
        self.leaves = [(e.field(), [e.field() for _ in range(3)]) for _ in self.leaf_types]
        self.result = ending.expression.dtype if ending else dtype
        self.stored = Stored(e, pooling, self.result, 3) if pooling else None
        # In the thread's memory: the pixels' numbers [16, T, C], and their products [16, T, registers].
        self.v_row = filled_row(e, self.channels, dtype)
        self.v_step = e.b.add(e.b.mul(self.block, self.v_row), I64(APART))
        self.m_row = I64(registers * e.lanes * dtype.itemsize)
        self.m_step = e.b.add(e.b.mul(self.block, self.m_row), I64(APART))
        self.v = own
        self.m = e.advance(self.v, I64(NUMBERS), self.v_step)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        blocks = e.b.sdiv(e.b.add(self.grid.count, e.b.sub(self.block, I64(1))), self.block)
        with e.loop(*e.my_share(blocks)) as number:
            first = e.b.mul(number, self.block)
            count = e.smaller(e.minus(self.grid.count, first), self.block)
            with e.loop(I64(0), count) as t:
                self.transformed(e.b.add(first, t), e.advance(self.v, t, self.v_row))
            with e.loop(I64(0), self.outs, self.registers * e.lanes) as start:
                self.products(start, first)
                with e.loop(I64(0), count) as t, e.loop(I64(0), I64(self.registers)) as register:
                    lane = e.b.add(start, e.b.mul(register, I64(e.lanes)))
                    offset = e.b.mul(register, I64(e.lanes * self.dtype.itemsize))
                    sums = e.b.add(e.advance(self.m, t, self.m_row), offset)
                    self.results(self.grid.place(e.b.add(first, t)), sums, lane)
        return e.finish()

    def transformed(self, number: Value, v: Value) -> None:
        """The 16 numbers of a tile's pixels, for all channels."""
        self.grid.pixels(
            self.x, self.x_by, number,
            lambda load: store_numbers(self.e, load, of_pixels, self.channels, (v, self.v_step), self.dtype),
        )  # fmt: skip

    def results_at(self, start: Value) -> list[Array]:
        """Where the results of tiles go from an output channel on, and what their ending reads there."""
        e, side = self.e, STEP if self.stored is None else 1

        def array(base: Value, strides: Sequence[Value], dtype: DType, side: int, write: bool) -> Array:
            size = I64(self.registers * e.lanes * dtype.itemsize)
            return Array(e.advance(base, start, I64(dtype.itemsize)), strides, size, side=side, write=write)

        found = [array(self.target, self.out_by, self.result, side, True)]
        if self.stored is not None and self.stored.places is not None:
            found.append(array(*self.stored.places, int64, side, True))
        for (address, strides), dtype, motion in zip(self.leaves, self.leaf_types, self.motions, strict=True):
            if motion == "next":
                found.append(array(address, strides, dtype, STEP, False))
        return found

    def products(self, start: Value, first: Value) -> None:
        """The sums over the channels, for each of the 16 numbers, T tiles and some registers of output channels.

        Meanwhile what the tiles' results need is asked for, and with the first registers the tiles that come next.
        """
        e, rows, registers = self.e, tile_rows(), self.registers
        distances = [e.b.mul(self.v_row, I64(r)) for r in range(rows)]
        image = self.grid.image(self.x, self.x_by, e.b.mul(self.channels, self.item))
        with e.loop(I64(0), I64(NUMBERS)) as k:
            with e.b.if_then(e.b.icmp_signed("==", start, I64(0))):
                self.grid.ask_part(k, e.b.add(first, self.block), self.block, [image])
            self.grid.ask_part(k, first, self.block, self.results_at(start))
            u = e.advance(e.advance(self.u, k, self.u_by[0]), start, self.item)
            v, m = e.advance(self.v, k, self.v_step), e.advance(self.m, k, self.m_step)
            with e.loop(I64(0), self.block, rows) as t:
                v_here = e.advance(v, t, self.v_row)

                def channel(c: Value, sums: list[Value], u: Value = u, v: Value = v_here) -> list[Value]:
                    u_now, v_now = e.advance(u, c, self.u_by[1]), e.advance(v, c, self.item)
                    right = [e.load(e.beside(u_now, r, self.dtype), self.dtype) for r in range(registers)]
                    left = [e.splat(e.load_scalar(e.b.add(v_now, d), self.dtype)) for d in distances]
                    pairs = [(a, b) for a in left for b in right]
                    return [e.multiply_add(a, b, s) for (a, b), s in zip(pairs, sums, strict=True)]

                zeros = [e.constant(0, self.dtype)] * (rows * registers)
                sums = e.reduce_loop(I64(0), self.channels, 1, zeros, channel)
                for number, total in enumerate(sums):
                    r, register = divmod(number, registers)
                    place = e.advance(m, e.b.add(t, I64(r)), self.m_row)
                    e.store(e.beside(place, register, self.dtype), total, self.dtype)

    def results(self, place: tuple[Value, Value, Value], sums: Value, lane: Value) -> None:
        """The four results of a tile for a register of output channels, ended, pooled and stored."""
        e = self.e
        mask = e.mask(e.minus(self.outs, lane))
        numbers = [e.load(e.advance(sums, I64(k), self.m_step), self.dtype) for k in range(NUMBERS)]
        square = [numbers[SIDE * r : SIDE * (r + 1)] for r in range(SIDE)]
        four = flat(both_ways(e, of_sums, square))
        spoiled = e.b.not_(all_finite(e, four))
        four = keep_if(e, spoiled, four, lambda: self.tap_by_tap(place, lane, mask))
        if self.stored is not None:
            self.pool(self.stored, four, place, lane, mask)
            return
        for number, value in enumerate(four):
            at, inside = self.position(place, divmod(number, STEP))
            here = mask if inside is None else e.b.and_(mask, e.splat(inside))
            target = e.advance(element(e, self.target, self.out_by, at), lane, I64(self.result.itemsize))
            e.store(target, self.ended(value, at, lane, here), self.result, here)

    def position(self, place: tuple[Value, Value, Value], within: tuple[int, int]) -> tuple[list[Value], Value | None]:
        """Where a result of a tile lies, and whether it is in the image where it may not be; then the first one's."""
        e, (n, i, j) = self.e, place
        at, conditions = [n], []
        for index, k, size in zip((i, j), within, (self.out_height, self.out_width), strict=True):
            first = e.b.mul(index, I64(STEP))
            position = e.b.add(first, I64(k))
            if k and self.stored is None:
                conditions.append(self.grid.inside(position, size))
                position = e.b.select(conditions[-1], position, first)
            at.append(position)
        inside = None if not conditions else conditions[0]
        for condition in conditions[1:]:
            inside = e.b.and_(inside, condition)
        return at, inside

    def tap_by_tap(self, place: tuple[Value, Value, Value], lane: Value, mask: Value) -> list[Value]:
        """The four results of a tile as sums over taps and channels."""
        e, (n, i, j) = self.e, place
        top, left = self.grid.corner(i, j)
        x_image = e.advance(self.x, n, self.x_by[0])
        w_lane = e.advance(self.w, lane, self.item)

        def tap(taps: list[Value], sums: list[Value]) -> list[Value]:
            w_here = element(e, w_lane, self.w_by[:2], taps)
            pixels = []
            for number in range(STEP * STEP):
                row, column = (
                    e.b.add(e.b.add(start, t), I64(k))
                    for start, t, k in zip((top, left), taps, divmod(number, STEP), strict=True)
                )
                inside = e.b.and_(self.grid.inside(row, self.grid.height), self.grid.inside(column, self.grid.width))
                address = element(e, x_image, self.x_by[1:], [row, column])
                pixels.append((inside, e.b.select(inside, address, x_image)))

            def channel(c: Value, sums: list[Value]) -> list[Value]:
                right = e.load(e.advance(w_here, c, self.w_by[2]), self.dtype, mask)
                zero = e.scalar(0, self.dtype)
                left = [
                    e.splat(e.b.select(inside, e.load_scalar(e.advance(a, c, self.item), self.dtype), zero))
                    for inside, a in pixels
                ]
                return [e.multiply_add(a, right, s) for a, s in zip(left, sums, strict=True)]

            return e.reduce_loop(I64(0), self.channels, 1, sums, channel)

        return carry(e, [I64(3), I64(3)], [e.constant(0, self.dtype)] * STEP**2, tap)

    def ended(self, value: Value, at: list[Value], lane: Value, mask: Value) -> Value:
        """The ending's expression of a register at a position."""
        if self.ending is None:
            return value
        here = [element(self.e, address, by, at) for address, by in self.leaves]
        kinds = list(zip(self.leaf_types, self.motions, strict=True))
        return self.ending.evaluate(self.e, value, leaf_reader(self.e, here, kinds, lane, mask))

    def pool(
        self, stored: Stored, four: list[Value], place: tuple[Value, Value, Value], lane: Value, mask: Value
    ) -> None:
        """A tile is a window: the largest of its results, and its place."""
        e, (n, i, j) = self.e, place
        ats = [self.position(place, divmod(number, STEP))[0] for number in range(STEP * STEP)]
        numbers = [stored.number(row, column) for _, row, column in ats]
        winners = Winners(e, self.result, numbers[:1], placed=stored.pooling.placed)
        carried = winners.start
        for value, at, number in zip(four, ats, numbers, strict=True):
            carried = winners.look(carried, 0, self.ended(value, at, lane, mask), number)
        (won,) = winners.results(carried)
        stored.store(element(e, self.target, self.out_by, [n, i, j]), [n, i, j], lane, won, mask)


def winograd_kernel(
    dtype: DType, ending: Ending | None, motions: tuple[str, ...], registers: int, pooling: PoolForm | None
) -> int:
    """The address of the convolution of an image by tiles; the record is :class:`_Convolution`'s.

    ``motions`` says how each leaf of the ending moves along the channels. ``registers`` of output channels are computed
    at once. ``pooling``: windows of 2 x 2 follow.
    """
    return _Convolution(dtype, ending, motions, registers, pooling).write()


def winograd_weights_kernel(dtype: DType) -> int:
    """The address of the transform of a kernel, u = G g G' for every pair of channels.

    Record: C, D; addresses of w and u; strides of w by tap (both axes) and channel, of u by number and channel. Rows of
    u have as many numbers as fill their registers.
    """
    e = Emitter(lanes_for(dtype))
    channels, outs, w, u = (e.field() for _ in range(4))
    w_by, u_by = [e.field() for _ in range(3)], [e.field() for _ in range(2)]
    with e.loop(*e.my_share(channels)) as c, e.loop(I64(0), outs, e.lanes) as d:
        mask, distance = e.mask(e.minus(outs, d)), e.b.mul(d, I64(dtype.itemsize))
        here = e.b.add(e.advance(w, c, w_by[2]), distance)
        square = [
            [e.load(element(e, here, w_by[:2], [I64(r), I64(s)]), dtype, mask) for s in range(3)] for r in range(3)
        ]
        to = e.b.add(e.advance(u, c, u_by[1]), distance)
        for k, value in enumerate(flat(both_ways(e, of_kernel, square))):
            e.store(e.advance(to, I64(k), u_by[0]), value, dtype)
    return e.finish()
