"""Recordings of training, read back and drawn.

What is recorded, and the columns of its tables, are described in :mod:`pellucid.train.recording`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.train.recording import Recording

__all__ = ["Recording", "plot_recording"]

_QUANTITIES = ("activation", "preactivation", "delta", "weight", "gradient", "update")
_SHARES = ("zeros", "saturated", "dead")
#: Columns whose values are never negative and span orders of magnitude.
_LOGARITHMIC = ("norm", "std", "ratio")


def plot_recording(
    recording: Recording,
    quantity: str = "gradient",
    column: str = "norm",
    *,
    layers: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """One column of the statistics over the steps of training, a line per layer from first (dark) to last (bright).

    Norms, deviations and ratios have a logarithmic axis, on which a vanishing gradient is a fan of lines.

    Args:
        recording: What was recorded.
        quantity: Of what: ``"activation"``, ``"preactivation"``, ``"delta"``, ``"weight"``, ``"gradient"`` or
            ``"update"``; of the latter three each parameter of two and more axes, the kernels, is drawn.
        column: The column: ``"norm"``, ``"mean"``, ``"std"``, ``"ratio"``, ``"zeros"``, ``"saturated"``, ``"dead"`` ...
        layers: The layers to draw; by default all that have the quantity.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: The quantity, the column or a layer is unknown, or there is nothing to draw.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(3, activation="tanh"), Dense(1)])
    >>> model.compile("mse", "sgd")
    >>> history = model.fit(np.eye(2), [0, 1], epochs=9, record="stats", every=2, verbose=0)
    >>> [line.get_label() for line in plot_recording(history.recording, "delta").get_lines()]
    ['dense', 'dense_1']
    """
    if quantity not in _QUANTITIES:
        raise unknown_name("quantity", quantity, _QUANTITIES)
    data = recording.frame("stats", "numpy")
    if column not in data or data[column].dtype != np.float64:
        raise unknown_name("column of numbers", column, [c for c in data if data[c].dtype == np.float64])
    lines = _lines(data, quantity, column, recording.layers if layers is None else layers)
    if layers is not None:
        for layer in layers:
            if layer not in recording.layers:
                raise unknown_name("recorded layer", layer, recording.layers)
    if not lines:
        raise ConfigurationError(f"The recording has no {column!r} of any {quantity!r} in these layers to draw.")
    return _drawn(_axes(ax), lines, quantity, column)


def _lines(
    data: dict[str, np.ndarray], quantity: str, column: str, layers: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A label per line, with the steps and values; what holds no number is left out."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for layer in layers:
        mine = (data["layer"] == layer) & (data["quantity"] == quantity)
        names = list(dict.fromkeys(data["name"][mine].tolist()))
        if "kernel" in names and quantity in ("weight", "gradient", "update"):
            names = [name for name in names if name.endswith("kernel")]
        for name in names:
            chosen = mine & (data["name"] == name)
            if not np.isnan(data[column][chosen]).all():
                label = f"{layer}.{name}" if name and (len(names) > 1 or name != "kernel") else layer
                found[label] = (data["step"][chosen], data[column][chosen])
    return found


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    from matplotlib.figure import Figure  # no global figure manager: nothing leaks, no display is needed

    return Figure(figsize=(7, 4), layout="constrained").add_subplot()


def _drawn(ax: Any, lines: dict[str, tuple[np.ndarray, np.ndarray]], quantity: str, column: str) -> Any:
    from matplotlib import colormaps

    shades = colormaps["viridis"](np.linspace(0, 0.85, len(lines)))
    for number, (label, (steps, values)) in enumerate(lines.items()):
        marker = "os^Dv"[number % 5] if len(steps) < 30 else ""
        ax.plot(steps, values, color=shades[number], label=label, linewidth=1.4, marker=marker, markersize=4)
    positive = np.concatenate([values for _, values in lines.values()])
    if column in _LOGARITHMIC and np.nanmax(positive) > 0:
        ax.set_yscale("log", nonpositive="mask")
    elif column in _SHARES:
        ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("step")
    what = f"share of the {quantity}: {column}" if column in _SHARES else f"{column} of the {quantity}"
    ax.set_ylabel("||w_new - w|| / ||w||" if column == "ratio" else what)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=-(-len(lines) // 16))
    return ax
