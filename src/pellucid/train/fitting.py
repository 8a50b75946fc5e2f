"""From the arguments of ``fit`` to a run: everything is checked and made ready here, before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops, seeds
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn.symbol import Symbol
from pellucid.train.callbacks import Callback, as_callback, overrides
from pellucid.train.feed import ArrayFeed, Feed, GeneratorFeed, check_batch_size, is_generator_like, single
from pellucid.train.loop import Run, start
from pellucid.train.progress import display
from pellucid.train.recording.probe import check_layers
from pellucid.train.recording.recorder import Recorder
from pellucid.train.recording.session import Session
from pellucid.train.running import NonFiniteStepError
from pellucid.train.targets import class_labels, class_weights, split_rows
from pellucid.train.totals import EpochTotals
from pellucid.train.unread import Unread, may_wait


@dataclass(frozen=True)
class FitRequest:
    """The arguments of ``fit``."""

    x: Any
    y: Any
    batch_size: int | None
    epochs: int
    validation_data: Any
    validation_split: float
    validation_every: int
    shuffle: bool
    class_weight: Any
    sample_weight: Any
    callbacks: Any
    seed: int
    initial_epoch: int
    steps_per_epoch: int | None
    verbose: str | int
    recorder: Recorder | None = None


def prepare(model: Any, request: FitRequest) -> Run:
    """The run of a request.

    Raises:
        DataError, ConfigurationError: Something does not fit; nothing has been trained.
    """
    model.require_compiled()
    _check_numbers(request)
    if is_generator_like(request.x) and request.y is None:
        training, validation = _from_generator(model, request)
    else:
        training, validation = _from_arrays(model, request)
    return _run_of(model, request, training, validation)


def prepare_feeds(model: Any, request: FitRequest, training: Feed, validation: Feed | None) -> Run:
    """The run of a request whose data were checked and made into feeds already.

    Raises:
        DataError, ConfigurationError: Something does not fit; nothing has been trained.
    """
    _check_numbers(request)
    return _run_of(
        model, request, training, validation or _validation(model, request.validation_data, request.batch_size)
    )


def _run_of(model: Any, request: FitRequest, training: Feed, validation: Feed | None) -> Run:
    return Run(
        model=model,
        feed=training,
        validation=validation,
        callbacks=_callbacks(request),
        display=display(request.verbose),
        epochs=request.epochs,
        initial_epoch=request.initial_epoch,
        seed=request.seed,
        validation_every=request.validation_every,
        session=_session(model, request, training),
    )


def _session(model: Any, request: FitRequest, training: Feed) -> Session | None:
    """The recording of a fit; its folder is made here."""
    if request.recorder is None:
        return None
    check_layers(model, request.recorder.layers)
    epochs = max(request.epochs - request.initial_epoch, 0)
    count = None if training.steps is None else epochs * training.steps
    return Session(request.recorder, model.optimizer.iterations + 1, count)


def _check_numbers(request: FitRequest) -> None:
    check_batch_size(request.batch_size)
    for name, value, least in (
        ("epochs", request.epochs, 0),
        ("initial_epoch", request.initial_epoch, 0),
        ("validation_every", request.validation_every, 1),
        ("steps_per_epoch", 1 if request.steps_per_epoch is None else request.steps_per_epoch, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ConfigurationError(f"fit: {name} must be a whole number of at least {least}, not {value!r}.")
    if isinstance(request.seed, bool) or not isinstance(request.seed, (int, np.integer)) or request.seed < 0:
        raise ConfigurationError(f"fit: seed must be a whole number of at least 0, not {request.seed!r}.")
    split = request.validation_split
    if isinstance(split, bool) or not isinstance(split, (int, float)) or not 0 <= split < 1:
        raise ConfigurationError(f"fit: validation_split must lie in [0, 1), not {split!r}.")
    if split and request.validation_data is not None:
        raise ConfigurationError("fit: give validation_data or validation_split, not both.")


def _from_arrays(model: Any, request: FitRequest) -> tuple[Feed, Feed | None]:
    if request.steps_per_epoch is not None:
        raise ConfigurationError("fit: steps_per_epoch goes with a generator.", hint="for arrays, give batch_size")
    model._build_for(request.x)
    checks = model.checks()
    unread: list[tuple[np.ndarray, str]] = []

    def later(symbol: Symbol, array: np.ndarray, what: str) -> bool:
        waits = may_wait(model, symbol, array) and _reads_everything(request)
        unread.extend([(array, what)] if waits else [])
        return waits

    x, y = checks.both(request.x, request.y, later)
    weights = None if request.sample_weight is None else checks.weights(request.sample_weight, len(x[0]))
    loss = model.objective.losses[0]
    train_rows = held_out = None
    if request.validation_split:
        train_rows, held_out = split_rows(y[0], loss, request.validation_split, request.seed)
    if request.class_weight is not None:
        weights = _weighed(model, request.class_weight, y, weights)

    def feed(rows: np.ndarray | None, shuffle: bool, weights: np.ndarray | None) -> ArrayFeed:
        return ArrayFeed(
            x, y, weights, checks.input_dtypes,
            rows=rows, batch_size=request.batch_size, shuffle=shuffle, seed=request.seed,
        )  # fmt: skip

    training = feed(train_rows, request.shuffle, weights)
    training.unread = Unread(unread) if unread else None
    if held_out is not None:
        return training, feed(held_out, False, None)
    return training, _validation(model, request.validation_data, request.batch_size)


def _reads_everything(request: FitRequest) -> bool:
    """Whether the first epoch of a fit reads all rows before anyone sees the model, or changes it."""
    trains = request.epochs > request.initial_epoch and not request.validation_split and request.recorder is None
    return trains and not overrides(_callbacks(request), "on_train_begin", "on_epoch_begin", "on_train_batch_end")


def _callbacks(request: FitRequest) -> tuple[Callback, ...]:
    given = request.callbacks if isinstance(request.callbacks, (list, tuple)) else [request.callbacks]
    return tuple(as_callback(c) for c in given)


def _weighed(model: Any, class_weight: Any, y: Sequence[np.ndarray], weights: np.ndarray | None) -> np.ndarray:
    """Sample weights times the weights of the samples' classes."""
    if len(y) > 1:
        raise ConfigurationError("class_weight works for models of one output.", hint="use sample_weight instead")
    by_class = class_weights(class_weight, class_labels(y[0], model.objective.losses[0]))
    dtype = np.float64 if any(d == np.float64 for d in model.input_dtypes) else np.float32
    return (by_class if weights is None else weights * by_class).astype(dtype)


