"""What is shown while a search runs: how many trials are done and were pruned, and the best score so far."""

from __future__ import annotations

from typing import Any, Self

from pellucid.select.progress import Progress
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.records import INTERRUPTED, TrialRecord


class TrialProgress(Progress):
    """A bar that counts trials.

    Args:
        total: How many there are.
        verbose: 1 shows it, 0 does not, ``"auto"`` does in a terminal, 2 prints a line for each trial that is the best.
        goal: What is compared.
        done: How many were done before, in the storage.
        best: The best score before.
    """

    def __init__(self, total: int, verbose: str | int, goal: Goal, *, done: int = 0, best: float | None = None) -> None:
        super().__init__(total, 0 if verbose == 2 else verbose)
        self._goal, self._best, self._done = goal, best, done
        self._lines = verbose == 2
        self._pruned = 0

    def __enter__(self) -> Self:
        super().__enter__()
        if self._bar is not None:
            self._bar.unit = "trial"
            self._bar.initial = self._bar.n = min(self._done, self._total)
            self._bar.refresh()
        return self

    def trial(self, record: TrialRecord) -> None:
        """Count a trial; one that Ctrl-C ended is tried again."""
        if record.report.failure == INTERRUPTED:
            return
        is_best = record.state == "complete" and self._goal.is_better(record.value, self._best)
        self._best = record.value if is_best else self._best
        self._done += 1
        self._failed += record.state == "failed"
        self._pruned += record.state == "pruned"
        if self._bar is not None:
            self._bar.set_postfix(self._shown(), refresh=False)
            self._bar.update()
        if self._lines and (is_best or self._done == self._total):
            counts = "".join(f", {name} {value}" for name, value in self._shown().items())
            print(f"{self._done:>{len(str(self._total))}}/{self._total} trials{counts}", flush=True)

    def _shown(self) -> dict[str, Any]:
        found: dict[str, Any] = {} if self._best is None else {f"best {self._goal.name}": f"{self._best:.4f}"}
        counts = {"pruned": self._pruned, "failed": self._failed}
        return {**found, **{name: count for name, count in counts.items() if count}}
