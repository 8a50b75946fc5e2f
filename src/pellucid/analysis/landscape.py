"""Landscapes: the loss along a line and in a plane of the space of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.analysis.directions import points_of, principal_directions, random_direction
from pellucid.analysis.landscape_plots import LossLine, LossPlane
from pellucid.analysis.model_surface import ModelSurface
from pellucid.analysis.surface import LossSurface
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.fields import Integer, require
from pellucid.nn import BatchNorm
from pellucid.train import Model


def loss_line(
    target: Any,
    *at: Any,
    to: Any = None,
    direction: Any = None,
    positions: Any = None,
    count: int = 51,
    normalise: str | None = None,
    seed: int = 0,
    validation_data: Any = None,
    batch_norm: str | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
) -> LossLine:
    """The loss along a line: ``loss_line(model, x, y, to=other)`` or ``loss_line(model, x, y)``.

    L(w + t d) over t, where d = w' - w leads to the weights of another model (which is at t = 1), or is a direction:
    one of your own, or a random one whose filters are as long as the model's.

    Args:
        target: A compiled model, or a function f(w).
        at: For a model, x and y; for a function, w.
        to: Another model of the same architecture, its weights by name, or a point [n].
        direction: A vector [n] or arrays by name.
        positions: The values of t, which come back growing; by default ``count`` of them from -0.5 to 1.5 (``to``) or
            -1 to 1.
        count: How many.
        normalise, seed: Of a random direction, see ``random_direction``.
        validation_data: (x, y) whose loss is wanted, too.
        batch_norm: ``"recomputed"``, the default where a model has BatchNorm: at each point its statistics are those
            that the data have there. ``"kept"``: the model's moving statistics everywhere, which elsewhere than at its
            own weights belong to no network.
        batch_size, dtype: As for ``Curvature``; by default a model is computed in its own type.

    Returns:
        Positions and losses; ``.plot()`` draws them.

    Raises:
        ConfigurationError: Both ``to`` and ``direction`` are given, or the other model has another architecture.

    Source: Goodfellow et al., "Qualitatively characterizing neural network optimization problems", 2015.

    >>> line = loss_line(lambda w: (1 - w[0] * w[1]) ** 2, [1.0, 1.0], to=[-1.0, -1.0], positions=[0.0, 0.5, 1.0])
    >>> line.losses.tolist(), line.barrier
    ([0.0, 1.0, 0.0], 1.0)
    """
    owner = "loss_line"
    require(owner, "count", count, Integer(2))
    if to is not None and direction is not None:
        raise ConfigurationError(f"{owner}: give to= or direction=, not both.")
    settings = _settings(owner, target, batch_norm, batch_size, dtype)
    surface = surface_of(owner, target, at, **settings)
    if to is not None:
        along = _other(owner, surface, to) - surface.point
        if not along.any():
            raise DataError(f"{owner}: to= has the same weights, so that there is no line between the two.")
    else:
        along = (
            random_direction(surface, _normalisation(surface, normalise), seed=seed)
            if direction is None
            else _direction(surface, direction)
        )
    low, high = (-0.5, 1.5) if to is not None else (-1.0, 1.0)
    where = _positions(owner, "positions", positions, low, high, count)
    points = surface.point + where[:, None] * along
    held_out = None
    if validation_data is not None:
        if not isinstance(target, Model) or not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise ConfigurationError(f"{owner}: validation_data must be (x, y), for a model.")
        other = surface_of(owner, target, tuple(validation_data), **{**settings, "batch_norm": "kept"})
        held_out = _validated(surface, other, points)
    return LossLine(where, surface.values(points), held_out, along, to is not None)


def _validated(surface: LossSurface, other: LossSurface, points: np.ndarray) -> np.ndarray:
    """Losses on other data, with the statistics that the training data have at each point."""
    assert isinstance(surface, ModelSurface)
    assert isinstance(other, ModelSurface)
    other.lend_statistics(surface)
    return other.values(points)


def loss_plane(
    target: Any,
    *at: Any,
    directions: Any = None,
    through: Any = None,
    trajectory: Any = None,
    span: Any = None,
    count: int = 25,
    normalise: str | None = None,
    seed: int = 0,
    batch_norm: str | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
) -> LossPlane:
    """The loss in a plane: ``loss_plane(model, x, y)``.

    L(w + a u + b v) over a and b. The plane goes through the weights w, and

    * by default along two random directions whose filters are as long as the model's;
    * with ``directions=(u, v)`` along these;
    * with ``through=(one, other)`` through the weights of two more models, which are marked;
    * with ``trajectory=way`` along the two principal components of the way that training took around its end, which is
      drawn. That plane is where the way looks widest: other things happen in the other n - 2 directions.

    Args:
        target: A compiled model, or a function f(w).
        at: For a model, x and y; for a function, w.
        directions: Two vectors [n], or arrays by name.
        through: Two more models of the architecture, weights by name, or points [n].
        trajectory: A ``WeightTrajectory`` that was a callback of the fit, or a list of points.
        span: (low, high) of a and b both, or ((low, high), (low, high)); by default -1 to 1, or what is to be seen.
        count: Points along each axis.
        normalise, seed, batch_norm, batch_size, dtype: As for ``loss_line``.

    Returns:
        Coordinates and losses; ``.plot()`` draws contours, ``.plot_surface()`` a surface.

    Source: Li et al., "Visualizing the loss landscape of neural nets", 2018; Garipov et al., "Loss surfaces, mode
    connectivity, and fast ensembling of DNNs", 2018 (the plane through three models).

    >>> plane = loss_plane(lambda w: (1 - w[0] * w[1]) ** 2, [0.0, 0.0], directions=([1, 0], [0, 1]), count=3)
    >>> plane.losses.tolist()
    [[0.0, 1.0, 4.0], [1.0, 1.0, 1.0], [4.0, 1.0, 0.0]]
    """
    owner = "loss_plane"
    require(owner, "count", count, Integer(2))
    if sum(given is not None for given in (directions, through, trajectory)) > 1:
        raise ConfigurationError(f"{owner}: give one of directions=, through= and trajectory=.")
    surface = surface_of(owner, target, at, **_settings(owner, target, batch_norm, batch_size, dtype))
    origin, marks, path, shares = surface.point, {}, None, None
    if through is not None:
        axes, marks = _through(owner, surface, through)
    elif trajectory is not None:
        points = points_of(surface, trajectory)
        origin = points[-1]
        axes, shares = principal_directions(points, origin)
        path = (points - origin) @ axes.T
    elif directions is not None:
        axes = np.stack([_direction(surface, each) for each in _two(owner, "directions", directions)])
    else:
        axes = np.stack(
            [random_direction(surface, _normalisation(surface, normalise), seed=seed + number) for number in (0, 1)]
        )
    _independent(owner, axes)
    seen = path if path is not None else np.array(list(marks.values())) if marks else None
    (left, right), (low, high) = _spans(owner, span, seen)
    across, up = np.linspace(left, right, count), np.linspace(low, high, count)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    losses = np.concatenate([surface.values(origin + part @ axes) for part in _parts(grid, origin.size)])
    return LossPlane(across, up, losses.reshape(count, count), axes, marks, path, shares)


def _parts(grid: np.ndarray, size: int) -> list[np.ndarray]:
    """The points of a grid in parts that memory has room for as vectors."""
    most = max(64, (1 << 23) // size)
    return [grid[start : start + most] for start in range(0, len(grid), most)]


def _settings(owner: str, target: Any, batch_norm: str | None, batch_size: Any, dtype: Any) -> dict[str, Any]:
    given = {"batch_size": batch_size, "dtype": dtype}
    if not isinstance(target, Model):
        if batch_norm is not None:
            raise ConfigurationError(f"{owner}: batch_norm is a setting of models; a function has none.")
        return given
    if batch_norm not in (None, "recomputed", "kept"):
        raise unknown_name("treatment of batch_norm", batch_norm, ("kept", "recomputed"))
    has = any(isinstance(layer, BatchNorm) for layer in target.sublayers())
    own = next((p.dtype for p in target.trainable_parameters), None)
    return {
        "batch_size": batch_size,
        "dtype": dtype or own,
        "batch_norm": batch_norm or ("recomputed" if has else "kept"),
    }


def _other(owner: str, surface: LossSurface, other: Any) -> np.ndarray:
    """The point of other weights."""
    if isinstance(other, Model):
        weights = {str(p.name): p.numpy() for p in other.trainable_parameters}
        if set(weights) != set(surface.names) and sorted(map(np.shape, weights.values())) == sorted(surface.shapes):
            shapes = [np.shape(w) for w in weights.values()]
            if shapes == list(surface.shapes):  # the same architecture, whose layers have other names
                weights = dict(zip(surface.names, weights.values(), strict=True))
        try:
            return surface.join(weights)
        except (ConfigurationError, ValueError) as error:
            raise ConfigurationError(f'{owner}: the model "{other.label}" has another architecture: {error}') from None
    return surface.vector("the other point", other)


def _normalisation(surface: LossSurface, given: str | None) -> str:
    """Filters are a model's; the parameters of a plain function have none."""
    return given or ("filter" if isinstance(surface, ModelSurface) else "none")


