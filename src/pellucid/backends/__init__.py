"""Backends: what runs a graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from pellucid import config
from pellucid.backends.base import Backend, Executable
from pellucid.backends.reference import ReferenceBackend
from pellucid.errors import unknown_name

__all__ = ["Backend", "Executable", "ReferenceBackend", "get", "alone", "names", "num_threads", "set_num_threads"]


def _cpu() -> Backend:
    from pellucid.backends.cpu import CpuBackend  # the compiler takes 0.1 s to import: only when used

    return CpuBackend()


def _auto() -> Backend:
    """The CPU engine, or the reference where its compiler does not exist for this machine."""
    try:
        return _cpu()
    except ImportError:
        return ReferenceBackend()


_BACKENDS: dict[str, Callable[[], Backend]] = {"auto": _auto, "cpu": _cpu, "reference": ReferenceBackend}


def names() -> tuple[str, ...]:
    """The names that :func:`get` takes."""
    return tuple(_BACKENDS)


def set_num_threads(count: int | None) -> None:
    """Set how many threads the CPU engine uses; None for every core that may be used.

    Results do not depend on it: they are the same bits for any number. Of more than 8, no more than the machine has
    cores are used.

    Raises:
        ConfigurationError: It is not a whole number of at least 1.
    """
    from pellucid.backends.cpu import threads  # the compiler takes 0.1 s to import: only when used

    threads.POOL.count = None if count is None else threads.check(count)


def num_threads() -> int:
    """How many threads the CPU engine uses now; one where its compiler does not exist for this machine.

    >>> num_threads() >= 1
    True
    """
    try:
        from pellucid.backends.cpu import threads  # the compiler takes 0.1 s to import: only when used
    except ImportError:
        return 1
    return min(threads.POOL.size(), threads.most())


def alone() -> AbstractContextManager[None]:
    """In the block, what this thread of the program runs uses no other thread of the engine."""
    from pellucid.backends.cpu import threads  # the compiler takes 0.1 s to import: only when used

    return threads.alone()


def get(name: str | Backend | None = None) -> Backend:
    """The backend of a name; None is the setting ``PELLUCID_BACKEND``, which is ``auto`` by default.

    Raises:
        ConfigurationError: The name is unknown.

    >>> get("reference").name
    'reference'
    """
    if isinstance(name, Backend):
        return name
    chosen = name or config.BACKEND.read()
    if chosen not in _BACKENDS:
        raise unknown_name("backend", chosen, names())
    return _BACKENDS[chosen]()
