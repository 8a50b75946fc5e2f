"""What fit shows while it runs: a bar in a terminal, a widget in a notebook, lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pellucid import config
from pellucid.errors import ConfigurationError, unknown_name

# A display that is redrawn more often costs more than the batches of a small network.
_INTERVAL = 0.1


class Display(ABC):
    """Shows the progress of a fit."""

    #: Seconds between updates within an epoch; None where only whole epochs are shown.
    interval: float | None = _INTERVAL

    @abstractmethod
    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """An epoch begins."""

    @abstractmethod
    def update(self, step: int, logs: dict[str, Any]) -> None:
        """Some batches are done."""

    @abstractmethod
    def end(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """An epoch is over."""

    @abstractmethod
    def close(self, message: str | None = None) -> None:
        """Training is over; ``message`` says why, where that is not the last epoch."""


class Silent(Display):
    """Shows nothing."""

    interval = None

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Nothing."""

    def update(self, step: int, logs: dict[str, Any]) -> None:
        """Nothing."""

    def end(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """Nothing."""

    def close(self, message: str | None = None) -> None:
        """Nothing."""


class Lines(Silent):
    """Prints one line per epoch."""

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Remember the number of epochs."""
        self._epochs = epochs

    def end(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """Print the epoch."""
        width = len(str(self._epochs))
        print(f"epoch {epoch + 1:>{width}}/{self._epochs}  {written(logs)}  {_duration(seconds)}", flush=True)

    def close(self, message: str | None = None) -> None:
        """Say why training ended early."""
        if message:
            print(message, flush=True)


class Bar(Display):
    """A bar for the epoch in progress, with a line left behind for each that is over."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[logs]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: Any = None

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Start the epoch's bar."""
        self._epochs = epochs
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task("", total=steps, logs="")
        self._progress.reset(self._task, total=steps, description=f"epoch {epoch + 1}/{epochs}", logs="")

    def update(self, step: int, logs: dict[str, Any]) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=step, logs=written(logs))

    def end(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """Leave the epoch's line behind."""
        width = len(str(self._epochs))
        line = f"epoch {epoch + 1:>{width}}/{self._epochs}  {written(logs)}  {_duration(seconds)}"
        self._console.print(line, highlight=False, soft_wrap=True)

    def close(self, message: str | None = None) -> None:
        """Remove the bar."""
        self._progress.stop()
        if message:
            self._console.print(message, highlight=False)


class Notebook(Display):
    """tqdm's bar over epochs, a widget where the notebook has widgets."""

    def __init__(self) -> None:
        self._bar: Any = None

    def begin(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Start the bar with the first epoch."""
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=epochs, initial=epoch, unit="epoch")

    def update(self, step: int, logs: dict[str, Any]) -> None:
        """Show the numbers so far."""
        self._bar.set_postfix_str(written(logs))

    def end(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """Move the bar by an epoch."""
        self._bar.set_postfix_str(written(logs))
        self._bar.update(1)

    def close(self, message: str | None = None) -> None:
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()
        if message:
            print(message)


def written(logs: dict[str, Any]) -> str:
    """The numbers of an epoch on one line.

    >>> written({"loss": 0.12345, "accuracy": 0.98, "val_loss": 1234.5})
    'loss 0.1235  accuracy 0.9800  val_loss 1.234e+03'
    """
    parts = []
    for key, value in logs.items():
        if np.ndim(value) == 0:
            plain = value == 0 or 1e-3 <= abs(value) < 1e3
            parts.append(f"{key} {value:.4f}" if plain else f"{key} {value:.3e}")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def display(verbose: str | int) -> Display:
    """The display for ``verbose``: 0 nothing, 1 a bar, 2 lines, "auto" what suits the place of output.

    Raises:
        ConfigurationError: The value is none of these.
    """
    mode: Any = verbose
    mode = {0: "off", 1: "bar", 2: "lines"}.get(mode, mode)  # True and False are 1 and 0
    if mode == "auto":
        mode = config.PROGRESS.read()
        if mode not in ("auto", "bar", "lines", "off"):
            raise unknown_name(f"value of {config.PROGRESS.variable}", mode, ("auto", "bar", "lines", "off"))
    if mode == "auto":
        mode = "notebook" if _in_notebook() else "bar" if sys.stdout.isatty() else "lines"
    kinds: dict[Any, type[Display]] = {"off": Silent, "bar": Bar, "lines": Lines, "notebook": Notebook}
    if mode not in kinds:
        raise ConfigurationError(f"verbose must be 'auto', 0 (nothing), 1 (bar) or 2 (lines), not {verbose!r}.")
    return kinds[mode]()


class Throttle:
    """Lets a display update only so often."""

    def __init__(self, interval: float | None) -> None:
        self._interval = interval
        self._next = 0.0

    def due(self) -> bool:
        """Whether enough time has passed since the last update."""
        if self._interval is None:
            return False
        now = time.perf_counter()
        if now < self._next:
            return False
        self._next = now + self._interval
        return True
