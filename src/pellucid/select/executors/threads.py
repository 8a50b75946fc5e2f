"""Members on the threads of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pellucid import backends
from pellucid.select.executors.base import Executor, Work
from pellucid.select.task import Listener, Outcome


class Threads(Executor):
    """Trains populations here: one plan and one copy of the data, as many members at a time as there are threads."""

    def run(self, work: Work, listener: Listener | None = None) -> list[Outcome]:
        """Train all members here."""
        with threads_of(self.jobs):
            return work.train(work.task, work.members, listener)


@contextmanager
def threads_of(count: int | None) -> Iterator[None]:
    """In the block, the engine has so many threads; None leaves them as they are."""
    if count is None:
        yield
        return
    before = backends.num_threads()
    backends.set_num_threads(count)
    try:
        yield
    finally:
        backends.set_num_threads(None)
        if backends.num_threads() != before:  # it had been set to something else than the default
            backends.set_num_threads(before)
