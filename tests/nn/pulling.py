"""Outputs and gradients of a layer in float64, ready to be compared with another library's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import Tensor
from pellucid.nn import Layer, phase


@dataclass(frozen=True)
class Pulled:
    """A layer's output, a cotangent of it, and what the cotangent becomes at the inputs and parameters."""

    output: np.ndarray
    cotangent: np.ndarray
    inputs: list[np.ndarray]
    parameters: dict[str, np.ndarray]


def pull(layer: Layer, *inputs: Any, training: bool = False, key: Any = None) -> Pulled:
    """Run the layer in float64 and pull a random cotangent back."""
    tensors = [Tensor(x, requires_grad=np.asarray(x).dtype.kind == "f") for x in inputs]
    with phase(training=training, key=key, dtype="float64"):
        output = layer(*tensors)
    cotangent = np.random.default_rng(99).normal(size=output.shape)
    for parameter in layer.parameters:
        parameter.grad = None
    (output * cotangent).sum().backward()
    return Pulled(
        output.numpy(),
        cotangent,
        [np.asarray(x.grad) for x in tensors if x.requires_grad],
        {str(p.name).split(".", 1)[1]: np.asarray(p.grad) for p in layer.trainable_parameters},
    )


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal draws in float64."""
    return np.random.default_rng(seed).normal(size=shape)


def built(layer: Layer, *shapes: tuple[int, ...]) -> Layer:
    """The layer with float64 parameters for inputs of these shapes, all drawn normal."""
    with phase(training=False, dtype="float64"):
        layer.ensure_built(*shapes)
    for number, parameter in enumerate(layer.parameters):
        parameter.assign(draws(*parameter.shape, seed=1000 + number))
    return layer
