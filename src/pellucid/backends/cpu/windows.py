"""Kernels over windows of images [N, spatial, C]: the sum of each window, its transpose, and the largest element."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from pellucid.backends.cpu.elementwise import neutral
from pellucid.backends.cpu.emit import I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place, larger
from pellucid.dtypes import DType, int32, int64


class _Window:
    """The numbers of a window, axis by axis, as a kernel's record gives them.

    Record: for each spatial axis image size, output size, window size, stride, dilation, padding before.
    """

    def __init__(self, e: Emitter, rank: int) -> None:
        self.e, self.rank = e, rank
        self.image: list[Value] = []
        self.out: list[Value] = []
        self.taps: list[Value] = []
        self.stride: list[Value] = []
        self.dilation: list[Value] = []
        self.before: list[Value] = []
        for _ in range(rank):
            for column in (self.image, self.out, self.taps, self.stride, self.dilation, self.before):
                column.append(e.field())

    def position(self, axis: int, out: Value, tap: Value) -> Value:
        """Where a tap of an output position lies in the image, padding not counted."""
        b = self.e.b
        start = b.sub(b.mul(out, self.stride[axis]), self.before[axis])
        return b.add(start, b.mul(tap, self.dilation[axis]))

    def inside(self, axis: int, position: Value) -> Value:
        """Whether a position lies in the image; negative ones are large as unsigned numbers."""
        return self.e.b.icmp_unsigned("<", position, self.image[axis])


def over(e: Emitter, sizes: Sequence[Value], body: Callable[[list[Value]], None]) -> None:
    """Nested loops over all sizes; the body gets the indices."""

    def nest(indices: list[Value]) -> None:
        if len(indices) == len(sizes):
            body(indices)
            return
        with e.loop(I64(0), sizes[len(indices)]) as i:
            nest([*indices, i])

    nest([])


def pieces(e: Emitter, start: Value, stop: Value, sizes: tuple[int, ...], body: Callable[[Value, int], None]) -> None:
    """``body(first, size)`` for pieces of a range: as many of the first size as fit, then of the next one."""
    for size in sizes:
        end = e.b.add(start, e.b.mul(e.b.sdiv(e.minus(stop, start), I64(size)), I64(size)))
        with e.loop(start, end, size) as i:
            body(i, size)
        start = end


def even_blocks(count: int, most: int) -> tuple[int, ...]:
    """Sizes for :func:`pieces` by which a range of so many is cut into blocks as equal as can be.

    >>> even_blocks(30, 14), even_blocks(13, 6), even_blocks(4, 6)
    ((10,), (5, 3), (4,))
    """
    block = -(-count // -(-count // most))
    return tuple(n for n in (block, count % block) if n)


def carry(
    e: Emitter, sizes: Sequence[Value], start: list[Value], body: Callable[[list[Value], list[Value]], list[Value]]
) -> list[Value]:
    """Nested loops that carry registers; the body gets the indices and the registers."""

    def nest(indices: list[Value], carried: list[Value]) -> list[Value]:
        if len(indices) == len(sizes):
            return body(indices, carried)
        return e.reduce_loop(I64(0), sizes[len(indices)], 1, carried, lambda i, inner: nest([*indices, i], inner))

    return nest([], start)


def keep_if(e: Emitter, condition: Value, before: list[Value], then: Callable[[], list[Value]]) -> list[Value]:
    """The registers of ``then`` where the condition holds, else those from before."""
    return e.either(condition, then, lambda: before)


def all_finite(e: Emitter, values: Sequence[Value]) -> Value:
    """Whether no lane of some registers holds NaN or infinity, which times 0 are NaN."""
    zero = values[0].type([values[0].type.element(0.0)] * e.lanes)
    total = e.b.fmul(values[0], zero)
    for value in values[1:]:
        total = e.multiply_add(value, zero, total)
    ordered: Value = e.b.bitcast(e.b.fcmp_ordered("ord", total, total), ir.IntType(e.lanes))
    return e.b.icmp_unsigned("==", ordered, ir.Constant(ordered.type, -1))


def are_finite(e: Emitter, address: Value, count: Value, dtype: DType) -> Value:
    """Whether all of so many numbers that lie side by side are finite."""

    def some(n: Value, nothing: list[Value]) -> list[Value]:
        value = e.load(e.advance(address, n, I64(dtype.itemsize)), dtype, e.mask(e.minus(count, n)))
        return [e.multiply_add(value, e.constant(0, dtype), nothing[0])]

    return all_finite(e, e.reduce_loop(I64(0), count, e.lanes, [e.constant(0, dtype)], some))


def _all_inside(e: Emitter, window: _Window, positions: Sequence[Value]) -> Value:
    condition = window.inside(0, positions[0])
    for axis in range(1, window.rank):
        condition = e.b.and_(condition, window.inside(axis, positions[axis]))
    return condition


def element(e: Emitter, base: Value, strides: Sequence[Value], indices: Sequence[Value]) -> Value:
    """The address of an element: base + sum of index * stride."""
    address = base
    for stride, i in zip(strides, indices, strict=True):
        address = e.advance(address, i, stride)
    return address


class Winners:
    """The largest elements of some windows so far, and where they lie: registers that a loop carries.

    NaN counts as the largest, and of equal ones the first wins.
    """

    def __init__(self, e: Emitter, dtype: DType, first: Sequence[Value], *, placed: bool) -> None:
        """``first``: the number of each window's first element; ``placed``: whether places are kept at all."""
        self._e, self._place, self._count, self._placed = e, Place(e, dtype, dtype), len(first), placed
        self.start = [e.constant(neutral("max", dtype), dtype)] * self._count
        if placed:
            self.start += [self._number(n) for n in first]

    def _number(self, number: Value) -> Value:
        """A number in every lane; images have fewer than 2^31 positions."""
        return self._e.splat(self._e.b.trunc(number, I32))

    def look(self, carried: list[Value], window: int, x: Value, number: Value) -> list[Value]:
        """The registers after a look at one more element of a window."""
        best = carried[window]
        wins = larger(self._place, x, best)
        new = list(carried)
        new[window] = self._e.b.select(wins, x, best)
        if self._placed:
            at = self._count + window
            new[at] = self._e.b.select(wins, self._number(number), carried[at])
        return new

    def results(self, carried: list[Value]) -> list[tuple[Value, Value | None]]:
        """For each window its largest element, and its place as int64 where places are kept."""
        best = carried[: self._count]
        if not self._placed:
            return [(x, None) for x in best]
        wide = self._e.vector_type(int64)
        return [(x, self._e.b.sext(n, wide)) for x, n in zip(best, carried[self._count :], strict=True)]


