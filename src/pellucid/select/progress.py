"""What is shown while members train: how many are done, how many failed, and the best score so far."""

from __future__ import annotations

import sys
import threading
from typing import Any, Self

from pellucid import config
from pellucid.fields import Choice, require
from pellucid.select.members import Member, Outcome


class Progress:
    """A bar that counts members; called with each one that is done.

    Args:
        total: How many there are.
        verbose: 1 shows it, 0 does not, ``"auto"`` does in a terminal.
    """

    def __init__(self, total: int, verbose: str | int) -> None:
        require("cross_validate", "verbose", verbose, Choice("auto", 0, 1))
        quiet = config.PROGRESS.read() == "off" or not sys.stderr.isatty()
        self._hidden = verbose == 0 or (verbose == "auto" and quiet)
        self._total, self._failed = total, 0
        self._lock = threading.Lock()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if not self._hidden:
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, unit="fit")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, member: Member, outcome: Outcome) -> None:
        """Count a member."""
        if self._bar is None:
            return
        with self._lock:
            self._failed += outcome.failure is not None
            shown = {name: f"{value:.4f}" for name, value in outcome.test.items()}
            self._bar.set_postfix({**shown, **({"failed": self._failed} if self._failed else {})}, refresh=False)
            self._bar.update()
