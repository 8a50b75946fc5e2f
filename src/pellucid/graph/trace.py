"""Tracing: run a Python function once on variables instead of numbers, and keep the operations it carried out."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import nest
from pellucid.errors import DTypeError, ShapeError, TraceError
from pellucid.graph.ir import Graph, Node, Var
from pellucid.op import Op, Spec, Value, apply, current_scope, exact_scope, infer, interpreting, user_line
from pellucid.ops.elementwise import IDENTITY
from pellucid.ops.promotion import array
from pellucid.tensor import EAGER, Tensor

_traces = itertools.count()
_SMALL = 64


class Tracer:
    """The interpreter that writes operations down instead of computing them.

    Operations on plain numbers and on tensors that are not bound to an input are computed at once: their results
    are constants of the graph.

    Args:
        capture: Bind every tensor that the function meets to a new input (otherwise it becomes a constant).
    """

    def __init__(self, capture: bool = False) -> None:
        self.number = next(_traces)
        self.capture = capture
        self.inputs: list[Var] = []
        self.constants: dict[Var, np.ndarray] = {}
        self.nodes: list[Node] = []
        self.bound: dict[int, Var] = {}
        self.captured: list[Tensor] = []
        self.assigned: dict[int, Tensor] = {}
        self.place: str | None = None
        self._constant_by_content: dict[Any, Var] = {}
        self._serial = itertools.count()

    def input(self, spec: Spec, name: str | None = None) -> Var:
        """A new input of the graph."""
        var = Var(spec, name, self.number)
        self.inputs.append(var)
        return var

    def bind(self, tensor: Tensor) -> Var:
        """A new input that stands for a tensor wherever the function uses it."""
        var = self.input(tensor.spec, tensor.name)
        self.bound[id(tensor)] = var
        self.captured.append(tensor)
        return var

    def process(self, op: Op, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
        """Write one operation down; compute it where no operand is a variable."""
        if not any(isinstance(x, Var) or self._stands_for_input(x) for x in operands):
            return EAGER.process(op, operands, attributes)
        variables = tuple(self.lift(x) for x in operands)
        spec = infer(op, variables, attributes)
        return self.emit(op, variables, attributes, spec)

    def emit(self, op: Op, inputs: tuple[Var, ...], attributes: Any, spec: Spec) -> Var:
        """Append a node of known spec."""
        output = Var(spec, None, self.number)
        place = self.place or user_line()
        output.record = Node(op, inputs, attributes, output, current_scope(), place, next(self._serial))
        self.nodes.append(output.record)
        return output

    def _stands_for_input(self, x: Any) -> bool:
        return isinstance(x, Tensor) and (self.capture or id(x) in self.bound)

    def lift(self, x: Any) -> Var:
        """The variable of an operand; numbers become constants."""
        if isinstance(x, Var):
            if x.trace != self.number:
                raise TraceError(
                    f"The traced variable {x!r} belongs to another trace.",
                    hint="return values from a traced function instead of storing them outside",
                )
            return x
        if isinstance(x, Tensor):
            if id(x) in self.bound:
                return self.bound[id(x)]
            if self.capture:
                return self.bind(x)
            return self._constant(np.asarray(x.numpy()))
        return self._constant(x if isinstance(x, np.ndarray) else array(x))

    def _constant(self, value: np.ndarray) -> Var:
        # By content, not by identity: a temporary array's address is soon another's.
        content = value.tobytes()
        key = (value.dtype, value.shape, content if value.size <= _SMALL else hashlib.sha256(content).digest())
        var = self._constant_by_content.get(key)
        if var is None:
            var = Var(Spec(value.shape, value.dtype), None, self.number)
            self._constant_by_content[key] = var
            # A copy: the user may change the array after tracing.
            self.constants[var] = np.array(value)
        return var

    def leaf(self, value: Any) -> Var:
        """A variable that a gradient can be asked for."""
        var = self.lift(value if isinstance(value, Value) else array(value))
        if var.spec.dtype.kind != "f":
            raise DTypeError(
                f"grad: the argument is {var.spec}; only float arrays have gradients.",
                hint="convert it with .astype('float32')",
            )
        return self.emit(IDENTITY, (var,), {}, var.spec)

    def constant(self, value: Any, dtype: Any) -> Var:
        """A variable of known numbers."""
        return self.lift(value if isinstance(value, Value) else array(value, dtype))

    def assign(self, target: Tensor, value: Any) -> None:
        """Let later uses of a bound tensor mean the new value; the graph returns it."""
        if not self._stands_for_input(target):
            if isinstance(value, Var):
                raise TraceError(
                    f"The tensor {target.name or target.spec} is not an input of the trace, so it cannot be assigned.",
                    hint="bind it, or return the value instead",
                )
            EAGER.assign(target, value)
            return
        current = self.lift(target)
        var = self.lift(value if isinstance(value, Value) else array(value, target.dtype))
        if var.spec != current.spec:
            name = f' "{target.name}"' if target.name else ""
            raise ShapeError(f"assign: the tensor{name} is {current.spec}, the new value {var.spec}")
        self.bound[id(target)] = var
        self.assigned[id(target)] = target

    def read(self, tensor: Tensor) -> None:
        """The numbers of a bound tensor are not known while tracing."""
        if id(tensor) in self.bound:
            raise TraceError(
                f"The tensor {tensor.name or tensor.spec} has no number while a function is traced.",
                hint="use operations of pellucid.ops instead of float(), int() or NumPy",
            )

    def graph(self, name: str, outputs: Sequence[Var]) -> Graph:
        """The frozen graph of what was written down."""
        return Graph(name, tuple(self.inputs), tuple(self.constants.items()), tuple(self.nodes), tuple(outputs))


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced function: its graph, the nest of its results, and which tensors it used and assigned.

    The graph's inputs are the leaves of the arguments, then ``captured``; its outputs are the leaves of the result,
    then the new values of ``assigned``.
    """

    graph: Graph
    structure: nest.Structure
    captured: tuple[Tensor, ...]
    assigned: tuple[Tensor, ...]


