"""A training program on its way through the batches of a segment; NaN and infinity end it at the step they began."""

from __future__ import annotations

import time

import numpy as np

from pellucid.backends.loop import LoopData
from pellucid.errors import DataError
from pellucid.train.feed import Segment
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

    def __init__(self, program: TrainingProgram, segment: Segment, state: TrainingState, seed_key: np.ndarray) -> None:
        self._program, self._state = program, state
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
            self._run.advance(steps)
        except DataError:
            self._go_back()
            raise
        logs = self._logs.part(before, self.done)
        late = time.perf_counter() - self._safe_at > self.SAFE
        finished = self.done == self.steps
        if not np.isfinite(logs.total).all() or ((finished or late) and not self._is_good()):
            self._find_failure()
        if late and not finished:
            self._safe, self._snapshot, self._safe_at = self.done, self._state.snapshot(), time.perf_counter()
        return logs

    def _is_good(self) -> bool:
        """Whether the losses so far and the present parameters are finite."""
        losses = self._logs.total[self._safe : self.done]
        good = np.isfinite(losses).all() and self._state.first_non_finite(len(self._program.trained.trainable)) is None
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
            culprit = self._state.first_non_finite(len(self._program.trained.trainable))
            found = None
            if not np.isfinite(logs.total[step]):
                found = f"The loss became {float(logs.total[step])}"
            elif culprit is not None:
                found = f'The parameter "{culprit.name}" became NaN or infinite'
            if found:
                self._state.restore(before)
                self._run.done = self._checked = step
                raise NonFiniteStepError(found, step, float(self.rates[step]))

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


class NonFiniteStepError(Exception):
    """What became NaN or infinite (the beginning of a sentence), in which step of the run, at what learning rate."""

    def __init__(self, what: str, step: int, rate: float) -> None:
        super().__init__(what)
        self.what, self.step, self.rate = what, step, rate
