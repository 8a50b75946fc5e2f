"""The gradient by the kernel of a convolution with three rows of taps: the transpose of :mod:`row_pairs`' sums.

With the cotangents y0 and y1 of two rows of results, and the sums v of four rows of the image:

    M0 += v0 y0,  M1 += v1 (y0 + y1),  M2 += v2 (y0 - y1),  M3 += v3 y1,
    dg0 = M0 + (M1 + M2)/2,  dg1 = (M1 - M2)/2,  dg2 = (M1 + M2)/2 + M3.

Samples are cut into groups as for :mod:`pellucid.backends.cpu.conv_gradient`, whose loops these are. What is not finite
is computed again, tap by tap.
"""

# N batch, H x W image, R taps along a row times channels in, D channels out, O x P positions; strides are in bytes.

from __future__ import annotations

from collections.abc import Callable

from pellucid.backends.cpu.conv_gradient import RowsForm, RowsGrad
from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.row_pairs import SUMS, TAPS, Rows
from pellucid.backends.cpu.row_runs import rows_of_gradient
from pellucid.backends.cpu.windows import all_finite, carry, element, keep_if
from pellucid.dtypes import DType


class _Sums(RowsGrad):
    """The kernel that multiplies and adds, in the making.

    Record: :class:`RowsGrad`'s, with pairs of rows and the four sums in the places of rows of positions and of taps;
    strides of x are those of the sums in the thread's memory, but for the images. Then the strides of x and of ct by
    rows, what :class:`Rows` reads, and the thread's memory.
    """

    def __init__(self, dtype: DType, form: RowsForm) -> None:
        super().__init__(dtype, form)
        self.x_row, self.ct_row = self.e.field(), self.e.field()
        self.own = Rows(self.e, dtype)
        self.own.clear(self.e.own_memory(), self.out_height)
        self.sum = 0

    def begin(self, n: Value) -> None:
        """The sums of an image."""
        image = self.e.advance(self.x, n, self.x_n)
        with self.e.loop(I64(0), self.out_height) as pair:
            self.own.put(image, self.x_row, pair, pair, self.next_x)

    def each(self, taps: tuple[Value, Value], body: Callable[[Value], None]) -> None:
        """``body`` of each of a range of sums, which are multiplied by different numbers."""
        b = self.e.b
        for self.sum in range(SUMS):
            number = I64(self.sum)
            with b.if_then(b.and_(b.icmp_signed("<=", taps[0], number), b.icmp_signed("<", number, taps[1]))):
                body(number)

    def start_of(self, n: Value) -> Value:
        """Where the sums of the present image begin."""
        return self.own.sums

    def number(self, place: Value, mask: Value | None) -> Value:
        """What the sums are multiplied by: of two rows one, their sum or their difference."""
        e, below = self.e, self.e.b.add(place, self.ct_row)
        match self.sum:
            case 0:
                return e.load(place, self.dtype, mask)
            case 3:
                return e.load(below, self.dtype, mask)
            case _:
                combined = e.b.fadd if self.sum == 1 else e.b.fsub
                return combined(e.load(place, self.dtype, mask), e.load(below, self.dtype, mask))

    def ask(self, places: list[Value]) -> None:
        """Ask for the next image's numbers at some places, and below them."""
        super().ask(places)
        super().ask([self.e.b.add(place, self.ct_row) for place in places])

    def ask_image(self, place: Value) -> None:
        """Images are asked for where sums are made."""


def pairs_sums_kernel(dtype: DType, form: RowsForm) -> int:
    """The address of the sums M[g, 4, r, d], over the images of each group; the record is :class:`_Sums`'s."""
    return _Sums(dtype, form).write()


class _Gathered:
    """The kernel that adds the groups and makes a gradient dw[3, r, d] of the sums, in the making.

    Record: N, H, R, D, O, P, the number of groups; bytes of a row of the image, and of zeros before it; rows of zeros
    above it; addresses of x, ct, the sums and dw; strides of x by image, row and position; of ct by image, row and
    position; of the sums by group, sum and r; of dw by tap and r.
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype, self.item = dtype, I64(dtype.itemsize)
        self.e = e = Emitter(lanes_for(dtype))
        self.batch, self.height, self.run, self.outs, self.out_height, self.out_width = (e.field() for _ in range(6))
        self.groups, self.row, self.left, self.above = (e.field() for _ in range(4))
        self.x, self.ct, self.sums, self.dw = (e.field() for _ in range(4))
        self.x_by, self.ct_by, self.sums_by, self.dw_by = ([e.field() for _ in range(n)] for n in (3, 3, 3, 2))

    def write(self) -> int:
        """The kernel's address."""
        e, dtype = self.e, self.dtype
        with e.loop(*e.my_share(self.run)) as r, e.loop(I64(0), self.outs, e.lanes) as d:
            mask, distance = e.mask(e.minus(self.outs, d)), e.b.mul(d, self.item)
            first = e.b.add(e.advance(self.sums, r, self.sums_by[2]), distance)

            def group(g: Value, carried: list[Value], first: Value = first, mask: Value = mask) -> list[Value]:
                here = e.advance(first, g, self.sums_by[0])
                own = [e.load(e.advance(here, I64(k), self.sums_by[1]), dtype, mask) for k in range(SUMS)]
                return [e.b.fadd(total, value) for total, value in zip(carried, own, strict=True)]

            m = e.reduce_loop(I64(0), self.groups, 1, [e.constant(0, dtype)] * SUMS, group)
            three = rows_of_gradient(e, m, (TAPS,))
            spoiled = e.b.not_(all_finite(e, three))
            three = keep_if(e, spoiled, three, lambda r=r, d=distance, mask=mask: self.tap_by_tap(r, d, mask))
            to = e.b.add(e.advance(self.dw, r, self.dw_by[1]), distance)
            for k, value in enumerate(three):
                e.store(e.advance(to, I64(k), self.dw_by[0]), value, dtype, mask)
        return e.finish()

    def tap_by_tap(self, r: Value, distance: Value, mask: Value) -> list[Value]:
        """The gradients of three taps as sums over all positions."""
        e, dtype = self.e, self.dtype

        def position(at: list[Value], totals: list[Value]) -> list[Value]:
            n, _, p = at
            right = e.load(e.b.add(element(e, self.ct, self.ct_by, at), distance), dtype, mask)
            image = e.advance(self.x, n, self.x_by[0])
            column = e.minus(e.b.add(e.b.mul(p, self.x_by[2]), e.b.mul(r, self.item)), self.left)
            in_row = e.b.icmp_unsigned("<", column, self.row)
            result = []
            for k, total in enumerate(totals):
                row = e.minus(e.b.add(at[1], I64(k)), self.above)
                inside = e.b.and_(e.b.icmp_unsigned("<", row, self.height), in_row)
                address = e.b.select(inside, e.b.add(e.advance(image, row, self.x_by[1]), column), image)
                pixel = e.b.select(inside, e.load_scalar(address, dtype), e.scalar(0, dtype))
                result.append(e.multiply_add(e.splat(pixel), right, total))
            return result

        return carry(e, [self.batch, self.out_height, self.out_width], [e.constant(0, dtype)] * TAPS, position)


def pairs_gradient_kernel(dtype: DType) -> int:
    """The address of the gradient from the sums; the record is :class:`_Gathered`'s."""
    return _Gathered(dtype).write()
