"""Gradient descent by the model's own optimiser, all samples at once: what the others are compared with."""

from __future__ import annotations

import time

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.select.baselines.loss import vector_of
from pellucid.select.baselines.method import Evaluations, Method, Problem
from pellucid.train import Model

#: A loss while training may differ from the one at inference by rounding, not by more.
_SAME = 1e-3


class GradientDescent(Method):
    """``fit`` with the optimiser of ``compile``, an update per pass over all samples.

    A step computes the loss and its gradient at the same weights: one evaluation and one gradient. The last weights
    are evaluated alone, so that n evaluations come with n - 1 gradients.
    """

    title, library = "gradient descent", "pellucid"

    def warm_up(self, problem: Problem) -> None:
        """Compile the step."""
        self._fit(problem, problem.model.clone(), 2)

    def _fit(self, problem: Problem, model: Model, epochs: int) -> list[float]:
        history = model.fit(
            problem.x, problem.y, batch_size=None, epochs=epochs, shuffle=False, seed=problem.seed, verbose=0
        )
        return history["loss"]

    def minimise(self, problem: Problem, evaluations: Evaluations) -> None:
        """Make all steps but one, then evaluate; the weights of the best one are found again by as many steps."""
        steps, model = evaluations.left - 1, problem.model.clone()
        began = time.perf_counter()
        losses = self._fit(problem, model, steps) if steps else []
        last = float(problem.loss(vector_of(model)[None])[0])
        seconds = time.perf_counter() - began
        _check_same(losses, problem)
        losses = [*losses, last]
        self._note(problem, evaluations, model, losses, seconds)

    def _note(
        self, problem: Problem, evaluations: Evaluations, model: Model, losses: list[float], seconds: float
    ) -> None:
        best = int(np.argmin(losses))
        if best < len(losses) - 1:
            model = problem.model.clone()
            if best:
                self._fit(problem, model, best)
        count = np.arange(len(losses))
        # The engine makes many steps in one call: they are taken to last equally long.
        evaluations.add(losses, seconds * (count + 1) / len(losses), count)
        evaluations.best = vector_of(model)


def _check_same(losses: list[float], problem: Problem) -> None:
    own = float(problem.loss(problem.loss.start[None])[0])
    if losses and abs(losses[0] - own) > _SAME * max(abs(own), 1e-6):
        raise ConfigurationError(
            f"GradientDescent: the first loss is {losses[0]:.6g} in training but {own:.6g} at inference.",
            hint="compare a model without dropout, noise and batch normalisation",
        )
