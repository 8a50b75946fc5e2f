"""Settings that are inputs of a compiled step: momentum, weight decay, the strength of a penalty, the rate of dropout.

Models that differ in these numbers alone share one compiled step; a population trains with different ones at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.dtypes import float64
from pellucid.fields import Configured, standing_in
from pellucid.nn.layer import Layer
from pellucid.op import Spec


class DataSettings:
    """The settings of some objects that are data, in a fixed order.

    Attributes:
        names: What graphs call them.
    """

    def __init__(self, owners: Sequence[tuple[str, Configured]]) -> None:
        self._entries: list[tuple[Configured, str]] = []
        self.names: list[str] = []
        known: set[int] = set()
        for label, owner in owners:
            if id(owner) not in known:
                known.add(id(owner))
                for name in owner.data_names():
                    self._entries.append((owner, name))
                    self.names.append(f"{label}.{name}")

    @property
    def specs(self) -> list[Spec]:
        """The specs of the inputs."""
        return [Spec((), float64)] * len(self._entries)

    def values(self) -> list[np.ndarray]:
        """The present numbers."""
        return [np.asarray(getattr(owner, name), np.float64) for owner, name in self._entries]

    @contextmanager
    def traced(self, inputs: Sequence[Any]) -> Iterator[None]:
        """In the block, the objects compute with these inputs instead of their numbers."""
        pairs = zip(self._entries, inputs, strict=True)
        with standing_in({(id(owner), name): value for (owner, name), value in pairs}):
            yield


def data_settings(model: Any, optimizer: Configured | None) -> DataSettings:
    """The settings of a model and its optimiser that are data: the layers', the regularisers', the optimiser's."""
    owners: list[tuple[str, Configured]] = [(layer.label, layer) for layer in _layers(model)]
    owners += [(str(p.name), p.regularizer) for p in model.parameters if p.regularizer is not None]
    if optimizer is not None:
        owners.append((type(optimizer).__name__, optimizer))
    return DataSettings(owners)


def _layers(model: Any) -> Iterator[Layer]:
    for layer in model.sublayers():
        if layer is not model and layer.data_names():
            yield layer
