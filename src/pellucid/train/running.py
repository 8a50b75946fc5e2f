"""A training program on its way through the batches of a segment; NaN and infinity end it at the step they began."""

from __future__ import annotations

import time

import numpy as np

from pellucid.backends.loop import LoopData, LoopRun
from pellucid.errors import DataError, NonFiniteCause, NonFiniteError
from pellucid.train.failure import FailedStep, advice, first_cause, told
from pellucid.train.feed import Segment
from pellucid.train.recording.session import Moment, Session
from pellucid.train.state import TrainingState
from pellucid.train.step import StepLogs, TrainingProgram


class TrainingRun:
    """Training on the batches of a segment, some steps at a time.

    Attributes:
        steps: The number of batches.
        rates: The learning rate of each step.
    """

    #: Seconds between copies of the state; after NaN no more than this much work is done again to find where it began.
    SAFE = 1.0

    def __init__(
        self,
        program: TrainingProgram,
        segment: Segment,
        state: TrainingState,
        seed_key: np.ndarray,
        tape: Tape | None = None,
    ) -> None:
        self._program, self._state, self._tape = program, state, tape
        self._optimizer = program.trained.optimizer
        self._first = self._optimizer.iterations
        self.steps = segment.steps
        self.rates = self._optimizer.learning_rates(self.steps)
        numbers = np.arange(self._first, self._first + self.steps).astype(np.uint32)
        fixed = (seed_key, *program.trained.settings.values())
        self._data = LoopData(segment.arrays, segment.order, fixed, (numbers, self.rates), state.arrays)
        self._run = program.loop.start(self._data)
        self._logs = StepLogs.of(self._run.logs, program.losses)
        self._safe = self._checked = 0
        self._snapshot: list[np.ndarray] | None = None
        self._safe_at = time.perf_counter()

    @property
    def done(self) -> int:
        """Steps made so far."""
        return self._run.done

    def advance(self, steps: int) -> StepLogs:
        """Make at most so many steps; their numbers.

        Raises:
            NonFiniteStepError: Something became NaN or infinite; the state is that from before that step.
            DataError: An index lay outside its axis; the state is one from before.
        """
        before = self.done
        try:
            if self._tape is None:
                self._run.advance(steps)
            else:
                self._tape.advance(self._run, self._data, steps, self._first + 1)
        except DataError:
            self._go_back()
            raise
        logs = self._logs.part(before, self.done)
        self._watch(logs)
        return logs

    def _watch(self, logs: StepLogs) -> None:
        """See whether everything is finite, and from time to time keep a copy of a good state."""
        late = time.perf_counter() - self._safe_at > self.SAFE
        finished = self.done == self.steps
        if not np.isfinite(logs.total).all() or ((finished or late) and not self._is_good()):
            self._find_failure()
        if late and not finished:
            self._safe, self._snapshot, self._safe_at = self.done, self._state.snapshot(), time.perf_counter()

    def _is_good(self) -> bool:
        """Whether the losses so far and the present parameters are finite."""
        losses = self._logs.total[self._safe : self.done]
        good = np.isfinite(losses).all() and self._state.first_non_finite(len(self._program.trained.parameters)) is None
        if good:
            self._checked = self.done
        return bool(good)

    def _find_failure(self) -> None:
        """Repeat the steps since the state was last known to be good, one by one, until one fails."""
        self._go_back()
        logs = StepLogs.of(self._run.logs, self._program.losses)
        while True:
            before = self._state.snapshot()
            step = self.done
            self._run.advance(1)
            culprit = self._state.first_non_finite(len(self._program.trained.parameters))
            found = None
            if not np.isfinite(logs.total[step]):
                found = f"The loss became {float(logs.total[step])}"
            elif culprit is not None:
                found = f'The parameter "{culprit.name}" became NaN or infinite'
            if found:
                self._state.restore(before)
                self._run.done = self._checked = step
                raise NonFiniteStepError(found, step, float(self.rates[step]), first_cause(self._failed(step)))

    def _failed(self, step: int) -> FailedStep:
        """The step that failed, and what it began with."""
        data, loop = self._data, self._program.loop
        chosen = data.order[step * loop.batch : (step + 1) * loop.batch]
        rows = [
            np.ascontiguousarray(array[chosen], var.spec.dtype)
            for array, var in zip(data.rows, loop.form.split(loop.graph)[0], strict=True)
        ]
        number, rate = (np.asarray(values[step]) for values in data.series)
        losses = tuple(float(loss) for loss in self._logs.total[max(0, step - 5) : step])
        return FailedStep(self._program, rows, chosen, data.fixed, number, rate, data.state, losses)

    def _go_back(self) -> None:
        """Return to the state that was last known to be good."""
        if self._snapshot is None:
            self._state.discard()
        else:
            self._state.restore(self._snapshot)
        self._run = self._program.loop.start(self._data, self._safe)
        self._checked = self._safe

    def publish(self) -> None:
        """Give the model the present numbers, and count the steps; what was not checked yet and is bad is undone."""
        if self._checked != self.done and not self._is_good():
            self._go_back()
        self._state.publish()
        self._optimizer.iterations = self._first + self.done


class Tape:
    """Records some steps of a run: these are made by another program, which gives the same and more.

    Args:
        session: The recording of the fit.
        program: The step that also gives what is recorded.
        segment: The batches.
    """

    def __init__(self, session: Session, program: TrainingProgram, segment: Segment) -> None:
        self._session, self._program, self._batch = session, program, segment.batch

    def advance(self, run: LoopRun, data: LoopData, steps: int, first: int) -> None:
        """Make one recorded step, or some others up to the next one.

        Args:
            run: The loop that is to be a step further.
            data: What it works on.
            steps: The most steps to make.
            first: The number of the loop's first step in the fit, from 1.
        """
        plain = self._session.steps_until_next(first + run.done)
        if plain:
            run.advance(min(steps, plain))
        elif steps:
            self._record(run, data, first)

    def _record(self, run: LoopRun, data: LoopData, first: int) -> None:
        step, readout = run.done, self._program.readout
        assert readout is not None, "the program of a tape records"
        rows = data.order[step * self._batch : (step + 1) * self._batch]
        series = [values[step : step + 1] for values in data.series]
        one = self._program.loop.start(LoopData(data.rows, rows, data.fixed, series, data.state))
        one.advance(1)
        values = [log[0] for log in one.logs]
        for log, value in zip(run.logs, values, strict=False):
            log[step] = value
        run.done = step + 1
        rate = float(series[1][0])
        moment = Moment(first + step, self._session.epoch, rows, float(values[0]), rate)
        self._session.take(readout, moment, values[readout.plain :])


class NonFiniteStepError(Exception):
    """What became NaN or infinite (the beginning of a sentence), in which step of the run, at what rate, and why."""

    def __init__(self, what: str, step: int, rate: float, cause: NonFiniteCause) -> None:
        super().__init__(what)
        self.what, self.step, self.rate, self.cause = what, step, rate, cause

    def error(self, sentence: str, *, update: int, epoch: int | None = None) -> NonFiniteError:
        """The error for users, beginning with a whole sentence; ``update`` and ``epoch`` count from 1."""
        details = [*told(self.cause), "the model keeps the parameters from before this update"]
        return NonFiniteError(
            sentence, details=details, hint=advice(self.cause), cause=self.cause, step=update, epoch=epoch
        )
