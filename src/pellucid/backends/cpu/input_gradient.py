"""A convolution's gradient by its image once more, element by element, where the kernel is not finite.

It is computed as a convolution of the cotangents with the flipped kernel, with zeros around and between them. Those
are none of the gradient's: a kernel's number that is not finite would make NaN of them where no cotangent is. So this
follows, which looks whether there is such a number, and does nothing else where there is none.
"""

# N batch, G groups, C channels of the image and D of the cotangent per group.

from __future__ import annotations

from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I1, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.windows import are_finite, carry, element, keep_if, over
from pellucid.dtypes import DType


class _Anew:
    """The kernel in the making.

    Record: the number of the kernel's elements, which lie side by side; N, G, C, D; the image's sizes, taps and the
    cotangent's sizes along each axis; stride, dilation and padding before along each axis; addresses of the kernel, the
    cotangent and the result; strides of the kernel by tap (each axis), image's channel and cotangent's channel; of the
    cotangent and of the result by sample, place (each axis) and channel; for every leaf of the ending its address and
    strides like the result's.
    """

    def __init__(self, dtype: DType, rank: int, ending: Ending | None) -> None:
        self.dtype, self.rank, self.ending = dtype, rank, ending
        self.e = e = Emitter(lanes_for(dtype))
        self.count, self.batch, self.groups, self.channels, self.outs = (e.field() for _ in range(5))
        self.image, self.taps, self.places = (self._fields(rank) for _ in range(3))
        self.steps, self.gaps, self.before = (self._fields(rank) for _ in range(3))
        self.w, self.ct, self.target = self._fields(3)
        self.w_by, self.ct_by, self.target_by = (self._fields(rank + 2) for _ in range(3))
        self.leaf_types = ending.memory_types if ending else []
        self.leaves = [(e.field(), self._fields(rank + 2)) for _ in self.leaf_types]

    def _fields(self, count: int) -> list[Value]:
        """The next numbers of the record."""
        return [self.e.field() for _ in range(count)]

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        spoiled = e.b.not_(are_finite(e, self.w, self.count, self.dtype))
        with e.b.if_then(spoiled, likely=False), e.narrowed(1), e.loop(*e.my_share(self.batch)) as n:
            over(e, [*self.image, self.groups, self.channels], lambda at: self.pixel(n, at[: self.rank], *at[-2:]))
        return e.finish()

    def pixel(self, n: Value, place: list[Value], group: Value, c: Value) -> None:
        """The gradient by one number of the image, ended."""
        e = self.e

        def tap(k: list[Value], sums: list[Value]) -> list[Value]:
            inside, at = self.cotangent_of(place, k)
            w = element(e, self.w, self.w_by[:-1], [*k, c])
            return keep_if(e, inside, sums, lambda: self.products(w, [n, *at], group, sums))

        (total,) = carry(e, self.taps, [e.constant(0, self.dtype)], tap)
        at = [n, *place, e.advance(c, group, self.channels)]
        result = self.dtype
        if self.ending is not None:
            rows = [element(e, address, by, at) for address, by in self.leaves]
            read = leaf_reader(e, rows, [(kind, "stays") for kind in self.leaf_types], I64(0), None)
            total, result = self.ending.evaluate(e, total, read), self.ending.expression.dtype
        e.store(element(e, self.target, self.target_by, at), total, result)

    def cotangent_of(self, place: list[Value], taps: list[Value]) -> tuple[Value, list[Value]]:
        """Whether there is a place of the cotangent whose tap sees a place of the image, and where."""
        e, found = self.e, list[Value]()
        inside: Value = I1(1)
        axes = zip(place, taps, self.steps, self.gaps, self.before, self.places, strict=True)
        for i, k, step, gap, before, places in axes:
            distance = e.minus(e.b.add(i, before), e.b.mul(k, gap))
            at = e.b.sdiv(distance, step)
            seen = e.b.and_(e.b.icmp_signed(">=", distance, I64(0)), e.b.icmp_signed("<", at, places))
            inside = e.b.and_(inside, e.b.and_(seen, e.b.icmp_signed("==", e.b.mul(at, step), distance)))
            found.append(at)
        return inside, found

    def products(self, w: Value, place: list[Value], group: Value, sums: list[Value]) -> list[Value]:
        """The sum with the products of a tap over the cotangent's channels."""
        e, dtype, first = self.e, self.dtype, self.e.b.mul(group, self.outs)
        ct = element(e, self.ct, self.ct_by[:-1], place)

        def channel(d: Value, sums: list[Value]) -> list[Value]:
            number = e.b.add(first, d)
            left = e.splat(e.load_scalar(e.advance(ct, number, self.ct_by[-1]), dtype))
            right = e.splat(e.load_scalar(e.advance(w, number, self.w_by[-1]), dtype))
            return [e.multiply_add(left, right, sums[0])]

        return e.reduce_loop(I64(0), self.outs, 1, sums, channel)


def input_grad_anew_kernel(dtype: DType, rank: int, ending: Ending | None) -> int:
    """The address of dx[n, i, g, c] = sum over k, d of ct[n, o, g, d] w[k, c, g, d], where o s + k t - before = i.

    It computes this only where w is not finite; the record is :class:`_Anew`'s.
    """
    return _Anew(dtype, rank, ending).write()
