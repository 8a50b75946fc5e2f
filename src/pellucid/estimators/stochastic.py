"""Training by epochs, with scikit-learn's rules for when it ends.

The rules look at every epoch, but cannot end training before ``n_iter_no_change`` more epochs have brought nothing: so
many run as one native block, and are judged afterwards. Nothing is trained that scikit-learn would not have trained.
With ``early_stopping`` the network is looked at after each epoch, because the best one is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from pellucid.backends.loop import LoopData
from pellucid.estimators.checks import check_finite_state
from pellucid.estimators.descent import Descent, Samples
from pellucid.estimators.goals import Goal
from pellucid.estimators.listening import Listeners
from pellucid.estimators.network import Network, repeated
from pellucid.estimators.solvers import Rates
from pellucid.train.feed import Segment


class Validation:
    """The part of the samples that training is judged by.

    Args:
        network, samples, arrays: What is trained, on what, and its state.
        rows: The rows that are set apart.
        goal: The loss.
        score: From rows, their outputs and weights to the score.
    """

    def __init__(
        self, network: Network, samples: Samples, arrays: list[np.ndarray], rows: np.ndarray, goal: Goal,
        score: Callable[[np.ndarray, np.ndarray, np.ndarray | None], float],
    ) -> None:  # fmt: skip
        self._rows, self._goal, self._score = rows, goal, score
        self._y, self._weights = samples.targets_of(rows)
        segment = Segment((samples.x,), (), (), network.model.input_dtypes, rows, len(rows))
        program = network.model.programs.prediction(segment)
        data = LoopData(segment.arrays, segment.order, state=arrays[: len(program.parameters)])
        self._outputs = repeated(program.loop, data)

    def outputs(self) -> np.ndarray:
        """The network's outputs for the rows now."""
        return self._outputs()[0][0].copy()

    def score(self, outputs: np.ndarray) -> float:
        """The score of outputs."""
        return self._score(self._rows, outputs, self._weights)

    def losses(self, outputs: list[np.ndarray]) -> list[float]:
        """The loss of each epoch's outputs."""
        return self._goal.values(self._y, np.stack(outputs), self._weights) if outputs else []


@dataclass(frozen=True)
class Plan:
    """What a fit by epochs is made of.

    Attributes:
        descent: The epochs.
        rates: Their learning rates.
        random, shuffle: What shuffles the rows, and whether they are shuffled.
        epochs: At most so many.
        warns: Whether training that is cut off there is worth a warning.
        validation: What early stopping looks at.
        reported: From an epoch's mean loss and penalty to the loss that is reported.
        listeners: The callbacks.
    """

    descent: Descent
    rates: Rates
    random: np.random.RandomState
    shuffle: bool
    epochs: int
    warns: bool
    validation: Validation | None
    reported: Callable[[np.ndarray, np.ndarray], np.ndarray]
    listeners: Listeners


