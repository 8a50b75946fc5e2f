"""Losses, errors and scores over the epochs: of one training, and of several beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, boolean, require
from pellucid.plot.canvas import INK, axes_for, colour, legend, line, marker, panels_for, quiet, with_legend
from pellucid.plot.record import Record, falls, record_of
from pellucid.train.palette import BLUE, RED

#: Up to how many epochs each has a marker, up to how many curves the legend is among them, and up to how many settings
#: each is written below the axis.
_MARKED, _INSIDE, _TICKED = 30, 5, 8


def error_curves(
    source: Any,
    keys: str | Sequence[str] | None = None,
    *,
    monitor: str | None = None,
    log: bool = False,
    ax: Any = None,
) -> Any:
    """Draw the loss and the scores of every epoch, those of training and of validation, and where to stop early.

    The star is the epoch with the best validation: the one whose weights early stopping keeps. In what comes after it
    the network learns its training examples by heart.

    Args:
        source: A History, a fitted Model or estimator, a dict of lists (``"loss"``, ``"val_loss"``), one list, or a
            data frame, as the one that pandas reads from a run folder's ``history.csv``.
        keys: Which quantities, a panel each; by default all of them.
        monitor: Which numbers say what is best; by default ``"val_loss"``, else the first of validation.
        log: Whether losses and errors have a logarithmic scale.
        ax: The Matplotlib axes to draw on, one per quantity; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There are no numbers, or none of a key, or a logarithmic scale is asked of negative ones.
        DataError: The lists are of different lengths.

    >>> axes = error_curves({"loss": [0.9, 0.5, 0.3, 0.2], "val_loss": [1.0, 0.7, 0.6, 0.8]})
    >>> [text.get_text() for text in axes[0].get_legend().get_texts()]
    ['training', 'validation', 'best: epoch 3']
    """
    owner = "error_curves"
    require(owner, "log", log, boolean)
    record = record_of(owner, source)
    chosen = record.keys if keys is None else [keys] if isinstance(keys, str) else list(keys)
    if not chosen:
        raise ConfigurationError(f"{owner}: keys must name at least one quantity.")
    for key in chosen:
        record.curve(key)
    best = _best(record, monitor)
    panels = panels_for(owner, ax, len(chosen), (4.6, 3.6), columns=3)
    for panel, key in zip(panels, chosen, strict=True):
        _draw_quantity(panel, record, key, best)
        if log and falls(key):
            _scale_logarithmically(owner, panel, key)
    return panels


def _scale_logarithmically(owner: str, ax: Any, key: str) -> None:
    """A logarithmic scale, with a linear piece below the smallest number above 0 where some are 0."""
    drawn = [np.asarray(line.get_ydata(), np.float64) for line in ax.get_lines() if line.get_label()[0] != "_"]
    values = np.concatenate([np.zeros(0), *drawn])
    values = values[np.isfinite(values)]
    if (values < 0).any():
        raise ConfigurationError(f"{owner}: {key!r} goes down to {values.min():g}: it has no logarithm.")
    above = values[values > 0]
    if len(above) == len(values):
        ax.set_yscale("log")
    elif len(above):
        ax.set_yscale("symlog", linthresh=float(above.min()))
        ax.set_ylim(bottom=0)


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
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if key == "errors":
        ax.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    quiet(ax)
    if len(own) > 1 or last.startswith("val_") or np.isinf(record.curves[key]).any():
        legend(ax)


def _draw_curve(ax: Any, x: np.ndarray, values: np.ndarray, **style: Any) -> None:
    measured = np.isfinite(values)
    if measured.sum() > _MARKED:
        style["markevery"] = max(1, int(measured.sum()) // 8)  # enough to tell the curves apart
    if np.isinf(values).any():  # NaN may be what was not measured
        style["label"] += f", infinite from epoch {int(np.isinf(values).argmax()) + 1}"
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
        against: ``"epoch"``; ``"seconds"`` of training, which only a History knows; or ``"setting"``: the last number
            of each training over what differed, the best one with a star.
        log: Whether the numbers have a logarithmic scale.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There is nothing to compare, or no numbers of the key, or a logarithmic scale is asked of
            negative ones.
        DataError: The lists are of different lengths.

    >>> ax = compare({0.01: [0.9, 0.85, 0.8], 0.1: [0.9, 0.5, 0.3]}, setting="learning rate")
    >>> ax.get_legend().get_title().get_text(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('learning rate', ['0.01', '0.1'])
    >>> ax = compare({8: [0.9, 0.5], 16: [0.8, 0.3], 32: [0.8, 0.4]}, setting="hidden nodes", against="setting")
    >>> ax.get_xlabel(), ax.get_title()
    ('hidden nodes', 'best: 16')
    """
    owner = "compare"
    require(owner, "log", log, boolean)
    require(owner, "against", against, Choice("epoch", "seconds", "setting"))
    if not isinstance(sources, Mapping) or not sources:
        raise ConfigurationError(f"{owner}: sources must be a dict of what differed to its history, not {sources!r}.")
    records = {name: record_of(owner, source) for name, source in sources.items()}
    wanted = next(iter(records.values())).keys[0] if key is None else key
    for name, record in records.items():
        if wanted not in record.curves:
            raise ConfigurationError(f"{owner}: {name!r} has no {wanted!r}, only {', '.join(record.curves)}.")
    ax = axes_for(owner, ax, with_legend((5.6, 4.0), 0 if against == "setting" else len(records), _INSIDE))
    if against == "setting":
        _draw_last(ax, records, wanted)
    else:
        for number, (name, record) in enumerate(records.items()):
            x = record.epochs if against == "epoch" else _seconds(owner, name, record)
            style = {"color": colour(number), "marker": marker(number), "linestyle": line(number)}
            _draw_curve(ax, x, record.curve(wanted), label=_shown(name), **style)
        legend(ax, _INSIDE, title=setting)
    ax.set_xlabel({"epoch": "epoch", "seconds": "training time (s)"}.get(against, setting or "setting"))
    ax.set_ylabel(wanted.replace("val_", "validation ").replace("_", " "))
    if log:
        _scale_logarithmically(owner, ax, wanted)
    if against == "epoch":
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    quiet(ax)
    return ax


