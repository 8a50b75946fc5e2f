"""The training step as one pure compiled graph: (state, batch) -> (state, logs).

The path is the one of every graph: the forward computation is traced, rewritten to stable forms, differentiated, and
joined with the optimiser's update; the whole is rewritten again and compiled by a backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.backends import Backend
from pellucid.backends.loop import LoopData, LoopForm, LoopRun
from pellucid.dtypes import float64, uint32
from pellucid.errors import ConfigurationError
from pellucid.graph import FORWARD_PASSES, Graph, Traced, gradient_with_inner, inline, rewrite, trace
from pellucid.nn.layer import Parameter, phase
from pellucid.nn.losses import CustomLoss, Loss
from pellucid.nn.observe import observing
from pellucid.nn.regularizers import Regularizer
from pellucid.op import Spec
from pellucid.optim import Optimizer
from pellucid.tensor import Tensor
from pellucid.train.feed import Segment
from pellucid.train.metrics import Metric
from pellucid.train.recording.probe import Probe, State
from pellucid.train.settings import data_settings

_KEY = Spec((2,), uint32)


@dataclass(frozen=True)
class Objective:
    """What is computed from a model's outputs: losses with their weights, and metrics.

    Attributes:
        losses, loss_weights: One per output.
        metrics: A tuple of metrics per output.
    """

    losses: tuple[Loss, ...]
    loss_weights: tuple[float, ...]
    metrics: tuple[tuple[Metric, ...], ...]


@dataclass(frozen=True)
class BatchSpecs:
    """Shapes and types of a batch: inputs, targets, and whether samples have weights."""

    x: tuple[Spec, ...]
    y: tuple[Spec, ...]
    weights: Spec | None

    @property
    def weight_specs(self) -> tuple[Spec, ...]:
        """The weights' spec, if there are any."""
        return () if self.weights is None else (self.weights,)

    @property
    def arrays(self) -> int:
        """How many arrays a batch consists of."""
        return len(self.x) + len(self.y) + len(self.weight_specs)


@dataclass(frozen=True)
class StepLogs:
    """The numbers of some batches of one size: every array has a row per batch.

    Attributes:
        total: The loss that is made small: weighted losses plus penalties.
        loss_sums: The sum over samples of each output's loss.
        penalty: The cost terms of the parameters.
        statistics: What each batch contributes to each metric, in the objective's order.
    """

    total: np.ndarray
    loss_sums: list[np.ndarray]
    penalty: np.ndarray
    statistics: list[np.ndarray]

    @classmethod
    def of(cls, logs: Sequence[np.ndarray], losses: int) -> StepLogs:
        """From the logged outputs of a loop: total, one sum per loss, penalty, statistics."""
        return cls(logs[0], list(logs[1 : 1 + losses]), logs[1 + losses], list(logs[2 + losses :]))

    def part(self, start: int, stop: int) -> StepLogs:
        """The numbers of the batches from ``start`` to before ``stop``."""
        rows = slice(start, stop)
        return StepLogs(
            self.total[rows], [s[rows] for s in self.loss_sums], self.penalty[rows], [s[rows] for s in self.statistics]
        )


def _forward(model: Any, objective: Objective, x: Sequence, y: Sequence, weights: Any, penalties: Any) -> tuple:
    """Total loss, loss sums, penalty and statistics, as operations."""
    outputs = model.outputs_of(x)
    count = outputs[0].spec.shape[0]
    dtype = outputs[0].spec.dtype
    total: Any = None
    sums = []
    for loss, factor, target, output in zip(objective.losses, objective.loss_weights, y, outputs, strict=True):
        each = loss.call(target, output)
        if weights is not None and isinstance(loss, CustomLoss) and loss.result(target, output).spec.ndim == 0:
            raise ConfigurationError(
                "Weights of samples or classes need a loss of one number per sample, but the loss function returns one "
                "number for the batch.",
                hint="leave out the mean over the samples",
            )
        summed = ops.sum(each if weights is None else each * ops.cast(weights, each.spec.dtype))
        sums.append(summed)
        term = factor * (summed if loss.reduction == "sum" else summed * (1.0 / count))
        total = term if total is None else total + ops.cast(term, total.spec.dtype)
    penalty: Any = None
    for parameter, regularizer in penalties:
        term = regularizer.penalty(parameter)
        penalty = term if penalty is None else penalty + term
    if penalty is None:
        penalty = np.zeros((), dtype)
    else:
        total = total + penalty
    statistics = [
        [list(metric.statistics(target, output)) for metric in metrics]
        for metrics, target, output in zip(objective.metrics, y, outputs, strict=True)
    ]
    return total, sums, penalty, statistics


