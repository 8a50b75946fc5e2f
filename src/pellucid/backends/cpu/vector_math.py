"""Exponentials, logarithms and the error function on whole registers: float32 within 2 units in the last place.

float64 is within 3. The coefficients are minimax fits of the result's relative error, made for this file: by Remez'
exchange algorithm in 60 digits, or for float32 by linear programs that fit the higher powers anew after each lower
one was rounded to the type.
"""

from __future__ import annotations

from pellucid.backends.cpu.emit import Value
from pellucid.backends.cpu.reals import Reals

#: ln 2 as a float and what is left: (float32, float64).
_LN2 = ((0.6931471824645996, -1.9046542121259336e-9), (0.6931471805599453, 2.3190468138462996e-17))
_LOG2_E = 1.4426950408889634


def ln2(r: Reals) -> tuple[Value, Value]:
    """ln 2 with twice the precision."""
    high, low = _LN2[0 if r.single else 1]
    return r.number(high), r.number(low)


# Exponentials. q in e^f = 1 + f + f^2 q(f) for |f| <= ln(2) / 2, best for e^f - 1; _EXP_SINGLE is best for e^f.

_EXP_SINGLE = (0.001382146612741053, 0.008368662558495998, 0.041668254882097244, 0.1666652113199234, 0.4999999403953552)
_EXPM1_SINGLE = (
    0.0001976070343516767, 0.001393232261762023, 0.008333547040820122, 0.04166649281978607, 0.1666666567325592, 0.5,
)  # fmt: skip
_EXP_DOUBLE = (
    2.5161354005967995e-08, 2.762823050712594e-07, 2.7557116920845493e-06, 2.4801499752852045e-05,
    0.00019841269986907952, 0.0013888888936179115, 0.008333333333293223, 0.041666666666562414, 0.16666666666666696,
    0.5000000000000007,
)  # fmt: skip


def split_by_ln2(r: Reals, x: Value, added: int) -> tuple[Value, Value]:
    """x = n ln 2 + f with n whole: f, and integers with n + ``added`` in their low bits."""
    high, low = ln2(r)
    rounder = r.number(r.rounder(added))
    shifted = r.fma(x, r.number(_LOG2_E), rounder)
    minus_n = r.e.b.fsub(rounder, shifted)
    f = r.fma(minus_n, low, r.fma(minus_n, high, x))
    return f, r.bits(shifted)


def _slope_of_exp(r: Reals, f: Value) -> Value:
    """(e^f - 1) / f for |f| <= ln(2) / 2."""
    return r.fma(r.polynomial(f, _EXP_SINGLE if r.single else _EXP_DOUBLE), f, r.number(1.0))


def _expm1_near_0(r: Reals, f: Value) -> Value:
    """e^f - 1 for |f| <= ln(2) / 2."""
    q = r.polynomial(f, _EXPM1_SINGLE if r.single else _EXP_DOUBLE)
    return r.fma(q, r.e.b.fmul(f, f), f)


def exp(r: Reals, x: Value, rest: Value | None = None) -> Value:
    """e^(x + rest), where the rest is tiny; 2^n is multiplied in two halves, so that tiny results are rounded once."""
    b = r.e.b
    # The result is 0 below and infinite above.
    low, high = (-104.0, 89.0) if r.single else (-746.0, 710.0)
    f, n = split_by_ln2(r, r.at_least(r.at_most(x, high), low), 2 * r.bias)
    if rest is not None:
        f = b.fadd(f, rest)
    half = b.lshr(n, r.whole(1))
    other = b.sub(n, half)
    y = b.fmul(r.fma(_slope_of_exp(r, f), f, r.number(1.0)), r.floats(r.to_exponent(half)))
    return b.fmul(y, r.floats(r.to_exponent(other)))


def expm1(r: Reals, x: Value) -> Value:
    """e^x - 1 = 2^n (e^f - 1) + (2^n - 1), twice the half of it, because 2^n itself may overflow."""
    b = r.e.b
    # The result is -1 below and infinite above.
    low, high = (-40.0, 89.0) if r.single else (-80.0, 710.0)
    f, n = split_by_ln2(r, r.at_least(r.at_most(x, high), low), r.bias - 1)
    scale = r.floats(r.to_exponent(n))
    result = r.fma(scale, _expm1_near_0(r, f), b.fsub(scale, r.number(0.5)))
    # Nearer to 0 it is x itself: -0 and subnormal numbers would not survive the halving.
    near = r.less(r.size(x), r.number(2.0**-30 if r.single else 2.0**-60))
    return b.select(near, x, b.fadd(result, result))


