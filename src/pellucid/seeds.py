"""Where randomness comes from: one root seed for what happens outside of ``fit(seed=...)``.

``set_seed(n)`` fixes everything that follows: initial parameters, and the seeds that fits draw when none is given.
Each consumer draws a child of the root, so that consumers do not disturb each other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pellucid.errors import ConfigurationError

_lock = threading.Lock()
_root = np.random.SeedSequence()


def set_seed(seed: int | None) -> None:
    """Start all later randomness from a seed; None starts from the operating system's.

    Raises:
        ConfigurationError: The seed is not a whole number of at least 0.

    >>> set_seed(1); first = next_seed(); set_seed(1); first == next_seed()
    True
    """
    global _root
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
        raise ConfigurationError(f"A seed must be a whole number of at least 0, not {seed!r}.")
    with _lock:
        _root = np.random.SeedSequence(None if seed is None else int(seed))


@contextmanager
def rooted(seed: int) -> Iterator[None]:
    """In the block, seeds are drawn as after ``set_seed(seed)``; afterwards as if it had not been."""
    before = _root
    set_seed(seed)
    try:
        yield
    finally:
        with _lock:
            globals()["_root"] = before


def next_seed() -> int:
    """A fresh seed of 63 bits."""
    with _lock:
        child = _root.spawn(1)[0]
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, *stream: int) -> np.random.Generator:
    """A NumPy generator for a seed and the numbers of a stream (an epoch, a layer): equal numbers, equal draws."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *stream])))
