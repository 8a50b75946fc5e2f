"""The forward pass and the loss of a step as a graph that can be read: which variable is which layer's z and a.

It is the graph that training differentiates, with the numbers of the layers' settings in place of inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import backends
from pellucid.dtypes import is_float
from pellucid.graph import FORWARD_PASSES, Graph, Var, rewrite
from pellucid.nest import flatten
from pellucid.nn.layer import Layer, Parameter
from pellucid.nn.observe import Observer
from pellucid.op import Spec, current_scope
from pellucid.train.formulas import LayerCall, LayerFormulas
from pellucid.train.step import BatchSpecs, CompiledTraining, Objective, Trained


@dataclass(frozen=True, eq=False)
class SeenCall:
    """A layer's call and its variables; z is None where no activation function is applied."""

    call: LayerCall
    z: Var | None
    a: Var


@dataclass(frozen=True, eq=False)
class TracedStep:
    """The forward graph of a step.

    Attributes:
        graph: Its inputs are the batch's arrays, the random key, the number of the step, then the parameters.
        specs: What the batch looks like.
        parameters: The parameters in the order of the inputs; the first ``trainable`` ones are trained.
        loss: What is made small.
        sums: The sum over the samples of each output's loss.
        layers: The calls of the layers, in order.
        statistics: Parameters that the forward pass changes, and their new values.
    """

    graph: Graph
    specs: BatchSpecs
    parameters: list[Parameter]
    trainable: int
    loss: Var
    sums: tuple[Var, ...]
    layers: tuple[SeenCall, ...]
    statistics: tuple[tuple[Parameter, Var], ...]

    @property
    def first(self) -> int:
        """The position of the first parameter among the inputs."""
        return len(self.graph.inputs) - len(self.parameters)


class _Watcher(Observer):
    """Keeps what the layers compute while a step is traced; a step compiled with it computes it as outputs."""

    readout = None
    differentiable: tuple[int, ...] = ()

    def __init__(self) -> None:
        self._pending: dict[tuple[str, ...], Var] = {}
        self.seen: list[tuple[tuple[str, ...], Var | None, Var]] = []

    def preactivation(self, value: Any) -> None:
        """Keep z until the layer gives its a."""
        if isinstance(value, Var):
            self._pending[current_scope()] = value

    def activation(self, layer: Layer, value: Any) -> None:
        """Keep what a layer gave."""
        path = current_scope()
        z = self._pending.pop(path, None)
        for leaf in flatten(value)[0][:1]:
            if isinstance(leaf, Var):
                self.seen.append((path, z, leaf))

    @property
    def values(self) -> list[Var]:
        """Everything that was kept."""
        return [v for _, z, a in self.seen for v in (z, a) if v is not None]

    def outputs(self, *_: Any) -> list:
        """A step has no further outputs."""
        return []


def trace_step(model: Any, specs: BatchSpecs) -> TracedStep:
    """The forward graph of a model's training step for batches of this form.

    Raises:
        NotBuiltError: The model is not compiled, or does not know the shape of its input.
    """
    objective = Objective(
        model.objective.losses, model.objective.loss_weights, tuple(() for _ in model.objective.losses)
    )
    trained, watcher = Trained(model, model.optimizer), _Watcher()
    probe: Any = watcher  # it stands where a recording would
    compiled = CompiledTraining(model, objective, model.optimizer, specs, backends.get("reference"), probe)
    settings = len(trained.settings.names)
    graph = _bound(compiled.forward, specs.arrays + 1, trained.settings.values()) if settings else compiled.forward
    count, kept = len(objective.losses), len(watcher.values)
    outputs = list(graph.outputs)
    values = iter(outputs[2 + count : 2 + count + kept])
    calls = {}
    for path, z, _ in watcher.seen:
        again = sum(known[0] == path for known in calls)
        calls[path, again] = (None if z is None else next(values), next(values))
    layers = []
    for call in LayerFormulas.of(model).calls:
        if (found := calls.get((call.path, call.again))) is not None:
            layers.append(SeenCall(call, *found))
    carried = compiled.loop.form.carried
    new = outputs[2 + count + kept :]
    changed = [trained.parameters[number] for number in carried[len(carried) - len(new) :]] if new else []
    return TracedStep(
        graph, specs, trained.parameters, len(trained.trainable), outputs[0], tuple(outputs[1 : 1 + count]),
        tuple(layers), tuple(zip(changed, new, strict=True)),
    )  # fmt: skip


def _bound(graph: Graph, first: int, numbers: Sequence[np.ndarray]) -> Graph:
    """The graph with numbers in place of some inputs."""
    bound = dict(zip(graph.inputs[first : first + len(numbers)], numbers, strict=True))
    inputs = tuple(v for v in graph.inputs if v not in bound)
    return rewrite(
        Graph(graph.name, inputs, (*graph.constants, *bound.items()), graph.nodes, graph.outputs), FORWARD_PASSES
    )


def batch_specs(model: Any, targets: Sequence[np.ndarray], count: int, *, weighted: bool) -> BatchSpecs:
    """The form of a batch of so many samples, with targets like these."""
    dtype = next((d for d in model.input_dtypes if is_float(d)), np.dtype("float32"))
    return BatchSpecs(
        tuple(s.with_batch(count) for s in model.inputs),
        tuple(Spec((count, *y.shape[1:]), y.dtype) for y in targets),
        Spec((count,), dtype) if weighted else None,
    )
