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


@dataclass(frozen=True)
class Measure:
    """Which reductions an array has: five always; the share of saturated elements unless it is that of zeros; of units.

    Attributes:
        end: Where its activation function is saturated, or None.
    """

    end: End | None

    @property
    def count(self) -> int:
        """The number of reductions."""
        return 5 if self.end is None else 6 if self.end.reach is None else 7


def measure(x: Any, end: End | None) -> tuple[list[Any], Measure]:
    """The reductions of a traced array, and what they are."""
    dtype = x.spec.dtype
    low, high, mean = ops.min(x), ops.max(x), ops.mean(x)
    scale = ops.maximum(ops.maximum(high, -low), _TINY)
    spread = ops.mean(ops.square((x - mean) * (1 / scale)))
    found = [low, high, mean, spread, ops.mean(ops.cast(ops.equal(x, 0), dtype))]
    if end is not None:
        others = tuple(range(max(1, x.spec.ndim - 1)))  # all axes but that of the units
        if end.reach is None:  # of a relu: 0 everywhere is that the largest is 0
            found.append(ops.mean(ops.cast(ops.equal(ops.max(x, others), 0), dtype)))
        else:
            beyond = ops.cast(ops.greater(ops.abs(x - end.centre), end.reach), dtype)
            found += [ops.mean(beyond), ops.mean(ops.min(beyond, others))]
    return found, Measure(end)


def together(reductions: Sequence[Any]) -> Any:
    """All reductions as one vector, in the widest of their types."""
    widest = np.result_type(*(value.spec.dtype for value in reductions))
    return ops.concatenate([ops.reshape(ops.cast(value, widest), (1,)) for value in reductions], 0)


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
    start, rows = 0, []
    for what in measures:
        own = list(range(start, start + what.count))
        rows.append([*own[:5], *own[4:]] if what.count == 6 else [*own, *[-1] * (7 - what.count)])
        start += what.count
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
