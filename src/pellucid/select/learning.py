"""Learning curves: the score over the number of training samples, all sizes trained as one population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import seeds as random
from pellucid.errors import ConfigurationError, DataError
from pellucid.select import executors
from pellucid.select.axes import BLUE, RED, axes_for, band, deviation, quiet, spoken
from pellucid.select.folds import Fold, folds_of
from pellucid.select.grid import configurations
from pellucid.select.makers import check_source
from pellucid.select.members import Member, Task
from pellucid.select.preparing import Inputs
from pellucid.select.progress import Progress
from pellucid.select.results import rows_of, run_task
from pellucid.select.scores import Scores, member_table
from pellucid.select.scoring import scores_of
from pellucid.select.table import Table
from pellucid.select.validation import as_labels, check_task, deciding, member_seeds, targets


class LearningCurve:
    """What ``learning_curve`` returns.

    Attributes:
        sizes: Training rows of each point.
        scores: The outcomes as arrays [size, fold, seed].
    """

    def __init__(self, sizes: Sequence[int], scores: Scores) -> None:
        self.sizes, self.scores = np.array(sizes), scores

    @property
    def results(self) -> Table:
        """One row per fit."""
        return member_table(self.scores)

    def plot(self, score: str | None = None, ax: Any = None) -> Any:
        """The score on training rows and on test rows over the number of training rows; bands: deviation of fits."""
        name = self.scores.checked(score)
        ax = axes_for("LearningCurve.plot", ax)
        for part, label, colour, marker, line in (
            ("train", "training rows", BLUE, "o", "-"), ("test", "test rows", RED, "^", "--"),
        ):  # fmt: skip
            flat = self.scores.cube(name, part).reshape(len(self.sizes), -1)
            if not np.isnan(flat).all():
                band(
                    ax, self.sizes, flat.mean(axis=1), deviation(flat, 1), label, colour, marker=marker, linestyle=line
                )
        ax.set(xlabel="training samples", ylabel=spoken(name))
        ax.legend(frameon=False)
        quiet(ax)
        return ax

    def __repr__(self) -> str:
        means = self.scores.mean()
        shown = ", ".join(f"{size}: {mean:.4f}" for size, mean in zip(self.sizes.tolist(), means, strict=True))
        return f"LearningCurve({self.scores.primary} of {shown})"


def learning_curve(
    model: Any,
    x: Any,
    y: Any,
    *,
    sizes: Any = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0),
    cv: Any = 5,
    groups: Any = None,
    preprocess: Any = None,
    scoring: Any = None,
    seed: int = 0,
    seeds: int | Sequence[int] = 1,
    epochs: int = 1,
    batch_size: int | None = 32,
    executor: str = "threads",
    n_jobs: int | None = None,
    verbose: str | int = "auto",
) -> LearningCurve:
    """The score over the number of training samples.

    A smaller part is contained in the larger ones; classes keep their shares in it.

    Args:
        model, x, y, cv, groups, preprocess, scoring, seed, seeds, epochs, batch_size, executor, n_jobs, verbose:
            As for :func:`cross_validate`.
        sizes: Shares of the training rows of a fold (fractions up to 1.0), or numbers of rows.

    Raises:
        ConfigurationError: A size is not between 1 row and all training rows of a fold.
        DataError: The data cannot be used or split so.

    >>> from sklearn.datasets import load_iris
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> x, y = load_iris(return_X_y=True)
    >>> model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    >>> model.compile("categorical_crossentropy", "adam", ["accuracy"])
    >>> learning_curve(model, x, y, sizes=[0.1, 1.0], epochs=2, verbose=0).sizes.tolist()
    [12, 120]
    """
    check_source(model)
    executors.get(executor, n_jobs)
    count, own_seeds = rows_of(x), member_seeds(seed, seeds)
    task = Task(
        model, Inputs(x, preprocess, None if isinstance(y, (tuple, dict)) else as_labels(y)), y, count,
        configurations(None), scores_of(scoring), epochs, batch_size,
    )  # fmt: skip
    check_task(task)
    found = targets(task, groups)
    folds = folds_of(cv, found, seed)
    numbers = _sizes(sizes, min(len(fold.train) for fold in folds))
    members = [Member(0, part, s) for part in _parts(folds, numbers, found.labels, seed) for s in own_seeds]
    with Progress(len(members), verbose) as progress:
        outcomes = run_task(task, members, progress, executor, n_jobs)
    primary, larger = deciding(task, outcomes)
    points = [{"samples": n} for n in numbers]
    return LearningCurve(numbers, Scores(points, folds, own_seeds, outcomes, larger, primary))


def _parts(folds: Sequence[Fold], numbers: Sequence[int], labels: np.ndarray | None, seed: int) -> list[Fold]:
    """Each fold with so many of its training rows, for each number."""
    orders = [_spread_out(fold.train, labels, seed) for fold in folds]
    return [
        Fold(fold.repeat, fold.number, np.sort(order[:n]), fold.test)
        for n in numbers
        for fold, order in zip(folds, orders, strict=True)
    ]


def _sizes(given: Any, most: int) -> list[int]:
    values = np.asarray(given)
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not len(values) or not np.isfinite(values).all():
        raise ConfigurationError(
            f"learning_curve: sizes must be a list of shares or of numbers of rows, not {given!r}."
        )
    if values.dtype.kind == "f":
        values = np.rint(values * most) if (values <= 1).all() else values
    found = sorted({int(v) for v in values})
    if found[0] < 1 or found[-1] > most:
        wrong = found[0] if found[0] < 1 else found[-1]
        raise ConfigurationError(
            f"learning_curve: {wrong} training rows are not between 1 and the {most} of the smallest fold."
        )
    return found


def _spread_out(rows: np.ndarray, labels: np.ndarray | None, seed: int) -> np.ndarray:
    """Rows in a random order, every beginning of which holds the classes in their proportions."""
    draws = random.generator(seed, 0x5123).random(len(rows))
    if labels is None:
        return rows[np.argsort(draws)]
    classes = np.unique(labels[rows], return_inverse=True)[1]
    keys = np.empty(len(rows))
    for number in range(int(classes.max()) + 1):
        own = np.flatnonzero(classes == number)
        if not len(own):
            raise DataError("learning_curve: a class has no row.")
        keys[own[np.argsort(draws[own])]] = (np.arange(len(own)) + 0.5) / len(own)
    return rows[np.lexsort([draws, keys])]
