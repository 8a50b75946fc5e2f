"""``pellucid cv``: cross-validation of a recipe from the command line."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid.data import Dataset
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense
from pellucid.select import executors
from pellucid.select.curve_plots import plot_scores, validation_curve
from pellucid.select.fold_plots import plot_folds
from pellucid.select.grid import configurations, sort_out
from pellucid.select.makers import Maker
from pellucid.select.results import CrossValidation
from pellucid.select.splitters import Bootstrap, splitter
from pellucid.select.validation import cross_validate
from pellucid.train import EarlyStopping, Model, Sequential, recipe, run_folder
from pellucid.train.files import write_atomically
from pellucid.train.recipe import TrainingOptions
from pellucid.train.run_folder import RunRecord

_FOLDS = 10


@dataclass(frozen=True)
class CrossValidationRequest:
    """What was asked for on the command line.

    Attributes:
        data: Name or path of the data set.
        model: mlp, lenet5 or the path of a recipe.
        options: How to train.
        scheme: ``"auto"`` or a scheme by name.
        folds, repeats, fraction: Of the scheme, where they were given.
        grid: ``name=value,value`` each.
        seeds, seed: How many seeds, and the first.
        backend: What runs the compiled steps.
        executor, jobs: Where members train, and how many workers.
        out: The run folder, or None for a new one.
    """

    data: str
    model: str
    options: TrainingOptions
    scheme: str = "auto"
    folds: int | None = None
    repeats: int | None = None
    fraction: float | None = None
    grid: Sequence[str] = ()
    seeds: int = 1
    seed: int = 0
    backend: str = "auto"
    executor: str = "threads"
    jobs: int | None = None
    out: str | None = None


def run_cross_validation(examples: Dataset, request: CrossValidationRequest) -> CrossValidation:
    """Cross-validate on the training examples, print the summary, and fill a run folder.

    Raises:
        ConfigurationError: The grid or the scheme cannot be used; nothing was trained.
    """
    grid, cv = parse_grid(request.grid), _scheme(request)
    _, preferred = recipe.build(request.model, examples)
    options = request.options.over(preferred)

    def build(hidden: int | None = None) -> Model:
        network, _ = recipe.build(request.model, examples)
        network = network if hidden is None else with_hidden(network, hidden)
        recipe.compile_for(network, examples, options, request.backend)
        return network

    executors.get(request.executor, request.jobs)
    for configuration in configurations(grid):  # a wrong name leaves no empty folder behind
        sort_out(configuration, Maker(build).arguments)
    with _folder(request.out, f"{examples.name}-cv") as folder:
        return _fill(folder, build, examples, request, cv, grid, options)


@contextmanager
def _folder(out: str | None, name: str) -> Iterator[Path]:
    """A run folder; where what comes next fails before anything is written, there is none."""
    new = out is None or not Path(out).exists()
    folder = run_folder.new_folder(out, name)
    try:
        yield folder
    except BaseException:
        if new and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _fill(
    folder: Path,
    build: Callable[..., Model],
    examples: Dataset,
    request: CrossValidationRequest,
    cv: Any,
    grid: dict[str, list[Any]],
    options: TrainingOptions,
) -> CrossValidation:
    """Cross-validate, print, and write everything."""
    print(f"{examples!r}: its {len(examples.x_train):,} training examples are taken apart, the test examples are not "
          f"touched\n", flush=True)  # fmt: skip
    stopping = [] if request.options.patience is None else [EarlyStopping(patience=request.options.patience)]
    results = cross_validate(
        build, examples.x_train, examples.y_train, cv=cv, grid=grid, epochs=options.epochs or 1,
        batch_size=options.batch_size, seeds=request.seeds, seed=request.seed, callbacks=stopping,
        executor=request.executor, n_jobs=request.jobs,
    )  # fmt: skip
    results.summary()
    if isinstance(cv, Bootstrap):
        found = results.bootstrap()
        print(
            f"error of the best: out of bag {found.out_of_bag:.4f}, .632 {found.e632:.4f}, .632+ {found.e632plus:.4f}"
        )
    _write(folder, results, examples, request, cv)
    print(f"run folder: {folder}")
    return results


def _scheme(request: CrossValidationRequest) -> Any:
    given = {"folds": request.folds, "repeats": request.repeats, "fraction": request.fraction}
    if request.scheme == "auto" and request.repeats is None and request.fraction is None:
        return _FOLDS if request.folds is None else request.folds
    if request.scheme == "five_by_two" and all(value is None for value in given.values()):
        return request.scheme
    name = "repeated" if request.scheme == "auto" and request.repeats is not None else request.scheme
    return splitter("holdout" if name == "auto" else name, seed=request.seed, **given)


def parse_grid(given: Sequence[str]) -> dict[str, list[Any]]:
    """Lists of values by name.

    Raises:
        ConfigurationError: A part is not of the form ``name=value,value``.

    >>> parse_grid(["learning_rate=0.1,0.3", "optimizer=adam,sgd", "hidden=16"])
    {'learning_rate': [0.1, 0.3], 'optimizer': ['adam', 'sgd'], 'hidden': [16]}
    """
    found: dict[str, list[Any]] = {}
    for part in given:
        name, equals, values = part.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not values.strip(" ,"):
            raise ConfigurationError(
                f"--grid {part!r} is not of the form name=value,value.", hint="learning_rate=0.1,0.3"
            )
        if name in found:
            raise ConfigurationError(f"--grid names {name!r} twice.")
        found[name] = [_value(text.strip()) for text in values.split(",") if text.strip()]
    return found


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def with_hidden(network: Sequential, units: int) -> Sequential:
    """The same network with so many units in every hidden Dense layer.

    Raises:
        ConfigurationError: It has no hidden Dense layer.
    """
    layers = network.layers
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if len(dense) < 2:
        raise ConfigurationError("--grid hidden=... sets the units of hidden Dense layers, but the model has none.")
    changed = [
        Dense(**{**layer.config(), "units": units}) if layer in dense[:-1] else type(layer)(**layer.config())
        for layer in layers
    ]
    return Sequential([network.inputs[0], *changed], name=network.name)


def _write(folder: Path, results: CrossValidation, examples: Dataset, request: CrossValidationRequest, cv: Any) -> None:
    """Tables, pictures, and the best configuration trained on all training examples."""
    results.results.to_csv(folder / "results.csv")
    summary = results.summary(show=False)
    assert summary is not None, "a summary that is not printed is returned"
    summary.to_csv(folder / "summary.csv")
    _save(folder / "folds.png", plot_folds(cv, examples.y_train, seed=request.seed))
    _save(folder / "scores.png", plot_scores(results))
    for name, values in results.scores.parameters().items():
        if len({repr(value) for value in values}) > 1:
            _save(folder / f"validation_curve_{name}.png", validation_curve(results, name))
    if results.interrupted:
        return
    best = results.refit().model
    settings = {**asdict(request.options), **results.best_params_, "model": request.model, "scheme": request.scheme,
                "folds": len(results.folds), "seeds": request.seeds, "seed": request.seed,
                "backend": request.backend}  # fmt: skip
    found = {f"cv_{name}": float(results.scores.mean(name)[results.best_index_]) for name in results.scores.names}
    record = RunRecord(
        request.data, examples.task, examples.target_names, settings, found, examples.schema, examples.encoder
    )
    run_folder.write(folder, best, best.history, record)


def _save(path: Path, ax: Any) -> None:
    data = io.BytesIO()
    ax.figure.savefig(data, format="png", dpi=110)
    write_atomically(path, data.getvalue())
