"""The topology of a model: which layer is called on what, in an order in which each can run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.errors import ConfigurationError
from pellucid.nn.layer import Layer, Parameter, snake_case
from pellucid.nn.symbol import Call, Symbol


class Network:
    """The calls between input and output symbols.

    Attributes:
        inputs, outputs: The symbols at both ends.
        calls: Layer calls in order; a shared layer occurs several times.
        layers: The layers, each once, in the order of their first call.
        output_names: A distinct name for each output: that of the layer that makes it.
    """

    def __init__(self, inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.calls = _in_order(self.inputs, self.outputs)
        # Outputs that nothing uses stay as they are too: their ids are theirs as long as the network lives.
        self._symbols = [call.outputs for call in self.calls]
        self.layers = tuple({id(call.layer): call.layer for call in self.calls}.values())
        _name_inputs(self.inputs)
        name_layers(self.layers)
        self.output_names = self._name_outputs()

    def _name_outputs(self) -> tuple[str, ...]:
        names: list[str] = []
        for symbol in self.outputs:
            base = symbol.call.layer.label if symbol.call else symbol.name or "input"
            name, number = base, 2
            while name in names:
                name, number = f"{base}_{number}", number + 1
            names.append(name)
        return tuple(names)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for values of the inputs, by calling every layer."""
        if len(inputs) != len(self.inputs):
            names = ", ".join(repr(symbol.name) for symbol in self.inputs)
            raise ConfigurationError(f"The model has {len(self.inputs)} inputs ({names}), but was given {len(inputs)}.")
        values: dict[int, Any] = {id(symbol): x for symbol, x in zip(self.inputs, inputs, strict=True)}
        for call in self.calls:
            result = call.layer(*(values[id(symbol)] for symbol in call.inputs))
            results = list(result) if len(call.outputs) > 1 else [result]
            for symbol, value in zip(call.outputs, results, strict=True):
                values[id(symbol)] = value
        return [values[id(symbol)] for symbol in self.outputs]


def _in_order(inputs: tuple[Symbol, ...], outputs: tuple[Symbol, ...]) -> tuple[Call, ...]:
    """All calls that the outputs need, depth first, inputs before outputs."""
    known = {id(symbol) for symbol in inputs}
    done: dict[int, Call] = {}
    pending: list[tuple[Symbol, bool]] = [(symbol, False) for symbol in reversed(outputs)]
    while pending:
        symbol, expanded = pending.pop()
        call = symbol.call
        if id(symbol) in known or (call is not None and id(call) in done):
            continue
        if call is None:
            raise ConfigurationError(
                f"The outputs need {symbol!r}, which is not among the model's inputs.",
                hint="list every Input(...) in Model(inputs=[...], outputs=...)",
            )
        if expanded:
            done[id(call)] = call
        else:
            pending.append((symbol, True))
            pending.extend((source, False) for source in reversed(call.inputs))
    return tuple(done.values())


def _name_inputs(inputs: tuple[Symbol, ...]) -> None:
    for number, symbol in enumerate(inputs, start=1):
        if symbol.name is None:
            symbol.name = "x" if len(inputs) == 1 else f"input_{number}"
    names = [symbol.name for symbol in inputs]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"Two inputs have the same name: {names}.")


def name_layers(layers: Sequence[Layer]) -> None:
    """Give every layer without a name one of its own (dense, dense_1, ...), and its parameters names below it.

    Raises:
        ConfigurationError: Two layers, or two parameters inside of one, were given the same name.
    """
    given = [layer.name for layer in layers if layer.name]
    for name in given:
        if given.count(name) > 1:
            raise ConfigurationError(f"Two layers are called {name!r}.", hint="give each layer a name of its own")
    taken = set(given)
    for layer in layers:
        if layer.name is None:
            base = snake_case(type(layer).__name__)
            name, number = base, 1
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            layer.name = name
            taken.add(name)
        layer.rename(layer.name)
    owners: dict[str | None, Parameter] = {}
    for layer in layers:
        for parameter in layer.parameters:
            if owners.setdefault(parameter.name, parameter) is not parameter:
                raise ConfigurationError(
                    f"Two parameters are called {parameter.name!r}.", hint="give the inner layers names of their own"
                )
