"""Several epochs at once: where nobody looks at the model between them, they run without a return to Python.

Callbacks say for how long they need not be told (:meth:`Callback.unwatched`); early stopping, for instance, until its
patience may end. They are told afterwards of every epoch, and find the weights of each.

Small networks on small data take microseconds for an epoch, far less than a glance at it from Python. The numbers are
the same bits as epoch by epoch.
"""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import numpy as np

from pellucid.backends import num_threads
from pellucid.backends.loop import Line, Loop, LoopData, LoopRun
from pellucid.train.callbacks import overrides
from pellucid.train.feed import ArrayFeed, Feed, Segment
from pellucid.train.history import History
from pellucid.train.progress import Silent
from pellucid.train.recording.session import Session
from pellucid.train.recording.tape import Tape, TapedRun, When
from pellucid.train.state import TrainingState
from pellucid.train.step import StepLogs
from pellucid.train.totals import logs_of_epochs

#: Seconds that a block takes, roughly, and the most bytes of rows' numbers that it holds.
_TURN, _BYTES = 0.1, 1 << 24
#: Seconds of a step of networks so small that they are trained on one core: what comes next is drawn on another one.
_SHORT = 1e-5
#: Seconds that a block must take for that.
_WORTH = 2e-3
#: The first block of such a fit is so many times shorter, since it has to wait for its own orders; and a block is so
#: many times as long as the one before at most, in which its orders are drawn.
_FIRST, _GROWTH = 16, 2


