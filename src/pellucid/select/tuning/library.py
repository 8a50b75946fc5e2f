"""Optuna, the one library that only searches need: imported here alone, or an error that says how to install it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.errors import missing_dependency

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ImportError:
    raise missing_dependency("optuna", "tune", "tune") from None

__all__ = ["JournalFileBackend", "optuna", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """In the block, Optuna logs warnings only, and does not warn that its heartbeat is new.

    Heartbeats are sent by :mod:`pellucid.select.tuning.workers`, not by ``Study.optimize``, which Optuna warns of, too.
    """
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
            yield
    finally:
        optuna.logging.set_verbosity(before)
