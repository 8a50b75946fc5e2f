"""Several epochs at once: where nobody looks at the model between them, they run without a return to Python.

Small networks on small data take microseconds for an epoch, far less than a glance at it from Python. The numbers are
the same bits as epoch by epoch.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pellucid.backends.loop import LoopData, LoopRun
from pellucid.train.feed import ArrayFeed, Feed, Segment
from pellucid.train.history import History
from pellucid.train.progress import Silent
from pellucid.train.state import TrainingState
from pellucid.train.step import StepLogs
from pellucid.train.totals import EpochTotals

#: Seconds that a block takes, roughly, and the most bytes of rows' numbers that it holds.
_TURN, _BYTES = 0.1, 1 << 24


def epochs_of_block(fit: Any, epoch: int, history: History) -> int:
    """How many of the epochs from one on shall run as a block; fewer than 2: none."""
    expected = history.seconds[-1] if history.seconds else fit.epoch_seconds
    if expected is None or fit.callbacks or type(fit.display) is not Silent:
        return 0
    feeds = [feed for feed in (fit.feed, fit.validation) if feed is not None]
    if not all(isinstance(feed, ArrayFeed) for feed in feeds):
        return 0
    if any(m.combine != "sum" for metrics in fit.model.objective.metrics for m in metrics):
        return 0
    rows = sum(feed.count for feed in feeds)
    affordable = int(_TURN / max(expected, 1e-7))
    count = min(fit.epochs - epoch, affordable, _BYTES // (8 * rows))
    if fit.session is None:
        return count
    # Epochs in which something is recorded are trained one by one.
    ahead = fit.session.steps_until_next(fit.model.optimizer.iterations + 1) // fit.feed.steps
    return min(count, ahead)


def run_block(fit: Any, first: int, count: int, key: np.ndarray, history: History) -> bool:
    """Train ``count`` epochs from ``first`` on; False where something went wrong and nothing has changed.

    The epochs must then be trained one by one, which finds out what it was.
    """
    started = time.perf_counter()
    model = fit.model
    numbers = range(first, first + count)
    feed: Feed | None = fit.validation
    checked = [e for e in numbers if feed is not None and (e + 1) % fit.validation_every == 0]
    training = _Training(model, [list(fit.feed.epoch(epoch)) for epoch in numbers], key)
    validation = _Validation(model, feed, len(checked), training.state) if feed is not None and checked else None
    script = []
    for epoch in numbers:
        script += training.lines
        if validation is not None and epoch in checked:
            script += validation.lines
    good = False
    try:
        training.loop.in_turn(script)
        good = training.is_good()
    finally:
        if not good:
            training.state.discard()
    if not good:
        return False
    training.publish()
    logs = [totals.result() for totals in training.totals(count)]
    if validation is not None:
        for epoch, totals in zip(checked, validation.totals(len(checked)), strict=True):
            logs[epoch - first] |= totals.result("val_")
    seconds = (time.perf_counter() - started) / count
    for epoch, own in zip(numbers, logs, strict=True):
        history.append(epoch, own, seconds)
    return True


class _Training:
    """The training runs of a block: one for each size of batches.

    Attributes:
        state: What they change.
        lines: The lines of a script for one epoch.
    """

    def __init__(self, model: Any, epochs: list[list[Segment]], key: np.ndarray) -> None:
        self._model = model
        columns = list(zip(*epochs, strict=True))
        programs = [model.programs.training(column[0]) for column in columns]
        self.loop = programs[0].loop
        self._trained = programs[0].trained
        self.state: TrainingState = model.programs.state(programs[0])
        optimizer, steps = model.optimizer, sum(segment.steps for segment in epochs[0])
        self._made = len(epochs) * steps
        first = optimizer.iterations
        series = (
            np.arange(first, first + self._made).astype(np.uint32).reshape(len(epochs), steps),
            optimizer.learning_rates(self._made).reshape(len(epochs), steps),
        )
        self.lines: list[tuple[LoopRun, int]] = []
        self._parts: list[tuple[StepLogs, int]] = []
        start = 0
        for column, program in zip(columns, programs, strict=True):
            segment, stop = column[0], start + column[0].steps
            own = [np.ascontiguousarray(values[:, start:stop]).ravel() for values in series]
            order = np.concatenate([s.order for s in column])
            fixed = (key, *program.trained.settings.values())
            run = program.loop.start(LoopData(segment.arrays, order, fixed, own, self.state.arrays))
            self.lines.append((run, segment.steps))
            self._parts.append((StepLogs.of(run.logs, program.losses), segment.batch))
            start = stop

    def is_good(self) -> bool:
        """Whether every loss and the parameters at the end are finite."""
        losses = all(bool(np.isfinite(logs.total).all()) for logs, _ in self._parts)
        return losses and self.state.first_non_finite(len(self._trained.parameters)) is None

    def publish(self) -> None:
        """Give the model the present numbers, and count the steps."""
        self.state.publish()
        self._model.optimizer.iterations += self._made

    def totals(self, epochs: int) -> list[EpochTotals]:
        """The totals of each epoch."""
        return EpochTotals.of_epochs(self._model.objective, self._model.output_names, self._parts, epochs)


class _Validation:
    """The evaluations of a block, on the parameters as they are in the midst of it."""

    def __init__(self, model: Any, feed: Feed, epochs: int, state: TrainingState) -> None:
        self._model = model
        place = {id(tensor): array for tensor, array in zip(state.tensors, state.arrays, strict=True)}
        arrays = [place[id(parameter)] for parameter in model.parameters]
        self.lines: list[tuple[LoopRun, int]] = []
        self._parts: list[tuple[StepLogs, int]] = []
        for segment in feed.epoch(0):
            program = model.programs.evaluation(segment)
            run = program.start(segment, np.tile(segment.order, epochs), arrays)
            self.lines.append((run, segment.steps))
            self._parts.append((StepLogs.of(run.logs, program.losses), segment.batch))

    def totals(self, epochs: int) -> list[EpochTotals]:
        """The totals of each evaluation."""
        return EpochTotals.of_epochs(self._model.objective, self._model.output_names, self._parts, epochs)
