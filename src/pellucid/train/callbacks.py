"""Callbacks: what happens beside training, at its start and end, after each epoch and after each batch.

A callback is an object with some of the methods of :class:`Callback`, or a plain function ``f(epoch, logs)`` that is
called after each epoch.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pellucid.errors import ConfigurationError, missing_dependency, unknown_name
from pellucid.train.files import write_atomically
from pellucid.train.history import smaller_is_better

Logs = dict[str, Any]


class Callback:
    """Base of callbacks; every method does nothing until a subclass says otherwise.

    Attributes:
        model: The model in training.
        validation_every: Epochs from one validation to the next; ``logs`` of the others hold no ``val_`` numbers.
    """

    model: Any = None
    validation_every: int = 1
    _weights_then: Callable[[], dict[str, np.ndarray]] | None = None

    def unwatched(self, epoch: int) -> int:
        """How many epochs from ``epoch`` on may be trained before ``on_epoch_end`` is called for each of them.

        Small networks train faster so. The calls then come one after the other, with the logs of their epochs, while
        the model is already at the end of the last one; :meth:`epoch_weights` gives the weights of the epoch that a
        call is about. Training can be stopped by the call for the last of them only. By default 1: nothing is put off.
        """
        return 1

    def epoch_weights(self) -> dict[str, np.ndarray]:
        """In ``on_epoch_end``: the model's weights at the end of that epoch, by name."""
        return self.model.get_weights() if self._weights_then is None else self._weights_then()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also after Ctrl-C."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; ``logs`` holds its losses and metrics."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch, counted from 0; ``logs`` holds the batch's loss."""


class FunctionCallback(Callback):
    """A plain function ``f(epoch, logs)`` as a callback."""

    def __init__(self, function: Callable[[int, Logs], Any]) -> None:
        self._function = function

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Call the function."""
        self._function(epoch, logs or {})


def as_callback(given: Any) -> Callback:
    """The callback, or a plain function as one.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(given, type) and issubclass(given, Callback):
        raise ConfigurationError(f"{given.__name__} is a class; pass an object of it.", hint=f"{given.__name__}(...)")
    if isinstance(given, Callback):
        return given
    if callable(given):
        return FunctionCallback(given)
    raise ConfigurationError(f"A callback must be a Callback or a function f(epoch, logs), not {given!r}.")


def overrides(callbacks: Sequence[Callback], *hooks: str) -> bool:
    """Whether any callback wants to hear of any of these."""
    return any(getattr(type(c), hook) is not getattr(Callback, hook) for c in callbacks for hook in hooks)


def overrides_batch_end(callbacks: Sequence[Callback]) -> bool:
    """Whether any callback wants to hear of every batch."""
    return overrides(callbacks, "on_train_batch_end")


