"""Pieces of NumPy code, and how sizes, numbers and shapes are written where the batch may have any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ShapeError, TraceError
from pellucid.shapes import Shape, broadcast

# How tightly the parts of an expression hold together; a matrix product gets brackets inside of other products.
COMPARISON, SUM, MATMUL, PRODUCT, UNARY, POWER, ATOM = 1, 2, 3, 4, 5, 6, 7

#: The batch's size in printed code.
COUNT = "n"


@dataclass(frozen=True)
class Code:
    """An expression.

    Attributes:
        text, level: What is written, and how tightly it holds together.
        shape: The shape of its value, in the first of the two traces.
        weak: A Python number, which takes the element type of what it meets.
        loose: The same numbers before they were stretched: enough wherever NumPy stretches by itself.
        squeezed: The same numbers without axes of size 1, where that is simpler.
        negated: x, if this is -x.
        uncast: x, if this is a boolean x as numbers.
        expanded: The axis of size 1 that was put in, and x without it.
        ratio: Numerator and denominator, if this is a number that reads better as a quotient.
    """

    text: str
    level: int = ATOM
    shape: Shape = ()
    weak: bool = False
    loose: Code | None = None
    squeezed: Code | None = None
    negated: Code | None = None
    uncast: Code | None = None
    expanded: tuple[int, Code] | None = None
    ratio: tuple[int, str] | None = None

    def within(self, level: int) -> str:
        """The text, in brackets if it holds together less tightly than that."""
        return self.text if self.level >= level else f"({self.text})"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Batches:
    """The batch sizes of two traces of one computation: what differs between the traces follows the batch.

    Attributes:
        first, second: The sizes; equal where the code is for one size only.
    """

    first: int
    second: int

    def size(self, a: int, b: int) -> str:
        """A size.

        >>> Batches(5, 7).size(10, 14), Batches(5, 7).size(3, 3)
        ('2 * n', '3')
        """
        if a == b:
            return str(a)
        per, rest = divmod(b - a, self.second - self.first)
        if rest:
            raise TraceError(f"A size is {a} in a batch of {self.first} and {b} in one of {self.second}.")
        start = a - per * self.first
        text = COUNT if per == 1 else f"{per} * {COUNT}"
        return text if start == 0 else f"{text} {'+' if start > 0 else '-'} {abs(start)}"

    def shape(self, a: Sequence[int], b: Sequence[int]) -> str:
        """A shape as a tuple."""
        sizes = [self.size(i, j) for i, j in zip(a, b, strict=True)]
        return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"

    def number(self, a: Any, b: Any) -> Code:
        """A number; one that shrinks as the batch grows is a quotient.

        >>> Batches(5, 7).number(2 / 5, 2 / 7).text, Batches(5, 7).number(1 / 3, 1 / 3).text
        ('2 / n', '1 / 3')
        """
        if isinstance(a, (bool, np.bool_)):
            return Code(str(bool(a)))
        if isinstance(a, (int, np.integer)):
            return _literal(self.size(int(a), int(b)))
        if a == b or (np.isnan(a) and np.isnan(b)):
            return _quotient(float(a), _shortest(a), "")
        if np.isclose(float(a) * self.first, float(b) * self.second, rtol=1e-5):
            return _quotient(float(a) * self.first, _shortest(np.float32(float(a) * self.first)), COUNT)
        if np.isclose(float(a) / self.first, float(b) / self.second, rtol=1e-5):
            factor = _shortest(np.float32(float(a) / self.first))
            return _literal(COUNT) if factor == "1" else Code(f"{factor} * {COUNT}", PRODUCT, weak=True)
        raise TraceError(f"A number is {a} in a batch of {self.first} and {b} in one of {self.second}.")


def _literal(text: str) -> Code:
    return Code(text, SUM if " " in text else UNARY if text.startswith("-") else ATOM, weak=True)


def _shortest(a: Any) -> str:
    """The fewest digits that give the number back in its own type."""
    if np.isfinite(a):
        return str(int(a)) if float(a).is_integer() and abs(a) < 1e6 else str(a)
    return "np.nan" if np.isnan(a) else "np.inf" if a > 0 else "-np.inf"


def _quotient(value: float, text: str, over: str) -> Code:
    """A number divided by the batch's size, as a fraction of small whole numbers where it is one."""
    if not over and len(rounded := f"{value:.13g}") <= 7:
        text = rounded  # 1 - 0.9 is 0.09999999999999998
    simple = len(text.lstrip("-")) <= 7 and not over
    if simple or not np.isfinite(value):
        return _literal(text)
    denominator = next((d for d in range(1, 1001) if _is_whole(value * d)), None)
    if denominator is None:
        return Code(f"{text} / {over}", PRODUCT, weak=True) if over else _literal(text)
    numerator = round(value * denominator)
    below = over if denominator == 1 else f"({denominator} * {over})" if over else str(denominator)
    if not below:
        return _literal(str(numerator))
    return Code(f"{numerator} / {below}", PRODUCT, weak=True, ratio=(numerator, below))


def _is_whole(value: float) -> bool:
    """Whether a number is a whole one but for single precision's rounding."""
    return round(value) != 0 and abs(value / round(value) - 1) < 1e-7


def loosened(operands: Sequence[Code], shape: Shape) -> list[Code]:
    """The operands of an elementwise operation, unstretched where NumPy stretches them to ``shape`` by itself."""
    chosen = list(operands)
    for place in range(len(chosen)):
        while (loose := chosen[place].loose) is not None:
            trial = [*chosen[:place], loose, *chosen[place + 1 :]]
            if not _stretch_to([code.shape for code in trial], shape):
                break
            chosen = trial
    return chosen


def _stretch_to(shapes: Sequence[Shape], shape: Shape) -> bool:
    try:
        return broadcast(*shapes) == shape
    except ShapeError:
        return False


def tightest(code: Code) -> Code:
    """The numbers before any stretching."""
    while code.loose is not None:
        code = code.loose
    return code
