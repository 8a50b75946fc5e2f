"""One operation, the registry of all of them, and ``apply``: the only way an operation is ever carried out.

An :class:`Op` is the whole mathematics of one primitive in one declaration: which shapes it takes, what it computes
and how a cotangent flows back through it. ``apply`` hands an operation to the interpreter in force: the eager one of
``tensor.py``, or the tracer of ``graph/trace.py`` while a function is being traced.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError, DTypeError, PellucidError, ShapeError
from pellucid.shapes import Shape, show

Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of an array before it exists: its shape and element type."""

    shape: Shape
    dtype: DType

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.name}{show(self.shape)}"


class Value:
    """Anything an operation takes or gives: an eager tensor or a variable of a graph.

    Attributes:
        spec: Shape and element type.
        record: The operation that made it, or None for a leaf.
        name: What the user calls it, or None.
    """

    __slots__ = ()
    spec: Spec
    record: Any
    name: str | None

    # NumPy arrays on the left of an operator must defer to ours; operators.py says what its functions do.
    __array_priority__ = 1000


@dataclass(frozen=True, eq=False)
class Op:
    """One primitive operation.

    Args:
        name: Its name in printed graphs and errors.
        infer: The shape rule: operand specs and attributes to the result's :class:`Spec`; raises ``ShapeError``.
        forward: The NumPy forward: arrays and attributes to an array of exactly that spec.
        vjp: How a cotangent flows back. A tuple with one rule per operand, ``rule(ct, out, *operands, **attributes)``,
            or a function from the operand's index to such a rule; rules call operations, never NumPy, so that they
            can be differentiated again. None: no derivative exists.
        formula: How the result is written, with ``{0}``, ``{1}`` for the operands and ``{axes}`` for attributes.
        broadcasts: Operands stretch to the common shape; the reverse sweep sums their cotangents back.
    """

    name: str
    infer: Callable[..., Spec]
    forward: Callable[..., np.ndarray]
    vjp: tuple[Rule | None, ...] | Callable[[int], Rule | None] | None
    formula: str = ""
    broadcasts: bool = False
    operands: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(
            name
            for name, parameter in inspect.signature(self.infer).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        )
        object.__setattr__(self, "operands", names)
        if self.name in REGISTRY:
            raise ConfigurationError(f"An operation named {self.name!r} is registered already.")
        REGISTRY[self.name] = self

    def __deepcopy__(self, memo: dict[int, Any]) -> Op:
        """Itself: there is one operation of a name, and copies of what holds it mean the same one."""
        return self

    def rule(self, index: int) -> Rule | None:
        """The vjp rule of one operand; None where no derivative exists."""
        if self.vjp is None:
            return None
        return self.vjp[index] if isinstance(self.vjp, tuple) else self.vjp(index)

    def operand_name(self, index: int) -> str:
        """What the shape rule calls the operand."""
        return self.operands[index] if index < len(self.operands) else f"operand {index}"

    def write(self, operands: Sequence[str], attributes: dict[str, Any]) -> str:
        """The result as a formula of its operands."""
        if self.formula:
            return self.formula.format(*operands, **attributes)
        written = [*operands, *(f"{key}={show_attribute(value)}" for key, value in attributes.items())]
        return f"{self.name}({', '.join(written)})"

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        """Carry out the operation on values, arrays and numbers that already have the right types."""
        return apply(self, *operands, **attributes)

    def __repr__(self) -> str:
        return f"Op({self.name!r})"


REGISTRY: dict[str, Op] = {}


