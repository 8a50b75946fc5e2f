"""Metrics, exact over a whole epoch or data set: never the mean of batch means.

A metric has two halves. ``statistics`` computes, inside the compiled graph, what one batch contributes; the loop adds
the contributions up (or joins them) in float64; ``result`` turns the total into the number.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from pellucid import ops
from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.fields import Choice, Configured, Integer, Interval, optional, param
from pellucid.fields import lookup as look_up
from pellucid.nn.losses import function_result
from pellucid.shapes import show, size

_NUMBER = Interval(-np.inf, np.inf)


class Metric(Configured):
    """Base of the metrics.

    Args:
        name: The key in histories and logs; by default the metric's own.
    """

    name: str | None = param(default=None, kw_only=True)

    #: "sum" adds the statistics of batches up, "concatenate" joins them along the first axis.
    combine: ClassVar[str] = "sum"
    #: Whether ``result`` is one number (an array is left out of progress displays and CSV files).
    scalar: ClassVar[bool] = True
    default_name: ClassVar[str] = ""
    #: How many arrays ``statistics`` gives.
    statistics_count: ClassVar[int] = 2

    @property
    def label(self) -> str:
        """The key in histories and logs."""
        return self.name or self.default_name

    @abstractmethod
    def statistics(self, y_true: Any, y_pred: Any) -> Sequence[Any]:
        """What one batch contributes: values computed by operations."""

    @abstractmethod
    def result(self, totals: Sequence[np.ndarray]) -> Any:
        """The metric from the combined statistics."""

    def results(self, totals: Sequence[np.ndarray]) -> list[Any]:
        """The metric of several epochs, whose statistics lie along the first axis."""
        return [self.result(own) for own in zip(*totals, strict=True)]

    def aligned(self, y_true: Any, y_pred: Any) -> Any:
        """The targets in the shape of the predictions, for metrics that compare number by number.

        Raises:
            ShapeError: There is not one target for each number; broadcasting would give a wrong metric.
        """
        wanted, given = y_pred.spec.shape, y_true.spec.shape
        if size(wanted) != size(given) or wanted[:1] != given[:1]:
            raise ShapeError(
                f"The metric {self.label!r} needs one target per prediction, not {show(given)} for {show(wanted)}.",
                hint="for class numbers use accuracy, f1, auc or top_k_accuracy" if len(wanted) > len(given) else None,
            )
        return y_true if wanted == given else ops.reshape(y_true, wanted)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The metric of one set of targets and predictions."""
        parts = [np.asarray(s, np.float64) for s in self.statistics(_value(y_true), _value(y_pred))]
        return self.result(parts)


def accumulate(total: Any, rows: np.ndarray) -> np.ndarray:
    """The total plus every row in float64, one after the other: in whatever pieces rows come, the sum is the same."""
    return np.add.accumulate(np.concatenate([np.asarray(total)[np.newaxis], rows]), dtype=np.float64)[-1]


class Accumulator:
    """The running statistics of one metric over an epoch."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._sums: list[np.ndarray] | None = None
        self._parts: list[list[np.ndarray]] = []

    def add(self, statistics: Sequence[np.ndarray]) -> None:
        """Take in the statistics of some batches; the first axis counts the batches."""
        if self.metric.combine == "concatenate":
            self._parts.append([s.reshape(s.shape[0] * s.shape[1], *s.shape[2:]).copy() for s in statistics])
            return
        if self._sums is None:
            self._sums = [np.zeros(s.shape[1:], np.float64) for s in statistics]
        self._sums = [accumulate(total, s) for total, s in zip(self._sums, statistics, strict=True)]

    def result(self) -> Any:
        """The metric so far.

        Raises:
            DataError: No batch was seen.
        """
        if self.metric.combine == "concatenate" and self._parts:
            columns = zip(*self._parts, strict=True)
            return self.metric.result([np.concatenate(column).astype(np.float64) for column in columns])
        if self._sums is None:
            raise DataError(f"The metric {self.metric.label!r} has seen no data.")
        return self.metric.result(self._sums)


def _value(x: Any) -> Any:
    return ops.identity(x)


def _count(x: Any) -> np.ndarray:
    return np.asarray(float(size(x.spec.shape)), np.float32)


def _ratio(part: Any, whole: Any) -> Any:
    """part / whole, and 0 where there is nothing to divide by."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)


def true_classes(y_true: Any, y_pred: Any) -> Any:
    """Class numbers from class numbers or rows of probabilities."""
    if y_true.spec.shape == y_pred.spec.shape and y_pred.spec.shape[-1] > 1:
        return ops.argmax(y_true, -1)
    return ops.cast(y_true, "int64")


def is_binary(y_pred: Any) -> bool:
    """Whether predictions are one number per sample (one sigmoid output)."""
    return y_pred.spec.ndim == 1 or y_pred.spec.shape[-1] == 1


