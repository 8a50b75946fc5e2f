"""Watching layers at work: whoever observes is told of every layer's output, and of what its activation is applied to.

Of a recurrent layer they are told of the gates and states as well, time step by time step.

Recording uses it while a training step is traced, so that what it sees are variables of the graph:

>>> from pellucid.nn import Dense
>>> class Names(Observer):
...     def activation(self, layer, value):
...         print(layer.label, value.shape)
>>> with observing(Names()):
...     y = Dense(3)([[1.0, 2.0]])
dense (1, 3)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Observer:
    """Base of observers; ``pellucid.op.current_scope()`` gives the path of the layer that is being called."""

    def preactivation(self, value: Any) -> None:
        """Called with z before a layer applies its activation function to it; linear ones have none."""

    def part(self, name: str, function: Any, z: Any, value: Any) -> None:
        """Called for a gate or a state of a recurrent layer at every time step, in the order in which it reads them.

        Args:
            name: What it is called, such as ``"forget gate"``.
            function: The activation setting f; None where there is none.
            z: What f was applied to; None where there is none.
            value: f(z), or the state.
        """

    def activation(self, layer: Any, value: Any) -> None:
        """Called with what a layer's ``call`` returned, a value or a nest of them; inner layers come first."""


class _Observing(threading.local):
    observer: Observer | None = None


_observing = _Observing()


@contextmanager
def observing(observer: Observer | None) -> Iterator[None]:
    """Tell ``observer`` of the layers that this thread calls in the block; None tells nobody."""
    before, _observing.observer = _observing.observer, observer
    try:
        yield
    finally:
        _observing.observer = before


def tell_preactivation(value: Any) -> None:
    """Tell the observer, if there is one, what an activation function is about to be applied to."""
    if _observing.observer is not None:
        _observing.observer.preactivation(value)


def tell_part(name: str, function: Any, z: Any, value: Any) -> None:
    """Tell the observer, if there is one, of a gate or a state of a recurrent layer at a time step."""
    if _observing.observer is not None:
        _observing.observer.part(name, function, z, value)


def tell_activation(layer: Any, value: Any) -> None:
    """Tell the observer, if there is one, what a layer has given."""
    if _observing.observer is not None:
        _observing.observer.activation(layer, value)
