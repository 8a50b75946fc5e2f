"""Faults that show without the data: in the learning curves, and in what was recorded of a fit.

The names and limits are those of the detectors that look at the data, too; what takes data is left to those.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np

from pellucid.analysis.diagnosis.case import SkipError, part_of
from pellucid.analysis.diagnosis.finding import Finding, percent
from pellucid.analysis.diagnosis.flow import (
    ALL_DEAD,
    DEAD,
    EXPLODING,
    GOT_ON,
    KEEPING,
    LEARNED,
    SATURATED,
    SQUASHING,
    VANISHING,
    distinct_units,
)
from pellucid.analysis.diagnosis.record import Record, Series
from pellucid.train.recording.probe import paths

#: The share of a kernel's norm by which an update changes it that is far too much, and far too little.
_LARGE_UPDATE, _SMALL_UPDATE = 0.1, 1e-4
#: A deviation of so small a share of the mean is rounding.
_ROUNDING = 1e-5
#: Sum of all rises of the training loss, as a share of its first value, from which it jumps.
_JUMPS = 0.5
#: The validation loss has risen by this share above its best.
_OVERFIT = 0.2


def symmetry(record: Record) -> list[Finding]:
    """Units of a hidden layer with equal weights in and out: they get the same gradient, and stay the same unit."""
    for series, behind in pairwise(record.kernels("weight", "mean")):
        weights = _weights(record, series)
        if weights is None:
            units, alike = None, _began_equal(record, series.layer, behind.layer)
            how = (
                f"every weight was {series.values[0]:.3g} at update 1, and those of the layer behind it all equal, too"
            )
        else:
            units = weights["kernel"].shape[-1]
            alike = units > 1 and distinct_units(weights) == 1
            how = f"all {units} units have the same weights after {series.steps[-1]} updates"
        if not alike:
            continue
        evidence = (
            f'In layer "{series.layer}", {how}: the units compute the same, get the same gradient, and so count as '
            "one unit."
        )
        suggestion = "Draw the initial weights at random, so that every unit begins as another; biases may be 0."
        code = 'Dense(units, activation, kernel_initializer="glorot_uniform")   # the default'
        numbers = {} if units is None else {"units": units, "distinct": 1}
        return [Finding("symmetry", "error", evidence, suggestion, code, numbers, series.layer, int(series.steps[0]))]
    return []


def _began_equal(record: Record, layer: str, behind: str) -> bool:
    """Whether a layer's parameters, and the kernel behind it, were each of one value before the first update."""
    spreads = record.series("weight", "std")
    own = [s for s in spreads if s.layer == layer or (s.layer == behind and s.name == "kernel")]
    means = {(s.layer, s.name): abs(s.values[0]) for s in record.series("weight", "mean")}
    return all(s.steps[0] == 1 and s.values[0] <= _ROUNDING * means[s.layer, s.name] for s in own)


def _weights(record: Record, series: Series) -> dict[str, np.ndarray] | None:
    """The weights of a layer, as the model has them now or as they were recorded last; None where neither is known."""
    if record.model is not None:
        layer = next(layer for layer, path in paths(record.model) if path == series.layer)
        return {name: parameter.numpy() for name, parameter in layer._own.items()}
    if record.recording is None or record.recording.level != "full":
        return None
    return record.recording.weights(int(series.steps[-1]), series.layer)


