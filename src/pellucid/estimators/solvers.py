"""What scikit-learn's solvers are in terms of the engine's optimisers, and how their learning rate changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError
from pellucid.fields import Interval, param, positive
from pellucid.optim import OPTIMIZERS, SGD, Optimizer
from pellucid.optim.optimizer import Slots
from pellucid.shapes import Shape

#: An adaptive learning rate is divided by this, until it is as small as that.
_DIVISOR, _SMALLEST = 5.0, 1e-6


class PaperAdam(Optimizer):
    """Adam in the quicker order of its paper (Kingma and Ba 2015, end of section 2), which scikit-learn follows.

    m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2
    w = w - eta sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    It differs from :class:`pellucid.optim.Adam` in the place of epsilon: here it is compared with sqrt(v) as it is.
    """

    learning_rate: Any = param(default=0.001, check=positive)
    beta_1: float = param(default=0.9, check=Interval(0, 1, "left"))
    beta_2: float = param(default=0.999, check=Interval(0, 1, "left"))
    epsilon: float = param(default=1e-8, check=positive)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The moments m and v."""
        return {"m": np.zeros(shape, dtype), "v": np.zeros(shape, dtype)}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step along the moments."""
        m = self.beta_1 * slots["m"] + (1 - self.beta_1) * g
        v = self.beta_2 * slots["v"] + (1 - self.beta_2) * g * g
        eta = learning_rate * ops.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return w - ops.number_like(eta, w) * m / (ops.sqrt(v) + self.epsilon), {"m": m, "v": v}


class KeepGradient(Optimizer):
    """Changes nothing, and leaves the gradient in the slot g, for whoever does the update elsewhere."""

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The gradient g."""
        return {"g": np.zeros(shape, dtype)}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """The parameter as it was."""
        return w, {"g": g}


def optimizer_of(estimator: Any) -> Optimizer:
    """The optimiser of an estimator's ``solver``: a fresh one, without state."""
    solver, rate = estimator.solver, float(estimator.learning_rate_init)
    if isinstance(solver, Optimizer):
        return solver.copy()
    if solver == "sgd":
        share = float(estimator.momentum)
        return SGD(rate, momentum=share, nesterov=bool(estimator.nesterovs_momentum) and share > 0)
    if solver == "adam":
        return PaperAdam(rate, float(estimator.beta_1), float(estimator.beta_2), float(estimator.epsilon))
    by_name = {name.lower(): make for name, make in OPTIMIZERS.items()}
    return by_name[solver.lower()](learning_rate=rate)


class Rates:
    """The learning rate of each epoch.

    Args:
        optimizer: Gives the rates, where ``schedule`` does not change them.
        schedule: ``"constant"``, ``"invscaling"`` (start / (samples seen + 1)^power) or ``"adaptive"`` (a fifth each
            time that training stands still).
        power: The exponent of ``"invscaling"``.
        present: Where to go on; None begins with the optimiser's rate.

    Attributes:
        present: The rate of the next epoch, for the two that change by epochs.
    """

    def __init__(self, optimizer: Optimizer, schedule: str, power: float, present: float | None = None) -> None:
        self._optimizer, self._schedule, self._power = optimizer, schedule, power
        self.start = optimizer.current_learning_rate()
        self.present = self.start if present is None else present

    def of(self, first_step: int, steps: int, epochs: int, seen: int, samples: int) -> np.ndarray:
        """The rates of some epochs [epochs, steps].

        Args:
            first_step: Updates before them.
            steps: Updates in an epoch.
            epochs: How many epochs.
            seen: Samples that were seen before.
            samples: Samples in an epoch.
        """
        if self._schedule == "constant":
            self._optimizer.iterations = first_step
            return self._optimizer.learning_rates(steps * epochs).reshape(epochs, steps)
        rates = np.full(epochs, self.present)
        if self._schedule == "invscaling":
            later = seen + samples * np.arange(1, epochs + 1) + 1.0
            following = self.start / later**self._power
            rates[1:], self.present = following[:-1], float(following[-1])
        return np.repeat(rates[:, None], steps, axis=1)

    def show(self, updates: int) -> None:
        """Let the optimiser have the rate after so many updates, where callbacks look for it."""
        self._optimizer.iterations = updates
        if self._schedule != "constant":
            self._optimizer.learning_rate = self.present

    def take(self, owner: str) -> None:
        """Go on with the rate that callbacks have left in the optimiser.

        Raises:
            ConfigurationError: The schedule would overwrite it.
        """
        if self._schedule == "constant" or self._optimizer.learning_rate == self.present:
            return
        if self._schedule == "invscaling":
            raise ConfigurationError(
                f"{owner}: a callback set the learning rate to {self._optimizer.learning_rate!r}, but "
                "learning_rate='invscaling' gives every epoch its own.",
                hint="learning_rate='constant' leaves it to callbacks",
            )
        self.present = float(self._optimizer.learning_rate)

    def stands_still(self) -> bool:
        """Training no longer improves: whether that is the end, rather than the reason for a smaller rate."""
        if self._schedule != "adaptive" or self.present <= _SMALLEST:
            return True
        self.present /= _DIVISOR
        return False
