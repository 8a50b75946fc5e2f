"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError
from pellucid.fields import Choice, Interval, boolean, param
from pellucid.optim.optimizer import Optimizer, Slots
from pellucid.shapes import Shape


def heavy_ball(w: Any, g: Any, m: Any, eta: Any, momentum: Any, nesterov: bool) -> tuple[Any, Any]:
    """m = momentum m - eta g; w = w + m, or with Nesterov's look-ahead w = w + momentum m - eta g."""
    m = momentum * m - eta * g
    return (w + (momentum * m - eta * g) if nesterov else w + m), m


class SGD(Optimizer):
    """w = w - eta g.

    With ``momentum`` > 0 the same as ``Momentum(form="heavy_ball")``.

    Args:
        learning_rate: eta.
        momentum: Share of the last movement that is kept.
        nesterov: Look ahead along the movement before the gradient step.
    """

    momentum: float = param(default=0.0, check=Interval(0, 1, "left"), data=True)
    nesterov: bool = param(default=False, check=boolean)

    def setup(self) -> None:
        """Nesterov's form needs a movement."""
        if self.nesterov and not self.momentum:
            raise ConfigurationError("SGD: nesterov needs a momentum above 0.")

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The movement m, where there is momentum."""
        return {"m": np.zeros(shape, dtype)} if self.momentum else {}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """w - eta g."""
        eta = ops.number_like(learning_rate, w)
        if not self.momentum:
            return w - eta * g, {}
        w, m = heavy_ball(w, g, slots["m"], eta, ops.number_like(self.number("momentum"), w), self.nesterov)
        return w, {"m": m}


class Momentum(Optimizer):
    """Gradient descent that remembers its movement.

    ``heavy_ball`` (Polyak 1964): m = momentum m - eta g;  w = w + m.
    ``ema``, the moving average of gradients: m = momentum m + (1 - momentum) g;  w = w - eta m.
    Nesterov's look-ahead uses momentum m - eta g (heavy_ball) or momentum m + (1 - momentum) g (ema) in place of m.

    Args:
        learning_rate: eta.
        momentum: Share of the past.
        form: ``"heavy_ball"`` or ``"ema"``.
        nesterov: Look ahead along the movement.
    """

    momentum: float = param(default=0.9, check=Interval(0, 1, "left"), data=True)
    form: str = param(default="heavy_ball", check=Choice("heavy_ball", "ema"))
    nesterov: bool = param(default=False, check=boolean)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The movement or average m."""
        return {"m": np.zeros(shape, dtype)}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step along the movement."""
        eta, share = ops.number_like(learning_rate, w), self.number("momentum")
        keep, rest = ops.number_like(share, w), ops.number_like(1 - share, w)
        if self.form == "heavy_ball":
            w, m = heavy_ball(w, g, slots["m"], eta, keep, self.nesterov)
            return w, {"m": m}
        m = keep * slots["m"] + rest * g
        ahead = keep * m + rest * g if self.nesterov else m
        return w - eta * ahead, {"m": m}
