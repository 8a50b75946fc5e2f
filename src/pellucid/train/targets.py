"""Losses, weights and metrics of a compiled model, one set per output, from what the user wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import data
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import activations, losses
from pellucid.nn.losses import CategoricalCrossentropy, Loss
from pellucid.nn.symbol import Symbol
from pellucid.train import metrics
from pellucid.train.metrics import Metric
from pellucid.train.step import Objective


def objective(loss: Any, loss_weights: Any, metric_names: Any, output_names: Sequence[str]) -> Objective:
    """The objective of a model with these outputs.

    Args:
        loss: One loss for all outputs, a list, or a dict by output name.
        loss_weights: One number per output as a list or dict; 1 by default.
        metric_names: A list for all outputs, or a dict of lists by output name.
        output_names: The outputs.
    """
    resolved = tuple(losses.get(item) for item in _per_output(loss, output_names, "loss"))
    factors = _per_output(1.0 if loss_weights is None else loss_weights, output_names, "loss_weights")
    for factor in factors:
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor < 0:
            raise ConfigurationError(f"compile: a loss weight must be a number of at least 0, not {factor!r}.")
    chosen = tuple(
        tuple(_adapted(metrics.get(item), loss) for item in items)
        for items, loss in zip(_metric_lists(metric_names, output_names), resolved, strict=True)
    )
    for own in chosen:
        metrics.check_distinct(own)
    return Objective(resolved, tuple(float(f) for f in factors), chosen)


def check_activations(found: Objective, outputs: Sequence[Symbol]) -> None:
    """Refuse a loss of probabilities on a layer that gives any numbers.

    Raises:
        ConfigurationError: The last layer has no activation, but the loss takes probabilities.
    """
    for loss, symbol in zip(found.losses, outputs, strict=True):
        layer = symbol.call.layer if symbol.call else None
        wanted = loss.takes_probabilities
        if wanted and layer is not None and activations.is_linear(getattr(layer, "activation", "unknown")):
            raise ConfigurationError(
                f"{type(loss).__name__} takes probabilities, but the layer {layer.label!r} has no activation.",
                hint=f"give it activation={wanted!r}, or use {type(loss).__name__}(from_logits=True)",
            )


def _per_output(given: Any, names: Sequence[str], what: str) -> list[Any]:
    if isinstance(given, dict):
        if set(given) != set(names):
            raise ConfigurationError(f"compile: {what} has the keys {list(given)}, but the outputs are {list(names)}.")
        return [given[name] for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ConfigurationError(
                f"compile: {what} has {len(given)} entries, but the model has {len(names)} outputs: {list(names)}."
            )
        return list(given)
    return [given] * len(names)


def _metric_lists(given: Any, names: Sequence[str]) -> list[list[Any]]:
    if isinstance(given, dict):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ConfigurationError(f"compile: metrics has the key {unknown[0]!r}, but the outputs are {list(names)}.")
        return [_as_list(given.get(name, ())) for name in names]
    return [_as_list(given) for _ in names]


def _as_list(items: Any) -> list[Any]:
    return list(items) if isinstance(items, (list, tuple)) else [items]


def _adapted(metric: Metric, loss: Loss) -> Metric:
    """The metric with the threshold at 0 where predictions are logits or margins."""
    margins = isinstance(loss, losses.Hinge) or getattr(loss, "from_logits", False)
    if margins and isinstance(metric, metrics.Accuracy) and metric.threshold is None:
        return metrics.Accuracy(0.0, name=metric.name)
    defaulted = isinstance(metric, (metrics.BinaryAccuracy, metrics.ConfusionMatrix)) and metric.threshold == 0.5
    if margins and defaulted:
        return type(metric)(**{**metric.config(), "threshold": 0.0})
    return metric


def class_labels(y: np.ndarray, loss: Loss) -> np.ndarray | None:
    """The class of each sample where the targets are classes; None for regression."""
    if isinstance(loss, CategoricalCrossentropy):
        if y.dtype.kind in "iu":
            return y if y.ndim == 1 else None
        return np.argmax(y, axis=-1) if y.ndim == 2 else None
    if isinstance(loss, (losses.BinaryCrossentropy, losses.Hinge)) and y.size == len(y):
        flat = y.reshape(-1)
        return (flat > 0).astype(np.int32) if len(np.unique(flat)) <= 2 else None
    return None


def class_weights(weights: Any, labels: np.ndarray | None) -> np.ndarray:
    """The weight of each sample from the weight of its class.

    ``"balanced"`` weighs class k by n / (K n_k), so that every class counts the same.

    Raises:
        DataError: The targets are not classes, or a class has no weight.
    """
    if labels is None:
        raise DataError("class_weight needs targets that are classes, one per sample.")
    present, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if isinstance(weights, str) and weights == "balanced":
        table = {int(k): len(labels) / (len(present) * n) for k, n in zip(present, counts, strict=True)}
    elif isinstance(weights, dict):
        table = {int(k): float(v) for k, v in weights.items()}
        missing = [int(k) for k in present if int(k) not in table]
        if missing:
            raise DataError(f"class_weight has no weight for the classes {missing}.")
    else:
        raise ConfigurationError(f"class_weight must be 'balanced' or a dict of class to weight, not {weights!r}.")
    negative = [k for k, v in table.items() if not (v >= 0 and np.isfinite(v))]
    if negative:
        raise ConfigurationError(f"class_weight of class {negative[0]} must be at least 0, not {table[negative[0]]}.")
    return np.array([table[int(k)] for k in present])[place]


def split_rows(y: np.ndarray, loss: Loss, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and for validation: shuffled, and in equal proportions where the targets are classes."""
    labels = class_labels(y, loss)
    if labels is None:
        return data.split_indices(np.arange(len(y)), fraction, seed, stratified=False)
    return data.split_indices(labels, fraction, seed, stratified=True)
