"""The gradient of a plain convolution by its kernel: taps along the last axis and channels are one run of memory.

Registers hold output channels; each thread owns some rows of taps and channels, and adds image by image, so that an
image stays in the cache.
"""

# N batch, R taps along the last axis times channels in, D channels out, O x P positions, K taps of the first axis.

from __future__ import annotations

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.windows import carry, pieces
from pellucid.dtypes import DType

# Rows by registers of output channels.
_ROWS, _REGISTERS = (12, 6, 3, 1), (2, 1)


class _RowsGrad:
    """The kernel in the making.

    Record: N, R, D, O, P, K; addresses of x, ct, dw; strides of x by batch, O, P and tap k; of ct by batch, O and P; of
    dw by tap k and row.
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype
        self.e = e = Emitter(lanes_for(dtype))
        self.batch, self.rows, self.outs, self.out_height, self.out_width, self.taps = (e.field() for _ in range(6))
        self.x, self.ct, self.dw = (e.field() for _ in range(3))
        self.x_n, self.x_o, self.x_p, self.x_k = (e.field() for _ in range(4))
        self.ct_n, self.ct_o, self.ct_p = (e.field() for _ in range(3))
        self.dw_k, self.dw_r = (e.field() for _ in range(2))

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        row_blocks = e.ceiling(self.rows, _ROWS[0])
        registers = e.ceiling(self.outs, e.lanes)
        low, high = e.my_share(e.b.mul(self.taps, row_blocks))
        with e.loop(I64(0), self.batch) as n, e.loop(low, high) as item:
            k, first = e.b.sdiv(item, row_blocks), e.b.mul(e.b.srem(item, row_blocks), I64(_ROWS[0]))
            last = e.smaller(e.b.add(first, I64(_ROWS[0])), self.rows)

            def rows(r: Value, count: int, k: Value = k, n: Value = n) -> None:
                pieces(e, I64(0), registers, _REGISTERS, lambda v, width: self.block((n, k, r), count, v, width))

            pieces(e, first, last, _ROWS, rows)
        return e.finish()

    def block(self, place: tuple[Value, Value, Value], count: int, v: Value, registers: int) -> None:
        """count x registers accumulators over the positions of one image, added to those of the images before."""
        e, size, (n, k, r) = self.e, I64(self.dtype.itemsize), place
        channels = [e.b.mul(e.b.add(v, I64(i)), I64(e.lanes)) for i in range(registers)]
        masks = [e.mask(e.minus(self.outs, d)) for d in channels] * count
        target = e.advance(e.advance(self.dw, k, self.dw_k), r, self.dw_r)
        targets = [e.advance(e.advance(target, I64(i), self.dw_r), d, size) for i in range(count) for d in channels]
        first = e.b.icmp_signed("==", n, I64(0))
        zero = e.constant(0, self.dtype)
        before = [e.b.select(first, zero, e.load(a, self.dtype, mask)) for a, mask in zip(targets, masks, strict=True)]
        x_first = e.advance(e.advance(e.advance(self.x, n, self.x_n), k, self.x_k), r, size)
        sums = self.positions(x_first, e.advance(self.ct, n, self.ct_n), (channels, masks), count, before)
        for address, total, mask in zip(targets, sums, masks, strict=True):
            e.store(address, total, self.dtype, mask)

    def positions(
        self, x: Value, ct: Value, lanes: tuple[list[Value], list[Value]], count: int, start: list[Value]
    ) -> list[Value]:
        """The accumulators after all positions of an image."""
        e, dtype = self.e, self.dtype

        def position(indices: list[Value], sums: list[Value]) -> list[Value]:
            o, p = indices
            x_here = e.advance(e.advance(x, o, self.x_o), p, self.x_p)
            ct_here = e.advance(e.advance(ct, o, self.ct_o), p, self.ct_p)
            places = [e.advance(ct_here, d, I64(dtype.itemsize)) for d in lanes[0]]
            # Every thread reads all images: the next one is on its way while this one is worked on.
            for here, to_next in [(x_here, self.x_n), *((place, self.ct_n) for place in places)]:
                e.prefetch(e.b.add(here, to_next))
            right = [e.load(place, dtype, mask) for place, mask in zip(places, lanes[1], strict=False)]
            left = [e.splat(e.load_scalar(e.b.add(x_here, I64(i * dtype.itemsize)), dtype)) for i in range(count)]
            pairs = [(a, b) for a in left for b in right]
            return [e.multiply_add(a, b, s) for (a, b), s in zip(pairs, sums, strict=True)]

        return carry(e, [self.out_height, self.out_width], start, position)


def conv_rows_grad_kernel(dtype: DType) -> int:
    """The address of dw[k, r, d] = sum over n, o, p of x[n, o, k, p, r] ct[n, o, p, d]; the record is its class's."""
    return _RowsGrad(dtype).write()
