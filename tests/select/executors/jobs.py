"""Work that the tests of executors share."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler
from tests.select.nets import X, Y, net, same

from pellucid.select.folds import folds_of, targets_of
from pellucid.select.grid import configurations
from pellucid.select.preparing import Inputs
from pellucid.select.task import Member, Task
from pellucid.train import Callback


def small_task(**changes):
    """Two structures and two learning rates of iris, standardised, with their seeds."""
    grid = configurations({"units": [3, 5], "learning_rate": [0.01, 0.1]})
    task = Task(net, Inputs(X, StandardScaler(), Y), Y, len(Y), grid, epochs=4, validation_split=0.2, keep_models=True)
    folds = folds_of(3, targets_of(len(Y), Y, Y))
    members = [Member(c, fold, seed) for c in range(len(grid)) for fold in folds for seed in (0, 7)]
    return replace(task, **changes), members


def assert_same(found, expected):
    """Outcomes are equal, bit for bit."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.failure, a.stopped_by, a.epochs, a.best_epoch) == (b.failure, b.stopped_by, b.epochs, b.best_epoch)
        assert (a.train, a.test) == (b.train, b.test)
        assert a.history.history == b.history.history
        assert np.array_equal(a.outputs, b.outputs)
        assert same(a.model, b.model)


class Killer(Callback):
    """Kills the process that trains it: once where there is a mark to set, else always."""

    def __init__(self, mark=None):
        self._mark = mark

    def on_epoch_end(self, epoch, logs=None):
        if self._mark is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif not Path(self._mark).exists():
            Path(self._mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Slow(Callback):
    """Waits after every epoch."""

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.05)
