"""Losses, errors and scores over the epochs: of one training, and of several beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, boolean, require
from pellucid.plot.canvas import BLUE, INK, RED, axes_for, colour, legend, line, marker, panels_for, quiet
from pellucid.plot.record import Record, falls, record_of

#: Up to how many epochs each has a marker.
_MARKED = 30


def error_curves(
    source: Any,
    keys: str | Sequence[str] | None = None,
    *,
    monitor: str | None = None,
    log: bool = False,
    axes: Any = None,
) -> Any:
    """Draw the loss and the scores of every epoch, those of training and of validation, and where to stop early.

    The star is the epoch with the best validation: the one whose weights early stopping keeps. In what comes after it
    the network learns its training examples by heart.

    Args:
        source: A History, a fitted Model or estimator, a dict of lists (``"loss"``, ``"val_loss"``), or one list.
        keys: Which quantities, a panel each; by default all of them.
        monitor: Which numbers say what is best; by default ``"val_loss"``, else the first of validation.
        log: Whether losses and errors have a logarithmic scale.
        axes: A Matplotlib axes per quantity to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There are no numbers, or none of a key.
        DataError: The lists are of different lengths.

    >>> axes = error_curves({"loss": [0.9, 0.5, 0.3, 0.2], "val_loss": [1.0, 0.7, 0.6, 0.8]})
    >>> [text.get_text() for text in axes[0].get_legend().get_texts()]
    ['training', 'validation', 'best: epoch 3']
    """
    owner = "error_curves"
    require(owner, "log", log, boolean)
    record = record_of(owner, source)
    chosen = record.keys if keys is None else [keys] if isinstance(keys, str) else list(keys)
    for key in chosen:
        record.curve(key)
    best = _best(record, monitor)
    axes = panels_for(owner, axes, len(chosen), (4.6, 3.6), columns=3)
    for ax, key in zip(axes, chosen, strict=True):
        _draw_quantity(ax, record, key, best)
        if log and falls(key):
            ax.set_yscale("log")
    return axes


def _best(record: Record, monitor: str | None) -> int | None:
    """The place of the best epoch, or None where nothing was validated."""
    if monitor is not None:
        record.curve(monitor)
        return record.best(monitor)
    validated = [key for key in record.curves if key.startswith("val_")]
    if not validated:
        return None
    return record.best("val_loss" if "val_loss" in validated else validated[0])


def _draw_quantity(ax: Any, record: Record, key: str, best: int | None) -> None:
    own = {key: ("validation", RED, "^", "--") if key.startswith("val_") else ("training", BLUE, "o", "-")}
    if f"val_{key}" in record.curves:
        own[f"val_{key}"] = ("validation", RED, "^", "--")
    for name, (label, shade, shape, style) in own.items():
        _draw_curve(ax, record.epochs, record.curves[name], label=label, color=shade, marker=shape, linestyle=style)
    last = list(own)[-1]
    if best is not None and last.startswith("val_"):
        _mark(ax, record, last, best)
    ax.set_xlabel("epoch")
    ax.set_ylabel(key.removeprefix("val_").replace("_", " "))
    ax.xaxis.get_major_locator().set_params(integer=True)
    if key == "errors":
        ax.yaxis.get_major_locator().set_params(integer=True)
    quiet(ax)
    if len(own) > 1 or last.startswith("val_"):
        legend(ax)


def _draw_curve(ax: Any, x: np.ndarray, values: np.ndarray, **style: Any) -> None:
    measured = np.isfinite(values)
    if measured.sum() > _MARKED:
        style["markevery"] = max(1, int(measured.sum()) // 8)  # enough to tell the curves apart
    ax.plot(x[measured], values[measured], markersize=5, linewidth=1.6, **style)


def _mark(ax: Any, record: Record, key: str, best: int) -> None:
    epoch, value = record.epochs[best], record.curves[key][best]
    ax.axvline(epoch, color=INK, linewidth=0.8, linestyle=":")
    shape = {"marker": "*", "markersize": 13, "color": INK, "linestyle": "", "zorder": 4}
    stopped = f", stopped: {record.epochs[-1]}" if record.stopped else ""
    ax.plot([epoch], [value], label=f"best: epoch {epoch}{stopped}", markeredgecolor="white", **shape)


def compare(
    sources: Mapping[Any, Any],
    key: str | None = None,
    *,
    setting: str | None = None,
    against: str = "epoch",
    log: bool = False,
    ax: Any = None,
) -> Any:
    """Draw the same numbers of several trainings: over learning rates, hidden nodes, batch sizes or optimisers.

    Args:
        sources: What differed -> a History, a fitted Model or estimator, a dict of lists, or one list.
        key: Which numbers, such as ``"loss"`` or ``"val_accuracy"``; by default the first that the first one has.
        setting: The name of what differed (``"learning rate"``), as the legend's title.
        against: ``"epoch"``; or ``"seconds"`` of training, which only a History knows.
        log: Whether the numbers have a logarithmic scale.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There is nothing to compare, or no numbers of the key.
        DataError: The lists are of different lengths.

    >>> ax = compare({0.01: [0.9, 0.85, 0.8], 0.1: [0.9, 0.5, 0.3]}, setting="learning rate")
    >>> ax.get_legend().get_title().get_text(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('learning rate', ['0.01', '0.1'])
    """
    owner = "compare"
    require(owner, "log", log, boolean)
    require(owner, "against", against, Choice("epoch", "seconds"))
    if not isinstance(sources, Mapping) or not sources:
        raise ConfigurationError(f"{owner}: sources must be a dict of what differed to its history, not {sources!r}.")
    records = {name: record_of(owner, source) for name, source in sources.items()}
    wanted = next(iter(records.values())).keys[0] if key is None else key
    ax = axes_for(owner, ax, (5.6, 4.0))
    for number, (name, record) in enumerate(records.items()):
        x = record.epochs if against == "epoch" else _seconds(owner, name, record)
        style = {"color": colour(number), "marker": marker(number), "linestyle": line(number)}
        _draw_curve(ax, x, record.curve(wanted), label=f"{name:g}" if isinstance(name, float) else str(name), **style)
    ax.set_xlabel("epoch" if against == "epoch" else "training time (s)")
    ax.set_ylabel(wanted.replace("val_", "validation ").replace("_", " "))
    if log:
        ax.set_yscale("log")
    if against == "epoch":
        ax.xaxis.get_major_locator().set_params(integer=True)
    quiet(ax)
    legend(ax, outside=len(records) > 5, title=setting)
    return ax


def _seconds(owner: str, name: Any, record: Record) -> np.ndarray:
    if record.seconds is None:
        raise DataError(f"{owner}: how long the epochs of {name!r} took is not known; pass the History of fit.")
    return np.cumsum(record.seconds)
