"""Pictures of a search: what was tried, what it led to, which parameters mattered, and how the trials went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.select.axes import BLUE, GREY, RED, axes_for, quiet, spoken
from pellucid.select.importance import importances
from pellucid.select.results import CrossValidation
from pellucid.select.search_trials import Axis, Trials, trials_of

_PALE = "#A8A8A8"
#: Where the lines of trials go that do not have a parameter, below its scale.
_ABSENT = -0.13
#: Legends lie above the axes, where there are no points.
_ABOVE: dict[str, Any] = {
    "frameon": False, "fontsize": 8, "loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 4,
}  # fmt: skip


def plot_parallel_coordinates(search: Any, parameters: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Draw each trial as a line over its parameters to what it reached.

    Scales are those that the values were drawn on; choices are evenly apart; a trial that did not have a parameter
    passes below its scale. Pruned trials are grey and dashed, and lie behind the others; the best is a thick line with
    stars.

    Args:
        search: What ``tune`` returned, an Optuna study, or what ``cross_validate`` returned for a grid.
        parameters: Which, in this order; by default those in which trials differ.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError: It is no search, or there is no such parameter.
        DataError: No trial was completed, or no parameter varies.
    """
    owner = "plot_parallel_coordinates"
    trials = trials_of(owner, search)
    axes = trials.chosen(owner, parameters)
    value = Axis(trials.label, trials.values.tolist())
    ends = [_ends(axis) for axis in axes] + [_value_ends(trials)]
    heights = np.stack([_heights(axis, *end) for axis, end in zip((*axes, value), ends, strict=True)])
    ax = axes_for(owner, ax, (2.2 + 1.5 * len(axes), 4.2))
    _draw_lines(ax, trials, heights)
    for place, (axis, (low, high)) in enumerate(zip((*axes, value), ends, strict=True)):
        _draw_scale(ax, place, axis, low, high)
    lowest = -0.2 if any(axis.missing.any() for axis in axes) else -0.05
    ax.set(xlim=(-0.35, len(axes) + 0.35), ylim=(lowest, 1.05), yticks=[])
    ax.set_xticks(range(len(axes) + 1), [spoken(axis.name) for axis in (*axes, value)])
    ax.tick_params(axis="x", length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def _ends(axis: Axis) -> tuple[float, float]:
    if axis.choices is not None:
        return 0.0, float(len(axis.choices) - 1)
    numbers = axis.numbers
    return float(np.nanmin(numbers)), float(np.nanmax(numbers))


def _value_ends(trials: Trials) -> tuple[float, float]:
    """From the worst to the best complete trial: one pruned at a bad moment must not squeeze them."""
    values = trials.values[trials.where("complete")]
    return float(values.min()), float(values.max())


def _heights(axis: Axis, low: float, high: float) -> np.ndarray:
    scaled = (axis.numbers - low) / (high - low) if high > low else np.where(axis.missing, np.nan, 0.5)
    return np.where(axis.missing, _ABSENT, np.clip(scaled, 0.0, 1.0))


def _draw_lines(ax: Any, trials: Trials, heights: np.ndarray) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    across, complete, pruned = np.arange(len(heights)), trials.where("complete"), trials.where("pruned")
    shades = colormaps["viridis"](np.linspace(0, 0.9, 128))  # without its end, which white paper outshines
    shades = shades if trials.larger else shades[::-1]
    scale = ScalarMappable(Normalize(*_value_ends(trials)), ListedColormap(shades))
    for k in np.flatnonzero(pruned):
        ax.plot(across, heights[:, k], color=_PALE, linestyle="--", linewidth=0.7, alpha=0.6, zorder=1)
    order = np.argsort(trials.values[complete] * (1 if trials.larger else -1), kind="stable")
    for k in np.flatnonzero(complete)[order]:  # the best ones on top
        ax.plot(across, heights[:, k], color=scale.to_rgba(trials.values[k]), linewidth=1.1, alpha=0.8, zorder=2)
    ax.plot(across, heights[:, trials.best], "-*", color=RED, linewidth=2.4, markersize=10, markeredgecolor="white",
            zorder=4, label=f"best: {trials.what} {trials.numbers[trials.best]}")  # fmt: skip
    if pruned.any():
        ax.plot([], [], color=_PALE, linestyle="--", label="pruned")
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2)
    ax.figure.colorbar(scale, ax=ax, label=spoken(trials.label), pad=0.02)


