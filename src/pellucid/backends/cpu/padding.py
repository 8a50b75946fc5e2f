"""Images with zeros around them, in one go: zeros first, then the elements over some of them.

No store needs a mask, by which some processors take several times as long: where a register does not end with a row,
the last one begins earlier, over elements that are there already.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.dtypes import DType


def suits(row: int, dtype: DType) -> bool:
    """Whether a row of so many elements fills a register."""
    return dtype.kind == "f" and row >= lanes_for(dtype)


def padding_kernel(dtype: DType) -> int:
    """The address of a copy of images into larger ones, with zeros around them. Each thread owns some rows.

    Record: images; rows of a larger one and of a smaller one, and rows of zeros above it; elements of a row of either,
    and zeros before those of the smaller one; addresses of the larger and the smaller images; for both the strides by
    image and by row. The elements of a row lie side by side, and fill a register.
    """
    e = Emitter(lanes_for(dtype))
    images, rows, own_rows, above, width, own_width, before = (e.field() for _ in range(7))
    target, source = e.field(), e.field()
    (to_image, to_row), (from_image, from_row) = ((e.field(), e.field()) for _ in range(2))
    size, zeros = I64(dtype.itemsize), e.constant(0, dtype)

    def each(start: Value, stop: Value, last: Value, body: Callable[[Value], None]) -> None:
        """``body`` of places a register apart in a range of a row, none of them behind the last one."""
        with e.loop(start, stop, e.lanes) as place:
            body(e.b.mul(e.smaller(place, last), size))

    with e.loop(*e.my_share(e.b.mul(images, rows))) as item:
        n, row = e.b.sdiv(item, rows), e.b.srem(item, rows)
        own = e.minus(row, above)
        there = e.advance(e.advance(target, n, to_image), row, to_row)
        here = e.advance(e.advance(source, n, from_image), own, from_row)
        inside, last, behind = (
            e.b.icmp_unsigned("<", own, own_rows),
            e.minus(width, I64(e.lanes)),
            e.b.add(before, own_width),
        )
        with e.b.if_else(inside) as (then, otherwise):
            with then:
                first = e.advance(there, before, size)
                each(I64(0), before, last, lambda moved: e.store(e.b.add(there, moved), zeros, dtype))
                each(behind, width, last, lambda moved: e.store(e.b.add(there, moved), zeros, dtype))
                each(
                    I64(0), own_width, e.minus(own_width, I64(e.lanes)),
                    lambda moved: e.store(e.b.add(first, moved), e.load(e.b.add(here, moved), dtype), dtype),
                )  # fmt: skip
            with otherwise:
                each(I64(0), width, last, lambda moved: e.store(e.b.add(there, moved), zeros, dtype))
    return e.finish()
