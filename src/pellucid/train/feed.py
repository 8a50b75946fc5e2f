"""Where batches come from: arrays, memory-mapped arrays, or generators larger than memory."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid import seeds
from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError, DataError
from pellucid.op import Spec
from pellucid.train.ahead import Ahead
from pellucid.train.checks import DataChecks
from pellucid.train.unread import Unread


@dataclass(frozen=True, slots=True)
class Segment:
    """Some batches of one size in a row, not yet gathered.

    Attributes:
        x, y, weights: Data sets; ``weights`` (of the samples) is empty or one array.
        dtypes: The element type that each input is given in a batch.
        order: The rows of all batches, one batch after the other.
        batch: Samples of a batch.
    """

    x: tuple[np.ndarray, ...]
    y: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    dtypes: tuple[DType, ...]
    order: np.ndarray
    batch: int

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All data sets: inputs, targets, weights."""
        return (*self.x, *self.y, *self.weights)

    @property
    def steps(self) -> int:
        """The number of batches."""
        return len(self.order) // self.batch

    def specs(self) -> tuple[tuple[Spec, ...], tuple[Spec, ...], Spec | None]:
        """The specs of a batch's inputs, targets and weights."""
        own = [a.dtype.newbyteorder("=") for a in (*self.y, *self.weights)]
        all_ = [
            Spec((self.batch, *array.shape[1:]), np.dtype(dtype))
            for array, dtype in zip(self.arrays, (*self.dtypes, *own), strict=True)
        ]
        inputs, end = len(self.x), len(self.x) + len(self.y)
        return tuple(all_[:inputs]), tuple(all_[inputs:end]), all_[end] if self.weights else None

    def one_by_one(self) -> Iterator[Segment]:
        """Each batch as a segment of its own."""
        for start in range(0, len(self.order), self.batch):
            yield replace(self, order=self.order[start : start + self.batch])


def single(x: tuple[np.ndarray, ...], y: tuple[np.ndarray, ...], weights: Any, dtypes: Sequence[DType]) -> Segment:
    """One batch as a segment."""
    count = len(x[0])
    return Segment(x, y, () if weights is None else (weights,), tuple(dtypes), np.arange(count), count)


class Feed(ABC):
    """A source of batches, epoch by epoch."""

    #: Batches in an epoch, or None where only the end of a generator tells.
    steps: int | None
    #: Inputs that nobody has read yet; None once the first epoch has.
    unread: Unread | None = None

    @abstractmethod
    def epoch(self, number: int) -> Iterator[Segment]:
        """The batches of an epoch, in segments of equal size."""


