"""What is computed while others run: a result that will be asked for soon.

The engine runs without Python's lock, and small networks leave all cores but one idle; what Python has to do for the
next block of epochs costs nothing then.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Results of ``make(number)`` for some numbers in a row, which a thread of its own computes.

    The thread looks after each of them whether this object is still used. What goes wrong in it goes wrong again for
    those who then ask for the result themselves.

    Args:
        make: What is called; it should not refer to the object that keeps this one.
        numbers: For which numbers, in this order.

    Attributes:
        numbers: These numbers.

    Raises:
        RuntimeError: No thread can be started.

    >>> ahead = Ahead(lambda number: number**2, range(3, 6))
    >>> ahead.take(range(4, 6)), ahead.take(range(5, 7))
    ([16, 25], [25])
    """

    def __init__(self, make: Callable[[int], T], numbers: range) -> None:
        self.numbers, self._made = numbers, _Made[T]()
        self._thread = threading.Thread(target=_fill, args=(weakref.ref(self), make, numbers, self._made), daemon=True)
        self._thread.start()

    def take(self, numbers: range) -> list[T]:
        """Results for the first of some numbers, as many as there are; it waits until they are made."""
        if numbers.start not in self.numbers:
            return []
        first = numbers.start - self.numbers.start
        return self._made.upto(min(first + len(numbers), len(self.numbers)))[first:]


class _Made(Generic[T]):
    """What has been made so far."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._more, self._ended = threading.Condition(), False

    def add(self, value: T) -> None:
        """Put one more there."""
        with self._more:
            self._values.append(value)
            self._more.notify_all()

    def end(self) -> None:
        """Say that there will be no more."""
        with self._more:
            self._ended = True
            self._more.notify_all()

    def upto(self, count: int) -> list[T]:
        """The first of them, so many if so many are made."""
        with self._more:
            self._more.wait_for(lambda: self._ended or len(self._values) >= count)
            return self._values[:count]


def _fill(owner: weakref.ref[Ahead[T]], make: Callable[[int], T], numbers: range, made: _Made[T]) -> None:
    try:
        for number in numbers:
            if owner() is None:
                return
            made.add(make(number))
    except Exception:  # who asks for it meets it again, where it can be told
        return
    finally:
        made.end()
