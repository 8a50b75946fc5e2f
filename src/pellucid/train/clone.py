"""Copies of models that have not been trained."""

from __future__ import annotations

import copy
from typing import Any

from pellucid import seeds
from pellucid.train.programs import Programs

#: What a clone shares with its model, and what it begins anew.
_SHARED = frozenset({"_backend", "_objective", "_objective_request"})
_ANEW = {"history": None, "stop_training": False}


def clone(model: Any, seed: int | None) -> Any:
    """A new model of the same architecture, losses and settings; its parameters are drawn by ``seed``, or copied."""
    twin: Any = object.__new__(type(model))
    memo: dict[int, Any] = {id(model): twin}
    for name, value in vars(model).items():
        if name in _ANEW:
            value = _ANEW[name]
        elif name == "programs":
            value = Programs(twin)
        elif name == "_optimizer" and value is not None:
            value = value.copy()
        elif name not in _SHARED:
            value = copy.deepcopy(value, memo)
        object.__setattr__(twin, name, value)
    if seed is not None:
        with seeds.rooted(seed):
            twin.redraw()
    return twin
