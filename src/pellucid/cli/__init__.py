"""The command line: train a network on a data set or a table, choose the best, evaluate it, and predict with it."""

from __future__ import annotations

import csv
import io
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from pellucid import analysis, config
from pellucid.cli import selection as selection  # which adds its commands
from pellucid.cli.app import DATA_HELP, INTERRUPTED, Option, app
from pellucid.cli.loading import load_examples, samples_for
from pellucid.data import Dataset
from pellucid.errors import DataError, NonFiniteError, PellucidError
from pellucid.seeds import set_seed
from pellucid.train import recipe, run_folder
from pellucid.train.callbacks import EarlyStopping
from pellucid.train.files import write_atomically
from pellucid.train.progress import written
from pellucid.train.recipe import TrainingOptions
from pellucid.train.recording import Recorder
from pellucid.train.run_folder import RunRecord
from pellucid.train.warmup import warm_up

_VALIDATION = 0.1  # share of the training data that is set apart


@app.command
def train(
    dataset: Annotated[str, Parameter(help=DATA_HELP)],
    /,
    *,
    target: str | None = None,
    task: Annotated[Literal["classification", "regression"] | None, Option] = None,
    model: str = "mlp",
    epochs: Annotated[int | None, Option] = None,
    batch_size: Annotated[int | None, Option] = None,
    learning_rate: Annotated[float | None, Option] = None,
    optimizer: Annotated[str | None, Option] = None,
    seed: int = 0,
    backend: str = "auto",
    out: str | None = None,
    patience: Annotated[int | None, Option] = None,
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
    examples = load_examples(dataset, target, task)
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
        sys.exit(INTERRUPTED)
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
        network.history.stopped_by = str(error)  # with the first cause
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
def evaluate(run: str, dataset: str, /) -> None:
    """Evaluate a trained network on the test part of a data set, or on a .csv file.

    Parameters
    ----------
    run
        The run folder that train, cv or tune wrote.
    dataset
        A data set's name, or the path of a .csv file with the columns of the one that was learned.
    """
    network, record = run_folder.read(run)
    x, y = samples_for(dataset, record)
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
        The run folder that train, cv or tune wrote.
    dataset
        A data set's name (its test part is used), or the path of a .csv file; for a network that has learned texts, of
        a .txt file with a text in each line, for one that has learned sounds, of a .wav file or a folder of them.
    out
        The file to write; by default the rows are printed.
    """
    network, record = run_folder.read(run)
    x, _ = samples_for(dataset, record)
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
        The run folder that train, cv or tune wrote.
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
        sys.exit(INTERRUPTED)
    except (PellucidError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
