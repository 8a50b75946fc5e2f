"""Saving and loading models: one safetensors file of data, never code.

The file holds the parameters (``model/dense.kernel``), the optimiser's state (``optimizer/dense.kernel/m``) and, in
its header, a JSON description: architecture, losses, metrics, optimiser, and a checksum of it all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from pellucid import dtypes
from pellucid.errors import ConfigurationError, FileFormatError, PellucidError
from pellucid.nn.layer import Layer
from pellucid.nn.symbol import Call, Symbol
from pellucid.train.files import write_atomically
from pellucid.train.serialize import describe, restore

FORMAT = "pellucid-model"
VERSION = 1

# What a description can provoke that was not written by save; a model of absurd size ends in a MemoryError.
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError, MemoryError)


def save(model: Any, path: Path) -> Path:
    """Write a model; the file appears whole or not at all."""
    tensors = {f"model/{name}": value for name, value in model.get_weights().items()}
    if model.is_compiled:
        for owner, slots in model.optimizer.state.items():
            tensors |= {f"optimizer/{owner}/{slot}": value for slot, value in slots.items()}
    # safetensors writes wrong numbers for arrays that are not C-contiguous.
    tensors = {name: np.asarray(value, order="C") for name, value in sorted(tensors.items())}
    description = {
        "format": FORMAT,
        "version": VERSION,
        "model": describe_model(model),
        "training": _describe_training(model),
    }
    description["sha256"] = _checksum(description, tensors)
    metadata = {"pellucid": json.dumps(description, sort_keys=True)}
    write_atomically(path, save_tensors(tensors, metadata))
    return path


def load_model(path: str | Path, *, custom: Sequence[Any] = ()) -> Any:
    """The model of a file, compiled with its optimiser's state as it was saved.

    Args:
        path: The file.
        custom: The user's own layer classes and functions that the model uses.

    Raises:
        FileFormatError: The file is missing, damaged, or of another kind.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"The model file {path} cannot be read: {error.strerror}.") from None
    tensors, description = _parse(path, content)
    try:
        model = rebuild_model(description["model"], custom)
        prefix = "model/"
        model.set_weights({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        _restore_training(model, description["training"], tensors, custom)
    except FileFormatError as error:
        raise error.with_context(f"{path}: {error.message}", ()) from None
    except (PellucidError, *_MISFITS) as error:
        raise FileFormatError(f"{path}: the description does not fit the numbers: {error}") from None
    return model


def _parse(path: Path, content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and description, checked against the checksum."""
    hint = "take an earlier checkpoint, or save the model again"
    try:
        tensors = load_tensors(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        description = json.loads(metadata["pellucid"])
    except KeyError:
        raise FileFormatError(
            f"{path} holds tensors but no Pellucid model.", hint="only files written by model.save can be loaded"
        ) from None
    except (SafetensorError, ValueError, AttributeError, TypeError, RecursionError):
        raise FileFormatError(f"{path} is damaged, or no model file.", hint=hint) from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise FileFormatError(f"{path} is not a {FORMAT} file.")
    if description.get("version") != VERSION:
        raise FileFormatError(
            f"{path} has the version {description.get('version')} of the format; this program reads {VERSION}.",
            hint="install the version of Pellucid that wrote it",
        )
    if description.pop("sha256", None) != _checksum(description, tensors):
        raise FileFormatError(f"{path} is damaged: its content does not match its checksum.", hint=hint)
    return tensors, description


def _checksum(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}:{value.dtype}:{value.shape};".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def describe_model(model: Any) -> dict[str, Any]:
    """Layers and calls as plain data; a nested model is described within."""
    network = model.network
    layer_number = {id(layer): i for i, layer in enumerate(network.layers)}
    symbol_number: dict[int, list[int]] = {id(s): [-1, i] for i, s in enumerate(network.inputs)}
    calls = []
    for number, call in enumerate(network.calls):
        calls.append([layer_number[id(call.layer)], [symbol_number[id(s)] for s in call.inputs]])
        symbol_number |= {id(s): [number, i] for i, s in enumerate(call.outputs)}
    return {
        "name": model.name,
        "sequential": isinstance(getattr(model, "_stack", None), list),
        "inputs": [{"shape": s.sample_shape, "dtype": s.dtype.name, "name": s.name} for s in network.inputs],
        "layers": [_describe_layer(layer) for layer in network.layers],
        "calls": calls,
        "outputs": [symbol_number[id(s)] for s in network.outputs],
        "single": model._single,
        "dtype": _float_of(model).name,
        "trainable": model.trainable,
    }


def _describe_layer(layer: Layer) -> dict[str, Any]:
    if hasattr(layer, "network"):
        return {"nested": describe_model(layer)}
    return describe(layer)


def rebuild_model(data: dict[str, Any], custom: Sequence[Any]) -> Any:
    """The model of :func:`describe_model`'s data, with fresh parameters."""
    model = _rebuild_topology(data, custom)
    model.trainable = bool(data["trainable"])
    return model


def _rebuild_topology(data: dict[str, Any], custom: Sequence[Any]) -> Any:
    layers = [_rebuild_layer(item, custom) for item in data["layers"]]
    inputs = [Symbol(tuple(i["shape"]), dtypes.dtype(i["dtype"]), None, i["name"]) for i in data["inputs"]]
    if data["sequential"]:
        return MODEL_CLASSES["Sequential"]([*inputs, *layers], name=data["name"], dtype=data["dtype"])
    made: list[Call] = []

    def symbol(place: list[int]) -> Symbol:
        call, position = place
        return inputs[position] if call == -1 else made[call].outputs[position]

    for layer_index, sources in data["calls"]:
        result = layers[layer_index](*(symbol(place) for place in sources))
        first = result[0] if isinstance(result, (list, tuple)) else result
        made.append(first.call)
    outputs = [symbol(place) for place in data["outputs"]]
    return MODEL_CLASSES["Model"](inputs, outputs[0] if data["single"] else outputs, name=data["name"])


#: Filled in by the package: the two model classes, which import this module.
MODEL_CLASSES: dict[str, Any] = {}


def _float_of(model: Any) -> dtypes.DType:
    double = any(p.dtype == dtypes.float64 for p in model.parameters)
    return dtypes.float64 if double else dtypes.DEFAULT_FLOAT


def _rebuild_layer(item: dict[str, Any], custom: Sequence[Any]) -> Any:
    if "nested" in item:
        return rebuild_model(item["nested"], custom)
    layer = restore(item, custom)
    if not isinstance(layer, Layer):
        raise FileFormatError(f"A layer's description made a {type(layer).__name__}.")
    return layer


def _describe_training(model: Any) -> dict[str, Any] | None:
    if not model.is_compiled:
        return None
    objective, optimizer = model.objective, model.optimizer
    return {
        "losses": [describe(loss) for loss in objective.losses],
        "loss_weights": list(objective.loss_weights),
        "metrics": {
            name: [describe(m) for m in metrics]
            for name, metrics in zip(model.output_names, objective.metrics, strict=True)
        },
        "optimizer": describe(optimizer),
        "iterations": optimizer.iterations,
    }


def _restore_training(
    model: Any, data: dict[str, Any] | None, tensors: dict[str, np.ndarray], custom: Sequence[Any]
) -> None:
    if data is None:
        return
    optimizer = restore(data["optimizer"], custom)
    metrics = {name: restore(items, custom) for name, items in data["metrics"].items()}
    model.compile(restore(data["losses"], custom), optimizer, metrics, loss_weights=data["loss_weights"])
    optimizer.iterations = int(data["iterations"])
    parameters = {str(p.name): p for p in model.parameters}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            owner, _, slot = key.removeprefix("optimizer/").rpartition("/")  # a layer's name may have a slash
            if owner not in parameters:
                raise ConfigurationError(f"the optimiser's state belongs to an unknown parameter {owner!r}")
            optimizer.slots_of(parameters[owner])[slot].assign(value)
