"""The command line: train a network on a data set or a table, evaluate it, and predict with it."""

from __future__ import annotations

import csv
import io
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import App, Parameter

import pellucid
from pellucid import analysis, config, data, select
from pellucid.data import Dataset
from pellucid.data.encoders import encode_files, reads
from pellucid.errors import ConfigurationError, DataError, NonFiniteError, PellucidError
from pellucid.seeds import set_seed
from pellucid.train import recipe, run_folder
from pellucid.train.callbacks import EarlyStopping
from pellucid.train.files import write_atomically
from pellucid.train.progress import written
from pellucid.train.recipe import TrainingOptions
from pellucid.train.recording import Recorder
from pellucid.train.run_folder import RunRecord
from pellucid.train.warmup import warm_up

app = App(name="pellucid", help="Deep learning you can see through.", version=pellucid.__version__)

_TABLES = (".csv", ".tsv", ".txt")
_Option = Parameter(show_default=False)
_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
_VALIDATION = 0.1  # share of the training data that is set apart
_DATA_HELP = f"{', '.join(data.names())}; or the path of a .csv file."


@app.command
def train(
    dataset: Annotated[str, Parameter(help=_DATA_HELP)],
    /,
    *,
    target: str | None = None,
    task: Annotated[Literal["classification", "regression"] | None, _Option] = None,
    model: str = "mlp",
    epochs: Annotated[int | None, _Option] = None,
    batch_size: Annotated[int | None, _Option] = None,
    learning_rate: Annotated[float | None, _Option] = None,
    optimizer: Annotated[str | None, _Option] = None,
    seed: int = 0,
    backend: str = "auto",
    out: str | None = None,
    patience: Annotated[int | None, _Option] = None,
    record: Literal["off", "stats", "full"] = "off",
) -> None:
    """Train a network, and keep it in a run folder.

    A tenth of the training data is set apart to watch for overfitting; the held-out test data are used once, at the
    end. The run folder holds the model, history.csv, a picture of the learning curve, and run.json.

    Parameters
    ----------
    dataset
        A data set's name, or the path of a .csv file.
    target
        The column of a .csv file to learn.
    task
        Whether its values are classes or numbers; by default whole numbers of at most 20 kinds, and text, are classes.
    model
        mlp, lenet5, or the path of a .toml recipe.
    epochs
        Passes over the training data at most (40; below 1,000 samples 200, above 20,000 10).
    batch_size
        Samples per update (32; below 1,000 samples 16, above 20,000 128).
    learning_rate
        Size of the steps (0.001).
    optimizer
        sgd, momentum, adagrad, rmsprop, adadelta, adam, adamw or nadam (adam).
    seed
        Fixes everything random: the same seed gives the same model.
    backend
        auto, cpu or reference.
    out
        The run folder; by default a new one under runs/.
    patience
        Epochs without improvement before training stops early (10; 30 and 3 for small and large data).
    record
        stats keeps statistics of every layer in the run folder while it is trained, full the arrays of some steps, too.
    """
    set_seed(seed)
    examples = _load(dataset, target, task)
    network, preferred = recipe.build(model, examples)
    options = TrainingOptions(epochs, batch_size, learning_rate, optimizer, patience).over(preferred)
    recipe.compile_for(network, examples, options, backend)
    folder = run_folder.new_folder(out, examples.name)
    print(f"{examples!r}\n")
    network.summary()
    print()
    recorder = None if record == "off" else Recorder(record, path=folder / run_folder.RECORDING)
    history = _fit(network, examples, options, seed, recorder)
    with np.errstate(all="ignore"):  # what a training that diverged left behind may overflow
        results = network.evaluate(examples.x_test, examples.y_test, return_dict=True)
    given = {"model": model, "seed": seed, "backend": backend, "target": target}
    settings = given | asdict(options) | {"epochs_trained": len(history), "stopped_by": history.stopped_by}
    description = RunRecord(
        dataset, examples.task, examples.target_names, settings, results, examples.schema, examples.encoder
    )
    run_folder.write(folder, network, history, description)
    tested = "the training data again, as there are no others" if _tests_on_training(examples) else "held-out test data"
    print(f"\n{tested} ({len(examples.x_test)} samples): {_spoken(results)}")
    print(f"run folder: {folder}")
    _exit_after(history)


