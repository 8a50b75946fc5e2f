"""A data set: training and test examples with the names and the origin of what they hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pellucid import dtypes
from pellucid.data.scaling import Standardization
from pellucid.data.schema import TableSchema, Task
from pellucid.errors import DataError
from pellucid.shapes import show

Examples = tuple[np.ndarray, np.ndarray]


class Encoder(Protocol):
    """What turns things as they come (texts, sounds) into examples of a data set."""

    def encode(self, raw: Any) -> np.ndarray:
        """Examples x [N, ...] of N things."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Training and test examples of one task.

    Args:
        name: Short name, for messages.
        task: ``"classification"`` or ``"regression"``.
        train: x float32 [N, ...] (token numbers may be whole numbers) and y: int32 [N] labels 0 to K - 1 for
            classification, float32 [N] or [N, targets] for regression.
        test: The held-out examples, alike.
        feature_names: One name per number of an example, in the order of :meth:`flat`, or none at all.
        target_names: Names of the K classes; empty for regression.
        description: What the examples are.
        source: Where they come from.
        licence: Under which terms.
        schema: For tables: how further tables are encoded in the same way.
        encoder: For texts and sounds: how further ones are encoded in the same way.

    Raises:
        DataError: The parts contradict each other.

    >>> x, y = np.zeros((3, 2), "float32"), np.array([0, 1, 0], "int32")
    >>> Dataset("toy", "classification", (x, y), (x[:1], y[:1]), target_names=("no", "yes"))
    Dataset('toy': classification into 2 classes, 3 training and 1 test examples of shape [2])
    """

    name: str
    task: Task
    train: Examples
    test: Examples
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    description: str = ""
    source: str = ""
    licence: str = ""
    schema: TableSchema | None = None
    encoder: Encoder | None = None

    def __post_init__(self) -> None:
        if self.task not in ("classification", "regression"):
            raise self._error(f"the task must be 'classification' or 'regression', not {self.task!r}")
        self._check_names()
        for part, examples in (("training", self.train), ("test", self.test)):
            self._check_part(part, examples)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise self._error(
                f"training examples have the shape {show(self.x_train.shape[1:])}, "
                f"test examples {show(self.x_test.shape[1:])}"
            )
        features = math.prod(self.input_shape)
        if self.feature_names and len(self.feature_names) != features:
            raise self._error(f"{len(self.feature_names)} feature names for {features} features")

    @property
    def x_train(self) -> np.ndarray:
        """Training examples, [N, ...]."""
        return self.train[0]

    @property
    def y_train(self) -> np.ndarray:
        """Training targets, [N]."""
        return self.train[1]

    @property
    def x_test(self) -> np.ndarray:
        """Held-out examples, [N, ...]."""
        return self.test[0]

    @property
    def y_test(self) -> np.ndarray:
        """Held-out targets, [N]."""
        return self.test[1]

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for regression."""
        return len(self.target_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.x_train.shape[1:]

    def flat(self) -> Dataset:
        """The same data set with every example as one row, x [N, features].

        >>> x, y = np.zeros((2, 8, 8, 1), "float32"), np.zeros(2, "float32")
        >>> Dataset("blank", "regression", (x, y), (x, y)).flat().input_shape
        (64,)
        """
        parts = [(x.reshape(len(x), math.prod(self.input_shape)), y) for x, y in (self.train, self.test)]
        return replace(self, train=parts[0], test=parts[1])

    def standardized(self) -> Dataset:
        """The same data set with every feature at mean 0 and deviation 1 over the training examples.

        x' = (x - mean) / std, for the test examples too; constant features become 0. The encoder and the schema are
        left out, as what they give is not standardised; ``Standardization.of(data.x_train)`` does that.

        Raises:
            DataError: There are no training examples.

        >>> x, y = np.array([[1.0], [3.0]], "float32"), np.zeros(2, "float32")
        >>> Dataset("pair", "regression", (x, y), (x + 2, y)).standardized().x_test.tolist()
        [[1.0], [3.0]]
        """
        scale = Standardization.of(self.x_train)
        parts = [(scale(x).astype(np.float32, copy=False), y) for x, y in (self.train, self.test)]
        return replace(self, train=parts[0], test=parts[1], schema=None, encoder=None)

    def __repr__(self) -> str:
        what = f"classification into {self.n_classes} classes" if self.task == "classification" else "regression"
        sizes = f"{len(self.x_train):,} training and {len(self.x_test):,} test examples"
        return f"Dataset({self.name!r}: {what}, {sizes} of shape {show(self.input_shape)})"

    def _error(self, what: str) -> DataError:
        return DataError(f"Data set {self.name!r}: {what}.")

    def _check_names(self) -> None:
        # A list would make the data set mutable, and a single text would count as many names.
        for what, names in (("feature_names", self.feature_names), ("target_names", self.target_names)):
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise self._error(f"{what} must be a tuple of texts, not {names!r}")
        if self.task == "classification" and not self.target_names:
            raise self._error("a classification task needs the names of its classes")
        if self.task == "regression" and self.target_names:
            raise self._error("a regression task has no classes to name")

    def _check_part(self, part: str, examples: Sequence[np.ndarray]) -> None:
        arrays = isinstance(examples, tuple) and len(examples) == 2 and all(isinstance(a, np.ndarray) for a in examples)
        if not arrays:
            raise self._error(f"the {part} examples must be a pair of NumPy arrays (x, y)")
        x, y = examples
        if x.ndim < 2 or y.ndim < 1:
            raise self._error(f"{part} x must be [N, ...] and y [N], not {show(x.shape)} and {show(y.shape)}")
        if len(x) != len(y):
            raise self._error(f"{len(x):,} {part} examples, but {len(y):,} {part} targets")
        if x.dtype != dtypes.float32 and not dtypes.is_integer(x.dtype):
            raise self._error(f"{part} x must be float32 or whole numbers, not {x.dtype.name}")
        self._check_targets(part, y)

    def _check_targets(self, part: str, y: np.ndarray) -> None:
        wanted = dtypes.int32 if self.task == "classification" else dtypes.float32
        if y.dtype != wanted:
            raise self._error(f"{part} y of a {self.task} task must be {wanted.name}, not {y.dtype.name}")
        if self.task == "classification" and y.ndim != 1:
            raise self._error(f"{part} y must be one label an example, not {show(y.shape)}")
        if self.task == "classification" and len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.n_classes:
            raise self._error(
                f"{part} labels reach from {y.min()} to {y.max()}, but {self.n_classes} classes are named"
            )
