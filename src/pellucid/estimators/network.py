"""The network of a multi-layer perceptron: an architecture whose numbers are an estimator's own arrays.

The compiled programs belong to a model, but the numbers that they compute with are handed to them: ``coefs_`` and
``intercepts_`` themselves. So a fitted estimator is plain data, and whoever changes an array changes the predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pellucid import ops, seeds
from pellucid.backends.loop import Loop, LoopData
from pellucid.nn import Dense, Dropout, Input
from pellucid.nn.losses import Loss
from pellucid.nn.regularizers import L2
from pellucid.optim import Optimizer
from pellucid.train import Model, Sequential
from pellucid.train.feed import Segment

#: scikit-learn's name of an activation -> what the layers call it.
ACTIVATIONS: dict[str, Any] = {"identity": "linear", "logistic": "sigmoid", "exp": ops.exp}

#: The rows that are predicted at once.
_ROWS = 256

#: Multiply-adds of a step from which several threads are worth their start.
_LARGE = 1_000_000


@dataclass(frozen=True)
class Architecture:
    """The shape of a network.

    Attributes:
        units: Inputs, units of each hidden layer, outputs.
        activation, out_activation: Of the hidden layers and of the last, in scikit-learn's names or Pellucid's.
        dropout: The share of the hidden units that is left out in training.
        dtype: Of inputs and parameters.
    """

    units: tuple[int, ...]
    activation: Any
    out_activation: str
    dropout: float
    dtype: np.dtype


class Network:
    """A model of an architecture, compiled for a loss and an optimiser.

    Args:
        architecture: The layers.
        loss, factor: What is made small: factor times the mean of the loss.
        optimizer: The update.
        penalised: Whether the kernels carry an L2 penalty.

    Attributes:
        model: The model. Its own parameters are never used.
        penalty: That penalty, or None; its strength is an input of the step, set anew for every size of batches.
    """

    def __init__(
        self, architecture: Architecture, loss: Loss, factor: float, optimizer: Optimizer, penalised: bool
    ) -> None:
        self.penalty = L2(1.0) if penalised else None
        with seeds.rooted(0):  # nothing random is drawn, and the user's seeds stay as they are
            self.model = Sequential(list(_layers(architecture, self.penalty)), dtype=architecture.dtype)
        self.model.compile(loss, optimizer, loss_weights=[factor])

    def outputs(self, x: np.ndarray, parameters: Sequence[np.ndarray]) -> np.ndarray:
        """The network's outputs [n, outputs] for some parameters: kernel and bias of each layer in turn."""
        return outputs_of(self.model, x, parameters)


def outputs_of(model: Model, x: np.ndarray, parameters: Sequence[np.ndarray]) -> np.ndarray:
    """The outputs of a model's layers for samples and for parameters in the model's order.

    Some rows are computed at once; the rest of them is filled up to a power of two, so that few programs serve all.
    """
    found = []
    whole = len(x) // _ROWS * _ROWS
    for start, stop in ((0, whole), (whole, len(x))):
        if start == stop:
            continue
        size = min(_ROWS, 1 << (stop - start - 1).bit_length())
        order = np.zeros(-(-(stop - start) // size) * size, np.int64)
        order[: stop - start] = np.arange(start, stop)
        segment = Segment((x,), (), (), model.input_dtypes, order, size)
        run = model.programs.prediction(segment).loop.start(LoopData(segment.arrays, order, state=parameters))
        while run.done < run.steps:
            run.advance(run.steps - run.done)
        found.append(run.logs[0].reshape(-1, *run.logs[0].shape[2:])[: stop - start])
    return found[0] if len(found) == 1 else np.concatenate(found)


def repeated(loop: Loop, data: LoopData) -> Callable[[], list[np.ndarray]]:
    """A function that makes a loop's one step on arrays that others change; it gives the logs.

    Small steps are made at the lowest latency on one thread, large ones on all cores.
    """
    numbers = sum(array.size for array in data.state)
    if len(data.order) * numbers < _LARGE:
        return loop.fixed(data)

    def step() -> list[np.ndarray]:
        run = loop.start(data)
        run.advance(1)
        return run.logs

    return step


def _layers(architecture: Architecture, penalty: L2 | None) -> Any:
    units = architecture.units
    activations = [architecture.activation] * (len(units) - 2) + [architecture.out_activation]
    yield Input((units[0],))
    for number, (size, activation) in enumerate(zip(units[1:], activations, strict=True)):
        given: Any = activation if isinstance(activation, Callable) else ACTIVATIONS.get(activation, activation)
        yield Dense(size, activation=given, kernel_initializer="zeros", kernel_regularizer=penalty)
        if architecture.dropout and number < len(units) - 2:
            yield Dropout(architecture.dropout)


def initial_parameters(
    units: Sequence[int], activation: Any, random: np.random.RandomState, dtype: np.dtype
) -> list[np.ndarray]:
    """Kernel and bias of each layer in turn, uniform on [-b, b), b = sqrt(f / (n_in + n_out)) (Glorot and Bengio 2010).

    f is 6, for the logistic activation 2; scikit-learn draws the biases so too. Kernel and bias are drawn in the same
    order, so that the same seed gives the same network.

    >>> kernel, bias = initial_parameters([2, 3], "relu", np.random.RandomState(0), np.dtype("float64"))
    >>> kernel.shape, bias.shape, bool(abs(kernel).max() <= (6 / 5) ** 0.5)
    ((2, 3), (3,), True)
    """
    factor = 2.0 if activation in ("logistic", "sigmoid") else 6.0
    found = []
    for n_in, n_out in pairwise(units):
        bound = np.sqrt(factor / (n_in + n_out))
        found.append(random.uniform(-bound, bound, (n_in, n_out)).astype(dtype, copy=False))
        found.append(random.uniform(-bound, bound, n_out).astype(dtype, copy=False))
    return found
