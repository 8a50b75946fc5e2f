"""The second-order Taylor model of a loss against the loss itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.drawing import BLUE, COLOURS, INK, LINES, axes_for, quiet
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, require


@dataclass(frozen=True)
class TaylorCheck:
    """How well L(w) + t g^T d + t²/2 d^T H d predicts L(w + t d).

    Attributes:
        steps: float64 [m], the lengths t, growing.
        true, predicted: float64 [k, m], the change of the loss along each of k directions.
        slopes, curvatures: float64 [k], g^T d and d^T H d.
        rounding: float64 [m], the size below which an error at each step is that of float64.
    """

    steps: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    slopes: np.ndarray
    curvatures: np.ndarray
    rounding: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """|true - predicted| [k, m]."""
        return np.abs(self.true - self.predicted)

    @property
    def orders(self) -> np.ndarray:
        """The power of t with which the error of each direction grows [k]: 3 (or more) where the model is right.

        It is the slope of log error over log t at the small end, where the error is above rounding; infinite where it
        never is, as for a quadratic loss; NaN where the loss or one of its derivatives is.
        """
        return np.array([self._order(row) for row in self.errors])

    def _order(self, errors: np.ndarray) -> float:
        if np.isnan(errors).any():
            return float("nan")
        above = np.flatnonzero(errors > 30 * self.rounding)
        if len(above) < 3:
            return float("inf")
        first = above[:4]
        slope, _ = np.polyfit(np.log(self.steps[first]), np.log(errors[first]), 1)
        return float(slope)

    def __str__(self) -> str:
        orders = ", ".join(f"{order:.2f}" for order in self.orders)
        verdict = "belong" if self.passed else "do NOT belong"
        return (
            f"Along {len(self.orders)} directions the error of the second-order model falls with t to the power of "
            f"{orders}: gradient and Hessian {verdict} to the loss."
        )

    @property
    def passed(self) -> bool:
        """Whether every error falls at least like t^2.5: a wrong gradient leaves t, a wrong Hessian t²."""
        return bool((self.orders > 2.5).all())

    def plot(self, ax: Any = None) -> Any:
        """Draw the errors over the steps, with a line of slope 3.

        Returns:
            The axes.
        """
        ax = axes_for("TaylorCheck.plot", ax, (5.4, 4.0))
        for number, (row, order) in enumerate(zip(self.errors, self.orders, strict=True)):
            style = {"color": COLOURS[number % len(COLOURS)], "linestyle": LINES[number % len(LINES)]}
            ax.loglog(self.steps, np.maximum(row, 1e-300), label=f"direction {number + 1}: order {order:.2f}", **style)
        ax.loglog(self.steps, self.rounding, color=INK, linewidth=0.8, linestyle=":", label="rounding")
        middle = self.errors[:, len(self.steps) // 2].max() or self.rounding[len(self.steps) // 2]
        ax.loglog(
            self.steps, middle * (self.steps / self.steps[len(self.steps) // 2]) ** 3, color=BLUE, alpha=0.3,
            linewidth=4, label="t³",
        )  # fmt: skip
        ax.set_ylim(bottom=0.01 * float(self.rounding.min()))
        ax.set_xlabel("t, length of the step")
        ax.set_ylabel("error of the second-order model")
        ax.legend(frameon=False, fontsize=8)
        quiet(ax)
        return ax


def taylor_check(target: Any, *at: Any, directions: Any = 3, steps: Any = None, seed: int = 0) -> TaylorCheck:
    """Compare the loss along some directions with its second-order model: ``taylor_check(model, x, y)``.

    L(w + t d) = L(w) + t g^T d + t²/2 d^T H d + O(t³): an error that falls with t³ shows that gradient and Hessian
    belong to this loss, and up to which t the model can be believed.

    Args:
        target: A function of its parameters, a compiled model, or a loss surface.
        at: For a function, w; for a model, x and y.
        directions: How many random ones of length 1, or an array [k, n] of them.
        steps: The lengths t; by default from 1e-4 to 1.
        seed: Of random directions.

    Raises:
        DataError: A direction or a step cannot be used.

    >>> from pellucid import ops
    >>> check = taylor_check(lambda w: ops.sum(ops.exp(w)), [0.1, 0.2, 0.3])
    >>> check.passed, check.orders.round(1).tolist()
    (True, [3.0, 3.0, 3.0])
    """
    owner = "taylor_check"
    surface = surface_of(owner, target, at)
    lengths = np.geomspace(1e-4, 1.0, 25) if steps is None else np.sort(np.asarray(steps, np.float64).reshape(-1))
    if len(lengths) < 3 or not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise DataError(f"{owner}: steps must be three or more finite numbers above 0, not {steps!r}.")
    if np.ndim(directions) == 0:
        require(owner, "directions", directions, Integer(1))
        drawn = np.random.default_rng(seed).normal(size=(int(directions), surface.point.size))
        along = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    else:
        along = np.stack([surface.vector("a direction", d) for d in np.atleast_2d(np.asarray(directions, np.float64))])
        if not along.any(axis=1).all():
            raise ConfigurationError(f"{owner}: a direction is 0 everywhere.")
    loss, gradient = surface.require_finite(owner)
    slopes, curvatures = along @ gradient, np.sum(along * surface.products(along), axis=1)
    true = np.stack([surface.values(surface.point + lengths[:, None] * d) - loss for d in along])
    predicted = slopes[:, None] * lengths + 0.5 * curvatures[:, None] * lengths**2
    # What is added and subtracted on the way is rounded: the loss, its change, and the terms of the model.
    terms = [np.abs(true), np.abs(slopes)[:, None] * lengths, 0.5 * np.abs(curvatures)[:, None] * lengths**2]
    largest = np.maximum(max(abs(loss), 1e-30), np.max(terms, axis=(0, 1)))
    return TaylorCheck(lengths, true, predicted, slopes, curvatures, 4 * np.finfo(np.float64).eps * largest)
