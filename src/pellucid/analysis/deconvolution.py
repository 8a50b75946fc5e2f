"""What in an input a unit answers to: the deconvnet of Zeiler and Fergus, and guided back-propagation.

Both go back through the layers like the gradient: through convolutions by the transposed kernels, through max-pooling
to the places that won (the "switches"), through batch normalisation by its scale. They differ at each ReLU
y = max(0, x), where a signal s becomes

==============  ============================  ===========================================
gradient        s where x > 0                 what changes the unit
deconvnet       max(s, 0)                     what would excite it, whatever was there
guided          max(s, 0) where x > 0         what excites it and was there
==============  ============================  ===========================================

Activations other than ReLU keep their derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.analysis.attribution import signals
from pellucid.analysis.probe import Probe, Request
from pellucid.analysis.target import handed_back, targets_of
from pellucid.fields import Choice, require


def guided_backpropagation(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    layer: Any = None,
    output: str | int | None = None,
    score: str = "logits",
    wrt: Any = None,
    batch_size: int = 256,
) -> Any:
    """The gradient of a class's score, of which each ReLU lets back only what is positive (Springenberg et al. 2015).

    Args:
        model, x, target, layer, output, score, wrt, batch_size: As for :func:`~pellucid.analysis.gradients`.

    Returns:
        An array of the shape of x; a list of them for several inputs.

    Raises:
        DataError, ConfigurationError: As for :func:`~pellucid.analysis.gradients`.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D, Dense, Flatten
    >>> model = Sequential([Input((6, 6, 3)), Conv2D(4, 3, activation="relu"), Flatten(), Dense(2)])
    >>> guided_backpropagation(model, np.ones((1, 6, 6, 3))).shape
    (1, 6, 6, 3)
    """
    return signals("guided_backpropagation", model, x, target, layer, output, score, wrt, "guided", batch_size)


def deconvnet(
    model: Any,
    x: Any,
    layer: Any = None,
    channel: Any = None,
    *,
    positions: str = "strongest",
    rule: str = "deconvnet",
    batch_size: int = 256,
) -> Any:
    """What a channel of a layer saw, projected down to the input (Zeiler and Fergus 2014).

    Of the layer's activations all are set to 0 but the channel's (its strongest position alone, or all of them); the
    rest goes back through transposed kernels, unpooling by the switches, and a rectification at every ReLU.

    Args:
        model: The model, built.
        x: Inputs [N, ...] as for ``predict``.
        layer: The layer; the last convolution by default.
        channel: The channel, or one per sample; by default each sample's strongest.
        positions: ``"strongest"`` or ``"all"``.
        rule: ``"deconvnet"``, ``"guided"`` or ``"gradient"``.
        batch_size: The most samples computed at once.

    Returns:
        An array of the shape of x; a list of them for several inputs.

    Raises:
        DataError: x or the channels do not fit the model.
        ConfigurationError: There is no such layer or channel.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv1D
    >>> model = Sequential([Input((5, 1)), Conv1D(1, 3, kernel_initializer="ones")])
    >>> deconvnet(model, [[[0.0], [0.0], [2.0], [1.0], [0.0]]])[0, :, 0].tolist()
    [0.0, 3.0, 3.0, 3.0, 0.0]
    """
    owner = "deconvnet"
    require(owner, "positions", positions, Choice("strongest", "all"))
    require(owner, "rule", rule, Choice("deconvnet", "guided", "gradient"))
    probe = Probe(owner, model, x, batch_size)
    wiring = probe.wiring
    value = wiring.convolutions()[-1].outputs[0] if layer is None else wiring.output_of(layer)
    targets = targets_of(probe, value, channel, "channel")
    back = probe.backward(Request((), value, wiring.inputs, rule))
    found = [np.empty((probe.count, *wiring.values[end][0]), wiring.values[end][1]) for end in wiring.inputs]
    for part, (activations,) in probe.forward(value):
        start = activations * targets.signal(part, activations.dtype)
        if positions == "strongest":
            start *= _strongest(activations, targets.channels[part])
        for whole, signal in zip(found, back(probe.rows(part), start), strict=True):
            whole[part] = signal
    return handed_back(found)


def _strongest(activations: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """1 at the position where each sample's channel is largest, for all channels, and 0 elsewhere."""
    rows = np.arange(len(channels))
    flat = activations.reshape(len(rows), -1, activations.shape[-1])
    mask = np.zeros(flat.shape[:2], activations.dtype)
    mask[rows, flat[rows, :, channels].argmax(axis=1)] = 1
    return mask.reshape(*activations.shape[:-1], 1)
