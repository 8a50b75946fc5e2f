"""A plain function of some parameters as a loss surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid import compile, nest
from pellucid.analysis.surface import LossSurface
from pellucid.autodiff import hvp, value_and_grad
from pellucid.errors import BackendError, DataError, ShapeError, TraceError
from pellucid.shapes import show
from pellucid.tensor import Tensor


class FunctionSurface(LossSurface):
    """A function of some parameters.

    Args:
        owner: Who asks, for errors.
        function: f(w) that gives one number.
        w: An array, or a nest of arrays.
    """

    def __init__(self, owner: str, function: Callable[[Any], Any], w: Any) -> None:
        w = _arrays(owner, w)
        arrays, self._structure = nest.flatten(w)
        if not sum(a.size for a in arrays):
            raise DataError(f"{owner}: the function has no parameter: w is empty.")
        super().__init__(_names(w), [a.shape for a in arrays], np.concatenate([a.reshape(-1) for a in arrays]))
        self._owner = owner
        self._value: Any = function
        self._both: Any = value_and_grad(function)
        self._product: Any = lambda point, v: hvp(function, point, v)
        self._compile()

    def _compile(self) -> None:
        """Compiled where the engine knows the operations; step by step where the function decides on its numbers."""
        here = self._nest(self.point)
        plain = (self._value, self._both, self._product)
        for backend in (None, "reference"):
            try:
                self._value, self._both, self._product = (compile(f, backend) for f in plain)
                self._both(here)
                self._product(here, here)
                return
            except BackendError:
                continue
            except (TraceError, AttributeError):  # a variable of a trace has no numbers, and not all that a tensor has
                break
            except ShapeError as error:
                raise error.with_context(f"{self._owner}: {error.message}", ()) from None
        self._value, self._both, self._product = plain
        self._both(here)  # what is wrong with the function itself shows here

    def _nest(self, vector: np.ndarray) -> Any:
        return nest.unflatten(self._structure, [Tensor(part) for part in self.split(vector).values()])

    def _vector(self, of: Any) -> np.ndarray:
        return np.concatenate([np.asarray(leaf, np.float64).reshape(-1) for leaf in nest.flatten(of)[0]])

    def values(self, points: np.ndarray) -> np.ndarray:
        """The function at points [k, n]."""
        found = [np.asarray(self._value(self._nest(point)), np.float64) for point in points]
        return np.array([one.reshape(()) for one in found], dtype=np.float64)

    def value_and_gradient(self, point: Any = None) -> tuple[float, np.ndarray]:
        """The function and its gradient."""
        value, gradient = self._both(self._nest(self.at(point)))
        return float(np.asarray(value).reshape(())), self._vector(gradient)

    def products(self, vectors: np.ndarray, point: Any = None) -> np.ndarray:
        """The Hessian times each of some vectors."""
        here = self._nest(self.at(point))
        return np.stack([self._vector(self._product(here, self._nest(vector))) for vector in vectors])


def _arrays(owner: str, w: Any) -> Any:
    """The nest with float64 arrays for leaves: lists of plain numbers, wherever they are, count as one."""
    if isinstance(w, dict):
        return {key: _arrays(owner, item) for key, item in w.items()}
    if isinstance(w, (list, tuple)) and not _is_numbers(w):
        items = [_arrays(owner, item) for item in w]
        return type(w)(*items) if hasattr(w, "_fields") else type(w)(items)
    return _checked(owner, w)


def _is_numbers(w: list | tuple) -> bool:
    """Whether it holds plain numbers, or lists of them alone: no arrays, no dicts, no names."""
    if hasattr(w, "_fields"):
        return False
    return all(_is_numbers(i) if isinstance(i, (list, tuple)) else not _is_leaf_or_dict(i) for i in w)


def _is_leaf_or_dict(item: Any) -> bool:
    return isinstance(item, dict) or (hasattr(item, "__array__") and not isinstance(item, np.generic))


def _checked(owner: str, leaf: Any) -> np.ndarray:
    try:
        array = np.array(leaf, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{owner}: the parameters must be numbers, not {leaf!r}.") from None
    if not np.isfinite(array).all():
        raise DataError(f"{owner}: the parameters {show(array.shape)} hold NaN or infinity.")
    return array


def _names(w: Any, prefix: str = "w") -> list[str]:
    """Names of the leaves in the order of ``nest.flatten``: keys joined by dots, positions in brackets."""
    if isinstance(w, dict):
        start = "" if prefix == "w" else f"{prefix}."
        keys = sorted(w, key=lambda key: (type(key).__name__, key))
        return [name for key in keys for name in _names(w[key], f"{start}{key}")]
    if isinstance(w, (list, tuple)):
        return [name for number, item in enumerate(w) for name in _names(item, f"{prefix}[{number}]")]
    return [prefix]