def _exit_after(history: Any) -> None:
    """End with the code of how training ended, where it did not end well."""
    if history.interrupted:
        sys.exit(_INTERRUPTED)
    if not len(history) and history.stopped_by:
        sys.exit(1)


def _fit(network: Any, examples: Dataset, options: TrainingOptions, seed: int, recorder: Recorder | None) -> Any:
    """Fit; a run that diverges keeps what it had learned until then."""
    stopping = EarlyStopping(patience=10 if options.patience is None else options.patience)
    lacking = _nothing_to_hold_out(examples)
    if lacking:
        print(f"no validation: {lacking}, so that nothing is held out and all are trained on, for all epochs\n")
    try:
        return network.fit(
            examples.x_train,
            examples.y_train,
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation_split=0.0 if lacking else _VALIDATION,
            callbacks=[] if lacking else [stopping],
            seed=seed,
            record=recorder,
        )
    except NonFiniteError as error:
        before = f"\n{error}\nkept: the {'last' if lacking else 'best'} weights of the epochs before"
        at_once = f"error: {error}\nkept: the weights from before the failure; see pellucid inspect"
        print(before if len(network.history) else at_once, file=sys.stderr)
        network.history.stopped_by = error.message
        return network.history


def _nothing_to_hold_out(examples: Dataset) -> str | None:
    """Why no training example can be spared for validation, or None where some can."""
    if _tests_on_training(examples):
        return "these samples are all that there are"
    if examples.task == "classification" and (np.bincount(examples.y_train) < 2).all():
        return "no class has a second sample"  # a class must keep one for training
    return None


def _tests_on_training(examples: Dataset) -> bool:
    """Whether the test examples are the training examples, as in worlds that have no others."""
    return all(np.array_equal(a, b) for a, b in zip(examples.train, examples.test, strict=True))


