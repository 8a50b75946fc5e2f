"""Functions of one or two parameters as surfaces, and the paths that optimisers take down them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid import compile, optim
from pellucid.autodiff import value_and_grad
from pellucid.errors import ConfigurationError, DataError, TraceError, unknown_name
from pellucid.fields import Integer, require
from pellucid.optim import Optimizer
from pellucid.tensor import Tensor

#: A parameter beyond this has diverged.
_FAR = 1e8

Bounds = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Surface:
    """A function of two parameters with the part of the plane in which it is worth looking at.

    Args:
        name: What it is called.
        function: w [2] -> one number, written with Pellucid's operations.
        bounds: (low, high) of each parameter.
        start: Where descents begin.
        minima: Where it is smallest.

    >>> SURFACES["beale"]([3.0, 0.5]).item()
    0.0
    """

    name: str
    function: Callable[[Any], Any]
    bounds: Bounds
    start: tuple[float, float]
    minima: tuple[tuple[float, float], ...] = field(default=())

    def __call__(self, w: Any) -> Any:
        """The height at w [2]."""
        return self.function(w if hasattr(w, "spec") else Tensor(np.asarray(w, np.float64)))


def _beale(w: Any) -> Any:
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


#: Surfaces by name: Beale's test function (1958); a saddle, whose start is almost on its ridge; the lectures' network
#: of two weights, y = w1 w2 x; a valley that is a hundred times as steep across as along; Rosenbrock's curved one
#: (1960).
SURFACES: dict[str, Surface] = {
    surface.name: surface
    for surface in (
        Surface("beale", _beale, ((-1.0, 4.0), (-2.0, 2.0)), (1.0, 1.6), ((3.0, 0.5),)),
        Surface("saddle", lambda w: w[0] ** 2 - w[1] ** 2, ((-1.5, 1.5), (-1.5, 1.5)), (-1.0, 0.01)),
        Surface(
            "two_weights", lambda w: (1 - w[0] * w[1]) ** 2, ((-2.0, 2.0), (-2.0, 2.0)), (-0.5, 0.7),
            ((1.0, 1.0), (-1.0, -1.0)),
        ),
        Surface(
            "valley", lambda w: 0.5 * (w[0] ** 2 + 100 * w[1] ** 2), ((-4.5, 1.0), (-1.0, 1.0)), (-4.0, 0.8),
            ((0.0, 0.0),),
        ),
        Surface(
            "rosenbrock", lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2, ((-2.0, 2.0), (-1.0, 3.0)),
            (-1.2, 1.0), ((1.0, 1.0),),
        ),
    )
}  # fmt: skip


def surface_of(given: Any) -> Any:
    """The surface of a name, or the function itself.

    Raises:
        ConfigurationError: The name is unknown, or it is no function.
    """
    if isinstance(given, str):
        if given not in SURFACES:
            raise unknown_name("surface", given, SURFACES)
        return SURFACES[given]
    if not callable(given):
        raise ConfigurationError(f"A surface must be a name or a function of the parameters, not {given!r}.")
    return given


class Landscape:
    """A function of one or two parameters, compiled.

    Args:
        owner: Who asks, for errors.
        function: f(w) of one number or of w [2]; or f(w1, w2).
        start: A number, or two.

    Attributes:
        start: float64 [] or [2].

    Raises:
        DataError: The start is neither, or not finite, or the surface has two parameters.
    """

    def __init__(self, owner: str, function: Callable[..., Any], start: Any) -> None:
        self._owner = owner
        self.start = _place(owner, function, start)
        of_one = function if self.start.ndim == 0 or _parameters(function) < 2 else lambda w: function(w[0], w[1])
        self.function = of_one
        self._value: Any = compile(of_one)
        self._both: Any = compile(value_and_grad(of_one))
        try:
            self._both(self.start)
        except TraceError:  # it decides on its values: step by step, then
            self._value, self._both = of_one, value_and_grad(of_one)

    def value(self, point: Any) -> float:
        """The height at a point."""
        return float(np.asarray(self._value(np.array(point, np.float64))).reshape(()))

    def value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """The height and the slope at a point."""
        value, gradient = self._both(np.array(point, np.float64))
        return float(np.asarray(value).reshape(())), np.asarray(gradient, np.float64)

    def heights(self, *coordinates: np.ndarray) -> np.ndarray:
        """The heights over coordinates of equal shape, one array per parameter."""
        points = np.stack(coordinates, axis=-1)
        flat = points.reshape(-1, *self.start.shape)
        return np.array([self.value(point) for point in flat]).reshape(points.shape[:-1])

    def path(self, optimizer: Optimizer, steps: int) -> Path:
        """The path of an optimiser from the start."""
        own = optimizer.copy()
        w = Tensor(self.start.copy(), name="w")
        points, losses = [], []
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps + 1):
                loss, gradient = self.value_and_gradient(w.numpy())
                points.append(w.numpy().copy())
                losses.append(loss)
                if not (np.isfinite(loss) and np.isfinite(gradient).all() and np.abs(points[-1]).max() < _FAR):
                    return Path(np.array(points), np.array(losses), diverged=True)
                if step < steps:
                    own.apply([w], [gradient])
        return Path(np.array(points), np.array(losses), diverged=False)


@dataclass(frozen=True)
class Path:
    """Where a descent went.

    Attributes:
        points: float64 [steps + 1] or [steps + 1, 2], the start first.
        losses: The height at each.
        diverged: Whether it left the range of numbers before its last step.
    """

    points: np.ndarray
    losses: np.ndarray
    diverged: bool

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.losses) - 1

    @property
    def grown(self) -> bool:
        """Whether the loss is larger than at the start."""
        return self.diverged or bool(self.losses[-1] > self.losses[0])


def _place(owner: str, function: Any, start: Any) -> np.ndarray:
    """A start, float64 [] or [2]."""
    wanted = ((2,),) if isinstance(function, Surface) else ((), (2,))
    try:
        place = np.array(start, dtype=np.float64)
    except (TypeError, ValueError):
        place = np.full(3, np.nan)
    if place.shape not in wanted or not np.isfinite(place).all():
        number = "one finite number or two" if len(wanted) > 1 else "two finite numbers"
        raise DataError(f"{owner}: start must be {number}, not {start!r}.")
    return place


def descend(function: Any, start: Any = None, optimizer: Any = "sgd", *, steps: int = 50) -> Path:
    """Let an optimiser descend a surface, and keep where it went.

    Args:
        function: f(w) of one number or of w [2], or f(w1, w2), written with Pellucid's operations; or the name of one
            of ``SURFACES``.
        start: A number, or two; a surface has one of its own.
        optimizer: A name or an Optimizer, which is copied.
        steps: How many steps.

    Returns:
        The path.

    Raises:
        ConfigurationError: A name is unknown, or there is no start.
        DataError: The start is neither one number nor two.

    >>> from pellucid.optim import SGD
    >>> descend(lambda w: w**2, 1.0, SGD(0.25), steps=3).points.tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    require("descend", "steps", steps, Integer(1))
    return landscape_of("descend", function, start).path(optim.get(optimizer), steps)


