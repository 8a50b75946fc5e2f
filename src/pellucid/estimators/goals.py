"""What a network is trained for: the loss on its outputs, and the form in which scikit-learn reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.estimators.labels import MULTICLASS, Labels
from pellucid.nn import losses
from pellucid.nn.losses import Loss
from pellucid.tensor import Tensor

#: Losses that take other outputs than probabilities.
_MARGINS = (losses.Hinge, losses.Poisson)


@dataclass(frozen=True)
class Goal:
    """A loss for outputs of a kind.

    Attributes:
        loss: The loss, one number per sample.
        out_activation: Of the network's last layer, in scikit-learn's names.
        factor: What is made small is factor times the mean loss.
        reported: What ``loss_`` reports is this many times the mean loss (plus penalty).
        deviance: Whether y log y - y is added to what is reported, so that a perfect fit has loss 0.
    """

    loss: Loss
    out_activation: str
    factor: float = 1.0
    reported: float = 1.0
    deviance: bool = False

    def constant(self, y: np.ndarray, weights: np.ndarray | None) -> float:
        """The part of the reported loss that no training changes."""
        if not self.deviance:
            return 0.0
        return float(np.average(np.sum(xlogy(y, y) - y, axis=1), weights=weights))

    def values(self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> list[float]:
        """The reported loss, without penalty, of several outputs for the same targets [times, n, ...]."""
        constant = self.constant(y, weights)
        if isinstance(self.loss, losses.CustomLoss):  # it may look at all samples of a call
            each = np.stack([self.loss.call(Tensor(y), Tensor(now)).numpy() for now in outputs])
        else:
            several = np.concatenate([y] * len(outputs))
            each = self.loss.call(Tensor(several), Tensor(np.concatenate(outputs))).numpy()
            each = each.reshape(len(outputs), -1)
        return [float(v) for v in self.reported * np.average(each, axis=1, weights=weights) + constant]


def classification(labels: Labels, loss: Any) -> Goal:
    """The goal of a classifier.

    ``"log_loss"`` is -log p of the right class, with a column per label the sum over the columns. Any other loss takes
    the probabilities [n, outputs] and targets of the same shape (or class numbers, where it takes those).

    Raises:
        ConfigurationError: The loss is unknown, or takes no probabilities.
    """
    out = "softmax" if labels.kind == MULTICLASS else "logistic"
    if isinstance(loss, str) and loss == "log_loss":
        if labels.kind == MULTICLASS:
            return Goal(losses.CategoricalCrossentropy(), out)
        return Goal(losses.BinaryCrossentropy(), out, labels.outputs, labels.outputs)
    found = _found(loss, ("log_loss",))
    if isinstance(found, _MARGINS) or getattr(found, "from_logits", False):
        raise ConfigurationError(
            f"A classifier's loss is computed from probabilities, which {found!r} does not take.",
            hint="use 'log_loss', or a network of your own in NeuralNetClassifier",
        )
    return Goal(found, out)


def class_targets(labels: Labels, encoded: np.ndarray, loss: Loss) -> np.ndarray:
    """Encoded labels as the loss takes them: class numbers for a cross-entropy over classes, else a column each."""
    takes_numbers = isinstance(loss, losses.CategoricalCrossentropy)
    y = encoded if takes_numbers else labels.indicators(encoded)
    return loss.prepare(y, (labels.outputs,), "y")


def regression(outputs: int, loss: Any) -> Goal:
    """The goal of a regressor with so many outputs.

    ``"squared_error"`` is 1/2 (y - y_hat)^2, ``"poisson"`` half the deviance y log(y / y_hat) - y + y_hat of a network
    whose last layer is exp. Both are summed over the outputs to be made small; the squared error is reported as their
    mean, as scikit-learn does.
    """
    if isinstance(loss, str) and loss == "squared_error":
        return Goal(losses.MeanSquaredError(), "identity", outputs / 2, 0.5)
    if isinstance(loss, str) and loss == "poisson":
        return Goal(losses.Poisson(), "exp", outputs, outputs, deviance=True)
    return Goal(_found(loss, ("squared_error", "poisson")), "identity")


def _found(loss: Any, own: tuple[str, ...]) -> Loss:
    if isinstance(loss, str) and loss.lower() not in losses.LOSSES:
        raise unknown_name("loss", loss, (*own, *losses.LOSSES))
    return losses.get(loss)


def score_r2(y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
    """R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2, averaged over outputs; NaN where an output is not finite.

    >>> score_r2(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [4.0]]), None)
    0.5
    """
    if not np.isfinite(outputs).all():
        return float("nan")
    y = np.asarray(y, np.float64)
    error = np.average((y - outputs) ** 2, axis=0, weights=weights)
    spread = np.average((y - np.average(y, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    scores = np.where(spread > 0, 1 - error / np.where(spread > 0, spread, 1), np.where(error > 0, 0.0, 1.0))
    return float(np.mean(scores))


def score_accuracy(labels: Labels, encoded: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
    """The share of samples whose label is right (all labels, where there are several); NaN as for :func:`score_r2`."""
    if not np.isfinite(outputs).all():
        return float("nan")
    hits = labels.decide(outputs) == encoded
    return float(np.average(hits if hits.ndim == 1 else hits.all(axis=1), weights=weights))
