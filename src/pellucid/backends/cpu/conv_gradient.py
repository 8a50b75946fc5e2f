"""The gradient of a plain convolution by its kernel: taps along the last axis and channels are one run of memory.

Registers hold output channels. The samples are cut into groups that do not depend on the number of threads, and each
group has sums of its own: so a thread finds its own images. It adds image by image, so that one stays in the cache.

A multiply-add takes one element of the image for all lanes, and loads are as many as it can be. Neighbouring positions
have most of their windows in common; so two of them are computed together, and such an element is loaded once.
"""

# N batch, M samples of a group, R taps along the last axis times channels in, D channels out, O x P positions, K taps
# of the first axis.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.windows import even_blocks, pieces
from pellucid.dtypes import DType

# Accumulators, by the number of registers: rows by registers of output channels.
_MOST, _REGISTERS = {32: 24, 16: 12}, (2, 1)
# Groups of samples, and bytes of the sums of all of them, at most.
_GROUPS, _BYTES = 8, 1 << 20


@dataclass(frozen=True)
class RowsForm:
    """What a kernel is written for.

    Attributes:
        blocks: How many rows are computed at once: as many as there are accumulators for, in blocks as equal as can be.
        whole: Whether the output channels fill their registers.
        shift: Elements between the windows of neighbouring positions.
    """

    blocks: tuple[int, ...]
    whole: bool
    shift: int


def rows_form(rows: int, outs: int, shift: int, dtype: DType) -> RowsForm:
    """What the kernel of a gradient is written for.

    >>> from pellucid.dtypes import float32
    >>> sum(rows_form(5, 16, 1, float32).blocks), rows_form(9, 16, 3, float32).shift
    (5, 3)
    """
    lanes = lanes_for(dtype)
    most = _MOST[target.vector_registers()] // min(_REGISTERS[0], -(-outs // lanes))
    return RowsForm(even_blocks(rows, most), outs % lanes == 0, shift)