def penalties_of(parameters: Sequence[Parameter]) -> list[tuple[Parameter, Regularizer]]:
    """The parameters that carry a cost term."""
    return [(p, p.regularizer) for p in parameters if p.regularizer is not None]


class CompiledEvaluation:
    """Losses and metrics of batches at inference, compiled; it serves every model of the structure."""

    def __init__(self, model: Any, objective: Objective, specs: BatchSpecs, backend: Backend) -> None:
        parameters, settings = list(model.parameters), data_settings(model, None)

        def forward(x: tuple, y: tuple, weights: tuple, numbers: list) -> tuple:
            with phase(training=False), settings.traced(numbers):
                return _forward(model, objective, x, y, weights[0] if weights else None, penalties_of(parameters))

        args = (specs.x, specs.y, specs.weight_specs, settings.specs)
        traced = trace(forward, *args, bind=parameters, name="evaluate")
        self.losses = len(objective.losses)
        graph = rewrite(rewrite(traced.graph, FORWARD_PASSES))
        self.loop = backend.compile_loop(graph, LoopForm(rows=specs.arrays, fixed=len(settings.names)))


class EvaluationProgram:
    """Losses and metrics of a model's batches at inference.

    Attributes:
        losses: The number of losses.
    """

    def __init__(self, model: Any, compiled: CompiledEvaluation) -> None:
        self._parameters, self._settings = list(model.parameters), data_settings(model, None)
        self._loop, self.losses = compiled.loop, compiled.losses

    def start(self, segment: Segment, order: np.ndarray, state: Sequence[np.ndarray]) -> LoopRun:
        """The loop over batches of a segment, in an order, with parameters in some arrays."""
        return self._loop.start(LoopData(segment.arrays, order, self._settings.values(), state=state))

    def run(self, segment: Segment) -> StepLogs:
        """The numbers of all batches of a segment."""
        state = [np.ascontiguousarray(p.numpy()) for p in self._parameters]
        return StepLogs.of(_finished(self.start(segment, segment.order, state)), self.losses)


class CompiledPrediction:
    """The outputs of batches at inference, compiled; it serves every model of the structure."""

    def __init__(self, model: Any, x: tuple[Spec, ...], backend: Backend) -> None:
        self.graph = rewrite(rewrite(forward_graph(model, x, training=False), FORWARD_PASSES))
        self.loop = backend.compile_loop(self.graph, LoopForm(rows=len(x)))


class PredictionProgram:
    """The outputs of a model's batches at inference.

    Attributes:
        graph, loop: The forward computation, and its compiled form.
        parameters: What it reads beside the inputs.
    """

    def __init__(self, model: Any, compiled: CompiledPrediction) -> None:
        self.parameters = list(model.parameters)
        self.graph, self.loop = compiled.graph, compiled.loop

    def run(self, segment: Segment) -> list[np.ndarray]:
        """One array per output, with the rows of all batches."""
        state = [np.ascontiguousarray(p.numpy()) for p in self.parameters]
        logs = _finished(self.loop.start(LoopData(segment.arrays, segment.order, state=state)))
        return [log.reshape(log.shape[0] * log.shape[1], *log.shape[2:]) for log in logs]