# T in tanh x = x + x^3 T(x^2) for |x| < 0.5625.
_TANH_SINGLE = (
    -0.006169613916426897, 0.021000375971198082, -0.053835757076740265, 0.13332436978816986, -0.3333331346511841,
)  # fmt: skip


def tanh(r: Reals, x: Value) -> Value:
    """1 - 2 / (e^2|x| + 1) with the sign of x; where that would cancel, a polynomial or another quotient."""
    b = r.e.b
    size = r.size(x)
    # The result is 1 from there on.
    doubled = r.at_most(b.fadd(size, size), 20.0 if r.single else 40.0)
    far = r.less(r.number(1.125), doubled)
    f, n = split_by_ln2(r, doubled, r.bias)
    scale = r.floats(r.to_exponent(n))
    result = _tanh_single(r, size, far, f, scale) if r.single else _tanh_double(r, far, f, scale)
    return r.with_sign_of(result, x)


def _tanh_single(r: Reals, x: Value, far: Value, f: Value, scale: Value) -> Value:
    """tanh x of x >= 0, where e^2x = scale e^f."""
    b, one = r.e.b, r.number(1.0)
    bottom = r.fma(scale, b.fmul(f, _slope_of_exp(r, f)), b.fadd(scale, one))
    squared = b.fmul(x, x)
    near = r.fma(b.fmul(squared, x), r.polynomial(squared, _TANH_SINGLE), x)
    return b.select(far, b.fsub(one, b.fdiv(r.number(2.0), bottom)), near)


def _tanh_double(r: Reals, far: Value, f: Value, scale: Value) -> Value:
    """The same with (e^2x - 1) / (e^2x + 1) near 0, where a polynomial would be long."""
    b, one = r.e.b, r.number(1.0)
    raised = _expm1_near_0(r, f)
    top = r.fma(scale, raised, b.fsub(scale, one))
    bottom = r.fma(scale, raised, b.fadd(scale, one))
    quotient = b.fdiv(b.select(far, r.number(-2.0), top), bottom)
    return b.fadd(quotient, b.select(far, one, r.number(0.0)))


def sigmoid(r: Reals, x: Value) -> Value:
    """1 / (1 + e^-x), where e^-x = e^f 2^a 2^b: both sides of the quotient are divided by 2^b, so neither overflows."""
    b = r.e.b
    # The result is 0 below and 1 above.
    limit = 104.0 if r.single else 746.0
    f, n = split_by_ln2(r, b.fneg(r.at_least(r.at_most(x, limit), -limit)), 2 * r.bias)
    half = b.lshr(n, r.whole(1))
    top = r.floats(r.to_exponent(b.add(b.sub(half, n), r.whole(2 * r.bias))))
    scale = r.floats(r.to_exponent(half))
    # scale e^f + top; e^f - 1 goes first, because its rounding is smaller than that of e^f.
    bottom = b.fadd(r.fma(scale, b.fmul(f, _slope_of_exp(r, f)), top), scale)
    return b.fdiv(top, bottom)


# Logarithms. float32: L in ln(1 + f) = f - f^2 / 2 + f^3 L(f); float64: A in atanh(s) = s + s^3 A(s^2).

_LOG_SINGLE = (
    -0.07636403292417526, 0.12762200832366943, -0.1315961331129074, 0.14201581478118896, -0.166234090924263,
    0.2000124156475067, -0.2500081956386566, 0.3333333134651184,
)  # fmt: skip
_LOG_DOUBLE = (
    0.07397683466558884, 0.07657055280384828, 0.09091780950409753, 0.11111099310844164, 0.14285714370946168,
    0.19999999999708523, 0.3333333333333367,
)  # fmt: skip
# S in ln(1 + d) = d + d^2 S(d), 0 <= d <= 1.
_SOFT_SINGLE = (
    -0.003290535882115364, 0.02008643187582493, -0.05745742842555046, 0.10661137104034424, -0.15344882011413574,
    0.19692102074623108, -0.24958018958568573, 0.33330464363098145, -0.4999993145465851,
)  # fmt: skip


