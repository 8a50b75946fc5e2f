"""The learning-rate range test: how large may the steps be?

One short training from the present weights, whose learning rate grows with every batch. While it is too small, the
loss hardly falls; then it falls; then the steps are too long and it rises. Source: Smith, "Cyclical Learning Rates for
Training Neural Networks" (2017), section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, NonFiniteError
from pellucid.fields import Integer, Interval, param, positive, require
from pellucid.optim.schedules import Schedule
from pellucid.train.callbacks import Callback

#: The share of the past in the smoothed loss.
_MEMORY = 0.9
#: The test ends once the smoothed loss is so many times its smallest value.
_LOST = 4.0
#: The loss must fall by this share for the test to say anything.
_FALL = 0.05


class _Growing(Schedule):
    """rate = low * growth^step."""

    low: float = param(default=1e-6, check=positive)
    growth: float = param(default=1.2, check=positive)

    def rate(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return self.low * self.growth**step


class _Listener(Callback):
    """Keeps the loss of every batch, and ends the test when it is lost."""

    def __init__(self, steps: int) -> None:
        self.steps, self.losses = steps, []  # type: ignore[var-annotated]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the loss."""
        self.losses.append(float((logs or {})["loss"]))
        smooth = smoothed(self.losses)
        lost = len(smooth) > 10 and smooth[-1] > _LOST * max(smooth.min(), 1e-12)
        if lost or len(self.losses) >= self.steps:
            self.model.stop_training = "the range test is done"


def smoothed(losses: Any) -> np.ndarray:
    """The moving average m = 0.9 m + 0.1 loss, divided by 1 - 0.9^t, so that it does not begin at 0.

    >>> smoothed([2.0, 2.0, 2.0]).round(6).tolist()
    [2.0, 2.0, 2.0]
    """
    mean, found = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        found.append(mean / (1 - _MEMORY**step))
    return np.array(found)


