"""Compiled programs by structure: models of equal architecture, loss and optimiser share what was compiled for one.

The key holds everything that a graph depends on: layers with their settings and names, how they are connected, shapes
and types of the parameters, losses, metrics, the optimiser's settings (but for the learning rate and the numbers that
are inputs of the step). What is not one of this package's own classes counts as itself alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from pellucid.fields import Configured

_PACKAGE = __name__.partition(".")[0]
#: How many programs are kept, and how many bytes of memory they may hold together.
KEPT, BYTES = 64, 1 << 28


class Same:
    """An object that equals itself alone, and is kept alive so that nothing else can take its place."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def is_own(kind: type) -> bool:
    """Whether a class belongs to this package, so that its settings say all about its objects."""
    return kind.__module__.partition(".")[0] == _PACKAGE


def fingerprint(value: Any, without: tuple[str, ...] = ()) -> Hashable:
    """A key that is equal for settings that mean the same computation.

    Args:
        value: A setting, or an object with settings.
        without: Settings that do not count.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.dtype)):
        return (type(value), value)
    if isinstance(value, np.generic):
        return (type(value), value.item())
    if isinstance(value, (list, tuple)):
        return (type(value), tuple(fingerprint(item) for item in value))
    if isinstance(value, dict):
        return (dict, tuple((key, fingerprint(item)) for key, item in value.items()))
    if isinstance(value, Configured) and is_own(type(value)):
        settings, data = value.config(), value.data_names()
        kept = [(k, "data" if k in data else fingerprint(v)) for k, v in settings.items() if k not in without]
        return (type(value), tuple(kept))
    return Same(value)


def of_model(model: Any) -> Hashable:
    """The key of a model's architecture."""
    if not is_own(type(model)):
        return Same(model)
    network = model.network
    number = {id(symbol): i for i, symbol in enumerate(network.inputs)}
    layer_number = {id(layer): i for i, layer in enumerate(network.layers)}
    calls = []
    for call in network.calls:
        calls.append((layer_number[id(call.layer)], tuple(number[id(s)] for s in call.inputs), len(call.outputs)))
        for symbol in call.outputs:
            number[id(symbol)] = len(number)
    trained = {id(p) for p in model.trainable_parameters}
    return (
        type(model),
        model.label,
        model.trainable,
        tuple((s.name, s.sample_shape, s.dtype) for s in network.inputs),
        tuple(of_model(layer) if hasattr(layer, "network") else fingerprint(layer) for layer in network.layers),
        tuple(calls),
        tuple(number[id(symbol)] for symbol in network.outputs),
        tuple((p.name, p.spec, id(p) in trained, fingerprint(p.regularizer)) for p in model.parameters),
    )


class SharedPrograms:
    """The programs that were compiled last, by structure; all fits of a process share them."""

    def __init__(self) -> None:
        self._programs: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The program of a key, made on first use; those that were not used for longest make room."""
        with self._lock:
            if key in self._programs:
                self._programs.move_to_end(key)
                return self._programs[key]
        program = make()
        with self._lock:
            self._programs[key] = program
            while len(self._programs) > 1 and (len(self._programs) > KEPT or self._size() > BYTES):
                self._programs.popitem(last=False)
        return program

    def _size(self) -> int:
        return sum(program.loop.byte_size for program in self._programs.values())

    def clear(self) -> None:
        """Forget all programs."""
        with self._lock:
            self._programs.clear()


SHARED = SharedPrograms()
