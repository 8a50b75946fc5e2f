"""How much a vectorised product gains over a loop of Python: the lectures' demonstration, measured here."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pellucid.fields import Integer, require
from pellucid.seeds import generator


@dataclass(frozen=True)
class DotTimes:
    """The same scalar product computed in two ways.

    Args:
        size: Number of elements of each vector.
        vectorised: Result of ``numpy.dot``.
        loop: Result of the loop.
        vectorised_seconds: Time of ``numpy.dot``, the best of five.
        loop_seconds: Time of the loop, once.
    """

    size: int
    vectorised: float
    loop: float
    vectorised_seconds: float
    loop_seconds: float

    @property
    def speedup(self) -> float:
        """How many times faster the vectorised form was."""
        return self.loop_seconds / self.vectorised_seconds

    def __str__(self) -> str:
        return (
            f"{self.size:,} elements: vectorised {1000 * self.vectorised_seconds:.3f} ms, "
            f"loop {1000 * self.loop_seconds:.1f} ms, {self.speedup:,.0f} times as long"
        )


def compare_dot(size: int = 1_000_000, seed: int = 0) -> DotTimes:
    """Time Σ a_i b_i as ``numpy.dot(a, b)`` and as a Python loop over the elements.

    Args:
        size: Number of elements.
        seed: Seed of the random vectors, uniform in [0, 1).

    Returns:
        Both results and both times.

    Raises:
        ConfigurationError: An argument is outside its range.

    Source: the vectorisation demonstration of the lectures' third deck.

    >>> times = compare_dot(1000)
    >>> abs(times.vectorised - times.loop) < 1e-9
    True
    """
    require("compare_dot", "size", size, Integer(1))
    require("compare_dot", "seed", seed, Integer(0))
    a, b = generator(seed).random((2, size))
    times, vectorised = [], 0.0
    for _ in range(5):
        start = time.perf_counter()
        vectorised = float(np.dot(a, b))
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    loop = 0.0
    for i in range(size):
        loop += a[i] * b[i]
    seconds = time.perf_counter() - start
    # The clock of some machines does not resolve a short product.
    return DotTimes(size, vectorised, float(loop), max(min(times), 1e-9), seconds)
