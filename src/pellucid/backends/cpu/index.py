"""Kernels that follow indices: taking and adding along an axis, and the place of the largest element.

They work element by element. An index outside its axis is never followed: it is replaced by 0, and a flag is raised
(the instruction's number plus 1, the index, the axis' size) that the run turns into an error.
"""

from __future__ import annotations

from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.lanes import LANES, Place, larger
from pellucid.dtypes import DType, int64


def _safe_index(e: Emitter, address: Value, dtype: DType, size: Value, flag: tuple[Value, Value]) -> Value:
    """The index at an address as int64, checked; ``flag`` is an address and the number of the instruction."""
    raw = e.load_scalar(address, dtype)
    if dtype.itemsize < 8:
        raw = e.b.sext(raw, I64) if dtype.kind == "i" else e.b.zext(raw, I64)
    # As an unsigned number, a negative index is larger than any size.
    good = e.b.icmp_unsigned("<", raw, size)
    with e.b.if_then(e.b.not_(good), likely=False):
        place, instruction = flag
        for offset, number in enumerate((e.b.add(instruction, I64(1)), raw, size)):
            e.store_scalar(e.b.add(place, I64(8 * offset)), number, int64)
    return e.b.select(good, raw, I64(0))


def along_axis_kernel(dtype: DType, index_type: DType, loops: int, adding: bool) -> int:
    """The address of take_along_axis, or (``adding``) of add_along_axis on a result that holds zeros.

    Record: sizes of the loops over the indices; size of the indexed axis; its stride in the indexed array; address of
    the flag and number of the instruction; addresses of the plain array, the indexed array and the indices; for each
    loop their strides.
    """
    e = Emitter(1)
    sizes = [e.field() for _ in range(loops)]
    axis_size, axis_stride, flag = e.field(), e.field(), (e.field(), e.field())
    addresses = [e.field() for _ in range(3)]
    strides = [[e.field() for _ in range(3)] for _ in range(loops)]
    place = Place(e, dtype, dtype)

    def nest(loop: int, plain: Value, indexed: Value, index: Value) -> None:
        if loop == loops:
            chosen = e.advance(indexed, _safe_index(e, index, index_type, axis_size, flag), axis_stride)
            if not adding:
                e.store_scalar(plain, e.load_scalar(chosen, dtype), dtype)
                return
            total = LANES["add"](place, e.load_scalar(chosen, dtype), e.load_scalar(plain, dtype))
            e.store_scalar(chosen, total, dtype)
            return
        # Two updates may meet in one place: additions have one owner and one order.
        share = e.my_share(sizes[loop]) if loop == 0 and not adding else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, *(e.advance(a, i, s) for a, s in zip((plain, indexed, index), strides[loop], strict=True)))

    if adding:
        e.only_first_thread(lambda: nest(0, *addresses))
    else:
        nest(0, *addresses)
    return e.finish()


def argmax_kernel(dtype: DType, loops: int) -> int:
    """The address of argmax: the first largest element along an axis; NaN counts as the largest.

    Record: sizes of the kept loops; size and stride of the axis; addresses of result and operand; their strides.
    """
    e = Emitter(1)
    sizes = [e.field() for _ in range(loops)]
    count, stride = e.field(), e.field()
    addresses = [e.field() for _ in range(2)]
    strides = [[e.field() for _ in range(2)] for _ in range(loops)]

    place = Place(e, dtype, dtype)

    def nest(loop: int, result: Value, operand: Value) -> None:
        if loop == loops:

            def step(i: Value, carried: list[Value]) -> list[Value]:
                best, where = carried
                x = e.load_scalar(e.advance(operand, i, stride), dtype)
                better = larger(place, x, best)
                return [e.b.select(better, x, best), e.b.select(better, i, where)]

            start = [e.load_scalar(operand, dtype), I64(0)]
            e.store_scalar(result, e.reduce_loop(I64(1), count, 1, start, step)[1], int64)
            return
        share = e.my_share(sizes[loop]) if loop == 0 else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, *(e.advance(a, i, s) for a, s in zip((result, operand), strides[loop], strict=True)))

    nest(0, *addresses)
    return e.finish()