def _shown(name: Any) -> str:
    return f"{name:g}" if isinstance(name, float) else str(name)


def _draw_last(ax: Any, records: Mapping[Any, Record], key: str) -> None:
    """The last number of each; of settings that are numbers in their order, and evenly apart where they grow so."""
    names = list(records)
    numeric = all(isinstance(name, Real) and not isinstance(name, bool) for name in names)
    names = sorted(names) if numeric else names
    last = np.array([records[name].last(key) for name in names])
    x = np.array(names, np.float64) if numeric else np.arange(len(names))
    ax.plot(x, last, color=BLUE, marker="o", linewidth=1.6, label=key)
    if not numeric:
        ax.set_xticks(x, [str(name) for name in names])
    else:
        wide = x.min() > 0 and x.max() >= 30 * x.min()
        ax.set_xscale("log" if wide else "linear")
        # Numbers between the settings would look as if they had been tried; too close to each other they overlap.
        if len(x) <= _TICKED and (wide or np.diff(x).min(initial=np.inf) * _TICKED >= np.ptp(x)):
            ax.set_xticks(x, [_shown(name) for name in names])
            ax.minorticks_off()
    if np.isfinite(last).any():
        best = int(np.nanargmin(last) if falls(key) else np.nanargmax(last))
        ax.plot(x[best], last[best], "*", markersize=13, color=INK, markeredgecolor="white", zorder=4, label="_best")
        ax.set_title(f"best: {_shown(names[best])}", fontsize=10)


def _seconds(owner: str, name: Any, record: Record) -> np.ndarray:
    if record.seconds is None:
        raise DataError(f"{owner}: how long the epochs of {name!r} took is not known; pass the History of fit.")
    return np.cumsum(record.seconds)
