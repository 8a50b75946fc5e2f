"""Training by L-BFGS: SciPy's quasi-Newton method on the loss and gradient that the engine computes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from pellucid import ops
from pellucid.backends.loop import LoopData
from pellucid.estimators.descent import Samples, training_arrays
from pellucid.estimators.listening import Listeners
from pellucid.estimators.network import Network, repeated
from pellucid.train.step import StepLogs

#: SciPy's status of a search that its callback ended.
_STOPPED = 99


class Surface:
    """The loss over all samples as a function of all parameters in a row, with its gradient.

    Args:
        network: Compiled with :class:`~pellucid.estimators.solvers.KeepGradient`.
        samples: The data.
        parameters: The arrays that the point is written to.
        alpha: The strength of the penalty alpha / 2 ||W||^2 / (sum of the weights).
        key_seed: Fixes dropout: the same units are left out at every point.
    """

    def __init__(
        self, network: Network, samples: Samples, parameters: list[np.ndarray], alpha: float, key_seed: int
    ) -> None:
        self._parameters = parameters
        arrays = training_arrays(network, parameters, [])
        self._gradients = arrays[len(parameters) :]
        count = len(samples.x)
        segment = samples.segment(network, np.arange(count), count)
        program = network.model.programs.training(segment)
        if network.penalty is not None:
            network.penalty.strength = alpha / (count * samples.mean_weight)
        fixed = [np.asarray(ops.random_key(key_seed)), *program.trained.settings.values()]
        series = [np.zeros(1, np.uint32), np.zeros(1, np.float64)]
        self._step = repeated(program.loop, LoopData(segment.arrays, segment.order, fixed, series, arrays))
        self._losses, self._count = program.losses, count

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient at a point."""
        self.go_to(point)
        self._logs = StepLogs.of(self._step(), self._losses)
        return float(self._logs.total[0]), np.concatenate([g.ravel() for g in self._gradients], dtype=np.float64)

    def point(self) -> np.ndarray:
        """The parameters in a row."""
        return np.concatenate([array.ravel() for array in self._parameters]).astype(np.float64)

    def go_to(self, point: np.ndarray) -> None:
        """Write a point into the parameters."""
        start = 0
        for array in self._parameters:
            array[...] = point[start : start + array.size].reshape(array.shape)
            start += array.size

    def mean_loss_and_penalty(self, point: np.ndarray) -> tuple[float, float]:
        """The two parts of the loss at a point, before factors."""
        self(point)
        return float(self._logs.loss_sums[0][0]) / self._count, float(self._logs.penalty[0])


def minimise(
    estimator: Any,
    surface: Surface,
    start: list[np.ndarray],
    listeners: Listeners,
    reported: Callable[[float, float], float],
) -> tuple[float, float]:
    """Find a minimum from a start; the surface's parameters are there afterwards.

    Args:
        estimator: Gives the settings; its ``n_iter_`` is set.
        surface: The loss.
        start: Parameters to begin with.
        listeners: Callbacks, told of every iteration; they may end the search.
        reported: From mean loss and penalty to the loss that they are told.

    Returns:
        Mean loss and penalty at the minimum.
    """
    point = np.concatenate([array.ravel() for array in start]).astype(np.float64)
    surface.go_to(point)

    def tell(intermediate_result: Any) -> None:
        listeners.begin_epoch()
        if listeners.end_epoch({"loss": reported(*surface.mean_loss_and_penalty(intermediate_result.x))}):
            raise StopIteration

    listeners.begin()
    # SciPy's own products are of short vectors: its threads would only take the cores from the gradient's.
    try:
        with threadpool_limits(1, user_api="blas"):
            found = scipy.optimize.minimize(
                surface, point, method="L-BFGS-B", jac=True, callback=tell if listeners else None,
                options={"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol},
            )  # fmt: skip
            surface.go_to(found.x)
    finally:
        listeners.end()
    estimator.n_iter_ = min(int(found.nit), estimator.max_iter)
    if estimator.verbose:
        print(f"L-BFGS: {found.nit} iterations, {found.nfev} evaluations, loss = {found.fun:.8f}; {found.message}")
    if found.status not in (0, _STOPPED):
        warnings.warn(
            f"{type(estimator).__name__}: L-BFGS ended before it converged (status {found.status}): {found.message}. "
            "Scale the data, or raise max_iter or max_fun.",
            ConvergenceWarning,
            stacklevel=5,
        )
    return surface.mean_loss_and_penalty(surface.point())
