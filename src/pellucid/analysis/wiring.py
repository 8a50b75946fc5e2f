"""A model as one list of layer calls, nested models opened, every value numbered: what the pictures of it start from.

A layer is chosen by its name (``"conv2d"``; ``"block/conv2d"`` inside of the nested model ``block``; ``"conv2d#2"`` for
the second call of a shared layer), by its number in ``model.layers``, or as the object itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError, unknown_name
from pellucid.nn import Activation, Conv1D, Conv2D, Dense, Softmax, activations
from pellucid.nn.layer import Layer
from pellucid.nn.network import Network
from pellucid.nn.symbol import Symbol
from pellucid.op import Spec, scope
from pellucid.shapes import Shape, show
from pellucid.train import Model

#: The layers whose ``activation`` is the last thing they do, so that there is a value before it.
ACTIVATED = (Dense, Conv1D, Conv2D)
CONVOLUTIONS = (Conv1D, Conv2D)


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer.

    Attributes:
        name: The layer's name, below those of the nested models that it is in.
        layer: The layer.
        inputs, outputs: The numbers of the values it takes and makes.
        before: The number of its value before the activation; None where it has none.
    """

    name: str
    layer: Layer
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    before: int | None


class Wiring:
    """The calls of a model's layers, nested models opened.

    Args:
        model: The model, built.

    Attributes:
        steps: The calls in order.
        inputs, outputs: The numbers of the model's inputs and outputs.
        values: Sample shape and element type of each numbered value.

    Raises:
        ConfigurationError: It is no model.
        NotBuiltError: The model does not know its input's shape yet.

    >>> from pellucid import Input, Sequential
    >>> model = Sequential([Input((8, 8, 1)), Conv2D(4, 3, activation="relu"), Dense(2)])
    >>> wiring = Wiring(model)
    >>> [(step.name, step.inputs, step.before, step.outputs) for step in wiring.steps]
    [('conv2d', (0,), 1, (2,)), ('dense', (2,), None, (3,))]
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, Model):
            raise ConfigurationError(f"The layers of a Model are looked at, not {type(model).__name__}.")
        self.model = model
        self.steps: list[Step] = []
        self.values: list[tuple[Shape, DType]] = []
        self._named: dict[str, tuple[int, ...]] = {}
        self._of_layer: dict[int, str] = {}
        network = model.network
        self.inputs = tuple(self._number(symbol) for symbol in network.inputs)
        self.outputs = self._open(network, self.inputs, "")

    def _number(self, symbol: Symbol) -> int:
        self.values.append((symbol.sample_shape, symbol.dtype))
        return len(self.values) - 1

    def _open(self, network: Network, incoming: Sequence[int], prefix: str) -> tuple[int, ...]:
        """Append the calls of a network for these inputs; the numbers of its outputs."""
        number = {id(symbol): n for symbol, n in zip(network.inputs, incoming, strict=True)}
        for call in network.calls:
            layer, inputs = call.layer, tuple(number[id(symbol)] for symbol in call.inputs)
            name, again = prefix + layer.label, 2
            while name in self._named:
                name, again = f"{prefix}{layer.label}#{again}", again + 1
            self._of_layer.setdefault(id(layer), name)
            self._named[name] = ()
            if isinstance(layer, Model) and type(layer).call is Model.call:
                made = self._open(layer.network, inputs, f"{name}/")
            else:
                made = self._append(name, layer, inputs, call.outputs)
            self._named[name] = made
            number.update((id(symbol), n) for symbol, n in zip(call.outputs, made, strict=True))
        return tuple(number[id(symbol)] for symbol in network.outputs)

    def _append(self, name: str, layer: Layer, inputs: tuple[int, ...], symbols: Sequence[Symbol]) -> tuple[int, ...]:
        splits = isinstance(layer, ACTIVATED) and not activations.is_linear(layer.activation)
        before = self._number(symbols[0]) if splits else None
        made = tuple(self._number(symbol) for symbol in symbols)
        self.steps.append(Step(name, layer, inputs, made, before))
        return made

    def run(self, inputs: Sequence[Any], given: Mapping[int, Any] | None = None) -> list[Any]:
        """Every numbered value for values of the inputs; those that are given stand in for what layers make."""
        known = given or {}
        values: list[Any] = [*inputs, *[None] * (len(self.values) - len(inputs))]
        for step in self.steps:
            arguments = [values[number] for number in step.inputs]
            if step.before is None:
                result = step.layer(*arguments)
            else:
                result = values[step.before] = _linear(step.layer)(*arguments)
                with scope(step.layer.label):
                    result = activations.get(step.layer.activation)(result)  # type: ignore[attr-defined]
            several = list(result) if len(step.outputs) > 1 else [result]
            for number, value in zip(step.outputs, several, strict=True):
                values[number] = known.get(number, value)
        return values

    def spec(self, number: int, batch: int) -> Spec:
        """The spec of a value for a batch of this size."""
        shape, dtype = self.values[number]
        return Spec((batch, *shape), dtype)

    def maker(self, number: int) -> Step | None:
        """The call that makes a value; None for an input."""
        return next((step for step in self.steps if number == step.before or number in step.outputs), None)

    def convolutions(self) -> list[Step]:
        """The calls of convolutions.

        Raises:
            ConfigurationError: There is none.
        """
        found = [step for step in self.steps if isinstance(step.layer, CONVOLUTIONS)]
        if not found:
            kinds = ", ".join(dict.fromkeys(type(step.layer).__name__ for step in self.steps))
            raise ConfigurationError(
                f'The model "{self.model.label}" has no convolution; its layers are: {kinds}.',
                hint="name a layer, or look at a model with Conv1D or Conv2D layers",
            )
        return found

    def name_of(self, layer: Any) -> str:
        """The name under which a chosen layer is called here.

        Raises:
            ConfigurationError: The model has no such layer.
        """
        if isinstance(layer, Layer):
            if id(layer) not in self._of_layer:
                raise ConfigurationError(f'The layer "{layer.label}" is not in the model "{self.model.label}".')
            return self._of_layer[id(layer)]
        if isinstance(layer, int) and not isinstance(layer, bool):
            layers = self.model.layers
            if not -len(layers) <= layer < len(layers):
                raise ConfigurationError(
                    f'The model "{self.model.label}" has {len(layers)} layers, so there is no number {layer}.'
                )
            return self._of_layer[id(layers[layer])]
        if not isinstance(layer, str):
            raise ConfigurationError(f"A layer is chosen by name, by number or as itself, not by {layer!r}.")
        if layer not in self._named:
            raise unknown_name("layer", layer, self._named)
        return layer

    def step(self, layer: Any) -> Step:
        """The call of a chosen layer.

        Raises:
            ConfigurationError: There is none, or it is a nested model.
        """
        name = self.name_of(layer)
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigurationError(f'"{name}" is a nested model.', hint=f'choose one of its layers, like "{name}/..."')

    def output_of(self, layer: Any, *, before_activation: bool = False) -> int:
        """The number of a chosen layer's output, or of its value before the activation.

        Raises:
            ConfigurationError: There is no such layer, it has several outputs, or no value before an activation.
        """
        name = self.name_of(layer)
        made = self._named[name]
        if len(made) != 1:
            raise ConfigurationError(f'The layer "{name}" has {len(made)} outputs; one is needed.')
        if not before_activation:
            return made[0]
        step = self.step(layer)
        if step.before is not None:
            return step.before
        if isinstance(step.layer, ACTIVATED):
            return made[0]  # no activation: both are one
        raise ConfigurationError(
            f'The layer "{name}" ({type(step.layer).__name__}) has no value before an activation.',
            hint="only Dense, Conv1D and Conv2D have",
        )

    def logits(self, number: int) -> int:
        """The value before a last softmax or sigmoid, or the value itself where there is neither."""
        step = self.maker(number)
        if step is None or step.outputs != (number,):
            return number
        if step.before is not None:
            return step.before if step.layer.activation in ("softmax", "sigmoid") else number  # type: ignore[attr-defined]
        if isinstance(step.layer, Softmax):
            return step.inputs[0]
        if isinstance(step.layer, Activation) and step.layer.activation in ("softmax", "sigmoid"):
            return step.inputs[0]
        return number

    def channels(self, number: int, what: str) -> int:
        """The size of a value's last axis.

        Raises:
            ConfigurationError: It is one number per sample.
        """
        shape, _ = self.values[number]
        if not shape:
            raise ConfigurationError(f"{what} is one number per sample, {show((None,))}, which has no channels.")
        return shape[-1]


def _linear(layer: Any) -> Any:
    """The same layer, with the same parameters, without its activation."""
    twin = copy.copy(layer)
    twin.activation = None
    return twin