def split_exponent(r: Reals, x: Value) -> tuple[Value, Value]:
    """m and integers k + bias with x = m 2^k, m in [sqrt(1/2), sqrt 2), for normal x > 0."""
    b, fraction = r.e.b, r.mantissa_bits
    root_of_half = 0x3F3504F3 if r.single else 0x3FE6A09E667F3BCD
    shifted = b.add(r.bits(x), r.whole((r.bias << fraction) - root_of_half))
    m = b.add(b.and_(shifted, r.whole((1 << fraction) - 1)), r.whole(root_of_half))
    return r.floats(m), b.lshr(shifted, r.whole(fraction))


def _from_biased(r: Reals, k: Value, bias: float) -> Value:
    """Small integers k >= 0 as floats k - bias; processors before AVX-512 cannot convert 64 bits."""
    large = 2.0**r.mantissa_bits
    return r.e.b.fsub(r.floats(r.e.b.or_(k, r.bits(r.number(large)))), r.number(large + bias))


def split_any_exponent(r: Reals, x: Value) -> tuple[Value, Value]:
    """m - 1 and k as floats with x = m 2^k, m in [sqrt(1/2), sqrt 2), for x > 0; any numbers for other x."""
    b = r.e.b
    # Subnormal numbers are lifted into the normal range first.
    smallest, lift = (2.0**-126, 25.0) if r.single else (2.0**-1022, 54.0)
    tiny = r.less(x, r.number(smallest))
    m, biased = split_exponent(r, b.select(tiny, b.fmul(x, r.number(2.0**lift)), x))
    k = _from_biased(r, biased, r.bias)
    return b.fsub(m, r.number(1.0)), b.select(tiny, b.fsub(k, r.number(lift)), k)


def _log_of(r: Reals, f: Value, k: Value) -> Value:
    """ln(1 + f) + k ln 2 for sqrt(1/2) <= 1 + f < sqrt 2."""
    b = r.e.b
    high, low = ln2(r)
    squared = b.fmul(f, f)
    if r.single:
        y = r.fma(k, low, b.fmul(b.fmul(r.polynomial(f, _LOG_SINGLE), f), squared))
    else:
        # ln(1 + f) = 2 atanh(s) with s = f / (2 + f); written as f - f^2 / 2 + s (f^2 / 2 + 2 s^2 A(s^2)), where the
        # rounding of the quotient hardly counts (as in FreeBSD's log).
        s = b.fdiv(f, b.fadd(f, r.number(2.0)))
        z = b.fmul(s, s)
        twice = r.polynomial(z, [2 * c for c in _LOG_DOUBLE])
        y = r.fma(s, r.fma(twice, z, b.fmul(squared, r.number(0.5))), b.fmul(k, low))
    y = r.fma(squared, r.number(-0.5), y)
    return r.fma(k, high, b.fadd(f, y))


def _log_limits(r: Reals, x: Value, result: Value, low: float) -> Value:
    """-inf where the logarithm of 0 is taken (x = low), NaN below, inf at inf, NaN at NaN."""
    b, lowest = r.e.b, r.number(low)
    result = b.select(r.less(x, r.number(float("inf"))), result, x)
    outside = b.select(r.equal(x, lowest), r.number(float("-inf")), r.number(float("nan")))
    return b.select(b.fcmp_unordered(">", x, lowest), result, outside)


def log(r: Reals, x: Value) -> Value:
    """ln x."""
    return _log_limits(r, x, _log_of(r, *split_any_exponent(r, x)), 0.0)


def log1p(r: Reals, x: Value) -> Value:
    """ln(1 + x), exact near 0: 1 + x = 2^k (1 + f) where f = x 2^-k + (2^-k - 1) is rounded once."""
    b, one = r.e.b, r.number(1.0)
    m, biased = split_exponent(r, b.fadd(x, one))
    scale = r.floats(r.to_exponent(b.sub(r.whole(2 * r.bias), biased)))
    f = r.fma(x, scale, b.fsub(scale, one))
    # 2^-k is no normal number for the largest x, where the 1 does not count.
    f = b.select(r.less(r.number(2.0**60), x), b.fsub(m, one), f)
    result = _log_of(r, f, _from_biased(r, biased, r.bias))
    return _log_limits(r, x, r.with_sign_of(result, x), -1.0)


