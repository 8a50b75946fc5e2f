"""Pellucid: deep learning you can see through, at full speed.

Three levels, one engine: models (``Sequential``, ``Model``), tensors (``Tensor``, ``grad``), and compiled functions
(``compile``).

    >>> import numpy as np
    >>> from pellucid import Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Dense(2, activation="relu"), Dense(1)])
    >>> model.compile(loss="mse", optimizer="adam")
    >>> history = model.fit(np.eye(4), np.arange(4.0), epochs=2, seed=0, verbose=0)
    >>> len(history["loss"])
    2
"""

import importlib
from typing import Any

from pellucid import data, errors, nn, ops, optim
from pellucid.autodiff import grad, hessian, hvp, jacobian, value_and_grad, vjp
from pellucid.backends import set_num_threads
from pellucid.compile import compile
from pellucid.nn.symbol import Input
from pellucid.ops.random import random_key
from pellucid.seeds import set_seed
from pellucid.tensor import Tensor, no_grad
from pellucid.train import (
    BatchReport,
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    History,
    LearningRateSchedule,
    Model,
    Population,
    Recorder,
    ReduceOnPlateau,
    Sequential,
    TensorBoard,
    load_model,
)

# Built on scikit-learn or matplotlib, and so loaded when they are asked for.
_LATER = ("analysis", "classic", "estimators", "plot", "select")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__version__ = "0.1.0"

__all__ = [
    "BatchReport", "CSVLog", "Callback", "Checkpoint", "EarlyStopping", "History", "Input", "LearningRateSchedule",
    "Model", "Population", "Recorder", "ReduceOnPlateau", "Sequential", "Tensor", "TensorBoard", "compile", "data",
    "errors", "grad", "hessian", "hvp", "jacobian", "load_model", "nn", "no_grad", "ops", "optim", "random_key",
    "set_num_threads", "set_seed", "value_and_grad", "vjp",
]  # fmt: skip