def vanishing_gradients(record: Record) -> list[Finding]:
    """The gradient of the first layer's kernel is a small share of that behind it, in a training that got nowhere."""
    kernels = record.kernels("gradient", "norm")
    if len(kernels) < 3:
        raise SkipError(f"it takes at least 3 recorded layers with weights, and there are {len(kernels)}")
    if record.progress > LEARNED or _is_cut_off(record):
        return []
    first, rest = kernels[0], np.max([series.values for series in kernels[1:]], axis=0)
    with np.errstate(all="ignore"):
        share = Series(first.layer, first.function, "kernel", first.steps, first.values / rest)
    stuck = not record.progress > 0.25
    small = [part for part in (share.late, *([float(share.values[0])] if stuck else [])) if part < VANISHING]
    if not small:
        return []
    worst = min(small)
    step = int(share.steps[int(np.flatnonzero(share.values < VANISHING)[0])])
    between = [s.function for s in kernels[:-1] if s.function in SQUASHING]
    row = int(np.flatnonzero(share.steps == step)[0])
    evidence = (
        f'At update {step}, the gradient of the kernel in layer "{first.layer}", the first of {len(kernels)}, has the '
        f"norm {first.values[row]:.2g}; the largest behind it has {rest[row]:.2g}. Of late the share is "
        f"{share.late:.1g}"
    )
    if between:
        evidence += f"; {len(between)} layers of {between[0]} lie between them and the loss."
        suggestion = "Use ReLU with He initial weights in the hidden layers, which pass the gradient on."
    else:
        evidence += "."
        suggestion = "Draw larger initial weights, as suit the activation function (He for ReLU)."
    code = 'Dense(units, activation="relu", kernel_initializer="he_normal")   # in every hidden layer'
    numbers = {"first": float(first.values[row]), "largest": float(rest[row]), "ratio": worst}
    severity = "error" if worst < VANISHING / 10 else "warning"
    return [Finding("vanishing_gradients", severity, evidence, suggestion, code, numbers, first.layer, step)]


def _is_cut_off(record: Record) -> bool:
    """Whether dead units are why no gradient comes through: that is a finding of its own."""
    dead = [s for s in record.series("activation", "dead") if s.function == "relu"]
    return any(s.late > ALL_DEAD for s in dead)


def exploding_gradients(record: Record) -> list[Finding]:
    """The delta grows a hundredfold on its way back to the first layers, or is not finite."""
    deltas = record.deltas
    if len(deltas) < 2:
        raise SkipError(f"it takes at least 2 recorded layers with weights, and there are {len(deltas)}")
    if record.progress > LEARNED:
        return []
    # What a training that diverged left behind is large because of its steps; the cause shows at its beginning.
    row = 0 if record.failed or not record.last_loss <= 2 * record.first_loss else -1
    sizes = [float(series.values[row]) for series in deltas]
    first, last = max(sizes[:-1]), sizes[-1]
    if math.isfinite(first) and (last == 0 or first < EXPLODING * last or first < 1e-3):
        return []
    place = int(np.argmax(np.nan_to_num(sizes[:-1], nan=math.inf)))
    worst, step = deltas[place], int(deltas[0].steps[row])
    times = f"{first:.2g}, {first / last:.2g} times the {last:.2g} at the end" if last else f"{first:.2g}"
    evidence = (
        f'At update {step}, on its way back from layer "{deltas[-1].layer}" to layer "{worst.layer}" the gradient by '
        f"the pre-activations grows: its root mean square is {times if math.isfinite(first) else 'not finite'}."
    )
    suggestion = "Draw smaller initial weights, with the variance of 1 / fan-in (Glorot, He), and clip the gradient."
    code = 'Dense(units, kernel_initializer="glorot_uniform")   # in every layer\nmodel.optimizer.clip_norm = 1.0'
    numbers = {"first": first, "last": last, "ratio": first / last if last else math.inf}
    return [Finding("exploding_gradients", "error", evidence, suggestion, code, numbers, worst.layer, step)]


def dead_relu(record: Record) -> list[Finding]:
    """Units of ReLU that are 0 for every sample of the recorded batches."""
    layers = [s for s in record.series("activation", "dead") if s.function == "relu" and not part_of(s.name)]
    if not layers:
        raise SkipError("no ReLU was recorded")
    found = [series for series in layers if series.late >= DEAD]
    if record.progress > LEARNED or not found:
        return []
    worst = max(found, key=lambda series: series.late)
    step, start = worst.first_above(DEAD), float(worst.values[0])
    evidence = (
        f'In layer "{worst.layer}", {percent(worst.late)} of the units are 0 for every sample of a batch of late '
        f"(more than {percent(DEAD)} since update {step}), {percent(start)} at update {worst.steps[0]}: no gradient "
        "reaches them."
    )
    if start >= DEAD:
        suggestion = "Use leaky ReLU, whose slope is never 0, with He initial weights and biases of 0."
        code = 'Dense(units, activation="leaky_relu", kernel_initializer="he_normal", bias_initializer="zeros")'
    else:
        suggestion = "They died of too large a step: take a tenth of the learning rate; leaky ReLU cannot die."
        code = "model.optimizer.learning_rate /= 10   # before fit"
    severity = "error" if worst.late > ALL_DEAD else "warning"
    numbers = {"share": worst.late, "layers": len(found), "share_at_start": start}
    return [Finding("dead_relu", severity, evidence, suggestion, code, numbers, worst.layer, step)]