class Interpreter(Protocol):
    """What carries out operations: the eager one, or a tracer."""

    def process(self, op: Op, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
        """The value of one operation."""
        ...

    def leaf(self, value: Any) -> Any:
        """A value that a gradient can be asked for."""
        ...

    def constant(self, value: Any, dtype: DType | None) -> Any:
        """A value of known numbers."""
        ...

    def assign(self, target: Any, value: Any) -> None:
        """Replace the numbers of a tensor."""
        ...

    def read(self, tensor: Any) -> None:
        """Called before the numbers of a tensor are read as numbers."""
        ...


class _State(threading.local):
    """What differs between threads: the stack of interpreters, and the layer being called."""

    def __init__(self) -> None:
        self.interpreters: list[Interpreter] = []
        self.scope: tuple[str, ...] = ()
        self.placeholder: int | None = None


_state = _State()
_default: list[Interpreter] = []


def set_default_interpreter(interpreter: Interpreter) -> None:
    """Name the interpreter that works when no trace is open (``tensor.py`` calls this once)."""
    _default[:] = [interpreter]


def apply(op: Op, *operands: Any, **attributes: Any) -> Any:
    """Carry out ``op``: the single point that every operation passes."""
    stack = _state.interpreters
    return (stack[-1] if stack else _default[0]).process(op, operands, attributes)


def current_interpreter() -> Interpreter:
    """The interpreter that the next operation goes to."""
    return _state.interpreters[-1] if _state.interpreters else _default[0]


@contextmanager
def interpreting(interpreter: Interpreter) -> Iterator[None]:
    """Send the operations of the block to ``interpreter``."""
    _state.interpreters.append(interpreter)
    try:
        yield
    finally:
        _state.interpreters.pop()


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the layer whose operations follow; errors and graphs show it."""
    outer = _state.scope
    _state.scope = (*outer, name)
    try:
        yield
    finally:
        _state.scope = outer


@contextmanager
def exact_scope(path: tuple[str, ...]) -> Iterator[None]:
    """Restore a whole layer path, as it was when a node was recorded."""
    outer = _state.scope
    _state.scope = path
    try:
        yield
    finally:
        _state.scope = outer


@contextmanager
def batch_placeholder(size: int) -> Iterator[None]:
    """Say that a first axis of this size stands for a batch of any size; errors then show it as a question mark."""
    outer, _state.placeholder = _state.placeholder, size
    try:
        yield
    finally:
        _state.placeholder = outer


def _shown(operand: Any) -> str:
    """The spec of an operand as errors show it; a named operand is a parameter, which has no batch axis."""
    shape, name = operand.spec.shape, getattr(operand, "name", None)
    if shape and shape[0] == _state.placeholder and name is None:
        return f"{operand.spec.dtype.name}{show((None, *shape[1:]))}"
    return str(operand.spec)


def current_scope() -> tuple[str, ...]:
    """The path of layer names in force."""
    return _state.scope


def infer(op: Op, operands: Sequence[Any], attributes: dict[str, Any]) -> Spec:
    """The result's spec by the shape rule; an error names the operation, both operands, the layer and the line."""
    try:
        return op.infer(*(operand.spec for operand in operands), **attributes)
    except (ShapeError, DTypeError, ConfigurationError) as error:
        raise explain(error, op, operands) from None


def explain(error: PellucidError, op: Op, operands: Sequence[Any]) -> PellucidError:
    """The error of a shape rule with everything a reader needs to find its cause."""
    details = []
    width = max((len(op.operand_name(i)) for i in range(len(operands))), default=0)
    for index, operand in enumerate(operands):
        name = f'   "{operand.name}"' if getattr(operand, "name", None) else ""
        details.append(f"{(op.operand_name(index) + ':').ljust(width + 1)} {_shown(operand)}{name}")
    if _state.scope:
        details.append(f'in layer "{"/".join(_state.scope)}"')
    place = user_line()
    if place:
        details.append(f"at {place}")
    return error.with_context(f"{op.name}: {error.message}", details)


_PACKAGE = str(Path(__file__).parent)


def user_line() -> str | None:
    """File, line and function of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith(_PACKAGE) and "contextlib" not in filename:
            return f"{Path(filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return None


def show_attribute(value: Any) -> str:
    """An attribute as text, the same on every run."""
    return value.name if isinstance(value, np.dtype) else str(value)
