"""The training step as one pure compiled graph: (state, batch) -> (state, logs).

The path is the one of every graph: the forward computation is traced, rewritten to stable forms, differentiated, and
joined with the optimiser's update; the whole is rewritten again and compiled by a backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.backends import Backend, Executable
from pellucid.dtypes import float64, uint32
from pellucid.errors import ConfigurationError
from pellucid.graph import FORWARD_PASSES, Graph, Traced, gradient, inline, rewrite, trace
from pellucid.nn.layer import Parameter, phase
from pellucid.nn.losses import CustomLoss, Loss
from pellucid.nn.regularizers import Regularizer
from pellucid.op import Spec
from pellucid.optim import Optimizer
from pellucid.tensor import Tensor
from pellucid.train.metrics import Metric

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
    def count(self) -> int:
        """Number of samples."""
        return self.x[0].shape[0]


@dataclass(frozen=True)
class StepLogs:
    """The numbers of one batch.

    Attributes:
        total: The loss that is made small: weighted losses plus penalties.
        loss_sums: The sum over samples of each output's loss.
        penalty: The cost terms of the parameters.
        statistics: What the batch contributes to each metric, in the objective's order.
    """

    total: float
    loss_sums: list[np.ndarray]
    penalty: float
    statistics: list[np.ndarray]


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


class EvaluationProgram:
    """Losses and metrics of a batch at inference, compiled."""

    def __init__(self, model: Any, objective: Objective, specs: BatchSpecs, backend: Backend) -> None:
        self._parameters = list(model.parameters)

        def forward(x: tuple, y: tuple, weights: tuple) -> tuple:
            with phase(training=False):
                return _forward(model, objective, x, y, weights[0] if weights else None, penalties_of(self._parameters))

        weights = () if specs.weights is None else (specs.weights,)
        traced = trace(forward, specs.x, specs.y, weights, bind=self._parameters, name="evaluate")
        self._losses = len(objective.losses)
        self.executable: Executable = backend.compile(rewrite(rewrite(traced.graph, FORWARD_PASSES)))

    def run(self, x: Sequence[np.ndarray], y: Sequence[np.ndarray], weights: np.ndarray | None) -> StepLogs:
        """The logs of a batch."""
        inputs = [*x, *y, *([] if weights is None else [weights]), *(p.numpy() for p in self._parameters)]
        return _as_logs(self.executable.run(inputs), self._losses)


class PredictionProgram:
    """The outputs of a batch at inference, compiled."""

    def __init__(self, model: Any, x: tuple[Spec, ...], backend: Backend) -> None:
        self._parameters = list(model.parameters)
        self.graph = rewrite(rewrite(forward_graph(model, x, training=False), FORWARD_PASSES))
        self.executable = backend.compile(self.graph)

    def run(self, x: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One array per output."""
        return self.executable.run([*x, *(p.numpy() for p in self._parameters)])


def forward_graph(model: Any, x: Sequence[Spec], *, training: bool) -> Graph:
    """The traced outputs of a model, before any pass; in training, the graph also takes a random key."""
    names = [symbol.name for symbol in model.inputs]

    def forward(inputs: tuple, key: tuple) -> list:
        with phase(training=training, key=key[0] if key else None):
            return model.outputs_of(inputs)

    key = (_KEY,) if training else ()
    labels = [*names, *(["key"] if training else [])]
    return trace(forward, tuple(x), key, bind=model.parameters, name=model.label, arg_names=labels).graph


