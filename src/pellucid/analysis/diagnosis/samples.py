"""Faults of the data: their scale, what leaks between the splits, and how the classes are shared out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.case import Case, SkipError
from pellucid.analysis.diagnosis.finding import Finding, percent
from pellucid.analysis.diagnosis.flow import _standardized
from pellucid.analysis.diagnosis.neighbours import overlap
from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.diagnosis.trial import (
    BALANCED_ACCURACY,
    TRAINING_LOSS,
    Measure,
    Remedy,
    recalls,
    score_of,
)

#: Root mean square of an input from which it is too large, below which it is too small.
_LARGE, _SMALL = 10.0, 0.01
#: Ratio of the deviations of two features of a table, from which one drowns the other.
_UNEQUAL = 100.0
#: Samples of the largest class for one of the smallest.
_IMBALANCE = 8.0
#: The most samples on which correlations are computed.
_ROWS = 5000
#: Correlation of a feature with the target from which it is taken for a copy of it.
_COPY = 0.9999


def unscaled_features(case: Case) -> list[Finding]:
    """What the first layer with weights is given is large, tiny, or of very different size from feature to feature."""
    if not case.now.weighted:
        raise SkipError("the model has no layer with weights")
    view = case.now.weighted[0]
    before = case.now.views[: case.now.views.index(view)]
    if any(parameter.trainable for other in before for parameter in other.layer._own.values()):
        raise SkipError("the inputs are embedded or normalised by the batch")
    x = view.inputs.reshape(-1, view.inputs.shape[-1]).astype(np.float64)
    evidence = _scale(case, x)
    if evidence is None:
        return []
    code = "scale = Normalization()\nscale.adapt(x_train)\nmodel = Sequential([Input(shape), scale, ...])"
    suggestion = "Standardise the inputs inside of the model: x' = (x - mean) / deviation of the training data."
    remedy = None
    if len(case.model.inputs) == 1:
        scale = _standardized if case.is_table else _standardized_whole
        remedy = Remedy(case.setup, scale, TRAINING_LOSS)
    rms = np.sqrt((x**2).mean(axis=0))
    numbers = {"largest": float(rms.max()), "smallest": float(rms.min())}
    evidence = f'At layer "{view.label}", {evidence}'
    return [Finding("unscaled_features", "warning", evidence, suggestion, code, numbers, view.label, None, remedy)]


def _scale(case: Case, x: np.ndarray) -> str | None:
    """What is wrong with the scale of the inputs [N, features], as the end of a sentence."""
    rms, std = np.sqrt((x**2).mean(axis=0)), x.std(axis=0)
    size, varying = float(np.sqrt((x**2).mean())), std[std > 0]
    low = int(np.argmin(np.where(std > 0, std, np.inf)))
    uneven = case.is_table and len(varying) > 1 and varying.max() > _UNEQUAL * varying.min()
    if size > _LARGE:
        what = f"feature {case.feature(int(np.argmax(rms)))} has" if case.is_table else "they have"
        beside = f", and {case.feature(low)} has a deviation of only {std[low]:.2g}" if uneven else ""
        mean = f"{what} a root mean square of {rms.max():.3g}"
        return f"the inputs are large: {mean} (1 is what initial weights are drawn for){beside}."
    if size < _SMALL:
        mean = f"their root mean square is {size:.2g}"
        return f"the inputs are tiny: {mean} (1 is what initial weights are drawn for)."
    if uneven and std.max() > 3:
        high = int(np.argmax(std))
        return (
            f"the features are of different size: {case.feature(high)} has a deviation of {std[high]:.3g}, "
            f"{case.feature(low)} one of {std[low]:.2g}, {std[high] / std[low]:.2g} times less."
        )
    return None


def _standardized_whole(setup: Setup) -> Setup:
    x = np.asarray(setup.x, np.float64)
    mean, std = float(x.mean()), float(x.std()) or 1.0
    return setup.with_inputs(lambda values: ((values - mean) / std).astype(np.float32))


def unscaled_targets(case: Case) -> list[Finding]:
    """Numbers to predict that lie far from what a fresh network gives."""
    if not case.setup.is_regression:
        raise SkipError("the targets are no numbers, or there are several")
    y = np.asarray(case.setup.y, float)
    size = float(np.sqrt((y**2).mean()))
    given = float(np.sqrt(np.mean(np.square(case.start.outputs[0], dtype=np.float64))))
    if size < 100 or given > 0.01 * size:
        return []
    evidence = (
        f"The targets have a mean of {y.mean():.4g} and a deviation of {y.std():.3g}, but a fresh network gives "
        f"numbers of the size {given:.2g}: the first steps go into the size of the output alone."
    )
    code = "Sequential([..., Dense(1), Rescaling(float(y_train.std()), float(y_train.mean()))])"
    suggestion = "Let the network learn standardised targets, and put their unit back with a last layer of Rescaling."
    mean, std = float(y.mean()), float(y.std()) or 1.0

    def change(setup: Setup) -> Setup:
        validation = setup.validation
        if validation is not None:
            validation = (validation[0], ((np.asarray(validation[1], float) - mean) / std).astype(np.float32))
        return replace(setup, y=((np.asarray(setup.y, float) - mean) / std).astype(np.float32), validation=validation)

    numbers = {"mean": mean, "deviation": std}
    remedy = Remedy(case.setup, change, score_of(case.setup))
    return [Finding("unscaled_targets", "warning", evidence, suggestion, code, numbers, None, None, remedy)]


def constant_features(case: Case) -> list[Finding]:
    """More than half of the features never change: usually a mistake in reading the data."""
    x = case.flat
    if x is None:
        raise SkipError("the model takes several inputs, or whole numbers")
    if len(x) < 2:
        raise SkipError("it takes 2 samples")
    constant = (x == x[:1]).all(axis=0)
    if constant.mean() <= 0.5:
        return []
    evidence = (
        f"{int(constant.sum())} of the {constant.size} features are the same in all {len(x)} training samples "
        f"(the first is {case.feature(int(np.argmax(constant)))})."
    )
    numbers = {"constant": float(constant.sum()), "features": float(constant.size)}
    code = "keep = x_train.std(axis=0) > 0\nx_train, x_test = x_train[:, keep], x_test[:, keep]"
    suggestion = "Look whether the data were read as they should be; leave out what never changes."
    return [Finding("constant_features", "warning", evidence, suggestion, code, numbers)]


def leakage(case: Case) -> list[Finding]:
    """Samples of the validation or test data that are in the training data too, the same or nearly so."""
    parts = {"validation": case.setup.validation, "test": case.test}
    parts = {name: part for name, part in parts.items() if part is not None}
    if case.flat is None or not parts:
        raise SkipError("it takes one input of numbers, and validation or test data")
    found = []
    for name, part in parts.items():
        held = np.asarray(part[0]).reshape(len(part[0]), -1)
        seen = overlap(case.flat, held)
        if seen is None:
            continue
        rows = np.flatnonzero(seen.rows)
        kind = "identical to" if seen.nearly == 0 else "identical or nearly identical to"
        evidence = (
            f"{len(rows)} of the {len(held)} {name} samples ({percent(len(rows) / len(held), 1)}) are {kind} a "
            f"training sample; the first is row {rows[0]}, the same as row {seen.partner[rows[0]]} of the training "
            "data."
        )
        numbers = {"rows": float(len(rows)), "share": len(rows) / len(held), "nearly": float(seen.nearly)}
        code = f"known = {{row.tobytes() for row in x_train}}\nkeep = [row.tobytes() not in known for row in x_{name}]"
        suggestion = (
            "Take them out, or split before rows are copied, augmented or smoothed; rows of one person or one place "
            "belong on the same side."
        )
        remedy = Remedy(case.setup, _without(seen.rows), _honest(case.setup)) if name == "validation" else None
        severity = "error" if len(rows) > 0.05 * len(held) else "warning"
        found.append(Finding("leakage", severity, evidence, suggestion, code, numbers, None, None, remedy))
    return found[:1]


def _without(rows: np.ndarray) -> Any:
    """The change that takes rows out of the validation data."""

    def change(setup: Setup) -> Setup:
        assert setup.validation is not None
        x, y = (np.asarray(part) for part in setup.validation)
        if rows.all():
            # Nothing honest is left: a fifth of the training data takes its place.
            kept = np.arange(len(setup.x)) % 5 != 0
            x, y = np.asarray(setup.x)[~kept], np.asarray(setup.y)[~kept]
            return replace(setup, x=np.asarray(setup.x)[kept], y=np.asarray(setup.y)[kept], validation=(x, y))
        return replace(setup, validation=(x[~rows], y[~rows]))

    return change


def _honest(setup: Setup) -> Measure:
    """The score on validation data; it is more honest, not better, when it changes."""
    score = score_of(setup)
    name = score.name if "validation" in score.name else f"{score.name} on validation data"
    return Measure(name, score.of, honest=True)


def target_leak(case: Case) -> list[Finding]:
    """A feature that is a copy of the target."""
    x = case.flat
    if x is None or not case.setup.single or x.shape[1] < 2 or len(x) < 20:
        raise SkipError("it takes one input of at least 2 features, one output and 20 samples")
    labels = case.setup.labels
    y = np.asarray(case.setup.y, float).reshape(len(x), -1) if labels is None else _columns(labels)
    some = np.linspace(0, len(x) - 1, min(len(x), _ROWS)).astype(int)
    x, y = x[some], y[some]
    copies = _copies(x, y)
    if labels is None and y.shape[1] > 1 and 2 * len(_copies(y, x)) > y.shape[1]:
        raise SkipError("the targets are the inputs")
    if not len(copies):
        return []
    number = int(copies[0])
    r = _correlations(x[:, [number]], y).max()
    evidence = f"Feature {case.feature(number)} has a correlation of {r:.6f} with the target: it is a copy of it."
    code = f"x_train = np.delete(x_train, {number}, axis=1)   # and in the validation and test data"
    suggestion = "Leave the feature out, unless it will be known when the model is used."

    def change(setup: Setup) -> Setup:
        fill = np.asarray(setup.x)[:, copies].mean(axis=0)

        def blind(values: np.ndarray) -> np.ndarray:
            values = np.array(values)
            values[:, copies] = fill
            return values

        return setup.with_inputs(blind)

    remedy = Remedy(case.setup, change, _honest(case.setup)) if case.is_table else None
    numbers = {"feature": float(number), "correlation": float(r)}
    # In an exercise without noise a number may well follow from one feature; a class hardly does.
    severity = "error" if labels is not None else "warning"
    return [Finding("target_leak", severity, evidence, suggestion, code, numbers, None, None, remedy)]


def _columns(labels: np.ndarray) -> np.ndarray:
    """Class numbers, and the indicator of each class."""
    return np.column_stack([labels, *(labels == k for k in np.unique(labels))]).astype(float)


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|r| of every feature with every column of the target [features, columns]."""
    with np.errstate(all="ignore"):
        a, b = x.astype(float) - x.mean(axis=0, dtype=float), y - y.mean(axis=0)
        a, b = a / np.sqrt((a**2).sum(axis=0)), b / np.sqrt((b**2).sum(axis=0))
        return np.nan_to_num(np.abs(a.T @ b))


