"""What is read out of a training step: which values of the graph, and what each is about.

A probe observes the layers while the forward computation is traced. The compiled step then has further outputs: the
reductions that the statistics are made of, and at level ``"full"`` the arrays themselves. It computes nothing that
training depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pellucid import nest, ops
from pellucid.dtypes import is_float
from pellucid.errors import unknown_name
from pellucid.graph import Var
from pellucid.nn.activations import ACTIVATIONS, is_linear
from pellucid.nn.layer import Layer, Parameter
from pellucid.nn.observe import Observer
from pellucid.op import current_scope
from pellucid.shapes import Shape, size
from pellucid.train.recording.recorder import Recorder
from pellucid.train.recording.statistics import END_OF, Measure, measured

_OF_PARAMETERS = ("weight", "gradient", "update")
_FUNCTIONS = {"Softmax": "softmax", "LeakyReLU": "leaky_relu", "ELU": "elu"}


@dataclass(frozen=True)
class Row:
    """What a row of the statistics is about: columns of the frame, the array's shape, and whether it is shown."""

    layer: str
    kind: str
    function: str
    quantity: str
    name: str
    shape: Shape
    shown: bool = True


@dataclass(frozen=True)
class Readout:
    """The meaning of the outputs that a recording step has beyond those of a plain one.

    Attributes:
        rows: What they are about, layer by layer.
        measures: Which reductions of each row are outputs, in this order.
        arrays: The rows whose arrays follow.
        plain: How many outputs a plain step has for every step of the loop.
    """

    rows: tuple[Row, ...]
    measures: tuple[Measure, ...]
    arrays: tuple[int, ...]
    plain: int

    @cached_property
    def counts(self) -> np.ndarray:
        """How many elements each row's array has."""
        return np.array([size(row.shape) for row in self.rows], np.float64)

    @cached_property
    def gradients(self) -> np.ndarray:
        """Which rows are gradients by parameters."""
        return np.array([i for i, row in enumerate(self.rows) if row.quantity == "gradient"], np.intp)

    @cached_property
    def shown(self) -> np.ndarray:
        """Which rows are in the table."""
        return np.array([i for i, row in enumerate(self.rows) if row.shown], np.intp)

    @cached_property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The columns of texts of the rows in the table."""
        return labels_of([self.rows[i] for i in self.shown])

    @cached_property
    def updates(self) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are updates, and those of their weights."""
        weights = {(row.layer, row.name): i for i, row in enumerate(self.rows) if row.quantity == "weight"}
        found = [(i, weights[row.layer, row.name]) for i, row in enumerate(self.rows) if row.quantity == "update"]
        own, of = np.array(found, np.intp).reshape(len(found), 2).T
        return own, of


