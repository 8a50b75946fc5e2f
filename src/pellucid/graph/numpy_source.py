"""A graph as readable NumPy statements: named where a reader would name, nested where a reader would nest.

The printer reads two traces of one computation, for batches of two sizes. What is the same in both is written as it is;
what follows the size is written with ``n``. So the code works for batches of any size.
"""

from __future__ import annotations

import dis
import inspect
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import numpy as np

from pellucid.errors import TraceError
from pellucid.graph import numpy_helpers
from pellucid.graph.ir import Graph, Node, Var
from pellucid.graph.numpy_code import COUNT, Batches, Code, tightest
from pellucid.graph.numpy_ops import WRITERS, Twins

#: Function name -> the function that is pasted where printed code calls it.
HELPERS = {
    name: function
    for name, function in vars(numpy_helpers).items()
    if inspect.isfunction(function) and function.__module__ == numpy_helpers.__name__
}

#: Names that no variable may take.
RESERVED = frozenset({*HELPERS, *keyword.kwlist, "np", "erf", "bool", "int", "max", "min", "sum", "abs", "len", COUNT})

# Longer expressions are cut into several statements.
_LONG = 92
_PART = 24

# What costs nothing is written again wherever it is used.
_CHEAP = frozenset({"transpose", "reshape", "broadcast_to", "stop_gradient", "identity"})

_WORDS = {
    "mul": "product", "add": "sum", "sub": "difference", "div": "quotient", "neg": "negative", "matmul": "product",
    "random_uniform": "draws", "greater_equal": "mask", "greater": "mask", "less": "mask", "less_equal": "mask",
    "fold_in": "key", "square": "squares", "sum": "total", "slice": "part", "reshape": "part",
    "gather": "rows", "where": "chosen",
    "cross_entropy": "losses", "cross_entropy_of_rows": "losses", "binary_cross_entropy": "losses",
}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """One line: ``name = code``.

    Attributes:
        shape: The shape of the value, with ``n`` for the batch.
        scope: The layers that it belongs to.
        backward: Whether it belongs to the backward pass.
    """

    name: str
    code: Code
    shape: str
    scope: tuple[str, ...]
    backward: bool

    def __str__(self) -> str:
        return f"{self.name} = {self.code}"


class Namer:
    """Gives out distinct names.

    >>> name = Namer()
    >>> name("dense.kernel"), name("dense.kernel"), name("softmax")
    ('dense_kernel', 'dense_kernel_2', 'softmax_2')
    """

    def __init__(self, taken: Iterable[str] = RESERVED) -> None:
        self.taken = set(taken)

    def __call__(self, wish: str) -> str:
        """The name that is wished for, or one like it."""
        base = re.sub(r"\W", "_", wish)
        base = f"_{base}" if base[:1].isdigit() or not base else base
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        return name


