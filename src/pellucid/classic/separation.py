"""Whether one unit can tell two classes apart: a proof either way, by linear programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.classic.neuron import McCullochPitts
from pellucid.errors import DataError
from pellucid.shapes import show

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Separation:
    """Either a unit that separates two classes, or a point that proves that there is none.

    Args:
        unit: A unit that is 1 on every example of the second class and 0 on every one of the first, or None.
        common_point: float64 [features]: a weighted mean of the first class that is also one of the second, or None.
            Every unit is 1 on a half space, and half spaces are convex: a unit that separated the classes would have
            to be both 0 and 1 at this point.
        shares: float64 [N]: the weights of the examples in the two means; within each class they sum to 1.
    """

    unit: McCullochPitts | None
    common_point: np.ndarray | None = None
    shares: np.ndarray | None = None

    @property
    def separable(self) -> bool:
        """Whether one unit computes the classes."""
        return self.unit is not None


def separate(x: Any, y: Any) -> Separation:
    """Find a unit with step(w · x + b) = y for all examples, or prove that there is none.

    The largest t with s (w · x + b) >= t, |w| <= 1 and s = ±1 is a linear program; t > 0 separates. If there is none,
    the convex hulls of the two classes share a point (the theorem of the separating hyperplane), which a second
    linear program finds.

    Args:
        x: Examples [N, features].
        y: Two classes [N]; the unit is 1 on the larger label.

    Returns:
        The unit or the common point.

    Raises:
        DataError: The shapes do not fit, or there are not two classes.

    Source: Minsky, Papert, "Perceptrons", 1969, for the limits of one unit.

    >>> corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> separate(corners, [0, 0, 0, 1]).separable
    True
    >>> xor = separate(corners, [0, 1, 1, 0])
    >>> xor.separable, xor.common_point.round(6).tolist()
    (False, [0.5, 0.5])
    """
    x, second = _checked(x, y)
    unit = _unit(x, second)
    if unit is not None:
        return Separation(unit)
    shares = _common_shares(x, second)
    return Separation(None, shares[second] @ x[second], shares)


def _checked(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise DataError(f"separate takes x [N, features] and y [N], not {show(x.shape)} and {show(y.shape)}.")
    if not np.isfinite(x).all():
        raise DataError("separate: x has values that are not finite.")
    labels = np.unique(y)
    if len(labels) != 2:
        raise DataError(f"separate: y must have two classes, not {len(labels)}.")
    return x, y == labels[1]


def _unit(x: np.ndarray, second: np.ndarray) -> McCullochPitts | None:
    from scipy.optimize import linprog

    rows, features = x.shape
    centre, scale = x.mean(axis=0), max(float(np.abs(x - x.mean(axis=0)).max()), 1e-300)
    sign = np.where(second, 1.0, -1.0)[:, None]
    # Variables: w [features], b, t; maximise t.
    constraints = np.hstack([-sign * (x - centre) / scale, -sign, np.ones((rows, 1))])
    cost = np.zeros(features + 2)
    cost[-1] = -1
    bounds = [(-1, 1)] * features + [(None, None), (None, 1)]
    found = linprog(cost, A_ub=constraints, b_ub=np.zeros(rows), bounds=bounds, method="highs").x
    if found[-1] <= _TOLERANCE:
        return None
    weights = found[:features] / scale
    unit = McCullochPitts.from_bias(tuple(weights), float(found[features] - weights @ centre))
    return unit if np.array_equal(unit(x), second.astype(int)) else None


def _common_shares(x: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.optimize import linprog

    rows, features = x.shape
    sign = np.where(second, 1.0, -1.0)
    equations = np.vstack([(x * sign[:, None]).T, second.astype(float), (~second).astype(float)])
    right = np.concatenate([np.zeros(features), [1.0, 1.0]])
    found = linprog(np.zeros(rows), A_eq=equations, b_eq=right, bounds=(0, None), method="highs")
    if found.x is None:
        raise DataError("separate: the classes are too close together to be told apart in float64.")
    return found.x
