"""Epochs of gradient descent on an estimator's own arrays, several of them in one native call.

``Model.fit`` shuffles by Pellucid's own generator and judges an epoch in Python. An estimator needs scikit-learn's
shuffles, its penalty (which is divided by the samples of each batch) and its rule for the end of training. So the
batches of a block of epochs are laid out here, and the step that ``Model.fit`` would compile makes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.backends.loop import Line, LoopData, LoopRun
from pellucid.errors import DataError
from pellucid.estimators.network import Network
from pellucid.train.feed import Segment
from pellucid.train.recording import Recorder, Recording, Session
from pellucid.train.recording.probe import check_layers
from pellucid.train.recording.tape import Tape, TapedRun, When
from pellucid.train.step import StepLogs, TrainingProgram

#: Multiply-adds and bytes of orders that a block of epochs has at most: some tenths of a second.
_WORK, _BYTES = 2e9, 1 << 25


@dataclass(frozen=True)
class Samples:
    """Checked data.

    Attributes:
        x, y: Inputs and targets, as the network takes them.
        weights: The samples' weights with the mean 1, or None.
        mean_weight: The mean that they had.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None
    mean_weight: float = 1.0

    @classmethod
    def weighed(cls, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Samples:
        """With weights of any mean.

        Raises:
            DataError: All weights are zero.
        """
        if weights is None:
            return cls(x, y)
        mean = float(weights.mean(dtype=np.float64))
        if mean == 0:
            raise DataError("All weights of the samples that are trained on are zero: nothing would be learned.")
        return cls(x, y, (weights / mean).astype(x.dtype), mean)

    def relative_to(self, rows: np.ndarray) -> Samples:
        """With weights that have the mean 1 over some rows."""
        if self.weights is None or len(rows) == len(self.x):
            return self
        part = Samples.weighed(self.x, self.y[rows], self.weights[rows])
        weights = (self.weights / part.mean_weight).astype(self.x.dtype)
        return Samples(self.x, self.y, weights, self.mean_weight * part.mean_weight)

    def targets_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Targets and weights of some rows."""
        return self.y[rows], None if self.weights is None else self.weights[rows]

    def segment(self, network: Network, order: np.ndarray, batch: int) -> Segment:
        """Batches of these data."""
        weights = () if self.weights is None else (self.weights,)
        return Segment((self.x,), (self.y,), weights, network.model.input_dtypes, order, batch)


def training_arrays(network: Network, parameters: list[np.ndarray], slots: list[np.ndarray]) -> list[np.ndarray]:
    """Everything that a step changes, in its order: parameters, then the optimiser's slots (fresh ones if none)."""
    optimizer = network.model.optimizer
    if not slots:
        made = [optimizer.initial_slots(p.shape, p.dtype) for p in parameters]
        slots = [own[name] for own in made for name in sorted(own)]
    return [*parameters, *slots]


class Descent:
    """Training of a network on samples.

    Args:
        network: The network.
        samples: The data.
        arrays: What a step changes (:func:`training_arrays`); it is changed in place.
        rows: The rows that are trained on.
        batch: Samples of a batch; the last one of an epoch holds what is left.
        alpha: The strength of the L2 penalty, which counts once per data set: a batch's share is alpha / its weight.
        key_seed: Fixes dropout.
        recorder: What is recorded, or None.

    Attributes:
        recorder: The same.
        session: The recording, once :meth:`record` was called; None where nothing is recorded.
        count: Samples in an epoch.
        steps: Updates in an epoch.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        arrays: list[np.ndarray],
        *,
        rows: np.ndarray,
        batch: int,
        alpha: float,
        key_seed: int = 0,
        recorder: Recorder | None = None,
    ) -> None:
        self._network, self._samples, self._arrays = network, samples, arrays
        self.rows = rows
        self.count = len(rows)
        self._alpha, self._key = alpha, np.asarray(ops.random_key(key_seed))
        self.recorder, self.session = recorder, None
        whole = self.count // batch * batch
        self._parts = [(0, whole, batch), (whole, self.count, self.count - whole)][: 2 if whole < self.count else 1]
        self.steps = sum((stop - start) // size for start, stop, size in self._parts)
        self._programs = [self._program(size) for _, _, size in self._parts]

    def _program(self, size: int) -> TrainingProgram:
        return self._network.model.programs.training(self._samples.segment(self._network, self.rows[:size], size))

    def record(self, first: int, epochs: int) -> Recording | None:
        """Record from now on, if that is wanted.

        Args:
            first: Updates before.
            epochs: At most so many follow.

        Raises:
            ConfigurationError: There is no layer of a name that is to be recorded.
        """
        if self.recorder is None:
            return None
        check_layers(self._network.model, self.recorder.layers)
        self.session = Session(self.recorder, first + 1, epochs * self.steps)
        return self.session.recording

    @property
    def affordable(self) -> int:
        """How many epochs a block may have, so that Ctrl-C is heard soon; one where whole arrays are recorded."""
        if self.recorder is not None and self.recorder.level == "full":
            return 1
        numbers = sum(array.size for array in self._arrays)
        return max(1, int(min(_WORK / (6 * self.count * numbers), _BYTES / (16 * self.count))))

    def block(self, orders: np.ndarray, rates: np.ndarray, first_step: int, first_epoch: int = 0) -> Block:
        """Some epochs, ready to run.

        Args:
            orders: The rows in the order of each epoch [epochs, count].
            rates: The learning rates [epochs, steps].
            first_step: Updates before.
            first_epoch: Epochs before.
        """
        epochs = len(orders)
        numbers = np.arange(first_step, first_step + rates.size, dtype=np.uint32).reshape(rates.shape)
        parts, done = [], 0
        for (start, stop, size), program in zip(self._parts, self._programs, strict=True):
            steps = (stop - start) // size
            series = [np.ascontiguousarray(a[:, done : done + steps]).ravel() for a in (numbers, rates)]
            segment = self._samples.segment(self._network, orders[:, start:stop].ravel(), size)
            data = LoopData(segment.arrays, segment.order, self._fixed(program, size), series, self._arrays)
            run = self._started(program, data, segment, np.arange(first_epoch, first_epoch + epochs))
            parts.append(Part(run, steps, size, StepLogs.of(run.logs, program.losses)))
            done += steps
        return Block(self._programs[0].loop, parts, epochs, self.count)

    def _started(self, program: TrainingProgram, data: LoopData, segment: Segment, epochs: np.ndarray) -> LoopRun:
        """A run; one that records where some of its steps are to be recorded."""
        when = When(data.series[0].astype(np.int64) + 1, np.repeat(epochs, segment.steps // len(epochs)) + 1)
        if self.session is None or not self.session.timetable.among(when.numbers).any():
            return program.loop.start(data)
        recording = self._network.model.programs.training(segment, self.session.recorder)
        return Tape(self.session, recording, whole=True).start(program.loop, data, when)

    def _fixed(self, program: TrainingProgram, size: int) -> list[np.ndarray]:
        """Key and settings for batches of a size: the penalty's strength is alpha over the weight of a batch."""
        if self._network.penalty is not None:
            self._network.penalty.strength = self._alpha / (size * self._samples.mean_weight)
        return [self._key, *program.trained.settings.values()]


@dataclass(frozen=True)
class Part:
    """The batches of one size of some epochs: their run, how many an epoch has, their size, and their numbers."""

    run: LoopRun
    steps: int
    size: int
    logs: StepLogs

    def lines(self, epoch: int, epochs: int) -> list[Line]:
        """The lines of a script for some epochs from one on."""
        if isinstance(self.run, TapedRun):
            return self.run.script(epoch * self.steps, (epoch + epochs) * self.steps, epochs * self.steps)
        return [(self.run, epochs * self.steps)]


class Block:
    """Some epochs on their way."""

    def __init__(self, loop: Any, parts: list[Part], epochs: int, count: int) -> None:
        self._loop, self._parts, self.epochs, self._count = loop, parts, epochs, count
        self._done = 0

    def advance(self, epochs: int) -> None:
        """Train so many of the epochs, as one script."""
        first = self._done
        if len(self._parts) == 1:
            script = self._parts[0].lines(first, epochs)
        else:
            script = [line for k in range(first, first + epochs) for part in self._parts for line in part.lines(k, 1)]
        taped = [(part.run, part.steps) for part in self._parts if isinstance(part.run, TapedRun)]
        try:
            self._loop.in_turn(script)
        finally:
            for run, _ in taped:
                run.collect()
        self._done += epochs
        for number, (run, steps) in enumerate(taped, 1):
            run.keep(self._done * steps, more=number < len(taped))

    def losses(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean loss and the mean penalty of each epoch over its samples, as float64 [epochs]."""
        losses, penalties = np.zeros(self.epochs), np.zeros(self.epochs)
        for part in self._parts:
            sums, penalty = part.logs.loss_sums[0], part.logs.penalty
            losses += np.sum(sums.reshape(self.epochs, -1), axis=1, dtype=np.float64)
            penalties += part.size * np.sum(penalty.reshape(self.epochs, -1), axis=1, dtype=np.float64)
        return losses / self._count, penalties / self._count