def labels_of(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """The columns of texts of some rows."""
    names = ("layer", "kind", "function", "quantity", "name")
    return {name: tuple(getattr(row, name) for row in rows) for name in names}


@dataclass(frozen=True)
class State:
    """A parameter in a step: as it was, its gradient and what it becomes; the latter None where it is not trained."""

    parameter: Parameter
    w: Any
    g: Any = None
    new: Any = None


@dataclass(frozen=True)
class _Call:
    layer: str
    kind: str
    function: str
    name: str
    z: tuple[Var, ...]
    a: tuple[Var, ...]
    over_time: bool = False  # of a part of a recurrent layer there is a variable per time step

    @property
    def seen(self) -> tuple[Var, ...]:
        return (*self.z, *self.a)


class Probe(Observer):
    """Observes the layers of a model in a trace.

    Args:
        model: The model.
        full: Whether arrays are recorded.
        layers: Names of the layers to record; None for all.
    """

    def __init__(self, model: Any, full: bool, layers: Sequence[str] | None) -> None:
        self._full, self._chosen = full, layers
        self._pending: dict[tuple[str, ...], Var] = {}
        self._parts: dict[tuple[str, ...], dict[str, list[tuple[str, Any, Any]]]] = {}
        self._calls: list[_Call] = []
        self._homes = homes(model)
        self._order: dict[str, int] = {}
        self.readout: Readout | None = None

    # While the forward computation is traced.

    def preactivation(self, value: Any) -> None:
        """Keep z until the layer has made its a of it."""
        if isinstance(value, Var) and is_float(value.spec.dtype):
            self._pending[current_scope()] = value

    def part(self, name: str, function: Any, z: Any, value: Any) -> None:
        """Keep z and a of a gate or state at one more time step."""
        steps = self._parts.setdefault(current_scope(), {}).setdefault(name, [])
        steps.append((name_of(function), z, value))

    def activation(self, layer: Any, value: Any) -> None:
        """Keep what the layer gave, unless an inner layer has given the same; then the parts that it is made of."""
        path = current_scope()
        z = self._pending.pop(path, None)
        name = "/".join(path)
        self._order.setdefault(name, len(self._order))
        inner = {id(a) for call in self._calls if call.layer.startswith(f"{name}/") for a in call.a}
        for leaf in nest.flatten(value)[0]:
            if isinstance(leaf, Var) and is_float(leaf.spec.dtype) and size(leaf.spec.shape) and id(leaf) not in inner:
                again = sum(call.layer == name and not call.over_time for call in self._calls)
                label = str(again + 1) if again else ""
                own = () if z is None else (z,)
                self._calls.append(_Call(name, type(layer).__name__, function_of(layer), label, own, (leaf,)))
        self._calls += self._parts_of(name, type(layer).__name__, self._parts.pop(path, {}))

    def _parts_of(self, layer: str, kind: str, parts: dict[str, list[tuple[str, Any, Any]]]) -> Iterator[_Call]:
        for name, steps in parts.items():
            functions, zs, values = zip(*steps, strict=True)
            if not (isinstance(values[0], Var) and is_float(values[0].spec.dtype) and size(values[0].spec.shape)):
                continue
            again = sum(c.layer == layer and c.over_time and c.name.startswith(name) for c in self._calls)
            label = f"{name} {again + 1}" if again else name
            own = () if zs[0] is None else zs
            yield _Call(layer, kind, functions[0], label, own, values, over_time=True)

    @property
    def _kept(self) -> list[_Call]:
        return [call for call in self._calls if _is_chosen(call.layer, self._chosen)]

    @property
    def values(self) -> list[Var]:
        """What was seen, as outputs of the forward graph: for each call z if there is one, and a."""
        return [value for call in self._kept for value in call.seen]

    @property
    def differentiable(self) -> list[int]:
        """Which of the values delta is the gradient by: z where there is one, else a."""
        places, place = [], 0
        for call in self._kept:
            places += range(place, place + len(call.a))
            place += len(call.seen)
        return places

    # While the step is traced.

    def outputs(self, plain: int, seen: list, deltas: dict[int, Any], states: Sequence[State]) -> list:
        """The outputs of a recording step; their meaning goes to ``readout``.

        Args:
            plain: The number of outputs before them.
            seen: What became of ``values``.
            deltas: Place in ``values`` -> the gradient by it.
            states: The parameters.
        """
        found = [*self._of_calls(seen, deltas), *self._of_parameters(states)]
        found.sort(key=lambda pair: self._order.get(pair[0].layer, len(self._order)))
        ends = [END_OF.get(row.function) if row.quantity == "activation" else None for row, _ in found]
        values = [value for _, value in found]
        arrays = [i for i, (row, _) in enumerate(found) if self._full and row.shown and row.quantity != "update"]
        # One vector: the loop keeps one output for every step, where it would keep hundreds.
        looked_at = [ops.reshape(v, (-1,)) if row.quantity in _OF_PARAMETERS else v for row, v in found]
        vector, measures = measured(list(zip(looked_at, ends, strict=True))) if found else (None, ())
        self.readout = Readout(tuple(row for row, _ in found), measures, tuple(arrays), plain)
        return [*([vector] if found else []), *(values[i] for i in arrays)]

    def _of_calls(self, seen: list, deltas: dict[int, Any]) -> Iterator[tuple[Row, Any]]:
        place = 0
        for call in self._kept:
            join: Callable[[list], Any] = _over_time if call.over_time else _only
            steps = range(place, place + len(call.a))
            by = [deltas.get(step) for step in steps]
            found = {"preactivation": join(seen[place : place + len(call.z)])} if call.z else {}
            place += len(call.seen)
            found["activation"] = join(seen[place - len(call.a) : place])
            if any(delta is not None for delta in by):  # a step from which no way leads to the loss has the gradient 0
                found["delta"] = join([_or_zero(d, seen[step]) for d, step in zip(by, steps, strict=True)])
            for quantity, value in found.items():
                yield Row(call.layer, call.kind, call.function, quantity, call.name, value.spec.shape), value

    def _of_parameters(self, states: Sequence[State]) -> Iterator[tuple[Row, Any]]:
        for state in states:
            layer, path, name = self._homes[id(state.parameter)]
            shown = _is_chosen(path, self._chosen)
            what = (path, type(layer).__name__, function_of(layer))
            quantities = {"weight": state.w} if shown else {}
            if state.g is not None:  # the norm of all gradients needs those of the layers that are not shown, too
                quantities["gradient"] = state.g
                if shown:  # as a row of numbers, as which it is only looked at, and never written
                    quantities["update"] = ops.reshape(state.new, (-1,)) - ops.reshape(state.w, (-1,))
            for quantity, value in quantities.items():
                yield Row(*what, quantity, name, state.w.spec.shape, shown), value


def _only(values: list) -> Any:
    return values[0]


def _over_time(values: list) -> Any:
    """The values of all time steps [batch, time, ...]."""
    return ops.stack(values, 1)


def _or_zero(delta: Any, value: Any) -> Any:
    return np.zeros(value.spec.shape, value.spec.dtype) if delta is None else delta


def probe_of(model: Layer, recorder: Recorder | None) -> Probe | None:
    """The probe for what a recorder records."""
    return None if recorder is None else Probe(model, recorder.level == "full", recorder.layers)


def _is_chosen(path: str, chosen: Sequence[str] | None) -> bool:
    return chosen is None or any(path == name or path.startswith(f"{name}/") for name in chosen)


def function_of(layer: Layer) -> str:
    """The name of a layer's activation function; ``""`` where it has none, or a linear one."""
    if type(layer).__name__ in _FUNCTIONS:
        return _FUNCTIONS[type(layer).__name__]
    return name_of(layer.config().get("activation"))


def name_of(activation: Any) -> str:
    """The name of an activation setting; ``""`` where it is linear."""
    if is_linear(activation):
        return ""
    names = [name for name, function in ACTIVATIONS.items() if activation in (name, function)]
    return names[0] if names else getattr(activation, "__name__", type(activation).__name__)


def homes(model: Layer) -> dict[int, tuple[Layer, str, str]]:
    """The id of each parameter -> its layer, the layer's path, and the parameter's own name there."""
    found: dict[int, tuple[Layer, str, str]] = {}
    taken: dict[tuple[str, str], int] = {}
    for layer, path in paths(model):
        for name, parameter in layer._own.items():
            if id(parameter) not in found:
                taken[path, name] = again = taken.get((path, name), 0) + 1
                found[id(parameter)] = (layer, path, name if again == 1 else f"{name} {again}")
    return found


def paths(layer: Layer, above: str = "") -> Iterator[tuple[Layer, str]]:
    """All layers inside a layer with their paths, as in the scopes of a graph; the layer itself has none."""
    for inner in layer._sublayers.values():
        path = f"{above}/{inner.label}" if above else inner.label
        yield inner, path
        yield from paths(inner, path)


def check_layers(model: Layer, chosen: Sequence[str] | None) -> None:
    """Refuse names of layers that the model does not have.

    Raises:
        ConfigurationError: Which one, with the nearest spelling.
    """
    if chosen is None:
        return
    known = {path for _, path in paths(model)}
    for name in chosen:
        if name not in known:
            raise unknown_name("layer", name, known)