def saturation(record: Record) -> list[Finding]:
    """Most activations of a sigmoid or tanh lie where its slope is (nearly) 0, in a training that gets nowhere."""
    last = record.kernels("weight", "norm")[-1:]
    outputs = {series.layer for series in last}
    layers = [s for s in record.series("activation", "saturated") if s.function in SQUASHING and s.layer not in outputs]
    if not layers:
        raise SkipError("no hidden sigmoid or tanh was recorded")
    means = {(s.layer, s.name): s.late for s in record.series("activation", "mean")}
    # A gate that is open keeps the state: that is how a cell remembers.
    layers = [s for s in layers if not (part_of(s.name) in KEEPING and means[s.layer, s.name] > 0.5)]
    worst = max(layers, key=lambda series: series.late, default=None)
    if worst is None or worst.late < SATURATED or record.progress > LEARNED:
        return []
    start = float(worst.values[0])
    if start < SATURATED and record.progress > GOT_ON:
        return []
    part = part_of(worst.name)
    spoken = f"the {part} ({worst.function})" if part else worst.function
    evidence = (
        f'In layer "{worst.layer}", {percent(worst.late)} of the activations of {spoken} lie where its slope is nearly '
        f"0 (more than half since update {worst.first_above(SATURATED)}), {percent(start)} at update {worst.steps[0]}."
    )
    if start < SATURATED:
        suggestion = "Too large steps drove them there: take a tenth of the learning rate."
        code = "model.optimizer.learning_rate /= 10   # before fit"
    else:
        suggestion = "Draw smaller initial weights, as suits the layer (Glorot), and scale the inputs to deviation 1."
        code = "scale = Normalization()\nscale.adapt(x_train)   # then: Sequential([scale, ...])"
    numbers = {"share": worst.late, "share_at_start": start}
    step = worst.first_above(SATURATED)
    return [Finding("saturation", "warning", evidence, suggestion, code, numbers, worst.layer, step)]


def learning_rate_too_high(record: Record) -> list[Finding]:
    """The loss became NaN, rose or jumps, and where updates were recorded they are large against the weights."""
    trouble, updates = _trouble(record), _updates(record)
    if trouble is None:
        return []
    told, layer, step = "", None, None
    numbers = {"first_loss": record.first_loss, "last_loss": record.last_loss}
    if updates:
        worst = max(updates, key=lambda series: series.values.max())
        size = numbers["update"] = float(worst.values.max())
        layer, step = worst.layer, worst.first_above(_LARGE_UPDATE)
        told = (
            f' In layer "{layer}" an update changed the kernel by up to {percent(size)} of its norm; a thousandth is '
            "usual."
        )
    if step is None and (updates or record.failed):
        return []  # where the loss became NaN and nobody saw why, that is a divergence
    suggestion = "Take a tenth of the learning rate, or what a learning-rate range test suggests."
    code = "learning_rate_range(model, x, y).plot()"
    severity = "error" if updates else "warning"
    return [Finding("learning_rate_too_high", severity, trouble + told, suggestion, code, numbers, layer, step)]


def _trouble(record: Record) -> str | None:
    """What is wrong with the curve, as a sentence, or None."""
    losses, first = record.losses, record.first_loss
    if record.failed:
        return f"The loss became NaN or infinite in epoch {int(np.isfinite(record.curve('loss')).sum()) + 1}."
    if record.last_loss > 1.2 * first:
        return f"The training loss is {record.last_loss:.3g} in the end; at first it was {first:.3g}."
    if record.history is not None and first > 0:
        rises = float(np.maximum(np.diff(np.append(first, losses)), 0).sum())
        if rises > _JUMPS * first:
            return f"The training loss jumps: its rises over {len(losses)} epochs add up to {rises:.3g}."
    return None