class Mean(Metric):
    """Base of metrics that are the mean of one number per element."""

    @abstractmethod
    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One number per element."""

    def statistics(self, y_true: Any, y_pred: Any) -> Sequence[Any]:
        """Sum and number of the elements."""
        values = ops.cast(self.values(y_true, y_pred), "float32")
        return ops.sum(values), _count(values)

    def result(self, totals: Sequence[np.ndarray]) -> float:
        """Sum divided by number."""
        return float(_ratio(*totals))

    def results(self, totals: Sequence[np.ndarray]) -> list[float]:
        """Sums divided by numbers; a result of one's own counts for single epochs and for several."""
        if type(self).result is not Mean.result:
            return super().results(totals)
        return _ratio(*totals).tolist()


class BinaryAccuracy(Mean):
    """The share of outputs on the right side of the threshold; labels 0 and 1, or -1 and 1.

    Args:
        threshold: Predictions above it count as 1; 0.5 for probabilities, 0 for logits.
    """

    default_name = "binary_accuracy"
    threshold: float = param(default=0.5, check=_NUMBER)

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """1 where prediction and label agree."""
        return ops.equal(y_pred > self.threshold, self.aligned(y_true, y_pred) > 0)


class CategoricalAccuracy(Mean):
    """The share of samples whose largest output is the labelled class."""

    default_name = "accuracy"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """1 where the classes agree."""
        return ops.equal(ops.argmax(y_pred, -1), true_classes(y_true, y_pred))


class Accuracy(Mean):
    """The share of right answers: of the class for several outputs, of the side of the threshold for one.

    Args:
        threshold: For one output; by default 0.5, or 0 where the loss takes logits or labels -1 and 1.
    """

    default_name = "accuracy"
    threshold: float | None = param(default=None, check=optional(_NUMBER))

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """1 where the answer is right."""
        if is_binary(y_pred):
            threshold = 0.5 if self.threshold is None else self.threshold
            return BinaryAccuracy(threshold, name=self.label).values(y_true, y_pred)
        return CategoricalAccuracy().values(y_true, y_pred)


class TopKAccuracy(Mean):
    """The share of samples whose class is among the k largest outputs.

    Args:
        k: How many outputs count.
    """

    default_name = "top_k_accuracy"
    k: int = param(default=5, check=Integer(1))

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """1 where fewer than k outputs are larger than the true class's (ties count for the sample)."""
        classes = ops.expand_dims(true_classes(y_true, y_pred), -1)
        own = ops.take_along_axis(y_pred, classes, -1)
        return ops.sum(y_pred > own, -1) < self.k


class MeanSquaredError(Mean):
    """The mean squared difference."""

    default_name = "mse"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """Squared differences."""
        return ops.square(y_pred - self.aligned(y_true, y_pred))


class MeanAbsoluteError(Mean):
    """The mean absolute difference."""

    default_name = "mae"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """Absolute differences."""
        return ops.abs(y_pred - self.aligned(y_true, y_pred))


class ConfusionMatrix(Metric):
    """Counts by true class (row) and predicted class (column).

    Args:
        threshold: For models of one output.
    """

    default_name = "confusion_matrix"
    scalar = False
    statistics_count = 1
    threshold: float = param(default=0.5, check=_NUMBER)

    def statistics(self, y_true: Any, y_pred: Any) -> Sequence[Any]:
        """The batch's counts."""
        if is_binary(y_pred):
            classes, rows, columns = 2, self.aligned(y_true, y_pred) > 0, y_pred > self.threshold
        else:
            classes = y_pred.spec.shape[-1]
            rows, columns = true_classes(y_true, y_pred), ops.argmax(y_pred, -1)
        rows, columns = (ops.reshape(ops.cast(v, "int64"), (size(v.spec.shape),)) for v in (rows, columns))
        return (ops.matmul(ops.transpose(ops.one_hot(rows, classes)), ops.one_hot(columns, classes)),)

    def result(self, totals: Sequence[np.ndarray]) -> Any:
        """The counts as whole numbers."""
        return np.rint(totals[0]).astype(np.int64)


class _FromConfusion(ConfusionMatrix):
    """Base of scores that a confusion matrix determines.

    Args:
        average: For several classes: ``"macro"``, the mean of the classes' scores; ``"micro"``, of all decisions
            together; ``"none"``, one score per class. One output is always scored for the class 1.
    """

    scalar = True
    statistics_count = 2
    average: str = param(default="macro", check=Choice("macro", "micro", "none"))

    @abstractmethod
    def score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        """The score from the numbers of right, predicted and actual members of a class."""

    def statistics(self, y_true: Any, y_pred: Any) -> Sequence[Any]:
        """The batch's counts, and whether there is one output."""
        return *super().statistics(y_true, y_pred), np.asarray(float(is_binary(y_pred)), np.float32)

    def result(self, totals: Sequence[np.ndarray]) -> Any:
        """The averaged score."""
        matrix, one_output = totals
        hits, predicted, actual = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
        if one_output > 0:
            return float(self.score(hits[1], predicted[1], actual[1]))
        if self.average == "micro":
            return float(self.score(hits.sum(), predicted.sum(), actual.sum()))
        scores = self.score(hits, predicted, actual)
        if self.average == "none":
            return scores
        seen = (predicted + actual) > 0  # a class that occurs nowhere has no score
        return float(scores[seen].mean()) if seen.any() else 0.0


