"""``pellucid tune``: a search over the parameters of a recipe from the command line."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import config
from pellucid.data import Dataset
from pellucid.errors import ConfigurationError, DataError, NonFiniteError, unknown_name
from pellucid.select.grid import FITTING, sort_out
from pellucid.select.makers import Maker
from pellucid.select.search_plots import plot_curves, plot_history, plot_importance, plot_parallel_coordinates
from pellucid.select.test_sets import TestSetSeenWarning, evaluate_once
from pellucid.select.tuning.found import Search
from pellucid.select.tuning.search import tune
from pellucid.select.tuning.shaping import Shaper, default_space
from pellucid.select.tuning.spelling import parse_space, spoken_space
from pellucid.train import EarlyStopping, recipe, run_folder
from pellucid.train.files import write_atomically
from pellucid.train.progress import written
from pellucid.train.recipe import TrainingOptions
from pellucid.train.run_folder import RunRecord

JOURNAL, RESULTS, BEST = "search.journal", "results.csv", "best_parameters.json"
_VALIDATION = 0.2
#: Below so many training examples a fifth of them is too few to judge by: folds do, this many.
_FEW, _FOLDS = 1_000, 5
_PLOTS = {"history": plot_history, "parallel_coordinates": plot_parallel_coordinates, "importance": plot_importance,
          "curves": plot_curves}  # fmt: skip


@dataclass(frozen=True)
class TuningRequest:
    """What was asked for on the command line.

    Attributes:
        data: Name or path of the data set.
        model: mlp, lenet5 or the path of a recipe.
        options: How to train.
        space: ``name=low:high`` or ``name=value,value`` each; none for the usual one.
        trials, sampler, pruner: As for ``tune``.
        validation, folds: What judges the trials, where it was given.
        storage, name: Where the search is kept, and under which name.
        resume: Whether to go on with a search of that name.
        time_limit, at_once, seed: As for ``tune``.
        backend: What runs the compiled steps.
        executor, jobs: Where trials are trained, and how many workers.
        out: The run folder, or None for a new one.
    """

    data: str
    model: str
    options: TrainingOptions
    space: Sequence[str] = ()
    trials: int | None = None
    sampler: str = "tpe"
    pruner: str = "median"
    validation: float | None = None
    folds: int | None = None
    storage: str | None = None
    name: str | None = None
    resume: bool = False
    time_limit: float | None = None
    at_once: int | None = None
    seed: int = 0
    backend: str = "auto"
    executor: str = "threads"
    jobs: int | None = None
    out: str | None = None


def run_tuning(examples: Dataset, request: TuningRequest) -> Search:
    """Search on the training examples, train the best on all of them, look at the test examples, fill a run folder.

    Raises:
        ConfigurationError, DataError: Something does not fit; nothing was trained, and no folder is left behind.
    """
    _check(request)
    _, preferred = recipe.build(request.model, examples)
    options = request.options.over(preferred)
    space = parse_space(request.space) or default_space(request.model, examples, request.options, options)
    shaper = Shaper(request.model, examples, options, request.backend, space)
    _try_ends(shaper, space, examples, request.seed)
    patience = request.options.patience if "epochs" in space else options.patience
    judges = request.folds or request.validation or (_FOLDS if len(examples.x_train) < _FEW else _VALIDATION)
    with _folder(request.out, f"{examples.name}-tune") as folder:
        print(_introduction(examples, space, judges), flush=True)
        storage = str(folder / JOURNAL) if request.storage is None else request.storage
        search = tune(
            shaper, examples, space=space, trials=request.trials, sampler=request.sampler, pruner=request.pruner,
            validation=judges, epochs=options.epochs or 1, batch_size=options.batch_size, seed=request.seed,
            callbacks=[] if patience is None else [EarlyStopping(patience=patience)], storage=storage,
            name=request.name or examples.name, resume=request.resume, at_once=request.at_once,
            time_limit=request.time_limit, executor=request.executor, n_jobs=request.jobs,
            verbose=_display(),
        )  # fmt: skip
        search.summary()
        _write_search(folder, search)
        _write_model(folder, search, examples, replace(request, options=options))
        if search.interrupted:
            print(_how_to_go_on(request, storage))
        print(f"run folder: {folder}")
    return search


def _check(request: TuningRequest) -> None:
    """Refuse options that contradict each other."""
    named = {part.partition("=")[0].strip().replace("-", "_") for part in request.space}
    for name in (*FITTING, "learning_rate", "optimizer"):
        if name in named and getattr(request.options, name) is not None:
            raise ConfigurationError(
                f"--{name.replace('_', '-')} and --space {name}=... contradict each other.", hint="leave out one"
            )
    if request.validation is not None and request.folds is not None:
        raise ConfigurationError(
            "--validation and --folds contradict each other: either one part judges the trials, or each fold in turn.",
            hint="leave out one",
        )
    if request.folds is not None and request.folds < 2:
        raise ConfigurationError(f"--folds must be at least 2, not {request.folds}.")
    if request.validation is not None and not 0 < request.validation < 1:
        raise ConfigurationError(f"--validation is a share between 0 and 1, not {request.validation}.")
    if request.resume and request.storage in (None, "memory"):
        raise ConfigurationError(
            "--resume goes on with a search that was kept: which one?",
            hint=f"name its --storage, such as the {JOURNAL} of its run folder",
        )


def _try_ends(shaper: Shaper, space: dict[str, Any], examples: Dataset, seed: int) -> None:
    """Build networks that take every value of a list, and both ends of a range, once: what fails, fails here."""
    maker = Maker(shaper)
    values = {name: _ends(own) for name, own in space.items()}
    for k in range(max(map(len, values.values()))):
        configuration = {name: own[k % len(own)] for name, own in values.items()}
        maker.numbered(sort_out(configuration, maker.arguments), seed, examples.x_train[:2])


def _ends(values: Any) -> list[Any]:
    if isinstance(values, (list, range)):
        return list(values) if isinstance(values, list) else [values[0], values[-1]]
    return [values.low, values.high] if hasattr(values, "low") else list(values[:2])


@contextmanager
def _folder(out: str | None, name: str) -> Iterator[Path]:
    """The run folder; one in which nothing but an empty search came to be is removed again."""
    was_there = out is not None and Path(out).exists()
    folder = run_folder.new_folder(out, name)
    try:
        yield folder
    except BaseException:
        if not (folder / RESULTS).exists():
            for path in folder.glob(f"{JOURNAL}*"):
                path.unlink()
            if not was_there and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _introduction(examples: Dataset, space: dict[str, Any], judges: Any) -> str:
    count = len(examples.x_train)
    how = f"in {judges} folds" if isinstance(judges, int) else f"{judges:.0%} of them"
    tests = (
        "the test examples are looked at once, at the end" if _has_tests(examples) else "there are no others to test on"
    )
    return (
        f"{examples!r}\nTrials are judged on training examples ({how}, of {count:,}); {tests}.\n\n"
        f"{spoken_space(space)}\n"
    )


def _has_tests(examples: Dataset) -> bool:
    """Whether the test examples are others than the training examples."""
    return not all(np.array_equal(a, b) for a, b in zip(examples.train, examples.test, strict=True))


def _display() -> str | int:
    """How ``tune`` shows its progress: a bar in a terminal, lines elsewhere, or what the environment says."""
    mode = config.PROGRESS.read()
    known = {"off": 0, "bar": 1, "lines": 2, "auto": 1 if sys.stderr.isatty() else 2}
    if mode not in known:
        raise unknown_name(f"value of {config.PROGRESS.variable}", mode, known)
    return known[mode]


def _write_search(folder: Path, search: Search) -> None:
    """The table, the best parameters and the pictures."""
    search.results.to_csv(folder / RESULTS)
    best = {"parameters": search.best_params_, "trial": search.best_trial.number, "score": search.goal.name,
            "value": search.best_score_}  # fmt: skip
    write_atomically(folder / BEST, (json.dumps(best, indent=2) + "\n").encode())
    for name, plot in _PLOTS.items():
        try:
            ax = plot(search)
        except DataError as error:  # such as too few trials to say what mattered
            print(f"no {name}.png: {error.message}")
            continue
        picture = io.BytesIO()
        ax.figure.savefig(picture, format="png", dpi=110)
        write_atomically(folder / f"{name}.png", picture.getvalue())


def _write_model(folder: Path, search: Search, examples: Dataset, request: TuningRequest) -> None:
    """The final model, and what it reaches on the test examples."""
    model, origin, whole = _final(search)
    goal = search.goal.name
    found = {f"validation_{goal}": search.best_score_}
    if whole:
        found |= _tested(model, examples)
    else:
        print("The test examples were not looked at: the search is not over.")
    best = search.best_params_
    fixed = {name: value for name, value in asdict(request.options).items() if name not in best}
    settings = {**fixed, **best, "model": request.model, "trained": origin, "seed": request.seed,
                "trials": len(search.records), "trial": search.best_trial.number, "sampler": request.sampler,
                "pruner": request.pruner, "backend": request.backend, "epochs_trained": len(model.history),
                "stopped_by": "interrupted" if not whole else None}  # fmt: skip
    record = RunRecord(
        request.data, examples.task, examples.target_names, settings, found, examples.schema, examples.encoder
    )
    run_folder.write(folder, model, model.history, record)


def _final(search: Search) -> tuple[Any, str, bool]:
    """The final model, what it was trained on, and whether the search is over."""
    at_hand = None
    try:
        at_hand = search.model, "the best trial's model, as it was trained", False
    except ConfigurationError:
        if search.interrupted:
            print("training the best parameters on all training examples ...", flush=True)
    if search.interrupted and at_hand is not None:
        print(f"kept: {at_hand[1]}")
        return at_hand
    try:
        model = search.refit().model
    except NonFiniteError as error:
        if at_hand is None:
            raise
        print(f"{error.message}\nkept: {at_hand[1]}", file=sys.stderr)
        return *at_hand[:2], True
    if model.history.interrupted and at_hand is not None:
        return at_hand
    return model, "the best parameters, on all training examples", not (search.interrupted or model.history.interrupted)


def _tested(model: Any, examples: Dataset) -> dict[str, float]:
    """The scores on the test examples, which are printed with what is to be known about them."""
    if not _has_tests(examples):
        scores = model.evaluate(*examples.test, return_dict=True)
        print(f"\nthe training data again, as there are no others: {written(scores)}")
        return scores
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TestSetSeenWarning)  # the sentence says it
        result = evaluate_once(model, *examples.test)
    print(f"\nheld-out test data, of the best parameters trained on all training data: {result}")
    return dict(result.scores)


def _how_to_go_on(request: TuningRequest, storage: str) -> str:
    if storage == "memory":
        return "interrupted; a search that is kept with --storage can go on"
    into = "" if request.out is None else " and another --out"
    return f"interrupted; the same command with --storage {storage} --resume{into} goes on"
