"""The history of a fit: every number of every epoch, as lists, a CSV file or a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.train.files import write_atomically
from pellucid.train.palette import COLOURS, MARKERS
from pellucid.train.recording.frames import Recording


class History:
    """What ``fit`` returns.

    Attributes:
        history: Key (``"loss"``, ``"val_accuracy"``) -> one number per epoch; NaN where it was not measured.
        epochs: The epochs' numbers, from ``initial_epoch`` on.
        seconds: How long each epoch took.
        interrupted: Whether Ctrl-C ended the fit.
        stopped_by: What ended the fit early, or None.
        recording: What ``fit(record=...)`` recorded, or None.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epochs: list[int] = []
        self.seconds: list[float] = []
        self.interrupted = False
        self.stopped_by: str | None = None
        self.recording: Recording | None = None

    def append(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """Add the logs of one epoch."""
        self.epochs.append(epoch)
        self.seconds.append(seconds)
        for key in {**self.history, **logs}:
            values = self.history.setdefault(key, [math.nan] * (len(self.epochs) - 1))
            values.append(logs.get(key, math.nan))

    def extend(self, epochs: Sequence[int], logs: dict[str, list[Any]], seconds: float) -> None:
        """Add the logs of several epochs, each of which took so long; NaN where something was not measured."""
        before = len(self.epochs)
        self.epochs += epochs
        self.seconds += [seconds] * len(epochs)
        for key in {**self.history, **logs}:
            values = self.history.setdefault(key, [math.nan] * before)
            values += logs.get(key) or [math.nan] * len(epochs)

    def __getitem__(self, key: str) -> list[Any]:
        if key not in self.history:
            raise unknown_name("history key", key, self.history)
        return self.history[key]

    def __len__(self) -> int:
        return len(self.epochs)

    def best(self, key: str = "val_loss") -> int:
        """The epoch with the best value: the smallest of a loss or error, the largest of anything else.

        Raises:
            ConfigurationError: There is no history of the key, or it holds no number.
        """
        values = np.asarray(self[key], dtype=float)
        if np.isnan(values).all():
            raise ConfigurationError(f"The history of {key!r} holds no number: there is no best epoch.")
        return self.epochs[int(np.nanargmin(values) if smaller_is_better(key) else np.nanargmax(values))]

    def to_csv(self, path: str | Path) -> None:
        """Write one row per epoch; the file appears whole or not at all."""
        write_atomically(Path(path), self.csv_text().encode())

    def csv_text(self) -> str:
        """The table as text; metrics that are arrays are left out."""
        keys = [key for key, values in self.history.items() if _are_numbers(values)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *keys, "seconds"])
        for row, epoch in enumerate(self.epochs):
            values = [repr(float(self.history[key][row])) for key in keys]
            writer.writerow([epoch + 1, *values, f"{self.seconds[row]:.4f}"])
        return text.getvalue()

    def plot(self, keys: str | Sequence[str] | None = None, ax: Any = None) -> Any:
        """Learning curves: training as a line, validation dashed with hollow markers, the best epoch as a star.

        Args:
            keys: Which curves; by default the loss.
            ax: The Matplotlib axes to draw on; new ones by default.

        Returns:
            The axes.
        """
        if ax is None:
            from matplotlib.figure import Figure  # no global figure manager: nothing leaks, no display is needed

            ax = Figure(figsize=(6, 4), layout="constrained").add_subplot()
        keys = [keys] if isinstance(keys, str) else keys
        x = np.asarray(self.epochs) + 1
        every = 1 if len(x) < 30 else len(x) // 8
        for number, key in enumerate(keys or ["loss"]):
            style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
            ax.plot(x, self[key], label=_spoken(key), markersize=5, markevery=every, **style)
            if f"val_{key}" in self.history:
                self._plot_validation(ax, x, f"val_{key}", {**style, "markevery": every})
        ax.set_xlabel("epoch")
        ax.set_ylabel(", ".join(_spoken(key) for key in keys or ["loss"]))
        if len(x) > 1:
            ax.set_xlim(x[0] - 0.02 * (x[-1] - x[0]), x[-1] + 0.02 * (x[-1] - x[0]))
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.grid(alpha=0.3)
        ax.legend()
        return ax

    def _plot_validation(self, ax: Any, x: np.ndarray, key: str, style: dict[str, Any]) -> None:
        values = np.asarray(self[key], dtype=float)
        measured = ~np.isnan(values)
        label = f"validation {_spoken(key[4:])}"
        ax.plot(x[measured], values[measured], "--", label=label, markersize=5, fillstyle="none", **style)
        if measured.any():
            best = self.best(key) + 1
            star = {"marker": "*", "markersize": 13, "markeredgecolor": "white", "color": style["color"]}
            ax.plot([best], [values[list(x).index(best)]], linestyle="none", label=f"best: epoch {best}", **star)

    def save_plot(self, path: str | Path) -> None:
        """A picture with one panel for the loss and one for each metric; the format follows the file's ending."""
        from matplotlib.figure import Figure

        keys = [k for k, v in self.history.items() if not k.startswith("val_") and _are_numbers(v)]
        if not keys:
            raise ConfigurationError("The history is empty: there is nothing to plot.")
        columns = min(len(keys), 3)
        rows = -(-len(keys) // columns)
        figure = Figure(figsize=(5 * columns, 3.8 * rows), layout="constrained")
        for number, key in enumerate(keys):
            self.plot([key], figure.add_subplot(rows, columns, number + 1))
        data = io.BytesIO()
        figure.savefig(data, format=Path(path).suffix.lstrip(".") or "png", dpi=120)
        write_atomically(Path(path), data.getvalue())

    def __repr__(self) -> str:
        last = {k: v[-1] for k, v in self.history.items() if np.ndim(v[-1]) == 0}
        shown = ", ".join(f"{key} {value:.4g}" for key, value in last.items())
        return f"History({len(self)} epochs{': ' + shown if shown else ''})"


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(np.ndim(value) == 0 for value in values)


def _spoken(key: str) -> str:
    return key.replace("_", " ")


_SMALLER_IS_BETTER = ("loss", "mse", "mae", "error")
_LARGER_IS_BETTER = ("accuracy", "precision", "recall", "f1", "auc", "r2")


def smaller_is_better(key: str) -> bool:
    """Whether progress in the quantity means smaller numbers."""
    # The end of the key decides first: an output may be called "recall", and its loss "recall_loss".
    return key.endswith(_SMALLER_IS_BETTER) or not any(word in key for word in _LARGER_IS_BETTER)