class Precision(_FromConfusion):
    """The share of right ones among those predicted as a class."""

    default_name = "precision"

    def score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        """hits / predicted."""
        return _ratio(hits, predicted)


class Recall(_FromConfusion):
    """The share of a class that was found."""

    default_name = "recall"

    def score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        """hits / actual."""
        return _ratio(hits, actual)


class F1(_FromConfusion):
    """The harmonic mean of precision and recall."""

    default_name = "f1"

    def score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        """2 hits / (predicted + actual)."""
        return _ratio(2 * hits, predicted + actual)


class AUC(Metric):
    """The area under the ROC curve: the probability that a positive scores higher than a negative.

    Several classes are scored one against the rest and averaged. All scores of the epoch are kept, so it is exact.
    """

    default_name = "auc"
    combine = "concatenate"

    def statistics(self, y_true: Any, y_pred: Any) -> Sequence[Any]:
        """Labels and scores."""
        if is_binary(y_pred):
            count = size(y_pred.spec.shape)
            positive = ops.cast(self.aligned(y_true, y_pred) > 0, "float32")
            return ops.reshape(positive, (count,)), ops.reshape(y_pred, (count,))
        return ops.cast(true_classes(y_true, y_pred), "float32"), y_pred

    def result(self, totals: Sequence[np.ndarray]) -> float:
        """The area, from ranks."""
        labels, scores = totals
        labels = labels.reshape(-1)
        if scores.ndim == 1:
            return _auc(labels == 1, scores)
        columns = [_auc(labels == k, scores[..., k].reshape(-1)) for k in range(scores.shape[-1])]
        known = [area for area in columns if not np.isnan(area)]
        return float(np.mean(known)) if known else float("nan")


def _auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """(sum of the positives' ranks - its smallest value) / (positives * negatives); ties share their mean rank."""
    from scipy.stats import rankdata  # costs 0.2 s to import: only when used

    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    rank_sum = rankdata(scores)[positive].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


class R2(Metric):
    """1 - sum of squared errors / sum of squared deviations from the mean; the mean over outputs."""

    default_name = "r2"
    combine = "concatenate"

    def statistics(self, y_true: Any, y_pred: Any) -> Sequence[Any]:
        """Targets and predictions, one row per sample."""
        shape = (y_pred.spec.shape[0], size(y_pred.spec.shape[1:]))
        return ops.reshape(self.aligned(y_true, y_pred), shape), ops.reshape(y_pred, shape)

    def result(self, totals: Sequence[np.ndarray]) -> float:
        """The mean over outputs; an output that never changes counts 1 if hit exactly, else 0."""
        y, predicted = totals
        residual = np.square(y - predicted).sum(axis=0)
        spread = np.square(y - y.mean(axis=0)).sum(axis=0)
        scores = np.where(spread > 0, 1 - _ratio(residual, spread), np.where(residual > 0, 0.0, 1.0))
        return float(scores.mean())


class FunctionMetric(Mean):
    """A metric from a plain function ``f(y_true, y_pred)`` of one number per sample; their exact mean."""

    function: Callable[[Any, Any], Any] = param()

    @property
    def label(self) -> str:
        """The function's name."""
        return self.name or getattr(self.function, "__name__", "metric")

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """The function's numbers; one number for the batch counts for each of its samples."""
        found = function_result(self.function, "metric", y_true, y_pred)
        return found if found.spec.ndim else ops.broadcast_to(found, (y_pred.spec.shape[0],))


METRICS: dict[str, Callable[..., Metric]] = {
    "accuracy": Accuracy,
    "acc": lambda: Accuracy(name="acc"),
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "top_k_accuracy": TopKAccuracy,
    "precision": Precision,
    "recall": Recall,
    "f1": F1,
    "auc": AUC,
    "confusion_matrix": ConfusionMatrix,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "r2": R2,
}

METRIC_CLASSES: dict[str, type[Metric]] = {
    cls.__name__: cls
    for cls in (
        Accuracy, BinaryAccuracy, CategoricalAccuracy, TopKAccuracy, Precision, Recall, F1, AUC, ConfusionMatrix,
        MeanSquaredError, MeanAbsoluteError, R2,
    )
}  # fmt: skip


def get(metric: Any) -> Metric:
    """The metric of a name, a function as a metric, or the metric itself.

    >>> get("f1")(np.array([0, 1, 1, 1]), np.array([0.2, 0.9, 0.8, 0.1]))
    0.8
    """
    if callable(metric) and not isinstance(metric, Metric):
        return FunctionMetric(metric)
    return look_up("metric", metric, Metric, METRICS)


def check_distinct(metrics: Sequence[Metric]) -> None:
    """Refuse two metrics of one name: one would overwrite the other in the history."""
    labels = [metric.label for metric in metrics]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigurationError(f"Two metrics are called {label!r}.", hint="give one a name=")
