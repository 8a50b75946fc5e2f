"""The run under examination: what is known of it, and what is computed once when a detector asks."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import data
from pellucid.analysis.diagnosis.probe import Probe, probe
from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.range_test import LearningRateRange, learning_rate_range
from pellucid.data import Dataset
from pellucid.errors import ConfigurationError, DataError, FileFormatError
from pellucid.nn.losses import BinaryCrossentropy, CategoricalCrossentropy, MeanAbsoluteError, MeanSquaredError
from pellucid.train import run_folder
from pellucid.train.history import History
from pellucid.train.recording import Recording
from pellucid.train.run_folder import RunRecord

#: The share of the training data that the command line sets apart.
_VALIDATION = 0.1
#: The most samples on which a loss is evaluated for a finding.
_JUDGED = 2000


@dataclass(eq=False)
class Case:
    """A run: its model, the arguments of its fit, its history, and its recording where there is one."""

    setup: Setup
    history: History | None
    recording: Recording | None = None
    test: tuple[Any, Any] | None = None
    feature_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    trained: bool = field(init=False)

    def __post_init__(self) -> None:
        self.trained = self.history is not None

    @property
    def model(self) -> Any:
        """The model as it is now."""
        return self.setup.model

    @property
    def losses(self) -> np.ndarray:
        """The training loss of every epoch."""
        return np.array([] if self.history is None else self.history.history.get("loss", []), float)

    @cached_property
    def now(self) -> Probe:
        """One step of the model as it is now."""
        return probe(self.model, self.setup.x, self.setup.y, self.setup.seed)

    @cached_property
    def start(self) -> Probe:
        """One step of a copy with weights freshly drawn."""
        return probe(self.setup.fresh(), self.setup.x, self.setup.y, self.setup.seed)

    @cached_property
    def first_loss(self) -> float:
        """The training loss of a copy with weights freshly drawn."""
        return self.evaluated(self.setup.fresh(), self.setup.x, self.setup.y)

    @cached_property
    def last_loss(self) -> float:
        """The training loss of the model as it is now."""
        return self.evaluated(self.model, self.setup.x, self.setup.y)

    def evaluated(self, model: Any, x: Any, y: Any) -> float:
        """The loss on (some of) the samples."""
        if self.setup.single and len(y) > _JUDGED:
            rows = np.linspace(0, len(y) - 1, _JUDGED).astype(int)
            x, y = x[rows], y[rows]
        return float(model.evaluate(x, y, return_dict=True)["loss"])

    @property
    def progress(self) -> float:
        """The share of the first training loss that is gone; NaN where the loss is not finite.

        A loss that is absurdly large with fresh weights counts no more than four times that of a constant output: the
        way down to what guessing gives is no success.
        """
        first = min(self.first_loss, 4 * self.constant_loss)
        if not math.isfinite(self.last_loss) or not first > 0:
            return math.nan
        return 1 - self.last_loss / first

    @cached_property
    def constant_loss(self) -> float:
        """The smallest training loss of one output for all samples; infinity where that is not known."""
        loss, labels = self.model.objective.losses[0], self.setup.labels
        if labels is not None and isinstance(loss, (CategoricalCrossentropy, BinaryCrossentropy)):
            shares = np.unique(labels, return_counts=True)[1] / len(labels)
            return float(-(shares * np.log(shares)).sum()) or math.inf
        if self.setup.is_regression and isinstance(loss, (MeanSquaredError, MeanAbsoluteError)):
            y = np.asarray(self.setup.y, float).reshape(self.setup.count, -1)
            if isinstance(loss, MeanSquaredError):
                return float(y.var(axis=0).mean()) or math.inf
            return float(np.abs(y - np.median(y, axis=0)).mean()) or math.inf
        return math.inf

    @property
    def diverged(self) -> bool:
        """Whether training ended with a loss that is not finite, or far above that with fresh weights."""
        if not self.trained or not math.isfinite(self.first_loss):
            return False
        return self.failed or not self.last_loss <= 2 * self.first_loss

    @property
    def failed(self) -> bool:
        """Whether training ended by NaN or infinity in its first epoch, or a loss in the history is so."""
        return self.trained and (not len(self.losses) or not bool(np.isfinite(self.losses).all()))

    @cached_property
    def range(self) -> LearningRateRange:
        """A range test from fresh weights; one of far smaller rates where the loss falls at none of the usual ones."""
        setup = self.setup

        def test(low: float, high: float) -> LearningRateRange:
            size = setup.batch_size or setup.count
            return learning_rate_range(
                setup.fresh(), setup.x, setup.y, low=low, high=high, batch_size=size, seed=setup.seed
            )

        try:
            found = test(1e-6, 10.0)
        except ConfigurationError:  # the loss is not finite at the smallest rate already
            return test(1e-14, 1e-4)
        # Losses of large numbers have gradients that are larger still.
        return test(1e-14, 1e-4) if found.diverged and not found.learns and found.limit < 1e-3 else found

    @property
    def rate(self) -> float:
        """The largest learning rate of the run."""
        optimizer = self.model.optimizer.copy()
        return float(optimizer.learning_rates(max(1, min(self.model.optimizer.iterations, 100_000))).max())

    @property
    def flat(self) -> np.ndarray | None:
        """The training samples as rows of numbers; None where the model takes several inputs, or whole numbers."""
        if len(self.model.inputs) != 1 or self.model.input_dtypes[0].kind != "f":
            return None
        x = np.asarray(self.setup.x)
        return x.reshape(len(x), -1)

    @property
    def is_table(self) -> bool:
        """Whether a sample is a row of features."""
        return len(self.model.inputs) == 1 and len(self.model.inputs[0].sample_shape) == 1

    def feature(self, number: int) -> str:
        """What a feature is called."""
        return repr(self.feature_names[number]) if self.feature_names else f"number {number}"

    def class_name(self, number: int) -> str:
        """What a class is called."""
        return repr(self.class_names[number]) if 0 <= number < len(self.class_names) else str(number)

    def first_step(self, layer: str, quantity: str, column: str, limit: float, part: str = "") -> int | None:
        """The first recorded update in which a column of a layer (or a part of it) is above a limit, if there is one.

        None without a recording.
        """
        if self.recording is None:
            return None
        frame = self.recording.frame("stats", to="numpy")
        values = np.asarray(frame[column], float)
        rows = (np.asarray(frame["layer"]) == layer) & (np.asarray(frame["quantity"]) == quantity) & (values > limit)
        rows &= np.array([part_of(name) == part for name in frame["name"].tolist()], bool)
        return int(np.asarray(frame["step"])[rows].min()) if rows.any() else None


def part_of(name: str) -> str:
    """Which part of a recurrent layer a row of a recording is about, from its name; "" for the layer itself.

    >>> part_of("forget gate 2"), part_of("2"), part_of("")
    ('forget gate', '', '')
    """
    return name.rstrip("0123456789 ")


class SkipError(Exception):
    """A detector cannot look: the reason, as the end of a sentence."""


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What a folder of ``pellucid train`` holds, with the data that it was trained on."""

    path: Path
    case: Case
    record: RunRecord
    dataset: Dataset