@dataclass(frozen=True, eq=False)
class LearningRateRange:
    """What a range test found.

    Args:
        rates: The learning rate of every step [steps], growing.
        losses: The loss of every batch before its update [steps].
        diverged: Whether the loss became infinite, NaN or four times its smallest value before the last step.
        current: The learning rate that the model has.
    """

    rates: np.ndarray
    losses: np.ndarray
    diverged: bool
    current: float

    @property
    def smooth(self) -> np.ndarray:
        """The smoothed losses."""
        return smoothed(self.losses)

    @property
    def learns(self) -> bool:
        """Whether the loss fell at all: by a twentieth at some rate."""
        if len(self.losses) < 10:
            return False
        first = float(self.losses[: len(self.losses) // 5].mean())
        # Batches differ; of the deviation of one loss, (0.1 / 1.9)^(1/2) is left in the smoothed ones.
        noise = 0.23 * 1.05 * float(np.median(np.abs(np.diff(self.losses))))
        return first - self._lowest[1] > max(_FALL * first, 4 * noise)

    @property
    def _lowest(self) -> tuple[int, float]:
        """Place and value of the smallest smoothed loss; the first ones, which are hardly smoothed, do not count."""
        smooth = self.smooth
        place = min(10, len(smooth) // 2) + int(np.argmin(smooth[min(10, len(smooth) // 2) :]))
        return place, float(smooth[place])

    @property
    def best(self) -> float:
        """The rate at which the smoothed loss was smallest: the edge of what can be used."""
        return float(self.rates[self._lowest[0]])

    @property
    def limit(self) -> float:
        """The rate at which the test ended because the loss was lost; infinity where it was not."""
        return float(self.rates[-1]) if self.diverged else math.inf

    @property
    def suggested(self) -> float | None:
        """A tenth of ``best``, to two digits; None where the loss did not fall at any rate."""
        return float(f"{self.best / 10:.1e}") if self.learns else None

    def plot(self, ax: Any = None) -> Any:
        """The loss over the learning rate, with the suggested rate and the model's own; the axes."""
        if ax is None:
            from matplotlib.figure import Figure  # no global figure manager: nothing leaks, no display is needed

            ax = Figure(figsize=(6, 4), layout="constrained").add_subplot()
        smooth = self.smooth
        ax.plot(self.rates, self.losses, color="#0072B2", alpha=0.25, linewidth=1, label="loss of each batch")
        ax.plot(self.rates, smooth, color="#0072B2", linewidth=2, label="smoothed")
        if self.suggested is not None:
            label = f"suggested: {self.suggested:.2g}"
            ax.axvline(self.suggested, color="#007A5A", linestyle="--", linewidth=1.5, label=label)
        ax.axvline(
            self.current, color="#D55E00", linestyle=":", linewidth=1.8, label=f"the model's: {self.current:.2g}"
        )
        top = smooth[: max(1, len(smooth) // 2)].max()
        ax.set_ylim(min(self.losses.min(), smooth.min()) - 0.05 * abs(top), 1.5 * max(top, smooth.min() * 1.1))
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        ax.grid(alpha=0.3)
        ax.legend()
        return ax

    def __repr__(self) -> str:
        if self.suggested is None:
            return "LearningRateRange(the loss falls at no learning rate)"
        return f"LearningRateRange(suggested {self.suggested:.2g}, best {self.best:.2g}, {len(self.rates)} steps)"


def learning_rate_range(
    model: Any,
    x: Any,
    y: Any,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seed: int = 0,
) -> LearningRateRange:
    """Train a copy of the model for some batches, the learning rate growing from ``low`` to ``high``.

    rate_t = low (high / low)^(t / (steps - 1)), t = 0 .. steps - 1. The model itself is not changed.

    Args:
        model: A compiled model; the test starts at its present weights.
        x, y: Training data, as ``fit`` takes them.
        low, high: The range of learning rates.
        steps: The number of updates.
        batch_size: Samples per update.
        seed: Fixes the order of the batches.

    Returns:
        Rates and losses, with ``.suggested`` and ``.plot()``.

    Raises:
        ConfigurationError: The range is empty, or the model is not compiled.
        DataError: The data do not fit the model.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = Sequential([Input((1,)), Dense(1, kernel_initializer="zeros")])
    >>> model.compile("mse", "sgd")
    >>> found = learning_rate_range(model, x, 2 * x, low=1e-4)
    >>> found.diverged, 0.01 < found.suggested < 0.5
    (True, True)
    """
    owner = "learning_rate_range"
    require(owner, "steps", steps, Integer(10))
    require(owner, "low", low, positive)
    require(owner, "high", high, Interval(0, math.inf, "neither"))
    if not low < high:
        raise ConfigurationError(f"{owner}: low must be smaller than high, but {low:g} is not below {high:g}.")
    twin = model.clone()
    twin._build_for(x)
    twin.require_compiled()
    current = float(twin.optimizer.current_learning_rate())
    rate = _Growing(low, (high / low) ** (1 / (steps - 1)))
    twin.optimizer.learning_rate = rate
    listener = _Listener(steps)
    failed = False
    try:
        # Every epoch has at least one batch, so that the listener ends the fit, not the number of epochs.
        twin.fit(x, y, batch_size=batch_size, epochs=steps, callbacks=[listener], seed=seed, verbose=0)
    except NonFiniteError:
        failed = True
    losses = np.array(listener.losses)
    finite = np.isfinite(losses)
    count = len(losses) if finite.all() else int(np.argmin(finite))
    if count < 2:
        raise ConfigurationError(
            f"{owner}: the loss is not finite at the learning rate {low:g} already.",
            hint="begin lower with low=, or look for the cause in the data and the initial weights",
        )
    rates = np.array([rate.rate(step) for step in range(count)])
    return LearningRateRange(rates, losses[:count], failed or count < steps, current)
