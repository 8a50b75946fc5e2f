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

    @classmethod
    def of_epochs(
        cls, objective: Objective, output_names: tuple[str, ...], parts: Sequence[tuple[StepLogs, int]], epochs: int
    ) -> list[EpochTotals]:
        """The totals of several epochs at once.

        Args:
            objective, output_names: As for one epoch; all metrics add their statistics up.
            parts: The logs of all epochs for each size of batches, and that size; every epoch has as many batches.
            epochs: How many epochs.
        """

        def summed(pick: Callable[[StepLogs], np.ndarray], weigh: bool = False) -> np.ndarray:
            rows = [pick(logs) * np.float64(size) if weigh else pick(logs) for logs, size in parts]
            rows = [r.reshape(epochs, -1, *r.shape[1:]) for r in rows]
            zeros = np.zeros((epochs, 1, *rows[0].shape[2:]))
            return np.add.accumulate(np.concatenate([zeros, *rows], 1), 1, np.float64)[:, -1]

        first = parts[0][0]
        losses = [summed(lambda logs, n=n: logs.loss_sums[n]) for n in range(len(first.loss_sums))]
        penalties = summed(lambda logs: logs.penalty, weigh=True)
        statistics = [summed(lambda logs, n=n: logs.statistics[n]) for n in range(len(first.statistics))]
        count = sum(len(logs.total) // epochs * size for logs, size in parts)
        found = []
        for epoch in range(epochs):
            totals = cls(objective, output_names)
            totals._count, totals._penalty = count, float(penalties[epoch])
            totals._sums[:] = [sums[epoch] for sums in losses]
            values = iter(statistics)
            for accumulators in totals._accumulators:
                for a in accumulators:
                    a.begin_with([next(values)[epoch] for _ in range(a.metric.statistics_count)])
            found.append(totals)
        return found

    def result(self, prefix: str = "") -> dict[str, Any]:
        """The logs of all batches so far, keys beginning with ``prefix``."""
        losses = [
            total if loss.reduction == "sum" else total / self._count
            for loss, total in zip(self._objective.losses, self._sums, strict=True)
        ]
        weighted = sum(f * value for f, value in zip(self._objective.loss_weights, losses, strict=True))
        logs: dict[str, Any] = {f"{prefix}loss": float(weighted + self._penalty / self._count)}
        several = len(self._names) > 1
        if several:
            logs |= {f"{prefix}{name}_loss": float(value) for name, value in zip(self._names, losses, strict=True)}
        for name, accumulators in zip(self._names, self._accumulators, strict=True):
            for accumulator in accumulators:
                label = accumulator.metric.label
                logs[f"{prefix}{name}_{label}" if several else f"{prefix}{label}"] = accumulator.result()
        return logs
