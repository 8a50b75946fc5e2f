"""Faults that one sees in the learning curves: the step size, overfitting, a network that is too small."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid import seeds
from pellucid.analysis.diagnosis.case import Case, SkipError
from pellucid.analysis.diagnosis.finding import Finding, percent
from pellucid.analysis.diagnosis.probe import name_of_activation
from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.diagnosis.trial import TRAINING_LOSS, VALIDATION_LOSS, Remedy
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Dropout, Flatten, Normalization, Rescaling
from pellucid.train.callbacks import EarlyStopping

#: A loss that is still above this share of its first value has not been learned.
_STUCK = 0.9
#: Sum of all rises of the training loss, as a share of its first value, from which it jumps.
_JUMPS = 0.5
#: How many times larger than the model's the suggested rate must be for it to count as too low.
_TOO_LOW = 10.0
#: The units of the hidden layer that a linear network is tried with.
_UNITS = 32
#: The validation loss has risen by this share above its best.
_OVERFIT = 0.2
#: ... and by this share of the loss before training, for it to be more than advice.
_COSTLY = 0.05
#: The seconds that a training of a wider network may take while one looks.
_SECONDS = 20.0


def learning_rate_too_high(case: Case) -> list[Finding]:
    """The loss became NaN, jumps or stays where it was, and in a range test it is lowest at a smaller rate."""
    losses = case.losses
    trouble = _trouble(case, losses)
    if trouble is None:
        return []
    try:
        found = case.range
    except ConfigurationError as error:
        raise SkipError(f"the range test does not run: {error.message}") from None
    # In the test a rate lasts for one step only: one that it survives may still be too high for a training.
    limit = 4 * case.rate if case.diverged else case.rate / 2
    if not found.learns or found.suggested is None or found.best >= limit:
        return []
    smooth, rate = found.smooth, float(f"{min(found.suggested, case.rate / 10):.1e}")
    evidence = (
        f"{trouble} The learning rate is {case.rate:.3g}; in a range test from fresh weights the loss falls to "
        f"{smooth.min():.3g} at a rate of {found.best:.2g} and rises beyond it."
    )
    code = _rate_code(case, rate)
    numbers = {"learning_rate": case.rate, "best": found.best, "suggested": rate}
    step = _first_jump(case)
    remedy = Remedy(case.setup, lambda s: _with_rate(s, rate), TRAINING_LOSS)
    tenth = "where the loss is lowest in the test" if rate == found.suggested else "what it was"
    suggestion = f"Take a learning rate of {rate:.2g}, a tenth of {tenth}."
    return [Finding("learning_rate_too_high", "error", evidence, suggestion, code, numbers, None, step, remedy)]


def divergence(case: Case) -> list[Finding]:
    """The loss became NaN or infinite, or far larger than at first, and nothing that is looked for tells why."""
    if not case.diverged:
        return []
    after = f"{len(case.losses)} epochs" if len(case.losses) else "less than an epoch"
    evidence = (
        f"After {after} at a learning rate of {case.rate:.3g} the training loss is {case.last_loss:.3g}; with fresh "
        f"weights it is {case.first_loss:.3g}. No other finding explains it."
    )
    rate = float(f"{case.rate / 100:.1e}")
    suggestion = (
        "Look at the error that ended the training, which names the first operation and layer; try a hundredth of the "
        "learning rate with clipped gradients."
    )
    name = type(case.model.optimizer).__name__
    code = f"model.compile(loss, {name}(learning_rate={rate:.2g}, clip_norm=1.0))"

    def change(model: Any) -> None:
        model.optimizer.learning_rate, model.optimizer.clip_norm = rate, 1.0

    remedy = Remedy(case.setup, lambda s: s.with_model(change), TRAINING_LOSS)
    numbers = {"learning_rate": case.rate, "first_loss": case.first_loss, "last_loss": case.last_loss}
    return [Finding("divergence", "error", evidence, suggestion, code, numbers, None, None, remedy)]


def _trouble(case: Case, losses: np.ndarray) -> str | None:
    """What is wrong with the curve, as a sentence, or None."""
    if not case.trained:
        return "The model was not trained yet." if case.range.best < case.rate / 2 else None
    if case.failed:
        epochs = int(np.argmin(np.isfinite(losses))) if len(losses) and not np.isfinite(losses).all() else len(losses)
        return f"The loss became NaN or infinite in epoch {epochs + 1}."
    first = case.first_loss
    if not math.isfinite(first):
        return None
    if losses[-1] > 1.2 * first:
        return (
            f"The training loss is {losses[-1]:.3g} after {len(losses)} epochs, above the {first:.3g} before training."
        )
    rises = float(np.maximum(np.diff(np.append(first, losses)), 0).sum())
    if rises > _JUMPS * first:
        return f"The training loss jumps: its rises over {len(losses)} epochs add up to {rises:.3g}."
    if losses[-1] > _STUCK * first:
        return f"The training loss is {losses[-1]:.3g} after {len(losses)} epochs; before training it was {first:.3g}."
    return None


def _first_jump(case: Case) -> int | None:
    """The update of the epoch in which the training loss rose for the first time."""
    losses = case.losses
    if len(losses) < 1 or not case.trained:
        return None
    rises = np.flatnonzero(~(np.diff(np.append(case.first_loss, losses)) <= 0))
    return int(rises[0] + 1) * case.setup.updates if len(rises) else None


def learning_rate_too_low(case: Case) -> list[Finding]:
    """The loss still falls at the end, and a range test gets lower in a hundred updates than the whole training."""
    losses = case.losses
    if len(losses) < 3 or case.failed:
        raise SkipError("it takes a history of at least 3 epochs")
    first, last = case.first_loss, float(losses[-1])
    if not math.isfinite(first) or last > first or last < (1 - 0.5) * first:
        return []
    late = losses[2 * len(losses) // 3 - 1] - last
    if late < 0.1 * (first - last):
        return []
    try:
        found = case.range
    except ConfigurationError as error:
        raise SkipError(f"the range test does not run: {error.message}") from None
    if found.suggested is None or found.suggested < _TOO_LOW * case.rate or found.smooth.min() >= last:
        return []
    evidence = (
        f"After {len(losses)} epochs at a learning rate of {case.rate:.2g}, the training loss has come from "
        f"{first:.3g} to {last:.3g} and still falls; a range test came to {found.smooth.min():.3g} within "
        f"{len(found.rates)} updates, at a rate of {found.best:.2g}."
    )
    numbers = {"learning_rate": case.rate, "suggested": found.suggested, "first_loss": first, "last_loss": last}
    suggestion = f"Take a learning rate of {found.suggested:.2g}, or train for many more epochs."
    remedy = Remedy(case.setup, lambda s: _with_rate(s, found.suggested), TRAINING_LOSS)
    code = _rate_code(case, found.suggested)
    severity = "warning" if last > 0.9 * first else "advice"
    return [Finding("learning_rate_too_low", severity, evidence, suggestion, code, numbers, None, None, remedy)]


def _rate_code(case: Case, rate: float | None) -> str:
    name = type(case.model.optimizer).__name__
    return f"model.compile(loss, {name}(learning_rate={rate:.2g}))\nlearning_rate_range(model, x, y).plot()"


def _with_rate(setup: Setup, rate: Any) -> Setup:
    def change(model: Any) -> None:
        model.optimizer.learning_rate = rate

    return setup.with_model(change)


def overfitting(case: Case) -> list[Finding]:
    """The validation loss rises from its best while the training loss falls, and the model has the last weights."""
    if case.history is None or case.setup.validation is None:
        raise SkipError("it takes a fit with validation data")
    curve = np.asarray(case.history.history.get("val_loss", []), float)
    seen = np.flatnonzero(np.isfinite(curve))
    if len(seen) < 5:
        raise SkipError("the history has fewer than 5 validation losses")
    best = int(seen[np.argmin(curve[seen])])
    last = case.evaluated(case.model, *case.setup.validation)
    behind = curve[seen[-3:]]
    falls = case.losses[-1] < case.losses[best]
    if not falls or best > seen[-4] or last < (1 + _OVERFIT) * curve[best] or behind.min() < 1.1 * curve[best]:
        return []
    evidence = (
        f"From epoch {best + 1} to {len(curve)} the training loss falls from {case.losses[best]:.3g} to "
        f"{case.losses[-1]:.3g}, but the validation loss rises from {curve[best]:.3g} to {last:.3g}: the network "
        "learns its training examples by heart."
    )
    patience = max(3, len(curve) // 10)
    code = f"model.fit(..., callbacks=[EarlyStopping(patience={patience})])   # keeps the best weights"
    numbers = {"best_epoch": best + 1, "best": float(curve[best]), "last": last}
    suggestion = "Stop early; more data, dropout, weight decay or a smaller network move the best epoch further down."

    def change(setup: Setup) -> Setup:
        return replace(setup, callbacks=(*setup.callbacks, lambda: EarlyStopping(patience=patience)))

    remedy = Remedy(case.setup, change, VALIDATION_LOSS)
    step = (best + 1) * case.setup.updates
    # What it costs may be little of what has been learned.
    severity = "warning" if last - curve[best] > _COSTLY * min(case.first_loss, case.constant_loss) else "advice"
    return [Finding("overfitting", severity, evidence, suggestion, code, numbers, None, step, remedy)]


def underfitting(case: Case) -> list[Finding]:
    """The loss rests, twice the epochs do not help, and four times the units (or any, if linear) get it to half."""
    losses = case.losses
    if len(losses) < 10 or case.failed:
        raise SkipError("it takes a history of at least 10 epochs")
    if not _is_row(case.model):
        raise SkipError("the model is not a row of layers")
    bends = _bends(case.model)
    if bends and not _has_width(case.model):
        raise SkipError("the model has no hidden layer with units that could be made more")
    quarter = len(losses) // 4
    end = float(np.mean(losses[-quarter:]))
    gone = case.first_loss - end
    if not gone > -0.1 * end or end < 0.2 * case.first_loss or np.mean(losses[-2 * quarter : -quarter]) > 1.15 * end:
        return []
    enlarge = widened if bends else bent
    wide = enlarge(case.setup)
    wider = _last(wide, len(losses))
    # A wide network also learns faster: only what the narrow one does not reach in twice the time is lack of units.
    longer = math.inf if wider > 0.5 * end else _last(case.setup, 2 * len(losses))
    if wider > 0.5 * end or longer < 0.7 * end:
        return []
    before, after = case.model.count_parameters(), wide.model.count_parameters()
    larger = "four times the hidden units" if bends else f"{_UNITS} hidden units of ReLU"
    evidence = (
        f"The training loss rests at {end:.3g} ({percent(gone / case.first_loss)} below that before training), and at "
        f"{longer:.3g} after twice the epochs; a network with {larger} ({after:,} parameters, not "
        f"{before:,}) came to {wider:.3g}."
    )
    numbers = {"loss": end, "longer": longer, "wider": wider}
    if bends:
        code = "Dense(4 * units, activation)   # in every hidden layer"
        suggestion = "Give the hidden layers more units: the network is too small for what there is to learn."
    else:
        code = f'Sequential([Input(shape), Dense({_UNITS}, "relu"), ...])'
        suggestion = "Add a hidden layer with an activation function: without one a network is linear, however deep."
    remedy = Remedy(case.setup, enlarge, TRAINING_LOSS)
    return [Finding("underfitting", "warning", evidence, suggestion, code, numbers, None, None, remedy)]


def _last(setup: Setup, epochs: int) -> float:
    """The last training loss of so many epochs, or of those that there was time for; infinity where it failed."""
    tried = setup.train(seconds=_SECONDS, epochs=epochs)
    return math.inf if tried.error or not len(tried.history) else float(tried.history["loss"][-1])


def _is_row(model: Any) -> bool:
    row = getattr(model, "_stack", None)
    return bool(row) and not any(hasattr(layer, "network") for layer in row)


def _has_width(model: Any) -> bool:
    return any(_width(layer) for layer in model._stack[:-1])


def _bends(model: Any) -> bool:
    """Whether anything before the output is not linear in the inputs, or may be not: all but these layers."""
    row = list(model._stack)
    last = max((number for number, layer in enumerate(row) if "kernel" in layer._own), default=0)
    straight = (Flatten, Normalization, Rescaling, Dropout)
    return not all(
        isinstance(layer, straight) or (isinstance(layer, Dense) and name_of_activation(layer) == "linear")
        for layer in row[:last]
    )


def bent(setup: Setup) -> Setup:
    """The setup of a linear row of layers with a hidden layer of ReLU before its last layer."""
    twin = setup.model.clone()
    row = list(twin._stack)
    last = max(number for number, layer in enumerate(row) if "kernel" in layer._own)
    fresh = [type(layer)(**layer.config()) if layer._own and "kernel" in layer._own else layer for layer in row]
    layers = [*fresh[:last], Dense(_UNITS, "relu", kernel_initializer="he_normal"), *fresh[last:]]
    return _with_row(setup, twin, layers)


def _width(layer: Any) -> str | None:
    return next((name for name in ("units", "filters") if hasattr(layer, name)), None)


def widened(setup: Setup, times: int = 4) -> Setup:
    """The setup of a row of layers with so many times the units in all that are hidden."""
    twin = setup.model.clone()
    rows = list(twin._stack)
    last = max(number for number, layer in enumerate(rows) if "kernel" in layer._own)
    layers = []
    for number, layer in enumerate(rows):
        name = _width(layer)
        if not layer._own or not any(p.trainable for p in layer._own.values()):
            layers.append(layer)  # with statistics of the data, where it has some
            continue
        settings = layer.config()
        if name and number < last:
            settings[name] *= times
        layers.append(type(layer)(**settings))
    return _with_row(setup, twin, layers)


def _with_row(setup: Setup, twin: Any, layers: list[Any]) -> Setup:
    with seeds.rooted(setup.seed):  # the user's own draws go on as if there had been no diagnosis
        wide = type(setup.model)([twin.inputs[0], *layers], name=setup.model.name)
    wide.compile(*_request(setup.model))
    return replace(setup, model=wide)


def _request(model: Any) -> tuple[Any, Any, Any]:
    loss, _, metrics = model._objective_request
    return loss, model.optimizer.copy(), metrics