class ArrayFeed(Feed):
    """Batches gathered from arrays that were checked already.

    Every epoch has its own order, which follows from the seed and the epoch's number alone. The last batch holds
    what is left. A memory-mapped array is read batch by batch, never whole.
    """

    def __init__(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        weights: np.ndarray | None,
        input_dtypes: Sequence[DType],
        *,
        rows: np.ndarray | None = None,
        batch_size: int | None,
        shuffle: bool,
        seed: int,
    ) -> None:
        self.x, self.y, self.weights = tuple(x), tuple(y), weights
        self.rows = rows
        self.count = len(x[0]) if rows is None else len(rows)
        self.batch_size = self.count if batch_size is None else min(batch_size, self.count)
        self.steps = -(-self.count // self.batch_size)
        self._dtypes = tuple(input_dtypes)
        # The gradient of all samples together does not depend on their order.
        self.shuffled, self._seed = shuffle and self.batch_size < self.count, seed
        self._ahead: Ahead[None] | None = None
        self._drawn = np.empty((0, self.count), np.int64)

    def epoch(self, number: int) -> Iterator[Segment]:
        """The batches of an epoch, shuffled where asked for: first the whole ones, then what is left."""
        yield from self.epochs(range(number, number + 1))

    def one(self) -> Segment:
        """A batch such as those of an epoch, to see what they are like."""
        weights = () if self.weights is None else (self.weights,)
        return Segment(self.x, self.y, weights, self._dtypes, np.arange(self.batch_size), self.batch_size)

    def epochs(self, numbers: range) -> Iterator[Segment]:
        """The batches of some epochs one after the other: first the whole ones of all, then what is left of each."""
        orders = self.orders(numbers)
        whole = self.count // self.batch_size * self.batch_size
        weights = () if self.weights is None else (self.weights,)
        for own, batch in ((orders[:, :whole], self.batch_size), (orders[:, whole:], self.count - whole)):
            if own.shape[1]:
                yield Segment(self.x, self.y, weights, self._dtypes, own.ravel(), batch)

    def orders(self, numbers: range) -> np.ndarray:
        """The rows of some epochs in the order in which they are trained on [epoch, row]."""
        if not self.shuffled:
            own = np.arange(self.count) if self.rows is None else self.rows
            return np.tile(own, (len(numbers), 1))
        permuted = self._permutations(numbers)
        return permuted if self.rows is None else self.rows[permuted]

    def look_ahead(self, numbers: range) -> None:
        """Draw the orders of some epochs while others are trained on, unless the first of them is being drawn."""
        if not (self.shuffled and numbers) or (self._ahead is not None and numbers.start in self._ahead.numbers):
            return
        drawn = np.empty((len(numbers), self.count), np.int64)
        with suppress(RuntimeError):  # without another thread they are drawn when they are needed
            self._ahead = Ahead(functools.partial(_draw, drawn, numbers.start, self._seed), numbers)
            self._drawn = drawn

    def drawn(self, epoch: int) -> int:
        """Of how many epochs from one on the orders are being drawn, or have been."""
        ahead = self._ahead
        return len(range(epoch, ahead.numbers.stop)) if ahead is not None and epoch in ahead.numbers else 0

    def _permutations(self, numbers: range) -> np.ndarray:
        """The permutation of each of some epochs."""
        if self._ahead is None:
            return permutations(self._seed, numbers, self.count)
        made, first = len(self._ahead.take(numbers)), numbers.start - self._ahead.numbers.start
        own, rest = self._drawn[first : first + made], numbers[made:]
        return np.concatenate([own, permutations(self._seed, rest, self.count)]) if rest else own


def permutation(seed: int, count: int, epoch: int) -> np.ndarray:
    """The order of the samples in an epoch; it follows from the seed and the epoch's number alone."""
    return seeds.generator(seed, 0, epoch).permutation(count)


def _draw(orders: np.ndarray, first: int, seed: int, epoch: int) -> None:
    """Write the order of an epoch to its place among those from the first one on."""
    orders[epoch - first] = permutation(seed, orders.shape[1], epoch)


def permutations(seed: int, epochs: range, count: int) -> np.ndarray:
    """The orders of the samples in some epochs [epoch, sample]."""
    return np.stack([permutation(seed, count, epoch) for epoch in epochs])


class GeneratorFeed(Feed):
    """Batches from the user's generator: ``(x, y)`` or ``(x, y, sample_weight)`` each, checked one by one.

    Args:
        source: A function that returns an iterator (called anew for every epoch), an object that can be iterated
            again, or a plain generator (which goes on from epoch to epoch).
        checks: What every batch must satisfy.
        steps: Batches per epoch; needed for endless sources.
        weigh: From targets and weights to the weights that count.
    """

    def __init__(
        self,
        source: Callable[[], Iterable] | Iterable,
        checks: DataChecks,
        steps: int | None,
        weigh: Callable[[Sequence[np.ndarray], np.ndarray | None], np.ndarray | None],
    ) -> None:
        self._source = source
        self._checks = checks
        self._weigh = weigh
        self.steps = steps
        self._running: Iterator | None = None
        if self.steps is None and isinstance(source, Sequence):
            self.steps = len(source)

    def epoch(self, number: int) -> Iterator[Segment]:
        """The batches of an epoch, each as a segment."""
        iterator = self._iterator()
        count = 0
        while self.steps is None or count < self.steps:
            try:
                item = next(iterator)
            except StopIteration:
                self._running = None
                break
            yield self._batch(item, count)
            count += 1
        if count == 0:
            raise DataError(
                f"The generator gave no batch in epoch {number + 1}.",
                hint="pass a function that returns a fresh generator, so that every epoch can start anew",
            )

    def _iterator(self) -> Iterator:
        if callable(self._source):
            return iter(self._source())
        if iter(self._source) is self._source:  # a plain generator cannot start again
            if self._running is None:
                self._running = iter(self._source)
            return self._running
        return iter(self._source)

    def _batch(self, item: Any, number: int) -> Segment:
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            raise DataError(
                f"Batch {number} of the generator is {type(item).__name__}, not (x, y) or (x, y, sample_weight)."
            )
        x, y = self._checks.both(item[0], item[1])
        weights = self._checks.weights(item[2], len(x[0])) if len(item) == 3 else None
        weights = self._weigh(y, weights)
        return single(tuple(x), tuple(y), weights, self._checks.input_dtypes)


def is_generator_like(x: Any) -> bool:
    """Whether ``x`` yields batches, rather than being the data."""
    if callable(x) and not hasattr(x, "__array__"):
        return True
    return hasattr(x, "__iter__") and not hasattr(x, "__array__") and not isinstance(x, (list, tuple, dict))


def check_batch_size(batch_size: Any) -> None:
    """Refuse what is neither None nor a positive whole number."""
    if batch_size is None:
        return
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ConfigurationError(
            f"batch_size must be a whole number of at least 1, or None for all data at once, not {batch_size!r}."
        )