def _from_generator(model: Any, request: FitRequest) -> tuple[Feed, Feed | None]:
    if request.validation_split:
        raise ConfigurationError("fit: a generator cannot be split.", hint="pass validation_data")
    if request.sample_weight is not None:
        raise ConfigurationError("fit: with a generator, yield (x, y, sample_weight) instead of passing weights.")
    if isinstance(request.class_weight, str) and request.class_weight == "balanced":
        raise ConfigurationError("fit: 'balanced' needs all labels at once; give the weights of the classes.")
    source = _built_from(model, request.x)

    def weigh(y: Sequence[np.ndarray], weights: np.ndarray | None) -> np.ndarray | None:
        if request.class_weight is None:
            return weights
        return _weighed(model, request.class_weight, y, weights)

    training = GeneratorFeed(source, model.checks(), request.steps_per_epoch, weigh)
    return training, _validation(model, request.validation_data, request.batch_size)


def _built_from(model: Any, source: Any) -> Any:
    """The source; a model that waits for its first data is built from the first batch, which is not lost."""
    if model.built:
        return source
    first_of: Any = source() if callable(source) else source
    iterator = iter(first_of)
    try:
        first = next(iterator)
    except StopIteration:
        raise DataError("The generator gave no batch.") from None
    if not isinstance(first, (tuple, list)) or len(first) < 2:
        raise DataError(f"A batch of the generator is {type(first).__name__}, not a tuple (x, y).")
    model._build_for(first[0])
    if callable(source) or iterator is not first_of:
        return source  # it can start again

    def rejoined() -> Any:
        yield first
        yield from iterator

    return rejoined()


def _as_given(y: Sequence[np.ndarray], weights: np.ndarray | None) -> np.ndarray | None:
    return weights


def _validation(model: Any, given: Any, batch_size: int | None) -> Feed | None:
    if given is None:
        return None
    if is_generator_like(given):
        return GeneratorFeed(given, model.checks(), None, _as_given)
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise DataError("validation_data must be (x, y) or (x, y, sample_weight).")
    checks = model.checks()
    try:
        x, y = checks.both(given[0], given[1])
    except DataError as error:
        raise error.with_context(f"validation_data: {error.message}", ()) from None
    weights = checks.weights(given[2], len(x[0])) if len(given) == 3 else None
    return ArrayFeed(x, y, weights, checks.input_dtypes, batch_size=batch_size, shuffle=False, seed=0)


def evaluation_feed(model: Any, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None) -> Feed:
    """The batches of ``evaluate``."""
    model.require_compiled()
    check_batch_size(batch_size)
    if is_generator_like(x) and y is None:
        return GeneratorFeed(_built_from(model, x), model.checks(), steps, _as_given)
    model._build_for(x)
    checks = model.checks()
    arrays, targets = checks.both(x, y)
    weights = None if sample_weight is None else checks.weights(sample_weight, len(arrays[0]))
    return ArrayFeed(arrays, targets, weights, checks.input_dtypes, batch_size=batch_size, shuffle=False, seed=0)


def train_on_batch(model: Any, x: Any, y: Any, sample_weight: Any, seed: int | None) -> dict[str, Any]:
    """One update from one batch; its losses and metrics, measured before the update.

    Raises:
        NonFiniteError: The loss is NaN or infinite; the parameters were not changed.
    """
    model.require_compiled()
    model._build_for(x)
    checks = model.checks()
    inputs, targets = checks.both(x, y)
    weights = None if sample_weight is None else checks.weights(sample_weight, len(inputs[0]))
    segment = single(inputs, targets, weights, checks.input_dtypes)
    key = np.asarray(ops.random_key(seeds.next_seed() if seed is None else seed))
    run = start(model, segment, key)
    try:
        logs = run.advance(1)
    except NonFiniteStepError as failure:
        sentence = f"{failure.what} in update {model.optimizer.iterations + 1} (learning rate {failure.rate:g})."
        raise failure.error(sentence, update=model.optimizer.iterations + 1) from None
    finally:
        run.publish()
    totals = EpochTotals(model.objective, model.output_names)
    totals.add(logs, segment.batch)
    return totals.result()
