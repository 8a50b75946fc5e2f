"""Class labels of any type <-> the numbers that a network is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import non_negative

BINARY, MULTICLASS, MULTILABEL = "binary", "multiclass", "multilabel"


@dataclass(frozen=True)
class Labels:
    """The classes of a problem, as plain data.

    Attributes:
        kind: ``"binary"`` (one output), ``"multiclass"`` (one output per class, one of them true) or ``"multilabel"``
            (one output per label, any of them true).
        classes: The labels in order.
        sparse: Whether several labels came as a sparse matrix, and so are given back as one.

    >>> labels = Labels.of(np.array(["no", "yes", "no"]))
    >>> labels.kind, labels.encode(np.array(["yes", "no"])).tolist()
    ('binary', [[1], [0]])
    >>> labels.decode(np.array([[0.2], [0.9]])).tolist()
    ['no', 'yes']
    """

    kind: str
    classes: np.ndarray
    sparse: bool = False

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
            return cls(MULTILABEL, np.arange(y.shape[1]), sparse.issparse(y))
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

    def decode(self, outputs: np.ndarray) -> Any:
        """The labels that outputs [n, outputs] stand for; a sparse matrix where those of training were one."""
        decided = self.decide(outputs)
        if self.kind == MULTILABEL:
            return sparse.csr_matrix(decided.astype(int)) if self.sparse else decided.astype(int)
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(outputs))
        return self.classes[decided if self.kind == MULTICLASS else decided[:, 0]]

    def weights(self, class_weight: Any, y: Any, sample_weight: np.ndarray | None = None) -> np.ndarray | None:
        """The weight of each sample from that of its class; None where there is none.

        ``"balanced"`` gives all classes the same sum: n / (classes n_k), where the counts n and n_k are sums of the
        samples' own weights.

        Raises:
            ConfigurationError: A sample has several labels, or the weights are not numbers of at least 0 for these
                classes.
        """
        if class_weight is None:
            return None
        if self.kind == MULTILABEL:
            raise ConfigurationError(
                "class_weight needs one class per sample, but y has a column per label.", hint="use sample_weight"
            )
        codes = self.codes(y)
        if not isinstance(class_weight, str):
            return self._weights_given(class_weight)[codes]
        counts = np.bincount(codes, sample_weight, len(self.classes)).astype(np.float64)
        some = counts > 0  # a part of the data may lack a class
        return (some * counts.sum() / (some.sum() * np.where(some, counts, 1)))[codes]

    def _weights_given(self, by_class: Mapping[Any, Any]) -> np.ndarray:
        """The weight of each class, 1 where none is given.

        A name that is no class is a slip where a class goes without; else the class may be missing in this fold.
        """
        classes = self.classes.tolist()
        unknown = [name for name in by_class if name not in classes]
        if unknown and not all(name in by_class for name in classes):
            raise ConfigurationError(f"class_weight has weights for {unknown}, but the classes are {classes}.")
        weights = [by_class.get(name, 1.0) for name in classes]
        for name, weight in zip(classes, weights, strict=True):
            message = non_negative(weight)
            if message:
                raise ConfigurationError(f"class_weight: the weight of {name!r} must be {message}, not {weight!r}.")
        return np.array(weights, np.float64)

    def equals(self, other: Labels) -> bool:
        """Whether both are the same classes."""
        return self.kind == other.kind and np.array_equal(self.classes, other.classes)


def probabilities(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Outputs as a column per class: of two classes, the first has what the second leaves."""
    return np.hstack([1 - outputs, outputs]) if kind == BINARY else outputs


class LabelClassifier(ClassifierMixin):
    """What every classifier here answers, from what its network gives and the labels that it has met."""

    _labels: Labels
    classes_: np.ndarray

    def _check_classes(self, classes: Any) -> None:
        """Refuse other classes than those that training began with.

        Raises:
            DataError: They differ.
        """
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise DataError(
                f"classes={np.asarray(classes).tolist()} is not what the first call of partial_fit was given: "
                f"{self.classes_.tolist()}."
            )

    def _probable(self, X: Any) -> np.ndarray:
        """Probabilities, a column per output."""
        raise NotImplementedError

    def predict(self, X: Any) -> Any:
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
