"""Powers on whole registers, within 2 units in the last place.

x^y = e^(y ln |x|), where the logarithm has about 10 bits more than a float: it is a sum of two floats. The steps are
those of double-double arithmetic (Dekker 1971) with fused multiplications.
"""

from __future__ import annotations

from pellucid.backends.cpu.emit import Value
from pellucid.backends.cpu.reals import Pair, Reals
from pellucid.backends.cpu.vector_math import exp, ln2, split_any_exponent

# T in atanh(s) = s (1 + z (1/3 + z T(z))) with z = s^2, s = (m - 1) / (m + 1), sqrt(1/2) <= m <= sqrt 2:
# minimax fits of the relative error (Remez in 60 digits).
_ATANH_SINGLE = (0.11709950119256973, 0.14273542165756226, 0.20000076293945312)
_ATANH_DOUBLE = (
    0.06598006159664982, 0.06628426695967728, 0.07693377864676511, 0.09090892201769099, 0.11111111259743402,
    0.14285714285051068, 0.20000000000001125,
)  # fmt: skip
_THIRD = ((0.3333333432674408, -9.934107758624577e-9), (0.3333333333333333, 1.850371707708594e-17))


def power(r: Reals, x: Value, y: Value) -> Value:
    """x to the power y, with NumPy's results for every sign, 0, infinity and NaN."""
    b = r.e.b
    size, infinity = r.size(x), r.number(float("inf"))
    high, low = _log(r, size)
    high = b.select(r.less(size, infinity), high, size)
    high = b.select(r.equal(size, r.number(0.0)), r.number(float("-inf")), high)
    top, rest = r.product(y, high)
    rest = r.fma(y, low, rest)
    # Where the power overflows, the rest is inf - inf.
    rest = b.select(r.less(r.size(top), r.number(1e3)), rest, r.number(0.0))
    return _signed(r, x, y, exp(r, top, rest))


def _log(r: Reals, x: Value) -> Pair:
    """ln x = k ln 2 + 2 atanh(s), s = f / (2 + f), as a pair of floats."""
    b = r.e.b
    f, k = split_any_exponent(r, x)
    s = _quotient(r, f)
    z = r.pair_product(s, s)
    third, third_rest = (r.number(part) for part in _THIRD[0 if r.single else 1])
    series = b.fmul(z[0], r.polynomial(z[0], _ATANH_SINGLE if r.single else _ATANH_DOUBLE))
    inner, inner_rest = r.total(third, series)
    bend = r.pair_product(z, (inner, b.fadd(inner_rest, third_rest)))
    twice = b.fadd(s[0], s[0]), b.fadd(s[1], s[1])
    bend = r.pair_product(twice, bend)
    ln2_high, ln2_low = ln2(r)
    whole, whole_rest = r.product(k, ln2_high)
    high, rest = r.total(whole, twice[0])
    high, rest_of_bend = r.total(high, bend[0])
    low = b.fadd(b.fadd(rest, rest_of_bend), b.fadd(b.fadd(twice[1], bend[1]), r.fma(k, ln2_low, whole_rest)))
    return high, low


def _quotient(r: Reals, f: Value) -> Pair:
    """f / (2 + f)."""
    b, two = r.e.b, r.number(2.0)
    bottom = b.fadd(two, f)
    bottom_rest = b.fsub(f, b.fsub(bottom, two))
    inverse = b.fdiv(r.number(1.0), bottom)
    high = b.fmul(f, inverse)
    minus = b.fneg(high)
    left = r.fma(minus, bottom_rest, r.fma(minus, bottom, f))
    return high, b.fmul(left, inverse)


def _signed(r: Reals, x: Value, y: Value, raised: Value) -> Value:
    """|x|^y as x^y: odd powers keep the sign; negative numbers have whole powers only; x^0 and 1^y are 1."""
    b, one, infinity = r.e.b, r.number(1.0), r.number(float("inf"))
    whole = r.equal(r.nearest(y), y)
    half = b.fmul(y, r.number(0.5))
    odd = b.and_(whole, b.fcmp_unordered("!=", r.nearest(half), half))
    result = b.select(odd, r.with_sign_of(raised, x), raised)
    broken = b.and_(r.less(x, r.number(0.0)), b.not_(whole))
    # -inf to a broken power is inf or 0: only finite negative numbers have none.
    broken = b.and_(broken, r.less(r.number(float("-inf")), x))
    result = b.select(broken, r.number(float("nan")), result)
    # Infinite powers are even: those of -1 are 1.
    turning = b.and_(r.equal(x, r.number(-1.0)), r.equal(r.size(y), infinity))
    is_one = b.or_(b.or_(r.equal(y, r.number(0.0)), r.equal(x, one)), turning)
    return b.select(is_one, one, result)
