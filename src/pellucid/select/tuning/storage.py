"""Storages: where a search is written down, so that it can go on later, elsewhere, or in several processes at once.

============================ ===========================================================================================
``storage=``                 what it is
============================ ===========================================================================================
None, ``"memory"``           this process
``"search.journal"``         a file to which every change is appended; for several processes of one machine, or NFS
``"sqlite:///search.db"``    a database in a file; ``"search.db"`` and ``"search.sqlite"`` mean it, too
``"postgresql://host/name"`` a database on a server; for many machines (any URL of SQLAlchemy's)
an Optuna storage            itself
============================ ===========================================================================================
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pellucid.errors import ConfigurationError, missing_dependency
from pellucid.select.tuning.library import JournalFileBackend, optuna, quiet

_LOG = logging.getLogger(__name__)

#: Seconds between two heartbeats of a database, and after which a trial without one is given up.
HEARTBEAT, GRACE = 15, 60
#: How often a trial is tried again whose worker was lost.
RETRIES = 3
#: Seconds for which a database that is locked, or whose connection is lost, is asked again and again.
PATIENCE = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
#: What databases say when it is worth while to ask once more.
_PASSING = ("locked", "busy", "deadlock", "serializ", "connection", "timeout", "timed out", "server closed")


def is_passing(error: BaseException) -> bool:
    """Whether a database may do later what it has just refused."""
    from sqlalchemy.exc import OperationalError

    known = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    return isinstance(known, OperationalError) and any(word in str(known).lower() for word in _PASSING)


def patiently(call: Callable[[], Any], patience: float | None = None) -> Any:
    """What ``call`` returns, called again with longer and longer pauses while the database is locked or away."""
    started, pause = time.monotonic(), _FIRST_PAUSE
    patience = PATIENCE if patience is None else patience
    while True:
        try:
            return call()
        except Exception as error:
            waited = time.monotonic() - started
            if not is_passing(error) or waited + pause > patience:
                raise
            if pause >= 1.0:
                _LOG.warning("The storage has been locked or away for %.0f s; nothing is lost, trying again.", waited)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _patient(name: str) -> Callable[..., Any]:
    method = getattr(optuna.storages.RDBStorage, name)

    @functools.wraps(method)
    def call(self: Any, *given: Any, **named: Any) -> Any:
        return patiently(lambda: method(self, *given, **named))

    return call


class PatientStorage(optuna.storages.RDBStorage):
    """A database of trials that asks again while it is locked.

    Each method is one transaction that happens whole or not at all, so that asking again repeats nothing. A database in
    a file writes ahead to a second file (SQLite's WAL), which spares it most of its waiting for the disk, some 6 ms a
    transaction, of which a trial has dozens. A process that is killed loses nothing; a power cut, the last trials.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        patiently(lambda: super(PatientStorage, self).__init__(*given, **named))
        if self.engine.dialect.name == "sqlite":
            from sqlalchemy import event

            event.listen(self.engine, "connect", _write_ahead)
            self.engine.dispose()  # connections that were made without it


def _write_ahead(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    with suppress(sqlite3.OperationalError):  # a locked file keeps the mode that it has
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


for _name in (*optuna.storages.BaseStorage.__abstractmethods__, "record_heartbeat", "_get_stale_trial_ids",
              "_get_trials", "_create_new_trial", "get_best_trial"):  # fmt: skip
    setattr(PatientStorage, _name, _patient(_name))


def open_storage(given: Any) -> Any:
    """The storage of a name.

    Raises:
        ConfigurationError: It is no storage.
        MissingDependencyError: PostgreSQL without a driver.
    """
    if given is None or given == "memory":
        return optuna.storages.InMemoryStorage()
    if isinstance(given, optuna.storages.BaseStorage):
        return given
    text = str(given) if isinstance(given, (str, Path)) else ""
    if "://" in text:
        return _database(text)
    if text.endswith((".journal", ".log")):
        return optuna.storages.JournalStorage(JournalFileBackend(str(Path(text).absolute())))
    if text.endswith((".db", ".sqlite", ".sqlite3")):
        return _database(f"sqlite:///{text}")
    raise ConfigurationError(
        f"storage must be 'memory', a journal file, a URL of a database or a storage of Optuna's, not {given!r}.",
        hint="for instance storage='search.journal', 'sqlite:///search.db' or 'postgresql://user@host/name'",
    )


def close(storage: Any) -> None:
    """Close the connections to a database; they are opened again when it is asked again."""
    if isinstance(storage, PatientStorage):
        storage.engine.dispose()


def _database(url: str) -> Any:
    scheme, _, rest = url.partition("://")
    if scheme in ("postgres", "postgresql") and find_spec("psycopg2") is None:
        if find_spec("psycopg") is None:
            raise missing_dependency("psycopg", f"storage='{scheme}://...'", "postgresql")
        url = f"postgresql+psycopg://{rest}"
    from sqlalchemy.exc import ArgumentError, OperationalError

    try:
        with quiet():
            again = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
            return PatientStorage(
                url, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=again
            )
    except (ArgumentError, OperationalError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigurationError(f"storage={url!r} cannot be opened: {reason}.") from None
