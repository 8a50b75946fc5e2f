"""One step explained: every formula, every number, every derivative, of a model or of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops, seeds
from pellucid.analysis.explain_layers import LayerRows, StepNumbers
from pellucid.analysis.explain_layout import draw, layout
from pellucid.analysis.explain_operations import evaluate, operation_rows
from pellucid.analysis.explain_rows import FORWARD, LOSS, Row, edges, number
from pellucid.analysis.explain_show import html_page, html_part, latex_text, plain_text
from pellucid.analysis.explain_updates import update_settings
from pellucid.dtypes import is_float
from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.graph import Graph, Var, trace
from pellucid.graph.numpy_source import ancestors
from pellucid.tensor import Tensor, no_grad
from pellucid.train import Model
from pellucid.train.feed import single
from pellucid.train.formulas import LayerFormulas
from pellucid.train.step import BatchSpecs
from pellucid.train.traced_step import TracedStep, trace_step

LAYERS, OPERATIONS = "layers", "operations"


@dataclass(frozen=True, eq=False)
class Explanation:
    """A computation with all of its numbers.

    Printing it gives the table as text; a notebook shows it as HTML.

    Attributes:
        title: What is explained.
        rows: Level of detail -> the rows: ``"layers"`` (for models: the lectures' view) and ``"operations"`` (every
            node of the graph).
        value: The result: the loss of a model.
        gradients: Name of a parameter (or of a function's argument) -> the gradient of the result by it.
        updated: Name of a parameter -> its numbers after the step; empty for functions.
        result: What formulas call the result.
        notes: What a reader should know.
    """

    title: str
    rows: dict[str, tuple[Row, ...]]
    value: np.ndarray
    gradients: dict[str, np.ndarray]
    updated: dict[str, np.ndarray]
    result: str = "L"
    notes: tuple[str, ...] = ()

    def table(self, detail: str | None = None) -> tuple[Row, ...]:
        """The rows at a level of detail, by default the coarsest there is.

        Raises:
            ConfigurationError: There is no such level.
        """
        chosen = next(iter(self.rows)) if detail is None else detail
        if chosen not in self.rows:
            raise unknown_name("level of detail", chosen, self.rows)
        return self.rows[chosen]

    def row(self, name: str, detail: str | None = None) -> Row:
        """The first row of a name.

        Raises:
            ConfigurationError: There is none (with the nearest spelling).
        """
        by_name = {row.name: row for row in reversed(self.table(detail))}
        if name not in by_name:
            raise unknown_name("row", name, by_name)
        return by_name[name]

    def edges(self, detail: str | None = None) -> list[tuple[str, str]]:
        """From what to what the forward pass goes: pairs of names."""
        return edges(self._nodes(detail))

    def _nodes(self, detail: str | None) -> list[Row]:
        return [row for row in self.table(detail) if row.phase in (FORWARD, LOSS)]

    def to_text(self, detail: str | None = None) -> str:
        """The table as text."""
        return plain_text(self.title, self.table(detail), self.notes)

    def to_html(self, detail: str | None = None) -> str:
        """The table and the graph as one self-contained HTML page."""
        return html_page(self.title, self._html(detail))

    def _html(self, detail: str | None) -> str:
        return html_part(self.title, self.table(detail), self.notes, layout(self._nodes(detail)))

    def to_latex(self, detail: str | None = None) -> str:
        r"""The formulas and numbers as LaTeX for a document with ``\usepackage{amsmath}``."""
        return latex_text(self.table(detail), self.result)

    def to_dot(self, detail: str | None = None) -> str:
        """The graph in Graphviz' language."""
        return layout(self._nodes(detail)).to_dot()

    def plot(self, ax: Any = None, *, detail: str | None = None) -> Any:
        """Draw the graph: each box has a formula, its numbers and the gradient; the Matplotlib axes."""
        return draw(layout(self._nodes(detail)), ax)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self._html(None)


def explain(
    model: Any, *arguments: Any, sample_weight: Any = None, seed: int | None = None, names: Sequence[str] | None = None
) -> Explanation:
    """Walk through one training step of a model, or through a function and its gradient.

    ``explain(model, x, y)`` computes the forward pass, the loss, back-propagation and the update of one batch, with the
    numbers of ``train_on_batch`` and without changing the model. ``explain(f, x, ...)`` does it for a function of
    tensors: the gradients are those of its result, or of the sum of its elements.

    Args:
        model: A compiled model; or a function.
        arguments: Inputs and targets of the batch; or the function's arguments. Python numbers and lists become
            float64.
        sample_weight: The weight of each sample's loss.
        seed: Fixes dropout and noise, as in ``train_on_batch``.
        names: What the function's arguments are called; by default as in its definition.

    Raises:
        DataError: The batch does not fit the model.
        ConfigurationError: The function returns several results.

    Source: deck 000, "buying apples"; decks 001 and 002, the recursion of delta.

    >>> e = explain(lambda apple, number, tax: apple * number * tax, 100, 3, 1.1)
    >>> float(e.value), {name: round(float(g), 6) for name, g in e.gradients.items()}
    (330.0, {'apple': 3.3, 'number': 110.0, 'tax': 300.0})
    """
    if isinstance(model, Model):
        if len(arguments) != 2:
            told = f"but was given {len(arguments)} argument{'s' * (len(arguments) != 1)}"
            raise ConfigurationError(f"explain: a model takes x and y, {told}.")
        return _of_model(model, arguments[0], arguments[1], sample_weight, seed)
    if not callable(model):
        raise ConfigurationError(f"explain takes a model or a function of tensors, not {type(model).__name__}.")
    return _of_function(model, arguments, names)


def _of_function(function: Callable[..., Any], arguments: Sequence[Any], names: Sequence[str] | None) -> Explanation:
    arrays = [_array(a) for a in arguments]
    called = list(names) if names is not None else _parameter_names(function, len(arrays))
    if len(called) != len(arrays):
        raise ConfigurationError(f"explain: there are {len(arrays)} arguments but {len(called)} names: {called}.")
    traced = trace(function, *arrays, capture=True, arg_names=called)
    if len(traced.graph.outputs) != 1 + len(traced.assigned):
        raise ConfigurationError(
            f"explain: the function returns {len(traced.graph.outputs)} results.", hint="return the one to explain"
        )
    graph = _needed(traced.graph)
    evaluated = evaluate(graph, [*arrays, *(np.asarray(t.numpy()) for t in traced.captured)])
    out = graph.outputs[0]
    result = {} if out.record is None else {out: "out"}
    layers = {node.output: "/".join(node.scope) for node in graph.nodes}
    own = graph.inputs[: len(arrays)]
    for var in own:
        if is_float(var.spec.dtype):  # 0 where the result does not depend on it
            evaluated.gradients.setdefault(var, np.zeros(var.spec.shape, var.spec.dtype))
    rows = operation_rows(evaluated, result, layers, frozenset(), own)
    labels = graph.names()
    gradients = {labels[v]: evaluated.gradients[v] for v in graph.inputs if v in evaluated.gradients}
    value = evaluated.values[out]
    notes = ("A gradient is that of the sum of all elements of the result.",) if value.ndim and value.size > 1 else ()
    notes += _not_finite(rows)
    title = f"{graph.name}({', '.join(called)})" + (f" = {number(value[()])}" if value.ndim == 0 else "")
    symbol = "out" if out.record is not None else labels[out]
    return Explanation(title, {OPERATIONS: tuple(rows)}, value, gradients, {}, symbol, notes)


def _needed(graph: Graph) -> Graph:
    """The graph without what its first result does not need."""
    needed = ancestors(graph, graph.outputs[:1])
    nodes = tuple(node for node in graph.nodes if node.output in needed)
    return Graph(graph.name, graph.inputs, graph.constants, nodes, graph.outputs[:1])


def _array(x: Any) -> np.ndarray:
    """An argument as an array; what has no element type of its own is float64."""
    if isinstance(x, Tensor):
        return np.asarray(x.numpy())
    try:
        found = np.asarray(x)
        if not isinstance(x, (np.ndarray, np.generic)) and found.dtype.kind in "iuf":
            found = found.astype(np.float64)
    except (TypeError, ValueError):
        found = None
    if found is None or found.dtype.kind not in "biuf":
        raise DataError(
            f"explain: an argument of a function must be numbers, not {x!r}.",
            hint="give each array of a nest as an argument of its own",
        )
    return found


def _parameter_names(function: Callable[..., Any], count: int) -> list[str]:
    try:
        known = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        known = []
    plain = [p.name for p in known if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [plain[i] if i < len(plain) else f"x{i + 1}" for i in range(count)]


def _of_model(model: Model, x: Any, y: Any, sample_weight: Any, seed: int | None) -> Explanation:
    model.require_compiled()
    model._build_for(x)
    checks = model.checks()
    inputs, targets = checks.both(x, y)
    weights = None if sample_weight is None else checks.weights(sample_weight, len(inputs[0]))
    segment = single(inputs, targets, weights, checks.input_dtypes)
    traced = trace_step(model, BatchSpecs(*segment.specs()))
    key = np.asarray(ops.random_key(seeds.next_seed() if seed is None else seed))
    specs = [var.spec for var in traced.graph.inputs]
    batch = [np.asarray(a, s.dtype) for a, s in zip(segment.arrays, specs, strict=False)]
    count = np.asarray(model.optimizer.iterations, np.uint32)
    state = [np.asarray(p.numpy()) for p in traced.parameters]
    trainable = range(traced.first, traced.first + traced.trainable)
    evaluated = evaluate(_with_loss(traced), [*batch, key, count, *state], trainable)
    gradients = {
        str(p.name): evaluated.gradients.get(traced.graph.inputs[i], np.zeros(p.shape, p.dtype))
        for i, p in zip(trainable, traced.parameters, strict=False)
    }
    updated = _updated(model, traced, gradients)
    updated |= {str(p.name): evaluated.values[new] for p, new in traced.statistics}
    builder = LayerRows(StepNumbers(model, traced, evaluated, updated))
    layers = {node.output: "/".join(node.scope) for node in traced.graph.nodes}
    loss, outputs = _loss_variables(traced), builder.formulas.outputs
    rows = {
        LAYERS: tuple(builder.rows()),
        OPERATIONS: tuple(operation_rows(evaluated, builder.symbols, layers, loss)),
    }
    title = f'model "{model.label}": one step of {type(model.optimizer).__name__}, {len(inputs[0])} samples'
    rate = model.optimizer.current_learning_rate()
    notes = _notes(len(inputs[0]), rate, weights is not None, update_settings(model.optimizer))
    if any(name in builder.formulas.errors and builder.variables[name] not in evaluated.gradients for name in outputs):
        notes += ("Activation and loss are computed together from the last z, so there is no gradient by y_hat.",)
    notes += _sharing(builder.formulas) + _not_finite(rows[LAYERS])
    return Explanation(title, rows, evaluated.values[traced.loss], gradients, updated, "L", notes)


def _sharing(formulas: LayerFormulas) -> tuple[str, ...]:
    """Which calls have the same weights."""
    first = [call for call in formulas.calls if call.is_numbered and call.number == call.weights]
    uses = {c.label: [str(o.number) for o in formulas.calls if o.layer is c.layer] for c in first}
    return tuple(
        f'The layer "{label}" is called {len(numbers)} times, for l = {", ".join(numbers)}, with the weights '
        f"W^{numbers[0]}, whose gradient is the sum over the calls."
        for label, numbers in uses.items()
        if len(numbers) > 1
    )


def _not_finite(rows: Sequence[Row]) -> tuple[str, ...]:
    """Where NaN or infinity appears first."""
    for row in rows:
        wrong = 0 if row.value.dtype.kind != "f" else int((~np.isfinite(row.value)).sum())
        if wrong:
            where = f' of the layer "{row.layer}"' if row.layer else ""
            return (f"NaN or infinity appears first in {row.name}{where}: {wrong} of {row.value.size} numbers.",)
    return ()


def _notes(count: int, rate: float, weighted: bool, settings: dict[str, float]) -> tuple[str, ...]:
    more = ("s is the weight of a sample.",) if weighted else ()
    named = "".join(f", {name} = {value:g}" for name, value in settings.items())
    return (
        f"N = {count} sample{'s' * (count != 1)}, a row each; eta = {rate:g}{named}. The formulas are those of one "
        "sample.",
        "W^l is shown as the layer's kernel [in, out], the transpose of the lectures' W^l; gradients of parameters are "
        "summed over the samples.",
        *more,
    )


def _with_loss(traced: TracedStep) -> Graph:
    """The graph without the nodes that neither loss nor layers nor statistics need."""
    graph = traced.graph
    known = [v for seen in traced.layers for v in (seen.z, seen.a) if v is not None]
    needed = ancestors(graph, [traced.loss, *known, *(new for _, new in traced.statistics)])
    nodes = tuple(node for node in graph.nodes if node.output in needed)
    return Graph(graph.name, graph.inputs, graph.constants, nodes, graph.outputs[:1])


def _loss_variables(traced: TracedStep) -> frozenset[Var]:
    """What lies behind the layers."""
    return frozenset(node.output for node in traced.graph.nodes if not node.scope and node.op.name != "fold_in")


def _updated(model: Model, traced: TracedStep, gradients: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The trained parameters after the step; the optimiser and its state stay as they are."""
    optimizer, parameters = model.optimizer, traced.parameters[: traced.trainable]
    with no_grad():
        slots = [optimizer.slots_of(p) for p in parameters]
        t = Tensor.wrap(np.asarray(optimizer.iterations + 1, np.float64))
        rate = Tensor.wrap(np.asarray(optimizer.current_learning_rate(), np.float64))
        given = [Tensor.wrap(gradients[str(p.name)]) for p in parameters]
        new, _ = optimizer.update_all(parameters, given, slots, t, rate)
    return {str(p.name): np.asarray(value.numpy()) for p, value in zip(parameters, new, strict=True)}