class _Pooling:
    """What the pooling kernels share: an image, its output, and arrays of the output's shape.

    One axis, samples or channels, is in the lanes of the registers; the other one is outermost.

    Record: the window; sizes of the outer axis and of the one in lanes; addresses of image, output and further arrays;
    for each of them its strides (outer, spatial..., lanes).
    """

    def __init__(self, dtype: DType, rank: int, arrays: int) -> None:
        self.dtype, self.rank = dtype, rank
        self.e = e = Emitter(lanes_for(dtype))
        self.window = _Window(e, rank)
        self.outer, self.inner = e.field(), e.field()
        addresses = [e.field() for _ in range(arrays)]
        strides = [[e.field() for _ in range(rank + 2)] for _ in range(arrays)]
        self.arrays = list(zip(addresses, strides, strict=True))

    def each(self, body: Callable[[Value, list[Value], Value, Value], None], *, alone: bool) -> None:
        """``body(outer, place, lane, mask)`` for every register of the output; ``alone``: one thread for an image."""
        e, window = self.e, self.window

        def at(outer: Value, place: list[Value]) -> None:
            with e.loop(I64(0), self.inner, e.lanes) as lane:
                body(outer, place, lane, e.mask(e.minus(self.inner, lane)))

        if alone:
            with e.loop(*e.my_share(self.outer)) as outer:
                over(e, window.out, lambda place: at(outer, place))
            return
        with e.loop(*e.my_share(e.b.mul(self.outer, window.out[0]))) as item:
            first, outer = e.b.sdiv(item, self.outer), e.b.srem(item, self.outer)
            over(e, window.out[1:], lambda place: at(outer, [first, *place]))

    def address(self, array: int, outer: Value, place: Sequence[Value], lane: Value) -> Value:
        """Where a register of an array begins."""
        base, strides = self.arrays[array]
        return element(self.e, base, strides, [outer, *place, lane])

    def window_at(
        self, array: int, outer: Value, place: list[Value], lane: Value
    ) -> Callable[[Sequence[Value]], Value]:
        """Where a tap of an output position begins, as a function of the tap."""
        first = self.address(array, outer, self.positions(place, [I64(0)] * self.rank), lane)
        strides = self.arrays[array][1][1:-1]
        by_tap = [self.e.b.mul(s, d) for s, d in zip(strides, self.window.dilation, strict=True)]
        return lambda taps: element(self.e, first, by_tap, taps)

    def positions(self, place: list[Value], taps: list[Value]) -> list[Value]:
        """Where a tap of an output position lies in the image."""
        return [self.window.position(a, place[a], taps[a]) for a in range(self.rank)]

    def flat(self, positions: Sequence[Value]) -> Value:
        """The number of a position in the image, in row order."""
        b, number = self.e.b, positions[0]
        for axis in range(1, self.rank):
            number = b.add(b.mul(number, self.window.image[axis]), positions[axis])
        return number

    def number(self, positions: Sequence[Value]) -> Value:
        """The number of a position in every lane; images have fewer than 2^31 positions."""
        return self.e.splat(self.e.b.trunc(self.flat(positions), I32))


