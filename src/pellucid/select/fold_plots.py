"""The fold diagram: which rows each fold trains on and which it tests on, for every scheme."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import DataError
from pellucid.fields import Integer, require
from pellucid.select.axes import BLUE, KINDS, ORANGE, RED, axes_for
from pellucid.select.folds import Fold, folds_of, targets_of
from pellucid.select.splitters import Nested

#: What a row is to a fold; bootstrap samples hold rows twice and more often.
_UNUSED, _TRAIN, _TWICE, _MORE, _TEST, _INNER = range(6)
_NAMES = ("not used", "training", "training, twice", "training, three times and more", "test", "inner validation")
_SHADES = ("#FFFFFF", "#BFDDEE", "#5FA8D3", BLUE, ORANGE, RED)
#: Most folds that are drawn one by one; of more, the first and the last.
_SHOWN = 24


def plot_folds(
    cv: Any, y: Any = None, *, groups: Any = None, rows: int | None = None, seed: int = 0, ax: Any = None
) -> Any:
    """Draw what each fold does with each row.

    Rows of the data run from left to right, folds from top to bottom; below them the classes and the groups. Of a
    nested scheme each outer fold is followed by its inner ones. Rows of one class, and within it of one fold, are drawn
    beside each other, so that stratification can be seen; where there are groups, rows of one fold and group.

    Args:
        cv: Anything that ``cross_validate`` takes.
        y: The targets; whole numbers and texts of at most 20 kinds are classes. Needed by stratified schemes.
        groups: The group of every row.
        rows: How many rows there are, where ``y`` is not given.
        seed: Of shuffled schemes.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigurationError, DataError: There is no such scheme, or it cannot split the rows.

    >>> ax = plot_folds("stratified", [0] * 20 + [1] * 10)
    >>> [text.get_text() for text in ax.get_yticklabels()][:2], ax.get_xlabel()
    (['fold 1', 'fold 2'], 'row, in order of class and fold')
    """
    labels, count = _labels(y, rows)
    found = targets_of(count, labels, None if y is None else np.asarray(y), groups)
    folds = folds_of(cv, found, seed)
    repeats, per_repeat = (len({getattr(f, name) for f in folds}) for name in ("repeat", "number"))
    lines = [line for fold in folds for line in _lines(fold, repeats, per_repeat)]
    hidden = max(len(lines) - _SHOWN, 0)
    lines = lines if not hidden else [*lines[: _SHOWN - 2], ("...", None), lines[-1]]
    strips = [(name, np.asarray(v)) for name, v in (("class", labels), ("group", groups)) if v is not None]
    ax = axes_for("plot_folds", ax, (8.0, 0.9 + 0.23 * (len(lines) + len(strips) + 2)))
    order, ordered = _order(cv, count, strips, _first(folds, per_repeat))
    _draw(ax, lines, strips, order)
    ax.set_xlabel(f"row, in order of {' and '.join(ordered)}" if ordered else "row")
    _explain(ax, lines)
    ax.set_title(_title(cv, len(folds), per_repeat), fontsize=10)
    return ax


def _labels(y: Any, rows: int | None) -> tuple[np.ndarray | None, int]:
    if y is None:
        require("plot_folds", "rows", rows, Integer(2))
        return None, int(rows or 0)
    values = np.asarray(y)
    if values.ndim != 1:
        raise DataError(f"plot_folds: y must hold one target per row, not {list(values.shape)}.")
    classes = values.dtype.kind in "biuUS" and len(np.unique(values)) <= 20
    return (values if classes else None), len(values)


def _title(cv: Any, count: int, per_repeat: int) -> str:
    what = "fold" if per_repeat > 1 else "sample"
    counted = "" if count == 1 else f"{count} {what}s"
    if isinstance(cv, (int, list, tuple)):
        return counted
    name = cv.replace("_", " ") if isinstance(cv, str) else "nested" if isinstance(cv, Nested) else repr(cv)
    return f"{name}: {counted}" if counted else name


def _lines(fold: Fold, repeats: int, per_repeat: int) -> list[tuple[str, Any]]:
    """The name and the fold of each line: a fold, and its inner ones."""
    if fold.inner:
        inner = [(f"inner {k + 1}", (inner, fold)) for k, inner in enumerate(fold.inner)]
        return [(f"outer {fold.number + 1}", (fold, None)), *inner]
    if repeats > 1:
        name = f"repeat {fold.repeat + 1}, fold {fold.number + 1}" if per_repeat > 1 else f"sample {fold.repeat + 1}"
    else:
        name = f"fold {fold.number + 1}" if per_repeat > 1 else "holdout"
    return [(name, (fold, None))]


def _first(folds: list[Fold], per_repeat: int) -> list[Fold]:
    """The folds whose test rows are drawn beside each other: of the first repetition, or the only one."""
    return [fold for fold in folds if not fold.repeat] if per_repeat > 1 or len(folds) == 1 else []


def _order(
    cv: Any, count: int, strips: list[tuple[str, np.ndarray]], folds: list[Fold]
) -> tuple[np.ndarray, list[str]]:
    """The rows in the order in which they are drawn, and what it follows; as they are where time orders them."""
    if cv == "time_series" or type(cv).__name__ == "TimeSeriesSplit":
        return np.arange(count), []
    keys = dict(strips)
    if folds and len(folds) < count:
        tested = np.full(count, len(folds))
        for number, fold in reversed(list(enumerate(folds))):
            tested[fold.test] = number
        keys["fold"] = tested
    if "group" in keys:  # a class is spread over the groups, a group lies in one fold
        keys = {name: keys[name] for name in ("fold", "group", "class") if name in keys}
    names = list(keys)
    return (np.lexsort([keys[name] for name in reversed(names)]) if keys else np.arange(count)), names[:2]


def _roles(count: int, fold: Fold, outer: Fold | None) -> np.ndarray:
    """What each row is to a fold."""
    times = np.bincount(fold.train, minlength=count)
    roles = np.choose(np.minimum(times, 3), [_UNUSED, _TRAIN, _TWICE, _MORE])
    roles[fold.test] = _TEST if outer is None else _INNER
    return roles


def _in_order(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def _in_order_of_appearance(values: np.ndarray) -> np.ndarray:
    """Values as numbers from 0: even where there are more of them than colours, neighbours differ."""
    _, first, kinds = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[kinds]


def _draw(ax: Any, lines: list[tuple[str, Any]], strips: list[tuple[str, np.ndarray]], order: np.ndarray) -> None:
    from matplotlib.colors import to_rgb

    count, shades = len(order), np.array([to_rgb(c) for c in _SHADES])
    picture = np.ones((len(lines) + len(strips), count, 3))
    for row, (_, line) in enumerate(lines):
        if line is not None:
            picture[row] = shades[_roles(count, *line)[order]]
    for row, (name, values) in enumerate(strips, start=len(lines)):
        kinds = _in_order_of_appearance(values[order]) if name == "group" else _in_order(values[order])
        picture[row] = np.array([to_rgb(KINDS[k % len(KINDS)]) for k in kinds])
    edges = np.arange(len(lines) + len(strips) + 1)
    ax.pcolormesh(np.arange(count + 1), edges, picture, shading="flat", rasterized=True)
    for edge in edges:
        ax.axhline(edge, color="white", linewidth=2.5 if edge == len(lines) else 1.2)
    if count <= 60:
        for edge in range(count + 1):
            ax.axvline(edge, color="white", linewidth=0.5)
    ax.set_ylim(edges[-1], 0)
    ax.set_yticks(edges[:-1] + 0.5, [*(name for name, _ in lines), *(name for name, _ in strips)], fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)


def _explain(ax: Any, lines: list[tuple[str, Any]]) -> None:
    """The legend: only of what occurs."""
    from matplotlib.patches import Patch

    found: set[int] = set()
    for _, line in lines:
        if line is not None:
            count = int(max(line[0].train.max(), line[0].test.max())) + 1
            found |= set(_roles(count, *line).tolist())
    shown = sorted(found - {_UNUSED})
    handles = [Patch(color=_SHADES[role], label=_NAMES[role]) for role in shown]
    if any(line and line[1] is not None for _, line in lines):
        handles.append(Patch(facecolor="white", edgecolor="#B8B8B8", label="test rows, kept from the choice"))
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8, borderaxespad=0)
