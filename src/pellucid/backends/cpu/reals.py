"""Arithmetic on registers of one float type: constants, polynomials, bits, and sums and products with their rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from pellucid.backends.cpu.emit import I1, I32, I64, Emitter, Value, element_type
from pellucid.dtypes import DType

#: A number of twice the precision: the nearest float and what is left.
Pair = tuple[Value, Value]


@dataclass(frozen=True)
class Reals:
    """Arithmetic on registers of one float type."""

    e: Emitter
    dtype: DType

    @property
    def single(self) -> bool:
        """Whether the type is float32."""
        return self.dtype.itemsize == 4

    @property
    def mantissa_bits(self) -> int:
        """Bits of the fraction."""
        return 23 if self.single else 52

    @property
    def bias(self) -> int:
        """The exponent of 1."""
        return 127 if self.single else 1023

    def number(self, value: float) -> Value:
        """A register of one number."""
        return self.e.constant(value, self.dtype)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x y + z, rounded once."""
        return self.e.on_vectors("fma", x, y, z)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """c0 x^n + ... + cn by Horner's rule."""
        total = self.number(coefficients[0])
        for c in coefficients[1:]:
            total = self.fma(total, x, self.number(c))
        return total

    def either_polynomial(self, first: Value, x: Value, one: Sequence[float], other: Sequence[float]) -> Value:
        """The polynomial ``one`` in lanes where ``first`` holds, ``other`` elsewhere; the shorter has leading zeros."""
        size = max(len(one), len(other))
        pairs = zip([0.0] * (size - len(one)) + [*one], [0.0] * (size - len(other)) + [*other], strict=True)
        chosen = (self.e.b.select(first, self.number(a), self.number(b)) for a, b in pairs)
        total = next(chosen)
        for c in chosen:
            total = self.fma(total, x, c)
        return total

    # Comparisons, sizes and signs.

    def less(self, x: Value, y: Value) -> Value:
        """x < y; false for NaN."""
        return self.e.b.fcmp_ordered("<", x, y)

    def equal(self, x: Value, y: Value) -> Value:
        """x == y; false for NaN."""
        return self.e.b.fcmp_ordered("==", x, y)

    def at_most(self, x: Value, high: float) -> Value:
        """The smaller of x and a number; NaN stays NaN."""
        limit = self.number(high)
        return self.e.b.select(self.less(limit, x), limit, x)

    def at_least(self, x: Value, low: float) -> Value:
        """The larger of x and a number; NaN stays NaN."""
        limit = self.number(low)
        return self.e.b.select(self.less(x, limit), limit, x)

    def size(self, x: Value) -> Value:
        """|x|."""
        return self.e.on_vectors("fabs", x)

    def with_sign_of(self, x: Value, sign: Value) -> Value:
        """|x| with the sign of another number."""
        return self.e.on_vectors("copysign", x, sign)

    def nearest(self, x: Value) -> Value:
        """The nearest whole number."""
        return self.e.on_vectors("rint", x)

    # Bits.

    @property
    def integers(self) -> ir.VectorType:
        """The type of registers of integers as wide as the floats."""
        return ir.VectorType(I32 if self.single else I64, self.e.lanes)

    def whole(self, value: int) -> Value:
        """A register of one integer as wide as the floats."""
        return ir.Constant(self.integers, [ir.Constant(self.integers.element, value)] * self.e.lanes)

    def bits(self, x: Value) -> Value:
        """The bits of floats as integers."""
        return self.e.b.bitcast(x, self.integers)

    def floats(self, bits: Value) -> Value:
        """The floats that have some bits."""
        return self.e.b.bitcast(bits, self.e.vector_type(self.dtype))

    def to_exponent(self, n: Value) -> Value:
        """Integers moved to where floats have their exponent."""
        return self.e.b.shl(n, self.whole(self.mantissa_bits))

    def rounder(self, added: int = 0) -> float:
        """A number R so large that x + R is whole: R + n, with n + ``added`` in its low bits."""
        return 1.5 * 2.0**self.mantissa_bits + added

    # Twice the precision.

    def product(self, x: Value, y: Value) -> Pair:
        """x y exactly."""
        high = self.e.b.fmul(x, y)
        return high, self.fma(x, y, self.e.b.fneg(high))

    def total(self, larger: Value, smaller: Value) -> Pair:
        """The exact sum of two numbers, the larger first (or 0)."""
        high = self.e.b.fadd(larger, smaller)
        return high, self.e.b.fsub(smaller, self.e.b.fsub(high, larger))

    def pair_product(self, x: Pair, y: Pair) -> Pair:
        """x y, but for the product of what is left of both."""
        high, low = self.product(x[0], y[0])
        return high, self.fma(x[0], y[1], self.fma(x[1], y[0], low))

    # The way to the C library.

    def library(self, name: str, *operands: Value) -> Value:
        """A function of the C library, lane by lane; the float form has an f at its end."""
        kind = element_type(self.dtype)
        symbol = name + ("f" if self.single else "")
        known = self.e.module.globals.get(symbol)
        if known is None:
            known = ir.Function(self.e.module, ir.FunctionType(kind, [kind] * len(operands)), symbol)
        result = ir.Constant(self.e.vector_type(self.dtype), ir.Undefined)
        for lane in range(self.e.lanes):
            value = self.e.b.call(known, [self.e.b.extract_element(x, I32(lane)) for x in operands])
            result = self.e.b.insert_element(result, value, I32(lane))
        return result

    def mend(self, wrong: Value, result: Value, exact: Callable[[], Value]) -> Value:
        """The result with another in some lanes; that one is only computed where at least one lane needs it."""
        b = self.e.b
        before = b.block
        with b.if_then(self.e.any(wrong), likely=False):
            mended = b.select(wrong, exact(), result)
            inside = b.block
        merged = b.phi(result.type)
        merged.add_incoming(result, before)
        merged.add_incoming(mended, inside)
        return merged


def all_true(e: Emitter) -> Value:
    """A register of set bits."""
    return ir.Constant(ir.VectorType(I1, e.lanes), [I1(1)] * e.lanes)
