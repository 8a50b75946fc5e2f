"""A recording, read back as tables and arrays."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, missing_dependency, unknown_name
from pellucid.train.recording.store import FolderStore, Store

_FORMS = ("arrow", "numpy", "pandas", "polars")
_FRAMES = ("steps", "stats")
#: The columns that the summary shows.
_SUMMED = ("mean", "std", "zeros", "saturated", "norm", "ratio")
# Which layers have nothing of what was asked for.
_WITHOUT = {
    "preactivation": "of a Dense layer or a convolution there is one, unless its activation is linear",
    "delta": "layers before the first parameter that was trained have none",
    "weight": "layers without parameters have none",
    "gradient": "layers that are frozen, and those without parameters, have none",
}


def _nothing() -> None:
    """What was read from files has nothing that waits to be written."""


class Recording:
    """What ``fit(record=...)`` has recorded; ``history.recording``, or ``Recording.load`` of its folder.

    Attributes:
        level: ``"stats"`` or ``"full"``.

    >>> import numpy as np
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(3, activation="relu", name="hidden"), Dense(1, name="out")])
    >>> model.compile("mse", "sgd")
    >>> recording = model.fit(np.eye(2), [0, 1], epochs=20, record="stats", every=10, verbose=0).recording
    >>> recording.layers, recording.steps
    (['hidden', 'out'], [1, 11, 20])
    >>> recording.frame("stats").num_rows
    51
    """

    def __init__(self, store: Store, before_reading: Callable[[], None] = _nothing) -> None:
        self._store, self._before_reading = store, before_reading
        self.level = store.level

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """The recording of a folder; one that a crash has ended too, with all that was written before.

        Raises:
            FileFormatError: The folder is not that of a recording.
        """
        return cls(FolderStore(Path(path)))

    def frame(self, name: str = "stats", to: str = "arrow") -> Any:
        """A table of the recording: ``"stats"``, a row per step, layer and quantity; or ``"steps"``, a row per step.

        The columns are listed in :mod:`pellucid.train.recording`.

        Args:
            name: Which table.
            to: ``"arrow"`` (``pyarrow.Table``), ``"pandas"``, ``"polars"``, or ``"numpy"`` (a dict of columns).

        Raises:
            ConfigurationError: The table or form is unknown.
            MissingDependencyError: pandas or polars is not installed.
        """
        if name not in _FRAMES:
            raise unknown_name("table of a recording", name, _FRAMES)
        if to not in _FORMS:
            raise unknown_name("form of a table", to, _FORMS)
        return _converted(self._table(name), to)

    def _table(self, name: str) -> Any:
        self._before_reading()
        return self._store.read(name)

    @property
    def steps(self) -> list[int]:
        """The numbers of the recorded steps."""
        return self._table("steps")["step"].to_pylist()

    @property
    def layers(self) -> list[str]:
        """The recorded layers, in the order in which they compute."""
        return self._table("stats")["layer"].unique().to_pylist()

    def series(self, layer: str, quantity: str, column: str = "norm", name: str = "") -> tuple[np.ndarray, np.ndarray]:
        """One number over time: the recorded steps, and the column's values there.

        Raises:
            ConfigurationError: There is no such layer, quantity, name or column.

        >>> import numpy as np
        >>> from pellucid import Input, Sequential
        >>> from pellucid.nn import Dense
        >>> model = Sequential([Input((2,)), Dense(1, use_bias=False, kernel_initializer="ones")])
        >>> model.compile("mse", "sgd")
        >>> recording = model.fit(np.eye(2), [0, 1], record="stats", verbose=0).recording
        >>> recording.series("dense", "weight", "mean", "kernel")
        (array([1]), array([1.]))
        """
        data = self.frame("stats", "numpy")
        if column not in data:
            raise unknown_name("column of the statistics", column, data)
        chosen = np.ones(len(data["step"]), bool)
        for key, value in (("layer", layer), ("quantity", quantity), ("name", name)):
            known = list(dict.fromkeys(data[key][chosen].tolist()))
            if value not in known:
                raise unknown_name(f"{key} of the recording", value, known)
            chosen &= data[key] == value
        return data["step"][chosen], data[column][chosen]

    # The arrays of level "full".

    def activations(self, step: int, layer: str, name: str = "") -> np.ndarray:
        """a, the output of a layer [batch, ...] in a step.

        Args:
            step: The step's number.
            layer: The layer.
            name: ``"2"``, ``"3"`` ... for the further calls of a shared layer, and further outputs; or the part of a
                recurrent layer, ``"forget gate"``.

        Raises:
            ConfigurationError: The level is not ``"full"``, or the step, layer or call was not recorded.
        """
        return self._one(step, layer, "activation", name)

    def preactivations(self, step: int, layer: str, name: str = "") -> np.ndarray:
        """z, what a layer's activation function was applied to in a step [batch, ...]; arguments as above."""
        return self._one(step, layer, "preactivation", name)

    def deltas(self, step: int, layer: str, name: str = "") -> np.ndarray:
        """dL/dz of a layer that has a z, else dL/da [batch, ...]; arguments as above."""
        return self._one(step, layer, "delta", name)

    def gradients(self, step: int, layer: str) -> dict[str, np.ndarray]:
        """dL/dw of each trained parameter of a layer, by the parameter's name."""
        return self._arrays(step, layer, "gradient")

    def weights(self, step: int, layer: str) -> dict[str, np.ndarray]:
        """Each parameter of a layer before the update, by name."""
        return self._arrays(step, layer, "weight")

    def rows(self, step: int) -> np.ndarray:
        """Which rows of the data the batch of a step held; with a generator, they are numbered within the batch."""
        self._need_full()
        table = self._table("rows")
        known = table["step"].to_pylist()
        if step not in known:
            raise self._unknown_step(step, known)
        return np.asarray(table["rows"][known.index(step)].as_py(), np.int64)

    def _one(self, step: int, layer: str, quantity: str, name: str) -> np.ndarray:
        found = self._arrays(step, layer, quantity)
        if name not in found:
            raise unknown_name(f"call of layer {layer!r} in the recording", name, found)
        return found[name]

    def _arrays(self, step: int, layer: str, quantity: str) -> dict[str, np.ndarray]:
        import pyarrow.compute as pc

        self._need_full()
        table = self._table("arrays")
        for key, value in (("step", step), ("layer", layer), ("quantity", quantity)):
            known = table[key].unique().to_pylist()
            if value not in known:
                raise self._missing(key, (step, layer, quantity), known)
            table = table.filter(pc.field(key) == value)
        found = {}
        for row in range(table.num_rows):
            name, dtype, shape = (table[key][row].as_py() for key in ("name", "dtype", "shape"))
            values = np.frombuffer(table["data"][row].as_buffer(), dtype)
            found[name] = values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=False)
        return found

    def _need_full(self) -> None:
        if self.level != "full":
            raise ConfigurationError(
                f'The recording holds statistics only (level "{self.level}"), no arrays.',
                hint='record them: fit(..., record="full")',
            )

    def _missing(self, key: str, place: tuple[int, str, str], known: list[Any]) -> ConfigurationError:
        """Why there are no arrays of a step, layer and quantity: which of the three the recording does not have."""
        step, layer, quantity = place
        if key == "step":
            return self._unknown_step(step, known)
        if key == "layer":
            return unknown_name("layer of the recording", layer, known)
        there = f"recorded were: {', '.join(sorted(known))}"
        return ConfigurationError(
            f"There is no {quantity} of layer {layer!r} in step {step}; {there}.", hint=_WITHOUT.get(quantity)
        )

    def _unknown_step(self, step: int, known: list[int]) -> ConfigurationError:
        return ConfigurationError(f"Step {step} was not recorded; recorded were {_listed(known)}.")

    # For people.

    def summary(self) -> str:
        """A line per layer and quantity: its first and its last recorded numbers."""
        steps = self.steps
        if not steps:
            return "recording: no step was recorded"
        data = self.frame("stats", "numpy")
        lines: list[tuple[str, ...]] = [("layer", "quantity", *_SUMMED)]
        first: dict[tuple[str, str, str], int] = {}
        last: dict[tuple[str, str, str], int] = {}
        for row, key in enumerate(zip(*(data[c].tolist() for c in ("layer", "quantity", "name")), strict=True)):
            first.setdefault(key, row)
            last[key] = row
        for key, row in first.items():
            cells = [_change(data[c][row], data[c][last[key]]) for c in _SUMMED]
            lines.append((key[0], " ".join(part for part in key[1:] if part), *cells))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        title = f'recording "{self.level}" of {len(steps)} steps ({_listed(steps)}); first -> last'
        return "\n".join(
            [title, *("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)]
        )

    __str__ = summary

    def __repr__(self) -> str:
        return f"Recording({self.level!r}, {len(self.steps)} steps, {len(self.layers)} layers)"


def _change(first: float, last: float) -> str:
    if math.isnan(first) and math.isnan(last):
        return ""
    shown = ["-" if math.isnan(value) else f"{value:.3g}" for value in (first, last)]
    return shown[0] if shown[0] == shown[1] else " -> ".join(shown)


def _listed(steps: list[int]) -> str:
    if len(steps) <= 6:
        return ", ".join(str(step) for step in steps)
    return f"{steps[0]}, {steps[1]}, {steps[2]} ... {steps[-1]}"


def _converted(table: Any, to: str) -> Any:
    if to == "arrow":
        return table
    if to == "numpy":
        return {name: _column(table[name]) for name in table.column_names}
    try:
        library = importlib.import_module(to)  # the user's, if there is one
    except ImportError:
        raise missing_dependency(to, f"A table in the form of {to}", "test") from None
    return table.to_pandas() if to == "pandas" else library.from_arrow(table)


def _column(column: Any) -> np.ndarray:
    """A column as an array that can be written to; null is NaN."""
    return np.array(column.to_numpy())
