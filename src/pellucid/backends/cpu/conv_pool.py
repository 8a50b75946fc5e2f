"""Convolution, ending and max pooling as one kernel: what the windows do not choose is never written to memory.

The first ending (the bias, mostly) comes before the choice, the second one (the activation, mostly) after it. Windows
lie side by side and inside the image; the sums are those of the convolution alone, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.backends.cpu import batch_last, convolution
from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.windows import Winners, over, pieces
from pellucid.dtypes import DType, int64

# Accumulators for output positions along the last axis.
_MOST, _LEAST = 9, 7


@dataclass(frozen=True)
class PoolForm:
    """What follows a convolution in its kernel.

    Attributes:
        width: The window's size along the last axis.
        placed: Whether the place of each winner is stored too.
        after: What the winners go through, without leaves in memory; None: nothing.
    """

    width: int
    placed: bool
    after: Ending | None = None


def blocks_of(width: int) -> tuple[int, ...]:
    """How many windows of this width are computed at once, largest first; none where registers would stay idle.

    >>> blocks_of(2), blocks_of(3), blocks_of(5)
    ((4, 2, 1), (3, 2, 1), ())
    """
    most = _MOST // width
    if most * width < _LEAST:
        return ()
    return tuple(n for n in range(most, 0, -1) if n in (most, 2, 1))


class Stored:
    """Where the winners go.

    Record: the convolution's width, the window's height; then, if places are kept, the address of them and their
    strides by all axes but the one in lanes.
    """

    def __init__(self, e: Emitter, pooling: PoolForm, dtype: DType, axes: int) -> None:
        self.e, self.pooling, self.dtype = e, pooling, dtype
        self.width, self.height = e.field(), e.field()
        self.places = (e.field(), [e.field() for _ in range(axes)]) if pooling.placed else None
        self.result = pooling.after.expression.dtype if pooling.after else dtype

    def number(self, row: Value, column: Value) -> Value:
        """The number of a position in the convolution's image."""
        return self.e.advance(column, row, self.width)

    def store(
        self, target: Value, place: list[Value], lane: Value, won: tuple[Value, Value | None], mask: Value | None
    ) -> None:
        """A register of winners, ended, and their places; ``target`` is where the results' axis in lanes begins."""
        e, after, (value, where) = self.e, self.pooling.after, won
        if after is not None:
            value = after.evaluate(e, value, _nothing)
        e.store(e.advance(target, lane, I64(self.result.itemsize)), value, self.result, mask)
        if self.places is not None:
            address, strides = self.places
            for stride, i in zip(strides, place, strict=True):
                address = e.advance(address, i, stride)
            e.store(e.advance(address, lane, I64(int64.itemsize)), where, int64, mask)


def _nothing() -> Value:
    raise AssertionError("the second ending reads memory")


