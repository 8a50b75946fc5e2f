"""Convolutions with three rows of taps, two rows of results at once: sums and differences of rows make 6 products 4.

Of rows d0 to d3 of an image and g0 to g2 of the kernel (Winograd's F(2, 3), 1980, along one axis):

    m0 = (d0 - d2) g0,  m1 = (d1 + d2)(g0 + g1 + g2)/2,  m2 = (d2 - d1)(g0 - g1 + g2)/2,  m3 = (d3 - d1) g2,
    y0 = m0 + m1 + m2,  y1 = m1 - m2 + m3,

where each product stands for the sum over the taps along the row and the channels. Few channels are enough to pay for
it: sums of rows take as long as a copy with zeros around the image, which they replace, and those of the kernel are
made once. Square tiles (:mod:`pellucid.backends.cpu.winograd`) save more, but need many channels.

The differences would make NaN of an infinite pixel, also in results that never saw it. So rows whose numbers are not
finite, or so large that a sum might not be, are computed tap by tap.
"""

# N batch, O x P results, H rows of the image, R taps along a row times channels in, D channels out; strides in bytes.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.backends.cpu import target
from pellucid.backends.cpu.conv_pool import PoolForm, Stored
from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.row_runs import STEP, are_small, no_squares, sums_of_kernel, sums_of_rows, with_squares
from pellucid.backends.cpu.windows import Winners, carry, even_blocks, pieces
from pellucid.backends.cpu.winograd import LINE
from pellucid.dtypes import DType

#: Rows of taps, and of sums for them.
TAPS, SUMS = 3, 4
# Positions of a row that are computed at once, at most, if each has one register of channels; by how many there are.
_POSITIONS = {32: 14, 16: 5}


@dataclass(frozen=True)
class PairForm:
    """What a kernel is written for.

    Attributes:
        lanes: Output channels in a register.
        whole: Whether the output channels fill their registers.
        registers: Registers of output channels at once.
        unrolled: Steps of the loop over R that are written out.
        position: Bytes between neighbouring positions of the image.
        blocks: Positions of a row that are computed at once.
    """

    lanes: int
    whole: bool
    registers: int
    unrolled: int
    position: int
    blocks: tuple[int, ...]


