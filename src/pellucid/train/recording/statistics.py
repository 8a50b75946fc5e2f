"""The statistics of an array: reductions in the graph, finished in float64.

Variances are taken of numbers scaled by the largest magnitude, so that the squares of vanishing gradients do not
underflow:  s = max |x|,  v = mean(((x - mean) / s)^2),  std = s sqrt(v),  ||x|| = sqrt(n (std^2 + mean^2)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.shapes import size


@dataclass(frozen=True)
class End:
    """Where a function is saturated: at 0, or further than ``reach`` from ``centre``."""

    centre: float = 0.0
    reach: float | None = None


_UNIT, _SIGNED = End(0.5, 0.49), End(0.0, 0.98)
END_OF = {
    "sigmoid": _UNIT, "hard_sigmoid": _UNIT, "softmax": _UNIT, "tanh": _SIGNED, "softsign": _SIGNED, "relu": End(),
}  # fmt: skip

#: A scale below this is taken for this, so that its reciprocal stays finite in float32.
_TINY = 1e-37

#: So many arrays of one size are reduced together at most: a kernel for more would not have enough registers.
_TOGETHER = 3


@dataclass(frozen=True)
class Measure:
    """Which reductions an array has: five always; the share of saturated elements unless it is that of zeros; of units.

    Attributes:
        end: Where its activation function is saturated, or None.
    """

    end: End | None

    @property
    def of_elements(self) -> int:
        """How many reductions are over all elements."""
        return 5 if self.end is None or self.end.reach is None else 6


def measured(arrays: Sequence[tuple[Any, End | None]]) -> tuple[Any, tuple[Measure, ...]]:
    """All reductions of some traced arrays as one vector in the widest of their types, and what they are.

    First come those over all elements, array by array, then the shares of units. Neighbours of one size are reduced
    together: backends that know summaries go through them once or twice.
    """
    parts: list[Any] = []
    alike: list[tuple[Any, End | None]] = []
    for x, end in arrays:
        if alike and (len(alike) == _TOGETHER or _form(alike[-1][0]) != _form(x)):
            parts.append(_stacked([r for one in alike for r in _of_elements(*one)]))
            alike = []
        alike.append((x, end))
    if alike:
        parts.append(_stacked([r for one in alike for r in _of_elements(*one)]))
    parts += [_stacked([_of_units(x, end)]) for x, end in arrays if end is not None]
    widest = np.result_type(*(part.spec.dtype for part in parts))
    return ops.concatenate([ops.cast(part, widest) for part in parts], 0), tuple(Measure(end) for _, end in arrays)


def _form(x: Any) -> tuple[int, Any]:
    return size(x.spec.shape), x.spec.dtype


def _stacked(reductions: Sequence[Any]) -> Any:
    return ops.concatenate([ops.reshape(value, (1,)) for value in reductions], 0)


def _of_elements(x: Any, end: End | None) -> list[Any]:
    """The reductions of an array over all its elements."""
    if x.spec.ndim < 4:  # images may lie with their samples side by side: to turn them costs more than it saves
        x = ops.reshape(x, (-1,))
    dtype = x.spec.dtype
    low, high, mean = ops.min(x), ops.max(x), _mean(x)
    scale = ops.maximum(ops.maximum(high, -low), _TINY)
    spread = _mean(ops.square((x - mean) * (1 / scale)))
    found = [low, high, mean, spread, _mean(ops.cast(ops.equal(x, 0), dtype))]
    if end is not None and end.reach is not None:
        found.append(_mean(ops.cast(ops.greater(ops.abs(x - end.centre), end.reach), dtype)))
    return found


def _of_units(x: Any, end: End) -> Any:
    """The share of units that are saturated for all samples."""
    others = tuple(range(max(1, x.spec.ndim - 1)))  # all axes but that of the units
    if end.reach is None:  # of a relu: 0 everywhere is that the largest is 0
        dead = ops.equal(ops.max(x, others), 0)
    else:
        dead = ops.greater(ops.min(ops.abs(x - end.centre), others), end.reach)
    return _mean(ops.cast(dead, x.spec.dtype))


def _mean(x: Any) -> Any:
    """The mean of all elements, by an array of one number: with a plain one in it, a kernel would serve one size."""
    return ops.sum(x) * np.array([1 / size(x.spec.shape)], x.spec.dtype)


@dataclass(frozen=True)
class Statistics:
    """The finished columns, each float64 [..., row]; NaN in the last two where there is nothing to say."""

    mean: np.ndarray
    std: np.ndarray
    min: np.ndarray
    max: np.ndarray
    zeros: np.ndarray
    norm: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray


@lru_cache(maxsize=256)
def _places(measures: tuple[Measure, ...]) -> np.ndarray:
    """Where each row's seven numbers lie among the reductions [7, row]; -1 stands for none."""
    start, units, rows = 0, sum(what.of_elements for what in measures), []
    for what in measures:
        rows.append([*range(start, start + 5), -1, -1])
        if what.end is not None:
            rows[-1][5:] = [start + what.of_elements - 1, units]
            units += 1
        start += what.of_elements
    return np.array(rows, np.intp).reshape(len(measures), 7).T


def finish(reductions: np.ndarray, measures: tuple[Measure, ...], counts: np.ndarray) -> Statistics:
    """The statistics from the reductions [..., number] of all rows; ``counts`` are the rows' numbers of elements.

    The steps lie along the first axes, and are finished together.
    """
    numbers = np.full((*reductions.shape[:-1], reductions.shape[-1] + 1), np.nan)
    numbers[..., :-1] = reductions
    low, high, mean, spread, zeros, saturated, dead = (numbers[..., own] for own in _places(measures))
    with np.errstate(all="ignore"):
        std = np.maximum(np.maximum(high, -low), _TINY) * np.sqrt(spread)
        norm = np.sqrt(counts * (std * std + mean * mean))
    return Statistics(mean, std, low, high, zeros, norm, saturated, dead)
