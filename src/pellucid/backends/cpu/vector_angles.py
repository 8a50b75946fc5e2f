"""Sine and cosine on whole registers, within 2 units in the last place.

x = n pi + f with |f| <= pi / 2 after Cody and Waite (1980): n pi is taken away in three parts, so that f keeps its
digits even next to a zero. Angles too large for that go to the C library.
"""

from __future__ import annotations

from pellucid.backends.cpu.emit import Value
from pellucid.backends.cpu.reals import Reals

#: pi as a sum of three floats: (float32, float64).
_PI = (
    (3.1415927410125732, -8.742277657347586e-8, -3.4302490200117637e-15),
    (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33),
)
#: The largest |x| that is reduced here: up to it |f| <= pi / 2 + 0.01 in spite of rounding, and f keeps its digits.
_LARGEST = (2.0**17, 2.0**27)

# P in sin f = f + f^3 P(f^2), minimax fits of the relative error for |f| <= pi / 2 + 0.01 (Remez in 60 digits).
_SIN_SINGLE = (2.605112740639015e-06, -0.00019809434888884425, 0.00833306647837162, -0.16666659712791443)
_SIN_DOUBLE = (
    2.7206661421246095e-15, -7.642951640474424e-13, 1.6058938574952206e-10, -2.5052106860425973e-08,
    2.7557319211149163e-06, -0.00019841269841210506, 0.008333333333333203, -0.16666666666666666,
)  # fmt: skip


def sin(r: Reals, x: Value) -> Value:
    """The sine: sin(n pi + f) = (-1)^n sin f."""
    b, rounder = r.e.b, r.number(r.rounder())
    shifted = r.fma(x, r.number(0.3183098861837907), rounder)
    result = _wave(r, x, b.fsub(shifted, rounder), shifted)
    # f + f^3 P(f^2) would give 0 for -0.
    result = b.select(r.equal(x, r.number(0.0)), x, result)
    return _mend_large(r, x, result, "sin")


def cos(r: Reals, x: Value) -> Value:
    """The cosine: cos((n - 1/2) pi + f) = (-1)^n sin f."""
    b, rounder, half = r.e.b, r.number(r.rounder()), r.number(0.5)
    shifted = b.fadd(r.fma(x, r.number(0.3183098861837907), half), rounder)
    result = _wave(r, x, b.fsub(b.fsub(shifted, rounder), half), shifted)
    return _mend_large(r, x, result, "cos")


def _wave(r: Reals, x: Value, turns: Value, counted: Value) -> Value:
    """sin(x - turns pi), negative where the lowest bit of ``counted`` is set."""
    b = r.e.b
    minus, f = b.fneg(turns), x
    for part in _PI[0 if r.single else 1]:
        f = r.fma(minus, r.number(part), f)
    squared = b.fmul(f, f)
    y = r.fma(b.fmul(f, squared), r.polynomial(squared, _SIN_SINGLE if r.single else _SIN_DOUBLE), f)
    sign = b.shl(r.bits(counted), r.whole(31 if r.single else 63))
    return r.floats(b.xor(r.bits(y), sign))


def _mend_large(r: Reals, x: Value, result: Value, name: str) -> Value:
    large = r.less(r.number(_LARGEST[0 if r.single else 1]), r.size(x))
    return r.mend(large, result, lambda: r.library(name, x))