def blocks_of(width: int, registers: int, together: int = 1) -> tuple[int, ...]:
    """How many positions of a row are computed at once, each with two sums of so many registers.

    Args:
        width: Positions of a row.
        registers: Registers of output channels of each.
        together: Positions that are not taken apart.

    >>> sum(blocks_of(5, 1)), blocks_of(4, 1, 2)
    (5, (4,))
    """
    most = _POSITIONS[target.vector_registers()] // registers // together
    return tuple(n * together for n in even_blocks(width // together, most)) if width else (1,)


class Rows:
    """The sums and differences of an image's rows, in a thread's memory.

    Record: H; rows of zeros above the image; bytes of a row, whose elements lie side by side and fill a register;
    bytes of zeros before it; bytes of a row of sums.
    """

    def __init__(self, e: Emitter, dtype: DType) -> None:
        self.e, self.dtype = e, dtype
        self.height, self.above, self.row, self.left, self.size = (e.field() for _ in range(5))

    def clear(self, memory: Value, pairs: Value) -> Value:
        """Write zeros to a row and to the sums for some pairs of rows, which come after it; what comes after them."""
        e, self.memory = self.e, memory
        self.sums = e.b.add(memory, self.size)
        self.apart = e.b.mul(pairs, self.size)
        end = e.advance(self.sums, I64(SUMS), self.apart)
        with e.loop(memory, end, e.lanes * self.dtype.itemsize) as place:
            e.store(place, e.constant(0, self.dtype), self.dtype)
        return end

    def inside(self, row: Value) -> Value:
        """Whether a row is one of the image."""
        return self.e.b.icmp_unsigned("<", row, self.height)

    def put(self, image: Value, stride: Value, pair: Value, place: Value, ahead: Value | None = None) -> Value:
        """The sums for a pair of rows of results; whether they are small.

        Args:
            image: The image's address.
            stride: Bytes between its rows.
            pair: The number of the pair.
            place: In the place of which pair the sums go.
            ahead: Bytes to what is asked for where a row is read, if anything is.
        """
        e, dtype, register = self.e, self.dtype, self.e.lanes * self.dtype.itemsize
        first = e.minus(e.b.mul(pair, I64(STEP)), self.above)
        sources, following = [], []
        for number in range(SUMS):
            row = e.b.add(first, I64(number))
            inside = self.inside(row)
            sources.append(e.b.select(inside, e.advance(image, row, stride), self.memory))
            if ahead is not None and number >= SUMS - STEP:
                following.append(e.b.add(sources[-1], e.b.select(inside, ahead, I64(0))))
        target = e.b.add(e.advance(self.sums, place, self.size), self.left)
        targets = [e.advance(target, I64(number), self.apart) for number in range(SUMS)]
        last = e.minus(self.row, I64(register))

        def some(number: Value, squares: list[Value]) -> list[Value]:
            start = e.b.mul(number, I64(register))
            place = e.smaller(start, last)  # the last register begins earlier, where it would not end with the row
            d = [e.load(e.b.add(source, place), dtype) for source in sources]
            for source in following:
                e.prefetch(e.b.add(source, place))
            for address, value in zip(targets, sums_of_rows(e, d, (TAPS,)), strict=True):
                e.store(e.b.add(address, place), value, dtype)
            return with_squares(e, squares, d)

        registers = e.ceiling(self.row, register)
        return are_small(e, e.reduce_loop(I64(0), registers, 1, no_squares(e, dtype), some))


class Forward:
    """The convolution in the making.

    Record: N, R, D, O, P; addresses of x, w and the result; strides of x by image and row, of w by row of taps and
    element of R, of the result by image, row and position; what :class:`Rows` reads; the thread's memory; for every
    leaf of the ending its address and its strides by image, row and position.
    """

    def __init__(self, dtype: DType, ending: Ending | None, motions: tuple[str, ...], form: PairForm) -> None:
        self.dtype, self.ending, self.motions, self.form = dtype, ending, motions, form
        self.e = e = Emitter(form.lanes)
        self.item = I64(dtype.itemsize)
        self.batch, self.run, self.outs, self.height, self.width = (e.field() for _ in range(5))
        self.x, self.w, self.target = (e.field() for _ in range(3))
        (self.x_by, self.w_by, self.out_by) = ([e.field() for _ in range(n)] for n in (2, 2, 3))
        self.rows = Rows(e, dtype)
        self.memory = e.own_memory()
        self.leaf_types = ending.memory_types if ending else []
        self.leaves = [(e.field(), [e.field() for _ in range(3)]) for _ in self.leaf_types]
        self.result = ending.expression.dtype if ending else dtype
        # The kernel's sums [4, R, D], whose rows are filled up.
        self.u_row = e.b.mul(e.b.mul(e.ceiling(self.outs, e.lanes), I64(e.lanes)), self.item)
        self.u_step = e.b.mul(self.run, self.u_row)

    def mask(self, lane: Value) -> Value | None:
        """The lanes of a register of output channels that are some; None: all of them."""
        return None if self.form.whole else self.e.mask(self.e.minus(self.outs, lane))

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        self.u = self.rows.clear(self.memory, I64(1))
        kernel_is_small, pairs = self.put_kernel(), self.pairs
        with e.loop(*e.my_share(e.b.mul(self.batch, pairs))) as item:
            n, pair = e.b.sdiv(item, pairs), e.b.srem(item, pairs)
            rows_are_small = self.rows.put(e.advance(self.x, n, self.x_by[0]), self.x_by[1], pair, I64(0))
            with e.b.if_else(e.b.and_(kernel_is_small, rows_are_small), likely=True) as (good, bad):
                with good:
                    self.put_pair(n, pair)
                with bad:
                    self.put_tap_by_tap(n, pair)
        return e.finish()

    def put_kernel(self) -> Value:
        """The sums of the kernel's rows; whether they are small."""
        e, dtype = self.e, self.dtype

        def some(at: list[Value], squares: list[Value]) -> list[Value]:
            r, d = at[0], e.b.mul(at[1], I64(e.lanes))
            mask, distance = self.mask(d), e.b.mul(d, self.item)
            here = e.b.add(e.advance(self.w, r, self.w_by[1]), distance)
            g = [e.load(e.advance(here, I64(k), self.w_by[0]), dtype, mask) for k in range(TAPS)]
            to = e.b.add(e.advance(self.u, r, self.u_row), distance)
            for number, value in enumerate(sums_of_kernel(e, g, (TAPS,))):
                e.store(e.advance(to, I64(number), self.u_step), value, dtype)
            return with_squares(e, squares, g)

        registers = e.ceiling(self.outs, e.lanes)
        return are_small(e, carry(e, [self.run, registers], no_squares(e, dtype), some))

    def put_pair(self, n: Value, pair: Value) -> None:
        """The results of a pair of rows, from the sums."""
        blocks = self.form.blocks
        pieces(self.e, I64(0), self.columns, blocks, lambda p, count: self.positions(n, pair, p, count))

    @property
    def pairs(self) -> Value:
        """Pairs of rows of an image's results."""
        return self.e.ceiling(self.height, STEP)

    @property
    def columns(self) -> Value:
        """Positions of a row."""
        return self.width

    def positions(self, n: Value, pair: Value, start: Value, count: int) -> None:
        """Some positions of both rows, for all output channels."""
        e, registers = self.e, self.form.registers
        with e.loop(I64(0), self.outs, registers * e.lanes) as d:
            self.ask((n, pair, start), d, count)
            lanes = [e.b.add(d, I64(r * e.lanes)) for r in range(registers)]
            self.put((n, pair, start), lanes, self.sums_of(start, d, count))

    def ask(self, place: tuple[Value, Value, Value], d: Value, count: int) -> None:
        """Ask for where the next positions' results go."""
        e, (n, pair, start) = self.e, place
        register = e.lanes * self.result.itemsize
        for number in range(STEP * count):
            row = e.b.add(e.b.mul(pair, I64(STEP)), I64(number // count))
            there = self.at(self.target, self.out_by, [n, row, e.b.add(start, I64(count + number % count))])
            for line in range(0, self.form.registers * register, LINE):
                e.prefetch(e.b.add(e.advance(there, d, I64(self.result.itemsize)), I64(line)), write=True)

    def put(self, place: tuple[Value, Value, Value], lanes: list[Value], sums: tuple[list[Value], list[Value]]) -> None:
        """Store the sums of some positions: of the upper row, and of the lower one if there is one."""
        e, (n, pair, start), registers = self.e, place, len(lanes)
        first = e.b.mul(pair, I64(STEP))

        def store(row: Value, values: list[Value]) -> None:
            for number, value in enumerate(values):
                i, r = divmod(number, registers)
                self.store([n, row, e.b.add(start, I64(i))], lanes[r], value)

        store(first, sums[0])
        second = e.b.add(first, I64(1))
        with e.b.if_then(e.b.icmp_signed("<", second, self.height)):
            store(second, sums[1])

    def put_tap_by_tap(self, n: Value, pair: Value) -> None:
        """The results of a pair of rows, from the image."""
        e, first = self.e, self.e.b.mul(pair, I64(STEP))
        stop = e.smaller(e.b.add(first, I64(STEP)), self.height)
        with e.loop(first, stop) as row, e.loop(I64(0), self.columns) as column:
            here = [n, row, column]
            with e.loop(I64(0), self.outs, e.lanes) as lane:
                self.store(here, lane, self.tap_by_tap(here, lane))

    def sums_of(self, start: Value, d: Value, count: int) -> tuple[list[Value], list[Value]]:
        """The sums for some positions, each with its registers of output channels: of the upper row, and the lower."""
        e, many = self.e, count * self.form.registers
        here = e.b.mul(start, I64(self.form.position))
        u = e.advance(self.u, d, self.item)

        def products(numbers: tuple[int, int], sums: list[Value]) -> list[Value]:
            left = [e.b.add(e.advance(self.rows.sums, I64(number), self.rows.apart), here) for number in numbers]
            right = [e.advance(u, I64(number), self.u_step) for number in numbers]

            def some(r: Value, own: list[Value]) -> list[Value]:
                places = [e.advance(address, r, self.item) for address in left]
                kernels = [e.advance(address, r, self.u_row) for address in right]
                for step in range(self.form.unrolled):
                    own = self.step(places, kernels, step, own)
                return own

            return e.reduce_loop(I64(0), self.run, self.form.unrolled, sums, some)

        zeros = [e.constant(0, self.dtype)] * many
        sums = products((1, 2), [*zeros, *zeros])
        both = list(zip(sums[:many], sums[many:], strict=True))
        sums = products((0, 3), [*(e.b.fadd(a, b) for a, b in both), *(e.b.fsub(a, b) for a, b in both)])
        return sums[:many], sums[many:]

    def step(self, places: list[Value], kernels: list[Value], step: int, sums: list[Value]) -> list[Value]:
        """The sums after one more element of R."""
        e, dtype, registers = self.e, self.dtype, self.form.registers
        many, sums = len(sums) // 2, list(sums)
        for number, (place, kernel) in enumerate(zip(places, kernels, strict=True)):
            row = e.advance(kernel, I64(step), self.u_row)
            right = [e.load(e.beside(row, r, dtype), dtype) for r in range(registers)]
            for i in range(many // registers):
                distance = I64(step * dtype.itemsize + i * self.form.position)
                left = e.splat(e.load_scalar(e.b.add(place, distance), dtype))
                for r, value in enumerate(right):
                    at = number * many + i * registers + r
                    sums[at] = e.multiply_add(left, value, sums[at])
        return sums

    def tap_by_tap(self, place: list[Value], lane: Value) -> Value:
        """A register of results as the sum over taps and channels."""
        e, dtype, (n, row, column) = self.e, self.dtype, place
        mask, w = self.mask(lane), e.advance(self.w, lane, self.item)
        image = e.advance(self.x, n, self.x_by[0])
        before = e.minus(e.b.mul(column, I64(self.form.position)), self.rows.left)

        def tap(k: Value, sums: list[Value]) -> list[Value]:
            own = e.minus(e.b.add(row, k), self.rows.above)
            here = e.advance(image, own, self.x_by[1])
            w_row = e.advance(w, k, self.w_by[0])

            def element(r: Value, sums: list[Value]) -> list[Value]:
                distance = e.b.add(before, e.b.mul(r, self.item))
                inside = e.b.and_(self.rows.inside(own), e.b.icmp_unsigned("<", distance, self.rows.row))
                address = e.b.select(inside, e.b.add(here, distance), self.rows.memory)  # a zero
                right = e.load(e.advance(w_row, r, self.w_by[1]), dtype, mask)
                return [e.multiply_add(e.splat(e.load_scalar(address, dtype)), right, sums[0])]

            return e.reduce_loop(I64(0), self.run, 1, sums, element)

        (total,) = e.reduce_loop(I64(0), I64(TAPS), 1, [e.constant(0, dtype)], tap)
        return total

    def at(self, base: Value, strides: list[Value], place: list[Value]) -> Value:
        """The address of a place's first channel."""
        for stride, i in zip(strides, place, strict=True):
            base = self.e.advance(base, i, stride)
        return base

    def ended(self, value: Value, place: list[Value], lane: Value) -> Value:
        """The ending's expression of a register."""
        if self.ending is None:
            return value
        e, rows = self.e, [self.at(address, strides, place) for address, strides in self.leaves]
        mask, kinds = self.mask(lane), list(zip(self.leaf_types, self.motions, strict=True))
        return self.ending.evaluate(e, value, leaf_reader(e, rows, kinds, lane, mask))

    def store(self, place: list[Value], lane: Value, value: Value) -> None:
        """A register of sums, ended, at its place."""
        e = self.e
        here = e.advance(self.at(self.target, self.out_by, place), lane, I64(self.result.itemsize))
        e.store(here, self.ended(value, place, lane), self.result, self.mask(lane))


class _Pooled(Forward):
    """The convolution with max pooling by windows of 2 x 2.

    Record: the convolution's, with the sizes and strides of the pooled image as those of the result; then what
    :class:`~pellucid.backends.cpu.conv_pool.Stored` reads. Strides of the ending's leaves are by positions of the
    convolution.
    """

    def __init__(
        self, dtype: DType, ending: Ending | None, motions: tuple[str, ...], form: PairForm, pooling: PoolForm
    ) -> None:
        super().__init__(dtype, ending, motions, form)
        self.stored = Stored(self.e, pooling, self.result, 3)

    @property
    def pairs(self) -> Value:
        """Rows of windows."""
        return self.height

    @property
    def columns(self) -> Value:
        """Positions of a row in windows."""
        return self.e.b.mul(self.width, I64(STEP))

    def ask(self, place: tuple[Value, Value, Value], d: Value, count: int) -> None:
        """Winners are few."""

    def put(self, place: tuple[Value, Value, Value], lanes: list[Value], sums: tuple[list[Value], list[Value]]) -> None:
        """Store the winners of some windows."""
        registers = len(lanes)
        for window in range(len(sums[0]) // (STEP * registers)):
            for r, lane in enumerate(lanes):
                at = [(STEP * window + i) * registers + r for i in range(STEP)]
                values = [row[number] for row in sums for number in at]
                self.put_window(place, I64(window), lane, lambda k, _, values=values: values[k])

    def put_tap_by_tap(self, n: Value, pair: Value) -> None:
        """The results of a row of windows, from the image."""
        e, place = self.e, (n, pair, I64(0))
        with e.loop(I64(0), self.width) as window, e.loop(I64(0), self.outs, e.lanes) as lane:
            self.put_window(place, window, lane, lambda _, at: self.tap_by_tap(at, lane))

    def put_window(
        self,
        place: tuple[Value, Value, Value],
        window: Value,
        lane: Value,
        value_of: Callable[[int, list[Value]], Value],
    ) -> None:
        """Store the winner of a window; ``value_of``: the sums of its elements, by number and place."""
        e, stored, (n, pair, start) = self.e, self.stored, place
        column = e.b.add(e.b.sdiv(start, I64(STEP)), window)
        top, left = e.b.mul(pair, I64(STEP)), e.b.mul(column, I64(STEP))
        winners = Winners(e, self.result, [stored.number(top, left)], placed=stored.pooling.placed)
        carried = winners.start
        for k in range(STEP * STEP):
            row, own = (e.b.add(first, I64(i)) for first, i in zip((top, left), divmod(k, STEP), strict=True))
            at = [n, row, own]
            value = self.ended(value_of(k, at), at, lane)
            carried = winners.look(carried, 0, value, stored.number(row, own))
        (won,) = winners.results(carried)
        stored.store(
            self.at(self.target, self.out_by, [n, pair, column]), [n, pair, column], lane, won, self.mask(lane)
        )


def pairs_kernel(
    dtype: DType, ending: Ending | None, motions: tuple[str, ...], form: PairForm, pooling: PoolForm | None = None
) -> int:
    """The address of the convolution; the record is :class:`Forward`'s, or with pooling :class:`_Pooled`'s.

    ``motions`` says how each leaf of the ending moves along the channels: ``"stays"`` or ``"next"``.
    """
    if pooling is None:
        return Forward(dtype, ending, motions, form).write()
    return _Pooled(dtype, ending, motions, form, pooling).write()