def _direction(surface: LossSurface, given: Any) -> np.ndarray:
    found = surface.vector("the direction", given)
    if not found.any():
        raise DataError("the direction is 0 everywhere.")
    return found


def _two(owner: str, name: str, given: Any) -> Any:
    if isinstance(given, (str, dict)) or not hasattr(given, "__len__") or len(given) != 2:
        raise ConfigurationError(f"{owner}: {name} must be two of them, not {given!r}.")
    return given


def _through(owner: str, surface: LossSurface, through: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two orthogonal directions of length 1 to two other points, and where the three lie."""
    one, other = (_other(owner, surface, each) - surface.point for each in _two(owner, "through", through))
    first = one / max(float(np.linalg.norm(one)), 1e-300)
    rest = other - (other @ first) * first
    if np.linalg.norm(rest) <= 1e-9 * np.linalg.norm(other):  # what is left is rounding
        rest = np.zeros_like(rest)
    second = rest / max(float(np.linalg.norm(rest)), 1e-300)
    axes = np.stack([first, second])
    places = {"w": np.zeros(2), "one": axes @ one, "other": axes @ other}
    return axes, places


def _independent(owner: str, axes: np.ndarray) -> None:
    u, v = axes
    across = np.linalg.norm(v - (v @ u) / max(float(u @ u), 1e-300) * u)
    if not u.any() or not v.any() or across <= 1e-9 * max(float(np.linalg.norm(v)), 1e-300):
        raise ConfigurationError(f"{owner}: the two directions lie on one line and span no plane.")


def _positions(owner: str, name: str, given: Any, low: float, high: float, count: int) -> np.ndarray:
    if given is None:
        return np.linspace(low, high, count)
    found = np.asarray(given, np.float64).reshape(-1)
    if not len(found) or not np.isfinite(found).all():
        raise DataError(f"{owner}: {name} must be finite numbers, not {given!r}.")
    return np.sort(found)


def _spans(owner: str, span: Any, seen: np.ndarray | None) -> np.ndarray:
    """(low, high) of both coordinates [2, 2]."""
    if span is not None:
        pairs = np.asarray(span, np.float64)
        pairs = np.stack([pairs, pairs]) if pairs.shape == (2,) else pairs
        if pairs.shape != (2, 2) or not np.isfinite(pairs).all() or (pairs[:, 0] >= pairs[:, 1]).any():
            raise ConfigurationError(f"{owner}: span must be (low, high), or two such pairs, not {span!r}.")
        return pairs
    if seen is None:
        return np.array([[-1.0, 1.0], [-1.0, 1.0]])
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = 0.25 * np.maximum(high - low, 0.1 * (high - low).max())
    return np.stack([low - room, high + room], axis=1)
