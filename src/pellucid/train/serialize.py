"""Objects with settings <-> plain data, over a closed list of classes; nothing is ever imported by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import nn
from pellucid.errors import ConfigurationError, FileFormatError
from pellucid.fields import Configured
from pellucid.nn import activations, initializers, losses, regularizers
from pellucid.optim import OPTIMIZERS, SCHEDULES
from pellucid.train.metrics import METRIC_CLASSES, FunctionMetric

_INITIALIZERS = (
    initializers.Constant,
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.VarianceScaling,
    initializers.Orthogonal,
)
_REGULARIZERS = (regularizers.L1, regularizers.L2, regularizers.L1L2)
_LOSSES = (
    losses.MeanSquaredError,
    losses.SumSquaredError,
    losses.MeanAbsoluteError,
    losses.Huber,
    losses.Hinge,
    losses.Poisson,
    losses.BinaryCrossentropy,
    losses.CategoricalCrossentropy,
    losses.SparseCategoricalCrossentropy,
    losses.CustomLoss,
)

#: Kind -> name -> class: everything that a file may name. Losses and metrics of one name are kept apart.
CLASSES: dict[str, dict[str, type[Configured]]] = {
    "layer": dict(nn.LAYERS),
    "optimizer": dict(OPTIMIZERS),
    "schedule": dict(SCHEDULES),
    "initializer": {cls.__name__: cls for cls in _INITIALIZERS},
    "regularizer": {cls.__name__: cls for cls in _REGULARIZERS},
    "loss": {cls.__name__: cls for cls in _LOSSES},
    "metric": {**METRIC_CLASSES, "FunctionMetric": FunctionMetric},
}

_ACTIVATION_NAMES = {function: name for name, function in activations.ACTIVATIONS.items()}


def describe(value: Any) -> Any:
    """The value as JSON data.

    A configured object becomes {"kind", "class", "config"}, a function {"function": name}, one of our own activation
    functions {"activation": name}.
    """
    if isinstance(value, Configured):
        kind = _kind_of(value)
        config = {name: describe(v) for name, v in value.config().items()}
        return {"kind": kind, "class": type(value).__name__, "config": config}
    if isinstance(value, dict):
        return {"dict": [[key, describe(v)] for key, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if callable(value):
        if value in _ACTIVATION_NAMES:
            return {"activation": _ACTIVATION_NAMES[value]}
        return {"function": getattr(value, "__name__", type(value).__name__)}
    raise ConfigurationError(f"{value!r} cannot be saved: it is neither a number, text, a list nor a known object.")


def _kind_of(value: Configured) -> str:
    for kind, classes in CLASSES.items():
        if classes.get(type(value).__name__) is type(value):
            return kind
    return "custom"


def restore(value: Any, custom: Sequence[Any] = ()) -> Any:
    """The object of :func:`describe`'s data.

    Args:
        value: JSON data.
        custom: The user's own classes and functions that the data may name.

    Raises:
        FileFormatError: The data name a class or function that is not known.
    """
    if isinstance(value, list):
        return [restore(v, custom) for v in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: restore(v, custom) for key, v in value["dict"]}
    if "activation" in value:
        return activations.get(value["activation"])
    own = {getattr(item, "__name__", repr(item)): item for item in custom}
    if "function" in value:
        return _own_item(own, value["function"], "function")
    try:
        kind, name, config = value["kind"], value["class"], value["config"]
    except KeyError as error:
        raise FileFormatError(f"The description lacks {error}.") from None
    cls = _own_item(own, name, "class") if kind == "custom" else CLASSES.get(kind, {}).get(name)
    if cls is None:
        raise FileFormatError(f"The {kind} {name!r} is not known to this version.")
    settings = {key: restore(v, custom) for key, v in config.items()}
    try:
        return cls(**settings)
    except (ConfigurationError, TypeError) as error:
        raise FileFormatError(f"The {kind} {name!r} cannot be made from its description: {error}") from None


def _own_item(own: dict[str, Any], name: str, what: str) -> Any:
    if name not in own:
        raise FileFormatError(
            f"The file uses the {what} {name!r} of your own, which was not given.",
            hint=f"pass it: load_model(path, custom=[{name}])",
        )
    return own[name]
