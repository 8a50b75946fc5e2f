"""Kernels for random numbers from counters, and for scans and sorting along an axis."""

from __future__ import annotations

from llvmlite import ir

from pellucid.backends.cpu.emit import I32, I64, Emitter, Value
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.dtypes import DType, float32, float64, int64, uint32

# Philox 4x32-10, as in ops/random.py.
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def _philox(e: Emitter, counter: list[Value], key: list[Value]) -> list[Value]:
    """Four words (int32) of random bits."""
    c0, c1, c2, c3 = counter
    k0, k1 = key

    def product(factor: int, word: Value) -> tuple[Value, Value]:
        wide = e.b.mul(I64(factor), e.b.zext(word, I64))
        return e.b.trunc(e.b.lshr(wide, I64(32)), I32), e.b.trunc(wide, I32)

    for _ in range(_ROUNDS):
        high_0, low_0 = product(_MULTIPLIERS[0], c0)
        high_1, low_1 = product(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = e.b.xor(e.b.xor(high_1, c1), k0), low_1, e.b.xor(e.b.xor(high_0, c3), k1), low_0
        k0, k1 = e.b.add(k0, I32(_WEYL[0])), e.b.add(k1, I32(_WEYL[1]))
    return [c0, c1, c2, c3]


def _key(e: Emitter, address: Value) -> list[Value]:
    return [e.load_scalar(address, uint32), e.load_scalar(e.b.add(address, I64(4)), uint32)]


def random_kernel(kind: str, dtype: DType) -> int:
    """The address of random bits (``"bits"``) or uniform numbers (``"uniform"``).

    Record: number of elements; addresses of the key and of the dense result.
    """
    e = Emitter(1)
    count, key_address, out = e.field(), e.field(), e.field()
    key = _key(e, key_address)
    per_block = 2 if dtype == float64 else 4
    blocks = e.b.sdiv(e.b.add(count, I64(per_block - 1)), I64(per_block))
    low, high = e.my_share(blocks)
    with e.loop(low, high) as block:
        counter = [e.b.trunc(block, I32), e.b.trunc(e.b.lshr(block, I64(32)), I32), I32(0), I32(0)]
        words = _philox(e, counter, key)
        values = words if kind == "bits" else _uniform(e, words, dtype)
        for number, value in enumerate(values):
            i = e.b.add(e.b.mul(block, I64(per_block)), I64(number))
            with e.b.if_then(e.b.icmp_signed("<", i, count)):
                e.store_scalar(e.advance(out, i, I64(dtype.itemsize)), value, dtype)
    return e.finish()


def _uniform(e: Emitter, words: list[Value], dtype: DType) -> list[Value]:
    if dtype == float32:
        kind = ir.FloatType()
        scale = ir.Constant(kind, 2.0**-24)
        return [e.b.fmul(e.b.uitofp(e.b.lshr(w, I32(8)), kind), scale) for w in words]
    kind = ir.DoubleType()
    pairs = []
    for first, second in ((0, 1), (2, 3)):
        wide = e.b.or_(e.b.shl(e.b.zext(words[first], I64), I64(32)), e.b.zext(words[second], I64))
        pairs.append(e.b.fmul(e.b.uitofp(e.b.lshr(wide, I64(11)), kind), ir.Constant(kind, 2.0**-53)))
    return pairs


def fold_in_kernel() -> int:
    """The address of fold_in. Record: addresses of the key, the number and the new key."""
    e = Emitter(1)
    key, number, out = e.field(), e.field(), e.field()

    def body() -> None:
        words = _philox(e, [e.load_scalar(number, uint32), I32(0), I32(0), I32(1)], _key(e, key))
        e.store_scalar(out, words[0], uint32)
        e.store_scalar(e.b.add(out, I64(4)), words[1], uint32)

    e.only_first_thread(body)
    return e.finish()


def _rows(e: Emitter, loops: int, operands: int) -> tuple[list[Value], list[Value], list[list[Value]]]:
    sizes = [e.field() for _ in range(loops)]
    addresses = [e.field() for _ in range(operands)]
    strides = [[e.field() for _ in range(operands)] for _ in range(loops)]
    return sizes, addresses, strides


def cumsum_kernel(dtype: DType, loops: int) -> int:
    """The address of the running sum along an axis.

    Record: size of the axis, its strides in operand and result; kept loops: sizes, addresses of operand and result,
    strides.
    """
    e = Emitter(1)
    count, in_stride, out_stride = e.field(), e.field(), e.field()
    sizes, addresses, strides = _rows(e, loops, 2)
    place = Place(e, dtype, dtype)

    def nest(loop: int, source: Value, target: Value) -> None:
        if loop == loops:

            def step(i: Value, carried: list[Value]) -> list[Value]:
                total = LANES["add"](place, carried[0], e.load_scalar(e.advance(source, i, in_stride), dtype))
                e.store_scalar(e.advance(target, i, out_stride), total, dtype)
                return [total]

            e.reduce_loop(I64(0), count, 1, [e.scalar(0, dtype)], step)
            return
        share = e.my_share(sizes[loop]) if loop == 0 else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, *(e.advance(a, i, s) for a, s in zip((source, target), strides[loop], strict=True)))

    nest(0, *addresses)
    return e.finish()


