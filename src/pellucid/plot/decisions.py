"""The decisions and probabilities of anything fitted: scikit-learn's estimators, Pellucid's, models, functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.nn import losses
from pellucid.plot.table import classes_of, numbered, read_labels
from pellucid.train import Model

Answers = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Decisions:
    """What a fitted model answers.

    Attributes:
        classes: The labels, [K].
        numbers: Examples -> the number of each one's class, int [N].
        probabilities: Examples -> float [N, K]; or None where the model knows none.
    """

    classes: np.ndarray
    numbers: Answers
    probabilities: Answers | None


def decisions_of(
    owner: str, model: Any, examples: Any, labels: np.ndarray | None, threshold: float | None
) -> Decisions:
    """The decisions of a model, of an estimator, or of a function.

    Args:
        owner: Who asks, for errors.
        model: A Model with one output, a fitted estimator with ``predict``, or a function from examples to labels.
        examples: Some examples.
        labels: Theirs, or None.
        threshold: Of a Model with one unit in its output: the second class lies above it.

    Raises:
        ConfigurationError: The model gives no classes.
        DataError: A label is not among the classes.
    """
    if isinstance(model, Model):
        return _of_model(owner, model, examples, labels, threshold)
    if not callable(getattr(model, "predict", model)) or isinstance(model, type):
        found = model.__name__ if isinstance(model, type) else type(model).__name__
        raise ConfigurationError(
            f"{owner}: the model must be a Model, a fitted estimator with predict, or a function from examples to "
            f"labels, not {'the class ' if isinstance(model, type) else ''}{found}."
        )
    if threshold is not None:
        raise ConfigurationError(f"{owner}: threshold is for a Model; {type(model).__name__} decides by itself.")
    return _of_estimator(owner, model, examples, labels)


def _of_estimator(owner: str, model: Any, examples: Any, labels: np.ndarray | None) -> Decisions:
    from sklearn.base import is_regressor

    if hasattr(model, "predict") and is_regressor(model):
        raise ConfigurationError(f"{owner}: {type(model).__name__} predicts numbers, not classes.")

    predict = getattr(model, "predict", model)

    def answer(x: Any) -> np.ndarray:
        return read_labels(owner, predict(x), len(x), "the predictions")

    found = getattr(model, "classes_", None)
    if found is None:  # clusters, outliers, functions
        answers = answer(examples)
        found, _ = classes_of(owner, answers if labels is None else np.concatenate([labels, answers]), None)
    classes = np.asarray(found)
    if classes.ndim != 1:
        raise ConfigurationError(f"{owner}: {type(model).__name__} gives several labels an example; pictures show one.")
    certain = callable(getattr(model, "predict_proba", None))
    return Decisions(
        classes,
        lambda x: numbered(owner, answer(x), classes, "the predictions"),
        (lambda x: np.asarray(model.predict_proba(x))) if certain else None,
    )


def _of_model(owner: str, model: Model, examples: Any, labels: np.ndarray | None, threshold: float | None) -> Decisions:
    def answer(x: Any) -> Any:
        return model.predict(np.asarray(x))

    outputs = answer(examples)
    if isinstance(outputs, list) or outputs.ndim != 2:
        shape = f"{len(outputs)} outputs" if isinstance(outputs, list) else f"outputs {list(outputs.shape[1:])}"
        raise ConfigurationError(f'{owner}: the model "{model.label}" has {shape}; classes need one row an example.')
    logits = _gives_logits(model)
    if outputs.shape[1] > 1:
        if threshold is not None:
            raise ConfigurationError(
                f"{owner}: threshold is for one unit, but the model has {outputs.shape[1]} classes."
            )
        classes = np.arange(outputs.shape[1])
        certain = logits or _are_probabilities(outputs)
        return Decisions(
            classes,
            lambda x: answer(x).argmax(axis=1),
            (lambda x: _softmax(answer(x)) if logits else answer(x)) if certain else None,
        )
    border = border_of(model) if threshold is None else threshold
    classes = np.arange(2) if labels is None or len(np.unique(labels)) != 2 else np.unique(labels)
    certain = logits or bool((outputs >= 0).all() and (outputs <= 1).all())
    return Decisions(
        classes,
        lambda x: (answer(x)[:, 0] > border).astype(int),
        (lambda x: _both(_sigmoid(answer(x)) if logits else answer(x))) if certain else None,
    )


def _gives_logits(model: Model) -> bool:
    return model.is_compiled and bool(getattr(model.objective.losses[0], "from_logits", False))


def border_of(model: Model) -> float:
    """Above which output of its one unit a model decides for the second class, as its accuracy metric does."""
    margin = model.is_compiled and isinstance(model.objective.losses[0], losses.Hinge)
    return 0.0 if margin or _gives_logits(model) else 0.5


def _are_probabilities(outputs: np.ndarray) -> bool:
    return bool((outputs >= 0).all()) and bool(np.allclose(outputs.sum(axis=1), 1, atol=1e-3))


def _softmax(z: np.ndarray) -> np.ndarray:
    raised = np.exp(z - z.max(axis=1, keepdims=True))  # exp overflows float32 above 88
    return raised / raised.sum(axis=1, keepdims=True)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * z))  # exp(-z) would overflow


def _both(p: np.ndarray) -> np.ndarray:
    clipped = np.clip(p[:, 0], 0, 1)
    return np.stack([1 - clipped, clipped], axis=1)


def class_number(owner: str, of: Any, classes: np.ndarray, names: Sequence[str]) -> int:
    """The number of a class given by its label or its name.

    Raises:
        ConfigurationError: There is none.
    """
    for number, (label, name) in enumerate(zip(classes.tolist(), names, strict=True)):
        if of in (label, name):
            return number
    raise ConfigurationError(f"{owner}: there is no class {of!r} among {', '.join(map(repr, names))}.")


def need_probabilities(owner: str, decisions: Decisions, model: Any) -> Answers:
    """The probabilities.

    Raises:
        ConfigurationError: The model knows none.
    """
    if decisions.probabilities is None:
        raise ConfigurationError(
            f"{owner}: {type(model).__name__} gives no probabilities.",
            hint="an estimator gives them by predict_proba, a Model by a last layer of sigmoid or softmax",
        )
    return decisions.probabilities


def labels_for(owner: str, y: Any, rows: int) -> np.ndarray | None:
    """The labels, where there are any.

    Raises:
        DataError: They do not fit the examples.
    """
    if y is None:
        return None
    return read_labels(owner, y, rows)
