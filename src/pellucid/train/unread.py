"""Large inputs are not read before training: their first epoch finds out whether they are finite.

To read 188 MB takes 5 ms, a tenth of an epoch of a small network. Where every feature is multiplied by weights that
are trained, NaN and infinity cannot stay hidden: the gradient of the weights W of x W is the sum of x[n] d[n] over the
samples n, and neither becomes finite by any factor, 0 included, nor by the library's optimisers. There must be such a
sum: of an activation that is constant everywhere but for its steps the gradient is 0, and no product. So this is only
for networks of layers, activations and losses that are known to have one.

If losses and parameters are finite after an epoch, what it has read is. If they are not, the inputs are checked as all
others are before training, and where they are at fault the model keeps the numbers that it had.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import optim
from pellucid.dtypes import is_float
from pellucid.nn import (
    ELU,
    Activation,
    Add,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Reshape,
    Softmax,
    losses,
)  # fmt: skip
from pellucid.nn.activations import ACTIVATIONS
from pellucid.nn.layer import Layer
from pellucid.nn.network import Network
from pellucid.nn.symbol import Symbol
from pellucid.train.checks import check_finite

#: Bytes from which on an array is large: it takes half a millisecond to read.
LARGE = 1 << 24


@dataclass(frozen=True)
class Unread:
    """Inputs of a fit that nobody has read yet.

    Attributes:
        arrays: The inputs, and what they are called.
    """

    arrays: Sequence[tuple[np.ndarray, str]]

    def check(self, rows: np.ndarray | None = None) -> None:
        """Look for NaN and infinity in some rows, or in all.

        Raises:
            DataError: An element is not finite.
        """
        for array, what in self.arrays:
            if rows is None or not np.isfinite(array[rows]).all():
                check_finite(array, what)


def may_wait(model: Any, symbol: Symbol, array: np.ndarray) -> bool:
    """Whether training on an array finds out if it is finite, and reading it first would take long."""
    optimizer = model.optimizer
    if array.nbytes < LARGE or array.dtype != symbol.dtype or not is_float(symbol.dtype):
        return False
    known = type(optimizer) in optim.OPTIMIZERS.values() and optimizer.clip_value is None
    known = known and all(type(loss) in losses.LOSSES.values() for loss in model.objective.losses)
    if not (known and all(map(_has_gradient, model.network.layers))):
        return False
    return _is_multiplied(model.network, symbol, {id(parameter) for parameter in model.trainable_parameters})


def _has_gradient(layer: Layer) -> bool:
    """Whether gradients go through a layer, whatever its numbers are."""
    if type(layer) in (Dense, Activation):
        activation = layer.activation  # type: ignore[attr-defined]
        return activation is None or (isinstance(activation, str) and activation in ACTIVATIONS.keys() - {"step"})
    return type(layer) in (Add, Concatenate, Dropout, ELU, Flatten, LeakyReLU, Reshape, Softmax)


def _is_multiplied(network: Network, symbol: Symbol, trained: Collection[int]) -> bool:
    """Whether the elements of a symbol meet nothing but weights of which the identities are given."""
    calls = [call for call in network.calls if any(source is symbol for source in call.inputs)]
    return bool(calls) and all(
        (type(call.layer) is Dense and id(call.layer.kernel) in trained)
        or (
            type(call.layer) in (Flatten, Reshape)
            and all(_is_multiplied(network, output, trained) for output in call.outputs)
        )
        for call in calls
    )
