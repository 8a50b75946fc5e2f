"""Faults that one sees inside of the network: in activations, gradients and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.case import Case, SkipError
from pellucid.analysis.diagnosis.finding import Finding, percent
from pellucid.analysis.diagnosis.probe import LayerView, leaves, name_of_activation
from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.diagnosis.trial import TRAINING_LOSS, Remedy
from pellucid.errors import ConfigurationError
from pellucid.nn import initializers
from pellucid.seeds import generator

#: First layer's share of the largest kernel gradient behind it, below which it is said to vanish. (Of ten layers of
#: tanh or ReLU with weights of Glorot the first one gets more than half, of five sigmoids a thousandth.)
VANISHING = 1e-2
#: How many times larger the first delta is than the last where gradients are said to explode.
EXPLODING = 100.0
#: Share of dead units of a layer: a warning, an error.
DEAD, ALL_DEAD = 0.6, 0.9
#: Share of saturated activations of a layer.
SATURATED = 0.5
#: Share of the loss that is gone from which a training is said to get on.
GOT_ON = 0.1
#: A training whose loss has fallen by this share has not suffered.
LEARNED = 0.9

#: Parts of recurrent layers that keep a state where they are 1: that is how a cell remembers.
KEEPING = ("forget gate", "update gate")

SQUASHING = ("sigmoid", "tanh", "hard_sigmoid", "softsign")


def hidden_layers(model: Any) -> list[Any]:
    """The layers with a kernel but the last, which makes the output."""
    return [layer for _, layer in leaves(model) if "kernel" in layer._own][:-1]


def set_hidden(setup: Setup, only: str | None = None, **settings: Any) -> Setup:
    """The setup with other settings of its hidden layers (of those with an activation function that is ``only``)."""

    def change(model: Any) -> None:
        for layer in hidden_layers(model):
            if only is not None and name_of_activation(layer) != only:
                continue
            for name, value in settings.items():
                if hasattr(layer, name):
                    setattr(layer, name, value)

    return setup.with_model(change)


def vanishing_gradients(case: Case) -> list[Finding]:
    """The gradient of the first layers is a thousandth of that of the last, in a training that has got nowhere."""
    views = case.now.weighted
    if len(views) < 3:
        raise SkipError(f"it takes at least 3 layers with weights, and the model has {len(views)}")
    if case.trained and case.progress > LEARNED:
        return []
    # What hardly came through at first may have been why training got nowhere, though some does by now.
    stuck = case.trained and not case.progress > 0.25
    looked_at = (views, *([case.start.weighted] if stuck else []))
    seen = next((v for v in looked_at if _vanishes(v) and not _cut_off(v)), None)
    if seen is None:
        return _dies_on_its_way(case, case.start.weighted) if stuck or not case.trained else []
    norms = [view.gradient_norm() for view in seen]
    largest = max(norms[1:])
    squashing = [view for view in views[:-1] if view.function in SQUASHING]
    share = norms[0] / largest
    where = "In" if seen is views else "With fresh weights, in"
    evidence = (
        f'{where} layer "{views[0].label}", the first of {len(views)}, the gradient of the kernel has the norm '
        f'{norms[0]:.2g}, {share:.1g} of the {largest:.2g} in layer "{views[norms.index(largest)].label}"'
    )
    code = 'Dense(units, activation="relu", kernel_initializer="he_normal")   # in every hidden layer'
    if squashing:
        evidence += f"; {len(squashing)} layers of {squashing[0].function} lie between them and the loss."
        suggestion = "Use ReLU with He initial weights in the hidden layers, which pass the gradient on."
    else:
        evidence += "."
        suggestion = "Draw larger initial weights, as suit the activation function (He for ReLU)."
    remedy = Remedy(case.setup, lambda s: set_hidden(s, **_passing(bool(squashing))), TRAINING_LOSS)
    numbers = {"first": norms[0], "largest": largest, "ratio": share}
    severity = "error" if share < VANISHING / 10 else "warning"
    return [Finding("vanishing_gradients", severity, evidence, suggestion, code, numbers, views[0].label, None, remedy)]


def _dies_on_its_way(case: Case, views: list[LayerView]) -> list[Finding]:
    """Weights so small that neither the signal nor the gradient comes through: the last bias alone is learned."""
    norms = [view.gradient_norm() for view in views]
    bias = views[-1].gradients.get("bias")
    size = 0.0 if bias is None else float(np.linalg.norm(bias.astype(np.float64)))
    if not math.isfinite(sum(norms)) or max(norms) >= VANISHING * size or _cut_off(views):
        return []
    first, last = (float(view.activation.std()) for view in (views[0], views[-2]))
    evidence = (
        f'With fresh weights, the deviation of the activations falls from {first:.2g} in layer "{views[0].label}" to '
        f'{last:.2g} in layer "{views[-2].label}": the gradients of the kernels have norms of at most '
        f"{max(norms):.2g}, that of the last bias {size:.2g}, so that it alone is learned."
    )
    suggestion = "Draw larger initial weights, as suit the activation function (He for ReLU, Glorot for tanh)."
    code = 'Dense(units, activation="relu", kernel_initializer="he_normal")   # in every hidden layer'
    numbers = {"first": norms[0], "largest": max(norms), "bias": size, "ratio": max(norms) / size}
    remedy = Remedy(case.setup, lambda s: set_hidden(s, kernel_initializer="he_normal"), TRAINING_LOSS)
    return [Finding("vanishing_gradients", "error", evidence, suggestion, code, numbers, views[0].label, None, remedy)]


def _vanishes(views: list[LayerView]) -> bool:
    norms = [view.gradient_norm() for view in views]
    largest = max(norms[1:])
    return math.isfinite(sum(norms)) and largest > 0 and norms[0] < VANISHING * largest


def _passing(change_function: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {"kernel_initializer": "he_normal"}
    return settings | {"activation": "relu"} if change_function else settings


def _cut_off(views: list[LayerView]) -> bool:
    """Whether dead units, or weights that are all equal, are why no gradient comes through: those are findings too."""
    dead = any(view.dead is not None and view.function == "relu" and view.dead.mean() > ALL_DEAD for view in views)
    return dead or any(distinct_units(view.weights) == 1 for view in views[:-1])


def exploding_gradients(case: Case) -> list[Finding]:
    """The gradient grows a hundredfold on its way back to the first layers, or is not finite."""
    views = case.now.weighted
    if len(views) < 2:
        raise SkipError(f"it takes at least 2 layers with weights, and the model has {len(views)}")
    if case.trained and case.progress > LEARNED:
        return []
    # What a training that diverged left behind is large because of its steps; the cause shows with fresh weights.
    usable = not case.diverged and np.isfinite([view.delta_rms for view in views]).all()
    views = views if usable else case.start.weighted
    rms = [view.delta_rms for view in views]
    first, last = max(rms[:-1]), rms[-1]
    if math.isfinite(first) and (last == 0 or first < EXPLODING * last or first < 1e-3):
        return []
    worst = (
        views[rms.index(first)] if math.isfinite(first) else next(v for v in views if not math.isfinite(v.delta_rms))
    )
    how = f"{first:.2g}, {first / last:.2g} times" if math.isfinite(first) else "not finite, against"
    way = "On" if usable else "With fresh weights, on"
    evidence = (
        f'{way} its way back from layer "{views[-1].label}" to layer "{worst.label}" the gradient by the '
        f"pre-activations grows: its root mean square is {how} the {last:.2g} at the end."
    )
    suggestion = "Draw smaller initial weights, with the variance of 1 / fan-in (Glorot, He), and clip the gradient."
    rate = case.model.optimizer.current_learning_rate()
    name = type(case.model.optimizer).__name__
    code = (
        'Dense(units, kernel_initializer="glorot_uniform")   # in every layer\n'
        f"model.compile(loss, {name}(learning_rate={rate:g}, clip_norm=1.0))"
    )

    def change(model: Any) -> None:
        for _, layer in leaves(model):
            if hasattr(layer, "kernel_initializer"):
                layer.kernel_initializer = "glorot_uniform"
        model.optimizer.clip_norm = 1.0

    remedy = Remedy(case.setup, lambda s: s.with_model(change), TRAINING_LOSS)
    numbers = {"first": first, "last": last, "ratio": first / last if last else math.inf}
    return [Finding("exploding_gradients", "error", evidence, suggestion, code, numbers, worst.label, None, remedy)]


def dead_relu(case: Case) -> list[Finding]:
    """Units of ReLU that are 0 for every sample: no gradient reaches them, and they never come back."""
    views = [view for view in case.now.views if view.function == "relu" and view.dead is not None]
    if not views:
        raise SkipError("the model has no ReLU")
    if case.trained and case.progress > LEARNED:
        return []
    found = []
    for view in views:
        share = 0.0 if view.dead is None else float(view.dead.mean())
        if share >= DEAD:
            found.append((share, view))
    if not found:
        return []
    share, view = max(found, key=lambda each: each[0])
    assert view.dead is not None
    step = case.first_step(view.label, "activation", "dead", DEAD)
    before = next((float(v.dead.mean()) for v in case.start.views if v.label == view.label and v.dead is not None), 0.0)
    born = before >= DEAD
    since = f" (more than {percent(DEAD)} since update {step})" if step else ""
    since += ", as they are with fresh weights" if born else f", {percent(before)} with fresh weights"
    units = "channels" if view.activation.ndim > 2 else "units"
    evidence = (
        f'In layer "{view.label}", {int(view.dead.sum())} of {view.dead.size} {units} are 0 for each of '
        f"{len(view.activation)} training samples{since}: no gradient reaches them."
    )
    suggestion, code, remedy = _born_dead(case) if born else _killed(case)
    severity = "error" if share > ALL_DEAD else "warning"
    numbers = {"share": share, "layers": len(found), "share_at_start": before}
    return [Finding("dead_relu", severity, evidence, suggestion, code, numbers, view.label, step, remedy)]


def _born_dead(case: Case) -> tuple[str, str, Remedy]:
    suggestion = "Use leaky ReLU, whose slope is never 0, with He initial weights and biases of 0."
    code = 'Dense(units, activation="leaky_relu", kernel_initializer="he_normal", bias_initializer="zeros")'
    return suggestion, code, Remedy(case.setup, _revived, TRAINING_LOSS)


def _killed(case: Case) -> tuple[str, str, Remedy]:
    suggestion, code, remedy = _slower(case, "They died of too large a step")
    return f"{suggestion[:-1]}; leaky ReLU cannot die.", code, remedy


def _slower(case: Case, cause: str) -> tuple[str, str, Remedy]:
    """A tenth of the learning rate, or less where a range test says so."""
    rate = case.rate / 10
    try:
        rate = min(rate, case.range.suggested or rate)
    except ConfigurationError:  # no finite loss at any rate
        pass
    rate = float(f"{rate:.1e}")

    def change(model: Any) -> None:
        model.optimizer.learning_rate = rate

    code = f"{type(case.model.optimizer).__name__}(learning_rate={rate:.2g})"
    remedy = Remedy(case.setup, lambda s: s.with_model(change), TRAINING_LOSS)
    return f"{cause}: take a learning rate of {rate:.2g}.", code, remedy


def _revived(setup: Setup) -> Setup:
    def change(model: Any) -> None:
        for _, layer in leaves(model):
            if name_of_activation(layer) == "relu":
                layer.activation = "leaky_relu"
                if hasattr(layer, "kernel_initializer"):
                    layer.kernel_initializer, layer.bias_initializer = "he_normal", "zeros"

    return setup.with_model(change)


def saturation(case: Case) -> list[Finding]:
    """Most activations of a sigmoid or tanh lie where its slope is (nearly) 0, in a training that gets nowhere."""
    views = [*(v for v in case.now.views if v is not case.now.views[-1]), *case.now.parts]
    views = [view for view in views if view.function in SQUASHING]
    if not views:
        raise SkipError("the model has no hidden sigmoid or tanh, and no gates")
    if case.trained and case.progress > LEARNED:
        return []
    shares = [_share(view) for view in views]
    worst = int(np.argmax(shares))
    view, share = views[worst], shares[worst]
    before = next((_share(v) for v in (*case.start.views, *case.start.parts) if v.name == view.name), 0.0)
    # Weights that grew until the units answer with yes or no, in a training that gets on, are what it has learned.
    if share < SATURATED or (before < SATURATED and case.trained and case.progress > GOT_ON):
        return []
    inputs = float(np.sqrt(np.mean(np.square(view.inputs, dtype=np.float64))))
    kernel = view.weights.get("kernel")
    spread = 0.0 if kernel is None else float(kernel.std())
    step = case.first_step(view.label, "activation", "saturated", SATURATED, view.part)
    since = f" (more than half since update {step})" if step else ""
    since += "" if before >= SATURATED else f", {percent(before)} with fresh weights"
    evidence = (
        f'In layer "{view.label}", {percent(share)} of the activations of {_spoken(view)} lie where its slope is '
        f"nearly 0{since}: its inputs have a root mean square of {inputs:.3g}, its weights a deviation of {spread:.3g}."
    )
    numbers = {"share": share, "share_at_start": before, "inputs": inputs, "weights": spread}
    if before < SATURATED:
        suggestion, code, remedy = _slower(case, "Too large steps drove them there")
        return [Finding("saturation", "warning", evidence, suggestion, code, numbers, view.label, step, remedy)]
    if inputs > 3:
        suggestion = "Scale the inputs to mean 0 and deviation 1, and draw the weights as suits the layer (Glorot)."
        code = "scale = Normalization()\nscale.adapt(x_train)   # then: Sequential([scale, ...])"
        remedy = Remedy(case.setup, lambda s: _calmed(_standardized(s)), TRAINING_LOSS)
    else:
        suggestion = "Draw smaller initial weights, as suits the layer (Glorot)."
        code = _defaults(view)
        remedy = Remedy(case.setup, _calmed, TRAINING_LOSS)
    remedy = remedy if inputs <= 3 or case.is_table else Remedy(case.setup, _calmed, TRAINING_LOSS)
    return [Finding("saturation", "warning", evidence, suggestion, code, numbers, view.label, step, remedy)]


def _defaults(view: LayerView) -> str:
    """The layer with its usual initial weights, as code."""
    kind = type(view.layer).__name__
    if view.part:
        return f'{kind}(units, kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal")   # defaults'
    return f'Dense(units, activation="{view.function}", kernel_initializer="glorot_uniform")'


def _share(view: LayerView) -> float:
    """The share of activations through which no gradient comes; a gate that keeps the state is not blamed for it."""
    saturated = view.saturated
    if saturated is None:
        return 0.0
    return float((saturated & (view.activation < 0.5) if view.part in KEEPING else saturated).mean())


def _spoken(view: LayerView) -> str:
    return f"the {view.part} ({view.function})" if view.part else view.function


def _calmed(setup: Setup) -> Setup:
    settings = {"kernel_initializer": "glorot_uniform", "recurrent_initializer": "orthogonal"}
    return set_hidden(setup, **settings, bias_initializer="zeros")


def _standardized(setup: Setup) -> Setup:
    x = np.asarray(setup.x, np.float64)
    mean, std = x.mean(axis=0), x.std(axis=0)
    std = np.where(std > 1e-7 * np.abs(mean), std, 1.0)
    return setup.with_inputs(lambda values: ((values - mean) / std).astype(np.float32))


def symmetry(case: Case) -> list[Finding]:
    """Units of a hidden layer that have the same weights: they get the same gradient, and stay the same unit."""
    views = [view for view in case.now.hidden if view.weights["kernel"].shape[-1] > 1]
    if not views:
        raise SkipError("the model has no hidden layer of several units")
    for view in views:
        units, distinct = view.weights["kernel"].shape[-1], distinct_units(view.weights)
        if distinct > units // 2:
            continue
        same = (
            f"all {units} units have the same weights"
            if distinct == 1
            else f"{units} units have only {distinct} kinds of weights"
        )
        step = case.model.optimizer.iterations
        given = getattr(view.layer, "kernel_initializer", None)
        drawn = ""
        if isinstance(initializers.get(given), initializers.Constant):
            drawn = f" (kernel_initializer={given!r} gives each the same)"
        evidence = (
            f'In layer "{view.label}", {same} after {step} updates{drawn}: they compute the same, '
            f"get the same gradient, and so count as {'one unit' if distinct == 1 else f'{distinct} units'}."
        )
        code = 'Dense(units, activation, kernel_initializer="glorot_uniform")   # the default'
        remedy = Remedy(case.setup, _broken, TRAINING_LOSS)
        numbers = {"units": units, "distinct": distinct}
        suggestion = "Draw the initial weights at random, so that every unit begins as another; biases may be 0."
        return [Finding("symmetry", "error", evidence, suggestion, code, numbers, view.label, step, remedy)]
    return []


def _broken(setup: Setup) -> Setup:
    return set_hidden(setup, kernel_initializer="glorot_uniform")


def distinct_units(weights: Mapping[str, np.ndarray]) -> int:
    """How many kinds of units a layer has: those that differ by more than rounding in their weights or bias."""
    kernel = weights["kernel"]
    rows = [kernel.reshape(-1, kernel.shape[-1])]
    if "bias" in weights and weights["bias"].shape == (kernel.shape[-1],):
        rows.append(weights["bias"][None])
    units = np.concatenate(rows).astype(np.float64)
    norms = np.linalg.norm(units, axis=0)
    size = np.where(norms > 0, norms, 1.0)
    # Equal units have equal projections on any direction; others have different ones on one drawn at random.
    place = np.sort(generator(0, 17).normal(size=len(units)) @ (units / size) + np.log(size))
    return 1 + int((np.diff(place) > 1e-5).sum())
