"""Diagnosis: what is wrong with a training, how one knows, what to change, and the proof that it helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.analysis.diagnosis import recorded
from pellucid.analysis.diagnosis.case import Case, SkipError, open_run
from pellucid.analysis.diagnosis.curves import (
    divergence,
    learning_rate_too_high,
    learning_rate_too_low,
    overfitting,
    underfitting,
)
from pellucid.analysis.diagnosis.finding import SEVERITIES, Diagnosis, Finding, spoken
from pellucid.analysis.diagnosis.flow import dead_relu, exploding_gradients, saturation, symmetry, vanishing_gradients
from pellucid.analysis.diagnosis.pairing import no_signal, wrong_output
from pellucid.analysis.diagnosis.record import Record
from pellucid.analysis.diagnosis.samples import (
    class_imbalance,
    constant_features,
    leakage,
    target_leak,
    unscaled_features,
    unscaled_targets,
)
from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.diagnosis.trial import Retry
from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.train.history import History
from pellucid.train.model import Model
from pellucid.train.recording import Recording

#: Everything that is looked for; what comes first explains what comes later.
DETECTORS: dict[str, Callable[[Case], list[Finding]]] = {
    detector.__name__: detector
    for detector in (
        wrong_output, leakage, target_leak, no_signal, constant_features, unscaled_features, unscaled_targets,
        class_imbalance, symmetry, exploding_gradients, vanishing_gradients, dead_relu, saturation,
        learning_rate_too_high, divergence, learning_rate_too_low, overfitting, underfitting,
    )
}  # fmt: skip

#: What can be looked for without the data, in a history and a recording.
RECORDED: dict[str, Callable[[Record], list[Finding]]] = {
    detector.__name__: detector
    for detector in (
        recorded.symmetry, recorded.exploding_gradients, recorded.vanishing_gradients, recorded.dead_relu,
        recorded.saturation, recorded.learning_rate_too_high, recorded.divergence, recorded.learning_rate_too_low,
        recorded.overfitting,
    )
}  # fmt: skip

#: These are why a loss became infinite.
_BLOWS_UP = ("exploding_gradients", "learning_rate_too_high", "wrong_output", "unscaled_features", "unscaled_targets")
#: What a finding explains: the consequence is not named beside its cause.
_EXPLAINS = {
    "symmetry": ("dead_relu", "saturation", "vanishing_gradients", "underfitting", "learning_rate_too_low"),
    "no_signal": ("underfitting", "learning_rate_too_low", "vanishing_gradients"),
    "wrong_output": ("no_signal", "underfitting", "learning_rate_too_low", "learning_rate_too_high"),
    "unscaled_features": ("dead_relu", "saturation", "vanishing_gradients", "exploding_gradients", "underfitting"),
    "unscaled_targets": ("learning_rate_too_low", "exploding_gradients", "underfitting"),
    "exploding_gradients": ("dead_relu", "saturation", "vanishing_gradients", "learning_rate_too_high"),
    "vanishing_gradients": ("dead_relu", "learning_rate_too_low", "underfitting"),
    "saturation": ("underfitting", "learning_rate_too_low"),
    "dead_relu": ("underfitting", "learning_rate_too_low"),
}
_EXPLAINS |= {name: (*_EXPLAINS.get(name, ()), "divergence") for name in _BLOWS_UP}


def diagnose(
    run: Any,
    x: Any = None,
    y: Any = None,
    *,
    validation_data: Any = None,
    validation_split: float = 0.0,
    test_data: Any = None,
    batch_size: int | None = 32,
    epochs: int | None = None,
    seed: int = 0,
    class_weight: Any = None,
    feature_names: Sequence[str] = (),
    class_names: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> Diagnosis:
    """Name what is wrong with a training.

    Looked for are: vanishing and exploding gradients, dead ReLU, saturation, symmetric units; a learning rate that is
    too high or too low, a loss that became infinite, overfitting, too small or a linear network; features and targets
    of the wrong scale, constant features, leakage between the splits, a copy of the target among the features, unequal
    classes, targets that do not depend on the inputs; and a last activation function that does not go with the loss.

    What is seen inside of the network is that of one step on a sample of the data; where the fit was recorded, the
    evidence names the update at which it began. The model is not changed.

    Without the data, ``diagnose(history)`` finds what its curves and its recording tell: everything that shows inside
    of the network (of ``fit(record="stats")``), the learning rate, overfitting. ``.skipped`` names what takes the data,
    as does ``retry``.

    Args:
        run: A model after (or before) ``fit``, a training that failed with NaN too; the folder of a ``pellucid train``,
            which knows its data and settings itself; or what ``fit`` returned, a history, or its recording.
        x, y, validation_data, validation_split, batch_size, epochs, seed, class_weight: As they were given to ``fit``;
            ``epochs`` is that of its history by default. ``retry`` trains with them.
        test_data: (x, y), which must not be among the training data.
        feature_names, class_names: What the evidence calls features and classes.
        only: The names of the things to look for; all by default.

    Returns:
        The findings, the gravest first; ``print`` shows them with their evidence and the code to paste.

    Raises:
        DataError: The data of a model that was not trained are missing, or do not fit the model.
        ConfigurationError: The run is nothing that can be diagnosed, or a name is unknown.
        FileFormatError: The folder is not that of a run.

    >>> import numpy as np
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> same = {"kernel_initializer": "ones"}
    >>> model = Sequential([Input((1,)), Dense(8, "tanh", **same), Dense(1, **same)])
    >>> model.compile("mse", "adam")
    >>> history = model.fit(x, x**2, epochs=5, seed=0, verbose=0)
    >>> diagnosis = diagnose(model, x, x**2)
    >>> diagnosis.names, diagnosis["symmetry"].layer
    (['symmetry'], 'dense')
    >>> diagnosis["symmetry"].code
    'Dense(units, activation, kernel_initializer="glorot_uniform")   # the default'
    >>> diagnose(model.fit(x, x**2, record="stats", seed=0, verbose=0), only=["saturation", "leakage"]).skipped
    {'leakage': 'it takes the data: diagnose(model, x, y)'}
    """
    if isinstance(run, (str, Path)):
        return examine(open_run(run).case, only)
    record = _record_of(run, x, y)
    if record is not None:
        return examine(record, only)
    case = case_of(
        run, x, y, validation_data=validation_data, validation_split=validation_split, test_data=test_data,
        batch_size=batch_size, epochs=epochs, seed=seed, class_weight=class_weight, feature_names=feature_names,
        class_names=class_names,
    )  # fmt: skip
    return examine(case, only)


def _record_of(run: Any, x: Any, y: Any) -> Record | None:
    """What is known of a fit without its data; None where they are given, or there was no fit."""
    given = x is not None or y is not None
    if isinstance(run, (History, Recording)):
        if given:
            raise ConfigurationError(
                f"diagnose: a {type(run).__name__} does not know the network that the data could be given to.",
                hint="diagnose(model, x, y)",
            )
        return Record(run, run.recording) if isinstance(run, History) else Record(None, run)
    if isinstance(run, Model) and not given and run.history is not None:
        return Record(run.history, run.history.recording, run)
    return None


def case_of(
    run: Any,
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    test_data: Any = None,
    epochs: int | None = None,
    feature_names: Sequence[str] = (),
    class_names: Sequence[str] = (),
    **settings: Any,
) -> Case:
    """A model with the arguments of its fit as a case; see :func:`diagnose`."""
    if not isinstance(run, Model):
        raise ConfigurationError(
            f"diagnose takes a model, the folder of a run, or what fit returned, not {type(run).__name__}.",
            hint="diagnose(model, x, y)",
        )
    if x is None or y is None:
        raise DataError(
            "diagnose needs the data that the model was trained on: a model does not keep them.",
            hint="diagnose(model, x, y, validation_data=...), with the arguments of fit",
        )
    history = run.history
    setup = Setup.of(
        run, x, y, validation=validation_data, epochs=epochs or (len(history) if history else 20), **settings
    )
    recording = getattr(history, "recording", None)
    return Case(setup, history, recording, test_data, tuple(feature_names), tuple(class_names))


def examine(case: Case | Record, only: Sequence[str] | None = None) -> Diagnosis:
    """Let every detector look at a case; at a record of a fit those that can do without the data."""
    detectors: dict[str, Callable[[Any], list[Finding]]]
    detectors = DETECTORS if isinstance(case, Case) else {name: RECORDED.get(name, _needs_data) for name in DETECTORS}
    for name in only or ():
        if name not in DETECTORS:
            raise unknown_name("finding", name, DETECTORS)
    findings: list[Finding] = []
    checked, skipped = [], {}
    for name, detector in detectors.items():
        if only is not None and name not in only:
            continue
        if any(name in _EXPLAINS.get(found.name, ()) for found in findings):
            skipped[name] = (
                f"explained by {next(spoken(f.name) for f in findings if name in _EXPLAINS.get(f.name, ()))}"
            )
            continue
        try:
            with np.errstate(all="ignore"):  # infinity is what is looked for
                findings += detector(case)
            checked.append(name)
        except SkipError as reason:
            skipped[name] = str(reason)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(tuple(findings), tuple(checked), skipped)


def _needs_data(record: Record) -> list[Finding]:
    raise SkipError("it takes the data: diagnose(model, x, y)")


__all__ = ["DETECTORS", "Case", "Diagnosis", "Finding", "Retry", "case_of", "diagnose", "examine", "open_run"]
