"""The recording of one fit: which steps are recorded, and what becomes of the numbers that they give."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.backends.loop import Loop
from pellucid.train.recording.frames import Recording
from pellucid.train.recording.price import affordable
from pellucid.train.recording.probe import Readout, Row, labels_of
from pellucid.train.recording.recorder import Recorder
from pellucid.train.recording.statistics import Statistics, finish
from pellucid.train.recording.store import GrowingStore, MemoryStore, Store, Tiled

#: Rows wait for so many others, or for so many seconds, until they are written.
_ROWS, _SECONDS = 2048, 1.0


@dataclass(frozen=True)
class Moments:
    """When some steps were made.

    Attributes:
        steps, epochs: Their numbers and epochs, from 1.
        losses, rates: The loss of each batch, and the learning rate.
        rows: Which rows of the data each batch held [step, sample]; None where nobody keeps that.
    """

    steps: np.ndarray
    epochs: np.ndarray
    losses: np.ndarray
    rates: np.ndarray
    rows: np.ndarray | None = None


#: What waits: the meaning of some steps' numbers, when they were, and the reductions [step, number].
Taken = tuple[Readout, Moments, np.ndarray]


class Session:
    """The recording of a fit.

    Args:
        recorder: What to record.
        first: The number of the first step.
        count: How many steps there will be, where that is known.

    Attributes:
        recorder: What is recorded.
        timetable: Which steps.
        epoch: The epoch that goes on, from 1.
        pace: Seconds that a step has taken, roughly; None before the first.
        recording: What was recorded so far.
        reels: By program, the run in which its recorded steps are made.
    """

    def __init__(self, recorder: Recorder, first: int, count: int | None) -> None:
        self.recorder = recorder
        self.epoch = 1
        self.pace: float | None = None
        self.timetable = recorder.timetable(first, count)
        self._count, self._is_open = count, recorder.is_open
        path, level = recorder.path, recorder.level
        self._store: Store = MemoryStore(level) if path is None else GrowingStore(Path(path), level)
        self.recording = Recording(self._store, self._write)
        self.reels: dict[Any, Any] = {}
        self._waiting: list[Taken] = []
        self._rows = 0
        self._written_at = time.perf_counter()

    def settle(self, plain: Loop, recorded: Loop) -> None:
        """Leave out records that would cost too much, once it is known what they are; only the first fixes that."""
        if self._is_open:
            self._is_open = False
            every = max(self.timetable.every, affordable(plain, recorded, self._count))
            self.timetable = replace(self.timetable, every=every)

    def steps_until_next(self, step: int) -> int:
        """How many steps from number ``step`` on are not recorded; very many where none follows."""
        found = self.timetable.next(step)
        return sys.maxsize if found is None else found - step

    def take(self, readout: Readout, moments: Moments, values: Sequence[np.ndarray]) -> None:
        """Keep the numbers of some steps.

        Args:
            readout: What they mean.
            moments: When they were.
            values: The further outputs of the recording steps, each [step, ...].
        """
        count = len(moments.steps)
        reductions, arrays = (values[0], values[1:]) if readout.rows else (np.empty((count, 0)), [])
        self._waiting.append((readout, moments, reductions))
        self._rows += count * len(readout.shown)
        if moments.rows is not None:
            self._store.add("rows", {"step": moments.steps, "rows": list(moments.rows)})
            rows = [readout.rows[number] for number in readout.arrays]
            for number in range(count):  # arrays are large: one step after the other
                self._store.add("arrays", _arrays(rows, moments, number, arrays))

    def write_if_due(self) -> None:
        """Write what waits if it is much, or has waited for long."""
        if self._rows >= _ROWS or time.perf_counter() - self._written_at > _SECONDS:
            self._write()

    def _write(self) -> None:
        """Write the numbers that wait, those of many steps at once."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        for _, alike in groupby(waiting, lambda taken: (taken[0].measures, taken[0].labels)):
            taken = list(alike)
            readout = taken[0][0]
            found, moments = _together(taken)
            norms = np.linalg.norm(found.norm[:, readout.gradients], axis=1)
            self._store.add("steps", _steps(moments, norms))
            self._store.add("stats", _columns(readout, moments, found))
        self._written_at = time.perf_counter()

    def close(self) -> None:
        """Write everything; the recording stays readable. What is kept in memory is worked out when it is read."""
        if self.recorder.path is not None:
            self._write()
        self._store.close()
        self.reels.clear()


def _together(taken: list[Taken]) -> tuple[Statistics, Moments]:
    """The statistics of steps whose rows have the same meaning, in the order of the steps."""
    every = [moments for _, moments, _ in taken]
    steps = np.concatenate([moments.steps for moments in every])
    order = np.argsort(steps, kind="stable")  # batches of two sizes may have been taken one size after the other

    def of(name: str) -> np.ndarray:
        return np.concatenate([getattr(moments, name) for moments in every])[order]

    counts = np.repeat([readout.counts for readout, _, _ in taken], [len(m.steps) for m in every], axis=0)
    reductions = np.concatenate([values for _, _, values in taken])
    found = finish(reductions[order], taken[0][0].measures, counts[order])
    return found, Moments(steps[order], of("epochs"), of("losses"), of("rates"))


def _steps(moments: Moments, norms: np.ndarray) -> dict[str, Any]:
    """The columns of the steps."""
    return {
        "step": moments.steps,
        "epoch": moments.epochs,
        "loss": np.float64(moments.losses),
        "learning_rate": np.float64(moments.rates),
        "gradient_norm": norms,
    }


def _columns(readout: Readout, moments: Moments, found: Statistics) -> dict[str, Any]:
    """The columns of the statistics."""
    shown, count = readout.shown, len(moments.steps)
    columns: dict[str, Any] = {
        "step": np.repeat(moments.steps, len(shown)),
        "epoch": np.repeat(moments.epochs, len(shown)),
    }
    columns |= {name: Tiled(values, count) for name, values in readout.labels.items()}
    numbers = {**vars(found), "ratio": np.full((count, len(readout.rows)), np.nan)}
    own, weights = readout.updates
    of = found.norm[:, weights]
    with np.errstate(invalid="ignore"):  # infinity by infinity, where training has diverged
        numbers["ratio"][:, own] = np.divide(found.norm[:, own], of, out=np.full(of.shape, np.nan), where=of != 0)
    return columns | {name: values[:, shown].ravel() for name, values in numbers.items()}


def _arrays(rows: list[Row], moments: Moments, number: int, arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    """The columns of the arrays of one step."""
    little = [np.ascontiguousarray(a[number], a.dtype.newbyteorder("<")) for a in arrays]
    return {
        "step": np.repeat(moments.steps[number], len(rows)),
        "epoch": np.repeat(moments.epochs[number], len(rows)),
        **{name: Tiled(values, 1) for name, values in labels_of(rows).items()},
        "dtype": [a.dtype.str for a in little],
        "shape": [list(row.shape) for row in rows],
        "data": [a.tobytes() for a in little],
    }