class TrainingProgram:
    """Forward, gradient and update of a batch, compiled.

    Attributes:
        forward, gradient, step: The graphs of the three stages, for whoever wants to read them.
    """

    def __init__(
        self, model: Any, objective: Objective, optimizer: Optimizer, specs: BatchSpecs, backend: Backend
    ) -> None:
        self._optimizer = optimizer
        self._trainable = list(model.trainable_parameters)
        trainable = {id(p) for p in self._trainable}
        self._states = [p for p in model.parameters if id(p) not in trainable]
        self._losses = len(objective.losses)
        traced = self._trace_forward(model, objective, specs)
        self._assigned = traced.assigned
        self.forward = rewrite(traced.graph, FORWARD_PASSES)
        first = len(traced.graph.inputs) - len(self._trainable) - len(self._states)
        self.gradient = gradient(self.forward, range(first, first + len(self._trainable)))
        self.step = rewrite(self._trace_step(self.gradient, first))
        self.executable = backend.compile(self.step)

    @property
    def _slots(self) -> list[dict[str, Tensor]]:
        """The optimiser's present slots: ``reset`` replaces them."""
        return [self._optimizer.slots_of(p) for p in self._trainable]

    def _trace_forward(self, model: Any, objective: Objective, specs: BatchSpecs) -> Traced:
        penalties = penalties_of(model.parameters)

        def forward(x: tuple, y: tuple, weights: tuple, seed_key: Any, step: Any) -> tuple:
            with phase(training=True, key=ops.fold_in(seed_key, step)):
                return _forward(model, objective, x, y, weights[0] if weights else None, penalties)

        weights = () if specs.weights is None else (specs.weights,)
        xs, ys = [s.name for s in model.inputs], [f"y_{name}" for name in model.output_names]
        names = [*xs, *(ys if len(ys) > 1 else ["y"]), *(["sample_weight"] if weights else []), "seed_key", "step"]
        bound = [*self._trainable, *self._states]
        args = (specs.x, specs.y, weights, _KEY, Spec((), uint32))
        return trace(forward, *args, bind=bound, name="forward", arg_names=names)

    def _trace_step(self, graph: Graph, first: int) -> Graph:
        """The gradient's graph joined with the update: inputs batch, rate, state; outputs logs, new state."""
        count = len(self._trainable)
        data = [var.spec for var in graph.inputs[:first]]
        n_logs = len(graph.outputs) - len(self._assigned) - count

        def step(batch: list, rate: Any, parameters: list, others: list, slots: list) -> tuple:
            values = inline(graph, *batch, *parameters, *others)
            logs, assigned, gradients = values[:n_logs], values[n_logs : len(values) - count], values[-count:]
            t = ops.cast(batch[-1], float64) + 1.0
            new, new_slots = self._optimizer.update_all(parameters, gradients if count else [], slots, t, rate)
            return logs, new, new_slots, assigned

        parameter_specs = [p.spec for p in self._trainable]
        slot_specs = [{name: slot.spec for name, slot in own.items()} for own in self._slots]
        names = [v.name for v in graph.inputs[:first]] + ["learning_rate"]
        names += [p.name for p in (*self._trainable, *self._states)]
        names += [slot.name for own in self._slots for _, slot in sorted(own.items())]
        args = (data, Spec((), float64), parameter_specs, [p.spec for p in self._states], slot_specs)
        return trace(step, *args, name="step", arg_names=names).graph

    def run(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        weights: np.ndarray | None,
        seed_key: np.ndarray,
        learning_rate: float,
    ) -> tuple[StepLogs, list[np.ndarray]]:
        """The logs of a batch and the new state, which :meth:`commit` puts in place."""
        slots = [slot.numpy() for own in self._slots for _, slot in sorted(own.items())]
        step = np.asarray(self._optimizer.iterations, np.uint32)
        outputs = self.executable.run(
            [
                *x,
                *y,
                *([] if weights is None else [weights]),
                seed_key,
                step,
                np.asarray(learning_rate, np.float64),
                *(p.numpy() for p in (*self._trainable, *self._states)),
                *slots,
            ]
        )
        state = len(self._trainable) + len(slots) + len(self._assigned)
        return _as_logs(outputs[: len(outputs) - state], self._losses), outputs[len(outputs) - state :]

    def non_finite(self, logs: StepLogs, state: Sequence[np.ndarray]) -> str | None:
        """What became NaN or infinite in this step, as the beginning of a sentence; None if nothing did."""
        if not np.isfinite(logs.total):
            return f"The loss became {logs.total}"
        for parameter, value in zip(self._trainable, state, strict=False):
            # A sum is finite only if every element is; one that overflows is looked at closely.
            with np.errstate(all="ignore"):
                suspicious = not np.isfinite(value.sum())
            if suspicious and not np.isfinite(value).all():
                return f'The parameter "{parameter.name}" became NaN or infinite'
        return None

    def commit(self, state: Sequence[np.ndarray]) -> None:
        """Put the new parameters, slots and statistics in place, and count the update."""
        slots = [slot for own in self._slots for _, slot in sorted(own.items())]
        targets: list[Tensor] = [*self._trainable, *slots, *self._assigned]
        for tensor, value in zip(targets, state, strict=True):
            tensor.replace(value)
        self._optimizer.iterations += 1


def _as_logs(outputs: Sequence[np.ndarray], losses: int) -> StepLogs:
    """Logs from the flat outputs: total, one sum per loss, penalty, statistics."""
    return StepLogs(
        float(outputs[0]), list(outputs[1 : 1 + losses]), float(outputs[1 + losses]), list(outputs[2 + losses :])
    )
