"""The rows of a model's step in the lectures' view: z, a, L, delta, the gradients of the weights, and the update."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.analysis.explain_operations import Evaluated
from pellucid.analysis.explain_rows import BACKWARD, FORWARD, LOSS, UPDATE, Row, Slope
from pellucid.analysis.explain_updates import update_formula
from pellucid.autodiff import grad
from pellucid.graph import Var
from pellucid.graph.numpy_source import ancestors
from pellucid.nn import activations
from pellucid.nn.layer import Parameter
from pellucid.train.formulas import (
    ACTIVATION_LAYERS,
    LayerCall,
    LayerFormulas,
    loss_formula,
    parameter_gradient,
    symbol_of,
)
from pellucid.train.recording.probe import homes
from pellucid.train.traced_step import SeenCall, TracedStep


@dataclass(frozen=True, eq=False)
class StepNumbers:
    """A model's step with its numbers.

    Attributes:
        model: The model.
        traced: The step's graph.
        evaluated: Its numbers.
        updated: Name of a parameter -> its numbers after the step.
    """

    model: Any
    traced: TracedStep
    evaluated: Evaluated
    updated: dict[str, np.ndarray]

    def value(self, var: Var) -> np.ndarray:
        """The numbers of a variable."""
        return self.evaluated.values[var]

    def gradient(self, var: Var) -> np.ndarray | None:
        """The gradient of the loss by a variable."""
        return self.evaluated.gradients.get(var)


class LayerRows:
    """Builds the rows.

    Attributes:
        symbols: Variable -> what formulas call it.
    """

    def __init__(self, step: StepNumbers) -> None:
        self.step = step
        graph, traced = step.traced.graph, step.traced
        self.formulas = LayerFormulas.of(step.model, weighted=bool(traced.specs.weight_specs))
        self._homes = homes(step.model)
        self._numbers = {id(call.layer): call.weights for call in self.formulas.calls if call.is_numbered}
        self.symbols: dict[Var, str] = {}
        inputs = len(traced.specs.x)
        for var in graph.inputs[:inputs]:
            self.symbols[var] = "a^0" if inputs == 1 else symbol_of(str(var.name))
        for parameter, var in zip(traced.parameters, graph.inputs[traced.first :], strict=True):
            self.symbols[var] = self.parameter_symbol(parameter)
        for seen in traced.layers:
            if seen.z is not None and seen.call.is_numbered:
                self.symbols.setdefault(seen.z, seen.call.z)
            self.symbols.setdefault(seen.a, seen.call.a)
        self.symbols[traced.loss] = "L"
        self.variables = {symbol: var for var, symbol in reversed(self.symbols.items())}
        self._fill_in_reshapes()

    def _fill_in_reshapes(self) -> None:
        """The gradient before a reshape is the one behind it; the graph may have joined several reshapes to one."""
        gradients = self.step.evaluated.gradients
        for seen in reversed(self.step.traced.layers):
            source = self.variables.get(seen.call.inputs[0])
            alone = sum(seen.call.inputs[0] in call.inputs for call in self.formulas.calls) == 1
            known, moves = gradients.get(seen.a), seen.call.kind in ("Flatten", "Reshape") and alone
            if moves and known is not None and source is not None and source.record and source not in gradients:
                gradients[source] = known.reshape(source.spec.shape)

    def parameter_symbol(self, parameter: Parameter) -> str:
        """W^l and b^l in numbered layers, else the parameter's own name."""
        layer, _, name = self._homes[id(parameter)]
        number = self._numbers.get(id(layer))
        letters = {"kernel": "W", "bias": "b"}
        return f"{letters[name]}^{number}" if number and name in letters else symbol_of(str(parameter.name))

    def rows(self) -> list[Row]:
        """All rows: forward, loss, backward, update."""
        return [*self._given(), *self._forward(), *self._loss(), *self._backward(), *self._update()]

    def _given(self) -> Iterator[Row]:
        """The inputs and the parameters."""
        graph, traced = self.step.traced.graph, self.step.traced
        for var in graph.inputs[: len(traced.specs.x)]:
            yield Row(FORWARD, "", self.symbols[var], "", self.step.value(var))
        for parameter, var in zip(traced.parameters, graph.inputs[traced.first :], strict=True):
            layer = self._homes[id(parameter)][1]
            yield Row(FORWARD, layer, self.symbols[var], "", self.step.value(var), gradient=self.step.gradient(var))

    def _forward(self) -> Iterator[Row]:
        for seen in self.step.traced.layers:
            call, formulas = seen.call, seen.call.forward()
            if call.is_numbered:
                z = seen.a if seen.z is None else seen.z
                yield self._row(call, z, formulas[0], (*call.inputs, *self._own(seen)), self._linear_slopes(call))
                if call.a != call.z:
                    yield self._row(call, seen.a, formulas[1], (call.z,), (self._slope(call, z, seen.a),))
            elif call.kind in ACTIVATION_LAYERS and call.inputs[0] in self.variables:
                slope = self._slope(call, self.variables[call.inputs[0]], seen.a)
                yield self._row(call, seen.a, formulas[0], call.inputs, (slope,))
            elif formulas:
                yield self._row(call, seen.a, formulas[0], (*call.inputs, *self._own(seen)), ())
            else:
                yield self._row(call, seen.a, f"{call.a} = {call.kind}({', '.join(call.inputs)})", call.inputs, ())

    def _row(self, call: LayerCall, var: Var, formula: str, inputs: tuple, slopes: tuple[Slope, ...]) -> Row:
        name = call.z if var is not self.variables.get(call.a) and call.is_numbered else call.a
        return Row(FORWARD, call.label, name, formula, self.step.value(var), inputs, slopes, self.step.gradient(var))

    def _own(self, seen: SeenCall) -> tuple[str, ...]:
        """The layer's parameters that go into what it makes: in training, moving statistics do not."""
        needed = ancestors(self.step.traced.graph, [seen.a])
        symbols = (self.parameter_symbol(parameter) for parameter in seen.call.layer.parameters)
        return tuple(symbol for symbol in symbols if self.variables.get(symbol) in needed)

    def _linear_slopes(self, call: LayerCall) -> tuple[Slope, ...]:
        x, number = call.inputs[0], call.weights
        weights = Slope(f"W^{number}", f"({x})^T" if call.kind == "Dense" else x)
        return (Slope(x, f"W^{number}"), weights)

    def _slope(self, call: LayerCall, z: Var, a: Var) -> Slope:
        """f'(z), with numbers where every element has one."""
        setting = getattr(call.layer, "activation", None)
        values = None
        if call.function != "softmax":
            f = activations.get(setting) if setting is not None else call.layer.call
            values = np.asarray(grad(lambda at: ops.sum(f(at)))(self.step.value(z)))
        return Slope(call.z if call.is_numbered else call.inputs[0], call.derivative(), values)

    def _loss(self) -> Iterator[Row]:
        traced, model = self.step.traced, self.step.model
        losses = model.objective.losses
        start = len(traced.specs.x)
        targets = traced.graph.inputs[start : start + len(traced.specs.y)]
        names = ["y"] if len(targets) == 1 else [f"y_{symbol_of(name)}" for name in model.output_names]
        for name, var in zip(names, targets, strict=True):
            yield Row(LOSS, "", name, "", self.step.value(var))
        weighted = bool(traced.specs.weight_specs)
        parts = [
            loss_formula(loss, weighted=weighted, positions=len(symbol.sample_shape) > 1)
            for loss, symbol in zip(losses, model.outputs, strict=True)
        ]
        weights = model.objective.loss_weights
        formula = parts[0] if weights[0] == 1 else f"L = {weights[0]:g} {parts[0][4:]}"
        called = [symbol_of(name) for name in model.output_names]
        if len(parts) > 1:
            formula = "L = " + " + ".join(f"{w:g} L_{name}" for w, name in zip(weights, called, strict=True))
        if any(p.regularizer is not None for p in model.parameters):
            formula += " + penalties of the weights"
        if len(parts) > 1:
            formula += "".join(f"; L_{name} {part[2:]}" for name, part in zip(called, parts, strict=True))
        yield Row(
            LOSS, "", "L", formula, self.step.value(traced.loss), (*self.formulas.outputs, *names), (),
            self.step.gradient(traced.loss),
        )  # fmt: skip

    def _backward(self) -> Iterator[Row]:
        done: set[str] = set()
        for seen in reversed(self.step.traced.layers):
            for name, formula, value in self._of_call(seen):
                if value is not None and name not in done:
                    done.add(name)
                    yield Row(BACKWARD, seen.call.label, name, formula, value)

    def _of_call(self, seen: SeenCall) -> Iterator[tuple[str, str, np.ndarray | None]]:
        """Name, formula and numbers of the gradients of a layer."""
        call, formulas = seen.call, self.formulas.backward(seen.call)
        if call.is_numbered:
            z = seen.a if seen.z is None else seen.z
            yield f"delta^{call.number}", formulas["delta"], self.step.gradient(z)
        if call.a != next(other.a for other in self.formulas.calls if other.layer is call.layer):
            return  # a shared layer's weights come after all of its deltas
        for parameter in call.layer.parameters:
            symbol = self.parameter_symbol(parameter)
            if not parameter.trainable or symbol not in self.variables:
                continue
            own = formulas.get(symbol[0]) if call.is_numbered and "^" in symbol else None
            if own is None:
                name = self._homes[id(parameter)][2]
                made = parameter_gradient(call, name)
                own = f"dL/d{symbol} = {made}{call.penalty(name)}" if made else f"dL/d{symbol}"
            yield f"dL/d{symbol}", own, self.step.gradient(self.variables[symbol])
        if not call.is_numbered and call.kind not in ACTIVATION_LAYERS and not call.layer.parameters:
            for x in call.inputs:
                name = f"dL/d{x}"
                formula = formulas["x"] if "x" in formulas and len(call.inputs) == 1 else name
                yield name, formula, self.step.gradient(self.variables[x]) if x in self.variables else None

    def _update(self) -> Iterator[Row]:
        optimizer, traced = self.step.model.optimizer, self.step.traced
        for place, parameter in enumerate(traced.parameters):
            symbol, new = self.parameter_symbol(parameter), self.step.updated.get(str(parameter.name))
            if new is None:
                continue
            layer = self._homes[id(parameter)][1]
            moving = f"{symbol} <- momentum {symbol} + (1 - momentum) of the batch"
            trained = place < traced.trainable
            formula = moving
            if trained:
                formula = f"{symbol} <- {update_formula(optimizer, parameter, symbol, f'dL/d{symbol}')}"
            yield Row(UPDATE, layer, symbol, formula, new)
