"""What is known of a training whose data are not at hand: its learning curves, and its recording where there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.case import SkipError
from pellucid.train.history import History
from pellucid.train.recording import Recording

#: What a detector that looks at the recording says where there is none.
_UNRECORDED = 'nothing was recorded: fit(..., record="stats")'


@dataclass(frozen=True)
class Series:
    """One number of a layer over the recorded steps.

    Attributes:
        layer, function, name: What it is about: columns of the recording.
        steps, values: The steps, and the number in each.
    """

    layer: str
    function: str
    name: str
    steps: np.ndarray
    values: np.ndarray

    @property
    def late(self) -> float:
        """The median of the last quarter of the steps."""
        return float(np.median(self.values[-max(1, len(self.values) // 4) :]))

    def first_above(self, limit: float) -> int | None:
        """The first step in which it is above a limit."""
        above = np.flatnonzero(self.values > limit)
        return int(self.steps[above[0]]) if len(above) else None


@dataclass(frozen=True, eq=False)
class Record:
    """A fit without its data.

    Attributes:
        history: What the fit has returned; None where only a recording is known.
        recording: Of that fit, or None.
        model: The model as it is now, or None.
    """

    history: History | None
    recording: Recording | None = None
    model: Any = None

    @cached_property
    def losses(self) -> np.ndarray:
        """The training loss of every epoch; without a history that of every recorded batch."""
        return self.batch_losses if self.history is None else self.curve("loss")

    def curve(self, key: str) -> np.ndarray:
        """What the history holds of every epoch."""
        return np.array([] if self.history is None else self.history.history.get(key, []), float)

    @cached_property
    def batch_losses(self) -> np.ndarray:
        """The loss of every recorded batch."""
        if self.recording is None or not self.recording.steps:
            return np.array([])
        return np.array(self.recording.frame("steps", "numpy")["loss"], float)

    @cached_property
    def first_loss(self) -> float:
        """The loss before training: of the first batch, where that was recorded; else of the first epoch."""
        if self.recording is not None and self.recording.steps[:1] == [1]:
            return float(self.batch_losses[0])
        return float(self.losses[0]) if len(self.losses) else math.nan

    @cached_property
    def last_loss(self) -> float:
        """The last training loss; NaN where training ended before the first epoch did."""
        return float(self.losses[-1]) if len(self.losses) else math.nan

    @property
    def progress(self) -> float:
        """The share of the first loss that is gone; NaN where a loss is not finite."""
        if not math.isfinite(self.last_loss) or not self.first_loss > 0:
            return math.nan
        return 1 - self.last_loss / self.first_loss

    @property
    def failed(self) -> bool:
        """Whether a loss became NaN or infinite, or training ended within its first epoch."""
        return not len(self.losses) or not bool(np.isfinite(np.append(self.losses, self.batch_losses)).all())

    @cached_property
    def table(self) -> dict[str, np.ndarray]:
        """The statistics.

        Raises:
            SkipError: Nothing was recorded.
        """
        if self.recording is None or not self.recording.steps:
            raise SkipError(_UNRECORDED)
        return self.recording.frame("stats", "numpy")

    def series(self, quantity: str, column: str) -> list[Series]:
        """A column of a quantity of every layer (and name) that has it, in the order in which they compute.

        Raises:
            SkipError: Nothing was recorded.
        """
        data = self.table
        chosen = data["quantity"] == quantity
        keys = zip(*(data[key][chosen].tolist() for key in ("layer", "function", "name")), strict=True)
        places: dict[tuple[str, str, str], list[int]] = {}
        for row, key in zip(np.flatnonzero(chosen).tolist(), keys, strict=True):
            places.setdefault(key, []).append(row)
        return [Series(*key, data["step"][rows], np.asarray(data[column][rows], float)) for key, rows in places.items()]

    def kernels(self, quantity: str, column: str) -> list[Series]:
        """The same of the kernels alone."""
        return [series for series in self.series(quantity, column) if series.name == "kernel"]

    @cached_property
    def deltas(self) -> list[Series]:
        """The root mean square of the delta of every layer with a kernel that is trained."""
        weighted = {series.layer for series in self.kernels("gradient", "norm")}
        means, spreads = self.series("delta", "mean"), self.series("delta", "std")
        return [
            Series(mean.layer, mean.function, mean.name, mean.steps, np.hypot(mean.values, spread.values))
            for mean, spread in zip(means, spreads, strict=True)
            if mean.layer in weighted and not mean.name
        ]