def _draw_scale(ax: Any, place: int, axis: Axis, low: float, high: float) -> None:
    ax.plot([place, place], [0, 1], color=GREY, linewidth=1.0, zorder=3)
    for at, text in _ticks(axis, low, high):
        ax.plot([place - 0.02, place], [at, at], color=GREY, linewidth=1.0, zorder=3)
        ax.text(place - 0.04, at, text, ha="right", va="center", fontsize=8, zorder=5, bbox=_BEHIND)
    if axis.missing.any() and axis.name:
        ax.text(place - 0.04, _ABSENT, "none", ha="right", va="center", fontsize=8, color=GREY, zorder=5, bbox=_BEHIND)


#: So few values have a tick each.
_FEW = 6
_BEHIND = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5}


def _ticks(axis: Axis, low: float, high: float) -> list[tuple[float, str]]:
    """Heights and texts of a scale's ticks."""
    from matplotlib.ticker import MaxNLocator

    if axis.choices is not None:
        return [(k / high if high else 0.5, str(choice)) for k, choice in enumerate(axis.choices)]
    if high <= low:
        return [(0.5, _number(10**low if axis.log else low, axis.whole))]
    given = sorted({value for value in axis.values if value is not None})
    if len(given) <= _FEW:
        own = np.log10(given) if axis.log else np.asarray(given, np.float64)
        return [((at - low) / (high - low), _number(v, axis.whole)) for at, v in zip(own, given, strict=True)]
    if axis.log:
        powers = np.arange(np.ceil(low - 1e-9), np.floor(high + 1e-9) + 1)
        at = powers if len(powers) > 1 else np.linspace(low, high, 4)
        return [((p - low) / (high - low), _number(10.0**p, axis.whole)) for p in at]
    ticks = MaxNLocator(5, integer=axis.whole).tick_values(low, high)
    inside = [t for t in ticks if low - 1e-9 <= t <= high + 1e-9]
    return [((t - low) / (high - low), _number(t, axis.whole)) for t in inside]


def _number(value: float, whole: bool) -> str:
    return f"{round(value)}" if whole else f"{value:.3g}"


