"""``pellucid cv`` and ``pellucid tune``: the commands that choose among many networks."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from pellucid import select
from pellucid.cli.app import DATA_HELP, INTERRUPTED, Option, app
from pellucid.cli.loading import load_examples
from pellucid.seeds import set_seed
from pellucid.train.recipe import TrainingOptions


@app.command
def cv(
    dataset: Annotated[str, Parameter(help=DATA_HELP)],
    /,
    *,
    target: str | None = None,
    task: Annotated[Literal["classification", "regression"] | None, Option] = None,
    model: str = "mlp",
    scheme: str = "auto",
    folds: Annotated[int | None, Option] = None,
    repeats: Annotated[int | None, Option] = None,
    fraction: Annotated[float | None, Option] = None,
    grid: Annotated[tuple[str, ...], Parameter(show_default=False, consume_multiple=True, negative="")] = (),
    seeds: int = 1,
    epochs: Annotated[int | None, Option] = None,
    batch_size: Annotated[int | None, Option] = None,
    learning_rate: Annotated[float | None, Option] = None,
    optimizer: Annotated[str | None, Option] = None,
    patience: Annotated[int | None, Option] = None,
    seed: int = 0,
    backend: str = "auto",
    executor: str = "threads",
    jobs: Annotated[int | None, Option] = None,
    out: str | None = None,
) -> None:
    """Cross-validate a network on the training data: every fold, seed and configuration of a grid at once.

    The run folder holds results.csv (a row per fit), summary.csv, pictures of the folds and of the scores, and the best
    configuration trained on all of the training data. The test data are not touched.

    Parameters
    ----------
    dataset
        A data set's name, or the path of a .csv file.
    target
        The column of a .csv file to learn.
    task
        Whether its values are classes or numbers.
    model
        mlp, lenet5, or the path of a .toml recipe.
    scheme
        auto (10 folds, stratified where there are classes), holdout, kfold, stratified, repeated, repeated_stratified,
        leave_one_out, subsampling, stratified_subsampling, bootstrap, five_by_two, time_series or nested.
    folds
        Parts of the scheme.
    repeats
        Its repetitions or samples.
    fraction
        Share of test rows of holdout and subsampling.
    grid
        Values to compare, such as learning_rate=0.1,0.3 l2=0,0.001; known are learning_rate, momentum, l2, dropout,
        hidden (units of the hidden layers), batch_size, epochs and optimizer.
    seeds
        How many seeds each fold and configuration is trained with.
    epochs
        Passes over the training data, as for train.
    batch_size
        Samples per update, as for train.
    learning_rate
        Size of the steps (0.001).
    optimizer
        sgd, momentum, adagrad, rmsprop, adadelta, adam, adamw or nadam (adam).
    patience
        Epochs without improvement, on a tenth of a fit's own training rows, before it stops; without it none stops.
    seed
        Of the folds, and the first of the seeds.
    backend
        auto, cpu or reference.
    executor
        Where fits run: threads, processes of this machine, or ray (a cluster); the results are the same.
    jobs
        How many threads, processes or workers; by default as many as there are cores.
    out
        The run folder; by default a new one under runs/.
    """
    set_seed(seed)
    options = TrainingOptions(epochs, batch_size, learning_rate, optimizer, patience)
    request = select.CrossValidationRequest(
        dataset, model, options, scheme, folds, repeats, fraction, grid, seeds, seed, backend, executor, jobs, out
    )
    if select.run_cross_validation(load_examples(dataset, target, task), request).interrupted:
        sys.exit(INTERRUPTED)


@app.command
def tune(
    dataset: Annotated[str, Parameter(help=DATA_HELP)],
    /,
    *,
    target: str | None = None,
    task: Annotated[Literal["classification", "regression"] | None, Option] = None,
    model: str = "mlp",
    space: Annotated[tuple[str, ...], Parameter(show_default=False, consume_multiple=True, negative="")] = (),
    trials: Annotated[int | None, Option] = None,
    sampler: str = "tpe",
    pruner: str = "median",
    validation: Annotated[float | None, Option] = None,
    folds: Annotated[int | None, Option] = None,
    storage: Annotated[str | None, Option] = None,
    name: Annotated[str | None, Option] = None,
    resume: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    epochs: Annotated[int | None, Option] = None,
    batch_size: Annotated[int | None, Option] = None,
    learning_rate: Annotated[float | None, Option] = None,
    optimizer: Annotated[str | None, Option] = None,
    patience: Annotated[int | None, Option] = None,
    time_limit: Annotated[float | None, Option] = None,
    at_once: Annotated[int | None, Option] = None,
    seed: int = 0,
    backend: str = "auto",
    executor: str = "threads",
    jobs: Annotated[int | None, Option] = None,
    out: str | None = None,
) -> None:
    """Search for the parameters of a network that are best on validation examples, many trials at once.

    Trials are judged on training examples that are set apart. At the end the best parameters are trained on all of the
    training data, and the held-out test data are looked at, once. The run folder holds results.csv (a row per trial),
    best_parameters.json, pictures of the search, and the final model. Ctrl-C keeps what there is.

    Parameters
    ----------
    dataset
        A data set's name, or the path of a .csv file.
    target
        The column of a .csv file to learn.
    task
        Whether its values are classes or numbers.
    model
        mlp, lenet5, or the path of a .toml recipe.
    space
        What to choose from, such as learning_rate=1e-4:0.1:log units=16,32,64 layers=1:3 dropout=0:0.5:0.1; known are
        learning_rate, momentum, l2, dropout, batch_size, epochs, optimizer, activation, layers (of mlp), units (of
        every hidden layer) and units_1, units_2 ... (of each). Without it: layers, units, dropout, learning_rate and
        batch_size.
    trials
        How many configurations are tried (50; with a grid all of it), those counted that the storage holds already.
    sampler
        tpe, random, grid or cmaes.
    pruner
        none, median or hyperband: which trials are given up early.
    validation
        Share of the training data that judges the trials (0.2).
    folds
        Folds that judge them instead: the score is the mean over folds (5 below 1,000 training samples).
    storage
        Where the search is kept: memory, search.journal, sqlite:///search.db or postgresql://user@host/name, for
        instance; by default search.journal in the run folder.
    name
        The name of the search in the storage; by default that of the data set.
    resume
        Go on with the search of that name.
    epochs
        Passes over the training data at most, as for train.
    batch_size
        Samples per update; where it is given, it is not searched for.
    learning_rate
        Size of the steps; where it is given, it is not searched for.
    optimizer
        sgd, momentum, adagrad, rmsprop, adadelta, adam, adamw or nadam (adam).
    patience
        Epochs without improvement before a trial stops, as for train; where epochs are searched for, none stops.
    time_limit
        Seconds after which no further trials begin.
    at_once
        Trials that are asked for at once (8; 32 where none depends on earlier ones).
    seed
        Of the search, the split and the networks.
    backend
        auto, cpu or reference.
    executor
        Where trials are trained: threads, processes of this machine, or ray (a cluster); the results are the same.
    jobs
        How many threads, processes or workers; by default as many as there are cores.
    out
        The run folder; by default a new one under runs/.
    """
    set_seed(seed)
    request = select.TuningRequest(
        dataset, model, TrainingOptions(epochs, batch_size, learning_rate, optimizer, patience), space, trials, sampler,
        pruner, validation, folds, storage, name, resume, time_limit, at_once, seed, backend, executor, jobs, out,
    )  # fmt: skip
    if select.run_tuning(load_examples(dataset, target, task), request).interrupted:
        sys.exit(INTERRUPTED)
