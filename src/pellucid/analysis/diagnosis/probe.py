"""One step seen from inside: every activation, pre-activation and gradient of a batch, on a copy of the model.

Where a run was not recorded, this is what a diagnosis looks at. It is computed eagerly, by the definitions of the
layers; nothing is updated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import is_float
from pellucid.nn import activations
from pellucid.nn.layer import Layer, phase
from pellucid.nn.observe import Observer, observing
from pellucid.op import current_scope
from pellucid.seeds import generator
from pellucid.tensor import Tensor
from pellucid.train.step import penalties_of

#: The most samples of a probe, and the most numbers of its inputs.
SAMPLES, NUMBERS = 512, 2_000_000

#: Where an activation function passes on (nearly) no gradient; the limits are those of recordings.
_SATURATED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda a: (a < 0.01) | (a > 0.99),
    "hard_sigmoid": lambda a: (a < 0.01) | (a > 0.99),
    "tanh": lambda a: np.abs(a) > 0.98,
    "softsign": lambda a: np.abs(a) > 0.98,
    "relu": lambda a: a == 0,
}


@dataclass
class LayerView:
    """What one layer did in the step; or a gate or state of a recurrent one, over all time steps.

    Attributes:
        label: Its name; ``"outer/inner"`` for layers inside of layers.
        layer: The layer, of the copy.
        function: The name of its activation function, or "".
        inputs: What it was given [batch, ...].
        activation: What it gave [batch, ...].
        delta: dL/dz where an activation function was applied to z, else dL/da; None where no gradient came, and of
            parts.
        weights, gradients: By the parameter's own name; those of a part are its layer's.
        part: Which part of a recurrent layer it is, such as ``"forget gate"``, or "".
    """

    label: str
    layer: Layer
    function: str
    inputs: np.ndarray
    activation: np.ndarray
    delta: np.ndarray | None = None
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    part: str = ""

    @property
    def name(self) -> str:
        """What it is called where its layer alone would not do."""
        return f"{self.label}: {self.part}" if self.part else self.label

    @property
    def saturated(self) -> np.ndarray | None:
        """Which activations pass on (nearly) no gradient, or None where that is not defined."""
        test = _SATURATED.get(self.function)
        return None if test is None else test(self.activation)

    @property
    def dead(self) -> np.ndarray | None:
        """Which units (channels: the last axis) are saturated for every sample and position."""
        saturated = self.saturated
        return None if saturated is None else np.asarray(saturated.all(axis=tuple(range(saturated.ndim - 1))))

    def gradient_norm(self, name: str = "kernel") -> float:
        """||dL/dw|| of a parameter."""
        return float(np.linalg.norm(self.gradients[name].astype(np.float64)))

    @property
    def delta_rms(self) -> float:
        """The root of the mean square of the delta."""
        return 0.0 if self.delta is None else float(np.sqrt(np.mean(np.square(self.delta, dtype=np.float64))))


@dataclass(frozen=True, eq=False)
class Probe:
    """The views of all layers in the order of their first call, the loss of the batch, and its predictions.

    Attributes:
        parts: The views of the gates and states of recurrent layers.
    """

    views: tuple[LayerView, ...]
    loss: float
    outputs: tuple[np.ndarray, ...]
    targets: tuple[np.ndarray, ...]
    parts: tuple[LayerView, ...] = ()

    @property
    def weighted(self) -> list[LayerView]:
        """The layers with a kernel that is trained."""
        return [view for view in self.views if "kernel" in view.gradients]

    @property
    def hidden(self) -> list[LayerView]:
        """The layers with a trained kernel but the last, which makes the output."""
        return self.weighted[:-1]


def probe(model: Any, x: Any, y: Any, seed: int = 0) -> Probe:
    """Look into one step of a model on some samples, chosen by the seed.

    Args:
        model: A compiled model; it is not changed.
        x, y: Data, as ``fit`` takes them.
        seed: Chooses the samples and the dropped units.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(3, activation="relu"), Dense(1)])
    >>> model.compile("mse")
    >>> seen = probe(model, np.ones((4, 2)), np.ones(4))
    >>> [(view.label, view.function, view.activation.shape) for view in seen.views]
    [('dense', 'relu', (4, 3)), ('dense_1', 'linear', (4, 1))]
    """
    inputs, targets = model.checks().both(x, y)
    width = sum(int(np.prod(a.shape[1:])) for a in inputs)
    count = min(len(inputs[0]), SAMPLES, max(16, NUMBERS // max(width, 1)))
    rows = np.sort(generator(seed, 7).permutation(len(inputs[0]))[:count])
    inputs = tuple(np.asarray(a[rows], dtype) for a, dtype in zip(inputs, model.input_dtypes, strict=True))
    targets = tuple(t[rows] for t in targets)
    twin = model.clone()
    watch = _Watch(twin)
    with np.errstate(all="ignore"), phase(training=True, key=ops.random_key(seed)):  # infinity is what is looked for
        with observing(watch):
            outputs = twin.outputs_of([Tensor(a) for a in inputs])
        total = _total(twin, [watch.logits.get(id(out)) for out in outputs], outputs, targets)
        if total.requires_grad:
            total.backward()
    watch.collect()
    return Probe(tuple(watch.views), float(total), tuple(o.numpy() for o in outputs), targets, tuple(watch.parts))


def _total(model: Any, logits: list[Tensor | None], outputs: list[Tensor], targets: tuple[np.ndarray, ...]) -> Any:
    """The loss that training makes small."""
    found = model.objective
    total: Any = 0.0
    for loss, weight, target, z, output in zip(found.losses, found.loss_weights, targets, logits, outputs, strict=True):
        total = total + weight * (loss(target, output) if z is None else _exact(loss)(target, z))
    for parameter, regularizer in penalties_of(model.parameters):
        total = total + regularizer.penalty(parameter)
    return total


def _exact(loss: Any) -> Any:
    """The same loss of logits: the logarithm of a probability that is 0 in float32 has no gradient."""
    return type(loss)(**loss.config() | {"from_logits": True})


_PROBABILITIES = {"softmax", "sigmoid"}


class _Watch(Observer):
    """Listens to the layers of a copy: each value gets a zero added, whose gradient is that by the value."""

    def __init__(self, model: Any) -> None:
        self.views: list[LayerView] = []
        self.parts: list[LayerView] = []
        self._steps: dict[tuple[tuple[str, ...], str], list[tuple[str, np.ndarray]]] = {}
        self._zeros: list[tuple[LayerView, Tensor]] = []
        self._before: Tensor | None = None
        self._z: Tensor | None = None
        #: id of a layer's output -> what its softmax or sigmoid was applied to; the outputs are kept with their ids.
        self.logits: dict[int, Tensor] = {}
        self._kept: list[Tensor] = []
        self._wanted = {loss.takes_probabilities for loss in model.objective.losses} & _PROBABILITIES
        for label, layer in leaves(model):
            self._listen(label, layer)

    def _listen(self, label: str, layer: Any) -> None:
        call, function = layer.call, name_of_activation(layer)
        setting = getattr(layer, "activation", None)
        if function and not activations.is_linear(setting):
            apply = activations.get(setting)

            def observed(z: Any) -> Any:
                self._before = _zero_like(z)
                self._z = z + self._before
                return apply(self._z)

            layer.activation = observed

        def watched(*inputs: Any) -> Any:
            self._before, self._steps = None, {}
            out = call(*inputs)
            if not (isinstance(out, Tensor) and is_float(out.spec.dtype)):
                return out
            zero, before = _zero_like(out), self._before
            view = LayerView(label, layer, function, np.asarray(inputs[0]), out.numpy())
            self.views.append(view)
            self.parts += self._parts_of(view)
            self._zeros.append((view, zero if before is None else before))
            result = out + zero
            if before is not None and function in self._wanted and self._z is not None:
                self.logits[id(result)] = self._z
                self._kept.append(result)
            return result

        object.__setattr__(layer, "call", watched)

    def part(self, name: str, function: Any, z: Any, value: Any) -> None:
        """Keep a gate or state at one more time step."""
        own = "" if function is None else _name_of(function)
        self._steps.setdefault((current_scope(), name), []).append((own, value.numpy()))

    def _parts_of(self, view: LayerView) -> Iterator[LayerView]:
        """The parts of a recurrent layer; its weights are theirs."""
        for (_, name), steps in self._steps.items():
            values = np.stack([value for _, value in steps], axis=1)
            yield replace(view, function=steps[0][0], activation=values, part=name)

    def collect(self) -> None:
        """Take the gradients from where the backward sweep left them."""
        for view, zero in self._zeros:
            view.delta = None if zero.grad is None else zero.grad.numpy()
            for name, parameter in view.layer._own.items():
                view.weights[name] = parameter.numpy()
                if parameter.grad is not None:
                    view.gradients[name] = parameter.grad.numpy()


def _zero_like(value: Any) -> Tensor:
    return Tensor.wrap(np.zeros(value.spec.shape, value.spec.dtype), requires_grad=True)


def leaves(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The layers that compute, with their labels; of a nested model those inside."""
    for layer in model.layers:
        if hasattr(layer, "network"):
            yield from leaves(layer, f"{prefix}{layer.label}/")
        else:
            yield f"{prefix}{layer.label}", layer


def name_of_activation(layer: Any) -> str:
    """The name of the function that a layer applies last, or "" where it applies none of the known ones.

    >>> from pellucid.nn import Dense
    >>> name_of_activation(Dense(1)), name_of_activation(Dense(1, activation="relu"))
    ('linear', 'relu')
    """
    kind = type(layer).__name__
    if kind == "Softmax":
        return "softmax"
    if kind not in ("Dense", "Conv1D", "Conv2D", "Activation"):
        return ""
    return _name_of(layer.activation)


def _name_of(setting: Any) -> str:
    """The name of an activation setting; "" of one that is not known."""
    if isinstance(setting, str):
        return setting
    found = activations.get(setting)
    return next((name for name, function in activations.ACTIVATIONS.items() if function is found), "")
