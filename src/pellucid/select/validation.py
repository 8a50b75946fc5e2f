"""cross_validate: folds x seeds x configurations, trained at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, Interval, boolean, require
from pellucid.nn import losses
from pellucid.select import executors
from pellucid.select.answers import Answers
from pellucid.select.folds import Fold, Targets, as_splitter, folds_of, targets_of
from pellucid.select.grid import configurations, sort_out
from pellucid.select.makers import Maker, check_source, is_estimator
from pellucid.select.members import Member, Outcome, Task
from pellucid.select.preparing import Inputs
from pellucid.select.progress import Progress
from pellucid.select.results import CrossValidation, rows_of, run_task
from pellucid.select.scores import Scores, names_of
from pellucid.select.scoring import scores_of
from pellucid.select.splitters import Bootstrap
from pellucid.train import Callback, Model, Recorder
from pellucid.train.checks import as_array
from pellucid.train.history import smaller_is_better
from pellucid.train.recording.recorder import as_recorder
from pellucid.train.targets import class_labels

#: Share of a member's training rows that early stopping watches, where nothing else is said.
_WATCHED = 0.1


def cross_validate(
    model: Any,
    x: Any,
    y: Any,
    *,
    cv: Any = 5,
    grid: Any = None,
    groups: Any = None,
    preprocess: Any = None,
    scoring: Any = None,
    epochs: int = 1,
    batch_size: int | None = 32,
    seed: int = 0,
    seeds: int | Sequence[int] = 1,
    callbacks: Any = (),
    validation_split: float | None = None,
    watch: bool = False,
    shuffle: bool = True,
    sample_weight: Any = None,
    train_scores: bool = True,
    keep_models: bool = False,
    record: str | Recorder | None = "off",
    every: int | None = None,
    executor: str = "threads",
    n_jobs: int | None = None,
    verbose: str | int = "auto",
) -> CrossValidation:
    """Train a model on every fold, with every seed and every configuration of a grid, and judge it by the other rows.

    All fits of one structure train as one population: one plan, shared data, as many at a time as there are cores. Each
    is bit for bit the fit alone: after ``set_seed(s)`` the model is built, and fitted with ``fit(x[train], y[train],
    seed=s, ...)``.

    Args:
        model: A compiled Model (copies of it start from fresh parameters); a function that builds and compiles one,
            whose arguments are parameters of the grid; or an estimator in scikit-learn's form, whose parameters are,
            and which is fitted in scikit-learn's way, one after the other or in ``processes``.
        x: The samples: an array, a data frame, a tuple or dict of arrays for several inputs.
        y: The targets.
        cv: A number of folds (by groups where ``groups`` are given, stratified where targets are classes, shuffled by
            the seed); a scheme by name (see :func:`splitter`); a splitter of scikit-learn's, a ``Bootstrap`` or a
            ``Nested``; or (train, test) pairs.
        grid: Name -> list of values, or a list of such dicts. ``learning_rate``, ``momentum``, ``l2`` and ``dropout``
            are numbers of a member; ``batch_size``, ``epochs``, ``optimizer`` and the arguments of a function may be
            there, too: each of their values is a population of its own.
        groups: The group of every row, for schemes that keep groups together.
        preprocess: A transformer of scikit-learn's, or a list of them; fitted on the training rows of each fold only.
            So are Normalization layers that begin a model.
        scoring: Scores beside the model's own metrics: names (of metrics, or of scikit-learn's scorers and functions),
            functions ``f(y_true, y_pred)``, scorers; one, a list, or a dict. The first one decides which is best;
            without it the model's first metric, or else the loss.
        epochs, batch_size, shuffle, sample_weight: As for ``Model.fit``.
        seed: Of the folds, and the first seed of the members.
        seeds: How many seeds each fold and configuration is trained with, or the seeds.
        callbacks: A list of which each member gets copies, or a function from the :class:`Member` to its callbacks.
        validation_split: Share of a member's training rows set apart to watch while it trains; by default 0.1 where
            early stopping watches a ``val_`` number, else 0.
        watch: Measure the test rows after each epoch, for error curves. Callbacks then see them, too.
        train_scores: Whether training rows are scored.
        keep_models: Whether each trained model is kept, in ``scores.outcomes``.
        record, every: What is recorded of every fit, as for ``Model.fit``; ``.recordings`` has one for each, in memory,
            and ``.recorded()`` all of them as one table. An estimator is told by a parameter of its own.
        executor: ``"threads"`` of this process, ``"processes"`` of this machine, or ``"ray"``: a cluster. The results
            are the same bits (see :mod:`pellucid.select.executors` for when each is worth it).
        n_jobs: How many threads, processes or workers; by default as many as there are cores.
        verbose: ``"auto"`` (a bar in a terminal), 0 (nothing) or 1 (a bar).

    Returns:
        The results: ``.results``, ``.summary()``, ``.cv_results_``, ``.predictions``, ``.refit()``. Ctrl-C ends all
        fits and returns those that were finished.

    Raises:
        ConfigurationError: An argument does not fit; nothing was trained.
        DataError: The data cannot be used or split so.

    Source: M. Stone, "Cross-validatory choice and assessment of statistical predictions", JRSS B 36, 1974; deck 000.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import StandardScaler
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> x, y = load_iris(return_X_y=True)
    >>> model = Sequential([Input((4,)), Dense(8, activation="tanh"), Dense(3, activation="softmax")])
    >>> model.compile("categorical_crossentropy", "adam", ["accuracy"])
    >>> found = cross_validate(model, x, y, cv=5, grid={"learning_rate": [0.001, 0.03]}, epochs=15,
    ...                        preprocess=StandardScaler(), verbose=0)
    >>> found.best_params_, len(found.results), found.best_score_ > 0.9
    ({'learning_rate': 0.03}, 10, True)
    """
    started = time.perf_counter()
    check_source(model)
    executors.get(executor, n_jobs)
    chosen = member_seeds(seed, seeds)
    count = rows_of(x)
    task = Task(
        model, Inputs(x, preprocess, None if isinstance(y, (tuple, dict)) else as_labels(y)), y, count,
        configurations(grid), scores_of(scoring), epochs, batch_size, shuffle, sample_weight,
        _split(callbacks, validation_split, watch), watch, _listed(callbacks), train_scores, keep_models,
        recorder=_recorder(model, record, every),
    )  # fmt: skip
    check_task(task)
    return _run(task, cv, groups, chosen, seed, verbose, started, (executor, n_jobs))


def _run(
    task: Task,
    cv: Any,
    groups: Any,
    seeds: list[int],
    seed: int,
    verbose: str | int,
    started: float,
    where: tuple[str, int | None],
) -> CrossValidation:
    found = targets(task, groups)
    splitter = as_splitter(cv, found, seed)
    folds = folds_of(splitter, found, seed)
    plan = Plan.of(len(task.configurations), folds, seeds, task.count, whole=isinstance(splitter, Bootstrap))
    with Progress(len(plan.members), verbose) as progress:
        outcomes = run_task(task, plan.members, progress, *where)
    primary, larger = deciding(task, outcomes)
    made = [Scores(task.configurations, part, seeds, own, larger, primary) for part, own in plan.parts(outcomes)]
    return CrossValidation(
        task, made[0], answers_of(task, outcomes), seconds=time.perf_counter() - started,
        notes=_notes(task, made[0], outcomes, plan), whole=plan.whole_of(outcomes), inner=made[1:],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Plan:
    """Which members there are, and what they are for.

    Attributes:
        members: All of them: those of the folds, then those of the inner folds of each, then those of all rows.
        groups: The folds of each part.
        sizes: The number of members of each part.
    """

    members: list[Member]
    groups: list[Sequence[Fold]]
    sizes: list[int]

    @classmethod
    def of(cls, count: int, folds: Sequence[Fold], seeds: Sequence[int], rows: int, *, whole: bool) -> Plan:
        """Every configuration on every fold with every seed; ``whole``: and on all rows."""
        inner = [fold.inner for fold in folds if fold.inner]
        groups: list[Sequence[Fold]] = [folds, *inner]
        parts = [[Member(c, fold, s) for c in range(count) for fold in part for s in seeds] for part in groups]
        everything = Fold(0, -1, np.arange(rows), np.arange(rows))
        extra = [Member(c, everything, s) for c in range(count) for s in seeds] if whole else []
        return cls([m for part in parts for m in part] + extra, groups, [len(part) for part in parts])

    def parts(self, outcomes: Sequence[Outcome]) -> list[tuple[Sequence[Fold], Sequence[Outcome]]]:
        """The folds and the outcomes of each part."""
        ends = np.cumsum([0, *self.sizes])
        return [(g, outcomes[a:b]) for g, a, b in zip(self.groups, ends[:-1], ends[1:], strict=True)]

    def whole_of(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """The outcomes of members that were trained on all rows."""
        return outcomes[sum(self.sizes) :]


def member_seeds(seed: int, seeds: Any) -> list[int]:
    """The seeds of the members of a fold: so many from ``seed`` on, or those given."""
    require("cross_validate", "seed", seed, Integer(0))
    if isinstance(seeds, (int, np.integer)):
        require("cross_validate", "seeds", seeds, Integer(1))
        return [int(seed) + k for k in range(int(seeds))]
    found = list(seeds)
    for own in found or [None]:
        require("cross_validate", "seeds", own, Integer(0))
    if len(set(found)) < len(found):
        raise ConfigurationError(f"cross_validate: seeds holds one seed twice: {found}.")
    return [int(own) for own in found]


def _recorder(source: Any, record: Any, every: int | None) -> Recorder | None:
    """What each fit records."""
    found = as_recorder(record, every)
    if found is not None and is_estimator(source):
        raise ConfigurationError(
            f"cross_validate: record={record!r} is for models; {type(source).__name__} is an estimator, which fits in "
            "its own way.",
            hint='an estimator of Pellucid records by a parameter of its own: MLPClassifier(record="stats")',
        )
    if found is not None and found.path is not None:
        raise ConfigurationError(
            f"cross_validate: the fits would all write to one folder, {str(found.path)!r}: their recordings are kept "
            "in memory.",
            hint="leave out path=",
        )
    return found


def as_labels(y: Any) -> np.ndarray:
    """Targets as an array, texts too."""
    return y if isinstance(y, np.ndarray) else np.asarray(y)


def _listed(callbacks: Any) -> Any:
    return [callbacks] if isinstance(callbacks, Callback) else callbacks


def _watches_validation(callbacks: Any) -> bool:
    given = _listed(callbacks)
    if callable(given):
        return False
    keys = [getattr(getattr(c, "_monitor", None), "key", "") for c in given]
    return any(str(key).startswith("val_") for key in keys)


def _split(callbacks: Any, given: float | None, watch: bool) -> float:
    require("cross_validate", "watch", watch, boolean)
    if given is None:
        return 0.0 if watch or not _watches_validation(callbacks) else _WATCHED
    require("cross_validate", "validation_split", given, Interval(0, 1, closed="left"))
    if given and watch:
        raise ConfigurationError("cross_validate: give validation_split or watch=True, not both.")
    return float(given)


def check_task(task: Task) -> None:
    """Refuse what would only fail after some members were trained.

    Raises:
        ConfigurationError: A name of the grid is unknown.
        DataError: There is not one target for every sample.
    """
    length = rows_of(task.y, "y")
    if length != task.count:
        raise DataError(f"x has {task.count} samples but y has {length}.")
    if is_estimator(task.source):
        for configuration in task.configurations:
            own: Any = clone(task.source)
            try:
                own.set_params(**configuration)
            except ValueError as error:
                raise ConfigurationError(f"grid: {str(error).rstrip('.')}.") from None
        return
    maker = Maker(task.source)
    for configuration in task.configurations:
        sort_out(configuration, maker.arguments)


def targets(task: Task, groups: Any = None) -> Targets:
    """What splitters look at: classes, where the targets are classes."""
    first = next(iter(task.y.values())) if isinstance(task.y, dict) else task.y
    first = first[0] if isinstance(first, tuple) else first
    if is_estimator(task.source):
        y = as_labels(first)
        return targets_of(task.count, y if is_classifier(task.source) and y.ndim == 1 else None, y, groups)
    y = as_array(first, "y")
    return targets_of(task.count, class_labels(y, _loss(task)), y, groups)


def _loss(task: Task) -> losses.Loss:
    """The loss of the (first) output."""
    maker = Maker(task.source)
    model: Model = maker(sort_out(task.configurations[0], maker.arguments), 0)
    request = model._objective_request
    assert request is not None, "a maker gives compiled models"
    given = request[0]
    given = next(iter(given.values())) if isinstance(given, dict) else given
    return losses.get(given[0] if isinstance(given, (list, tuple)) else given)


def deciding(task: Task, outcomes: Sequence[Outcome]) -> tuple[str, dict[str, bool]]:
    """The score that decides, and which way is better of every score."""
    larger = {score.name: score.larger_is_better for score in task.scores}
    names = names_of(outcomes)
    if not names:
        failures = {outcome.failure for outcome in outcomes}
        if failures == {"interrupted"}:
            raise KeyboardInterrupt
        raise DataError(f"Every fit failed, the first one so: {outcomes[0].failure}")
    larger |= {name: not smaller_is_better(name) for name in names if name not in larger}
    if task.scores:
        return task.scores[0].name, larger
    return next((name for name in names if "loss" not in name), names[0]), larger


def answers_of(task: Task, outcomes: Sequence[Outcome]) -> Answers:
    """What the outputs mean."""
    if is_estimator(task.source):
        return Answers(np.unique(as_labels(task.y)) if is_classifier(task.source) else None)
    shown = next((outcome.outputs for outcome in outcomes if outcome.outputs is not None), None)
    if shown is None:
        return Answers(None)
    return Answers.of(_loss(task), as_array(task.y, "y"), int(np.prod(shown.shape[1:])))


def _notes(task: Task, scores: Scores, outcomes: Sequence[Outcome], plan: Plan) -> list[str]:
    found = []
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    if failed:
        found.append(f"{len(failed)} of {len(outcomes)} fits have no score or not all, the first: {failed[0].failure}")
    if task.watch and _watches_validation(task.callbacks):
        found.append(
            "the test rows decided when training stopped, so that these scores are too good; "
            "validation_split=0.1 watches training rows instead"
        )
    if len(task.configurations) > 1 and len(plan.groups) == 1:
        found.append("the best of several means is too good as an estimate; cv='nested' gives an honest one")
    return found
