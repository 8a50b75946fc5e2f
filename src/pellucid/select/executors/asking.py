"""Asking: a worker reports an epoch to the process that sent it the member, and hears whether to go on.

Reports are lines of JSON over a local socket (a pipe on Windows) that only those who know a random key may use.
"""

from __future__ import annotations

import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Self

from pellucid.select.task import EpochListener, Member

#: From the number of a member, an epoch and its numbers to why the member ends, if it does.
Ask = Callable[[int, int, Mapping[str, float]], "str | None"]


class Line(ABC):
    """The end of a worker; it travels with the job."""

    @abstractmethod
    def open(self) -> Any:
        """A context in which one can ask, from several threads."""


class Desk:
    """The end that answers.

    Args:
        on_epoch: Answers, in threads of this class's.
        members: By number.

    Attributes:
        error: What ``on_epoch`` raised first, if it did; all members end then.
    """

    def __init__(self, on_epoch: EpochListener, members: Sequence[Member]) -> None:
        self._on_epoch, self._members = on_epoch, members
        self.error: BaseException | None = None

    def answer(self, number: int, epoch: int, numbers: Mapping[str, float]) -> str | None:
        """What is to be done with a member after an epoch."""
        if self.error is None:
            try:
                return self._on_epoch(self._members[number], epoch, numbers)
            except BaseException as error:
                self.error = error
        return "error"

    def check(self) -> None:
        """Raise what an answer has raised."""
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class SocketLine(Line):
    """To the desk of another process of this machine."""

    address: Any
    key: bytes

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """Ask over a connection for each thread."""
        here, opened = threading.local(), []

        def ask(number: int, epoch: int, numbers: Mapping[str, float]) -> str | None:
            if not hasattr(here, "connection"):
                here.connection = Client(self.address, authkey=self.key)
                opened.append(here.connection)
            here.connection.send_bytes(json.dumps([number, epoch, dict(numbers)]).encode())
            return json.loads(here.connection.recv_bytes())

        try:
            yield ask
        finally:
            for connection in opened:
                connection.close()


class SocketDesk(Desk):
    """Answers workers of this machine, while it is entered."""

    def __enter__(self) -> Self:
        self._key, self._closed = os.urandom(32), False
        self._listener = Listener(authkey=self._key, backlog=128)
        self.line = SocketLine(self._listener.address, self._key)
        self._thread = threading.Thread(target=self._accept, name="pellucid-desk", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        # The thread waits for a connection, or has just ended because of the line above, and hung up.
        with suppress(OSError, EOFError, AuthenticationError):
            Client(self.line.address, authkey=self._key).close()
        self._thread.join()

    def _accept(self) -> None:
        with self._listener:
            while not self._closed:
                try:
                    connection = self._listener.accept()
                except (AuthenticationError, EOFError, ConnectionError):  # a stranger, or a worker that was killed
                    continue
                threading.Thread(target=self._serve, args=(connection,), name="pellucid-answer", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            try:
                while True:
                    answer = self.answer(*json.loads(connection.recv_bytes()))
                    connection.send_bytes(json.dumps(answer).encode())
            except (EOFError, OSError):  # the worker is done, or was killed
                return
