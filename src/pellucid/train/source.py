"""A model's training step as NumPy code: forward pass, loss, back-propagation and update, to be read and to be run.

The code is printed from the graphs that training compiles, so it computes the same numbers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.dtypes import is_float
from pellucid.graph import PASSES, Graph, Var
from pellucid.graph.composites import with_composites
from pellucid.graph.cotangents import with_cotangents
from pellucid.graph.numpy_code import COUNT, SUM, Batches, Code
from pellucid.graph.numpy_source import RESERVED, Namer, Printer, Statement, ancestors, helper_sources
from pellucid.nn.losses import BinaryCrossentropy, CategoricalCrossentropy, Hinge, SparseCategoricalCrossentropy
from pellucid.train.formulas import LayerFormulas, loss_formula, symbol_of
from pellucid.train.recording.probe import homes
from pellucid.train.recurrent_names import GATES, recurrent_names
from pellucid.train.step import Trained
from pellucid.train.traced_step import TracedStep, batch_specs, trace_step
from pellucid.train.update_source import UpdateSource, quoted

# Two sizes of a batch; what differs between their traces is written with n.
_SIZES = (11, 13)
_TAKEN = ("p", "state", "t", "seed", "learning_rate", "gradients", "statistics", "name", "g", "s")


@dataclass(frozen=True, eq=False)
class _Printed:
    """A step's graph, ready for printing.

    Attributes:
        graph: Forward and backward nodes; its outputs are the loss, new statistics and gradients, then the rest.
        needed: How many of the outputs are the step's results; then each inner variable is followed by its gradient.
        layers: How many of the inner variables are those of layers.
        missing: The trainable parameters that the loss does not depend on, by place.
    """

    graph: Graph
    needed: int
    layers: int
    missing: frozenset[int]


class StepSource:
    """The text of a model's training step.

    Args:
        model: The model, compiled and built.
        y: Examples of targets, whose form counts; by default as the losses take them.
        weighted: Whether every sample has a weight.
    """

    def __init__(self, model: Any, y: Any = None, *, weighted: bool = False) -> None:
        self.model, self.weighted = model, weighted
        self.formulas = LayerFormulas.of(model, weighted=weighted)
        self.targets = example_targets(model, y)
        self.namer = Namer({*RESERVED, *_TAKEN})
        xs = [self.namer(str(s.name)) for s in model.inputs]
        names = model.output_names
        ys = [self.namer("y" if len(names) == 1 else f"y_{name}") for name in names]
        self.batch = [*xs, *ys, *([self.namer("sample_weight")] if weighted else [])]
        self.step = self._traced(_SIZES[0])
        self.parameters = [self.namer(str(p.name)) for p in self.step.parameters]
        self.update = UpdateSource(Trained(model, model.optimizer), model.optimizer)

    def _traced(self, count: int) -> TracedStep:
        return trace_step(self.model, batch_specs(self.model, self.targets, count, weighted=self.weighted))

    def text(self) -> str:
        """The whole program."""
        functions = [self._passes(), *self.update.functions(), *self._step(), self._demonstration()]
        code = "\n\n\n".join(text for text in functions if text)
        helpers = [source.rstrip() for source in helper_sources(code)]
        imports = ["import numpy as np"]
        if any("itertools." in source for source in helpers):
            imports.insert(0, "import itertools\n")
        if re.search(r"\berf\(", code):
            imports.append("from scipy.special import erf")
        return "\n\n\n".join([self._title() + "\n\n" + "\n".join(imports), *helpers, code]) + "\n"

    def _title(self) -> str:
        layers = ", ".join(f"{_plain_line(call.label)} ({call.kind})" for call in self.formulas.calls)
        losses = "; ".join(self._losses())
        lines = [
            f'"""One training step of the model "{_plain_line(self.model.label)}", written out in NumPy.',
            "",
            *_wrapped(f"Layers: {layers}."),
            *_wrapped(f"Loss: {losses}. Update: {type(self.model.optimizer).__name__}."),
            "",
            *_wrapped(
                f"A batch has {COUNT} samples, one per row: a layer computes x W + b with W[in, out]. The formulas "
                "in the comments are the lectures': those of one sample, W a + b with W[out, in]; gradients are summed "
                "over samples."
            ),
        ]
        # A layer's name may hold what ends a text or a line.
        head, *rest = [line.replace("\\", "\\\\").replace('"""', r"\"\"\"") for line in [lines[0][3:], *lines[1:]]]
        return "\n".join([f'"""{head}', *rest, '"""'])

    def _losses(self) -> list[str]:
        """The formulas of the losses, each with its factor."""
        found, names = self.model.objective, [symbol_of(name) for name in self.model.output_names]
        texts = []
        for name, loss, factor, symbol in zip(names, found.losses, found.loss_weights, self.model.outputs, strict=True):
            text = loss_formula(loss, weighted=self.weighted, positions=len(symbol.sample_shape) > 1)
            texts.append(
                f"L_{name}{text[1:]}" if len(names) > 1 else text if factor == 1 else f"L = {factor:g} {text[4:]}"
            )
        if len(names) > 1:
            texts.insert(0, "L = " + " + ".join(f"{w:g} L_{n}" for n, w in zip(names, found.loss_weights, strict=True)))
        if any(p.regularizer is not None for p in self.model.parameters):
            texts[0] += " + penalties of the weights"
        return [_plain_line(text) for text in texts]

    # Forward and backward.

    def _prepared(self, step: TracedStep) -> _Printed:
        """The step's graph with composites and gradients, after the passes."""
        composed = with_composites(step.graph)
        place = {var: i for i, var in enumerate(step.graph.outputs)}
        swept = with_cotangents(composed, range(step.first, step.first + step.trainable))

        def at(var: Var) -> Var:
            return composed.outputs[place[var]]

        parameters = composed.inputs[step.first : step.first + step.trainable]
        missing = frozenset(i for i, v in enumerate(parameters) if v not in swept.cotangents)
        results = [swept.copies[at(step.loss)], *(swept.copies[at(new)] for _, new in step.statistics)]
        results += [swept.cotangents[v] for v in parameters if v in swept.cotangents]
        values = [at(v) for seen in step.layers for v in (seen.z, seen.a) if v is not None]
        others = [node.output for node in composed.nodes if node.output in swept.cotangents]
        rest = [
            v for old in (*values, *others) for v in (swept.copies[old], swept.cotangents.get(old, swept.copies[old]))
        ]
        graph = swept.with_outputs([*results, *rest])
        for one in PASSES:
            graph = one.run(graph)
        return _Printed(graph, len(results), len(values), missing)

    def _passes(self) -> str:
        """The function of the forward and the backward pass."""
        step, prepared = self.step, self._prepared(self.step)
        twin = self._prepared(self._traced(_SIZES[1]))
        roles, scopes, gradients = self._roles(prepared)
        inputs = [*map(Code, self.batch), Code("random_key(seed)"), Code("t - 1", SUM), *map(Code, self.parameters)]
        printer = Printer(
            prepared.graph, twin.graph, Batches(*_SIZES), inputs,
            roles=roles, scopes=scopes, gradients=gradients, namer=self.namer,
        )  # fmt: skip
        changed = 1 + len(step.statistics)
        results = prepared.graph.outputs[: prepared.needed]
        codes = printer.print(results, forward=[*results[:changed], *self._known(prepared)])
        body = [*self._unpacked(printer.statements, codes, prepared.missing), *self._lines(printer.statements), ""]
        found = iter(codes[changed:])
        pairs = [
            f"{quoted(p.name)}: " + (f"np.zeros_like({name})" if i in prepared.missing else next(found).text)
            for i, (p, name) in enumerate(zip(step.parameters[: step.trainable], self.parameters, strict=False))
        ]
        body += _dictionary("gradients", pairs)
        if step.statistics:
            body += _dictionary(
                "statistics",
                [f"{quoted(p.name)}: {c}" for (p, _), c in zip(step.statistics, codes[1:changed], strict=True)],
            )
        body.append(f"return {codes[0]}, gradients" + (", statistics" if step.statistics else ""))
        self.random = any("seed" in line for line in body)
        arguments = ["p", *self.batch, *(["t", "seed"] if self.random else [])]
        head = [f"def loss_and_gradients({', '.join(arguments)}):", self._document()]
        return "\n".join([*head, *(f"    {line}".rstrip() for line in body)])

    def _document(self) -> str:
        """The docstring of the function of the passes."""
        more = ", and new statistics" if self.step.statistics else ""
        return f'    """Forward pass and back-propagation: the loss, its gradient by every parameter{more}."""'

    def _roles(self, prepared: _Printed) -> tuple[dict, dict, dict]:
        """Names, layers and gradients of the variables that a reader knows."""
        roles: dict[Var, str] = {}
        scopes: dict[Var, tuple[str, ...]] = {}
        gradients: dict[Var, Var] = {}
        outputs = prepared.graph.outputs

        def give(var: Var, name: str, path: tuple[str, ...]) -> None:
            if var.record is not None and var not in roles:
                roles[var], scopes[var] = name, path

        give(outputs[0], "loss", ())
        rest = iter(outputs[prepared.needed :])
        for seen in self.step.layers:
            call = seen.call
            inner = [] if seen.z is None else [call.z if call.is_numbered else f"{call.a}_z"]
            for symbol in (*inner, call.a):
                var, gradient = next(rest), next(rest)
                give(var, _plain(symbol), call.path)
                if gradient is not var and gradient.record is not None:
                    gradients[gradient] = var
                    if call.is_numbered and symbol == call.z:
                        give(gradient, f"delta{call.number}", call.path)
        for var, name, path in self._recurrent(prepared):
            give(var, _plain(name), path)
        gradients |= {b: a for a, b in zip(rest, rest, strict=True) if a is not b and b not in gradients}
        places = [i for i in range(self.step.trainable) if i not in prepared.missing]
        known = homes(self.model)
        for place, var in zip(places, outputs[1 + len(self.step.statistics) : prepared.needed], strict=True):
            path = tuple(known[id(self.step.parameters[place])][1].split("/"))
            give(var, f"grad_{self.parameters[place]}", path)
        return roles, scopes, gradients

    def _recurrent(self, prepared: _Printed) -> Iterator[tuple[Var, str, tuple[str, ...]]]:
        """The inner variables of recurrent layers with their names."""
        forward = ancestors(prepared.graph, prepared.graph.outputs[:1])
        inputs = prepared.graph.inputs[self.step.first :]
        kernels = {id(p): var for p, var in zip(self.step.parameters, inputs, strict=True)}
        for call in self.formulas.calls:
            if call.kind in GATES:
                kernel = next(p for p in call.layer.parameters if str(p.name).endswith(".recurrent_kernel"))
                nodes = [n for n in prepared.graph.nodes if n.scope == call.path and n.output in forward]
                for var, name in recurrent_names(call.kind, nodes, kernels[id(kernel)], call.a):
                    yield var, name, call.path

    def _known(self, prepared: _Printed) -> list[Var]:
        """What the layers computed."""
        return list(prepared.graph.outputs[prepared.needed :: 2][: prepared.layers])

    def _unpacked(
        self, statements: Sequence[Statement], codes: Sequence[Code], missing: frozenset[int]
    ) -> Iterator[str]:
        """The lines that name the parameters which are used, and the size of the batch."""
        text = "\n".join([*map(str, statements), *map(str, codes)])
        rows = []
        for place, (parameter, name) in enumerate(zip(self.step.parameters, self.parameters, strict=True)):
            if place in missing or re.search(rf"\b{name}\b", text):
                rows.append((f"{name} = p[{quoted(parameter.name)}]", f"{list(parameter.shape)}"))
        yield from _aligned(rows)
        if re.search(rf"\b{COUNT}\b", text):
            yield f"{COUNT} = len({self.batch[0]})"

    def _lines(self, statements: Sequence[Statement]) -> Iterator[str]:
        """The statements with captions for passes and layers."""
        paths = {call.path for call in self.formulas.calls}

        def part(statement: Statement) -> tuple[bool, tuple[str, ...]]:
            scope = statement.scope
            return statement.backward, next((scope[:k] for k in range(len(scope), 0, -1) if scope[:k] in paths), ())

        before = None
        for (backward, path), group in itertools.groupby(gathered(statements, part), key=part):
            if backward is not before:
                yield from ("", "# ---- Backward pass ----" if backward else "# ---- Forward pass ----")
            else:
                yield ""
            before, rows = backward, list(group)
            yield from self._caption(path, {statement.name for statement in rows}, backward)
            yield from _aligned([(str(s), s.shape if s.shape != "[]" else "") for s in rows])

    def _caption(self, path: tuple[str, ...], names: set[str], backward: bool) -> list[str]:
        """The formulas of a layer; those of the calls whose results are among some names, where it is shared."""
        if not path:
            return ["# loss"] if backward else [f"# {text}" for text in self._losses()]
        calls = [call for call in self.formulas.calls if call.path == path]
        if len(calls) > 1:
            own = [c for c in calls if names & {_plain(c.z), _plain(c.a), f"delta{c.number}"}]
            calls = own or calls[:1]
        formulas = []
        for call in reversed(calls) if backward else calls:
            made = self.formulas.backward(call) if backward else dict(enumerate(call.forward()))
            # A shared layer's weights get their gradients after all of its deltas.
            last = call.number == call.weights or not backward
            formulas += [text for key, text in made.items() if last or key == "delta"]
        label = _plain_line(calls[0].label)
        return [f"# {line}" for line in _wrapped(f"{label}: {_plain_line('; '.join(formulas))}" if formulas else label)]

    # Update.

    def _step(self) -> list[str]:
        """The functions of the state and of the whole step."""
        update, state = self.update, self.update.initial_state()
        rate = self.model.optimizer.current_learning_rate()
        uses_step = self.random or update.uses_step
        arguments = ["p", *(["state"] if state else []), *self.batch, *(["t"] if uses_step else [])]
        arguments += [f"learning_rate={rate!r}", *(["seed=0"] if self.random else [])]
        results = "loss, gradients" + (", statistics" if self.step.statistics else "")
        given = ", ".join(["p", *self.batch, *(["t", "seed"] if self.random else [])])
        changes = "p and state change" if state else "p changes"
        number = "; t counts the updates from 1" if uses_step else ""
        body = [
            f'"""One update: {changes} in place{number}. Returns the loss before it."""',
            f"{results} = loss_and_gradients({given})",
            *update.clipping(),
            *update.loop(),
            *(["p.update(statistics)"] if self.step.statistics else []),
            "return loss",
        ]
        head = f"def train_step({', '.join(arguments)}):"
        self.arguments = [a.split("=")[0] for a in arguments]
        return [*([state] if state else []), "\n".join([head, *(f"    {line}" for line in body)])]

    def _demonstration(self) -> str:
        """What happens when the file is run: some steps on random numbers."""
        rows = [f"{quoted(p.name)}: {_start(p)}," for p in self.step.parameters]
        specs = self.step.specs
        arrays = [*specs.x, *specs.y, *specs.weight_specs]
        lines = ["rng = np.random.default_rng(0)", "p = {", *(f"    {row}" for row in rows), "}"]
        for number, (name, spec) in enumerate(zip(self.batch, arrays, strict=True)):
            output = number - len(specs.x)
            binary = 0 <= output < len(specs.y) and isinstance(self.model.objective.losses[output], BinaryCrossentropy)
            lines.append(f"{name} = {_example(spec, self._classes(output), binary)}")
        if "state" in self.arguments:
            lines.append("state = initial_state(p)")
        given = ", ".join(a for a in self.arguments if a not in ("learning_rate", "seed"))
        lines += ["for t in range(1, 6):", f'    print(f"update {{t}}: loss {{train_step({given}):.6f}}")']
        return "\n".join(['if __name__ == "__main__":  # five updates on random numbers', *(f"    {x}" for x in lines)])

    def _classes(self, output: int) -> int:
        """How many classes the targets of an output have; 2 where they are no classes."""
        if 0 <= output < len(self.model.outputs) and isinstance(
            self.model.objective.losses[output], CategoricalCrossentropy
        ):
            return self.model.outputs[output].sample_shape[-1]
        return self._integers()

    def _integers(self) -> int:
        sizes = [layer.input_dim for layer in self.model.sublayers() if hasattr(layer, "input_dim")]
        return min(sizes, default=2)


