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

    It ends when this object is no longer used. What goes wrong in it goes wrong again for those who then ask for the
    result themselves.

    Args:
        make: What is called; it should not refer to the object that keeps this one.
        numbers: For which numbers, in this order.

    >>> ahead = Ahead(lambda number: number**2, range(3, 6))
    >>> ahead.take(range(4, 6)), ahead.take(range(5, 7))
    ([16, 25], [25])
    """

    def __init__(self, make: Callable[[int], T], numbers: range) -> None:
        self._numbers, self._made = numbers, list[T]()
        self._thread = threading.Thread(target=_fill, args=(weakref.ref(self), make, numbers, self._made), daemon=True)
        self._thread.start()

    def take(self, numbers: range) -> list[T]:
        """Results for the first of some numbers, as many as there are; it waits until they are made."""
        self._thread.join()
        first = numbers.start - self._numbers.start
        return self._made[first : first + len(numbers)] if first >= 0 else []


def _fill(owner: weakref.ref[Ahead[T]], make: Callable[[int], T], numbers: range, made: list[T]) -> None:
    for number in numbers:
        if owner() is None:
            return
        try:
            made.append(make(number))
        except Exception:  # who asks for it meets it again, where it can be told
            return