def landscape_of(owner: str, function: Any, start: Any) -> Landscape:
    """The landscape of a function, a surface or a name.

    Raises:
        ConfigurationError: The name is unknown, or there is no start.
    """
    found = surface_of(function)
    if start is None:
        if not isinstance(found, Surface):
            raise ConfigurationError(f"{owner}: a function needs a start, one number or two.")
        start = found.start
    return Landscape(owner, found, start)


def bounds_of(owner: str, function: Any, given: Any, paths: Sequence[Path]) -> Bounds:
    """(low, high) of each parameter: those given, the surface's own, or such that the paths are in sight.

    Raises:
        ConfigurationError: They are not pairs of growing numbers.
    """
    found = surface_of(function)
    dimensions = paths[0].points.ndim
    if given is None and isinstance(found, Surface):
        return found.bounds
    if given is not None:
        pairs = np.asarray(given, dtype=np.float64)
        if pairs.shape == (2,) and dimensions == 1:
            pairs = pairs[None]
        if pairs.shape != (dimensions, 2) or not np.isfinite(pairs).all() or (pairs[:, 0] >= pairs[:, 1]).any():
            raise ConfigurationError(
                f"{owner}: bounds must be (low, high) of each of {dimensions} parameters, not {given!r}."
            )
        return tuple((float(low), float(high)) for low, high in pairs)
    low, high = _in_sight(paths, dimensions)
    room = 0.35 * np.where(high > low, high - low, 2 * np.maximum(np.abs(high), 1.0))
    return tuple((float(a), float(b)) for a, b in zip(low - room, high + room, strict=True))


def _in_sight(paths: Sequence[Path], dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest corner around the paths; of those that diverge only the part near the other ones."""
    kept = [path.points.reshape(-1, dimensions) for path in paths if not path.grown]
    start = paths[0].points[:1].reshape(1, dimensions)
    reach = max((float(np.abs(points - start).max()) for points in kept), default=float(np.abs(start).max()) or 1.0)
    for path in paths:
        points = path.points.reshape(-1, dimensions)
        kept.append(points[np.abs(points - start).max(axis=1) <= 2.5 * reach])
    seen = np.concatenate(kept)
    return seen.min(axis=0), seen.max(axis=0)


def _parameters(function: Callable[..., Any]) -> int:
    """How many arguments a function needs."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)