def open_run(path: str | Path, source: str | None = None) -> RunFolder:
    """Read a run folder and its data.

    Args:
        path: The folder.
        source: The data set's name or the path of its .csv file, where it is not where it was.

    Raises:
        FileFormatError: The folder is not that of a complete run.
        DataError: The data cannot be read.
    """
    model, record = run_folder.read(path)
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    settings = record.settings
    where = source or record.data
    is_table = where.lower().endswith((".csv", ".tsv", ".txt"))
    if is_table:
        target = record.schema.target.name if record.schema else settings.get("target")
        examples = data.load(where, target=target, task=record.task)
        _check_columns(where, examples, record)
    else:
        examples = data.load(where)
    history, recording = kept_of(folder, record)
    same = all(np.array_equal(a, b) for a, b in zip(examples.train, examples.test, strict=True))
    setup = Setup.of(
        model,
        *examples.train,
        validation_split=0.0 if same or "val_loss" not in history.history else _VALIDATION,
        batch_size=settings.get("batch_size") or 32,
        epochs=max(1, len(history)),
        seed=int(settings.get("seed") or 0),
    )
    test = None if same else examples.test
    names, classes = examples.feature_names, record.target_names or examples.target_names
    return RunFolder(folder, Case(setup, history, recording, test, names, classes), record, examples)


def kept_of(folder: Path, record: RunRecord) -> tuple[History, Recording | None]:
    """The history of a run folder, and its recording where there is one."""
    history = read_history(folder / run_folder.HISTORY)
    history.stopped_by = record.settings.get("stopped_by")
    recorded = folder / run_folder.RECORDING
    return history, Recording.load(recorded) if recorded.is_dir() else None


def _check_columns(where: str, examples: Dataset, record: RunRecord) -> None:
    """Refuse a table that is encoded in another way than the one that was learned."""
    known = record.schema.feature_names if record.schema else ()
    if (examples.feature_names, examples.target_names) != (known, record.target_names):
        raise DataError(
            f"{where} gives {len(examples.feature_names)} features and {len(examples.target_names)} classes "
            f"({', '.join(examples.feature_names[:4])}, ...), but the run was trained on {len(known)} and "
            f"{len(record.target_names)} ({', '.join(known[:4])}, ...).",
            hint="pass the table that the run was trained on",
        )


def read_history(path: Path) -> History:
    """The history of a ``history.csv``; an empty one where there is none.

    Raises:
        FileFormatError: The file is damaged.
    """
    history = History()
    if not path.exists():
        return history
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                numbers = {key: float(value) for key, value in row.items()}
                epoch, seconds = int(numbers.pop("epoch")), numbers.pop("seconds")
                history.append(epoch - 1, numbers, seconds)
    except (ValueError, KeyError, TypeError):
        raise FileFormatError(f"{path} is damaged: it is not the history of a run.") from None
    return history
