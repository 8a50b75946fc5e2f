"""Answers: what the outputs of a model say in the terms of its targets, as scikit-learn's scorers ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from pellucid.nn.losses import Hinge, Loss
from pellucid.train.targets import class_labels


@dataclass(frozen=True, eq=False)
class Answers:
    """What the outputs of one model mean.

    Attributes:
        classes: The classes, in the order of the outputs; None for numbers.
        threshold: What one output must exceed for the second class.
        logits: Whether outputs are logits rather than probabilities.
    """

    classes: np.ndarray | None
    threshold: float = 0.5
    logits: bool = False

    @classmethod
    def of(cls, loss: Loss, y: np.ndarray, outputs: int) -> Answers:
        """Those of a loss, the targets and the number of outputs."""
        if class_labels(y, loss) is None:
            return cls(None)
        logits = bool(getattr(loss, "from_logits", False))
        classes = np.unique(y.reshape(-1)) if outputs == 1 else np.arange(outputs)
        if outputs == 1 and len(classes) < 2:
            classes = np.array([0, 1])
        return cls(classes, 0.0 if logits or isinstance(loss, Hinge) else 0.5, logits)

    def predicted(self, outputs: np.ndarray) -> np.ndarray:
        """The class of each sample, or its number."""
        flat = outputs.reshape(len(outputs), -1)
        if self.classes is None:
            return flat[:, 0] if flat.shape[1] == 1 else flat
        if flat.shape[1] == 1:
            return self.classes[(flat[:, 0] > self.threshold).astype(int)]
        return self.classes[flat.argmax(axis=1)]

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """A column per class; each row sums to 1."""
        flat = outputs.reshape(len(outputs), -1).astype(np.float64)
        if flat.shape[1] == 1:
            second = special.expit(flat[:, 0]) if self.logits else flat[:, 0]
            return np.column_stack([1 - second, second])
        if self.logits:
            return special.softmax(flat, axis=1)
        # float32 probabilities sum to 1 up to its rounding only, at which scikit-learn warns.
        return flat / flat.sum(axis=1, keepdims=True)

    def true(self, y: np.ndarray) -> np.ndarray:
        """The targets as scikit-learn's scores take them: the class of each sample, or its numbers."""
        if self.classes is not None and y.ndim == 2 and y.shape[1] > 1:
            return y.argmax(axis=1)
        return y.reshape(-1) if y.size == len(y) else y

    def estimator(self, outputs: np.ndarray) -> Any:
        """Something that a scorer ``f(estimator, X, y)`` can ask for these outputs, whatever X it passes."""
        return (_Numbers if self.classes is None else _Classes)(self, outputs)


class _Spoken(BaseEstimator):
    """Outputs that were computed already, behind the methods that scorers call."""

    def __init__(self, answers: Answers, outputs: np.ndarray) -> None:
        self.answers, self.outputs = answers, outputs
        self.fitted_ = True

    def fit(self, X: Any, y: Any = None) -> Any:
        """Nothing is left to learn."""
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The class or number of each sample."""
        return self.answers.predicted(self.outputs)


class _Numbers(RegressorMixin, _Spoken):
    """Of a regression."""


class _Classes(ClassifierMixin, _Spoken):
    """Of a classification."""

    @property
    def classes_(self) -> Any:
        """The classes in order."""
        return self.answers.classes

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class."""
        return self.answers.probabilities(self.outputs)