def window_sum_kernel(dtype: DType, rank: int, spreading: bool) -> int:
    """The address of the sum of each window, or (``spreading``) of its transpose added to zeros; see ``_Pooling``."""
    k = _Pooling(dtype, rank, 2)
    e, place_of = k.e, Place(k.e, dtype, dtype)

    def at(outer: Value, place: list[Value], lane: Value, mask: Value) -> None:
        out = k.address(1, outer, place, lane)
        start = e.load(out, dtype, mask) if spreading else e.constant(0, dtype)

        def tap(taps: list[Value], carried: list[Value]) -> list[Value]:
            positions = k.positions(place, taps)

            def inside() -> list[Value]:
                inner = k.address(0, outer, positions, lane)
                total = LANES["add"](place_of, e.load(inner, dtype, mask), carried[0])
                if not spreading:
                    return [total]
                e.store(inner, total, dtype, mask)
                return carried

            return keep_if(e, _all_inside(e, k.window, positions), carried, inside)

        (total,) = carry(e, k.window.taps, [start], tap)
        if not spreading:
            e.store(out, total, dtype, mask)

    k.each(at, alone=spreading)
    return e.finish()


def max_pool_index_kernel(dtype: DType, rank: int, taking: bool, inside: bool = False) -> int:
    """The address of the search for each window's first largest element; NaN counts as the largest; see ``_Pooling``.

    The output is the element's number in the image, as int64; ``taking`` writes the element too, to a third array.
    ``inside``: every window lies inside the image, and nothing is tested.
    """
    k = _Pooling(dtype, rank, 3 if taking else 2)
    e, place_of = k.e, Place(k.e, dtype, dtype)

    def at(outer: Value, place: list[Value], lane: Value, mask: Value) -> None:
        window = k.window_at(0, outer, place, lane)

        def tap(taps: list[Value], carried: list[Value]) -> list[Value]:
            best, where = carried
            positions = k.positions(place, taps)

            def look() -> list[Value]:
                x = e.load(window(taps), dtype, mask)
                # The first element inside the image wins over nothing.
                wins = e.b.or_(e.b.icmp_signed("<", where, e.constant(0, int32)), larger(place_of, x, best))
                return [e.b.select(wins, x, best), e.b.select(wins, k.number(positions), where)]

            if inside:
                return look()
            return keep_if(e, _all_inside(e, k.window, positions), carried, look)

        best, winner = carry(e, k.window.taps, [e.constant(0, dtype), e.constant(-1, int32)], tap)
        e.store(k.address(1, outer, place, lane), e.b.sext(winner, e.vector_type(int64)), int64, mask)
        if taking:
            e.store(k.address(2, outer, place, lane), best, dtype, mask)

    k.each(at, alone=False)
    return e.finish()


def max_pool_kernel(dtype: DType, rank: int) -> int:
    """The address of each window's largest element, where all windows lie inside the image; see ``_Pooling``."""
    k = _Pooling(dtype, rank, 2)
    e, place_of = k.e, Place(k.e, dtype, dtype)

    def at(outer: Value, place: list[Value], lane: Value, mask: Value) -> None:
        window = k.window_at(0, outer, place, lane)

        def tap(taps: list[Value], carried: list[Value]) -> list[Value]:
            x = e.load(window(taps), dtype, mask)
            return [e.b.select(larger(place_of, x, carried[0]), x, carried[0])]

        first = e.load(window([I64(0)] * rank), dtype, mask)
        (best,) = carry(e, k.window.taps, [first], tap)
        e.store(k.address(1, outer, place, lane), best, dtype, mask)

    k.each(at, alone=False)
    return e.finish()


def unpool_kernel(dtype: DType, rank: int, overlapping: bool) -> int:
    """The address of the gradient of max pooling: each output's cotangent goes to the element that won.

    The arrays are the image's gradient, the cotangent, the winners' numbers (int64); see ``_Pooling``. Where windows
    overlap the gradient is added to what is there, else every element of a window is written.
    """
    k = _Pooling(dtype, rank, 3)
    e, place_of = k.e, Place(k.e, dtype, dtype)

    def at(outer: Value, place: list[Value], lane: Value, mask: Value) -> None:
        ct = e.load(k.address(1, outer, place, lane), dtype, mask)
        winner = e.b.trunc(e.load(k.address(2, outer, place, lane), int64, mask), e.vector_type(int32))

        def tap(taps: list[Value]) -> None:
            positions = k.positions(place, taps)
            with e.b.if_then(_all_inside(e, k.window, positions)):
                target = k.address(0, outer, positions, lane)
                won = e.b.icmp_signed("==", winner, k.number(positions))
                value = e.b.select(won, ct, e.constant(0, dtype))
                if overlapping:
                    value = LANES["add"](place_of, e.load(target, dtype, mask), value)
                e.store(target, value, dtype, mask)

        over(e, k.window.taps, tap)

    k.each(at, alone=overlapping)
    return e.finish()