class Printer:
    """The statements that compute some outputs of a graph.

    Args:
        graph, twin: The computation, traced for batches of two sizes.
        batches: The sizes.
        inputs: What each input of ``graph`` is called, by position.
        roles: Variables of ``graph`` that get a statement, and their names.
        gradients: Variable -> the variable whose gradient it is.
        scopes: Variable -> the layers that it belongs to, where its own are not the ones.
        namer: Knows which names are taken.
        words: Operation -> what its result is called, where it has no role.

    Raises:
        TraceError: The traces differ in more than the size of the batch.
    """

    def __init__(
        self,
        graph: Graph,
        twin: Graph,
        batches: Batches,
        inputs: Sequence[Code],
        *,
        roles: Mapping[Var, str] | None = None,
        scopes: Mapping[Var, tuple[str, ...]] | None = None,
        gradients: Mapping[Var, Var] | None = None,
        namer: Namer | None = None,
        words: Mapping[str, str] | None = None,
    ) -> None:
        self.graph, self.batches = graph, batches
        self.roles, self.scopes, self.gradients = dict(roles or {}), dict(scopes or {}), dict(gradients or {})
        self.namer, self.words = namer or Namer(), dict(words or _WORDS)
        self.statements: list[Statement] = []
        self.code: dict[Var, Code] = {}
        self._twins = _paired(graph, twin, batches)
        for var, code in zip(graph.inputs, inputs, strict=True):
            self.code[var] = replace(code, shape=var.spec.shape)
        for (var, value), (_, other) in zip(graph.constants, twin.constants, strict=True):
            self.code[var] = _constant(value, other, batches)

    def print(self, outputs: Sequence[Var], forward: Sequence[Var] = ()) -> list[Code]:
        """Write the statements; the expressions of the outputs.

        Args:
            outputs: What is needed.
            forward: The results of the forward pass; everything that they are not made of is backward.
        """
        needed = ancestors(self.graph, outputs)
        first = ancestors(self.graph, forward or outputs)
        uses: dict[Var, int] = dict.fromkeys(outputs, 1)
        for twins in self._twins:
            if twins.one.output in needed:
                for var in twins.one.inputs:
                    uses[var] = uses.get(var, 0) + 1
        for twins in self._twins:
            if twins.one.output in needed:
                self._write(twins, uses[twins.one.output], backward=twins.one.output not in first)
        found = [self.code[var] for var in outputs]
        self._drop_unused({word for code in found for word in _words(code)})
        return found

    def _drop_unused(self, used: set[str]) -> None:
        """Leave out statements that only fed what turned out to be 0."""
        kept: list[Statement] = []
        for statement in reversed(self.statements):
            if statement.name in used:
                kept.append(statement)
                used.update(_words(statement.code))
        self.statements = kept[::-1]

    def _write(self, twins: Twins, uses: int, *, backward: bool) -> None:
        node, var = twins.one, twins.one.output
        operands = [self.code[v] for v in node.inputs]
        code = WRITERS[node.op.name](twins, operands)
        while len(code.text) > _LONG:
            place = max(range(len(operands)), key=lambda i: _hoisting_gain(operands[i]))
            if not _hoisting_gain(operands[place]):
                break
            operands[place] = self._hoist(node.inputs[place], operands[place], backward)
            code = WRITERS[node.op.name](twins, operands)
        cheap = node.op.name in _CHEAP or code.uncast is not None
        plain = cheap and all(v.text.isidentifier() for v in operands)
        short = code.weak and len(code.text) <= 2
        if var not in self.roles and (uses == 1 or plain or short):
            self.code[var] = code
            return
        self._state(var, code, backward, twins)

    def _state(self, var: Var, code: Code, backward: bool, twins: Twins | None = None) -> None:
        """Give a variable a statement of its own."""
        name = self.namer(self.roles.get(var) or self._wish(var, backward))
        shape = twins.out_shape() if twins else self._shape_of(var)
        scope = self.scopes.get(var, var.record.scope if var.record else ())
        self.statements.append(Statement(name, code, _listed(shape), scope, backward))
        self.code[var] = Code(name, shape=var.spec.shape, weak=code.weak)

    def _shape_of(self, var: Var) -> str:
        return next((twins.out_shape() for twins in self._twins if twins.one.output is var), "()")

    def _hoist(self, var: Var, code: Code, backward: bool) -> Code:
        """A statement for an operand whose expression is long; the name in its place."""
        inner = tightest(code)
        if inner is code:
            self._state(var, code, backward)
            return self.code[var]
        name = self.namer(self._wish(var, backward))
        scope = self.scopes.get(var, var.record.scope if var.record else ())
        self.statements.append(Statement(name, inner, "", scope, backward))
        short = Code(name, shape=inner.shape)
        self.code[var] = Code(code.text.replace(inner.text, name), code.level, code.shape, loose=short)
        return self.code[var]

    def _wish(self, var: Var, backward: bool) -> str:
        """A telling name for a variable that has no role."""
        of = self.gradients.get(var)
        if of is not None and of in self.code and self.code[of].text.isidentifier():
            return f"d_{self.code[of]}"
        record = var.record
        if record is None:
            return "constant"
        layer = "_".join(record.scope[-1:])
        if backward:
            return f"d_{layer}" if layer else "d_loss"
        word = _statistic(record) or self.words.get(record.op.name, record.op.name)
        return f"{layer}_{word}" if layer else word


def _words(code: Code) -> list[str]:
    return re.findall(r"\w+", code.text)


