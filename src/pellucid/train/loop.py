"""The training loop: epochs of batches, logs, callbacks - and nothing of the mathematics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.errors import DataError
from pellucid.train.block import epochs_of_block, run_block
from pellucid.train.callbacks import Callback, overrides_batch_end
from pellucid.train.feed import Feed, Segment
from pellucid.train.history import History
from pellucid.train.progress import Display, Throttle
from pellucid.train.recording.session import Session
from pellucid.train.recording.tape import Tape
from pellucid.train.running import NonFiniteStepError, TrainingRun
from pellucid.train.totals import EpochTotals


@dataclass(frozen=True)
class Run:
    """What one fit consists of.

    ``epoch_seconds`` is how long an epoch takes, where that is known beforehand; ``session`` records the fit.
    """

    model: Any
    feed: Feed
    validation: Feed | None
    callbacks: Sequence[Callback]
    display: Display
    epochs: int
    initial_epoch: int
    seed: int
    validation_every: int = 1
    epoch_seconds: float | None = None
    session: Session | None = None


def run(fit: Run) -> History:
    """Train epoch by epoch; Ctrl-C ends the fit and returns the history so far.

    Raises:
        NonFiniteError: A loss is NaN or infinite; the parameters are those from before that step.
        DataError: Data that were read for the first time are not finite; the model is as it was.
    """
    before = fit.model.history, fit.model.stop_training
    try:
        return _run(fit)
    except DataError:
        if fit.feed.unread is not None:
            fit.model.history, fit.model.stop_training = before
        raise


def _run(fit: Run) -> History:
    """Train, and tell the callbacks."""
    history = fit.model.history = History()
    history.recording = None if fit.session is None else fit.session.recording
    fit.model.stop_training = False
    key = np.asarray(ops.random_key(fit.seed))
    for callback in fit.callbacks:
        callback.model = fit.model
        callback.validation_every = fit.validation_every if fit.validation else 1
    message = None
    try:
        fit.model.programs.begin_fit()
        for callback in fit.callbacks:
            callback.on_train_begin()
        epoch = fit.initial_epoch
        while epoch < fit.epochs:
            block = epochs_of_block(fit, epoch, history)
            if block > 1 and not fit.model.stop_training and run_block(fit, epoch, block, key, history):
                epoch += block
            else:
                _epoch(fit, epoch, key, history)
                epoch += 1
            if fit.model.stop_training:
                reason = fit.model.stop_training
                history.stopped_by = reason if isinstance(reason, str) else "stop_training"
                message = f"stopped after epoch {epoch} ({history.stopped_by})"
                break
    except KeyboardInterrupt:
        history.interrupted = True
        history.stopped_by = "interrupted"
        epochs = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
        message = f"interrupted after {epochs}; the model keeps what it has learned"
    finally:
        fit.model.programs.end_fit()
        fit.display.close(message)
        if fit.session is not None:
            fit.session.close()
        for callback in fit.callbacks:
            callback.on_train_end()
    return history


def _epoch(fit: Run, epoch: int, key: np.ndarray, history: History) -> None:
    """One epoch: train, validate, tell."""
    started = time.perf_counter()
    if fit.session is not None:
        fit.session.epoch = epoch + 1
    for callback in fit.callbacks:
        callback.on_epoch_begin(epoch)
    fit.display.begin(epoch, fit.epochs, fit.feed.steps)
    logs = _train(fit, epoch, key)
    if fit.validation is not None and (epoch + 1) % fit.validation_every == 0:
        logs |= evaluate(fit.model, fit.validation, "val_")
    seconds = time.perf_counter() - started
    history.append(epoch, logs, seconds)
    fit.display.end(epoch, logs, seconds)
    for callback in fit.callbacks:
        callback.on_epoch_end(epoch, logs)


def _train(fit: Run, epoch: int, key: np.ndarray) -> dict[str, Any]:
    """Update the model by every batch of an epoch."""
    model = fit.model
    totals = EpochTotals(model.objective, model.output_names)
    throttle = Throttle(fit.display.interval)
    listeners = fit.callbacks if overrides_batch_end(fit.callbacks) else ()
    batches = 0
    for segment in _segments(fit.feed, epoch, one_by_one=bool(listeners)):
        run = start(model, segment, key, fit.session)
        try:
            while True:
                logs = run.advance(run.steps - run.done)
                totals.add(logs, segment.batch)
                if throttle.due():
                    fit.display.update(batches + run.done, totals.result())
                if run.done == run.steps or model.stop_training:
                    break
        except NonFiniteStepError as failure:
            _read(fit.feed, run)
            update = model.optimizer.iterations + failure.step + 1
            raise failure.error(
                f"{failure.what} in epoch {epoch + 1}, batch {batches + failure.step + 1} "
                f"(update {update}, learning rate {failure.rate:g}).",
                update=update,
                epoch=epoch + 1,
                losses=model.history.history.get("loss", ()),
            ) from None
        finally:
            run.publish()
        if run.done == run.steps:
            fit.feed.unread = None
        batches += run.done
        for callback in listeners:
            callback.on_train_batch_end(batches - 1, {"loss": float(logs.total[0]), "size": segment.batch})
        if model.stop_training:
            break
    return totals.result()


def _read(feed: Feed, run: TrainingRun) -> None:
    """After NaN, read what nobody has read yet; if it is at fault, the run has not been.

    Raises:
        DataError: An element is not finite.
    """
    try:
        if feed.unread is not None:
            feed.unread.check()
    except DataError as error:
        run.undo()
        raise error from None


def _segments(feed: Feed, epoch: int, *, one_by_one: bool) -> Iterator[Segment]:
    """The segments of an epoch, where callbacks listen after every batch cut into single batches.

    Raises:
        DataError: What nobody has read yet is not finite, in a row behind the first segment.
    """
    segments: Iterable[Segment] = feed.epoch(epoch)
    if feed.unread is not None:
        segments = tuple(segments)
        for segment in segments[1:]:
            feed.unread.check(segment.order)
    for segment in segments:
        if one_by_one:
            yield from segment.one_by_one()
        else:
            yield segment


def start(model: Any, segment: Segment, key: np.ndarray, session: Session | None = None) -> TrainingRun:
    """Training on a segment, from the model's present state; a session records some of its steps."""
    program = model.programs.training(segment)
    tape = None
    if session is not None and session.steps_until_next(model.optimizer.iterations + 1) < segment.steps:
        tape = Tape(session, model.programs.training(segment, session.recorder))
    return TrainingRun(program, segment, model.programs.state(program), key, tape)


def evaluate(model: Any, feed: Feed, prefix: str = "") -> dict[str, Any]:
    """Losses and metrics over all batches of a feed, at inference."""
    totals = EpochTotals(model.objective, model.output_names)
    for segment in feed.epoch(0):
        totals.add(model.programs.evaluation(segment).run(segment), segment.batch)
    return totals.result(prefix)
