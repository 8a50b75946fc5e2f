"""Writing kernels: a thin layer over LLVM's instruction builder, with loops, vectors and masks.

Every kernel has one signature, ``kernel(record, thread, threads)``. Its record is a row of int64: addresses, sizes and
strides in bytes. So a kernel is compiled once and serves every size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from llvmlite.binding import llvm_version_info

from pellucid.backends.cpu import target
from pellucid.dtypes import DType

I1, I8, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
POINTER = ir.PointerType()
# llvmlite fills a table when it first writes a name of metadata; done here, two threads cannot do it at once.
ir.MetaDataString(ir.Module(), "").get_reference()
KERNEL = target.KERNEL
# Before LLVM 22 masked loads and stores were told their alignment by an argument.
_ALIGNMENT_IS_AN_ARGUMENT = llvm_version_info < (22,)

Value = Any


def element_type(dtype: DType) -> ir.Type:
    """The type of an element in memory; booleans take a byte."""
    if dtype.kind == "f":
        return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return ir.IntType(8 * dtype.itemsize)


class Emitter:
    """Writes one kernel.

    Attributes:
        b: LLVM's instruction builder at the present place.
        lanes: Elements that are computed at once.
    """

    def __init__(self, lanes: int) -> None:
        self.module = ir.Module(KERNEL)
        self.module.triple = ""
        signature = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64])
        self.function = ir.Function(self.module, signature, KERNEL)
        self.record, self.thread, self.threads = self.function.args
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.lanes = lanes
        self._fields = 0

    def finish(self) -> int:
        """End the kernel, compile it, and give its address."""
        self.b.ret_void()
        return target.address_of(str(self.module), KERNEL)

    @contextmanager
    def narrowed(self, lanes: int) -> Iterator[None]:
        """In the block, registers have so many lanes."""
        before, self.lanes = self.lanes, lanes
        try:
            yield
        finally:
            self.lanes = before

    # Numbers.

    def field(self) -> Value:
        """The next number of the record."""
        place = self.b.gep(self.record, [I64(self._fields)], source_etype=I64)
        self._fields += 1
        return self.b.load(place, typ=I64)

    def own_memory(self) -> Value:
        """The address of the memory that each thread has for itself; record: where it begins, bytes of each thread."""
        return self.advance(self.field(), self.thread, self.field())

    def vector_type(self, dtype: DType) -> ir.VectorType:
        """The type of a register of elements: booleans are single bits there."""
        return ir.VectorType(I1 if dtype.kind == "b" else element_type(dtype), self.lanes)

    def constant(self, value: float | int | bool, dtype: DType) -> Value:
        """A register that holds one number in every lane."""
        kind = self.vector_type(dtype)
        if dtype.kind == "f":
            return ir.Constant(kind, [ir.Constant(kind.element, float(value))] * self.lanes)
        return ir.Constant(kind, [ir.Constant(kind.element, int(value))] * self.lanes)

    def scalar(self, value: float | int, dtype: DType) -> Value:
        """One number, not in a register of lanes."""
        if dtype.kind == "b":
            return I1(int(value))
        return ir.Constant(element_type(dtype), float(value) if dtype.kind == "f" else int(value))

    def splat(self, scalar: Value) -> Value:
        """A register with the number in every lane."""
        kind = ir.VectorType(scalar.type, self.lanes)
        first = self.b.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [I32(0)] * self.lanes)
        return self.b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def intrinsic(self, name: str, result: ir.Type, *args: Value) -> Value:
        """A call of one of LLVM's built-in functions."""
        known = self.module.globals.get(name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(result, [a.type for a in args]), name)
        return self.b.call(known, args)

    def on_vectors(self, name: str, *args: Value) -> Value:
        """A built-in function of equal registers, such as ``fma`` or ``sqrt``."""
        kind = args[0].type
        letter = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}.get(kind.element) or f"i{kind.element.width}"
        return self.intrinsic(f"llvm.{name}.v{self.lanes}{letter}", kind, *args)

    def multiply_add(self, x: Value, y: Value, z: Value) -> Value:
        """x y + z, rounded once for floats; booleans are "and" and "or"."""
        kind = x.type.element
        if isinstance(kind, (ir.FloatType, ir.DoubleType)):
            return self.on_vectors("fma", x, y, z)
        if kind.width == 1:
            return self.b.or_(self.b.and_(x, y), z)
        return self.b.add(self.b.mul(x, y), z)

    # Loops.

    def either(
        self, condition: Value, then: Callable[[], list[Value]], other: Callable[[], list[Value]]
    ) -> list[Value]:
        """The values of one of two branches."""
        found = []
        with self.b.if_else(condition) as branches:
            for branch, make in zip(branches, (then, other), strict=True):
                with branch:
                    found.append((make(), self.b.block))
        (first, at), (second, elsewhere) = found
        joined = []
        for x, y in zip(first, second, strict=True):
            phi = self.b.phi(x.type)
            phi.add_incoming(x, at)
            phi.add_incoming(y, elsewhere)
            joined.append(phi)
        return joined

    @contextmanager
    def loop(self, start: Value, stop: Value, step: int | Value = 1) -> Iterator[Value]:
        """``for i in range(start, stop, step)``."""
        before = self.b.block
        head = self.function.append_basic_block("head")
        body = self.function.append_basic_block("body")
        done = self.function.append_basic_block("done")
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(I64)
        i.add_incoming(start, before)
        self.b.cbranch(self.b.icmp_signed("<", i, stop), body, done)
        self.b.position_at_end(body)
        yield i
        i.add_incoming(self.b.add(i, I64(step) if isinstance(step, int) else step), self.b.block)
        self.b.branch(head)
        self.b.position_at_end(done)

    def reduce_loop(
        self,
        start: Value,
        stop: Value,
        step: int,
        initial: list[Value],
        body: Callable[[Value, list[Value]], list[Value]],
    ) -> list[Value]:
        """A loop that carries registers: ``body(i, carried)`` gives their next values."""
        before = self.b.block
        head = self.function.append_basic_block("head")
        inside = self.function.append_basic_block("body")
        done = self.function.append_basic_block("done")
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(I64)
        i.add_incoming(start, before)
        carried = []
        for value in initial:
            phi = self.b.phi(value.type)
            phi.add_incoming(value, before)
            carried.append(phi)
        self.b.cbranch(self.b.icmp_signed("<", i, stop), inside, done)
        self.b.position_at_end(inside)
        for phi, value in zip(carried, body(i, carried), strict=True):
            phi.add_incoming(value, self.b.block)
        i.add_incoming(self.b.add(i, I64(step)), self.b.block)
        self.b.branch(head)
        self.b.position_at_end(done)
        return carried

    def unrolled_loop(
        self,
        start: Value,
        stop: Value,
        together: int,
        initial: list[Value],
        body: Callable[[Value, list[Value]], list[Value]],
        before: Callable[[Value], None] | None = None,
    ) -> list[Value]:
        """:meth:`reduce_loop` by single steps of which so many are written out one after the other.

        Counting and jumping take a place among the multiply-adds on processors whose integer and vector units share
        ports. What comes ``before`` is written once for so many steps, and for each of those that are left; it is given
        the number of the first.
        """

        def single(i: Value, carried: list[Value]) -> list[Value]:
            if before is not None:
                before(i)
            return body(i, carried)

        if together == 1:
            return self.reduce_loop(start, stop, 1, initial, single)
        whole = self.b.add(start, self.b.mul(self.b.sdiv(self.minus(stop, start), I64(together)), I64(together)))

        def several(i: Value, carried: list[Value]) -> list[Value]:
            if before is not None:
                before(i)
            for number in range(together):
                carried = body(self.b.add(i, I64(number)), carried)
            return carried

        return self.reduce_loop(whole, stop, 1, self.reduce_loop(start, whole, together, initial, several), single)

    def my_share(self, count: Value, unit: int = 1) -> tuple[Value, Value]:
        """The part of ``range(count)`` that belongs to this thread, cut at multiples of ``unit``.

        The first threads have more of it, so that a single number is the first one's.
        """
        blocks, less = self.ceiling(count, unit), self.b.sub(self.threads, I64(1))

        def up_to(thread: Value) -> Value:
            parts = self.b.sdiv(self.b.add(self.b.mul(blocks, thread), less), self.threads)
            return self.b.mul(parts, I64(unit))

        low, high = up_to(self.thread), up_to(self.b.add(self.thread, I64(1)))
        return self.smaller(low, count), self.smaller(high, count)

    def smaller(self, x: Value, y: Value) -> Value:
        """The smaller of two int64."""
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def larger(self, x: Value, y: Value) -> Value:
        """The larger of two int64."""
        return self.b.select(self.b.icmp_signed(">", x, y), x, y)

    def opaque(self, x: Value) -> Value:
        """The same int64, of which LLVM does not know how it came about.

        Addresses at equal distances it would else compute from each other in every step of a loop, and on processors
        whose integer and vector units share ports each such addition takes the place of a multiply-add.
        """
        return self.b.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [x], False)

    def minus(self, x: Value, y: Value) -> Value:
        """x - y of int64."""
        return self.b.sub(x, y)

    def ceiling(self, n: Value, unit: Value | int) -> Value:
        """n / unit of int64, rounded up."""
        whole = I64(unit) if isinstance(unit, int) else unit
        less = I64(unit - 1) if isinstance(unit, int) else self.b.sub(unit, I64(1))
        return self.b.sdiv(self.b.add(n, less), whole)

    def advance(self, address: Value, index: Value, stride: Value) -> Value:
        """address + index * stride."""
        return self.b.add(address, self.b.mul(index, stride))

    # Memory.

    def lane_numbers(self) -> Value:
        """0, 1, 2, ... as int64."""
        return ir.Constant(ir.VectorType(I64, self.lanes), [I64(i) for i in range(self.lanes)])

    def mask(self, remaining: Value) -> Value:
        """The first ``remaining`` lanes."""
        numbers = ir.Constant(ir.VectorType(I32, self.lanes), [I32(i) for i in range(self.lanes)])
        count = self.b.trunc(self.smaller(remaining, I64(self.lanes)), I32)
        return self.b.icmp_signed("<", numbers, self.splat(count))

    def any(self, flags: Value) -> Value:
        """Whether a register of booleans has one that is true."""
        bits = ir.IntType(flags.type.count)
        return self.b.icmp_unsigned("!=", self.b.bitcast(flags, bits), bits(0))

    def pointer(self, address: Value) -> Value:
        """An address as a pointer."""
        return self.b.inttoptr(address, POINTER)

    def load_scalar(self, address: Value, dtype: DType) -> Value:
        """One element; a boolean as a bit."""
        value = self.b.load(self.pointer(address), typ=element_type(dtype), align=dtype.itemsize)
        return self._from_memory(value, dtype)

    def store_scalar(self, address: Value, value: Value, dtype: DType) -> None:
        """One element."""
        self.b.store(self._to_memory(value, dtype), self.pointer(address), align=dtype.itemsize)

    def prefetch(self, address: Value, write: bool = False, near: bool = False) -> None:
        """Ask for a cache line that will soon be read, or replaced; the address may lie anywhere.

        ``near``: it is read once, at once, and need not stay anywhere but in the first cache.
        """
        level, data = I32(3 if write or near else 2), I32(1)
        self.intrinsic("llvm.prefetch.p0", ir.VoidType(), self.pointer(address), I32(int(write)), level, data)

    def beside(self, address: Value, vector: int, dtype: DType) -> Value:
        """The address of the v-th register from an address on."""
        return self.b.add(address, I64(vector * self.lanes * dtype.itemsize))

    def load(self, address: Value, dtype: DType, mask: Value | None = None) -> Value:
        """Neighbouring elements; lanes outside the mask are 0."""
        kind = ir.VectorType(element_type(dtype), self.lanes)
        if mask is None:
            return self._from_memory(self.b.load(self.pointer(address), typ=kind, align=dtype.itemsize), dtype)
        name = f"llvm.masked.load.v{self.lanes}{_suffix(dtype)}.p0"
        return self._from_memory(self._masked(name, kind, dtype, self.pointer(address), mask), dtype)

    def gather(self, address: Value, stride: Value, dtype: DType, mask: Value) -> Value:
        """Elements at equal distances; lanes outside the mask are 0."""
        addresses = self.b.add(self.splat(address), self.b.mul(self.lane_numbers(), self.splat(stride)))
        return self.gather_at(addresses, dtype, mask)

    def gather_at(self, addresses: Value, dtype: DType, mask: Value) -> Value:
        """The elements at a register of addresses; lanes outside the mask are 0."""
        kind = ir.VectorType(element_type(dtype), self.lanes)
        pointers = self.b.inttoptr(addresses, ir.VectorType(POINTER, self.lanes))
        name = f"llvm.masked.gather.v{self.lanes}{_suffix(dtype)}.v{self.lanes}p0"
        return self._from_memory(self._masked(name, kind, dtype, pointers, mask), dtype)

    def _masked(self, name: str, kind: ir.VectorType, dtype: DType, source: Value, mask: Value) -> Value:
        nothing = ir.Constant(kind, [ir.Constant(kind.element, 0)] * self.lanes)
        return self._call_aligned(name, kind, [source], [mask, nothing], dtype)

    def _call_aligned(self, name: str, result: ir.Type, place: list[Value], others: list[Value], dtype: DType) -> Value:
        """Call a built-in function of memory, whose last argument in ``place`` is aligned to an element and no more."""
        args = [*place, *([I32(dtype.itemsize)] if _ALIGNMENT_IS_AN_ARGUMENT else []), *others]
        call = self.intrinsic(name, result, *args)
        if not _ALIGNMENT_IS_AN_ARGUMENT:
            attributes = ir.values.ArgumentAttributes()
            attributes.align = dtype.itemsize
            call.arg_attributes[len(place) - 1] = attributes
        return call

    def store(self, address: Value, value: Value, dtype: DType, mask: Value | None = None) -> None:
        """Neighbouring elements; those outside the mask stay as they are."""
        stored = self._to_memory(value, dtype)
        if mask is None:
            self.b.store(stored, self.pointer(address), align=dtype.itemsize)
            return
        name = f"llvm.masked.store.v{self.lanes}{_suffix(dtype)}.p0"
        self._call_aligned(name, ir.VoidType(), [stored, self.pointer(address)], [mask], dtype)

    def scatter(self, address: Value, stride: Value, value: Value, dtype: DType, mask: Value) -> None:
        """Elements at equal distances; those outside the mask stay as they are."""
        stored = self._to_memory(value, dtype)
        addresses = self.b.add(self.splat(address), self.b.mul(self.lane_numbers(), self.splat(stride)))
        pointers: Value = self.b.inttoptr(addresses, ir.VectorType(POINTER, self.lanes))
        name = f"llvm.masked.scatter.v{self.lanes}{_suffix(dtype)}.v{self.lanes}p0"
        self._call_aligned(name, ir.VoidType(), [stored, pointers], [mask], dtype)

    def join_lanes(self, value: Value, join: Callable[[Value, Value], Value]) -> Value:
        """All lanes joined in a fixed tree: halves with halves, until one is left."""
        width = self.lanes
        undefined = ir.Constant(value.type, ir.Undefined)
        while width > 1:
            width //= 2
            numbers = [I32((lane + width) % self.lanes) for lane in range(self.lanes)]
            order = ir.Constant(ir.VectorType(I32, self.lanes), numbers)
            value = join(value, self.b.shuffle_vector(value, undefined, order))
        return self.b.extract_element(value, I32(0))

    def join_each(self, values: list[Value], join: Callable[[Value, Value], Value]) -> Value:
        """The lanes of as many registers as there are lanes, each joined as by :meth:`join_lanes`, side by side."""
        width = self.lanes
        while width > 1:
            # Each register holds some results so far, of so many lanes; two of them give one with lanes half as many.
            width //= 2
            low = [first + lane for first in range(0, self.lanes, 2 * width) for lane in range(width)]
            halves = [[*kept, *(n + self.lanes for n in kept)] for kept in (low, [n + width for n in low])]
            orders = [ir.Constant(ir.VectorType(I32, self.lanes), [I32(n) for n in half]) for half in halves]
            pairs = zip(values[::2], values[1::2], strict=True)
            values = [join(*(self.b.shuffle_vector(a, b, order) for order in orders)) for a, b in pairs]
        return values[0]

    def only_first_thread(self, body: Callable[[], None]) -> None:
        """Run a part in thread 0 alone."""
        with self.b.if_then(self.b.icmp_signed("==", self.thread, I64(0))):
            body()

    def _from_memory(self, value: Value, dtype: DType) -> Value:
        if dtype.kind != "b":
            return value
        zero = (
            ir.Constant(value.type, 0)
            if isinstance(value.type, ir.IntType)
            else ir.Constant(value.type, [I8(0)] * self.lanes)
        )
        return self.b.icmp_unsigned("!=", value, zero)

    def _to_memory(self, value: Value, dtype: DType) -> Value:
        if dtype.kind != "b":
            return value
        return self.b.zext(value, ir.VectorType(I8, self.lanes) if isinstance(value.type, ir.VectorType) else I8)


def _suffix(dtype: DType) -> str:
    if dtype.kind == "f":
        return f"f{8 * dtype.itemsize}"
    return f"i{8 * dtype.itemsize}"


def lanes_for(*dtypes: DType) -> int:
    """Lanes of a kernel on such elements: the widest type that is computed with fills a register."""
    widest = max((d.itemsize for d in dtypes if d.kind == "f"), default=4)
    return target.vector_bytes() // max(widest, 4)
