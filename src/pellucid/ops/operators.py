"""Python's operators and the usual methods, shared by eager tensors and traced variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pellucid.dtypes import DType
from pellucid.errors import DTypeError, ShapeError
from pellucid.op import Value
from pellucid.ops import composite, contraction, elementwise, indexing, movement, reduction
from pellucid.ops.promotion import cast

Axes = int | Sequence[int] | None


#: NumPy's name of a function -> the operation.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": elementwise.add,
    "subtract": elementwise.sub,
    "multiply": elementwise.mul,
    "divide": elementwise.div,
    "power": elementwise.pow,
    "matmul": contraction.matmul,
    "negative": elementwise.neg,
    "absolute": elementwise.abs,
    "sign": elementwise.sign,
    "floor": elementwise.floor,
    "ceil": elementwise.ceil,
    "exp": elementwise.exp,
    "expm1": elementwise.expm1,
    "log": elementwise.log,
    "log1p": elementwise.log1p,
    "sqrt": elementwise.sqrt,
    "square": composite.square,
    "sin": elementwise.sin,
    "cos": elementwise.cos,
    "tanh": elementwise.tanh,
    "maximum": elementwise.maximum,
    "minimum": elementwise.minimum,
    "isfinite": elementwise.is_finite,
    "equal": elementwise.equal,
    "not_equal": elementwise.not_equal,
    "less": elementwise.less,
    "less_equal": elementwise.less_equal,
    "greater": elementwise.greater,
    "greater_equal": elementwise.greater_equal,
    "bitwise_and": elementwise.logical_and,
    "bitwise_or": elementwise.logical_or,
    "logical_and": elementwise.logical_and,
    "logical_or": elementwise.logical_or,
    "logical_not": elementwise.logical_not,
}


class Operators(Value):
    """A value with operators: ``x + y``, ``x @ w``, ``x[0]``, ``x.sum()``."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis."""
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        total = 1
        for n in self.spec.shape:
            total *= n
        return total

    @property
    def T(self) -> Any:  # noqa: N802 - the field's name for the transpose
        """The axes in reverse order."""
        return movement.transpose(self)

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's elementwise functions, as operations: ``np.exp(x)`` is ``ops.exp(x)``."""
        operation = _FUNCTIONS.get(function.__name__)
        if operation is None or method != "__call__" or options:
            raise DTypeError(
                f"np.{function.__name__} does not work on tensors.",
                hint="use pellucid.ops, or np.asarray(x) where no gradient is wanted",
            )
        return operation(*inputs)

    def __len__(self) -> int:
        if not self.spec.shape:
            raise ShapeError("len: a single number has no length")
        return self.spec.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        return indexing.index(self, key)

    def __add__(self, other: Any) -> Any:
        return elementwise.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return elementwise.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return elementwise.sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return elementwise.sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return elementwise.mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return elementwise.mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return elementwise.div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return elementwise.div(other, self)

    def __pow__(self, other: Any) -> Any:
        return elementwise.pow(self, other)

    def __rpow__(self, other: Any) -> Any:
        return elementwise.pow(other, self)

    def __matmul__(self, other: Any) -> Any:
        return contraction.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return contraction.matmul(other, self)

    def __neg__(self) -> Any:
        return elementwise.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return elementwise.abs(self)

    def __eq__(self, other: Any) -> Any:
        return elementwise.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return elementwise.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return elementwise.less(self, other)

    def __le__(self, other: Any) -> Any:
        return elementwise.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return elementwise.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return elementwise.greater_equal(self, other)

    def __and__(self, other: Any) -> Any:
        return elementwise.logical_and(self, other)

    def __or__(self, other: Any) -> Any:
        return elementwise.logical_or(self, other)

    def __invert__(self) -> Any:
        return elementwise.logical_not(self)

    # == compares elements, so identity is what a set or a dict key means.
    __hash__ = object.__hash__

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """The sum over one or several axes, all by default."""
        return movement.sum(self, axis, keepdims)

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """The arithmetic mean over one or several axes, all by default."""
        return composite.mean(self, axis, keepdims)

    def max(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """The largest element over one or several axes, all by default."""
        return reduction.max(self, axis, keepdims)

    def min(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """The smallest element over one or several axes, all by default."""
        return reduction.min(self, axis, keepdims)

    def argmax(self, axis: int = -1) -> Any:
        """The index of the first largest element along an axis."""
        return reduction.argmax(self, axis)

    def reshape(self, *shape: Any) -> Any:
        """The same elements in another shape; one size may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return movement.reshape(self, sizes)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, reversed by default."""
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        return movement.transpose(self, order or None)

    def detach(self) -> Any:
        """The same numbers; no gradient flows back through them."""
        return elementwise.stop_gradient(self)

    def astype(self, dtype: Any) -> Any:
        """The elements converted to another type."""
        return cast(self, dtype)
