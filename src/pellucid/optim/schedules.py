"""Learning rates that change with the step: ``schedule(step)`` is the rate of step 0, 1, 2, ...

>>> [round(StepDecay(0.1, factor=0.5, every=2)(step), 4) for step in range(5)]
[0.1, 0.1, 0.05, 0.05, 0.025]
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.fields import Configured, Integer, Interval, boolean, non_negative, param, positive


class Schedule(Configured):
    """A learning rate as a function of the step."""

    @abstractmethod
    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""

    def __call__(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return float(self.rate(step))


class StepDecay(Schedule):
    """initial * factor^floor(step / every)."""

    initial: float = param(check=positive)
    factor: float = param(default=0.5, check=Interval(0, 1, "right"))
    every: int = param(default=1000, check=Integer(1))

    def rate(self, step: int) -> float:
        """The rate of a step."""
        return self.initial * self.factor ** (step // self.every)


class ExponentialDecay(Schedule):
    """initial * decay_rate^(step / decay_steps); with ``staircase`` the exponent is rounded down."""

    initial: float = param(check=positive)
    decay_steps: int = param(default=1000, check=Integer(1))
    decay_rate: float = param(default=0.96, check=Interval(0, 1, "right"))
    staircase: bool = param(default=False, check=boolean)

    def rate(self, step: int) -> float:
        """The rate of a step."""
        exponent = step / self.decay_steps
        return self.initial * self.decay_rate ** (math.floor(exponent) if self.staircase else exponent)


class CosineDecay(Schedule):
    """final + (initial - final) (1 + cos(pi step / decay_steps)) / 2, then final (Loshchilov and Hutter 2017)."""

    initial: float = param(check=positive)
    decay_steps: int = param(check=Integer(1))
    final: float = param(default=0.0, check=non_negative)

    def rate(self, step: int) -> float:
        """The rate of a step."""
        share = min(step / self.decay_steps, 1.0)
        return self.final + (self.initial - self.final) * 0.5 * (1 + math.cos(math.pi * share))


class WarmUp(Schedule):
    """Rises in equal steps to the first rate of ``after`` during ``steps``, then follows ``after``.

    Args:
        after: A rate, or a schedule whose step 0 is the first after the warm-up.
        steps: Length of the rise.
    """

    after: Any = param()
    steps: int = param(check=Integer(1))

    def setup(self) -> None:
        """Check the schedule that follows."""
        check_rate(self.after, "WarmUp: after")

    def rate(self, step: int) -> float:
        """The rate of a step."""
        if step < self.steps:
            return rate_at(self.after, 0) * (step + 1) / self.steps
        return rate_at(self.after, step - self.steps)


class OneCycle(Schedule):
    """One rise and one fall, both along a cosine (Smith and Topin 2019).

    From maximum / start_divisor up to ``maximum`` during the share ``rise`` of the steps, then down to
    maximum / start_divisor / end_divisor.
    """

    maximum: float = param(check=positive)
    steps: int = param(check=Integer(2))
    rise: float = param(default=0.3, check=Interval(0, 1, "neither"))
    start_divisor: float = param(default=25.0, check=Interval(1, math.inf))
    end_divisor: float = param(default=1e4, check=Interval(1, math.inf))

    def rate(self, step: int) -> float:
        """The rate of a step."""
        start = self.maximum / self.start_divisor
        peak = self.rise * self.steps - 1
        if step <= peak:
            return _cosine_between(start, self.maximum, step / max(peak, 1e-9))
        share = (step - peak) / max(self.steps - 1 - peak, 1e-9)
        return _cosine_between(self.maximum, start / self.end_divisor, min(share, 1.0))


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, type[Schedule]] = {
    cls.__name__: cls for cls in (StepDecay, ExponentialDecay, CosineDecay, WarmUp, OneCycle)
}


def rate_at(rate: float | Schedule, step: int) -> float:
    """The learning rate of a step, for a number or a schedule."""
    return rate(step) if isinstance(rate, Schedule) else float(rate)


def rates_at(rate: float | Schedule, first: int, count: int) -> np.ndarray:
    """The learning rates of some steps in a row, as float64."""
    if isinstance(rate, Schedule):
        return np.array([rate(step) for step in range(first, first + count)], np.float64)
    return np.full(count, rate, np.float64)


def check_rate(rate: Any, what: str) -> None:
    """Refuse what is neither a positive number nor a schedule."""
    if not isinstance(rate, Schedule) and positive(rate) is not None:
        raise ConfigurationError(f"{what} must be a finite number above 0 or a schedule, not {rate!r}.")


def check(rate: Any) -> str | None:
    """The check of a learning-rate setting; 0 is allowed, to see that nothing moves."""
    if isinstance(rate, Schedule) or non_negative(rate) is None:
        return None
    return "a finite number of at least 0 or a schedule"