class _Pooled(convolution.Forward):
    """Images with their channels in the registers.

    Record: the convolution's, with the sizes and strides of the pooled image as those of the output; then
    :class:`Stored`'s. Strides of x and of the ending's leaves are by positions of the convolution.
    """

    def __init__(
        self,
        dtype: DType,
        ending: Ending | None,
        motions: tuple[str, ...],
        form: convolution.Form,
        pooling: PoolForm,
    ) -> None:
        super().__init__(dtype, 2, ending, motions, form)
        self.pooling = pooling
        self.stored = Stored(self.e, pooling, self.result, 3)

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        with e.loop(*e.my_share(e.b.mul(self.batch, self.out[0]))) as item:
            n, o = e.b.sdiv(item, self.out[0]), e.b.srem(item, self.out[0])
            over(
                e, [self.groups],
                lambda indices: pieces(
                    e, I64(0), self.out[1], blocks_of(self.pooling.width),
                    lambda p, count: self.windows(n, indices[0], (o, p), count),
                ),
            )  # fmt: skip
        return e.finish()

    def windows(self, n: Value, group: Value, place: tuple[Value, Value], count: int) -> None:
        """Some windows side by side."""
        e, (o, p) = self.e, place
        x_start = e.advance(self.x, n, self.x_batch)
        x_start = e.advance(x_start, e.b.mul(group, self.channels), self.x_channel)
        leaves = [e.advance(address, n, batch) for address, batch, _ in self.leaves]
        target = e.advance(e.advance(self.target, n, self.o_batch), o, self.o_place[0])
        with e.loop(I64(0), self.outs, e.lanes) as d:
            mask = self.mask(d)
            lane = e.b.add(e.b.mul(group, self.outs), d)
            won = self.chosen((x_start, leaves), place, count, lane, mask)
            for i, result in enumerate(won):
                column = e.b.add(p, I64(i))
                here = e.advance(target, column, self.o_place[1])
                self.stored.store(here, [n, o, column], lane, result, mask)

    def chosen(
        self, image: tuple[Value, list[Value]], place: tuple[Value, Value], count: int, lane: Value, mask: Value | None
    ) -> list[tuple[Value, Value | None]]:
        """The winners of some windows for a register of output channels."""
        e, (x, leaves), (o, p) = self.e, image, place
        width = self.pooling.width
        w_lane = e.advance(self.w, lane, I64(self.dtype.itemsize))
        first, top = e.b.mul(p, I64(width)), e.b.mul(o, self.stored.height)
        starts = [self.stored.number(top, e.b.add(first, I64(i * width))) for i in range(count)]
        winners = Winners(e, self.result, starts, placed=self.pooling.placed)

        def row(i: Value, carried: list[Value]) -> list[Value]:
            at = e.b.add(top, i)
            x_start = e.advance(e.advance(x, at, self.x_place[0]), first, self.x_place[1])
            rows = [e.advance(a, at, places[0]) for a, (_, _, places) in zip(leaves, self.leaves, strict=True)]
            totals = self.taps_of(x_start, count * width, w_lane, [mask])
            for number, total in enumerate(totals):
                column = e.b.add(first, I64(number))
                value = self.ended(total, rows, column, lane, mask)
                carried = winners.look(carried, number // width, value, self.stored.number(at, column))
            return carried

        return winners.results(e.reduce_loop(I64(0), self.stored.height, 1, winners.start, row))


class PooledLast(batch_last.Forward):
    """Batch-last images.

    Record: the convolution's, with the sizes and strides of the pooled image as those of the output; then
    :class:`Stored`'s.
    """

    def __init__(
        self,
        dtype: DType,
        ending: Ending | None,
        motions: tuple[str, ...],
        pooling: PoolForm,
        exact: bool,
        framed: bool,
    ) -> None:
        super().__init__(dtype, ending, motions, exact, framed)
        self.pooling = pooling
        self.stored = Stored(self.e, pooling, self.result, 3)

    def row(self, o: Value, first: Value, vectors: int) -> None:
        """One row of windows for some vectors of samples."""
        e = self.e
        start = e.b.mul(first, I64(e.lanes))
        masks = [e.mask(e.minus(self.batch, e.b.add(start, I64(v * e.lanes)))) for v in range(vectors)]
        with e.loop(I64(0), self.out_width) as p:
            pieces(e, I64(0), self.outs, batch_last.OUTS, lambda d, count: self.windows((o, p, d), start, masks, count))

    def windows(self, place: tuple[Value, Value, Value], start: Value, masks: list[Value], outs: int) -> None:
        """The window at one place, for some output channels and vectors of samples."""
        e, (o, p, d) = self.e, place
        top, left = e.b.mul(o, self.stored.height), e.b.mul(p, I64(self.pooling.width))
        count = outs * len(masks)
        winners = Winners(e, self.result, [self.stored.number(top, left)] * count, placed=self.pooling.placed)

        def row(i: Value, carried: list[Value]) -> list[Value]:
            at = e.b.add(top, i)
            taps_h = self.inside(at, self.step_h, self.before_h, self.gap_h, self.height, self.taps_h)

            def column(j: Value, carried: list[Value]) -> list[Value]:
                here = e.b.add(left, j)
                taps_w = self.inside(here, self.step_w, self.before_w, I64(1), self.width, self.taps_w)
                sums = self.sums_of(d, (taps_h, taps_w), start, masks, outs)
                number = self.stored.number(at, here)
                for n, total in enumerate(sums):
                    out, v = divmod(n, len(masks))
                    value = self.end(total, (at, here, e.b.add(d, I64(out))), start, v, masks[v])
                    carried = winners.look(carried, n, value, number)
                return carried

            return e.reduce_loop(I64(0), I64(self.pooling.width), 1, carried, column)

        won = winners.results(e.reduce_loop(I64(0), self.stored.height, 1, winners.start, row))
        self.put_winners(won, place, start, masks)

    def put_winners(
        self,
        won: list[tuple[Value, Value | None]],
        place: tuple[Value, Value, Value],
        start: Value,
        masks: list[Value],
    ) -> None:
        """Store the winners of a window, by output channels and vectors of samples."""
        e, (o, p, d) = self.e, place
        for n, result in enumerate(won):
            out, v = divmod(n, len(masks))
            channel = e.b.add(d, I64(out))
            lane = e.b.add(start, I64(v * e.lanes))
            target = self.at(self.out, self.out_strides, (o, p, channel))
            self.stored.store(target, [o, p, channel], lane, result, masks[v])


def conv_pool_kernel(
    dtype: DType, ending: Ending | None, motions: tuple[str, ...], form: convolution.Form, pooling: PoolForm
) -> int:
    """The address of a convolution of two spatial axes with its pooling; the record is :class:`_Pooled`'s."""
    return _Pooled(dtype, ending, motions, form, pooling).write()


def conv_pool_last_kernel(
    dtype: DType,
    ending: Ending | None,
    motions: tuple[str, ...],
    pooling: PoolForm,
    exact: bool = False,
    framed: bool = False,
) -> int:
    """The address of the same for batch-last images; the record is :class:`PooledLast`'s.

    What ``exact`` and ``framed`` mean says :func:`~pellucid.backends.cpu.batch_last.conv_last_kernel`.
    """
    return PooledLast(dtype, ending, motions, pooling, exact, framed).write()
