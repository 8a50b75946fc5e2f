"""An optimiser's update as NumPy code: one function per rule, written with the letters of its formula."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np

from pellucid.dtypes import float64
from pellucid.graph import Graph, rewrite, trace
from pellucid.graph.numpy_code import Batches, Code
from pellucid.graph.numpy_source import Namer, Printer, ancestors
from pellucid.nn.layer import Parameter, snake_case
from pellucid.op import Spec
from pellucid.optim import Optimizer
from pellucid.train.step import Trained

# What a statement of an update is called, by the first operation of its kind.
_WORDS = {"sqrt": "root", "add": "moment", "mul": "step", "sub": "rest"}


class UpdateSource:
    """The functions that update parameters.

    Attributes:
        slots: The names of the optimiser's state of a parameter.
        rules: Text of a function's body -> its name.
        rule_of: Name of a parameter -> the name of the function that updates it.
    """

    def __init__(self, trained: Trained, optimizer: Optimizer) -> None:
        self.optimizer, self.parameters, self.others = optimizer, trained.trainable, trained.others
        self.slots = sorted({name for own in trained.slots for name in own})
        self.rules: dict[str, str] = {}
        self.rule_of: dict[str, str] = {}
        self.uses_step = False
        self._documents: dict[str, str] = {}
        for parameter in self.parameters:
            body = self._body(parameter)
            if body not in self.rules:
                self.rules[body] = self._name(parameter)
            self.rule_of[str(parameter.name)] = self.rules[body]
        self.uses_step = any(" t" in body or "(t" in body or "**t" in body for body in self.rules)

    def _name(self, parameter: Parameter) -> str:
        base = snake_case(type(self.optimizer).__name__)
        decaying = self.optimizer.weight_decay and not self.optimizer.decays(parameter)
        name = f"{base}_without_decay" if decaying else base
        again = sum(known == name or known.startswith(f"{name}_rule") for known in self.rules.values())
        return f"{name}_rule_{again + 1}" if again else name

    @property
    def arguments(self) -> str:
        """What every function takes."""
        return ", ".join(["w", "g", *self.slots, *(["t"] if self.uses_step else []), "learning_rate"])

    def _body(self, parameter: Parameter) -> str:
        """The statements for one parameter, clipping apart."""
        twin = self.optimizer.copy()
        object.__setattr__(twin, "clip_norm", None)
        object.__setattr__(twin, "clip_value", None)
        spec = parameter.spec
        slots = {n: Spec(s.shape, s.dtype) for n, s in sorted(self.optimizer.slots_of(parameter).items())}

        def update(w: Any, g: Any, own: dict, t: Any, rate: Any) -> tuple:
            (new,), (fresh,) = twin.update_all([w], [g], [own], t, rate)
            return new, fresh

        scalar = Spec((), float64)
        graph = rewrite(trace(update, spec, spec, slots, scalar, scalar, name="update").graph)
        names = [Code("w"), Code("g"), *map(Code, slots), Code("t", weak=True), Code("learning_rate", weak=True)]
        roles = {var: name for var, name in zip(graph.outputs[1:], slots, strict=True) if var.record is not None}
        free = {name for place, name in enumerate(slots) if _takes_over(graph, 2 + place, 1 + place)}
        namer = Namer({"w", "g", "t", "learning_rate", *(n for n in slots if n not in free), "np", "n"})
        printer = Printer(graph, graph, Batches(1, 1), names, roles=roles, namer=namer, words=_WORDS)
        results = printer.print(graph.outputs)
        lines = [str(statement) for statement in printer.statements]
        return "\n".join([*(f"    {line}" for line in lines), f"    return {', '.join(map(str, results))}"])

    def functions(self) -> list[str]:
        """The functions' texts."""
        return [f"def {name}({self.arguments}):\n{self._document()}\n{body}" for body, name in self.rules.items()]

    def _document(self) -> str:
        """The formula of the optimiser, from its own docstring; those of its subclasses by their names."""
        text = inspect.cleandoc(type(self.optimizer).__doc__ or type(self.optimizer).__name__)
        parts = text.split("\n\nArgs:")[0].strip().split("\n\n")
        # What is said of settings does not belong to the code of one setting.
        lines = "\n\n".join(part for i, part in enumerate(parts) if i == 0 or "``" not in part).splitlines()
        if len(lines) == 1:
            return f'    """{lines[0]}"""'
        return "\n".join([f'    """{lines[0]}', *(f"    {line}".rstrip() for line in lines[1:]), '    """'])

    def clipping(self) -> list[str]:
        """The statements that clip the gradients."""
        lines = []
        if (limit := self.optimizer.clip_value) is not None:
            lines += [f"gradients = {{name: np.clip(g, -{limit}, {limit}) for name, g in gradients.items()}}"]
        if (limit := self.optimizer.clip_norm) is not None:
            lines += [
                "length = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))",
                f"scale = np.minimum({limit} / (length + 1e-6), 1)  # gradients longer than this are scaled down",
                "gradients = {name: g * scale for name, g in gradients.items()}",
            ]
        return lines

    def loop(self) -> list[str]:
        """The statements that update every parameter."""
        old = [f's["{slot}"]' for slot in self.slots]
        given = ", ".join(["p[name]", "g", *old, *(["t"] if self.uses_step else []), "learning_rate"])
        rules = list(dict.fromkeys(self.rule_of.values()))
        lines = ["for name, g in gradients.items():"]
        if len(rules) > 1:
            lines = [f"rules = {{{self._table()}}}", *lines]
        if self.slots:
            lines.append("    s = state[name]")
        rule = rules[0] if len(rules) == 1 else "rules[name]"
        lines.append(f"    {', '.join(['p[name]', *old])} = {rule}({given})")
        return lines if self.parameters else []

    def _table(self) -> str:
        return ", ".join(f"{quoted(name)}: {rule}" for name, rule in self.rule_of.items())

    def initial_state(self) -> str | None:
        """The function that makes the state before the first update; None where there is none."""
        if not self.slots or not self.parameters:
            return None
        start = self.optimizer.initial_slots((1,), np.dtype("float32"))
        parts = [
            f'"{name}": {"np.zeros_like(p[name])" if start[name].shape else f"np.float64({start[name]})"}'
            for name in self.slots
        ]
        others = "".join(f"{quoted(p.name)}, " for p in self.others)
        return "\n".join([
            "def initial_state(p):",
            '    """The optimiser\'s state before the first update."""',
            *([f"    fixed = ({others.strip()})"] if others else []),
            f"    trained = [name for name in p{' if name not in fixed' if others else ''}]",
            "    return {",
            f"        name: {{{', '.join(parts)}}} for name in trained",
            "    }",
        ])  # fmt: skip


def quoted(name: Any) -> str:
    """A name as a literal of Python, in double quotes."""
    return json.dumps(str(name), ensure_ascii=False)


def _takes_over(graph: Graph, place: int, result: int) -> bool:
    """Whether a new slot can take the old one's name: nothing else reads the old numbers."""
    old, new = graph.inputs[place], graph.outputs[result]
    readers = [node.output for node in graph.nodes for v in node.inputs if v is old]
    return not readers or (len(readers) == 1 and readers[0] in ancestors(graph, [new]))