def trace(
    function: Callable[..., Any],
    *args: Any,
    bind: Sequence[Tensor] = (),
    capture: bool = False,
    name: str | None = None,
    arg_names: Sequence[str | None] = (),
) -> Traced:
    """The graph of ``function`` for arguments of the given shapes.

    Args:
        function: Any Python function of tensors. It runs once, on variables.
        args: Nests of :class:`~pellucid.op.Spec`, tensors or arrays; only their shapes and types matter.
        bind: Tensors that become inputs wherever the function uses them.
        capture: Bind every other tensor that the function uses, too.
        name: The graph's name; by default the function's.
        arg_names: Names for the leaves of the arguments.

    Raises:
        TraceError: The function decides on numbers that are not there yet.

    >>> print(trace(lambda x, w: x @ w, Spec((2, 3), np.dtype("float32")), np.ones((3, 1), "float32")).graph)
    graph f(in0: float32[2, 3], in1: float32[3, 1]):
      %0: float32[2, 1] = matmul(in0, in1)
      return %0
    """
    leaves, structure = nest.flatten(args)
    names = [*arg_names, *[None] * (len(leaves) - len(arg_names))]
    tracer = Tracer(capture)
    variables = [tracer.input(spec_of(leaf), label) for leaf, label in zip(leaves, names, strict=True)]
    for tensor in bind:
        tracer.bind(tensor)
    with interpreting(tracer):
        result = function(*nest.unflatten(structure, variables))
        flat, out_structure = nest.flatten(result)
        outputs = [tracer.lift(x if isinstance(x, Value) else array(x)) for x in flat]
        outputs += [tracer.bound[key] for key in tracer.assigned]
    title = name or getattr(function, "__name__", "f").replace("<lambda>", "f")
    graph = tracer.graph(title, outputs)
    return Traced(graph, out_structure, tuple(tracer.captured), tuple(tracer.assigned.values()))


def spec_of(x: Any) -> Spec:
    """The spec of a spec, value, array or number."""
    if isinstance(x, Spec):
        return x
    if isinstance(x, Value):
        return x.spec
    values = x if isinstance(x, np.ndarray) else array(x)
    return Spec(values.shape, values.dtype)


def inline(graph: Graph, *values: Any) -> list[Any]:
    """Carry out a graph's operations on values: inside a trace this copies the graph into it.

    Raises:
        ShapeError: The values do not have the specs of the graph's inputs.
    """
    if len(values) != len(graph.inputs):
        raise ShapeError(f"graph {graph.name} takes {len(graph.inputs)} inputs, not {len(values)}")
    env: dict[Var, Any] = {}
    for var, value in zip(graph.inputs, values, strict=True):
        if spec_of(value) != var.spec:
            raise ShapeError(f"graph {graph.name}: input {var.name or '?'} is {var.spec}, not {spec_of(value)}")
        env[var] = value
    env.update(graph.constants)
    for node in graph.nodes:
        with exact_scope(node.scope):  # the copy keeps the names of the layers
            env[node.output] = apply(node.op, *(env[v] for v in node.inputs), **node.attributes)
    return [env[v] for v in graph.outputs]
