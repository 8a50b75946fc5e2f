"""Pictures of results: scores over a parameter, error curves over the epochs, and scores side by side."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from pellucid.errors import DataError, unknown_name
from pellucid.fields import Integer, require
from pellucid.select.axes import BLUE, GREY, RED, axes_for, band, deviation, quiet, spoken
from pellucid.select.results import CrossValidation
from pellucid.train.history import smaller_is_better

#: Up to so many values each have a tick on a logarithmic scale.
_TICKS = 8
_MARKERS = "os^vDXP*"


def validation_curve(results: CrossValidation, parameter: str, *, score: str | None = None, ax: Any = None) -> Any:
    """Draw the score on training rows and on test rows over one parameter of the grid.

    Where other parameters vary, too, each point has their best values. Bands: the deviation between folds.

    Args:
        results: Of ``cross_validate`` with a grid.
        parameter: A parameter of the grid, such as ``"learning_rate"``.
        score: Which score; the deciding one by default.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; the star is the best value.

    Raises:
        ConfigurationError: There is no such parameter or score.
    """
    scores = results.scores
    name, ranks = scores.checked(score), scores.rank(score)
    values, chosen, numeric = _by_value(results, parameter, name)
    x = np.array(values, np.float64) if numeric else np.arange(len(values))
    ax = axes_for("validation_curve", ax)
    for part, label, colour, marker, line in (
        ("train", "training rows", BLUE, "o", "-"), ("test", "test rows", RED, "^", "--"),
    ):  # fmt: skip
        per_fold = scores.cube(name, part).mean(axis=2)[chosen]
        if not np.isnan(per_fold).all():
            band(ax, x, per_fold.mean(axis=1), deviation(per_fold, 1), label, colour, marker=marker, linestyle=line)
    _scale(ax, x, _named(values, scores.mean(name)[chosen]), numeric)
    best = int(np.argmin(ranks[chosen]))
    star = scores.mean(name)[chosen][best]
    ax.plot(x[best], star, "*", markersize=14, color=GREY, markeredgecolor="white", zorder=4,
            label=f"best: {_shown(values[best])}")  # fmt: skip
    ax.set(xlabel=spoken(parameter), ylabel=spoken(name))
    ax.legend(frameon=False)
    quiet(ax)
    return ax


def _by_value(results: CrossValidation, parameter: str, score: str) -> tuple[list[Any], list[int], bool]:
    """The values of a parameter in their order, the best configuration of each, and whether they are numbers."""
    known = results.scores.parameters()
    if parameter not in known:
        raise unknown_name("parameter of the grid", parameter, known)
    best_of: dict[Any, int] = {}
    for number in np.argsort(results.scores.rank(score), kind="stable").tolist():
        best_of.setdefault(_hashable(known[parameter][number]), number)
    values = list(best_of)
    numeric = all(isinstance(v, Real) and not isinstance(v, bool) for v in values)
    values = sorted(values) if numeric else values
    return values, [best_of[v] for v in values], numeric


def _hashable(value: Any) -> Any:
    return value if value.__hash__ is not None else repr(value)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _named(values: list[Any], means: np.ndarray) -> list[str]:
    """The names of values; it is said of which there is no score."""
    return [_shown(v) + ("\n(no score)" if np.isnan(m) else "") for v, m in zip(values, means, strict=True)]


def _scale(ax: Any, x: np.ndarray, names: list[str], numeric: bool) -> None:
    if not numeric:
        ax.set_xticks(x, names)
        ax.set_xlim(-0.5, len(x) - 0.5)
        return
    if (x > 0).all() and x.max() >= 10 * x.min():
        ax.set_xscale("log")
    elif (x >= 0).all() and (x > 0).any() and x.max() >= 10 * x[x > 0].min():
        ax.set_xscale("symlog", linthresh=float(x[x > 0].min()))
        ax.set_xlim(left=0)
    if ax.get_xscale() != "linear" and len(x) <= _TICKS:
        ax.set_xticks(x, names)
        ax.set_xticks([], minor=True)


def error_curves(
    results: CrossValidation, *, configuration: int | None = None, key: str = "loss", ax: Any = None
) -> Any:
    """Draw a number over the epochs: one thin line per fit, their mean, and where each would best have stopped.

    Needs what was measured while training: ``cross_validate(..., watch=True)`` (the test rows), or
    ``validation_split=`` (rows set apart for early stopping).

    Args:
        results: Of ``cross_validate``.
        configuration: Which; the best by default.
        key: ``"loss"`` or a metric of the model.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; the dotted line is the best epoch of the mean curve, the dots the best epochs of the fits.

    Raises:
        ConfigurationError: There is no such number.
        DataError: Nothing was measured while training.
    """
    histories = _histories("error_curves", results, configuration, key)
    ax = axes_for("error_curves", ax)
    for name, label, colour, line in ((key, "training", BLUE, "-"), (f"val_{key}", "validation", RED, "--")):
        if name not in histories[0].history:
            continue
        curves = _curves(histories, name)
        epochs, mean = np.arange(1, curves.shape[1] + 1), _mean(curves)
        ax.plot(epochs, curves.T, color=colour, alpha=0.18, linewidth=0.7)
        ax.plot(epochs, mean, color=colour, linestyle=line, linewidth=1.8, label=f"{label}, mean of {len(curves)}")
        if name.startswith("val_"):
            _mark_best(ax, curves, mean, key)
    ax.set(xlabel="epoch", ylabel=spoken(key))
    ax.legend(frameon=False)
    quiet(ax)
    return ax


def parameter_curves(results: CrossValidation, parameter: str, *, key: str = "loss", ax: Any = None) -> Any:
    """Draw a number over the epochs, a line for each value of one parameter of the grid: the mean of its fits.

    Drawn is what was measured on held-out rows, or on training rows where nothing else was watched. Where other
    parameters vary, too, each value is shown with their best ones.

    Args:
        results: Of ``cross_validate`` with a grid.
        parameter: A parameter of the grid, such as ``"learning_rate"``.
        key: ``"loss"`` or a metric of the model.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; the lines go from dark to light, with a marker of their own each.

    Raises:
        ConfigurationError: There is no such parameter or number.
        DataError: Nothing was measured while training.
    """
    from matplotlib import colormaps

    values, chosen, _ = _by_value(results, parameter, results.scores.primary)
    histories = [_histories("parameter_curves", results, number, key) for number in chosen]
    watched = all(f"val_{key}" in own[0].history for own in histories)
    ax = axes_for("parameter_curves", ax)
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(values)))
    for place, (value, own) in enumerate(zip(values, histories, strict=True)):
        mean = _mean(_curves(own, f"val_{key}" if watched else key))
        ax.plot(np.arange(1, len(mean) + 1), mean, color=shades[place], linewidth=1.5, label=_shown(value),
                marker=_MARKERS[place % len(_MARKERS)], markevery=max(1, len(mean) // 10), markersize=4)  # fmt: skip
    ax.set(xlabel="epoch", ylabel=f"{spoken(key)} on {'test' if watched else 'training'} rows")
    ax.legend(frameon=False, title=spoken(parameter), fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    quiet(ax)
    return ax


def _own(results: CrossValidation, configuration: int | None) -> list[Any]:
    _, folds, seeds = results.scores.shape
    chosen = results.scores.chosen(configuration)
    return list(results.scores.outcomes[chosen * folds * seeds : (chosen + 1) * folds * seeds])


def _histories(owner: str, results: CrossValidation, configuration: int | None, key: str) -> list[Any]:
    """The histories of the fits of a configuration."""
    found = [o.history for o in _own(results, configuration) if o.history is not None and len(o.history)]
    if not found:
        raise DataError(f"{owner}: there is no history: the fits failed, or are not Pellucid's.")
    if key not in found[0].history:
        raise unknown_name("history key", key, [k for k in found[0].history if not k.startswith("val_")])
    return found


def _curves(histories: list[Any], name: str) -> np.ndarray:
    """A number of every fit and epoch [fit, epoch]; NaN where a fit had ended."""
    curves = np.full((len(histories), max(len(history) for history in histories)), np.nan)
    for row, history in enumerate(histories):
        curves[row, : len(history)] = history[name]
    return curves


def _mean(curves: np.ndarray) -> np.ndarray:
    """The mean over the fits that an epoch has; NaN where nothing was measured in it."""
    return np.array([c[~np.isnan(c)].mean() if not np.isnan(c).all() else np.nan for c in curves.T])


def _mark_best(ax: Any, curves: np.ndarray, mean: np.ndarray, key: str) -> None:
    pick = np.nanargmin if smaller_is_better(key) else np.nanargmax
    best = pick(curves, axis=1)
    ax.plot(best + 1, curves[np.arange(len(curves)), best], "o", color=RED, markersize=3.5, alpha=0.6,
            label="best epoch of each fit")  # fmt: skip
    stop = int(pick(mean))
    ax.axvline(stop + 1, color=GREY, linestyle=":", linewidth=1.2, label=f"best epoch of the mean: {stop + 1}")


def plot_scores(results: CrossValidation, *, score: str | None = None, top: int = 12, ax: Any = None) -> Any:
    """Draw the scores of the best configurations: a dot per fold, the mean, and its 95 % interval.

    Args:
        results: Of ``cross_validate``.
        score: Which score; the deciding one by default.
        top: At most so many configurations, the best at the top.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.
    """
    require("plot_scores", "top", top, Integer(1))
    scores = results.scores
    name = scores.checked(score)
    chosen = np.argsort(scores.rank(name), kind="stable")[:top].tolist()
    ax = axes_for("plot_scores", ax, (6.8, 1.2 + 0.34 * len(chosen)))
    for place, number in enumerate(chosen):
        per_fold, mean = scores.cube(name)[number].mean(axis=1), scores.mean(name)[number]
        offsets = np.linspace(-0.16, 0.16, len(per_fold)) if len(per_fold) > 1 else [0.0]
        ax.plot(per_fold, place + np.asarray(offsets), "o", color=BLUE, alpha=0.35, markersize=4, linewidth=0)
        low, high = scores.interval(number, name)
        if not np.isnan(low):
            ax.plot([low, high], [place, place], color=RED, linewidth=2)
        ax.plot(mean, place, "D", color=RED, markersize=6, markeredgecolor="white")
    described = [_described(scores.configurations[number]) for number in chosen]
    names = [text.replace("\n", " ") for text in _named(described, scores.mean(name)[chosen])]
    ax.set_yticks(range(len(chosen)), names, fontsize=8)
    ax.set_ylim(len(chosen) - 0.5, -0.5)
    ax.set_xlabel(f"{spoken(name)}: folds (dots), mean and 95 % interval")
    ax.grid(axis="x", alpha=0.3)
    quiet(ax)
    return ax


def _described(configuration: dict[str, Any]) -> str:
    return ", ".join(f"{spoken(n)} {_shown(v)}" for n, v in configuration.items()) or "as given"
