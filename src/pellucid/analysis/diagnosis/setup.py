"""What a fit consists of, so that it can be repeated: as it was, or with one change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError, NonFiniteError
from pellucid.nn.losses import BinaryCrossentropy, CategoricalCrossentropy, Hinge
from pellucid.train.callbacks import Callback
from pellucid.train.feed import is_generator_like
from pellucid.train.history import History
from pellucid.train.targets import class_labels, split_rows


class Deadline(Callback):
    """Ends a fit after the epoch in which its time was spent."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._until = time.perf_counter() + self._seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at it."""
        if time.perf_counter() > self._until:
            self.model.stop_training = f"the time of {self._seconds:g} s was spent"


@dataclass(frozen=True, eq=False)
class Outcome:
    """A training and how it ended: the model, its history, and the error where the loss became NaN or infinite."""

    model: Any
    history: History
    error: NonFiniteError | None


@dataclass(frozen=True, eq=False)
class Setup:
    """A model with the arguments of its fit.

    Attributes:
        model: The model, compiled and built; it is only ever copied.
        x, y: Training data as the user gave them.
        validation: (x, y) or None.
        batch_size, epochs, seed, class_weight: As in ``fit``.
        callbacks: Functions that make fresh callbacks.
    """

    model: Any
    x: Any
    y: Any
    validation: tuple[Any, Any] | None = None
    batch_size: int | None = 32
    epochs: int = 20
    seed: int = 0
    class_weight: Any = None
    callbacks: tuple[Callable[[], Callback], ...] = ()

    @classmethod
    def of(
        cls, model: Any, x: Any, y: Any, *, validation: Any = None, validation_split: float = 0.0, **settings: Any
    ) -> Setup:
        """From the arguments of a fit.

        Raises:
            DataError: The data are a generator, or do not fit the model.
            ConfigurationError: Validation data and a share of them are given both.
        """
        if validation is not None and validation_split:
            raise ConfigurationError("diagnose: give validation_data or validation_split, not both.")
        if is_generator_like(x) and y is None:
            raise DataError("A diagnosis needs all samples at once, not a generator.", hint="pass arrays x and y")
        model.require_compiled()
        model._build_for(x)
        inputs, targets = model.checks().both(x, y)
        if len(inputs) == 1:
            x, y = inputs[0], (y if isinstance(y, (dict, list)) else np.asarray(y))
        if validation_split and len(inputs) == 1 and isinstance(y, np.ndarray):
            rows, held = split_rows(targets[0], model.objective.losses[0], validation_split, settings.get("seed", 0))
            return cls(model, x[rows], y[rows], (x[held], y[held]), **settings)
        if validation is not None:
            validation = (validation[0], validation[1])
        return cls(model, x, y, validation, **settings)

    def train(self, *, seconds: float | None = None, epochs: int | None = None) -> Outcome:
        """Train a copy with weights freshly drawn by the seed, at most so long."""
        twin = self.model.clone(self.seed)
        extra = [] if seconds is None else [Deadline(seconds)]
        error = None
        try:
            twin.fit(
                self.x,
                self.y,
                batch_size=self.batch_size,
                epochs=self.epochs if epochs is None else epochs,
                validation_data=self.validation,
                class_weight=self.class_weight,
                callbacks=[*(make() for make in self.callbacks), *extra],
                seed=self.seed,
                verbose=0,
            )
        except NonFiniteError as failure:
            error = failure
        return Outcome(twin, twin.history, error)

    def fresh(self) -> Any:
        """A copy of the model with weights freshly drawn by the seed."""
        return self.model.clone(self.seed)

    def with_model(self, change: Callable[[Any], None]) -> Setup:
        """The same with a model that was changed, and its parameters made anew."""
        twin = self.model.clone()
        change(twin)
        return replace(self, model=twin)

    def with_inputs(self, change: Callable[[np.ndarray], np.ndarray]) -> Setup:
        """The same with other inputs, in training and validation alike."""
        validation = None if self.validation is None else (change(np.asarray(self.validation[0])), self.validation[1])
        return replace(self, x=change(np.asarray(self.x)), validation=validation)

    @property
    def count(self) -> int:
        """The number of training samples."""
        first = next(iter(self.x.values())) if isinstance(self.x, dict) else self.x
        return len(first[0] if isinstance(first, (list, tuple)) and len(self.model.inputs) > 1 else first)

    @property
    def updates(self) -> int:
        """Updates in an epoch."""
        return -(-self.count // min(self.batch_size or self.count, self.count))

    @property
    def single(self) -> bool:
        """Whether the model has one input and one output."""
        return len(self.model.inputs) == 1 and len(self.model.outputs) == 1

    @property
    def labels(self) -> np.ndarray | None:
        """The class of each training sample, or None for regression and models of several outputs."""
        return self.labels_of(self.y)

    @property
    def is_regression(self) -> bool:
        """Whether the model predicts numbers, rather than classes, of which there may be several to a sample."""
        classes = (CategoricalCrossentropy, BinaryCrossentropy, Hinge)
        return self.single and self.labels is None and not isinstance(self.model.objective.losses[0], classes)

    def labels_of(self, y: Any) -> np.ndarray | None:
        """The class of each sample where the targets are classes, or None."""
        if not self.single:
            return None
        loss = self.model.objective.losses[0]
        y = np.asarray(y)
        found = class_labels(y, loss)
        if found is None and y.ndim == 2 and y.shape[1] > 1 and _one_hot(y):
            return y.argmax(axis=1)
        return found

    @property
    def judged(self) -> tuple[Any, Any]:
        """What shows how good a model is: the validation data, else the training data."""
        return (self.x, self.y) if self.validation is None else self.validation


def _one_hot(y: np.ndarray) -> bool:
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
