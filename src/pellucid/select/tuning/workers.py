"""Workers: who is at a trial, whether he is still there, and that no trial stays behind with none.

Every trial that runs carries the mark of its process. A trial whose process on this machine is gone is given up at
once; one of another machine, when its heartbeat is older than the grace: databases keep heartbeats themselves, in a
journal they are an attribute of the trial. What was given up is tried again, with the same parameters.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pellucid.select.tuning import storage as storages
from pellucid.select.tuning.library import optuna, quiet

#: The attribute of a trial that holds the mark of its process, and that of its heartbeat in storages without one.
MARK, PULSE = "pellucid:worker", "pellucid:pulse"

_RUNNING, _FAILED = optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.FAIL


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _machine() -> str:
    """This machine since it was started, and what its processes are numbered in."""
    boot = _read("/proc/sys/kernel/random/boot_id").strip()
    with suppress(OSError):
        boot += os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {boot}"


def _started(process: int) -> str:
    """When a process was started, so that a later one of the same number is another one; empty where unknown."""
    found = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return found[19] if len(found) > 19 else ""


def own_mark() -> list[str]:
    """The mark of this process."""
    return [_machine(), str(os.getpid()), _started(os.getpid())]


def is_gone(mark: list[str]) -> bool:
    """Whether the process of a mark was one of this machine and is no more."""
    machine, process, started = mark
    if machine != _machine():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return started != _started(int(process))


def give_up_lost(study: Any) -> int:
    """Fail the running trials whose worker is gone, and queue them again; how many they were."""
    with quiet():
        if isinstance(study._storage, optuna.storages.InMemoryStorage):
            return 0
        before = len(study.get_trials(deepcopy=False, states=(_FAILED,)))
        optuna.storages.fail_stale_trials(study)
        for trial in study.get_trials(deepcopy=False, states=(_RUNNING,)):
            if _is_lost(trial):
                fail_and_queue(study, trial)
        return len(study.get_trials(deepcopy=False, states=(_FAILED,))) - before


def _is_lost(trial: Any) -> bool:
    mark = trial.user_attrs.get(MARK)
    if mark is not None and is_gone(mark):
        return True
    last = trial.user_attrs.get(PULSE)
    if mark is None:  # its process was killed in the moment between asking and marking
        last = trial.datetime_start.timestamp() if trial.datetime_start is not None else 0.0
    return last is not None and time.time() - last > storages.GRACE


def fail_and_queue(study: Any, trial: Any) -> None:
    """Fail a running trial, and queue its parameters again unless that was done too often."""
    with quiet(), suppress(optuna.exceptions.UpdateFinishedTrialError):
        if study._storage.set_trial_state_values(trial._trial_id, state=_FAILED):
            again = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=storages.RETRIES)
            again(study, study._storage.get_trial(trial._trial_id))


class Pulse:
    """Says every few seconds, from a thread of its own, that the trials of this process are being worked on."""

    def __init__(self, study: Any) -> None:
        self._study, self._trials = study, frozenset[int]()
        self._lock, self._end = threading.Lock(), threading.Event()
        quietly = isinstance(study._storage, optuna.storages.InMemoryStorage)
        self._thread = None if quietly else threading.Thread(target=self._run, name="pellucid-pulse", daemon=True)

    def watch(self, trials: Iterable[int]) -> None:
        """From now on the pulse of these trials (by their identity in the storage)."""
        before, self._trials = self._trials, frozenset(trials)
        if self._thread is not None:
            self._beat(self._trials - before)

    def _beat(self, trials: frozenset[int]) -> None:
        storage = self._study._storage
        with self._lock:
            for trial in sorted(trials):
                with suppress(optuna.exceptions.UpdateFinishedTrialError, KeyError):
                    if hasattr(storage, "record_heartbeat"):
                        storage.record_heartbeat(trial)
                    else:
                        storage.set_trial_user_attr(trial, PULSE, time.time())

    def _run(self) -> None:
        while not self._end.wait(storages.HEARTBEAT):
            with suppress(Exception):  # a storage that is away for a while; the next beat tells whether it is back
                self._beat(self._trials)

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._trials = frozenset()
        self._end.set()
        if self._thread is not None:
            self._thread.join()
