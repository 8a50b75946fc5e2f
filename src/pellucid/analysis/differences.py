"""Central differences, how wrong they are themselves, and where the loss has no derivative at all."""

from __future__ import annotations

import numpy as np

from pellucid.analysis.surface import LossSurface

#: Steps to choose from, for parameters of size 1: from coarse to fine.
STEPS = tuple(10.0**-k for k in range(2, 9))

#: Rounding of a loss, relative to its size: some units in the last place of float64, for it is a sum of many terms.
_ROUNDING = 8 * np.finfo(np.float64).eps

#: Entries on which the step is chosen.
_PILOT = 24


class Differences:
    """Central differences of a loss around a point.

    D(h) = (L(w + h) - L(w - h)) / 2h = L' + h² L''' / 6 + ... ; the rounding of L adds about eps |L| / h.

    Args:
        surface: The loss.
        loss: Its value at the point.
    """

    def __init__(self, surface: LossSurface, loss: float) -> None:
        self._surface, self._loss = surface, loss

    def _both_sides(self, numbers: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """h of each entry (it grows with the parameter), L(w + h) and L(w - h)."""
        point = self._surface.point
        steps = step * np.maximum(1.0, np.abs(point[numbers]))
        up, down = point[numbers] + steps, point[numbers] - steps
        losses = np.empty((2, len(numbers)))
        most = max(1, (1 << 22) // point.size)
        for start in range(0, len(numbers), most):
            part = slice(start, start + most)
            rows = np.arange(len(numbers[part]))
            for side, moved in enumerate((up, down)):
                points = np.repeat(point[None], len(rows), axis=0)
                points[rows, numbers[part]] = moved[part]
                losses[side, part] = self._surface.values(points)
        # What was really added, after rounding.
        return (up - down) / 2, losses[0], losses[1]

    def rounding(self, steps: np.ndarray) -> np.ndarray:
        """By how much the rounding of the loss moves a difference."""
        return _ROUNDING * max(abs(self._loss), 1e-30) / steps

    def central(self, numbers: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """The differences of some entries, and their rounding."""
        steps, up, down = self._both_sides(numbers, step)
        return (up - down) / (2 * steps), self.rounding(steps)

    def ladder(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The differences [step, entry] with every step, and the estimated error of each.

        The truncation error of D(h) is what D changes by from h to h / 10, up to 1 %; that of the finest step is taken
        from the one before it, which is too much. A step that leaves where the loss is defined (log, sqrt) has an
        infinite error.
        """
        with np.errstate(all="ignore"):
            found = [self.central(numbers, step) for step in STEPS]
            values, rounding = np.array([v for v, _ in found]), np.array([r for _, r in found])
            truncation = np.abs(np.diff(values, axis=0, append=values[-2:-1]))
        errors = truncation + rounding
        return values, np.where(np.isfinite(errors), errors, np.inf)

    def refined(self, number: int) -> tuple[float, float]:
        """The most certain of the differences of one entry, and its uncertainty."""
        values, errors = self.ladder(np.array([number]))
        best = int(np.argmin(errors[:, 0]))
        if not np.isfinite(errors[best, 0]):
            return float("nan"), float("inf")
        return float(values[best, 0]), float(errors[best, 0])

    def is_jump(self, number: int) -> bool:
        """Whether the loss differs by as much however near one looks from both sides: it has a step there."""
        jumps = []
        for step in (STEPS[1], STEPS[-1]):
            steps, up, down = self._both_sides(np.array([number]), step)
            jumps.append(abs(up - down)[0])
            doubt = float(4 * self.rounding(steps)[0] * steps[0])
        return bool(jumps[-1] > max(0.5 * jumps[0], doubt))

    def is_kink(self, number: int, backprop: float) -> bool:
        """Whether the slopes on both sides differ however near one looks, and the derivative lies between them.

        On a smooth loss they approach each other like h.
        """
        one = np.array([number])
        jumps, inside = [], False
        for step in STEPS[2:5]:
            steps, up, down = self._both_sides(one, step)
            right, left = (up - self._loss)[0] / steps[0], (self._loss - down)[0] / steps[0]
            doubt = 4 * self.rounding(steps)[0]
            jumps.append(abs(right - left) if abs(right - left) > doubt else 0.0)
            slack = doubt + 0.01 * abs(right - left)
            inside = min(left, right) - slack <= backprop <= max(left, right) + slack
        return bool(inside and jumps[-1] > 0.5 * jumps[0] > 0)


def best_step(differences: Differences, numbers: np.ndarray, seed: int) -> tuple[float, dict[float, float]]:
    """The step at which nearly all differences of some entries are most certain, and the error with each."""
    draws = np.random.default_rng(seed)
    some = np.sort(draws.choice(numbers, min(_PILOT, len(numbers)), replace=False))
    _, errors = differences.ladder(some)
    finite = np.isfinite(errors)
    # Not of those alone of which the loss is a quadratic function; where some steps are too long, the shorter ones.
    typical = np.array(
        [np.quantile(row[own], 0.9) if own.any() else np.inf for row, own in zip(errors, finite, strict=True)]
    )
    best = np.lexsort((typical, (~finite).sum(axis=1)))[0]
    return STEPS[int(best)], {h: float(e) for h, e in zip(STEPS, typical, strict=True)}
