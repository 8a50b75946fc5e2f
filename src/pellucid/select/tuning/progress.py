"""What is shown while a search runs: how many trials are done, and the best score so far."""

from __future__ import annotations

from typing import Any, Self

from pellucid.select.progress import Progress
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.records import TrialRecord


class TrialProgress(Progress):
    """A bar that counts trials.

    Args:
        total: How many there are.
        verbose: 1 shows it, 0 does not, ``"auto"`` does in a terminal.
        goal: What is compared.
    """

    def __init__(self, total: int, verbose: str | int, goal: Goal) -> None:
        super().__init__(total, verbose)
        self._goal = goal
        self._best: float | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        if self._bar is not None:
            self._bar.unit = "trial"
        return self

    def trial(self, record: TrialRecord) -> None:
        """Count a trial."""
        if record.state == "complete" and self._goal.is_better(record.value, self._best):
            self._best = record.value
        self._failed += record.state == "failed"
        if self._bar is None:
            return
        shown: dict[str, Any] = {} if self._best is None else {f"best {self._goal.name}": f"{self._best:.4f}"}
        self._bar.set_postfix({**shown, **({"failed": self._failed} if self._failed else {})}, refresh=False)
        self._bar.update()