def softplus(r: Reals, x: Value) -> Value:
    """max(x, 0) + ln(1 + e^-|x|)."""
    b = r.e.b
    decay = exp(r, b.fneg(r.size(x)))
    start = r.at_least(x, 0.0)
    if r.single:
        return b.fadd(start, r.fma(b.fmul(decay, decay), r.polynomial(decay, _SOFT_SINGLE), decay))
    one, half = r.number(1.0), r.number(0.5)
    halved = r.less(r.number(0.4142135623730951), decay)
    f = b.select(halved, r.fma(decay, half, b.fneg(half)), decay)
    return b.fadd(start, _log_of(r, f, b.select(halved, one, r.number(0.0))))


# The error function. Near 0 erf x = x + x N(x^2), in float32 x + x N(x^2 - 1.5), whose sums cancel less; farther out
# erf x = 1 - e^-F(x - 1), in float32 1 + F(x - 3).

_ERF_NEAR_SINGLE = (
    -2.285535671830985e-08, 4.168985299202177e-07, -4.122178779653041e-06, 3.356373053975403e-05,
    -0.00024525856133550406, 0.00157432712148875, -0.008694072254002094, 0.04082692041993141, -0.16557864844799042,
    -0.2514886260032654,
)  # fmt: skip
_ERF_FAR_SINGLE = (
    2.893275086535141e-05, -1.2045302355545573e-05, -0.0001560915552545339, 0.0004141840327065438,
    -0.0007235719240270555, 0.0010069225681945682, -0.0010486022802069783, 0.0007907343679107726,
    -0.0004173275374341756, 0.0001391739642713219, -2.209752165072132e-05,
)  # fmt: skip
_ERF_NEAR_DOUBLE = (
    -7.779469237941014e-10, 1.3710980808664983e-08, -1.6206313857921845e-07, 1.6447131585277786e-06,
    -1.492471230327465e-05, 0.00012055293576976591, -0.0008548325929317516, 0.005223977606118551,
    -0.02686617064311148, 0.11283791670944185, -0.3761263890318352, 0.12837916709551256,
)  # fmt: skip
_ERF_FAR_DOUBLE = (
    -1.7705063524353073e-11, 3.6856166722964713e-10, -3.250751611934435e-09, 1.4100967287459252e-08,
    -8.733818874776634e-09, -2.952071496236606e-07, 2.2527050289532073e-06, -9.789314626485622e-06,
    2.7282753071107034e-05, -2.63390436389581e-05, -0.00023730115904957, 0.0019778975187594054,
    -0.01003382460552648, 0.04156109797267612, 0.8431072563618538, 2.638967514234732, 1.8496055099332485,
)  # fmt: skip


def erf(r: Reals, x: Value) -> Value:
    """The error function: the coefficients of two polynomials are chosen lane by lane, and evaluated at once."""
    b, one = r.e.b, r.number(1.0)
    # The result is 1 from there on.
    size = r.at_most(r.size(x), 3.9375 if r.single else 5.9375)
    near = r.less(size, r.number(1.9375 if r.single else 1.0))
    near_start, far_start = (-1.5, 3.0) if r.single else (0.0, 1.0)
    place = b.select(near, r.fma(size, size, r.number(near_start)), b.fsub(size, r.number(far_start)))
    if r.single:
        start = b.select(near, size, one)
        result = r.fma(start, r.either_polynomial(near, place, _ERF_NEAR_SINGLE, _ERF_FAR_SINGLE), start)
    else:
        y = r.either_polynomial(near, place, _ERF_NEAR_DOUBLE, _ERF_FAR_DOUBLE)
        f, n = split_by_ln2(r, b.fneg(y), r.bias)
        scale = r.floats(r.to_exponent(n))
        far = r.fma(b.fneg(scale), _expm1_near_0(r, f), b.fsub(one, scale))
        result = b.select(near, r.fma(size, y, size), far)
    return r.with_sign_of(result, x)