def _statistic(node: Node) -> str | None:
    """What a step of a standardisation is called."""
    made = [v.record.op.name if v.record else "" for v in node.inputs]
    if node.op.name == "mean":
        return "variance" if made == ["square"] else "mean"
    if node.op.name == "sqrt":
        return "deviation"
    if node.op.name in ("sub", "div"):
        return {("sub", "mean"): "centred", ("div", "sqrt"): "standardised"}.get((node.op.name, made[1]))
    return None


def _hoisting_gain(code: Code) -> int:
    """How many letters a statement of its own would save; 0 where too few."""
    inner = tightest(code)
    return len(inner.text) if len(inner.text) > _PART else 0


def _paired(graph: Graph, twin: Graph, batches: Batches) -> list[Twins]:
    """The nodes of both traces side by side."""
    number = _numbers(graph)
    other = _numbers(twin)

    def wiring(node: Node, numbers: dict[Var, int]) -> tuple[Any, ...]:
        return (node.op, *(numbers[v] for v in node.inputs))

    alike = len(graph.nodes) == len(twin.nodes) and len(graph.constants) == len(twin.constants)
    if not alike or any(wiring(a, number) != wiring(b, other) for a, b in zip(graph.nodes, twin.nodes, strict=True)):
        raise TraceError(f"The computation {graph.name} is another one for batches of another size.")
    return [Twins(a, b, batches) for a, b in zip(graph.nodes, twin.nodes, strict=True)]


def _numbers(graph: Graph) -> dict[Var, int]:
    every = [*graph.inputs, *(v for v, _ in graph.constants), *(n.output for n in graph.nodes)]
    return {var: number for number, var in enumerate(every)}


def ancestors(graph: Graph, outputs: Sequence[Var]) -> set[Var]:
    """Everything that some variables are made of, themselves included."""
    needed = set(outputs)
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
    return needed


def _constant(value: np.ndarray, other: np.ndarray, batches: Batches) -> Code:
    """The numbers of a constant: one number where all are equal."""
    dtype = f"np.{value.dtype.name}".replace("np.bool", "bool")
    uniform = value.size > 0 and bool(np.all(value == value.flat[0])) and bool(np.all(other == other.flat[0]))
    if uniform:
        one = batches.number(value.flat[0], other.flat[0])
        if not value.shape:
            return one
        shape = batches.shape(value.shape, other.shape)
        makers = {"0": f"np.zeros({shape}, {dtype})", "1": f"np.ones({shape}, {dtype})"}
        return Code(makers.get(one.text, f"np.full({shape}, {one}, {dtype})"), shape=value.shape, loose=one)
    if value.shape != other.shape or not np.array_equal(value, other, equal_nan=value.dtype.kind == "f"):
        raise TraceError(f"A constant of the shape {list(value.shape)} is another one for batches of another size.")
    return Code(f"np.array({_nested(value)}, {dtype})", shape=value.shape)


def _nested(value: np.ndarray) -> str:
    """The numbers of an array as nested lists, each with the digits that give it back."""
    if value.ndim:
        return f"[{', '.join(_nested(part) for part in value)}]"
    return str(value.item()) if value.dtype.kind != "f" else str(value[()])


def _listed(shape: str) -> str:
    """A shape in brackets.

    >>> _listed("(n,)"), _listed("()")
    ('[n]', '[]')
    """
    return f"[{shape[1:-1].rstrip(',')}]"


def helper_sources(text: str) -> list[str]:
    """The sources of the functions that some code calls, those that they call in turn before them."""
    found: dict[str, str] = {}

    def visit(names: Iterable[str]) -> None:
        for name in names:
            if name in HELPERS and name not in found:
                visit(_called(HELPERS[name].__code__))
                found[name] = inspect.getsource(HELPERS[name])

    visit(re.findall(r"(?<![\w.])(\w+)\(", text))
    return list(found.values())


def _called(code: CodeType) -> list[str]:
    """The global names that a function uses, those of its inner functions too."""
    own = [i.argval for i in dis.get_instructions(code) if i.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME"))]
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _called(part)]
    return [*own, *inner]
