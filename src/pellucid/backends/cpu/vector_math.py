"""Exponentials, logarithms and tanh on whole registers, within about 2 units in the last place.

The ranges are reduced as in the Cephes library (Moshier 1989), whose coefficients these are. float64 tanh and the rarer
functions are left to the C library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from pellucid.backends.cpu.emit import I1, I32, I64, Emitter, Value
from pellucid.dtypes import DType


@dataclass(frozen=True)
class Reals:
    """Arithmetic on registers of one float type."""

    e: Emitter
    dtype: DType

    @property
    def single(self) -> bool:
        """Whether the type is float32."""
        return self.dtype.itemsize == 4

    def number(self, value: float) -> Value:
        """A register of one number."""
        return self.e.constant(value, self.dtype)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x y + z."""
        return self.e.on_vectors("fma", x, y, z)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """c0 x^n + ... + cn by Horner's rule."""
        total = self.number(coefficients[0])
        for c in coefficients[1:]:
            total = self.fma(total, x, self.number(c))
        return total

    @property
    def integers(self) -> ir.VectorType:
        """The type of registers of integers as wide as the floats."""
        return ir.VectorType(I32 if self.single else I64, self.e.lanes)

    def whole(self, value: int) -> Value:
        """A register of one integer as wide as the floats."""
        return ir.Constant(self.integers, [ir.Constant(self.integers.element, value)] * self.e.lanes)

    @property
    def mantissa_bits(self) -> int:
        """Bits of the fraction."""
        return 23 if self.single else 52

    @property
    def bias(self) -> int:
        """The exponent of 1."""
        return 127 if self.single else 1023

    def power_of_two(self, n: Value) -> Value:
        """2^n for integers n within the normal exponents."""
        bits = self.e.b.shl(self.e.b.add(n, self.whole(self.bias)), self.whole(self.mantissa_bits))
        return self.e.b.bitcast(bits, self.e.vector_type(self.dtype))

    def less(self, x: Value, y: Value) -> Value:
        """x < y; false for NaN."""
        return self.e.b.fcmp_ordered("<", x, y)

    def is_nan(self, x: Value) -> Value:
        """Whether each lane is NaN."""
        return self.e.b.fcmp_unordered("uno", x, x)


_EXP_SINGLE = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_EXP_P = (1.26177193074810590878e-4, 3.02994407707441961300e-2, 9.99999999999999999910e-1)
_EXP_Q = (3.00198505138664455042e-6, 2.52448340349684104192e-3, 2.27265548208155028766e-1, 2.0)


def exp(r: Reals, x: Value) -> Value:
    """e^x: x = n ln 2 + f, e^f by a polynomial (float64: a quotient), times 2^n in two steps for tiny results."""
    b = r.e.b
    low, high = (-104.0, 89.0) if r.single else (-746.0, 710.0)
    inside = b.select(r.less(x, r.number(high)), x, r.number(high))
    inside = b.select(r.less(inside, r.number(low)), r.number(low), inside)
    n = r.e.on_vectors("rint", b.fmul(inside, r.number(1.4426950408889634)))
    first, second = (0.693359375, -2.12194440e-4) if r.single else (6.93145751953125e-1, 1.42860682030941723212e-6)
    f = r.fma(n, r.number(-first), inside)
    f = r.fma(n, r.number(-second), f)
    if r.single:
        y = b.fadd(r.fma(r.polynomial(f, _EXP_SINGLE), b.fmul(f, f), f), r.number(1.0))
    else:
        squared = b.fmul(f, f)
        top = b.fmul(f, r.polynomial(squared, _EXP_P))
        quotient = b.fdiv(top, b.fsub(r.polynomial(squared, _EXP_Q), top))
        y = r.fma(quotient, r.number(2.0), r.number(1.0))
    whole = b.fptosi(n, r.integers)
    half = b.ashr(whole, r.whole(1))
    scaled = b.fmul(b.fmul(y, r.power_of_two(half)), r.power_of_two(b.sub(whole, half)))
    return b.select(r.is_nan(x), x, scaled)


