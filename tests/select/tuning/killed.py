"""A search whose process is killed in the midst of its second turn: ``python killed.py STORAGE TRIALS``."""

from __future__ import annotations

import os
import signal
import sys

from tests.select.tuning.cases import search

epochs = 0


def deadly(epoch, logs):
    """Count the epochs of all trials; at the thirtieth the process is no more."""
    global epochs
    epochs += 1
    if epochs == 30:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    search(callbacks=lambda member: [deadly], storage=sys.argv[1], trials=int(sys.argv[2]))
