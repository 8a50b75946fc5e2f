"""Kernels over windows of images [N, spatial, C]: the sum of each window, its transpose, and the largest element."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place, larger
from pellucid.dtypes import DType, int64


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


def carry(
    e: Emitter, sizes: Sequence[Value], start: list[Value], body: Callable[[list[Value], list[Value]], list[Value]]
) -> list[Value]:
    """Nested loops that carry registers; the body gets the indices and the registers."""

    def nest(indices: list[Value], carried: list[Value]) -> list[Value]:
        if len(indices) == len(sizes):
            return body(indices, carried)
        return e.reduce_loop(I64(0), sizes[len(indices)], 1, carried, lambda i, inner: nest([*indices, i], inner))

    return nest([], start)


def _keep_if(e: Emitter, condition: Value, before: list[Value], then: Callable[[], list[Value]]) -> list[Value]:
    """The registers of ``then`` where the condition holds, else those from before."""
    origin = e.b.block
    taken = e.function.append_basic_block("then")
    after = e.function.append_basic_block("after")
    e.b.cbranch(condition, taken, after)
    e.b.position_at_end(taken)
    values = then()
    end = e.b.block
    e.b.branch(after)
    e.b.position_at_end(after)
    merged = []
    for old, new in zip(before, values, strict=True):
        phi = e.b.phi(old.type)
        phi.add_incoming(old, origin)
        phi.add_incoming(new, end)
        merged.append(phi)
    return merged


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


def _pooling_fields(e: Emitter, rank: int) -> tuple[Value, Value, Value, Value, list[Value], list[Value]]:
    """N, C, the addresses of image and output, and their strides."""
    batch, channels, image, out = (e.field() for _ in range(4))
    image_strides = [e.field() for _ in range(rank + 2)]
    return batch, channels, image, out, image_strides, [e.field() for _ in range(rank + 2)]


def window_sum_kernel(dtype: DType, rank: int, spreading: bool) -> int:
    """The address of the sum of each window, or (``spreading``) of its transpose added to zeros.

    Record: the window; N, C; addresses of image and output; their strides (batch, spatial..., channel).
    """
    e = Emitter(1)
    window = _Window(e, rank)
    batch, channels, image, out, xs, os_ = _pooling_fields(e, rank)
    place_of = Place(e, dtype, dtype)

    def at(n: Value, indices: list[Value]) -> None:
        place, c, tap = indices[:rank], indices[rank], indices[rank + 1 :]
        positions = [window.position(a, place[a], tap[a]) for a in range(rank)]
        with e.b.if_then(_all_inside(e, window, positions)):
            inner = element(e, image, xs, [n, *positions, c])
            outer = element(e, out, os_, [n, *place, c])
            source, target = (outer, inner) if spreading else (inner, outer)
            total = LANES["add"](place_of, e.load_scalar(target, dtype), e.load_scalar(source, dtype))
            e.store_scalar(target, total, dtype)

    low, high = e.my_share(batch)
    with e.loop(low, high) as n:
        over(e, [*window.out, channels, *window.taps], lambda indices: at(n, indices))
    return e.finish()


def max_pool_index_kernel(dtype: DType, rank: int) -> int:
    """The address of the search for each window's first largest element; NaN counts as the largest.

    Channels lie side by side in the image and in the result, and fill registers.

    Record: the window; N, C; addresses of image and result (int64); their strides (batch, spatial..., channel).
    """
    e = Emitter(lanes_for(dtype))
    window = _Window(e, rank)
    batch, channels, image, out, xs, os_ = _pooling_fields(e, rank)
    place_of = Place(e, dtype, dtype)

    def at(n: Value, place: list[Value]) -> None:
        with e.loop(I64(0), channels, e.lanes) as c:
            mask = e.mask(e.minus(channels, c))

            def tap(taps: list[Value], carried: list[Value]) -> list[Value]:
                best, where = carried
                positions = [window.position(a, place[a], taps[a]) for a in range(rank)]

                def look() -> list[Value]:
                    x = e.load(element(e, image, xs, [n, *positions, c]), dtype, mask)
                    flat = positions[0]
                    for axis in range(1, rank):
                        flat = e.b.add(e.b.mul(flat, window.image[axis]), positions[axis])
                    # The first element inside the image wins over nothing.
                    wins = e.b.or_(e.b.icmp_signed("<", where, e.constant(0, int64)), larger(place_of, x, best))
                    return [e.b.select(wins, x, best), e.b.select(wins, e.splat(flat), where)]

                return _keep_if(e, _all_inside(e, window, positions), carried, look)

            start = [e.constant(0, dtype), e.constant(-1, int64)]
            winner = carry(e, window.taps, start, tap)[1]
            e.store(element(e, out, os_, [n, *place, c]), winner, int64, mask)

    low, high = e.my_share(batch)
    with e.loop(low, high) as n:
        over(e, window.out, lambda place: at(n, place))
    return e.finish()
