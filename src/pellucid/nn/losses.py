"""Loss functions: what training makes small.

A loss gives one number per sample; the model averages them over the batch (``sse`` adds them up). Targets are checked
and brought into the prediction's shape once, before training, by :meth:`Loss.prepare`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from pellucid import ops
from pellucid.dtypes import is_float
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Configured, Interval, boolean, lookup, param, positive
from pellucid.op import Value
from pellucid.shapes import Shape, show, size
from pellucid.tensor import Tensor

# Below the smallest normal float32 a probability would be lost anyway; it keeps log(0) finite in eager code.
# In graphs, log(max(softmax, tiny)) and log(max(sigmoid, tiny)) become their exact forms.
TINY = 1e-37


class Loss(Configured):
    """Base of the loss functions."""

    #: How the losses of the samples become one number: "mean" or "sum".
    reduction: ClassVar[str] = "mean"

    @property
    def takes_probabilities(self) -> str | None:
        """The activation whose probabilities the loss takes, or None where it takes any numbers."""
        return None

    @abstractmethod
    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample [batch]."""

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The mean loss (for ``sse`` the sum) over the samples."""
        losses = self.call(*(y if isinstance(y, Value) else Tensor(y) for y in (y_true, y_pred)))
        return ops.sum(losses) if self.reduction == "sum" else ops.mean(losses)

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """Targets as the loss takes them: checked, and in the prediction's shape.

        Args:
            y: The user's targets.
            output_shape: Shape of one sample's prediction.
            where: What errors call the targets.

        Raises:
            DataError: The targets do not fit the predictions.
        """
        return as_values(y, output_shape, where)


def as_values(y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
    """Numbers in the prediction's shape; [batch] and [batch, 1] are the same, nothing else is stretched."""
    if y.dtype.kind not in "fiub":
        raise DataError(f"{where} must hold numbers, not {y.dtype}.")
    if y.shape[1:] == output_shape:
        return y
    if size(output_shape) == 1 and size(y.shape[1:]) == 1:
        return y.reshape(len(y), *output_shape)
    hint = None
    if y.ndim == 1 or y.shape[1:] == (1,):
        hint = "for class numbers use a categorical loss, or turn them into rows with data.one_hot(y)"
    raise DataError(
        f"{where} has shape {show((None, *y.shape[1:]))} but the predictions have {show((None, *output_shape))}.",
        hint=hint,
    )


def _over_outputs(losses: Any, reduce: Callable[..., Any]) -> Any:
    """One number per sample."""
    rank = losses.spec.ndim
    return reduce(losses, tuple(range(1, rank))) if rank > 1 else losses


class MeanSquaredError(Loss):
    """mean_k (y_k - y_hat_k)^2; its gradient is 2 (y_hat - y) / K."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean squared difference of each sample."""
        return _over_outputs(ops.square(y_pred - y_true), ops.mean)


class SumSquaredError(Loss):
    """sum_n sum_k (y_nk - y_hat_nk)^2 over the whole batch.

    Args:
        half: The lectures' cost, half of that sum, whose gradient is y_hat - y.
    """

    reduction = "sum"
    half: bool = param(default=False, check=boolean)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The summed squared difference of each sample."""
        losses = _over_outputs(ops.square(y_pred - y_true), ops.sum)
        return losses * 0.5 if self.half else losses


class MeanAbsoluteError(Loss):
    """mean_k |y_k - y_hat_k|."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean absolute difference of each sample."""
        return _over_outputs(ops.abs(y_pred - y_true), ops.mean)


class Huber(Loss):
    """Squared near 0, linear beyond delta: e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2) (Huber 1964)."""

    delta: float = param(default=1.0, check=positive)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean Huber loss of each sample."""
        error = ops.abs(y_pred - y_true)
        near = ops.minimum(error, self.delta)
        return _over_outputs(near * (error - 0.5 * near), ops.mean)


class Hinge(Loss):
    """mean_k max(0, 1 - y_k y_hat_k) for labels -1 and +1; labels 0 and 1 are taken as -1 and +1."""

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """Labels -1 and +1."""
        values = as_values(y, output_shape, where)
        labels = np.unique(values)
        if np.isin(labels, (0, 1)).all():
            return np.where(values == 1, 1, -1).astype(np.int8)
        if np.isin(labels, (-1, 1)).all():
            return values
        raise DataError(
            f"{where}: the hinge loss takes labels -1 and 1 (or 0 and 1), but {labels[:5].tolist()} are there."
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean hinge loss of each sample."""
        return _over_outputs(ops.relu(1 - y_true * y_pred), ops.mean)