class Training:
    """A fit by epochs on its way; it writes the estimator's ``loss_curve_``, ``n_iter_`` and the like.

    Args:
        estimator: Whose fit it is.
        plan: What it is made of.
        parameters: The arrays that are trained.
        updates: Updates that the optimiser has made before.

    Attributes:
        updates: Updates that it has made by now.
    """

    def __init__(self, estimator: Any, plan: Plan, parameters: list[np.ndarray], updates: int) -> None:
        self._estimator, self._plan, self._parameters = estimator, plan, parameters
        self.updates = updates
        self._order = np.arange(plan.descent.count)
        self._best: list[np.ndarray] | None = None
        self._stopped = False

    def run(self) -> list[np.ndarray]:
        """Train; the parameters that are to be kept. Ctrl-C ends training with a warning."""
        estimator, plan = self._estimator, self._plan
        estimator.n_iter_ = 0
        estimator.recording_ = plan.descent.record(self.updates, plan.epochs)
        try:
            plan.listeners.begin()
            while estimator.n_iter_ < plan.epochs and not self._stopped:
                self._block()
        except KeyboardInterrupt:
            warnings.warn("Training was interrupted; what was learned until then is kept.", stacklevel=5)
        else:
            if not self._stopped and plan.warns:
                warnings.warn(
                    f"{type(estimator).__name__}: training took all {plan.epochs} epochs (max_iter) without reaching "
                    "the point where it stops improving.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        finally:
            plan.listeners.end()
            if plan.descent.session is not None:
                plan.descent.session.close()
        return self._parameters if self._best is None else self._best

    def _block(self) -> None:
        """As many epochs as must be trained in any case; one, where somebody listens."""
        plan, descent = self._plan, self._plan.descent
        needed = 1 if plan.listeners else self._estimator.n_iter_no_change + 1 - self._estimator._no_improvement_count
        epochs = int(max(1, min(needed, plan.epochs - self._estimator.n_iter_, descent.affordable)))
        self._begin_epoch()
        rates = plan.rates.of(self.updates, descent.steps, epochs, self._estimator.t_, descent.count)
        block = descent.block(self._orders(epochs), rates, self.updates, len(self._estimator.loss_curve_))
        if plan.validation is None:
            block.advance(epochs)
            self.updates += epochs * descent.steps
            for loss in plan.reported(*block.losses()):
                self._take(float(loss))
            self._end_epoch({})
            return
        seen: list[np.ndarray] = []
        try:
            for epoch in range(epochs):
                block.advance(1)
                self.updates += descent.steps
                seen.append(plan.validation.outputs())
                self._take(float(plan.reported(*block.losses())[epoch]), plan.validation.score(seen[-1]))
        finally:
            self._estimator.validation_loss_curve_ += plan.validation.losses(seen)
        score = "val_accuracy" if hasattr(self._estimator, "classes_") else "val_r2"
        self._end_epoch({
            "val_loss": self._estimator.validation_loss_curve_[-1], score: self._estimator.validation_scores_[-1]
        })  # fmt: skip

    def _begin_epoch(self) -> None:
        """Tell the callbacks; the learning rate that they see is that of the epoch, and they may change it."""
        plan = self._plan
        if plan.listeners:
            plan.rates.show(self.updates)
            plan.listeners.begin_epoch()
            plan.rates.take(type(self._estimator).__name__)

    def _end_epoch(self, validated: dict[str, float]) -> None:
        """Tell the callbacks what the epoch came to."""
        plan = self._plan
        if plan.listeners:
            plan.rates.show(self.updates)
            reason = plan.listeners.end_epoch({"loss": self._estimator.loss_, **validated})
            plan.rates.take(type(self._estimator).__name__)
            if reason and not self._stopped:
                self._stopped = True
                if self._estimator.verbose:
                    print(
                        f"A callback ends the training: {reason}." if isinstance(reason, str) else "A callback ends it."
                    )

    def _orders(self, epochs: int) -> np.ndarray:
        """The rows in the order of each epoch, shuffled as scikit-learn shuffles them."""
        rows = self._plan.descent.rows
        if not self._plan.shuffle:
            return np.tile(rows, (epochs, 1))
        orders = np.empty((epochs, len(rows)), np.int64)
        for order in orders:
            self._order = self._plan.random.permutation(self._order)
            np.take(rows, self._order, out=order)
        return orders

    def _take(self, loss: float, score: float | None = None) -> None:
        """Take in the loss of an epoch, and judge by it or by a score."""
        estimator = self._estimator
        if not np.isfinite(loss) and self._best is None:
            check_finite_state([np.asarray(loss)], estimator, f" in epoch {estimator.n_iter_ + 1}")
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self._plan.descent.count
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if score is None:
            self._judge(loss)
        else:
            self._judge_score(score)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._stands_still()

    def _judge(self, loss: float) -> None:
        """By the training loss."""
        estimator = self._estimator
        better = loss <= estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = 0 if better else estimator._no_improvement_count + 1
        estimator.best_loss_ = min(loss, estimator.best_loss_)

    def _judge_score(self, score: float) -> None:
        """By the score of the samples that were set apart."""
        estimator = self._estimator
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:.6f}")
        worse = score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self._best = [array.copy() for array in self._parameters]

    def _stands_still(self) -> None:
        """The end, or with an adaptive learning rate the time for a smaller one."""
        estimator = self._estimator
        self._stopped = self._plan.rates.stands_still()
        estimator._no_improvement_count = estimator._no_improvement_count if self._stopped else 0
        if estimator.verbose:
            what = "loss" if self._plan.validation is None else "validation score"
            then = "stopping" if self._stopped else f"the learning rate is now {self._plan.rates.present:g}"
            count = estimator.n_iter_no_change
            print(f"The {what} did not improve by tol={estimator.tol:g} in {count} epochs in a row: {then}.")
