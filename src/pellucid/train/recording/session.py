"""The recording of one fit: which steps are recorded, and what becomes of the numbers that they give."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.train.recording.frames import Recording
from pellucid.train.recording.probe import Readout, Row
from pellucid.train.recording.recorder import Recorder
from pellucid.train.recording.statistics import Statistics, finish
from pellucid.train.recording.store import COLUMNS, GrowingStore, MemoryStore, Store

#: Rows wait for so many others, or for so many seconds, until they are written.
_ROWS, _SECONDS = 2048, 1.0


@dataclass(frozen=True)
class Moment:
    """When a step was made: its number and epoch from 1, the batch's rows, its loss and learning rate."""

    step: int
    epoch: int
    rows: np.ndarray
    loss: float
    learning_rate: float


class Session:
    """The recording of a fit.

    Args:
        recorder: What to record.
        first: The number of the first step.
        count: How many steps there will be, where that is known.

    Attributes:
        recorder: What is recorded.
        epoch: The epoch that goes on, from 1.
        recording: What was recorded so far.
    """

    def __init__(self, recorder: Recorder, first: int, count: int | None) -> None:
        self.recorder = recorder
        self.epoch = 1
        self._timetable = recorder.timetable(first, count)
        path, level = recorder.path, recorder.level
        self._store: Store = MemoryStore(level) if path is None else GrowingStore(Path(path), level)
        self.recording = Recording(self._store, self._write)
        self._waiting: dict[str, dict[str, list[Any]]] = {}
        self._written_at = time.perf_counter()

    def steps_until_next(self, step: int) -> int:
        """How many steps from number ``step`` on are not recorded; very many where none follows."""
        found = self._timetable.next(step)
        return sys.maxsize if found is None else found - step

    def take(self, readout: Readout, moment: Moment, values: Sequence[np.ndarray]) -> None:
        """Keep the numbers of a step.

        Args:
            readout: What they mean.
            moment: When they were.
            values: The further outputs of the recording step.
        """
        sizes = np.array([math.prod(row.shape) for row in readout.rows], np.float64)
        reductions, arrays = (values[0], values[1:]) if readout.rows else (np.empty(0), [])
        found = finish(reductions, readout.measures, sizes)
        self._take_step(moment, found.norm[[row.quantity == "gradient" for row in readout.rows]])
        shown = [number for number, row in enumerate(readout.rows) if row.shown]
        self._extend("stats", _columns(readout, moment, found, shown))
        if self.recorder.level == "full":
            self._store.add("rows", {"step": [moment.step], "rows": [moment.rows.tolist()]})
            rows = [readout.rows[number] for number in readout.arrays]
            self._store.add("arrays", _arrays(rows, moment, arrays))
        late = time.perf_counter() - self._written_at > _SECONDS
        if late or len(self._waiting["stats"]["step"]) >= _ROWS:
            self._write()

    def _take_step(self, moment: Moment, norms: np.ndarray) -> None:
        row = (moment.step, moment.epoch, moment.loss, moment.learning_rate, float(np.linalg.norm(norms)))
        self._extend("steps", {name: [value] for (name, _), value in zip(COLUMNS["steps"], row, strict=True)})

    def _extend(self, table: str, columns: dict[str, list[Any]]) -> None:
        waiting = self._waiting.setdefault(table, {name: [] for name, _ in COLUMNS[table]})
        for name, values in columns.items():
            waiting[name] += values

    def _write(self) -> None:
        """Write the rows that wait."""
        waiting, self._waiting = self._waiting, {}
        for table, columns in waiting.items():
            self._store.add(table, columns)
        self._written_at = time.perf_counter()

    def close(self) -> None:
        """Write everything; the recording stays readable."""
        self._write()
        self._store.close()


def _columns(readout: Readout, moment: Moment, found: Statistics, shown: list[int]) -> dict[str, list[Any]]:
    """The columns of the statistics."""
    rows = [readout.rows[number] for number in shown]
    columns = _about(rows, moment)
    for name in ("mean", "std", "min", "max", "zeros", "norm"):
        columns[name] = getattr(found, name)[shown].tolist()
    ended = [readout.measures[number].end is not None for number in shown]
    for name in ("saturated", "dead"):
        values = getattr(found, name)[shown].tolist()
        columns[name] = [value if has else None for value, has in zip(values, ended, strict=True)]
    weights = {
        (row.layer, row.name): norm for row, norm in zip(rows, columns["norm"], strict=True) if row.quantity == "weight"
    }
    columns["ratio"] = [
        norm / weights[row.layer, row.name] if row.quantity == "update" and weights[row.layer, row.name] else None
        for row, norm in zip(rows, columns["norm"], strict=True)
    ]
    return columns


def _arrays(rows: list[Row], moment: Moment, arrays: Sequence[np.ndarray]) -> dict[str, list[Any]]:
    columns = _about(rows, moment)
    little = [np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for a in arrays]
    columns["dtype"] = [a.dtype.str for a in little]
    columns["shape"] = [list(row.shape) for row in rows]
    columns["data"] = [a.tobytes() for a in little]
    return columns


def _about(rows: list[Row], moment: Moment) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"step": [moment.step] * len(rows), "epoch": [moment.epoch] * len(rows)}
    for name in ("layer", "kind", "function", "quantity", "name"):
        columns[name] = [getattr(row, name) for row in rows]
    return columns