class _Monitor:
    """Whether a logged number got better."""

    def __init__(self, key: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise unknown_name("mode", mode, ("auto", "min", "max"))
        self.key = key
        self._sign = 1.0 if mode == "min" or (mode == "auto" and smaller_is_better(key)) else -1.0
        self._min_delta = abs(min_delta)
        self.reset()

    def reset(self) -> None:
        """Forget the best value."""
        self.best = math.inf

    def value(self, logs: Logs) -> float:
        """The monitored number.

        Raises:
            ConfigurationError: It is not logged.
        """
        if self.key not in logs:
            error = unknown_name("monitored quantity", self.key, logs)
            if self.key.startswith("val_") and not any(k.startswith("val_") for k in logs):
                error.hint = "pass validation_data or validation_split to fit"
            raise error
        return float(logs[self.key])

    def rests(self, epoch: int, logs: Logs, validation_every: int) -> bool:
        """Whether the number is not measured in this epoch, because it is one without validation."""
        return self.key.startswith("val_") and self.key not in logs and (epoch + 1) % validation_every != 0

    def improved(self, logs: Logs) -> bool:
        """Whether the number is better than the best so far, which it then becomes."""
        value = self._sign * self.value(logs)
        if value < self.best - self._min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(Callback):
    """Stops when a quantity no longer improves, and restores the best weights.

    Args:
        monitor: The logged quantity.
        patience: Epochs without improvement before the stop.
        min_delta: Smaller changes do not count as improvement.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by the quantity's name.
        restore_best_weights: Give the model the weights of the best epoch at the end, however training ended.
        start_from_epoch: Epochs before this one are not judged.

    Attributes:
        best_epoch: The epoch whose weights are the best, counted from 0.
        stopped_epoch: The epoch after which training stopped, or None.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        if patience < 0:
            raise ConfigurationError(f"EarlyStopping: patience must be at least 0, not {patience}.")
        self._monitor = _Monitor(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best_weights = restore_best_weights
        self._start = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start over."""
        self._monitor.reset()
        self._waited = 0
        self._best: dict[str, np.ndarray] | None = None
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None

    def unwatched(self, epoch: int) -> int:
        """Until patience may end, at the earliest."""
        if type(self).on_epoch_end is not EarlyStopping.on_epoch_end:
            return 1
        return max(self._start - epoch, 0) + max(self.patience, 1) - self._waited

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judge the epoch."""
        if epoch < self._start or self._monitor.rests(epoch, logs or {}, self.validation_every):
            return
        if self._monitor.improved(logs or {}):
            self.best_epoch, self._waited = epoch, 0
            if self.restore_best_weights:
                self._best = self.epoch_weights()
            return
        self._waited += 1
        if self._waited >= max(self.patience, 1):
            self.stopped_epoch = epoch
            self.model.stop_training = f"early stopping: {self._monitor.key} has not improved for {self._waited} epochs"
            if self._best is not None and self.best_epoch is not None:
                self.model.stop_training += f"; the weights of epoch {self.best_epoch + 1} are restored"

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights."""
        if self._best is not None:
            self.model.set_weights(self._best)
            self._best = None


class Checkpoint(Callback):
    """Saves the model after epochs; each file appears whole or not at all.

    Args:
        path: Where to; ``{epoch}`` in it is replaced by the epoch's number from 1, ``{val_loss:.3f}`` by a log.
        monitor: The quantity that says what is best.
        save_best_only: Only save when it improved.
        every: Save every so many epochs.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        every: int = 1,
        mode: str = "auto",
    ) -> None:
        if every < 1:
            raise ConfigurationError(f"Checkpoint: every must be at least 1, not {every}.")
        self._path = str(path)
        self._monitor = _Monitor(monitor, mode)
        self._best_only = save_best_only
        self._every = every

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start over."""
        self._monitor.reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save where it is time."""
        logs = logs or {}
        if self._best_only and self._monitor.rests(epoch, logs, self.validation_every):
            return
        due = self._monitor.improved(logs) if self._best_only else (epoch + 1) % self._every == 0
        if due:
            numbers = {key: value for key, value in logs.items() if np.ndim(value) == 0}
            try:
                path = self._path.format(epoch=epoch + 1, **numbers)
            except (KeyError, IndexError, ValueError) as error:
                raise ConfigurationError(
                    f"Checkpoint: the path {self._path!r} cannot be filled in: {error}; known are: "
                    f"epoch, {', '.join(numbers)}."
                ) from None
            self.model.save(path)


class CSVLog(Callback):
    """Writes a row per epoch; the file is complete after every epoch.

    A number that was not measured in an epoch leaves its cell empty.

    Args:
        path: The file.
        append: Continue a file of an earlier fit, which must have the same columns.
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self._path = Path(path)
        self._append = append
        self._columns: list[str] = []
        self._rows: list[list[str]] = []
        self._fixed = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Read what is there, or start a new file."""
        lines = self._path.read_text().splitlines() if self._append and self._path.exists() else []
        self._fixed = bool(lines)
        self._columns, *self._rows = [line.split(",") for line in lines] or [["epoch"]]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the epoch."""
        numbers = {key: value for key, value in (logs or {}).items() if np.ndim(value) == 0}
        new = [key for key in numbers if key not in self._columns]
        if self._fixed and (new or self._lacks(epoch, numbers)):
            raise ConfigurationError(
                f"CSVLog: {self._path} has the columns {','.join(self._columns)!r}, "
                f"not {','.join(['epoch', *numbers])!r}."
            )
        self._columns += new
        cells = {"epoch": str(epoch + 1), **{key: repr(float(value)) for key, value in numbers.items()}}
        self._rows.append([cells.get(key, "") for key in self._columns])
        rows = [row + [""] * (len(self._columns) - len(row)) for row in self._rows]
        text = "".join(",".join(row) + "\n" for row in [self._columns, *rows])
        write_atomically(self._path, text.encode())

    def _lacks(self, epoch: int, numbers: Logs) -> bool:
        """Whether a column stays empty in an epoch that should fill it."""
        validated = (epoch + 1) % self.validation_every == 0
        return any(key not in numbers and (validated or key[:4] != "val_") for key in self._columns[1:])


class TensorBoard(Callback):
    """Writes event files for TensorBoard: every logged number, and histograms of the parameters.

    Args:
        folder: Where the event files go.
        histograms: Write histograms every so many epochs; 0 for never.

    Raises:
        MissingDependencyError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, *, histograms: int = 1) -> None:
        try:
            import tensorboardX
        except ImportError:
            raise missing_dependency("tensorboardX", "The TensorBoard callback", "tensorboard") from None
        self._make = lambda: tensorboardX.SummaryWriter(str(folder))
        self._writer: Any = None
        self._histograms = histograms

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the event file."""
        self._writer = self._make()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch: training and validation curves of a quantity share a chart."""
        for key, value in (logs or {}).items():
            if np.ndim(value) == 0:
                tag = f"{key[4:]}/validation" if key.startswith("val_") else f"{key}/train"
                self._writer.add_scalar(tag, float(value), epoch + 1)
        self._writer.add_scalar("learning_rate", self.model.optimizer.current_learning_rate(), epoch + 1)
        if self._histograms and (epoch + 1) % self._histograms == 0:
            for name, values in self.model.get_weights().items():
                self._writer.add_histogram(name.replace(".", "/"), values, epoch + 1)
        self._writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()


class LearningRateSchedule(Callback):
    """Sets the learning rate before each epoch.

    Args:
        function: ``f(epoch, learning_rate)`` or ``f(epoch)`` gives the new rate.
    """

    def __init__(self, function: Callable[..., float]) -> None:
        self._function = function
        self._takes_rate = len(inspect.signature(function).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate."""
        optimizer = self.model.optimizer
        present = (optimizer.current_learning_rate(),) if self._takes_rate else ()
        rate = float(self._function(epoch, *present))
        if not (rate >= 0 and math.isfinite(rate)):
            raise ConfigurationError(f"LearningRateSchedule: the rate of epoch {epoch} is {rate}.")
        optimizer.learning_rate = rate


class ReduceOnPlateau(Callback):
    """Multiplies the learning rate when a quantity stops improving.

    Args:
        monitor: The logged quantity.
        factor: What the rate is multiplied by.
        patience: Epochs without improvement before that.
        min_delta: Smaller changes do not count as improvement.
        cooldown: Epochs after a reduction in which nothing is judged.
        min_learning_rate: The rate does not fall below this.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        *,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_learning_rate: float = 0.0,
        mode: str = "auto",
    ) -> None:
        if not 0 < factor < 1:
            raise ConfigurationError(f"ReduceOnPlateau: factor must lie between 0 and 1, not {factor}.")
        self._monitor = _Monitor(monitor, mode, min_delta)
        self._factor, self._patience, self._cooldown = factor, patience, cooldown
        self._floor = min_learning_rate

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start over."""
        self._monitor.reset()
        self._waited = self._resting = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judge the epoch."""
        if self._monitor.rests(epoch, logs or {}, self.validation_every):
            return
        improved = self._monitor.improved(logs or {})
        if self._resting:
            self._resting -= 1
            self._waited = 0
            return
        self._waited = 0 if improved else self._waited + 1
        if self._waited >= self._patience:
            optimizer = self.model.optimizer
            optimizer.learning_rate = max(optimizer.current_learning_rate() * self._factor, self._floor)
            self._waited, self._resting = 0, self._cooldown


class BatchReport(Callback):
    """Prints "epoch-batch > Loss, Accuracy" during training.

    Args:
        data: (x, y) to evaluate on.
        every: Report every so many batches.
        file: Where to print.
    """

    def __init__(self, data: tuple[Any, Any], *, every: int = 60, file: TextIO | None = None) -> None:
        self._data = data
        self._every = every
        self._file = file
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Evaluate and print."""
        if batch % self._every:
            return
        found = self.model.evaluate(*self._data, verbose=0, return_dict=True)
        parts = [f"Loss: {found['loss']:.8f}"]
        if "accuracy" in found:
            parts.append(f"Accuracy: {found['accuracy']:.2%}")
        print(f"{self._epoch}-{batch} > {', '.join(parts)}", file=self._file or sys.stdout)
