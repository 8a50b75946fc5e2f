"""tune: a search over configurations whose trials are trained as populations."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import nest
from pellucid.data import Dataset
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, boolean, optional, positive, require
from pellucid.select import executors
from pellucid.select.folds import Fold, as_splitter, folds_of
from pellucid.select.grid import sort_out
from pellucid.select.makers import Maker, check_source, is_estimator
from pellucid.select.preparing import Inputs
from pellucid.select.results import rows_of
from pellucid.select.scoring import scores_of
from pellucid.select.splitters import Holdout
from pellucid.select.task import Task
from pellucid.select.tuning.found import Search
from pellucid.select.tuning.goals import Goal, check_direction, check_space, goal_of
from pellucid.select.tuning.library import optuna, quiet
from pellucid.select.tuning.progress import TrialProgress
from pellucid.select.tuning.proposals import Proposer
from pellucid.select.tuning.records import TrialRecord, is_counted, record_of
from pellucid.select.tuning.runner import Limits, Runner
from pellucid.select.tuning.samplers import WholeGrid, pruner_of, sampler_of
from pellucid.select.tuning.storage import close, open_storage
from pellucid.select.tuning.turns import Place
from pellucid.select.validation import as_labels, targets
from pellucid.train import Callback

#: Trials of one turn: where earlier trials guide later ones or judge them, and where nothing is lost by asking ahead.
AT_ONCE, AT_ONCE_BLIND = 8, 32
_TRIALS = 50
#: How often a configuration is drawn until one is not refused.
_PROBES = 10


def tune(
    build: Any,
    x: Any,
    y: Any = None,
    *,
    space: Any = None,
    trials: int | None = None,
    sampler: Any = "tpe",
    pruner: Any = "none",
    validation: Any = 0.2,
    groups: Any = None,
    preprocess: Any = None,
    scoring: Any = None,
    epochs: int = 1,
    batch_size: int | None = 32,
    seed: int = 0,
    callbacks: Any = (),
    shuffle: bool = True,
    sample_weight: Any = None,
    storage: Any = None,
    name: str = "pellucid",
    resume: bool = True,
    at_once: int | None = None,
    time_limit: float | None = None,
    executor: str = "threads",
    n_jobs: int | None = None,
    on_trial: Callable[[TrialRecord], Any] | None = None,
    verbose: str | int = "auto",
) -> Search:
    """Search for the parameters with the best score on validation rows, by Optuna, training several trials at once.

    Trials are asked for in turns of ``at_once``; those of one structure train as one population: one plan, shared data.
    Each is bit for bit the fit alone: after ``set_seed(seed)`` the model is built, and fitted with ``fit(x[train],
    y[train], seed=seed, ...)``. The same seed gives the same trials and the same bits, however many threads there are,
    with a pruner too (see :mod:`pellucid.select.tuning.pruning`); not where several processes share a storage.

    Args:
        build: With a ``space``: a compiled Model, a function that builds one (its arguments are parameters), or an
            estimator of scikit-learn's form. Without: a function of a trial, which asks the trial for every value
            (``trial.suggest_float("learning_rate", 1e-4, 1, log=True)``, ``suggest_int``, ``suggest_categorical``) and
            returns a compiled model, so that parameters may depend on each other, such as the units of each of as many
            layers as were suggested. Begin the model with an ``Input``. What it calls ``batch_size`` or ``epochs`` sets
            those of the fit.
        x, y: Samples and targets; or ``x`` is a :class:`pellucid.data.Dataset`, whose training examples are taken.
        space: Name -> ``(low, high)``, ``(low, high, "log")``, a ``range``, a list of values, or a distribution of
            Optuna's; or a function of a trial that returns a dict of values. ``learning_rate``, ``momentum``, ``l2``,
            ``dropout``, ``batch_size``, ``epochs``, ``optimizer`` and the arguments of ``build`` may be there.
        trials: How many trials there shall be, those counted that the storage holds already; by default 50, or the
            whole grid.
        sampler: ``"tpe"``, ``"random"``, ``"grid"``, ``"cmaes"`` or a sampler of Optuna's.
        pruner: ``"none"``, ``"median"``, ``"hyperband"`` or a pruner of Optuna's: ends trials after an epoch whose
            validation score (or else loss) is hopeless.
        validation: Share of the rows that judges the trials; ``(x, y)`` that does; or folds, as ``cv`` of
            :func:`cross_validate`: then the score of a trial is the mean over folds.
        groups, preprocess, scoring: As for :func:`cross_validate`.
        epochs, batch_size, shuffle, sample_weight: As for ``Model.fit``.
        seed: Of the sampler, the split, and every member.
        callbacks: A list of which each member gets copies, or a function from the :class:`Member` to its callbacks.
            Early stopping may watch ``val_loss``: that of the rows that judge the trials.
        storage: Where the search is kept: None (memory), ``"search.journal"``, ``"sqlite:///search.db"``,
            ``"postgresql://..."`` or a storage of Optuna's. Several processes may work on one at once. Trials whose
            process was killed are tried again.
        name: The name of the search in the storage.
        resume: Whether to go on with a search of that name, where there is one. The trials that follow are others than
            those of one go: samplers do not keep their state.
        at_once: How many trials are asked for at once; by default 8, or 32 where no trial depends on earlier ones. More
            fill a machine of many cores, fewer let the sampler and the pruner learn sooner.
        time_limit: Seconds after which no further turn begins.
        executor, n_jobs: Where members train, as for :func:`cross_validate`.
        on_trial: Called with the record of every trial that is done.
        verbose: ``"auto"`` (a bar in a terminal), 0 (nothing), 1 (a bar) or 2 (a line for each trial that is the best).

    Returns:
        The search: ``.results``, ``.summary()``, ``.best_params_``, ``.model`` (the best trial's), ``.refit()``,
        ``.curves``, ``.study`` (Optuna's). Ctrl-C ends it and returns what is there.

    Raises:
        ConfigurationError: An argument does not fit; nothing was trained.
        DataError: The data cannot be used or split so, or every trial failed.
        MissingDependencyError: Optuna, or the driver of a database, is not installed.

    Source: T. Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019; J. Bergstra et
    al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011 (TPE); L. Li et al., "Hyperband", JMLR 18, 2018.

    >>> from sklearn.datasets import load_iris
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> x, y = load_iris(return_X_y=True)
    >>> def build(units):
    ...     model = Sequential([Input((4,)), Dense(units, activation="tanh"), Dense(3, activation="softmax")])
    ...     model.compile("categorical_crossentropy", "adam", ["accuracy"])
    ...     return model
    >>> search = tune(build, x, y, space={"units": [4, 16], "learning_rate": (1e-4, 0.1, "log")}, trials=12, epochs=20,
    ...               verbose=0)
    >>> len(search.results), search.best_score_ > 0.9, sorted(search.best_params_)
    (12, True, ['learning_rate', 'units'])
    """
    started = time.perf_counter()
    _check(build, trials, epochs, seed, resume, at_once, time_limit, executor, n_jobs)
    proposer = Proposer(build, space, seed)
    task, place = _prepared(
        proposer, _data(x, y, validation), groups, Place((), seed, executor, n_jobs), preprocess=preprocess,
        scores=scores_of(scoring), epochs=epochs, batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight,
        callbacks=[callbacks] if isinstance(callbacks, Callback) else callbacks,
    )  # fmt: skip
    asked = Asked(trials, sampler, pruner, storage, name, resume, at_once, time_limit, on_trial, verbose)
    return _run(proposer, task, place, asked, started)


@dataclass(frozen=True)
class Asked:
    """How a search shall go on: the arguments of ``tune`` of these names."""

    trials: int | None
    sampler: Any
    pruner: Any
    storage: Any
    name: str
    resume: bool
    at_once: int | None
    time_limit: float | None
    on_trial: Callable[[TrialRecord], Any] | None
    verbose: str | int


def _prepared(
    proposer: Proposer, data: tuple[Any, Any, Any], groups: Any, place: Place, *, preprocess: Any, **fitting: Any
) -> tuple[Task, Place]:
    """What all members share, with a probe of the configurations, and the rows that they train on."""
    x, y, validation = data
    inputs = Inputs(x, preprocess, None if isinstance(y, (tuple, dict)) else as_labels(y))
    count, probe = rows_of(x), _probe(proposer, place.seed)
    if rows_of(y) != count:
        raise DataError(f"x has {count} samples but y has {rows_of(y)}.")
    task = Task(proposer.source, inputs, y, count, [probe], watch=True, train_scores=False, **fitting)
    folds = _folds(task, validation, groups, place.seed)
    return dataclasses.replace(task, keep_models=len(folds) == 1), dataclasses.replace(place, folds=folds)


def _run(proposer: Proposer, task: Task, place: Place, asked: Asked, started: float) -> Search:
    """The search itself."""
    (probe,) = task.configurations
    goal = goal_of(task.scores, task.source, probe)
    pruner = pruner_of(asked.pruner, None if "epochs" in probe else task.epochs)
    sampler = sampler_of(asked.sampler, place.seed, proposer.space)
    opened = open_storage(asked.storage)  # last: what is refused makes no file
    study = _study(opened, asked, sampler, pruner, goal)
    check_space(study, proposer.space)
    limits = _limits(asked, study, blind=pruner is None)
    with _progress(limits.trials, asked.verbose, goal, study) as progress:
        runner = Runner(
            study, proposer, task, place, goal, limits, prunes=pruner is not None,
            sampler=_drawn_on(asked.sampler, place.seed), on_trial=asked.on_trial, progress=progress,
        )  # fmt: skip
        runner.run()
    _require_some(study, runner)
    seconds = time.perf_counter() - started
    found = Search(study, goal, task, proposer, place, runner.best, seconds=seconds, interrupted=runner.interrupted)
    close(opened)
    return found


def _progress(total: int, verbose: str | int, goal: Goal, study: Any) -> TrialProgress:
    """What is shown, from what the storage holds on."""
    known = study.get_trials(deepcopy=False)
    values = [trial.value for trial in known if trial.state is optuna.trial.TrialState.COMPLETE]
    best = (max if goal.larger_is_better else min)(values, default=None)
    return TrialProgress(total, verbose, goal, done=sum(map(is_counted, known)), best=best)


def _check(
    build: Any, trials: Any, epochs: Any, seed: Any, resume: Any, at_once: Any, limit: Any, executor: Any, jobs: Any
) -> None:
    check_source(build)
    require("tune", "trials", trials, optional(Integer(1)))
    require("tune", "epochs", epochs, Integer(1))
    require("tune", "seed", seed, Integer(0))
    require("tune", "resume", resume, boolean)
    require("tune", "at_once", at_once, optional(Integer(1)))
    require("tune", "time_limit", limit, optional(positive))
    executors.get(executor, jobs)


def _data(x: Any, y: Any, validation: Any) -> tuple[Any, Any, Any]:
    """Samples, targets, and how they are split; samples that are given for validation are added as the last rows."""
    if isinstance(x, Dataset):
        if y is not None:
            raise ConfigurationError("tune: a Dataset holds its targets; leave y out.")
        x, y = x.train
    if y is None:
        raise ConfigurationError("tune: y, the targets, are missing.")
    if not (isinstance(validation, tuple) and len(validation) == 2):
        return x, y, validation
    before, after = rows_of(x), rows_of(validation[0])
    rows = np.arange(before), np.arange(before, before + after)
    return _joined("x", x, validation[0]), _joined("y", y, validation[1]), [rows]


def _joined(what: str, first: Any, second: Any) -> Any:
    if isinstance(first, (tuple, dict)):
        return nest.map(lambda a, b: _joined(what, a, b), first, second)
    first, second = np.asarray(first), np.asarray(second)
    if first.shape[1:] != second.shape[1:]:
        raise DataError(
            f"validation: its {what} has samples of shape {list(second.shape[1:])}, those of {what} are "
            f"{list(first.shape[1:])}."
        )
    return np.concatenate([first, second])


def _probe(proposer: Proposer, seed: int) -> Any:
    """A configuration from which is seen what models are like: their loss and their metrics."""
    with quiet():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for left in reversed(range(_PROBES)):
        try:
            found = proposer.propose(study.ask())
            if not is_estimator(proposer.source):
                maker = Maker(proposer.source)
                maker(sort_out(found, maker.arguments), seed)
            return found
        except Exception:  # one that is refused says nothing about the others
            if not left:
                raise
    raise AssertionError("the last one is returned or raised")


def _folds(task: Task, validation: Any, groups: Any, seed: int) -> list[Fold]:
    found = targets(task, groups)
    if isinstance(validation, (float, np.floating)):
        validation = Holdout(float(validation), seed)
    folds = folds_of(as_splitter(validation, found, seed), found, seed)
    if any(fold.inner for fold in folds):
        raise ConfigurationError(
            "tune: validation cannot be nested: the search is the inner one.",
            hint="call tune on the training rows of each outer fold",
        )
    return folds


def _study(opened: Any, asked: Asked, sampler: Any, pruner: Any, goal: Goal) -> Any:
    with quiet():
        try:
            study = optuna.create_study(
                storage=opened, study_name=asked.name, load_if_exists=asked.resume, direction=goal.direction,
                sampler=sampler, pruner=pruner or optuna.pruners.NopPruner(),
            )  # fmt: skip
        except optuna.exceptions.DuplicatedStudyError:
            raise ConfigurationError(
                f"The storage holds a search called {asked.name!r} already.",
                hint="resume=True (--resume) goes on with it; another name= (--name) begins a new one",
            ) from None
    check_direction(study, goal)
    if "pellucid:goal" not in study.user_attrs:
        study.set_user_attr("pellucid:goal", goal.name)
    return study


def _drawn_on(sampler: Any, seed: int) -> Callable[[int], Any] | None:
    """Makes the sampler of a call whose first trial has some number.

    A search that goes on, and another process beside this one, must not draw the same again: only trial 0 begins with
    the seed itself. A grid is the same grid for all of them.
    """
    if not isinstance(sampler, str) or sampler == "grid":
        return None

    def make(number: int) -> Any:
        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed
        return sampler_of(sampler, own, None)

    return make


def _limits(asked: Asked, study: Any, *, blind: bool) -> Limits:
    sampler = study.sampler
    wanted = asked.trials or _TRIALS
    if isinstance(sampler, WholeGrid):
        wanted = min(asked.trials or sampler.size, sampler.size)
    ahead = blind and isinstance(sampler, (optuna.samplers.RandomSampler, optuna.samplers.GridSampler))
    return Limits(wanted, asked.at_once or (AT_ONCE_BLIND if ahead else AT_ONCE), asked.time_limit)


def _require_some(study: Any, runner: Runner) -> None:
    """There must be a complete trial to speak of.

    Raises:
        DataError: Every trial failed.
        KeyboardInterrupt: Ctrl-C came before the first was done.
    """
    records = [record_of(trial) for trial in study.get_trials(deepcopy=False)]
    if any(record.state == "complete" for record in records):
        return
    if runner.interrupted:
        raise KeyboardInterrupt
    failed = [record for record in records if record.state == "failed"]
    if not failed:
        raise DataError("No trial was completed.", hint="raise trials= or time_limit=, or prune less")
    raise DataError(f"Every trial failed, the first one so: {failed[0].report.failure}") from runner.error
