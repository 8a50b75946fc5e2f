"""Recorded steps among the others of a run: another program makes them, which gives the same and more.

The steps of both programs are lines of one script, which the engine runs without a return to Python; their numbers
are read afterwards, those of many steps together.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.backends.loop import Line, Loop, LoopData, LoopRun, first_of
from pellucid.train.recording.session import Moments, Session

#: Seconds after which a script returns, roughly; the most bytes of recorded numbers that wait in memory.
_TURN, _BYTES = 0.05, 1 << 24


@dataclass(frozen=True)
class When:
    """The numbers of a run's steps in the history of training, and their epochs, from 1."""

    numbers: np.ndarray
    epochs: np.ndarray


class Tape:
    """Records some steps of the runs of a program.

    Args:
        session: The recording of the fit.
        program: The step that also gives what is recorded (a :class:`~pellucid.train.step.TrainingProgram`).
        whole: Whether runs are so short that all their recorded numbers are kept in memory until they end.
    """

    def __init__(self, session: Session, program: Any, *, whole: bool = False) -> None:
        self._session, self._program, self._room = session, program, sys.maxsize if whole else _BYTES

    def start(self, plain: Loop, data: LoopData, when: When | int) -> TapedRun:
        """A run in which the recorded steps are made by this tape's program, all others by the plain one.

        Args:
            plain: The loop of the plain program.
            data: What it works on.
            when: When the steps are made, or the number of the first one, all in the session's present epoch.
        """
        self._session.settle(plain, self._program.loop)
        if isinstance(when, int):
            numbers = np.arange(when, when + len(data.series[0]))
            when = When(numbers, np.full(len(numbers), self._session.epoch))
        return TapedRun(self._session, self._program, plain, data, when, self._room)


class Reel:
    """One run of a program for the recorded steps of many runs, which fill it in as they come: a start is expensive.

    Args:
        loop: The loop of the program.
        data: The data of a run; those of others are taken in if they are the same but for their steps.
        count: How many steps there is room for.
        each: Bytes of the logs of a step.
    """

    def __init__(self, loop: Loop, data: LoopData, count: int, each: int) -> None:
        series = [np.empty((count, *values.shape[1:]), values.dtype) for values in data.series]
        fixed = [np.array(value) for value in data.fixed]
        self._data = LoopData(data.rows, np.empty(count * loop.batch, np.int64), fixed, series, data.state)
        self._batch, self._used, self.each = loop.batch, 0, each
        self.run = loop.start(self._data)
        self.run.goes_on = False

    def takes(self, data: LoopData, count: int) -> bool:
        """Whether so many steps of another run fit in."""
        own = self._data
        same = all(a is b for a, b in zip((*own.rows, *own.state), (*data.rows, *data.state), strict=True))
        return same and self._used + count <= self.run.steps

    def take(self, data: LoopData, chosen: np.ndarray) -> int:
        """Put in some steps of a run, which are made next; the number of the first one here."""
        own, start, stop = self._data, self._used, self._used + len(chosen)
        own.order[start * self._batch : stop * self._batch] = _rows_of(data, self._batch, chosen)
        for mine, values in zip(own.series, data.series, strict=True):
            mine[start:stop] = values[chosen]
        for mine, value in zip(own.fixed, data.fixed, strict=True):
            mine[...] = value
        self.run.done, self._used = start, stop
        return start


def _rows_of(data: LoopData, batch: int, chosen: np.ndarray) -> np.ndarray:
    """The order of the rows of some steps."""
    return data.order.reshape(-1, batch).take(chosen, axis=0).ravel()


