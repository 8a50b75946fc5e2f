"""Optimisers that give each parameter a learning rate of its own, from the size of its past gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import DType
from pellucid.fields import Choice, Interval, boolean, non_negative, param, positive
from pellucid.optim import schedules
from pellucid.optim.optimizer import Optimizer, Slots
from pellucid.shapes import Shape

_SHARE = Interval(0, 1, "left")


class Adagrad(Optimizer):
    """Divides by the size of all past gradients (Duchi, Hazan, Singer 2011).

    s = s + g^2;  w = w - eta g / (sigma + epsilon)
    form ``"sum"``: sigma = sqrt(s), as published;  form ``"mean"``: sigma = sqrt(s / t), the root of the mean square.
    """

    learning_rate: Any = param(default=0.01, check=schedules.check)
    form: str = param(default="sum", check=Choice("sum", "mean"))
    epsilon: float = param(default=1e-10, check=non_negative)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The sum of squares s."""
        return {"s": np.zeros(shape, dtype)}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step, divided by the root of the sum (or mean) of squares."""
        s = slots["s"] + g * g
        sigma = ops.sqrt(s) if self.form == "sum" else ops.sqrt(s / ops.number_like(t, w))
        return w - ops.number_like(learning_rate, w) * g / (sigma + self.epsilon), {"s": s}


class RMSProp(Optimizer):
    """Divides by the root of a moving mean of squares (Hinton 2012).

    v = rho v + (1 - rho) g^2;  w = w - eta g / (sqrt(v) + epsilon)

    Args:
        learning_rate: eta.
        rho: Share of the past.
        momentum: With momentum, b = momentum b + g / (sqrt(v) + epsilon) takes the place of the quotient.
        centered: Subtract the squared moving mean of g from v: divide by a deviation.
        start: ``"zero"`` starts v at 0; ``"gradient"`` at the first g^2, as in the lectures.
        epsilon: Keeps the division finite.
    """

    learning_rate: Any = param(default=0.001, check=schedules.check)
    rho: float = param(default=0.9, check=_SHARE)
    momentum: float = param(default=0.0, check=_SHARE, data=True)
    centered: bool = param(default=False, check=boolean)
    start: str = param(default="zero", check=Choice("zero", "gradient"))
    epsilon: float = param(default=1e-8, check=non_negative)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The mean square v, and the mean and movement where they are used."""
        names = ["v", *(["mean"] if self.centered else []), *(["b"] if self.momentum else [])]
        return {name: np.zeros(shape, dtype) for name in names}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step, divided by the root of the moving mean of squares."""
        v = self.rho * slots["v"] + (1 - self.rho) * g * g
        if self.start == "gradient":
            v = ops.where(t <= 1.0, g * g, v)
        new = {"v": v}
        if self.centered:
            new["mean"] = self.rho * slots["mean"] + (1 - self.rho) * g
            # Rounding can take the difference below 0, where the root is NaN.
            v = ops.maximum(v - new["mean"] * new["mean"], 0.0)
        direction = g / (ops.sqrt(v) + self.epsilon)
        if self.momentum:
            new["b"] = direction = ops.number_like(self.number("momentum"), w) * slots["b"] + direction
        return w - ops.number_like(learning_rate, w) * direction, new


class Adadelta(Optimizer):
    """Steps in the units of the parameter itself (Zeiler 2012).

    v = rho v + (1 - rho) g^2;  d = sqrt(u + epsilon) / sqrt(v + epsilon) g;  u = rho u + (1 - rho) d^2;
    w = w - eta d
    """

    learning_rate: Any = param(default=1.0, check=schedules.check)
    rho: float = param(default=0.9, check=_SHARE)
    epsilon: float = param(default=1e-6, check=positive)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The mean squares v of gradients and u of steps."""
        return {"v": np.zeros(shape, dtype), "u": np.zeros(shape, dtype)}

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step in the parameter's units."""
        v = self.rho * slots["v"] + (1 - self.rho) * g * g
        d = ops.sqrt(slots["u"] + self.epsilon) / ops.sqrt(v + self.epsilon) * g
        u = self.rho * slots["u"] + (1 - self.rho) * d * d
        return w - ops.number_like(learning_rate, w) * d, {"v": v, "u": u}


class Adam(Optimizer):
    """Momentum and RMSProp with bias correction (Kingma and Ba 2015).

    m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2
    w = w - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    """

    learning_rate: Any = param(default=0.001, check=schedules.check)
    beta_1: float = param(default=0.9, check=_SHARE)
    beta_2: float = param(default=0.999, check=_SHARE)
    epsilon: float = param(default=1e-8, check=non_negative)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The moments m and v."""
        return {"m": np.zeros(shape, dtype), "v": np.zeros(shape, dtype)}

    def moments(self, g: Any, slots: Slots, t: Any) -> tuple[Any, Any, Any]:
        """m, v, and the denominator sqrt(v_hat) + epsilon."""
        m = self.beta_1 * slots["m"] + (1 - self.beta_1) * g
        v = self.beta_2 * slots["v"] + (1 - self.beta_2) * g * g
        # The corrections are numbers near 0: in float32 they would lose four digits in the first steps.
        root = ops.number_like(ops.sqrt(1 - self.beta_2**t), g)
        return m, v, ops.sqrt(v) / root + self.epsilon

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step along the corrected moments."""
        m, v, denominator = self.moments(g, slots, t)
        eta = ops.number_like(learning_rate / (1 - self.beta_1**t), w)
        return w - eta * m / denominator, {"m": m, "v": v}


class AdamW(Adam):
    """Adam whose weight decay does not pass through the moments (Loshchilov and Hutter 2019).

    w = (1 - eta lambda) w, then Adam's step.
    """

    weight_decay: float = param(default=0.01, check=non_negative, kw_only=True, data=True)

    def _decayed(self, w: Any, g: Any) -> Any:
        return g

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """Decay, then Adam's step."""
        if self.decays(w):
            w = w * ops.number_like(1 - learning_rate * self.number("weight_decay"), w)
        return super().update(w, g, slots, t, learning_rate)


class Nadam(Adam):
    """Adam with Nesterov's look-ahead (Dozat 2016).

    mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2), P_t = mu_1 ... mu_t
    w = w - eta ((1 - mu_t) / (1 - P_t) g + mu_{t+1} / (1 - P_t mu_{t+1}) m) / (sqrt(v_hat) + epsilon)
    """

    learning_rate: Any = param(default=0.002, check=schedules.check)
    momentum_decay: float = param(default=0.004, check=non_negative)

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The moments, and the product P of all mu."""
        return {**super().initial_slots(shape, dtype), "product": np.ones((), np.float64)}

    def _mu(self, t: Any) -> Any:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """One step along the gradient and the moment it leads to."""
        m, v, denominator = self.moments(g, slots, t)
        mu, mu_next = self._mu(t), self._mu(t + 1)
        product = slots["product"] * mu
        of_gradient = ops.number_like(learning_rate * (1 - mu) / (1 - product), w)
        of_moment = ops.number_like(learning_rate * mu_next / (1 - product * mu_next), w)
        return w - (of_gradient * g + of_moment * m) / denominator, {"m": m, "v": v, "product": product}
