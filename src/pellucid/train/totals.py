"""Losses and metrics of an epoch from those of its batches, exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.train.metrics import Accumulator, accumulate
from pellucid.train.step import Objective, StepLogs


class EpochTotals:
    """Adds the logs of batches up.

    The loss of an epoch is the mean over its samples (for ``sse`` the sum), plus the mean penalty; with several
    outputs each has its own ``<output>_loss``.
    """

    def __init__(self, objective: Objective, output_names: tuple[str, ...]) -> None:
        self._objective = objective
        self._names = output_names
        self._count = 0
        self._sums = np.zeros(len(objective.losses))
        self._penalty = 0.0
        self._accumulators = [[Accumulator(metric) for metric in metrics] for metrics in objective.metrics]

    def add(self, logs: StepLogs, size: int) -> None:
        """Take in some batches of ``size`` samples each."""
        steps = len(logs.total)
        self._count += steps * size
        for number, sums in enumerate(logs.loss_sums):
            self._sums[number] = accumulate(self._sums[number], sums)
        self._penalty = float(accumulate(self._penalty, logs.penalty * np.float64(size)))
        statistics = iter(logs.statistics)
        for accumulators in self._accumulators:
            for accumulator in accumulators:
                accumulator.add([next(statistics) for _ in range(accumulator.metric.statistics_count)])

    def result(self, prefix: str = "") -> dict[str, Any]:
        """The logs of all batches so far, keys beginning with ``prefix``."""
        values = [a.result() for accumulators in self._accumulators for a in accumulators]
        whole, losses = _losses(self._objective, self._sums, self._penalty, self._count)
        keys = keys_of(self._objective, self._names, prefix)
        return dict(zip(keys, [float(whole), *map(float, losses), *values], strict=True))


def keys_of(objective: Objective, names: tuple[str, ...], prefix: str = "") -> list[str]:
    """What the logs are called: the loss, with several outputs the loss of each, the metrics of each."""
    several = len(names) > 1
    keys = [f"{prefix}loss"] + ([f"{prefix}{name}_loss" for name in names] if several else [])
    for name, metrics in zip(names, objective.metrics, strict=True):
        keys += [f"{prefix}{name}_{m.label}" if several else f"{prefix}{m.label}" for m in metrics]
    return keys


def _losses(objective: Objective, sums: Any, penalty: Any, count: int) -> tuple[Any, list[Any]]:
    """The whole loss, and with several outputs that of each, from sums over samples."""
    losses = [
        total if loss.reduction == "sum" else total / count for loss, total in zip(objective.losses, sums, strict=True)
    ]
    weighted = sum(f * value for f, value in zip(objective.loss_weights, losses, strict=True))
    return weighted + penalty / count, losses if len(losses) > 1 else []


def logs_of_epochs(
    objective: Objective, names: tuple[str, ...], parts: Sequence[tuple[StepLogs, int]], epochs: int, prefix: str = ""
) -> dict[str, list[Any]]:
    """The logs of several epochs at once: the numbers that :class:`EpochTotals` gives for each.

    Args:
        objective, names: As for one epoch; all metrics add their statistics up.
        parts: The logs of all epochs for each size of batches, and that size; every epoch has as many batches.
        epochs: How many epochs.
        prefix: What keys begin with.
    """

    def summed(pick: Callable[[StepLogs], np.ndarray], weigh: bool = False) -> np.ndarray:
        rows = [pick(logs) * np.float64(size) if weigh else pick(logs) for logs, size in parts]
        rows = [r.reshape(epochs, -1, *r.shape[1:]) for r in rows]
        zeros = np.zeros((epochs, 1, *rows[0].shape[2:]))
        if not any(r.any() for r in rows):
            return zeros[:, 0]  # as penalties mostly are
        return np.add.accumulate(np.concatenate([zeros, *rows], 1), 1, np.float64)[:, -1]

    first = parts[0][0]
    sums = [summed(lambda logs, n=n: logs.loss_sums[n]) for n in range(len(first.loss_sums))]
    count = sum(len(logs.total) // epochs * size for logs, size in parts)
    whole, losses = _losses(objective, sums, summed(lambda logs: logs.penalty, weigh=True), count)
    statistics = iter([summed(lambda logs, n=n: logs.statistics[n]) for n in range(len(first.statistics))])
    metrics = [metric for own in objective.metrics for metric in own]
    values = [metric.results([next(statistics) for _ in range(metric.statistics_count)]) for metric in metrics]
    return dict(
        zip(keys_of(objective, names, prefix), [whole.tolist(), *(v.tolist() for v in losses), *values], strict=True)
    )
