"""A network in two halves: from its inputs to a hidden layer, and from there to the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import Tensor
from pellucid.errors import ConfigurationError, GraphError, NotBuiltError
from pellucid.nn import Dense, activations
from pellucid.plot.decisions import border_of
from pellucid.shapes import show
from pellucid.train import Model

Step = Callable[[np.ndarray], np.ndarray]

#: scikit-learn's names of activations -> ours.
_NAMES = {"identity": "linear", "logistic": "sigmoid"}


@dataclass(frozen=True)
class Halves:
    """A network in two halves.

    Attributes:
        name: What the hidden layer is called in a sentence.
        units: How many it has.
        front: Inputs [N, features] -> hidden activations [N, units].
        decide: Hidden activations [N, units] -> the number of each one's class, int [N].
        classes: The labels in the order of those numbers; None for a Model with one unit in its output.
        normals: float [units, borders]: the directions on which alone the decision depends, where one layer makes it;
            None where it is not linear in the activations.
    """

    name: str
    units: int
    front: Step
    decide: Step
    classes: np.ndarray | None
    normals: np.ndarray | None


def halves_of(owner: str, model: Any, layer: str | int | None) -> Halves:
    """The halves of a Model or of an estimator's network.

    Args:
        owner: Who asks, for errors.
        model: A Model, an estimator that holds one in ``model_``, or one with ``coefs_`` and ``intercepts_``.
        layer: The hidden layer: a name, or of ``coefs_`` its number from 1; None is the last one.

    Raises:
        ConfigurationError: There is no such network or layer.
        NotBuiltError: The model has no weights yet.
    """
    network = getattr(model, "model_", model)
    if isinstance(network, Model):
        return _of_model(owner, network, layer, getattr(model, "classes_", None))
    if hasattr(model, "coefs_"):
        return _of_coefficients(owner, model, layer)
    raise ConfigurationError(
        f"{owner}: the model must be a Model or a fitted estimator of a multi-layer network, "
        f"not {type(model).__name__}."
    )


def _of_model(owner: str, model: Model, layer: str | int | None, classes: Any) -> Halves:
    if not model.built:
        raise NotBuiltError(f'{owner}: the model "{model.label}" has no weights yet.', hint="fit or build it first")
    calls = model.network.calls
    if layer is None:
        # What the last layer with weights is given: dropout and separate activations belong to the hidden side.
        last = [call for call in calls if call.layer.parameters][-1:]
        hidden = last[0].inputs[0] if last else None
    else:
        if not isinstance(layer, str):
            raise ConfigurationError(f"{owner}: the layer of a Model is given by its name, not by {layer!r}.")
        wanted = model.get_layer(layer)
        hidden = [call for call in calls if call.layer is wanted][-1].outputs[0]
    if hidden is None or hidden.call is None:
        raise ConfigurationError(f'{owner}: the model "{model.label}" has no hidden layer.')
    name = hidden.call.layer.label
    if len(hidden.sample_shape) != 1:
        raise ConfigurationError(
            f"{owner}: the layer {name!r} gives {show(hidden.sample_shape)} an example, not a row."
        )
    front, back = Model(model.inputs, hidden), _back(owner, model, hidden, name)

    def decide(activations: np.ndarray) -> np.ndarray:
        outputs = back.predict(activations)
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > border_of(model)).astype(int)

    if classes is None and model.outputs[0].sample_shape != (1,):
        classes = np.arange(model.outputs[0].sample_shape[-1])
    normals = _normals_of(calls, hidden)
    return Halves(f'the layer "{name}"', hidden.sample_shape[0], front.predict, decide, classes, normals)


def _normals_of(calls: Any, hidden: Any) -> np.ndarray | None:
    """Of the one Dense layer behind the hidden one, where nothing else behind it has weights."""
    weighted = [call for call in calls if call.layer.parameters]
    last = weighted[-1]
    alone = isinstance(last.layer, Dense) and last.inputs[0] is hidden
    return _differences(last.layer.kernel.numpy()) if alone else None


def _differences(kernel: np.ndarray) -> np.ndarray:
    """What decides between classes: the output of one unit, or the differences of the outputs of several."""
    wide = kernel.astype(np.float64)
    return wide if wide.shape[1] == 1 else wide[:, 1:] - wide[:, :1]


def _back(owner: str, model: Model, hidden: Any, name: str) -> Model:
    output = model.outputs[0]
    if len(model.outputs) > 1:
        raise ConfigurationError(f'{owner}: the model "{model.label}" has {len(model.outputs)} outputs; give one part.')
    if output is hidden:
        raise ConfigurationError(f"{owner}: the layer {name!r} is the output, not a hidden layer.")
    try:
        return Model(hidden, output)
    except (ConfigurationError, GraphError):
        raise ConfigurationError(
            f"{owner}: the decision does not follow from the layer {name!r} alone: another path leads around it.",
            hint="choose a layer that all paths pass through",
        ) from None


def _of_coefficients(owner: str, model: Any, layer: str | int | None) -> Halves:
    hidden = len(model.coefs_) - 1
    number = hidden if layer is None else layer
    if not isinstance(number, int) or not 1 <= number <= hidden:
        raise ConfigurationError(f"{owner}: {type(model).__name__} has the hidden layers 1 to {hidden}, not {layer!r}.")
    if not hasattr(model, "classes_"):
        raise ConfigurationError(f"{owner}: {type(model).__name__} predicts numbers, not classes.")
    given = model.activation
    function = activations.get(_NAMES.get(given, given) if isinstance(given, str) else given)

    def through(x: np.ndarray, first: int, last: int) -> np.ndarray:
        for place in range(first, last):
            x = x @ model.coefs_[place] + model.intercepts_[place]
            x = np.asarray(function(Tensor(x))) if place < hidden else x
        return x

    def decide(activations: np.ndarray) -> np.ndarray:
        z = through(activations, number, hidden + 1)
        return z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(int)

    normals = _differences(model.coefs_[hidden]) if number == hidden else None
    units = len(model.intercepts_[number - 1])
    classes = np.asarray(model.classes_)
    return Halves(f"hidden layer {number}", units, lambda x: through(x, 0, number), decide, classes, normals)
