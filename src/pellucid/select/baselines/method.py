"""What every method is given, and what it does: it asks for losses until it has had as many as it may have."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid import seeds
from pellucid.fields import Configured
from pellucid.select.baselines.loss import LossFunction
from pellucid.train import Model


@dataclass(frozen=True)
class Problem:
    """What is made small.

    Attributes:
        model: The model, compiled and built; methods train clones of it.
        x, y: The data.
        loss: The loss as a function of the weights.
        seed: Fixes all that is random.
    """

    model: Model
    x: Any
    y: Any
    loss: LossFunction
    seed: int

    def generator(self, *stream: int) -> np.random.Generator:
        """A generator for the numbers of a stream."""
        return seeds.generator(self.seed, 0xBA5E, *stream)

    def number(self, *stream: int) -> int:
        """A seed of 31 bits, for libraries that want one."""
        return int(self.generator(*stream).integers(1, 2**31 - 1))


class Evaluations:
    """The losses that a method asked for, in their order: exactly ``limit`` of them are computed, then no more.

    Attributes:
        losses: Each loss.
        seconds: For each, the time from the start until it was known.
        gradients: For each, how many gradients had been computed before it.
        best: The vector with the smallest loss.
    """

    def __init__(self, loss: Callable[[np.ndarray], np.ndarray], start: np.ndarray, limit: int) -> None:
        self._loss, self.start, self._limit = loss, start, limit
        self.losses, self.seconds, self.gradients = np.empty(0), np.empty(0), np.empty(0, np.int64)
        self.best = start
        self._began = time.perf_counter()

    @property
    def left(self) -> int:
        """How many are left."""
        return self._limit - len(self.losses)

    @property
    def spent(self) -> bool:
        """Whether none is left."""
        return self.left <= 0

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The losses at vectors [n, d]; infinite, and not computed, for those beyond the limit."""
        allowed = np.asarray(points, np.float64)[: self.left]
        found = self._loss(allowed) if len(allowed) else np.empty(0)
        self.add(found, np.full(len(found), time.perf_counter() - self._began), best=allowed)
        return np.concatenate([found, np.full(len(points) - len(found), np.inf)])

    def add(self, losses: Any, seconds: Any, gradients: Any = None, *, best: np.ndarray | None = None) -> None:
        """Write down losses, and from ``best``, a vector for each, the best one."""
        losses = np.asarray(losses, np.float64)
        if best is not None and len(losses) and losses.min() < self.losses.min(initial=np.inf):
            self.best = np.array(best[int(losses.argmin())])
        self.losses = np.concatenate([self.losses, losses])
        self.seconds = np.concatenate([self.seconds, seconds])
        counts = np.zeros(len(losses), np.int64) if gradients is None else gradients
        self.gradients = np.concatenate([self.gradients, counts])


class Method(Configured):
    """Base of all methods: settings, and how the loss is made small."""

    #: What people call it, and the library that does it.
    title: ClassVar[str]
    library: ClassVar[str]

    def warm_up(self, problem: Problem) -> None:
        """Load and compile what would else be timed.

        Raises:
            MissingDependencyError: The library is not installed.
        """

    @abstractmethod
    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Ask for losses until none is left; the first one is always that of the model's own weights."""


def around(problem: Problem, start: np.ndarray, count: int, spread: float, *stream: int) -> np.ndarray:
    """The weights themselves, and normal draws around them [count, d]."""
    drawn = start + spread * problem.generator(*stream).normal(size=(count, len(start)))
    drawn[0] = start
    return drawn


@contextmanager
def legacy_seed(seed: int) -> Iterator[None]:
    """In the block, NumPy's global generator starts from a seed; afterwards it goes on as if nothing had been drawn."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