_LOG_SINGLE = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LOG_P = (
    1.01875663804580931796e-4, 4.97494994976747001425e-1, 4.70579119878881725854, 1.44989225341610930846e1,
    1.79368678507819816313e1, 7.70838733755885391666,
)  # fmt: skip
_LOG_Q = (
    1.0, 1.12873587189167450590e1, 4.52279145837532221105e1, 8.29875266912776603211e1, 7.11544750618563894466e1,
    2.31251620126765340583e1,
)  # fmt: skip


def log(r: Reals, x: Value) -> Value:
    """ln x: x = m 2^k with m in [sqrt(1/2), sqrt 2), ln m by a polynomial (float64: a quotient) in m - 1."""
    b = r.e.b
    # Subnormal numbers are lifted into the normal range first.
    smallest, lift = (1.17549435e-38, 25) if r.single else (2.2250738585072014e-308, 54)
    tiny = r.less(x, r.number(smallest))
    normal = b.select(tiny, b.fmul(x, r.number(2.0**lift)), x)
    bits = b.bitcast(normal, r.integers)
    exponent = b.sub(b.lshr(bits, r.whole(r.mantissa_bits)), r.whole(r.bias - 1))
    exponent = b.select(tiny, b.sub(exponent, r.whole(lift)), exponent)
    fraction = b.and_(bits, r.whole((1 << r.mantissa_bits) - 1))
    m = b.bitcast(b.or_(fraction, r.whole((r.bias - 1) << r.mantissa_bits)), r.e.vector_type(r.dtype))
    small = r.less(m, r.number(0.70710678118654752440))
    k = b.sitofp(b.select(small, b.sub(exponent, r.whole(1)), exponent), r.e.vector_type(r.dtype))
    m = b.fsub(b.select(small, b.fadd(m, m), m), r.number(1.0))
    squared = b.fmul(m, m)
    if r.single:
        y = b.fmul(b.fmul(r.polynomial(m, _LOG_SINGLE), m), squared)
    else:
        y = b.fmul(m, b.fmul(squared, b.fdiv(r.polynomial(m, _LOG_P), r.polynomial(m, _LOG_Q))))
    y = r.fma(k, r.number(-2.121944400546905827679e-4), y)
    y = r.fma(squared, r.number(-0.5), y)
    result = r.fma(k, r.number(0.693359375), b.fadd(m, y))
    return _log_limits(r, x, result)


def _log_limits(r: Reals, x: Value, result: Value) -> Value:
    """-inf at 0, inf at inf, NaN below 0 and at NaN."""
    b = r.e.b
    infinite = r.number(float("inf"))
    result = b.select(b.fcmp_ordered("==", x, r.number(0.0)), r.number(float("-inf")), result)
    result = b.select(b.fcmp_ordered("==", x, infinite), infinite, result)
    return b.select(b.fcmp_unordered("<", x, r.number(0.0)), r.number(float("nan")), result)


def log1p(r: Reals, x: Value) -> Value:
    """ln(1 + x), exact near 0: ln(u) x / (u - 1) with u = 1 + x rounded (Kahan)."""
    b = r.e.b
    u = b.fadd(x, r.number(1.0))
    moved = b.fsub(u, r.number(1.0))
    nothing = b.fcmp_ordered("==", moved, r.number(0.0))
    divisor = b.select(nothing, r.number(1.0), moved)
    corrected = b.fmul(log(r, u), b.fdiv(x, divisor))
    infinite = b.fcmp_ordered("==", x, r.number(float("inf")))
    return b.select(nothing, x, b.select(infinite, x, corrected))


_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)


def tanh_single(r: Reals, x: Value) -> Value:
    """tanh in float32: a polynomial below 0.625, 1 - 2 / (e^2|x| + 1) above, with the sign of x."""
    b = r.e.b
    size = r.e.on_vectors("fabs", x)
    squared = b.fmul(x, x)
    near = r.fma(b.fmul(r.polynomial(squared, _TANH), squared), x, x)
    raised = exp(r, b.fadd(size, size))
    far = b.fsub(r.number(1.0), b.fdiv(r.number(2.0), b.fadd(raised, r.number(1.0))))
    far = r.e.on_vectors("copysign", far, x)
    return b.select(b.fcmp_unordered("<", size, r.number(0.625)), near, far)


def all_true(e: Emitter) -> Value:
    """A register of set bits."""
    return ir.Constant(ir.VectorType(I1, e.lanes), [I1(1)] * e.lanes)
