"""A loss as a function of one vector of parameters, with its gradient and its Hessian: what this package looks at.

Whether it is a plain function of some numbers or a model's loss over a data set, the vector is float64 [n]: the
parameters in their order, each row by row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.shapes import show, size

#: A Hessian of more parameters than this is not built whole unless it is asked for: n² numbers, n³ operations.
FULL_HESSIAN = 2000


def calm_blas() -> Any:
    """In the block, NumPy's linear algebra uses one thread.

    Where small products and decompositions alternate with the engine's loops, the threads of both wait for each other
    on the same cores: a search on 61 parameters took 20 times as long.
    """
    return threadpool_limits(1, user_api="blas")


class LossSurface(ABC):
    """The loss by its parameters.

    Args:
        names, shapes: The parameters, in the order in which they lie in a vector.
        point: float64 [n], where the surface is looked at unless another place is given.

    Attributes:
        names, shapes, point: As given.
    """

    def __init__(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]], point: np.ndarray) -> None:
        self.names, self.shapes = tuple(names), tuple(tuple(shape) for shape in shapes)
        self._ends = np.cumsum([size(shape) for shape in self.shapes]).astype(int)
        self.point = self.at(point)

    def require_finite(self, owner: str, point: Any = None) -> tuple[float, np.ndarray]:
        """The loss and its gradient where they are numbers.

        Raises:
            DataError: One of them is NaN or infinite.
        """
        with np.errstate(all="ignore"):
            loss, gradient = self.value_and_gradient(point)
        if not np.isfinite(loss):
            raise DataError(
                f"{owner}: the loss is {loss} at these parameters, so that nothing can be said of the place.",
                hint="start from parameters at which the loss is a finite number",
            )
        if not np.isfinite(gradient).all():
            wrong = int(np.flatnonzero(~np.isfinite(gradient))[0])
            name, index = self.place(wrong)
            raise DataError(
                f"{owner}: the loss is {loss:.6g}, but its derivative by {name}{list(index) if index else ''} is "
                f"{gradient[wrong]}.",
                hint="start from parameters at which the loss has a finite gradient",
            )
        return loss, gradient

    @abstractmethod
    def values(self, points: np.ndarray) -> np.ndarray:
        """The losses [k] at points [k, n]."""

    @abstractmethod
    def value_and_gradient(self, point: Any = None) -> tuple[float, np.ndarray]:
        """The loss, and its gradient [n]."""

    @abstractmethod
    def products(self, vectors: np.ndarray, point: Any = None) -> np.ndarray:
        """The Hessian times each of some vectors [k, n]."""

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """The gradients [k, n] at points [k, n]."""
        return np.array([self.gradient(point) for point in points]).reshape(np.shape(points))

    def value(self, point: Any = None) -> float:
        """The loss."""
        return float(self.values(self.at(point)[None])[0])

    def gradient(self, point: Any = None) -> np.ndarray:
        """The gradient [n]."""
        return self.value_and_gradient(point)[1]

    def hvp(self, vector: Any, point: Any = None) -> np.ndarray:
        """The Hessian times a vector [n]; no Hessian is built."""
        return self.products(self.vector("the direction", vector)[None], point)[0]

    def hessian(self, point: Any = None, *, limit: int = FULL_HESSIAN) -> np.ndarray:
        """All second derivatives [n, n], exactly symmetric.

        Raises:
            ConfigurationError: There are more than ``limit`` parameters.
            DataError: A second derivative is NaN or infinite.
        """
        n = self.point.size
        if n > limit:
            raise ConfigurationError(
                f"The full Hessian of {n:,} parameters has {n * n:,} numbers; the limit is {limit:,} parameters.",
                hint="Curvature(...).eigenpairs(), .spectrum() and .trace() need no full Hessian; or raise limit=",
            )
        rows = self.products(np.eye(n), point)
        if not np.isfinite(rows).all():
            wrong = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            name, index = self.place(wrong)
            raise DataError(f"The second derivatives by {name}{list(index) if index else ''} are not all numbers here.")
        return (rows + rows.T) / 2

    def at(self, point: Any) -> np.ndarray:
        """A place as a vector: the surface's own for None."""
        return self.point if point is None else self.vector("the point", point)

    def vector(self, what: str, given: Any) -> np.ndarray:
        """A vector [n] from one, or from arrays by the parameters' names.

        Raises:
            ShapeError: It has another size.
            DataError: It is not finite.
        """
        if isinstance(given, Mapping):
            given = self.join(given)
        try:
            found = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{what} must be numbers, not {given!r}.") from None
        if found.size != (self._ends[-1] if len(self._ends) else 0):
            raise ShapeError(
                f"{what} has shape {show(found.shape)}, but there are {int(self._ends[-1])} parameters",
                details=[f"{name}: {show(shape)}" for name, shape in zip(self.names, self.shapes, strict=True)],
            )
        found = found.reshape(-1)
        if not np.isfinite(found).all():
            wrong = int(np.flatnonzero(~np.isfinite(found))[0])
            name, index = self.place(wrong)
            where = f"{name}[{', '.join(map(str, index))}]" if index else name
            raise DataError(f"{what} holds NaN or infinity: {where} is {found[wrong]}.")
        return found

    def split(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of a vector [..., n] by the parameters' names, each [..., *shape]."""
        parts = np.split(np.asarray(vector), self._ends[:-1], axis=-1)
        return {
            name: part.reshape((*part.shape[:-1], *shape))
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def join(self, parts: Mapping[str, Any]) -> np.ndarray:
        """The vector [n] of arrays by name.

        Raises:
            ConfigurationError: A name is missing or unknown.
            ShapeError: An array has another shape than its parameter.
        """
        if set(parts) != set(self.names):
            raise ConfigurationError(f"The parameters are {list(self.names)}, but {list(parts)} were given.")
        for name, shape in zip(self.names, self.shapes, strict=True):
            if np.shape(parts[name]) != shape:
                raise ShapeError(f'the parameter "{name}" is {show(shape)}, not {show(np.shape(parts[name]))}')
        return np.concatenate([np.asarray(parts[name], np.float64).reshape(-1) for name in self.names])

    def place(self, number: int) -> tuple[str, tuple[int, ...]]:
        """The parameter and the index in it of an element of a vector."""
        which = int(np.searchsorted(self._ends, number, side="right"))
        start = int(self._ends[which - 1]) if which else 0
        shape = self.shapes[which]
        index = tuple(int(i) for i in np.unravel_index(number - start, shape)) if shape else ()
        return self.names[which], index