class Poisson(Loss):
    """mean_k (y_hat_k - y_k log y_hat_k): the negative log-likelihood of counts, up to a constant."""

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """Counts."""
        values = as_values(y, output_shape, where)
        if values.size and values.min() < 0:
            raise DataError(f"{where}: the Poisson loss takes counts of at least 0, but {values.min()} is there.")
        return values

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean Poisson loss of each sample."""
        return _over_outputs(y_pred - y_true * ops.log(ops.maximum(y_pred, TINY)), ops.mean)


class BinaryCrossentropy(Loss):
    """-(y log p + (1 - y) log(1 - p)), averaged over the outputs; with a sigmoid, dL/dz = p - y.

    Args:
        from_logits: Predictions are z, with p = sigmoid(z).
        label_smoothing: Targets move by this share towards 1/2.
    """

    from_logits: bool = param(default=False, check=boolean)
    label_smoothing: float = param(default=0.0, check=Interval(0, 1))

    @property
    def takes_probabilities(self) -> str | None:
        """Those of a sigmoid, unless it takes logits."""
        return None if self.from_logits else "sigmoid"

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """Targets between 0 and 1."""
        values = as_values(y, output_shape, where)
        if values.size and (values.min() < 0 or values.max() > 1):
            raise DataError(
                f"{where}: binary cross-entropy takes targets between 0 and 1, but they run from {values.min()} "
                f"to {values.max()}.",
                hint="for more than two classes use categorical_crossentropy and one output per class",
            )
        return values

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean cross-entropy of each sample."""
        y = ops.cast(y_true, y_pred.spec.dtype)
        if self.label_smoothing:
            y = y * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.from_logits:
            losses = y * ops.softplus(-y_pred) + (1 - y) * ops.softplus(y_pred)
        else:
            hit, miss = ops.maximum(y_pred, TINY), ops.maximum(1 - y_pred, TINY)
            losses = -(y * ops.log(hit) + (1 - y) * ops.log(miss))
        return _over_outputs(losses, ops.mean)


class CategoricalCrossentropy(Loss):
    """-sum_k y_k log p_k; with a softmax, dL/dz = p - y.

    Targets are class numbers [batch] or rows of probabilities [batch, K] (one-hot), whichever is given.

    Args:
        from_logits: Predictions are z, with p = softmax(z).
        label_smoothing: Targets become (1 - s) y + s / K.
    """

    from_logits: bool = param(default=False, check=boolean)
    label_smoothing: float = param(default=0.0, check=Interval(0, 1))

    @property
    def takes_probabilities(self) -> str | None:
        """Those of a softmax, unless it takes logits."""
        return None if self.from_logits else "softmax"

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """Class numbers as int32, or rows that add up to 1."""
        if not output_shape or output_shape[-1] < 2:
            raise DataError(
                f"{where}: categorical cross-entropy needs one output per class, but there are {show(output_shape)}.",
                hint="for one sigmoid output use binary_crossentropy",
            )
        if y.shape[1:] == output_shape:
            return _rows_of_probabilities(y, where)
        return class_numbers(y, output_shape, where, f" or rows {show((None, *output_shape))}")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The cross-entropy of each sample."""
        logs = ops.log_softmax(y_pred) if self.from_logits else ops.log(ops.maximum(y_pred, TINY))
        losses = ops.cross_entropy(logs, y_true)
        if self.label_smoothing:
            uniform = -ops.mean(logs, -1)
            losses = losses * (1 - self.label_smoothing) + uniform * self.label_smoothing
        return _over_outputs(losses, ops.mean)


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """-log p_y for class numbers y [batch]; as CategoricalCrossentropy, but one-hot rows are refused."""

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """Class numbers as int32."""
        return class_numbers(y, output_shape, where)


def _rows_of_probabilities(y: np.ndarray, where: str) -> np.ndarray:
    values = y if is_float(y.dtype) else y.astype(np.float32)
    sums = values.sum(axis=-1)
    if values.size and (values.min() < 0 or np.abs(sums - 1).max() > 1e-3):
        wrong = (values.min(axis=-1) < 0) | (np.abs(sums - 1) > 1e-3)
        row = int(np.argmax(wrong.reshape(len(y), -1).any(axis=1)))
        raise DataError(
            f"{where}: each row must hold probabilities that add up to 1, but row {row} is {y[row].tolist()}.",
            hint="for several labels at once use binary_crossentropy with sigmoid outputs",
        )
    return values


def class_numbers(y: np.ndarray, output_shape: Shape, where: str, or_rows: str = "") -> np.ndarray:
    """Whole numbers from 0 to K - 1 as int32, of the prediction's shape without the class axis."""
    classes, shape = output_shape[-1], output_shape[:-1]
    hint = "for one-hot rows use categorical_crossentropy" if y.shape[1:] == output_shape else None
    if y.shape[1:] != shape:
        if size(y.shape[1:]) != size(shape):
            raise DataError(
                f"{where} has shape {show((None, *y.shape[1:]))}, but the model's output {show((None, *output_shape))} "
                f"takes class numbers {show((None, *shape))}{or_rows}.",
                hint=hint,
            )
        y = y.reshape(len(y), *shape)
    if y.dtype.kind not in "fiub":
        raise DataError(f"{where} must hold class numbers 0..{classes - 1}, not {y.dtype}.")
    if y.dtype.kind == "f" and not (y == np.floor(y)).all():
        bad = y[y != np.floor(y)][0]
        raise DataError(f"{where} must hold class numbers 0..{classes - 1}, but {bad:g} is no whole number.")
    if y.size and (y.min() < 0 or y.max() >= classes):
        bad = y.min() if y.min() < 0 else y.max()
        row = int(np.argmax((y == bad).reshape(len(y), -1).any(axis=1)))
        raise DataError(
            f"{where}: the label {bad:g} in row {row} lies outside the classes 0..{classes - 1}.",
            hint=f"the last layer has {classes} units; labels must start at 0",
        )
    return y.astype(np.int32)


