"""The eager tensor: a NumPy array that remembers how it was computed, so that gradients can flow back.

>>> w = Tensor([2.0, -1.0], requires_grad=True)
>>> loss = (w * w).sum()
>>> loss.backward()
>>> w.grad
Tensor([ 4., -2.])
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.dtypes import is_float
from pellucid.errors import DifferentiationError, DTypeError, ShapeError, TraceError
from pellucid.op import Op, Spec, Value, apply, current_interpreter, current_scope, infer, set_default_interpreter
from pellucid.ops.elementwise import IDENTITY, add
from pellucid.ops.operators import Operators
from pellucid.ops.promotion import array, operand
from pellucid.reverse import Record, sweep
from pellucid.shapes import show


class _Mode(threading.local):
    recording = True
    watching = 0


_mode = _Mode()


def is_recording() -> bool:
    """Whether operations are recorded at present."""
    return _mode.recording


@contextmanager
def recording(enabled: bool) -> Iterator[None]:
    """Switch the recording of operations on or off for the block."""
    before, _mode.recording = _mode.recording, enabled
    try:
        yield
    finally:
        _mode.recording = before


@contextmanager
def watching() -> Iterator[None]:
    """The block is a function that is being differentiated."""
    _mode.watching += 1
    try:
        yield
    finally:
        _mode.watching -= 1


def no_grad() -> Any:
    """Compute without recording: results have no gradient and cost no memory.

    >>> w = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """
    return recording(False)


class Tensor(Operators):
    """An array of numbers that records the operations it takes part in.

    Args:
        data: Numbers, lists of them, or an array (copied). Python floats become float32, NumPy arrays keep their type.
        dtype: Element type, where another one is wanted.
        requires_grad: Whether gradients with respect to this tensor will be asked for.
        name: What errors and graphs call it.

    Attributes:
        grad: The gradient that ``backward()`` added up, or None.

    Raises:
        DTypeError: The elements are not numbers of a supported type.
    """

    __slots__ = ("__weakref__", "_data", "grad", "name", "record", "requires_grad", "spec", "version")

    def __init__(self, data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str | None = None) -> None:
        wanted = None if dtype is None else dtypes.dtype(dtype)
        values = np.array(data.numpy() if isinstance(data, Tensor) else array(data, wanted), wanted)
        self._fill(values, None, requires_grad, name)
        if requires_grad and not is_float(values.dtype):
            raise DTypeError(f"Only float tensors have gradients, not {values.dtype.name}.", hint="use dtype='float32'")

    def _fill(self, data: np.ndarray, record: Record | None, requires_grad: bool, name: str | None) -> None:
        self._data = data
        self.spec = Spec(data.shape, data.dtype)
        self.record = record
        self.requires_grad = requires_grad
        self.name = name
        self.grad: Tensor | None = None
        self.version = 0

    @classmethod
    def wrap(cls, data: np.ndarray, *, requires_grad: bool = False, name: str | None = None) -> Tensor:
        """A tensor on the array itself, not on a copy."""
        tensor = Tensor.__new__(Tensor)
        tensor._fill(data, None, requires_grad, name)
        return tensor

    # Leaving and entering.

    def numpy(self) -> np.ndarray:
        """The numbers as a read-only NumPy array, without a copy."""
        current_interpreter().read(self)
        view = self._data.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.numpy()
        if copy:
            return np.array(values, dtype)
        return values if dtype is None or dtype == self.dtype else values.astype(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()

    @staticmethod
    def from_dlpack(other: Any) -> Tensor:
        """A tensor on the memory of another library's CPU array."""
        return Tensor.wrap(operand(np.from_dlpack(other)))

    def item(self) -> float | int | bool:
        """The single number of a tensor that holds one.

        Raises:
            ShapeError: It holds none or several.
        """
        current_interpreter().read(self)
        if self._data.size != 1:
            raise ShapeError(f"item: a tensor of shape {show(self.shape)} holds {self._data.size} numbers, not one")
        return self._data.item()

    def tolist(self) -> Any:
        """The numbers as nested Python lists."""
        return self.numpy().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if is_float(self.dtype) or self.dtype == bool:
            hint = "give NumPy the mask itself: .numpy()" if self.dtype == bool else "convert it with .astype('int32')"
            raise DTypeError(f"A {self.dtype.name} tensor is no index.", hint=hint)
        return int(self.item())

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {show(self.shape)} is not one value",
                hint="reduce it first, for instance with .min() or .max()",
            )
        return bool(self.item())

    # Gradients.

    def backward(self, gradient: Any = None, *, create_graph: bool = False) -> None:
        """Add dself/dleaf to ``leaf.grad`` for every leaf with ``requires_grad`` that this was computed from.

        Args:
            gradient: The cotangent to start from; 1 for a single number.
            create_graph: Record the sweep too, so that the gradients can be differentiated.

        Raises:
            DifferentiationError: Nothing was recorded, or an operand has changed since.
            ShapeError: The tensor is not a single number and no ``gradient`` was given.
        """
        if not self.requires_grad:
            raise DifferentiationError(
                f"backward: this {self.spec} was not computed from a tensor that requires gradients.",
                hint="create the leaf with Tensor(..., requires_grad=True), outside of no_grad()",
            )
        start = self._starting_cotangent(gradient)
        leaves = tracked_leaves([self])
        with recording(create_graph):
            for leaf, part in zip(leaves, eager_sweep([self], [start], leaves), strict=True):
                if part is not None:
                    # The first part may be the cotangent of another leaf, too: each leaf gets a tensor of its own.
                    own = part if create_graph else part.detach()
                    leaf.grad = own if leaf.grad is None else add(leaf.grad, own)  # type: ignore[assignment]

    def _starting_cotangent(self, gradient: Any) -> Tensor:
        if gradient is None:
            if self.size != 1:
                raise ShapeError(
                    f"backward: the gradient of a tensor of shape {show(self.shape)} needs a cotangent of that shape",
                    hint="reduce to one number first, or pass gradient=",
                )
            return Tensor.wrap(np.ones(self.shape, self.dtype))
        start = gradient if isinstance(gradient, Tensor) else Tensor(gradient, self.dtype)
        if start.spec != self.spec:
            raise ShapeError(f"backward: the cotangent is {start.spec}, the tensor {self.spec}")
        return start

    def detach(self) -> Tensor:
        """The same numbers without history."""
        return Tensor.wrap(self._data, name=self.name)

    def assign(self, value: Any) -> None:
        """Replace the numbers; shape and type stay.

        While a function is being traced, the assignment becomes an output of the graph.

        Raises:
            ShapeError: The new numbers have another shape.
        """
        current_interpreter().assign(self, value)

    def replace(self, data: np.ndarray) -> None:
        """Put an array of the same spec in the place of the numbers."""
        self._data = data
        self.version += 1

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=100)
        notes = [] if self.dtype in (np.float32, np.int64, np.bool_) else [f"dtype={self.dtype.name}"]
        notes += ["requires_grad=True"] if self.requires_grad else []
        return f"Tensor({', '.join([text, *notes])})"

    def __deepcopy__(self, memo: dict) -> Tensor:
        copied = type(self).__new__(type(self))
        copied._fill(self._data.copy(), None, self.requires_grad, self.name)
        return copied