class TapedRun(LoopRun):
    """A run of two programs in turn; see :meth:`Tape.start`.

    Its logs are those of the plain program. What was recorded waits for :meth:`keep`.
    """

    def __init__(self, session: Session, program: Any, plain: Loop, data: LoopData, when: When, room: int) -> None:
        self.steps, self.done = len(when.numbers), 0
        self._session, self._program, self._loop, self._data = session, program, plain, data
        self._when, self._room = when, room
        self._recorded = session.timetable.places(when.numbers)
        self._marks = [*self._recorded.tolist(), self.steps]
        self._run = plain.start(data)  # which passes over the recorded steps
        self.logs = self._run.logs
        self._first = self._read = 0  # among the recorded steps: those of the present group, and those that were read
        self._group: LoopRun | None = None
        self._begin = self._count = 0  # in the run of the present group: its first step, and how many are its own
        self._waiting: list[tuple[np.ndarray, list[np.ndarray]]] = []

    def advance(self, steps: int) -> int:
        """Make some of the steps, for a fraction of a second."""
        before, started = self.done, time.perf_counter()
        pace = self._session.pace
        most = 2 if pace is None else max(1, int(min(_TURN / max(pace, 1e-8), self.steps)))
        script = self.script(before, min(before + steps, self.steps), most)
        try:
            if len(script) == 1 or pace is None:  # runs know by themselves how much is enough
                for line in script:
                    run, count = line[:2]
                    run.done = first_of(line, run.done)
                    if run.advance(count) < count:
                        break
            else:
                self._loop.in_turn(script)
        finally:  # Ctrl-C may come at any moment: what counts is what was done
            self.collect()
        made = self.done - before
        if made:
            self._session.pace = (time.perf_counter() - started) / made
        return made

    def script(self, start: int, stop: int, most: int) -> list[Line]:
        """The steps from ``start`` to before ``stop`` as lines of a script, which ends early.

        There are not many more steps than ``most``, unless in one line; the lines end where the numbers that wait would
        take too much memory.
        """
        following = bisect_left(self._marks, start)
        ahead = self._marks[following]
        if ahead >= stop:
            return [(self._run, stop - start, start)] if stop > start else []
        script: list[Line] = []
        group = self._group_at(following)
        reached = start
        while reached < stop and (not script or reached - start < most):
            ahead = self._marks[following]
            if ahead > reached:
                script.append((self._run, min(ahead, stop) - reached, reached))
                reached = min(ahead, stop)
                continue
            if group is None or following >= self._first + self._count:
                break
            script.append((group, 1))
            reached, following = reached + 1, following + 1
        return script

    def _group_at(self, following: int) -> LoopRun | None:
        """The run of the next recorded steps; as many as memory has room for."""
        if following == len(self._recorded):
            return None
        if self._group is None or following == self._first + self._count:
            loop, session = self._program.loop, self._session
            reel = session.reels.get(self._program)
            each = sum(log.nbytes for log in loop.empty_logs(1)) if reel is None else reel.each
            chosen = self._recorded[following : following + max(1, self._room // max(each, 1))]
            if reel is None or not reel.takes(self._data, len(chosen)):
                ahead = min(session.timetable.left(int(self._when.numbers[chosen[0]])), _BYTES // max(each, 1))
                reel = session.reels[self._program] = Reel(loop, self._data, max(len(chosen), ahead), each)
            self._first, self._count, self._group = following, len(chosen), reel.run
            self._begin = reel.take(self._data, chosen)
        return self._group

    def collect(self) -> None:
        """Take in what was done."""
        if self._group is not None and self._first + self._group.done - self._begin > self._read:
            stop = self._first + self._group.done - self._begin
            chosen = self._recorded[self._read : stop]
            rows = slice(self._read - self._first + self._begin, self._group.done)
            for log, values in zip(self.logs, self._group.logs, strict=False):
                log[chosen] = values[rows]
            self._waiting.append((chosen, [values[rows] for values in self._group.logs[self._program.readout.plain :]]))
            self._read = stop
        recorded = int(self._recorded[self._read - 1]) + 1 if self._read else 0
        self.done = max(self._run.done, recorded)

    def keep(self, stop: int, *, more: bool = False) -> None:
        """Give the session what was recorded in the steps before ``stop``; what came later is forgotten.

        ``more`` says that another run has made some of the steps between, which come next.
        """
        waiting, self._waiting = self._waiting, []
        for steps, values in waiting:
            count = int(np.searchsorted(steps, stop))
            if count:
                chosen = steps[:count]
                self._session.take(self._program.readout, self._moments(chosen), [own[:count] for own in values])
        if not more:
            self._session.write_if_due()

    def _moments(self, steps: np.ndarray) -> Moments:
        rows = None
        if self._session.recorder.level == "full":
            rows = self._data.order.reshape(self.steps, self._loop.batch)[steps]
        losses, rates = (np.asarray(own[steps], np.float64) for own in (self.logs[0], self._data.series[1]))
        return Moments(self._when.numbers[steps], self._when.epochs[steps], losses, rates, rows)
