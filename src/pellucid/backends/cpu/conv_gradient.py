"""The gradient of a plain convolution by its kernel: taps along the last axis and channels are one run of memory.

Registers hold output channels. The samples are cut into groups that do not depend on the number of threads, and each
group has sums of its own: so a thread finds its own images. It adds image by image, so that one stays in the cache.
"""

# N batch, M samples of a group, R taps along the last axis times channels in, D channels out, O x P positions, K taps
# of the first axis.

from __future__ import annotations

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.windows import carry, even_blocks, pieces
from pellucid.dtypes import DType

# Accumulators: rows by registers of output channels.
_MOST, _REGISTERS = 24, (2, 1)
# Groups of samples, and bytes of the sums of all of them, at most.
_GROUPS, _BYTES = 8, 1 << 20


def row_blocks(rows: int, outs: int, dtype: DType) -> tuple[int, ...]:
    """How many rows are computed at once: as many as there are accumulators for, in blocks as equal as can be.

    >>> from pellucid.dtypes import float32
    >>> row_blocks(9, 1000, float32), row_blocks(30, 1, float32)
    ((9,), (15,))
    """
    return even_blocks(rows, _MOST // min(_REGISTERS[0], -(-outs // lanes_for(dtype))))


def sample_groups(batch: int, elements: int, dtype: DType) -> int:
    """Into how many groups the samples are cut, for a gradient of so many elements.

    >>> from pellucid.dtypes import float32
    >>> sample_groups(64, 1000, float32), sample_groups(3, 1000, float32), sample_groups(64, 10**6, float32)
    (8, 3, 1)
    """
    return max(1, min(_GROUPS, batch, _BYTES // (elements * dtype.itemsize)))


class _RowsGrad:
    """The kernel in the making.

    Record: N, M, number of groups, R, D, O, P, K; addresses of x, ct, dw; strides of x by batch, O, P and tap k; of ct
    by batch, O and P; of dw by group, tap k and row.
    """

    def __init__(self, dtype: DType, blocks: tuple[int, ...], whole: bool) -> None:
        self.dtype, self.row_blocks, self.whole = dtype, blocks, whole
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
            target = e.advance(self.dw, group, self.dw_g)
            with e.loop(first, e.smaller(b.add(first, self.in_group), self.batch)) as n, e.loop(*taps) as k:
                begins = b.icmp_signed("==", n, first)
                self.image(n, k, e.advance(target, k, self.dw_k), begins)
        return e.finish()

    def image(self, n: Value, k: Value, target: Value, begins: Value) -> None:
        """What an image adds to a tap's rows; the first one of a group begins the sums."""
        e = self.e
        registers = e.ceiling(self.outs, e.lanes)

        def rows(r: Value, count: int) -> None:
            here = e.advance(target, r, self.dw_r)
            pieces(e, I64(0), registers, _REGISTERS, lambda v, w: self.block((n, k, r), here, begins, count, v, w))

        pieces(e, I64(0), self.rows, self.row_blocks, rows)

    def block(
        self, place: tuple[Value, Value, Value], target: Value, begins: Value, count: int, v: Value, registers: int
    ) -> None:
        """count x registers accumulators over the positions of one image, added to those of the images before."""
        e, size, (n, k, r) = self.e, I64(self.dtype.itemsize), place
        channels = [e.b.mul(e.b.add(v, I64(i)), I64(e.lanes)) for i in range(registers)]
        masks = [None if self.whole else e.mask(e.minus(self.outs, d)) for d in channels] * count
        targets = [e.advance(e.advance(target, I64(i), self.dw_r), d, size) for i in range(count) for d in channels]
        zero = e.constant(0, self.dtype)
        before = [e.b.select(begins, zero, e.load(a, self.dtype, mask)) for a, mask in zip(targets, masks, strict=True)]
        x_first = e.advance(e.advance(e.advance(self.x, n, self.x_n), k, self.x_k), r, size)
        sums = self.positions(x_first, e.advance(self.ct, n, self.ct_n), (channels, masks), count, before)
        for address, total, mask in zip(targets, sums, masks, strict=True):
            e.store(address, total, self.dtype, mask)

    def positions(
        self, x: Value, ct: Value, lanes: tuple[list[Value], list[Value | None]], count: int, start: list[Value]
    ) -> list[Value]:
        """The accumulators after all positions of an image."""
        e, dtype = self.e, self.dtype

        def position(indices: list[Value], sums: list[Value]) -> list[Value]:
            o, p = indices
            x_here = e.opaque(e.advance(e.advance(x, o, self.x_o), p, self.x_p))
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


def conv_rows_grad_kernel(dtype: DType, blocks: tuple[int, ...], whole: bool) -> int:
    """The address of dw[g, k, r, d] = sum over n, o, p of x[n, o, k, p, r] ct[n, o, p, d], n in group g.

    ``blocks``: how many rows are computed at once, as :func:`row_blocks` says. ``whole``: whether the output channels
    fill their registers. The record is :class:`_RowsGrad`'s.
    """
    return _RowsGrad(dtype, blocks, whole).write()