class Eager:
    """The interpreter that computes at once with NumPy and records what gradients will need."""

    def process(self, op: Op, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Tensor:
        """Check the shapes, compute, and record."""
        tensors = tuple([x if isinstance(x, Tensor) else lift(x) for x in operands])
        spec = infer(op, tensors, attributes)  # before the forward: no raw NumPy message may reach the user
        with np.errstate(all="ignore"):
            data = np.asarray(op.forward(*[t._data for t in tensors], **attributes))
        out = Tensor.wrap(data)
        if _mode.recording and is_float(spec.dtype) and any(t.requires_grad for t in tensors):
            versions = tuple([t.version for t in tensors])
            out.record = Record(op, tensors, attributes, out, current_scope(), versions)
            out.requires_grad = True
        return out

    def leaf(self, value: Any) -> Tensor:
        """A tensor that a gradient can be asked for, linked to ``value`` where that has a history."""
        tensor = value if isinstance(value, Tensor) else lift(array(value))
        if not is_float(tensor.dtype):
            raise DTypeError(
                f"grad: the argument is {tensor.spec}; only float arrays have gradients.",
                hint="convert it with .astype('float32')",
            )
        if tensor.requires_grad:
            return apply(IDENTITY, tensor)
        return Tensor.wrap(tensor._data, requires_grad=True, name=tensor.name)

    def constant(self, value: Any, dtype: Any) -> Tensor:
        """A tensor of known numbers."""
        if isinstance(value, Tensor):
            return value
        return Tensor.wrap(array(value, dtype))

    def assign(self, target: Tensor, value: Any) -> None:
        """Replace the numbers of a tensor."""
        data = array(value.detach() if isinstance(value, Tensor) else value, target.dtype)
        if data.shape != target.shape:
            name = f' "{target.name}"' if target.name else ""
            raise ShapeError(f"assign: the tensor{name} is {target.spec}, the new value {show(data.shape)}")
        target.replace(np.array(data))

    def read(self, tensor: Tensor) -> None:
        """Refuse to hand numbers out while a function is being differentiated by them: their gradient would be lost.

        Raises:
            DifferentiationError: The tensor depends on what is differentiated by.
        """
        if _mode.watching and _mode.recording and tensor.requires_grad:
            raise DifferentiationError(
                f"The numbers of {tensor.name or tensor.spec} are read while a function is being differentiated by it, "
                "so this part of the gradient would be lost.",
                hint="use the operators or pellucid.ops instead of NumPy, math and float(); or x.detach() where it is "
                "meant to be a constant",
            )


EAGER = Eager()
set_default_interpreter(EAGER)


def lift(x: Any) -> Tensor:
    """A tensor on an operand that is none yet."""
    if isinstance(x, Value):
        raise TraceError(
            f"The traced variable {x!r} was used after its trace had ended.",
            hint="return it from the traced function instead of storing it outside",
        )
    return Tensor.wrap(x if isinstance(x, np.ndarray) else array(x))


def tracked_leaves(outputs: list[Any]) -> list[Tensor]:
    """The tensors with ``requires_grad`` but without record that the outputs were computed from, oldest use last."""
    leaves: dict[int, Tensor] = {}
    seen: set[int] = set()
    pending = list(outputs)
    while pending:
        tensor = pending.pop()
        if tensor.record is None:
            if tensor.requires_grad:
                leaves.setdefault(id(tensor), tensor)
        elif tensor.record.serial not in seen:
            seen.add(tensor.record.serial)
            pending.extend(tensor.record.inputs)
    return list(leaves.values())


def eager_sweep(outputs: list[Any], cotangents: list[Any], wanted: list[Any]) -> list[Any]:
    """The reverse sweep over eager records, refusing operands that changed after they were used."""
    return sweep(outputs, cotangents, wanted, _check_unchanged)


def _check_unchanged(record: Record) -> None:
    for tensor, version in zip(record.inputs, record.versions, strict=True):
        if tensor.version != version:
            raise DifferentiationError(
                f"{record.op.name}: its operand {tensor.name or tensor.spec} was assigned to after it was used, "
                "so its gradient would be wrong.",
                hint="call backward() before assign(), or compute the result again",
            )
    if record.output.version:
        raise DifferentiationError(
            f"{record.op.name}: its result {record.output.spec} was assigned to, so its gradient would be wrong.",
            hint="call detach() on the result before assign()",
        )
