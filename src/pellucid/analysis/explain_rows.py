"""The rows of an explanation: what is computed, by which formula, from what, with which numbers and gradient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.shapes import show

FORWARD, LOSS, BACKWARD, UPDATE = "forward", "loss", "backward", "update"


@dataclass(frozen=True, eq=False)
class Slope:
    """A local derivative: of a row's value by one of its operands.

    Attributes:
        operand: The operand.
        formula: The derivative.
        value: Its numbers, where it has one for each element; None for sums over many elements.
    """

    operand: str
    formula: str
    value: np.ndarray | None = None

    @property
    def is_number(self) -> bool:
        """Whether the formula is a number already."""
        return bool(re.fullmatch(r"-?\d+(\.\d+)?", self.formula))


@dataclass(frozen=True, eq=False)
class Row:
    """One step of a computation.

    Attributes:
        phase: ``"forward"``, ``"loss"``, ``"backward"`` or ``"update"``.
        layer: The layer that it belongs to, or "".
        name: What is computed.
        formula: How, as text in the lectures' notation; "" for what is given.
        value: The numbers.
        inputs: The names of the rows that it is computed from.
        slopes: The local derivatives by them.
        gradient: The gradient of the loss by the value; None where there is none.
    """

    phase: str
    layer: str
    name: str
    formula: str
    value: np.ndarray
    inputs: tuple[str, ...] = ()
    slopes: tuple[Slope, ...] = ()
    gradient: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return self.value.shape

    @property
    def text(self) -> str:
        """The formula, or the name of what is given."""
        return self.formula or self.name


def number(x: Any) -> str:
    """A number in four digits.

    >>> number(330.0), number(1 / 3), number(3)
    ('330', '0.3333', '3')
    """
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    return f"{x + 0.0:.4g}" if isinstance(x, (float, np.floating)) else str(x)  # -0.0 + 0.0 is 0.0


def is_small(value: np.ndarray, most: int = 6) -> bool:
    """Whether all numbers of an array can be shown: at most 6 rows of at most 6."""
    return value.ndim <= 2 and all(n <= most for n in value.shape) and value.size > 0


def extremes(value: np.ndarray) -> str:
    """Smallest, mean and largest number of an array.

    >>> extremes(np.array([1.0, 2.0, 6.0]))
    'min 1, mean 3, max 6'
    """
    if not value.size:
        return "no elements"
    if value.dtype == bool:
        return f"{number(float(value.mean()))} of them True"
    with np.errstate(all="ignore"):
        mean = float(value.mean(dtype=np.float64))
    return f"min {number(value.min())}, mean {number(mean)}, max {number(value.max())}"


def shown(value: np.ndarray) -> list[str]:
    """The numbers of an array as lines: all of a small one, the extremes of another one.

    >>> shown(np.array([[1.0, 0.5], [0.0, 2.0]]))
    ['[[1, 0.5],', ' [0, 2]]']
    >>> shown(np.zeros((50, 10)))
    ['[50, 10]: min 0, mean 0, max 0']
    """
    if not is_small(value):
        return [f"{show(value.shape)}: {extremes(value)}"]
    if value.ndim == 0:
        return [number(value[()])]
    rows = [f"[{', '.join(number(x) for x in row)}]" for row in np.atleast_2d(value)]
    if value.ndim == 1:
        return rows
    return [("[" if i == 0 else " ") + row + ("]" if i == len(rows) - 1 else ",") for i, row in enumerate(rows)]


def in_one_line(value: np.ndarray) -> str:
    """The numbers of an array in one line."""
    return " ".join(line.strip() for line in shown(value))


def edges(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """From what to what the forward pass goes."""
    known = {row.name for row in rows}
    return [(source, row.name) for row in rows for source in dict.fromkeys(row.inputs) if source in known]