@app.command
def cv(
    dataset: Annotated[str, Parameter(help=_DATA_HELP)],
    /,
    *,
    target: str | None = None,
    task: Annotated[Literal["classification", "regression"] | None, _Option] = None,
    model: str = "mlp",
    scheme: str = "auto",
    folds: Annotated[int | None, _Option] = None,
    repeats: Annotated[int | None, _Option] = None,
    fraction: Annotated[float | None, _Option] = None,
    grid: Annotated[tuple[str, ...], Parameter(show_default=False, consume_multiple=True)] = (),
    seeds: int = 1,
    epochs: Annotated[int | None, _Option] = None,
    batch_size: Annotated[int | None, _Option] = None,
    learning_rate: Annotated[float | None, _Option] = None,
    optimizer: Annotated[str | None, _Option] = None,
    patience: Annotated[int | None, _Option] = None,
    seed: int = 0,
    backend: str = "auto",
    executor: str = "threads",
    jobs: Annotated[int | None, _Option] = None,
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
    if select.run_cross_validation(_load(dataset, target, task), request).interrupted:
        sys.exit(_INTERRUPTED)


@app.command
def evaluate(run: str, dataset: str, /) -> None:
    """Evaluate a trained network on the test part of a data set, or on a .csv file.

    Parameters
    ----------
    run
        The run folder that train wrote.
    dataset
        A data set's name, or the path of a .csv file with the columns of the one that was learned.
    """
    network, record = run_folder.read(run)
    x, y = _samples(dataset, record)
    if y is None:
        raise DataError(
            f"{dataset} has no column {record.schema.target.name!r} to compare with."
            if record.schema
            else f"{dataset} has no targets.",
            hint="use pellucid predict",
        )
    results = network.evaluate(x, y, return_dict=True)
    print(f"{dataset} ({len(x)} samples): {_spoken(results)}")


@app.command
def predict(run: str, dataset: str, /, *, out: str | None = None) -> None:
    """Predict with a trained network: one row per sample, as CSV.

    Parameters
    ----------
    run
        The run folder that train wrote.
    dataset
        A data set's name (its test part is used), or the path of a .csv file; for a network that has learned texts, of
        a .txt file with a text in each line, for one that has learned sounds, of a .wav file or a folder of them.
    out
        The file to write; by default the rows are printed.
    """
    network, record = run_folder.read(run)
    x, _ = _samples(dataset, record)
    text = _prediction_table(network.predict(x), record)
    if out is None:
        sys.stdout.write(text)
    else:
        write_atomically(Path(out), text.encode())
        print(f"{len(x)} predictions: {out}")


@app.command
def inspect(
    run: str, /, *, dataset: Annotated[str | None, Parameter(name="--data")] = None, out: str | None = None
) -> None:
    """Write one page of HTML on a trained network: curves, layers, what went wrong, mistakes, what it sees.

    The page needs nothing beside itself, and has no scripts: it can be opened, sent and kept as one file.

    Parameters
    ----------
    run
        The run folder that train wrote.
    dataset
        The data set's name or the path of the .csv file, where it is no longer where it was.
    out
        The file to write; by default report.html in the run folder.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", analysis.MissingDataWarning)
        written = analysis.write_report(run, path=out, data=dataset)
    for warning in told:
        if issubclass(warning.category, analysis.MissingDataWarning):
            print(warning.message, file=sys.stderr)
    print(f"report: {written}")


@app.command
def warmup() -> None:
    """Compile what the usual models need, once per machine, so that their first training does not wait for it.

    The usual models are classifiers and regressions of dense layers, convolutional networks, LSTM and GRU. What is
    compiled is kept in the user's cache folder, or below $PELLUCID_CACHE.
    """

    shown = config.PROGRESS.read() != "off"

    def tell(name: str, kernels: int, seconds: float) -> None:
        if shown:
            print(f"{name:<45}{f'{kernels:3} compiled {seconds:5.1f} s' if kernels else 'was there'}", flush=True)

    found = warm_up(tell)
    compiled = f"kernels compiled: {found.compiled}, in {found.seconds:.1f} s"
    print(compiled if found.compiled else "everything was there already")
    print(f"kept in {found.folder}: {found.kept} ({found.size / 1e6:.1f} MB)")


def _prediction_table(outputs: np.ndarray, record: RunRecord) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if record.task == "regression":
        writer.writerow(["prediction"])
        writer.writerows([[str(value)] for value in outputs.reshape(-1)])
    else:
        names = record.target_names or tuple(str(k) for k in range(outputs.shape[1]))
        writer.writerow(["prediction", *(f"p({name})" for name in names)])
        for row in outputs:
            writer.writerow([names[int(np.argmax(row))], *(f"{p:.6f}" for p in row)])
    return text.getvalue()


def _is_table(name: str) -> bool:
    return name.lower().endswith(_TABLES)


def _load(name: str, target: str | None, task: str | None) -> Dataset:
    if _is_table(name):
        if target is None:
            raise ConfigurationError(f"Which column of {name} is to be learned?", hint="add --target COLUMN")
        return data.load(name, target=target, task=task)
    if name not in data.names():
        return data.load(name)  # which words the error
    for option, value in (("--target", target), ("--task", task)):
        if value is not None:
            raise ConfigurationError(f"{option} goes with a .csv file; the data set {name!r} has its own target.")
    return data.load(name)


def _samples(name: str, record: RunRecord) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs and targets in the form that the run's network was trained on."""
    if reads(record.encoder, name):
        assert record.encoder is not None
        return encode_files(record.encoder, name)[0], None
    if not _is_table(name):
        examples = data.load(name)
        if record.schema is not None or examples.task != record.task:
            raise DataError(f"The run was trained on {record.data}, which does not have the columns of {name!r}.")
        return examples.test
    if record.schema is None:
        raise DataError(f"The run was trained on {record.data!r}, not on a table, so it cannot read {name}.")
    table = record.schema.encode(name)
    if table.extra_columns:
        print(f"not used: {', '.join(table.extra_columns)}", file=sys.stderr)
    return table.x, table.y


def _spoken(results: dict[str, Any]) -> str:
    if "accuracy" in results:
        return f"accuracy {results['accuracy']:.2%}, loss {results['loss']:.4f}"
    return written(results)


def main() -> None:
    """The ``pellucid`` command: an error of ours is a sentence, not a traceback."""
    try:
        app(sys.argv[1:])
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has seen enough
        sys.exit(141)  # what a shell reports for a program ended by a closed pipe
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (PellucidError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
