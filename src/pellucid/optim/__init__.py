"""Optimisers and learning-rate schedules."""

from __future__ import annotations

from typing import Any

from pellucid.fields import lookup
from pellucid.optim.adaptive import Adadelta, Adagrad, Adam, AdamW, Nadam, RMSProp
from pellucid.optim.gradient_descent import SGD, Momentum
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedules import (
    SCHEDULES,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    Schedule,
    StepDecay,
    WarmUp,
)

#: The closed list of optimisers that a saved file may name.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.__name__: cls for cls in (SGD, Momentum, Adagrad, RMSProp, Adadelta, Adam, AdamW, Nadam)
}

__all__ = [
    "OPTIMIZERS", "SCHEDULES", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "CosineDecay", "ExponentialDecay",
    "Momentum", "Nadam", "OneCycle", "Optimizer", "RMSProp", "Schedule", "StepDecay", "WarmUp", "get",
]  # fmt: skip


def get(optimizer: Any) -> Optimizer:
    """The optimiser of a name (``"adam"``, with its defaults), or itself.

    >>> get("momentum")
    Momentum()
    """
    table: dict[str, Any] = {name.lower(): cls for name, cls in OPTIMIZERS.items()}
    return lookup("optimizer", optimizer, Optimizer, table)