LOSSES: dict[str, Callable[..., Loss]] = {
    "mse": MeanSquaredError,
    "mean_squared_error": MeanSquaredError,
    "sse": SumSquaredError,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "hinge": Hinge,
    "poisson": Poisson,
    "binary_crossentropy": BinaryCrossentropy,
    "bce": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


class CustomLoss(Loss):
    """A loss from a plain function ``f(y_true, y_pred)`` that returns one number per sample, or one for the batch."""

    function: Callable[[Any, Any], Any] = param()

    def prepare(self, y: np.ndarray, output_shape: Shape, where: str) -> np.ndarray:
        """The targets as they are, but one number per sample in the shape of the one output, so that none stretches."""
        return y.reshape(len(y), *output_shape) if size(y.shape[1:]) == size(output_shape) == 1 else y

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One number per sample, or the function's one number for each."""
        losses = self.result(y_true, y_pred)
        if losses.spec.ndim == 0:
            return ops.broadcast_to(losses, (y_pred.spec.shape[0],))
        return _over_outputs(losses, ops.mean)

    def result(self, y_true: Any, y_pred: Any) -> Any:
        """What the function returns.

        Raises:
            ConfigurationError: It is not a tensor, or neither one number per sample nor one for the batch.
        """
        return function_result(self.function, "loss", y_true, y_pred)


def function_result(function: Callable[..., Any], kind: str, y_true: Any, y_pred: Any) -> Any:
    """The tensor that a user's loss or metric returns: one number for the batch, or one or more per sample.

    Raises:
        ConfigurationError: It returns something else.
    """
    name = getattr(function, "__name__", repr(function))
    found = function(y_true, y_pred)
    if not isinstance(found, Value):
        raise ConfigurationError(
            f"The {kind} function {name!r} returned {found!r}, which is no tensor.",
            hint="compute with the operators of y_true and y_pred, or with pellucid.ops",
        )
    count = y_pred.spec.shape[0]
    if found.spec.ndim and found.spec.shape[0] != count:
        raise ConfigurationError(
            f"The {kind} function {name!r} returned the shape {show(found.spec.shape)} for {count} samples; it must "
            "return one number for the batch, or one per sample.",
        )
    return found


def get(loss: Any) -> Loss:
    """The loss of a name, a function ``f(y_true, y_pred)`` as a loss, or the loss itself.

    Raises:
        ConfigurationError: The name is unknown.
    """
    if callable(loss) and not isinstance(loss, (Loss, type)):
        return CustomLoss(loss)
    return lookup("loss", loss, Loss, LOSSES)