def sample_groups(batch: int, elements: int, dtype: DType) -> int:
    """Into how many groups the samples are cut, for a gradient of so many elements.

    >>> from pellucid.dtypes import float32
    >>> sample_groups(64, 1000, float32), sample_groups(3, 1000, float32), sample_groups(64, 10**6, float32)
    (8, 3, 1)
    """
    return max(1, min(_GROUPS, batch, _BYTES // (elements * dtype.itemsize)))


class RowsGrad:
    """The kernel in the making.

    Record: N, M, number of groups, R, D, O, P, K; addresses of x, ct, dw; strides of x by batch, O, P and tap k; of ct
    by batch, O and P; of dw by group, tap k and row.
    """

    def __init__(self, dtype: DType, form: RowsForm) -> None:
        self.dtype, self.form = dtype, form
        self.e = e = Emitter(lanes_for(dtype))
        self.batch, self.in_group, self.groups = (e.field() for _ in range(3))
        self.rows, self.outs, self.out_height, self.out_width, self.taps = (e.field() for _ in range(5))
        self.x, self.ct, self.dw = (e.field() for _ in range(3))
        self.x_n, self.x_o, self.x_p, self.x_k = (e.field() for _ in range(4))
        self.ct_n, self.ct_o, self.ct_p = (e.field() for _ in range(3))
        self.dw_g, self.dw_k, self.dw_r = (e.field() for _ in range(3))

    def write(self) -> int:
        """The kernel's address."""
        e, b = self.e, self.e.b
        low, high = e.my_share(b.mul(self.groups, self.taps))
        first_group = b.sdiv(low, self.taps)
        last_group = b.sdiv(b.add(high, b.sub(self.taps, I64(1))), self.taps)
        with e.loop(first_group, last_group) as group:
            item = b.mul(group, self.taps)
            start, none = b.sub(low, item), I64(0)
            start = b.select(b.icmp_signed(">", start, none), start, none)
            taps = start, e.smaller(b.sub(high, item), self.taps)
            first = b.mul(group, self.in_group)
            out = e.advance(self.dw, group, self.dw_g)
            with e.loop(first, e.smaller(b.add(first, self.in_group), self.batch)) as n:
                self.find_next(n)
                self.begin(n)
                begins = b.icmp_signed("==", n, first)

                def tap(
                    k: Value, start: Value = start, stop: Value = taps[1], n: Value = n, begins: Value = begins
                ) -> None:
                    share, number = e.minus(stop, start), e.minus(k, start)
                    asking = [b.sdiv(b.mul(self.out_height, i), share) for i in (number, b.add(number, I64(1)))]
                    self.image((n, k), e.advance(out, k, self.dw_k), begins, (asking[0], asking[1]))

                self.each(taps, tap)
        return e.finish()

    def find_next(self, n: Value) -> None:
        """How far the next image and its numbers lie from this one; behind the last one may lie what others work on."""
        more = self.e.b.icmp_signed("<", self.e.b.add(n, I64(1)), self.batch)
        self.next_x, self.next_ct = (self.e.b.select(more, step, I64(0)) for step in (self.x_n, self.ct_n))

    def begin(self, n: Value) -> None:
        """Before the taps of an image."""

    def each(self, taps: tuple[Value, Value], body: Callable[[Value], None]) -> None:
        """``body`` of each of a range of taps."""
        with self.e.loop(*taps) as k:
            body(k)

    def start_of(self, n: Value) -> Value:
        """Where an image begins."""
        return self.e.advance(self.x, n, self.x_n)

    def image(self, place: tuple[Value, Value], out: Value, begins: Value, asking: tuple[Value, Value]) -> None:
        """What an image adds to a tap's rows.

        Args:
            place: The image, and the tap.
            out: Where the sums of the rows lie.
            begins: Whether it is the first image of a group, which begins the sums.
            asking: The rows of positions in which the next image is asked for: with all taps of the thread, all rows.
        """
        e, registers = self.e, self.e.ceiling(self.outs, self.e.lanes)

        def rows(r: Value, count: int) -> None:
            here, last = e.advance(out, r, self.dw_r), e.b.select(e.b.icmp_signed("==", r, I64(0)), asking[1], I64(0))
            pieces(
                e, I64(0), registers, _REGISTERS,
                lambda v, w: self.block((*place, r), here, begins, (asking[0], last), count, (v, w)),
            )  # fmt: skip

        pieces(e, I64(0), self.rows, self.form.blocks, rows)

    def block(
        self,
        place: tuple[Value, Value, Value],
        out: Value,
        begins: Value,
        asking: tuple[Value, Value],
        count: int,
        lanes: tuple[Value, int],
    ) -> None:
        """count x registers accumulators over the positions of one image, added to those of the images before."""
        e, size, (n, k, r) = self.e, I64(self.dtype.itemsize), place
        channels = [e.b.mul(e.b.add(lanes[0], I64(i)), I64(e.lanes)) for i in range(lanes[1])]
        masks = [None if self.form.whole else e.mask(e.minus(self.outs, d)) for d in channels]
        targets = [e.advance(e.advance(out, I64(i), self.dw_r), d, size) for i in range(count) for d in channels]
        stored = list(zip(targets, masks * count, strict=True))
        zero = e.constant(0, self.dtype)
        before = [e.b.select(begins, zero, e.load(address, self.dtype, mask)) for address, mask in stored]
        x_first = e.advance(e.advance(self.start_of(n), k, self.x_k), r, size)
        ct = [e.b.add(e.advance(self.ct, n, self.ct_n), e.b.mul(d, size)) for d in channels]
        sums = self.positions(x_first, (ct, masks), count, before, asking)
        for (address, mask), total in zip(stored, sums, strict=True):
            e.store(address, total, self.dtype, mask)

    def positions(
        self,
        x: Value,
        ct: tuple[list[Value], list[Value | None]],
        count: int,
        start: list[Value],
        asking: tuple[Value, Value],
    ) -> list[Value]:
        """The accumulators after all positions of an image."""
        e, b, wide = self.e, self.e.b, len(ct[0])
        pair = 0 < self.form.shift < count and (count + 2) * wide < target.vector_registers()
        whole = b.and_(self.out_width, I64(-2)) if pair else I64(0)

        def row(o: Value, sums: list[Value]) -> list[Value]:
            image = e.advance(x, o, self.x_o), [e.advance(lane, o, self.ct_o) for lane in ct[0]], ct[1]

            def places(ahead: bool) -> list[Value]:
                def together(positions: int) -> Callable[[Value, list[Value]], list[Value]]:
                    return lambda p, own: self.windows(image, p, positions, count, own, ahead)

                pairs = e.reduce_loop(I64(0), whole, 2, sums, together(2)) if pair else sums
                return e.reduce_loop(whole, self.out_width, 1, pairs, together(1))

            asks = b.and_(b.icmp_signed(">=", o, asking[0]), b.icmp_signed("<", o, asking[1]))
            return e.either(asks, lambda: places(True), lambda: places(False))

        return e.reduce_loop(I64(0), self.out_height, 1, start, row)

    def windows(
        self,
        image: tuple[Value, list[Value], list[Value | None]],
        p: Value,
        positions: int,
        count: int,
        sums: list[Value],
        ahead: bool,
    ) -> list[Value]:
        """The accumulators after some neighbouring positions, whose windows have elements in common."""
        e, dtype, (x_row, lanes, masks) = self.e, self.dtype, image
        x_here = e.opaque(e.advance(x_row, p, self.x_p))
        right = []
        for number in range(positions):
            places = [e.advance(lane, e.b.add(p, I64(number)), self.ct_p) for lane in lanes]
            if ahead:
                self.ask(places)
            right.append([self.number(place, mask) for place, mask in zip(places, masks, strict=True)])
        if ahead:
            self.ask_image(x_here)
        sums, wide = list(sums), len(lanes)
        for element in range(count + (positions - 1) * self.form.shift):
            rows = [element - number * self.form.shift for number in range(positions)]
            left = e.splat(e.load_scalar(e.b.add(x_here, I64(element * dtype.itemsize)), dtype))
            for row, values in zip(rows, right, strict=True):
                for i, value in enumerate(values if 0 <= row < count else ()):
                    at = row * wide + i
                    sums[at] = e.multiply_add(left, value, sums[at])
        return sums

    def number(self, place: Value, mask: Value | None) -> Value:
        """A register of what the elements of a window are multiplied by."""
        return self.e.load(place, self.dtype, mask)

    def ask(self, places: list[Value]) -> None:
        """Ask for the next image's numbers at some places of this one."""
        for place in places:
            self.e.prefetch(self.e.b.add(place, self.next_ct))

    def ask_image(self, place: Value) -> None:
        """Ask for the next image at a place of this one."""
        self.e.prefetch(self.e.b.add(place, self.next_x))


def conv_rows_grad_kernel(dtype: DType, form: RowsForm) -> int:
    """The address of dw[g, k, r, d] = sum over n, o, p of x[n, o, k, p, r] ct[n, o, p, d], n in group g.

    The record is :class:`RowsGrad`'s.
    """
    return RowsGrad(dtype, form).write()
