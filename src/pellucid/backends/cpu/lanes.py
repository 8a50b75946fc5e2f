"""Elementwise operations on registers: one entry per operation of the registry that works element by element.

Functions that the processor has no instruction for are polynomials of their own (``vector_math`` and its neighbours).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.backends.cpu import vector_angles, vector_math, vector_powers
from pellucid.backends.cpu.emit import Emitter, Value
from pellucid.backends.cpu.reals import Reals, all_true
from pellucid.dtypes import DType


@dataclass(frozen=True)
class Place:
    """What an entry may look at besides its operands.

    Attributes:
        e: The kernel being written.
        dtype: Element type of the first operand.
        out: Element type of the result.
    """

    e: Emitter
    dtype: DType
    out: DType

    @property
    def real(self) -> bool:
        """Whether the operands are floats."""
        return self.dtype.kind == "f"

    def number(self, value: float) -> Value:
        """A register of one number of the operands' type."""
        return self.e.constant(value, self.dtype)


Lowering = Callable[..., Value]


def _arithmetic(real: str, integer: str) -> Lowering:
    def lower(p: Place, x: Value, y: Value) -> Value:
        return getattr(p.e.b, real if p.real else integer)(x, y)

    return lower


def _add(p: Place, x: Value, y: Value) -> Value:
    if p.dtype.kind == "b":
        return p.e.b.or_(x, y)
    return p.e.b.fadd(x, y) if p.real else p.e.b.add(x, y)


def _mul(p: Place, x: Value, y: Value) -> Value:
    if p.dtype.kind == "b":
        return p.e.b.and_(x, y)
    return p.e.b.fmul(x, y) if p.real else p.e.b.mul(x, y)


def _compare(symbol: str) -> Lowering:
    def lower(p: Place, x: Value, y: Value) -> Value:
        if p.real:
            # != is true for NaN, all other comparisons are false.
            ordered = p.e.b.fcmp_unordered if symbol == "!=" else p.e.b.fcmp_ordered
            return ordered(symbol, x, y)
        signed = p.e.b.icmp_signed if p.dtype.kind == "i" else p.e.b.icmp_unsigned
        return signed(symbol, x, y)

    return lower


def _extreme(symbol: str) -> Lowering:
    compare = _compare(symbol)

    def lower(p: Place, x: Value, y: Value) -> Value:
        chosen = p.e.b.select(compare(p, x, y), x, y)
        if not p.real:
            return chosen
        # As in NumPy, NaN wins from either side.
        return p.e.b.select(p.e.b.fcmp_unordered("uno", x, x), x, chosen)

    return lower


def _intrinsic(name: str) -> Lowering:
    def lower(p: Place, x: Value) -> Value:
        return p.e.on_vectors(name, x)

    return lower


def larger(p: Place, x: Value, best: Value) -> Value:
    """Whether x takes the place of the best so far: it is larger, or the first NaN."""
    if not p.real:
        return _compare(">")(p, x, best)
    # Unordered: true as well if one of the two is NaN.
    return p.e.b.and_(p.e.b.fcmp_unordered(">", x, best), p.e.b.fcmp_ordered("ord", best, best))


def _neg(p: Place, x: Value) -> Value:
    return p.e.b.fneg(x) if p.real else p.e.b.neg(x)


def _abs(p: Place, x: Value) -> Value:
    if p.real:
        return p.e.on_vectors("fabs", x)
    if p.dtype.kind in "ub":
        return x
    return p.e.b.select(p.e.b.icmp_signed("<", x, p.number(0)), p.e.b.neg(x), x)


def _sign(p: Place, x: Value) -> Value:
    above, below = _compare(">")(p, x, p.number(0)), _compare("<")(p, x, p.number(0))
    one, minus, zero = p.number(1), p.number(-1 if p.dtype.kind != "u" else 0), p.number(0)
    sign = p.e.b.select(above, one, p.e.b.select(below, minus, zero))
    return p.e.b.select(p.e.b.fcmp_unordered("uno", x, x), x, sign) if p.real else sign


def _relu(p: Place, x: Value) -> Value:
    return _extreme(">")(p, x, p.number(0))


def _function(write: Callable[..., Value]) -> Lowering:
    """A function that is written in arithmetic of floats."""

    def lower(p: Place, *operands: Value) -> Value:
        return write(Reals(p.e, p.dtype), *operands)

    return lower


def _is_finite(p: Place, x: Value) -> Value:
    if not p.real:
        return all_true(p.e)
    return p.e.b.fcmp_ordered("<", p.e.on_vectors("fabs", x), p.number(float("inf")))


def _where(p: Place, condition: Value, x: Value, y: Value) -> Value:
    return p.e.b.select(condition, x, y)


def convert(p: Place, x: Value) -> Value:
    """The register in another element type, with NumPy's rules."""
    b, source, wanted = p.e.b, p.dtype, p.out
    kind = p.e.vector_type(wanted)
    if source == wanted:
        return x
    if wanted.kind == "b":
        return _compare("!=")(p, x, p.number(0))
    if source.kind == "f" and wanted.kind == "f":
        return b.fptrunc(x, kind) if wanted.itemsize < source.itemsize else b.fpext(x, kind)
    if source.kind == "f":
        return b.fptosi(x, kind) if wanted.kind == "i" else b.fptoui(x, kind)
    if wanted.kind == "f":
        return b.sitofp(x, kind) if source.kind == "i" else b.uitofp(x, kind)
    bits = 1 if source.kind == "b" else 8 * source.itemsize
    if 8 * wanted.itemsize == bits:
        return x
    if 8 * wanted.itemsize < bits:
        return b.trunc(x, kind)
    return b.sext(x, kind) if source.kind == "i" else b.zext(x, kind)


#: Operation -> what it does with registers; called with a Place and the operands.
LANES: dict[str, Lowering] = {
    "add": _add,
    "sub": _arithmetic("fsub", "sub"),
    "mul": _mul,
    "div": _arithmetic("fdiv", "sdiv"),
    "neg": _neg,
    "pow": _function(vector_powers.power),
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "exp": _function(vector_math.exp),
    "expm1": _function(vector_math.expm1),
    "log": _function(vector_math.log),
    "log1p": _function(vector_math.log1p),
    "sqrt": _intrinsic("sqrt"),
    "sin": _function(vector_angles.sin),
    "cos": _function(vector_angles.cos),
    "tanh": _function(vector_math.tanh),
    "erf": _function(vector_math.erf),
    "abs": _abs,
    "sign": _sign,
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "identity": lambda p, x: x,
    "stop_gradient": lambda p, x: x,
    "is_finite": _is_finite,
    "sigmoid": _function(vector_math.sigmoid),
    "softplus": _function(vector_math.softplus),
    "relu": _relu,
    "equal": _compare("=="),
    "not_equal": _compare("!="),
    "less": _compare("<"),
    "less_equal": _compare("<="),
    "greater": _compare(">"),
    "greater_equal": _compare(">="),
    "logical_and": lambda p, x, y: p.e.b.and_(x, y),
    "logical_or": lambda p, x, y: p.e.b.or_(x, y),
    "logical_not": lambda p, x: p.e.b.not_(x),
    "where": _where,
    "cast": convert,
}