def _comes_after(e: Emitter, dtype: DType, x: Value, y: Value) -> Value:
    """Whether x must come after y; NaN comes last."""
    if dtype.kind == "f":
        only_x = e.b.and_(e.b.fcmp_unordered("uno", x, x), e.b.fcmp_ordered("ord", y, y))
        return e.b.or_(e.b.fcmp_ordered(">", x, y), only_x)
    compare = e.b.icmp_signed if dtype.kind == "i" else e.b.icmp_unsigned
    return compare(">", x, y)


def _insertion_sort(
    e: Emitter, dtype: DType, operand: tuple[Value, Value], result: tuple[Value, Value], count: Value
) -> None:
    """The indices that sort ``count`` elements; operand and result are an address and a stride each."""
    (source, in_stride), (target, out_stride) = operand, result
    with e.loop(I64(0), count) as i:
        own = e.load_scalar(e.advance(source, i, in_stride), dtype)
        # The place of element i among the sorted ones before it, shifting larger ones up on the way.
        head, test, shift, done = (e.function.append_basic_block(n) for n in ("look", "test", "shift", "placed"))
        before = e.b.block
        e.b.branch(head)
        e.b.position_at_end(head)
        j = e.b.phi(I64)
        j.add_incoming(i, before)
        e.b.cbranch(e.b.icmp_signed(">", j, I64(0)), test, done)
        e.b.position_at_end(test)
        below = e.b.sub(j, I64(1))
        other = e.load_scalar(e.advance(target, below, out_stride), int64)
        larger = _comes_after(e, dtype, e.load_scalar(e.advance(source, other, in_stride), dtype), own)
        e.b.cbranch(larger, shift, done)
        e.b.position_at_end(shift)
        e.store_scalar(e.advance(target, j, out_stride), other, int64)
        j.add_incoming(below, e.b.block)
        e.b.branch(head)
        e.b.position_at_end(done)
        e.store_scalar(e.advance(target, j, out_stride), i, int64)


def argsort_kernel(dtype: DType, loops: int) -> int:
    """The address of argsort along an axis: insertion sort, stable, NaN last.

    Record: size of the axis, its strides in operand and result (int64); kept loops: sizes, addresses, strides.
    """
    e = Emitter(1)
    count, in_stride, out_stride = e.field(), e.field(), e.field()
    sizes, addresses, strides = _rows(e, loops, 2)

    def nest(loop: int, source: Value, target: Value) -> None:
        if loop == loops:
            _insertion_sort(e, dtype, (source, in_stride), (target, out_stride), count)
            return
        share = e.my_share(sizes[loop]) if loop == 0 else (I64(0), sizes[loop])
        with e.loop(*share) as i:
            nest(loop + 1, *(e.advance(a, i, s) for a, s in zip((source, target), strides[loop], strict=True)))

    nest(0, *addresses)
    return e.finish()