def _updates(record: Record) -> list[Series]:
    """The ratios of update and weight of the kernels, where they are numbers; none without a recording."""
    try:
        ratios = record.kernels("update", "ratio")
    except SkipError:
        return []
    known = [(series, np.isfinite(series.values)) for series in ratios]
    return [replace(s, steps=s.steps[own], values=s.values[own]) for s, own in known if own.any()]


def divergence(record: Record) -> list[Finding]:
    """The loss became NaN or infinite, or far larger than at first, and nothing that is looked for tells why."""
    if not (record.failed or record.last_loss > 2 * record.first_loss):
        return []
    evidence = f"{_trouble(record)} The first loss was {record.first_loss:.3g}; no other finding explains it."
    suggestion = (
        "Look at the error that ended the training, which names the first operation and layer; try a hundredth of the "
        "learning rate with clipped gradients."
    )
    code = "model.optimizer.learning_rate /= 100   # before fit\nmodel.optimizer.clip_norm = 1.0"
    numbers = {"first_loss": record.first_loss, "last_loss": record.last_loss}
    return [Finding("divergence", "error", evidence, suggestion, code, numbers)]


def learning_rate_too_low(record: Record) -> list[Finding]:
    """The loss still falls at the end, and the updates are tiny against the weights."""
    losses, last = record.losses, record.last_loss
    if record.history is None or len(losses) < 3 or record.failed:
        raise SkipError("it takes a history of at least 3 epochs")
    updates = _updates(record)
    if not updates:
        raise SkipError('no update was recorded: fit(..., record="stats")')
    size, layer = max((float(np.median(series.values)), series.layer) for series in updates)
    first = float(losses[0])  # one batch's loss would be too rough to measure little progress by
    late = losses[2 * len(losses) // 3 - 1] - last
    if last > first or last < 0.5 * first or late < 0.1 * (first - last) or size > _SMALL_UPDATE:
        return []
    evidence = (
        f"After {len(losses)} epochs the training loss has come from {first:.3g} to {last:.3g} and still falls; a "
        f'typical update changes no kernel by more than {size:.1g} of its norm (layer "{layer}"); a '
        "thousandth is usual."
    )
    suggestion = "Take a learning rate ten times as large, or what a learning-rate range test suggests."
    numbers = {"update": size, "first_loss": first, "last_loss": last}
    severity = "warning" if last > 0.9 * first else "advice"
    code = "learning_rate_range(model, x, y).plot()"
    return [Finding("learning_rate_too_low", severity, evidence, suggestion, code, numbers, layer)]


def overfitting(record: Record) -> list[Finding]:
    """The validation loss rises from its best while the training loss falls, and nothing ended the fit."""
    curve = record.curve("val_loss")
    seen = np.flatnonzero(np.isfinite(curve))
    if len(seen) < 5:
        raise SkipError("the history has fewer than 5 validation losses")
    best = int(seen[np.argmin(curve[seen])])
    losses, last = record.losses, float(curve[seen[-1]])
    behind = curve[seen[-3:]]
    rose = last > (1 + _OVERFIT) * curve[best] and behind.min() > 1.1 * curve[best]
    if (
        record.history is None
        or record.history.stopped_by
        or not losses[-1] < losses[best]
        or best > seen[-4]
        or not rose
    ):
        return []
    evidence = (
        f"From epoch {best + 1} to {len(curve)} the training loss falls from {losses[best]:.3g} to {losses[-1]:.3g}, "
        f"but the validation loss rises from {curve[best]:.3g} to {last:.3g}: the network learns its training examples "
        "by heart."
    )
    patience = max(3, len(curve) // 10)
    code = f"model.fit(..., callbacks=[EarlyStopping(patience={patience})])   # keeps the best weights"
    suggestion = "Stop early; more data, dropout, weight decay or a smaller network move the best epoch further down."
    numbers = {"best_epoch": best + 1, "best": float(curve[best]), "last": last}
    severity = "warning" if last - curve[best] > 0.05 * record.first_loss else "advice"
    return [Finding("overfitting", severity, evidence, suggestion, code, numbers)]
