"""Class labels of any type <-> the numbers that a network is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from pellucid.errors import ConfigurationError, DataError

BINARY, MULTICLASS, MULTILABEL = "binary", "multiclass", "multilabel"


@dataclass(frozen=True)
class Labels:
    """The classes of a problem, as plain data.

    Attributes:
        kind: ``"binary"`` (one output), ``"multiclass"`` (one output per class, one of them true) or ``"multilabel"``
            (one output per label, any of them true).
        classes: The labels in order.

    >>> labels = Labels.of(np.array(["no", "yes", "no"]))
    >>> labels.kind, labels.encode(np.array(["yes", "no"])).tolist()
    ('binary', [[1], [0]])
    >>> labels.decode(np.array([[0.2], [0.9]])).tolist()
    ['no', 'yes']
    """

    kind: str
    classes: np.ndarray

    @classmethod
    def of(cls, y: Any, classes: Any = None) -> Labels:
        """The labels that occur in ``y``, or a list of those that may occur.

        Raises:
            DataError: ``y`` holds real numbers, or several classes per sample that are no indicators.
        """
        target = type_of_target(y, input_name="y")
        if target in ("continuous", "continuous-multioutput", "unknown"):
            raise DataError(
                f"Unknown label type: {target}; a classifier takes classes, but y holds other values.",
                hint="a regressor takes real numbers",
            )
        if target == "multiclass-multioutput":
            raise DataError(
                "y has several columns of classes; a network of one output takes one class per sample, or a matrix "
                "of 0 and 1 with a column per label.",
                hint="sklearn.multioutput.MultiOutputClassifier fits one classifier per column",
            )
        if target == "multilabel-indicator":
            return cls(MULTILABEL, np.arange(y.shape[1]))
        found = np.unique(y if classes is None else classes)
        return cls(MULTICLASS if len(found) > 2 else BINARY, found)

    @property
    def outputs(self) -> int:
        """How many outputs a network for them has."""
        return 1 if self.kind == BINARY else len(self.classes)

    def codes(self, y: Any) -> np.ndarray:
        """The number of each sample's class, [n] int32.

        Raises:
            DataError: A label is none of the classes.
        """
        y = column_or_1d(y, warn=True)
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise DataError(f"y has the classes {unknown.tolist()}, which are not among {self.classes.tolist()}.")
        return np.searchsorted(self.classes, y).astype(np.int32)

    def encode(self, y: Any) -> np.ndarray:
        """What the network is trained on: class numbers [n] (multiclass), or a column of 0 and 1 per output."""
        if self.kind == MULTILABEL:
            dense = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if dense.ndim != 2 or dense.shape[1] != len(self.classes):
                raise DataError(f"y must have {len(self.classes)} columns, one per label, not the shape {dense.shape}.")
            return dense.astype(np.int8)
        codes = self.codes(y)
        return codes if self.kind == MULTICLASS else codes[:, None]

    def indicators(self, encoded: np.ndarray) -> np.ndarray:
        """What :meth:`encode` gave, with a column per output in every case: one-hot rows for class numbers."""
        return np.eye(len(self.classes), dtype=np.int8)[encoded] if self.kind == MULTICLASS else encoded

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        """The network's outputs [n, outputs] as decisions, in the form of :meth:`encode`."""
        return np.argmax(outputs, axis=1) if self.kind == MULTICLASS else (outputs > 0.5).astype(np.int8)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The labels that outputs [n, outputs] stand for."""
        decided = self.decide(outputs)
        if self.kind == MULTILABEL:
            return decided.astype(int)
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(outputs))
        return self.classes[decided if self.kind == MULTICLASS else decided[:, 0]]

    def weights(self, class_weight: Any, y: Any) -> np.ndarray | None:
        """The weight of each sample from that of its class; None where there is none.

        Raises:
            ConfigurationError: A sample has several labels.
        """
        if class_weight is None:
            return None
        if self.kind == MULTILABEL:
            raise ConfigurationError(
                "class_weight needs one class per sample, but y has a column per label.", hint="use sample_weight"
            )
        codes = self.codes(y)
        present = np.unique(codes)
        weights = compute_class_weight(class_weight, classes=self.classes[present], y=self.classes[codes])
        return weights[np.searchsorted(present, codes)]

    def equals(self, other: Labels) -> bool:
        """Whether both are the same classes."""
        return self.kind == other.kind and np.array_equal(self.classes, other.classes)


def probabilities(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Outputs as a column per class: of two classes, the first has what the second leaves."""
    return np.hstack([1 - outputs, outputs]) if kind == BINARY else outputs


class LabelClassifier(ClassifierMixin):
    """What every classifier here answers, from what its network gives and the labels that it has met."""

    _labels: Labels

    def _probable(self, X: Any) -> np.ndarray:
        """Probabilities, a column per output."""
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each sample [n]; several labels as indicators [n, labels]."""
        outputs = self._probable(X)
        return self._labels.decode(outputs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class [n, classes]."""
        outputs = self._probable(X)
        return probabilities(outputs, self._labels.kind)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of :meth:`predict_proba`; -inf where a probability is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