def _copies(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.flatnonzero((_correlations(x, y) > _COPY).any(axis=1))


def class_imbalance(case: Case) -> list[Finding]:
    """A class that is so rare that the network does without it."""
    labels = case.setup.labels
    if labels is None:
        raise SkipError("the targets are not classes")
    if case.setup.class_weight is not None:
        raise SkipError("the classes are weighted already")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.max() < _IMBALANCE * counts.min():
        return []
    shares = recalls(case.model, case.setup)
    rare, common = int(classes[np.argmin(counts)]), int(classes[np.argmax(counts)])
    if shares.get(rare, 0.0) > 0.8 * shares.get(common, 1.0):
        return []
    evidence = (
        f"Class {case.class_name(common)} has {counts.max():,} training samples, class {case.class_name(rare)} only "
        f"{counts.min():,}; {percent(shares.get(rare, 0.0))} of the rare class are recognised, against "
        f"{percent(shares.get(common, 0.0))} of the common one."
    )
    code = 'model.fit(x, y, class_weight="balanced", ...)'
    suggestion = "Weigh the classes, so that each counts the same, and judge by the recall of each, not by accuracy."
    numbers = {"ratio": counts.max() / counts.min(), "recall": shares.get(rare, math.nan)}
    remedy = Remedy(case.setup, lambda s: replace(s, class_weight="balanced"), BALANCED_ACCURACY)
    return [Finding("class_imbalance", "warning", evidence, suggestion, code, numbers, None, None, remedy)]