def plot_importance(search: Any, *, method: str = "auto", seed: int = 0, ax: Any = None) -> Any:
    """Draw how much each parameter mattered for what the trials reached.

    See :func:`importances` for what the numbers mean; they say nothing about values that were not tried.

    Args:
        search: What ``tune`` returned, an Optuna study, or what ``cross_validate`` returned for a grid.
        method: ``"fanova"``, ``"forest"``, or ``"auto"``.
        seed: Of the random forests.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; the most important parameter is at the top.

    Raises:
        ConfigurationError: It is no search, or fANOVA was asked for a search that it cannot judge.
        DataError: There are too few trials, or all of them reached the same.
    """
    trials = trials_of("plot_importance", search)
    found, how = importances(trials, method=method, seed=seed)
    names = list(found)
    ax = axes_for("plot_importance", ax, (6.4, 1.2 + 0.4 * len(names)))
    ax.barh(range(len(names)), list(found.values()), color=BLUE, height=0.6)
    for place, value in enumerate(found.values()):
        ax.annotate(f"{value:.2f}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_yticks(range(len(names)), [spoken(name) for name in names])
    ax.set(xlabel=f"importance for {spoken(trials.label)} ({how})", xlim=(0, 1.12 * max(*found.values(), 1e-9)))
    ax.invert_yaxis()
    quiet(ax)
    return ax


def plot_history(search: Any, *, ax: Any = None) -> Any:
    """Draw what each trial reached, in the order of the trials, and the best so far.

    Args:
        search: What ``tune`` returned, an Optuna study, or what ``cross_validate`` returned for a grid.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; pruned trials are grey crosses where they were when they ended, or triangles at the edge where that
        is far from what complete trials reached; failed ones are marks at the bottom.

    Raises:
        ConfigurationError: It is no search.
        DataError: No trial was completed.
    """
    trials = trials_of("plot_history", search)
    ax = axes_for("plot_history", ax)
    complete, pruned = trials.where("complete"), trials.where("pruned")
    keep = np.fmax if trials.larger else np.fmin
    best = keep.accumulate(np.where(complete, trials.values, np.nan))
    ax.plot(trials.numbers[complete], trials.values[complete], "o", color=BLUE, markersize=4, alpha=0.7,
            label="complete", zorder=3)  # fmt: skip
    if pruned.any():
        _draw_pruned(ax, trials.numbers[pruned], trials.values[pruned], trials.values[complete])
    failed = np.array([state == "failed" for state in trials.states])
    if failed.any():
        ax.plot(trials.numbers[failed], np.full(failed.sum(), 0.02), "|", color=RED, markersize=9, label="failed",
                transform=ax.get_xaxis_transform())  # fmt: skip
    ax.step(trials.numbers, best, where="post", color=RED, linewidth=1.6, label="best so far", zorder=4)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.set(xlabel=trials.what, ylabel=spoken(trials.label))
    ax.legend(**_ABOVE)
    quiet(ax)
    return ax


def _draw_pruned(ax: Any, numbers: np.ndarray, values: np.ndarray, complete: np.ndarray) -> None:
    """Pruned trials; those far from the complete ones must not squeeze these into a line."""
    low, high = complete.min(), complete.max()
    room = max(high - low, 1e-3 * abs(high))
    bottom, top = low - room, high + room
    off = (values < bottom) | (values > top)
    style = {"color": _PALE, "markersize": 5, "linestyle": "none", "zorder": 2}
    ax.plot(numbers[~off], values[~off], marker="x", label="pruned", **style)
    if off.any():
        ax.set_ylim(bottom, top)
        for marker, edge, own, label in (
            ("v", bottom, values < bottom, "pruned, below"), ("^", top, values > top, "pruned, above"),
        ):  # fmt: skip
            if own.any():
                ax.plot(numbers[own], np.full(own.sum(), edge), marker=marker, clip_on=False, label=label, **style)


def plot_curves(search: Any, *, top: int = 5, ax: Any = None) -> Any:
    """Draw the watched value of every trial after each of its epochs.

    Args:
        search: What ``tune`` returned, or an Optuna study whose trials reported.
        top: How many of the best are in colour.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; pruned trials are dashed and grey and end in a cross, the best is thick and red.

    Raises:
        ConfigurationError: It is no search.
        DataError: No trial was completed, or none reported anything.
    """
    if isinstance(search, CrossValidation):
        raise ConfigurationError(
            "plot_curves draws the trials of a search, not a CrossValidation.", hint="error_curves draws its fits"
        )
    trials = trials_of("plot_curves", search)
    if not any(len(curve) for curve in trials.curves.values()):
        raise DataError("plot_curves: no trial reported a value while it ran.")
    ax = axes_for("plot_curves", ax)
    ranked = np.argsort(np.where(trials.where("complete"), -trials.values if trials.larger else trials.values, np.inf))
    places = {int(trials.numbers[k]): place for place, k in enumerate(ranked[:top]) if trials.where("complete")[k]}
    for number, state in zip(trials.numbers.tolist(), trials.states, strict=True):
        curve = np.asarray(trials.curves.get(number, ()), np.float64)
        if len(curve):
            _draw_curve(ax, number, state, curve, places.get(number))
    if len(places) > 1:
        ax.plot([], [], color=BLUE, label=f"next best {len(places) - 1}")
    for label, style in (("complete", "-"), ("pruned", "--")):
        if label in trials.states:
            ax.plot([], [], color=_PALE, linestyle=style, label="others" if label == "complete" else label)
    ax.set(xlabel="epoch", ylabel=f"watched number (searched for: {spoken(trials.label)})")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.legend(**_ABOVE)
    quiet(ax)
    return ax


def _draw_curve(ax: Any, number: int, state: str, curve: np.ndarray, place: int | None) -> None:
    epochs = np.arange(1, len(curve) + 1)
    if place is not None:
        ax.plot(epochs, curve, color=RED if place == 0 else BLUE, linewidth=2.2 if place == 0 else 1.1,
                marker="*" if place == 0 else None, markevery=[len(curve) - 1], markersize=11, zorder=4 - 0.1 * place,
                alpha=1.0 if place == 0 else 0.8, label=f"best: trial {number}" if place == 0 else None)  # fmt: skip
        return
    dashed = {"linestyle": "--", "marker": "x", "markevery": [len(curve) - 1], "markersize": 4}
    ax.plot(epochs, curve, color=_PALE, linewidth=0.8, alpha=0.7, zorder=1, **(dashed if state == "pruned" else {}))