def example_targets(model: Any, y: Any) -> list[np.ndarray]:
    """Targets as training has them: those given, or such as the losses take."""
    if y is not None:
        first = y
        if len(model.outputs) > 1:
            first = next(iter(y.values() if isinstance(y, dict) else y))
        return list(model.checks().y(y, len(first)))
    dtype = next((d for d in model.input_dtypes if is_float(d)), np.dtype("float32"))
    found = []
    for loss, symbol in zip(model.objective.losses, model.outputs, strict=True):
        shape = symbol.sample_shape
        if isinstance(loss, (CategoricalCrossentropy, SparseCategoricalCrossentropy)):
            found.append(np.zeros((1, *shape[:-1]), np.int32))
        else:
            found.append(np.zeros((1, *shape), np.int8 if isinstance(loss, Hinge) else dtype))
    return found


def _plain(symbol: str) -> str:
    """A formula's symbol as a name.

    >>> _plain("z^1"), _plain("max_pool2d")
    ('z1', 'max_pool2d')
    """
    return symbol.replace("^", "").replace("/", "_")


def _plain_line(text: str) -> str:
    """Text that stays in its line."""
    return "".join(c if c.isprintable() else " " for c in text)


def gathered(statements: Sequence[Statement], part: Callable[[Statement], Any]) -> list[Statement]:
    """The statements in an order in which those of a part stand together as far as what they need allows."""
    made = {statement.name: place for place, statement in enumerate(statements)}
    words = [re.findall(r"\w+", statement.code.text) for statement in statements]
    # A word of the code may be no variable: np.maximum beside a layer called "maximum".
    needs = [{made[word] for word in own if made.get(word, place) < place} for place, own in enumerate(words)]
    left, done, found = list(range(len(statements))), set(), []
    now: Any = None
    while left:
        ready = [place for place in left if needs[place] <= done]
        place = next((p for p in ready if part(statements[p]) == now), ready[0])
        left.remove(place)
        done.add(place)
        found.append(statements[place])
        now = part(statements[place])
    return found


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Code with comments in one column."""
    width = max((len(code) for code, comment in rows if comment and len(code) <= 80), default=0)
    for code, comment in rows:
        line = f"{code.ljust(width)}  # {comment}" if comment else code
        yield line if len(line) <= 116 else code


def _wrapped(text: str, width: int = 110) -> list[str]:
    """Text in lines of a width."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _dictionary(name: str, pairs: Sequence[str]) -> list[str]:
    """The statement that makes a dictionary."""
    line = f"{name} = {{{', '.join(pairs)}}}"
    return [line] if len(line) <= 100 else [f"{name} = {{", *(f"    {pair}," for pair in pairs), "}"]


def _start(parameter: Any) -> str:
    """An expression for initial numbers of a parameter."""
    shape, dtype = tuple(parameter.shape), f"np.{parameter.dtype.name}"
    if parameter.spec.ndim > 1:
        return f"rng.normal(0, 0.3, {shape}).astype({dtype})"
    ones = (parameter.name or "").rsplit(".", 1)[-1] in ("gamma", "moving_variance", "deviation")
    return f"np.{'ones' if ones else 'zeros'}({shape}, {dtype})"


def _example(spec: Any, classes: int, binary: bool) -> str:
    """An expression for random data of a form."""
    shape = (8, *spec.shape[1:])
    if is_float(spec.dtype) and not binary:
        return f"rng.random({shape}).astype(np.{spec.dtype.name})"
    return f"rng.integers(0, {classes}, {shape}).astype(np.{spec.dtype.name})"


def step_source(model: Any, y: Any = None, *, weighted: bool = False) -> str:
    """The text of a model's training step."""
    model.require_compiled()
    return StepSource(model, y, weighted=weighted).text()
