"""Directions in the space of a model's weights: random ones of a comparable length, and those of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.analysis.surface import LossSurface
from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.fields import Integer, require
from pellucid.train import Callback

NORMALISATIONS = ("filter", "layer", "none")


def random_direction(surface: LossSurface, normalise: str = "filter", *, seed: int = 0) -> np.ndarray:
    """A random direction [n] whose parts are as long as the weights that they move.

    A network with ReLU computes the same after one layer's weights are doubled and the next one's halved, so a step of
    a fixed length means nothing. With ``"filter"`` each filter of a convolution and each unit's weights in a dense
    layer (all that belongs to one place of the last axis) get a part as long as themselves; with ``"layer"`` each
    parameter as a whole. Biases and the scales of normalisations get none. ``"none"`` is a direction of length 1.

    Raises:
        ConfigurationError: The normalisation is unknown, or nothing is left of the direction.

    Source: Li et al., "Visualizing the loss landscape of neural nets", 2018.
    """
    require("random_direction", "seed", seed, Integer(0))
    if normalise not in NORMALISATIONS:
        raise unknown_name("normalisation", normalise, NORMALISATIONS)
    drawn = np.random.default_rng(seed).normal(size=surface.point.size)
    if normalise == "none":
        return drawn / np.linalg.norm(drawn)
    weights = surface.split(surface.point)
    parts = {name: _as_long(part, weights[name], normalise) for name, part in surface.split(drawn).items()}
    found = surface.join(parts)
    if not found.any():
        raise ConfigurationError(
            f"No parameter has two axes and weights that are not 0, so that the {normalise}-normalised direction is 0.",
            hint="normalise='none' takes a direction of length 1 in all parameters",
        )
    return found


def _as_long(direction: np.ndarray, weights: np.ndarray, normalise: str) -> np.ndarray:
    if weights.ndim < 2:
        return np.zeros_like(direction)
    axes = tuple(range(weights.ndim - 1)) if normalise == "filter" else None
    own, wanted = (np.sqrt(np.sum(a**2, axis=axes, keepdims=True)) for a in (direction, weights))
    return direction * wanted / np.maximum(own, 1e-300)


class WeightTrajectory(Callback):
    """Keeps the trainable weights before training and after epochs, for landscapes along the way that training took.

    Args:
        every: Keep those of every so many epochs; the last are kept in any case.

    Attributes:
        epochs: 0 for the weights before training, then the number of finished epochs.
        weights: The weights of each, as arrays by name.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model, way = Sequential([Input((2,)), Dense(1)]), WeightTrajectory()
    >>> model.compile("mse")
    >>> history = model.fit(np.eye(2), np.ones(2), epochs=3, callbacks=[way], verbose=0)
    >>> way.epochs, way.weights[0]["dense.kernel"].shape
    ([0, 1, 2, 3], (2, 1))
    """

    def __init__(self, every: int = 1) -> None:
        require("WeightTrajectory", "every", every, Integer(1))
        self.every = every
        self.epochs: list[int] = []
        self.weights: list[dict[str, np.ndarray]] = []
        self._last = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Keep the weights before training; a further fit goes on where the last ended."""
        if not self.epochs:
            self._keep(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the weights where it is time."""
        self._last = epoch + 1
        if self._last % self.every == 0:
            self._keep(self._last)

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the last weights."""
        if self.epochs[-1] < self._last:
            self._keep(self._last)

    def _keep(self, epoch: int) -> None:
        self.epochs.append(epoch)
        self.weights.append({str(p.name): p.numpy().copy() for p in self.model.trainable_parameters})

    def points(self, surface: LossSurface) -> np.ndarray:
        """The weights as vectors [m, n] of a surface."""
        return np.stack([surface.vector("the trajectory", weights) for weights in self.weights])


def points_of(surface: LossSurface, trajectory: Any) -> np.ndarray:
    """The points [m, n] of a trajectory: a WeightTrajectory, an array, or a list of weights by name.

    Raises:
        DataError: There are fewer than two points.
    """
    if not isinstance(trajectory, (WeightTrajectory, Sequence, np.ndarray)) or isinstance(trajectory, str):
        raise DataError(f"A trajectory must be a WeightTrajectory or a list of points, not {trajectory!r}.")
    points = trajectory.weights if isinstance(trajectory, WeightTrajectory) else trajectory
    if len(points) < 2:
        hint = "it keeps weights as a callback of fit: model.fit(..., callbacks=[trajectory])"
        raise DataError(
            f"A trajectory needs two points or more, but has {len(points)}.",
            hint=hint if isinstance(trajectory, WeightTrajectory) else None,
        )
    return np.stack([surface.vector("the trajectory", each) for each in points])


def principal_directions(points: np.ndarray, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions [2, n] along which points are spread most around a centre, and their shares of the variance.

    Raises:
        DataError: The points lie on a line.
    """
    _, spread, directions = np.linalg.svd(points - center, full_matrices=False)
    if len(spread) < 2 or spread[1] <= 1e-12 * max(float(spread[0]), 1e-300):
        raise DataError("The trajectory is a line: it spans no plane.", hint="loss_line(...) looks along a line")
    signs = np.sign(directions[:2] @ (points[0] - center))
    oriented = directions[:2] * np.where(signs == 0, 1.0, signs)[:, None]
    return oriented, spread[:2] ** 2 / np.sum(spread**2)
