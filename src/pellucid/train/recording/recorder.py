"""What to record, how often, and where to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.fields import Choice, Configured, Integer, optional, param

#: By default so many steps lie between records at least, and a fit has so many records at most; that of "full".
_EVERY, _RECORDS, _FULL = 50, 200, 10


def _names(value: Any) -> str | None:
    if value is None or (isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value)):
        return None
    return "a list of names of layers, or None for all"


def _numbers(value: Any) -> str | None:
    if value is None:
        return None
    items = list(value) if isinstance(value, (list, tuple, range)) else []
    if items and all(isinstance(item, Integral) and not isinstance(item, bool) and int(item) >= 1 for item in items):
        return None
    return "a list of numbers of steps, from 1 on, or None"


def _path(value: Any) -> str | None:
    return None if value is None or isinstance(value, (str, Path)) else "the path of a folder, or None"


class Recorder(Configured):
    """What ``fit(record=...)`` records.

    Args:
        level: ``"stats"``: statistics of activations, gradients, weights and updates per layer. ``"full"``: these,
            and the arrays themselves.
        every: Record the first step, then every so many; and the last one where the number of steps is known. By
            default as many as cost little: for ``"stats"`` every 50th, or so many fewer that what they compute is by
            count about 2 % of what training does, three of all at least and about 200 at most; for ``"full"`` ten of
            all, or every 50th where a generator does not say how many there are.
        layers: The layers to record, by name; all by default. ``"block"`` includes ``"block/dense"``.
        steps: The steps to record, by their numbers from 1, in place of ``every``.
        path: A folder to write to while training goes on; by default all is kept in memory.

    A recorded step runs a compiled step that also gives what is looked at; all others run as if nothing were recorded,
    and training gives the same bits.

    >>> import numpy as np
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(3, activation="tanh"), Dense(1)])
    >>> model.compile("mse", "sgd")
    >>> x = np.eye(2)
    >>> history = model.fit(x, [0, 1], epochs=4, record=Recorder("stats", every=2, layers=["dense"]), verbose=0)
    >>> history.recording.steps
    [1, 3, 4]
    """

    level: str = param(default="stats", check=Choice("stats", "full"))
    every: int | None = param(default=None, check=optional(Integer(1)), kw_only=True)
    layers: Sequence[str] | None = param(default=None, check=_names, kw_only=True)
    steps: Sequence[int] | None = param(default=None, check=_numbers, kw_only=True)
    path: str | Path | None = param(default=None, check=_path, kw_only=True)

    def setup(self) -> None:
        """Steps are chosen in one way."""
        if self.every is not None and self.steps is not None:
            raise ConfigurationError("Recorder: give every or steps, not both.")

    @property
    def key(self) -> tuple[Any, ...]:
        """What the compiled step depends on."""
        return (self.level, None if self.layers is None else tuple(self.layers))

    @property
    def is_open(self) -> bool:
        """Whether nothing says which steps to record: statistics of as many as are cheap."""
        return self.level == "stats" and self.every is None and self.steps is None

    def timetable(self, first: int, count: int | None) -> Timetable:
        """The steps to record.

        Args:
            first: The number of the fit's first step.
            count: How many steps it has, where that is known.
        """
        last = None if count is None else first + count - 1
        if self.steps is not None:
            return Timetable(first, 1, None, tuple(sorted(set(self.steps))))
        return Timetable(first, self.every or self._usual(count), last, None)

    def _usual(self, count: int | None) -> int:
        if count is None:
            return _EVERY
        return max(1, -(-count // _FULL)) if self.level == "full" else max(_EVERY, -(-count // _RECORDS))


@dataclass(frozen=True)
class Timetable:
    """Which steps are recorded.

    Attributes:
        first, every: The first step, then every so many.
        last: The last step, which is recorded as well; None where it is not known.
        chosen: These steps in place of all that, in order.
    """

    first: int
    every: int
    last: int | None
    chosen: tuple[int, ...] | None

    def next(self, step: int) -> int | None:
        """The first recorded step from ``step`` on, if there is any.

        >>> [Timetable(1, 10, 25, None).next(step) for step in (1, 2, 12, 22, 26)]
        [1, 11, 21, 25, 31]
        """
        if self.chosen is not None:
            return next((number for number in self.chosen if number >= step), None)
        regular = self.first + -(-(step - self.first) // self.every) * self.every
        return self.last if self.last is not None and step <= self.last < regular else regular

    def places(self, steps: np.ndarray) -> np.ndarray:
        """Where the recorded ones lie among some steps in order.

        >>> Timetable(1, 10, 25, None).places(np.arange(9, 30))
        array([ 2, 12, 16])
        """
        if not len(steps):
            return np.empty(0, np.intp)
        low, high = int(steps[0]), int(steps[-1])
        wanted = self._between(low, high)
        if high - low + 1 == len(steps):
            return np.array([number - low for number in wanted], np.intp)
        found = steps.searchsorted(np.array(wanted, np.int64))
        return found[steps[found] == wanted]

    def _between(self, low: int, high: int) -> list[int]:
        """The recorded steps from one to another."""
        if self.chosen is not None:
            return list(self.chosen[bisect_left(self.chosen, low) : bisect_right(self.chosen, high)])
        begin = self.first + max(0, -(-(low - self.first) // self.every)) * self.every
        last = high if self.last is None else min(self.last, high)
        found = list(range(begin, last + 1, self.every))
        if self.last is not None and low <= self.last <= high and found[-1:] != [self.last]:
            found.append(self.last)
        return found

    def among(self, steps: np.ndarray) -> np.ndarray:
        """Which of some steps in order are recorded: one bool for each of these numbers.

        >>> Timetable(1, 10, 25, None).among(np.arange(9, 13))
        array([False, False,  True, False])
        """
        found = np.zeros(len(steps), bool)
        found[self.places(steps)] = True
        return found

    def left(self, step: int) -> int:
        """How many recorded steps there are from one on; 0 where that is not known.

        >>> Timetable(1, 10, 25, None).left(2)
        3
        """
        if self.chosen is not None:
            return len(self.chosen) - bisect_left(self.chosen, step)
        if self.last is None or step > self.last:
            return 0
        regular = range(self.first, self.last + 1, self.every)
        before = max(0, -(-(step - self.first) // self.every))
        return len(regular) - before + (regular[-1] != self.last)


def member_recorder(recorder: Recorder | None, number: int) -> Recorder | None:
    """The recorder of one of several models: each writes to a folder of its own.

    >>> member_recorder(Recorder("full", every=5, path="runs"), 2).path == Path("runs/2")
    True
    """
    if recorder is None or recorder.path is None:
        return recorder
    path = Path(recorder.path) / str(number)
    return Recorder(recorder.level, every=recorder.every, layers=recorder.layers, steps=recorder.steps, path=path)


def as_recorder(record: Any, every: int | None) -> Recorder | None:
    """The recorder that ``fit(record=..., every=...)`` asks for; None where nothing is recorded.

    Raises:
        ConfigurationError: The level is unknown, or ``every`` does not go with it.
    """
    if record is None or record is False or record == "off":
        if every is not None:
            raise ConfigurationError(
                f"fit: every={every!r} says how often to record, but nothing is recorded.", hint='add record="stats"'
            )
        return None
    if isinstance(record, Recorder):
        if every is not None:
            raise ConfigurationError("fit: give every to the Recorder: Recorder(level, every=...).")
        return record
    if not isinstance(record, str):
        raise ConfigurationError(f"fit: record must be 'off', 'stats', 'full' or a Recorder, not {record!r}.")
    if record not in ("stats", "full"):
        raise unknown_name("level of recording", record, ("off", "stats", "full"))
    return _plain(record) if every is None else Recorder(record, every=every)


@lru_cache(maxsize=2)
def _plain(level: str) -> Recorder:
    """The recorder that has nothing but a level, which every fit may use."""
    return Recorder(level)