def epochs_of_block(fit: Any, epoch: int, history: History) -> int:
    """How many of the epochs from one on shall run as a block; fewer than 2: none."""
    feeds = [feed for feed in (fit.feed, fit.validation) if feed is not None]
    if type(fit.display) is not Silent or not all(isinstance(feed, ArrayFeed) for feed in feeds):
        return 0
    if any(m.combine != "sum" for metrics in fit.model.objective.metrics for m in metrics):
        return 0
    count = min(unwatched(fit, epoch), _most_epochs(fit))
    if fit.session is not None and fit.session.recorder.level != "stats":
        # Epochs of which arrays are recorded are trained one by one.
        count = min(count, fit.session.steps_until_next(fit.model.optimizer.iterations + 1) // fit.feed.steps)
    if count < 2:
        return 0
    expected = _epoch_seconds(fit, history)
    if expected is None:
        return 0
    most, drawn = _epochs_in(_TURN, expected), fit.feed.drawn(epoch)
    if drawn:
        most = max(drawn, 2)
    elif epoch == fit.initial_epoch and _looks_ahead(fit, expected):
        most = min(most, max(_epochs_in(_TURN / _FIRST, expected), 2))
    return min(count, most)


def _epochs_in(seconds: float, expected: float) -> int:
    return int(seconds / max(expected, 1e-7))


def _most_epochs(fit: Any) -> int:
    """For how many epochs there is room for the numbers of their rows."""
    return _BYTES // (8 * sum(feed.count for feed in (fit.feed, fit.validation) if feed is not None))


def _looks_ahead(fit: Any, expected: float) -> bool:
    """Whether the orders of later epochs are drawn meanwhile, by a core that such a small network leaves idle."""
    return fit.feed.shuffled and expected < _SHORT * fit.feed.steps and num_threads() > 1


def _look_ahead(fit: Any, numbers: range, history: History) -> None:
    """Have the orders of the epochs after a block drawn, unless callbacks cut blocks so short that it does not pay."""
    expected = _epoch_seconds(fit, history)
    if expected is not None and _looks_ahead(fit, expected) and expected * len(numbers) >= _WORTH:
        count = min(_most_epochs(fit), _epochs_in(_TURN, expected), _GROWTH * len(numbers))
        fit.feed.look_ahead(range(numbers.stop, min(numbers.stop + count, fit.epochs)))


def _epoch_seconds(fit: Any, history: History) -> float | None:
    """Seconds of the last epoch, or what is expected of the first."""
    return history.seconds[-1] if history.seconds else _expected(fit)


def _expected(fit: Any) -> float | None:
    """Seconds of an epoch before the first: as a network like this one has taken lately."""
    if fit.epoch_seconds is not None:
        return fit.epoch_seconds
    step = fit.model.programs.training(fit.feed.one()).loop.seconds
    checked = 0 if fit.validation is None else fit.validation.count / fit.feed.count
    return (
        None if step is None else step * fit.feed.steps * (1 + checked)
    )  # to look at a sample costs less than to train


def unwatched(fit: Any, epoch: int) -> int:
    """For how many epochs the callbacks let training go on before they are told."""
    ahead = fit.epochs - epoch
    for callback in fit.callbacks:
        if overrides([callback], "on_epoch_begin", "on_train_batch_end"):
            return 0
        ahead = min(ahead, callback.unwatched(epoch))
    if ahead > 1 and fit.callbacks:
        size = sum(p.numpy().nbytes for p in fit.model.parameters)
        ahead = min(ahead, _BYTES // max(size, 1))
    return ahead


def run_block(fit: Any, first: int, count: int, key: np.ndarray, history: History) -> bool:
    """Train ``count`` epochs from ``first`` on; False where something went wrong and nothing has changed.

    The epochs must then be trained one by one, which finds out what it was.
    """
    started = time.perf_counter()
    numbers = range(first, first + count)
    feed: Feed | None = fit.validation
    checked = [e for e in numbers if feed is not None and (e + 1) % fit.validation_every == 0]
    training = _Training(fit.model, fit.feed, numbers, key, fit.session)
    validation = _Validation(fit.model, feed, len(checked), training.state) if feed is not None and checked else None
    kept = _Weights(fit.model, training.state) if fit.callbacks else None
    script, stops = [], []
    for epoch in numbers:
        script += training.lines(epoch)
        if kept is not None:
            stops.append((len(script), kept.keep))
        if validation is not None and epoch in checked:
            script += validation.lines
    _look_ahead(fit, numbers, history)
    good = False
    try:
        training.loop.in_turn(script, stops)
        good = training.is_good()
    finally:
        if not good:
            training.state.discard()
    if not good:
        return False
    logs = training.logs(count)
    measured = {} if validation is None else validation.logs(len(checked))
    spread = {name: _spread(values, checked, numbers) for name, values in measured.items()}
    seconds = (time.perf_counter() - started) / count
    training.loop.seconds = seconds / fit.feed.steps
    training.publish()  # one directly after the other: Ctrl-C may come at any time
    history.extend(numbers, logs | spread, seconds)
    fit.feed.unread = None
    if kept is not None:
        for place, epoch in enumerate(numbers):
            own = {name: values[place] for name, values in logs.items()}
            if epoch in checked:
                own |= {name: values[place] for name, values in spread.items()}
            _tell(fit, place, epoch, own, kept)
    return True


def _spread(values: list[Any], checked: list[int], numbers: range) -> list[Any]:
    """The values of some epochs among all of them; NaN in the others."""
    if len(checked) == len(numbers):
        return values
    own = dict(zip(checked, values, strict=True))
    return [own.get(epoch, math.nan) for epoch in numbers]


def _tell(fit: Any, place: int, epoch: int, logs: dict[str, Any], kept: _Weights) -> None:
    """Tell the callbacks of an epoch of the block, with the weights as they were at its end."""
    for callback in fit.callbacks:
        callback._weights_then = functools.partial(kept.of, place)
        try:
            callback.on_epoch_end(epoch, logs)
        finally:
            callback._weights_then = None


class _Weights:
    """The weights of a model at the end of the epochs of a block."""

    def __init__(self, model: Any, state: TrainingState) -> None:
        self._state = state
        place = {id(tensor): number for number, tensor in enumerate(state.tensors)}
        self._places = {str(p.name): place[id(p)] for p in model.parameters}
        self._kept: list[list[np.ndarray]] = []

    def keep(self) -> None:
        """Keep what they are now."""
        self._kept.append([self._state.arrays[place].copy() for place in self._places.values()])

    def of(self, number: int) -> dict[str, np.ndarray]:
        """Those that were kept as the so many-th, by name."""
        return {name: array.copy() for name, array in zip(self._places, self._kept[number], strict=True)}


class _Training:
    """The training runs of a block: one for each size of batches.

    Attributes:
        state: What they change.
    """

    def __init__(self, model: Any, feed: ArrayFeed, epochs: range, key: np.ndarray, session: Session | None) -> None:
        self._model, self._epochs = model, epochs
        segments = list(feed.epochs(epochs))
        programs = [model.programs.training(segment) for segment in segments]
        self.loop = programs[0].loop
        self._trained = programs[0].trained
        self.state: TrainingState = model.programs.state(programs[0])
        optimizer, count = model.optimizer, len(epochs)
        self._made = sum(segment.steps for segment in segments)
        first = optimizer.iterations
        series = (
            np.arange(first, first + self._made).astype(np.uint32).reshape(count, -1),
            optimizer.learning_rates(self._made).reshape(count, -1),
        )
        self._runs: list[tuple[LoopRun, int]] = []
        self._taped: list[TapedRun] = []
        self._parts: list[tuple[StepLogs, int]] = []
        start = 0
        for segment, program in zip(segments, programs, strict=True):
            stop = start + segment.steps // count
            own = [np.ascontiguousarray(values[:, start:stop]).ravel() for values in series]
            fixed = (key, *program.trained.settings.values())
            data = LoopData(segment.arrays, segment.order, fixed, own, self.state.arrays)
            run = self._started(program.loop, data, segment, session)
            self._runs.append((run, stop - start))
            self._parts.append((StepLogs.of(run.logs, program.losses), segment.batch))
            start = stop

    def _started(self, loop: Loop, data: LoopData, segment: Segment, session: Session | None) -> LoopRun:
        """A run, in which steps are recorded where there is a session that wants some of them."""
        when = When(
            data.series[0].astype(np.int64) + 1, np.repeat(self._epochs, segment.steps // len(self._epochs)) + 1
        )
        if session is None or not session.timetable.among(when.numbers).any():
            return loop.start(data)
        program = self._model.programs.training(segment, session.recorder)
        self._taped.append(Tape(session, program, whole=True).start(loop, data, when))
        return self._taped[-1]

    def lines(self, epoch: int) -> list[Line]:
        """The lines of a script for an epoch."""
        script: list[Line] = []
        place = epoch - self._epochs.start
        for run, steps in self._runs:
            if isinstance(run, TapedRun):
                script += run.script(place * steps, (place + 1) * steps, steps)
            else:
                script.append((run, steps))
        return script

    def is_good(self) -> bool:
        """Whether every loss and the parameters at the end are finite."""
        for run in self._taped:
            run.collect()
        losses = all(bool(np.isfinite(logs.total).all()) for logs, _ in self._parts)
        return losses and self.state.first_non_finite(len(self._trained.parameters)) is None

    def publish(self) -> None:
        """Give the model the present numbers, and count the steps; what was recorded counts."""
        self.state.publish()
        self._model.optimizer.iterations += self._made
        for run in self._taped:
            run.keep(run.steps, more=run is not self._taped[-1])

    def logs(self, epochs: int) -> dict[str, list[Any]]:
        """The losses and metrics of each epoch."""
        return logs_of_epochs(self._model.objective, self._model.output_names, self._parts, epochs)


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

    def logs(self, epochs: int) -> dict[str, list[Any]]:
        """The losses and metrics of each evaluation."""
        return logs_of_epochs(self._model.objective, self._model.output_names, self._parts, epochs, "val_")
