"""The counterfactual: the same training with one change, beside the training as it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.setup import Outcome, Setup
from pellucid.train.history import History


@dataclass(frozen=True, eq=False)
class Measure:
    """How one sees whether a change helped.

    Attributes:
        name: What is measured, in words.
        of: The number of a trained model in a setup.
        smaller: Whether smaller is better.
        margin: By how much it must be better, as a share.
        honest: Whether the change makes the number true, rather than better: it helps where the number changes.
    """

    name: str
    of: Callable[[Any, Setup], float]
    smaller: bool = True
    margin: float = 0.02
    honest: bool = False

    def better(self, before: float, after: float) -> bool:
        """Whether ``after`` is better than ``before`` by the margin."""
        if self.honest:
            return abs(before - after) > 0.005 * max(abs(before), abs(after))
        if not math.isfinite(after):
            return False
        if not math.isfinite(before):
            return True
        gain = before - after if self.smaller else after - before
        return gain > self.margin * abs(before)


@dataclass(frozen=True, eq=False)
class Retry:
    """Two trainings from the same seed on the same data, and what the change did.

    Attributes:
        title: What was to be mended.
        before, after: The histories as it was and with the change.
        model: The model that was trained with the change.
        measure: What was compared.
        before_value, after_value: It, in both; infinite or NaN where a training became so.
        helped: Whether the change made it better.
        error: What ended the training as it was, where its loss became NaN or infinite.
        seconds: How long both took.
    """

    title: str
    before: History
    after: History
    model: Any
    measure: Measure
    before_value: float
    after_value: float
    helped: bool
    error: str | None
    seconds: float

    def plot(self, key: str = "loss", ax: Any = None) -> Any:
        """Both learning curves in one picture, validation dashed; the axes."""
        if ax is None:
            from matplotlib.figure import Figure  # no global figure manager: nothing leaks, no display is needed

            ax = Figure(figsize=(6, 4), layout="constrained").add_subplot()
        kinds = ((self.before, "#D55E00", "as it was"), (self.after, "#0072B2", "with the change"))
        drawn = []
        for history, colour, label in kinds:
            drawn += _curve(ax, history, key, color=colour, label=label)
            drawn += _curve(ax, history, f"val_{key}", color=colour, label=f"{label}, validation", linestyle="--")
        values = np.concatenate(drawn) if drawn else np.array([])
        if key.endswith("loss") and values.size and values.min() > 0 and values.max() > 50 * values.min():
            ax.set_yscale("log")
        if self.error is not None:
            where = len(self.before)
            ax.axvline(where + 1, color="#D55E00", linestyle=":", label=f"as it was: ended in epoch {where + 1}")
        ax.set(xlabel="epoch", ylabel=key.replace("_", " "))
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.set_title(f"{self.title}: {self._verdict()}", fontsize=10)
        ax.grid(alpha=0.3)
        ax.legend()
        return ax

    def _verdict(self) -> str:
        if self.measure.honest:
            shown = f"{self.measure.name} {self.after_value:.3g}"
            return f"{shown} without it, not {self.before_value:.3g}" if self.helped else f"{shown} with and without it"
        return "the change helps" if self.helped else "the change does not help"

    def __str__(self) -> str:
        ended = f"\n  as it was, training ended: {self.error}" if self.error else ""
        return (
            f"{self.title}: {self._verdict()}.\n  {self.measure.name}: {self.before_value:.4g} as it was, "
            f"{self.after_value:.4g} with the change ({len(self.after)} epochs, {self.seconds:.1f} s){ended}"
        )

    __repr__ = __str__


def _curve(ax: Any, history: History, key: str, **style: Any) -> list[np.ndarray]:
    if key not in history.history:
        return []
    values = np.asarray(history[key], float)
    seen = np.isfinite(values)
    ax.plot(np.asarray(history.epochs)[seen] + 1, values[seen], marker="." if len(values) < 30 else "", **style)
    return [values[seen]] if seen.any() else []


@dataclass(frozen=True, eq=False)
class Remedy:
    """A change of a setup, and how to see whether it helps."""

    setup: Setup
    change: Callable[[Setup], Setup]
    measure: Measure

    def run(self, title: str, epochs: int | None, seconds: float) -> Retry:
        """Train as it was and with the change, together at most so long."""
        started = time.perf_counter()
        before = self.setup.train(seconds=seconds / 2, epochs=epochs)
        # A training that became NaN has no full length to compare with.
        told = None if before.error else len(before.history)
        after_setup = self.change(self.setup)
        left = seconds - (time.perf_counter() - started)
        after = after_setup.train(seconds=max(left, seconds / 2), epochs=told or epochs)
        values = [self._value(outcome, own) for outcome, own in ((before, self.setup), (after, after_setup))]
        return Retry(
            title,
            before.history,
            after.history,
            after.model,
            self.measure,
            values[0],
            values[1],
            self.measure.better(values[0], values[1]),
            before.error.message if before.error else None,
            time.perf_counter() - started,
        )

    def _value(self, outcome: Outcome, setup: Setup) -> float:
        return math.nan if outcome.error else self.measure.of(outcome.model, setup)


def _training_loss(model: Any, setup: Setup) -> float:
    return float(model.evaluate(setup.x, setup.y, return_dict=True)["loss"])


def _validation_loss(model: Any, setup: Setup) -> float:
    x, y = setup.judged
    return float(model.evaluate(x, y, return_dict=True)["loss"])


def predicted_labels(model: Any, x: Any) -> np.ndarray:
    """The class that the model gives each sample: the largest output, or whether the one output is above its middle."""
    outputs = np.asarray(model.predict(x))
    outputs = outputs.reshape(len(outputs), -1)
    if outputs.shape[1] > 1:
        return outputs.argmax(axis=1)
    loss = model.objective.losses[0]
    logits = getattr(loss, "from_logits", False) or type(loss).__name__ == "Hinge"
    return (outputs[:, 0] > (0.0 if logits else 0.5)).astype(np.int64)


def recalls(model: Any, setup: Setup) -> dict[int, float]:
    """The share of each class that is recognised, in the validation data where there are some."""
    x, y = setup.judged
    labels = setup.labels_of(y)
    assert labels is not None  # only asked for classes
    predicted = predicted_labels(model, x)
    return {int(k): float((predicted[labels == k] == k).mean()) for k in np.unique(labels)}


def _accuracy(model: Any, setup: Setup) -> float:
    x, y = setup.judged
    labels = setup.labels_of(y)
    assert labels is not None
    return float((predicted_labels(model, x) == labels).mean())


def r_squared(model: Any, x: Any, y: Any) -> float:
    """1 - (sum of squared errors) / (sum of squared deviations from the mean)."""
    true = np.asarray(y, float).reshape(len(np.asarray(y)), -1)
    predicted = np.asarray(model.predict(x), float).reshape(true.shape)
    return float(1 - ((true - predicted) ** 2).sum() / max(((true - true.mean(axis=0)) ** 2).sum(), 1e-300))


TRAINING_LOSS = Measure("training loss", _training_loss)
VALIDATION_LOSS = Measure("validation loss", _validation_loss)
ACCURACY = Measure("accuracy", _accuracy, smaller=False)
BALANCED_ACCURACY = Measure(
    "mean recall of the classes", lambda model, setup: float(np.mean(list(recalls(model, setup).values()))), False
)
R_SQUARED = Measure("R²", lambda model, setup: r_squared(model, *setup.judged), smaller=False)


def score_of(setup: Setup) -> Measure:
    """What can be compared over different losses: accuracy for classes, R² for numbers; else the loss."""
    if setup.labels is not None:
        return ACCURACY
    return R_SQUARED if setup.is_regression else VALIDATION_LOSS