def _finished(run: LoopRun) -> list[np.ndarray]:
    """The logs of a loop after its last step."""
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    return run.logs


def forward_graph(model: Any, x: Sequence[Spec], *, training: bool) -> Graph:
    """The traced outputs of a model, before any pass; in training, the graph also takes a random key."""
    names = [symbol.name for symbol in model.inputs]

    def forward(inputs: tuple, key: tuple) -> list:
        with phase(training=training, key=key[0] if key else None):
            return model.outputs_of(inputs)

    key = (_KEY,) if training else ()
    labels = [*names, *(["key"] if training else [])]
    return trace(forward, tuple(x), key, bind=model.parameters, name=model.label, arg_names=labels).graph


class Trained:
    """What an optimiser changes in a model, in the order of a training graph's inputs.

    Attributes:
        trainable: The parameters that are trained.
        others: The parameters that are not: frozen ones and statistics.
        settings: Numbers of layers, penalties and the optimiser that are inputs, too.
    """

    def __init__(self, model: Any, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.settings = data_settings(model, optimizer)
        self.trainable = list(model.trainable_parameters)
        trainable = {id(p) for p in self.trainable}
        self.others = [p for p in model.parameters if id(p) not in trainable]

    @property
    def parameters(self) -> list[Parameter]:
        """All parameters, the trainable ones first."""
        return [*self.trainable, *self.others]

    @property
    def slots(self) -> list[dict[str, Tensor]]:
        """The optimiser's present slots: ``reset`` replaces them."""
        return [self.optimizer.slots_of(p) for p in self.trainable]

    @property
    def tensors(self) -> list[Tensor]:
        """Everything that a step reads or changes: parameters, then slots."""
        return [*self.parameters, *(slot for own in self.slots for _, slot in sorted(own.items()))]


class CompiledTraining:
    """Forward, gradient and update of a batch, compiled as a loop; it serves every model of the structure.

    Attributes:
        forward, gradient, step: The graphs of the three stages, for whoever wants to read them.
        loop: The step, compiled.
        losses: The number of losses.
        assigned: How many of the forward graph's outputs, the last ones, are new values of statistics.
        readout: What the step gives beside what training needs, where it records.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        optimizer: Optimizer,
        specs: BatchSpecs,
        backend: Backend,
        probe: Probe | None = None,
    ) -> None:
        trained = Trained(model, optimizer)
        self.losses = len(objective.losses)
        traced = _trace_forward(model, objective, specs, trained, probe)
        self.forward = rewrite(traced.graph, FORWARD_PASSES)
        bound, count = trained.parameters, len(trained.trainable)
        first = len(traced.graph.inputs) - len(bound)
        seen = Seen.of(self.forward, probe, len(traced.assigned))
        self.gradient, seen.known = gradient_with_inner(self.forward, range(first, first + count), seen.inner)
        self.step = rewrite(_trace_step(self.gradient, first, len(traced.assigned), trained, seen))
        self.readout = None if probe is None else probe.readout
        self.assigned = len(traced.assigned)
        number = {id(p): i for i, p in enumerate(bound)}
        slots = range(len(bound), len(trained.tensors))
        assigned = [number[id(p)] for p in traced.assigned]
        carried = (*range(count), *slots, *assigned)
        fixed = 1 + len(trained.settings.names)
        self.loop = backend.compile_loop(self.step, LoopForm(specs.arrays, fixed, series=2, carried=carried))


class Seen:
    """Where a probe's values lie among the outputs of the forward graph: after the logs.

    Attributes:
        probe: Who has seen them, or nobody.
        logs: The number of outputs before them.
        inner: The positions of those whose gradients are asked for.
        known: The positions of those that have one.
    """

    def __init__(self, probe: Probe | None, logs: int) -> None:
        self.probe, self.logs = probe, logs
        self.count = 0 if probe is None else len(probe.values)
        self.inner = [] if probe is None else [logs + place for place in probe.differentiable]
        self.known: tuple[int, ...] = ()

    @classmethod
    def of(cls, forward: Graph, probe: Probe | None, assigned: int) -> Seen:
        """The values of a forward graph, which gives new values of ``assigned`` tensors at its end."""
        count = 0 if probe is None else len(probe.values)
        return cls(probe, len(forward.outputs) - assigned - count)

    def outputs(self, values: list, deltas: list, states: list[State]) -> list:
        """The further outputs of the step."""
        if self.probe is None:
            return []
        by_place = {position - self.logs: delta for position, delta in zip(self.known, deltas, strict=True)}
        return self.probe.outputs(self.logs, values, by_place, states)


def _trace_forward(
    model: Any, objective: Objective, specs: BatchSpecs, trained: Trained, probe: Probe | None
) -> Traced:
    penalties = penalties_of(model.parameters)

    def forward(x: tuple, y: tuple, weights: tuple, seed_key: Any, numbers: list, step: Any) -> tuple:
        with phase(training=True, key=ops.fold_in(seed_key, step)), trained.settings.traced(numbers):
            with observing(probe):
                logs = _forward(model, objective, x, y, weights[0] if weights else None, penalties)
            return (*logs, [] if probe is None else probe.values)

    xs, ys = [s.name for s in model.inputs], [f"y_{name}" for name in model.output_names]
    names = [*xs, *(ys if len(ys) > 1 else ["y"]), *(["sample_weight"] if specs.weights else [])]
    names += ["seed_key", *trained.settings.names, "step"]
    args = (specs.x, specs.y, specs.weight_specs, _KEY, trained.settings.specs, Spec((), uint32))
    return trace(forward, *args, bind=trained.parameters, name="forward", arg_names=names)


def _trace_step(graph: Graph, first: int, assigned: int, trained: Trained, seen: Seen) -> Graph:
    """The gradient's graph joined with the update: inputs batch, settings, rate, state; outputs logs, new state."""
    count, settings = len(trained.trainable), len(trained.settings.names)
    data = [var.spec for var in graph.inputs[:first]]
    sizes = (seen.logs, seen.count, assigned, count, len(seen.known))

    def step(batch: list, rate: Any, parameters: list, others: list, slots: list) -> tuple:
        values = iter(inline(graph, *batch, *parameters, *others))
        logs, inner, kept, gradients, deltas = (list(islice(values, n)) for n in sizes)
        t = ops.cast(batch[-1], float64) + 1.0
        with trained.settings.traced(batch[len(batch) - 1 - settings : -1]):
            new, new_slots = trained.optimizer.update_all(parameters, gradients, slots, t, rate)
        states = [State(p, *values) for p, *values in zip(trained.trainable, parameters, gradients, new, strict=True)]
        states += [State(p, w) for p, w in zip(trained.others, others, strict=True)]
        return logs, seen.outputs(inner, deltas, states), new, new_slots, kept

    parameter_specs = [p.spec for p in trained.trainable]
    slot_specs = [{name: slot.spec for name, slot in own.items()} for own in trained.slots]
    names = [v.name for v in graph.inputs[:first]] + ["learning_rate"]
    names += [t.name for t in trained.tensors]
    args = (data, Spec((), float64), parameter_specs, [p.spec for p in trained.others], slot_specs)
    return trace(step, *args, name="step", arg_names=names).graph


class TrainingProgram:
    """The training step of a model.

    Attributes:
        forward, gradient, step: The graphs of the three stages, for whoever wants to read them.
        trained: What it changes.
        assigned: How many of the forward graph's outputs, the last ones, are new values of statistics.
        readout: What the step gives beside what training needs, where it records.
    """

    def __init__(self, model: Any, optimizer: Optimizer, compiled: CompiledTraining) -> None:
        self.trained = Trained(model, optimizer)
        self.readout, self.assigned = compiled.readout, compiled.assigned
        self.loop, self.losses = compiled.loop, compiled.losses
        self.forward, self.gradient, self.step = compiled.forward, compiled.gradient, compiled.step
