"""A training program on its way through the batches of a segment; NaN and infinity end it at the step they began."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from pellucid.backends.loop import LoopData, LoopRun
from pellucid.errors import DataError, NonFiniteCause, NonFiniteError
from pellucid.train.failure import FailedStep, advice, first_cause, told
from pellucid.train.feed import Segment
from pellucid.train.recording.tape import Tape
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
        self._program, self._state = program, state
        self._optimizer = program.trained.optimizer
        self._first = self._optimizer.iterations
        self.steps = segment.steps
        self.rates = self._optimizer.learning_rates(self.steps)
        numbers = np.arange(self._first, self._first + self.steps).astype(np.uint32)
        fixed = (seed_key, *program.trained.settings.values())
        self._data = LoopData(segment.arrays, segment.order, fixed, (numbers, self.rates), state.arrays)
        self._taped = None
        if tape is not None:
            self._taped = tape.start(program.loop, self._data, self._first + 1)
        self._run: LoopRun = program.loop.start(self._data) if self._taped is None else self._taped
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
            self._run.advance(steps)
        except DataError:
            self._go_back()
            raise
        logs = self._logs.part(before, self.done)
        self._watch(logs)
        self._keep(self.done)
        return logs

    def _keep(self, stop: int) -> None:
        """What was recorded before a step counts."""
        if self._taped is not None:
            self._taped.keep(stop)

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
        stop = self.done
        self._go_back()
        logs = StepLogs.of(self._run.logs, self._program.losses)
        while self.done < stop:
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
                self._keep(step + 1)
                self._state.restore(before)
                self._run.done = self._checked = step
                raise NonFiniteStepError(found, step, float(self.rates[step]), first_cause(self._failed(step)))
        self._go_back()
        raise DataError(
            f"One of the steps {self._safe + 1} to {stop} of this run gave NaN or infinity, but none did when they were"
            " repeated: all numbers were finite.",
            hint="the arrays must not change during training; if nothing writes to them, test the machine's memory",
        )

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

    def undo(self) -> None:
        """Return to the beginning: nothing has been trained."""
        self._safe, self._snapshot = 0, None
        self._go_back()

    def publish(self) -> None:
        """Give the model the present numbers, and count the steps; what was not checked yet and is bad is undone."""
        if self._checked != self.done and not self._is_good():
            self._go_back()
        self._state.publish()
        self._optimizer.iterations = self._first + self.done
        self._keep(self.done)


class NonFiniteStepError(Exception):
    """What became NaN or infinite (the beginning of a sentence), in which step of the run, at what rate, and why."""

    def __init__(self, what: str, step: int, rate: float, cause: NonFiniteCause) -> None:
        super().__init__(what)
        self.what, self.step, self.rate, self.cause = what, step, rate, cause

    def error(
        self, sentence: str, *, update: int, epoch: int | None = None, losses: Sequence[float] = ()
    ) -> NonFiniteError:
        """The error for users, beginning with a whole sentence.

        Args:
            sentence: What happened.
            update, epoch: When, from 1.
            losses: Those of the epochs before.
        """
        details = told(self.cause)
        if losses:
            details.append(f"losses of the epochs before: {', '.join(f'{loss:.4g}' for loss in losses[-5:])}")
        details.append("the model keeps the parameters from before this update")
        return NonFiniteError(
            sentence, details=details, hint=advice(self.cause), cause=self.cause, step=update, epoch=epoch
        )
