"""What the channels of a network have learned: their filters, their maps, and the patches that excite them most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.probe import Probe
from pellucid.analysis.receptive_fields import ReceptiveField, field_of
from pellucid.analysis.target import channels_of
from pellucid.analysis.wiring import CONVOLUTIONS, Wiring
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, boolean, require


def has_convolution(model: Any) -> bool:
    """Whether a model has a Conv1D or a Conv2D, in nested models too.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv1D, Dense
    >>> has_convolution(Sequential([Input((4,)), Dense(2)])), has_convolution(Sequential([Input((4, 1)), Conv1D(2, 3)]))
    (False, True)
    """
    return any(isinstance(step.layer, CONVOLUTIONS) for step in Wiring(model).steps)


def filters(model: Any, layer: Any = None) -> np.ndarray:
    """A copy of the kernel of a convolution: [height, width, channels in / groups, filters] or [length, ...].

    Args:
        model: The model, built.
        layer: A layer's name, number, or the layer itself; the first convolution by default.

    Raises:
        ConfigurationError: There is no such layer, or it is no convolution.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D
    >>> filters(Sequential([Input((28, 28, 1)), Conv2D(6, 5)])).shape
    (5, 5, 1, 6)
    """
    wiring = Wiring(model)
    step = wiring.convolutions()[0] if layer is None else wiring.step(layer)
    if not isinstance(step.layer, CONVOLUTIONS):
        names = ", ".join(found.name for found in wiring.convolutions())
        raise ConfigurationError(
            f'filters: the layer "{step.name}" ({type(step.layer).__name__}) is no convolution.',
            hint=f"the convolutions are: {names}",
        )
    return step.layer.kernel.numpy().copy()


def feature_maps(
    model: Any, x: Any, layer: Any = None, *, before_activation: bool = False, batch_size: int = 256
) -> np.ndarray:
    """What a layer makes of inputs: [N, height, width, channel] of a convolution, [N, units] of Dense.

    Args:
        model: The model, built.
        x: Inputs as for ``predict``.
        layer: A layer's name, number, or the layer itself; the first convolution by default.
        before_activation: Whether to take conv(x, W) + b in place of f(conv(x, W) + b).
        batch_size: The most samples computed at once.

    Raises:
        DataError: x does not fit the model.
        ConfigurationError: There is no such layer.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D
    >>> feature_maps(Sequential([Input((28, 28, 1)), Conv2D(6, 5)]), np.zeros((2, 28, 28, 1))).shape
    (2, 24, 24, 6)
    """
    require("feature_maps", "before_activation", before_activation, boolean)
    probe = Probe("feature_maps", model, x, batch_size)
    value = _chosen(probe.wiring, layer, before_activation)
    shape, dtype = probe.wiring.values[value]
    found = np.empty((probe.count, *shape), dtype)
    for part, (values,) in probe.forward(value):
        found[part] = values
    return found


@dataclass(frozen=True, eq=False)
class TopPatches:
    """The inputs that excite the channels of a layer most.

    Attributes:
        layer: The layer's name.
        channels: The channels [channels].
        values: The activations, largest first [channels, count].
        rows: The samples [channels, count].
        positions: The units' positions in the layer [channels, count, axes].
        patches: What those units see [channels, count, height, width, channel]; 0 where that is padding.
        field: The layer's receptive field.
    """

    layer: str
    channels: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    positions: np.ndarray
    patches: np.ndarray
    field: ReceptiveField


def top_patches(
    model: Any,
    x: Any,
    layer: Any = None,
    *,
    count: int = 9,
    channels: Any = None,
    before_activation: bool = False,
    batch_size: int = 256,
) -> TopPatches:
    """For each channel of a layer, the parts of a data set that excite it most: at most one from each sample.

    Args:
        model: The model, built, with one input.
        x: Inputs as for ``predict``, of any number: they go through in batches.
        layer: A layer's name, number, or the layer itself; the first convolution by default.
        count: How many to keep for each channel.
        channels: A channel, or several; all by default.
        before_activation: Whether to compare the values before the activation, which tells apart what a sigmoid or
            tanh makes alike.
        batch_size: The most samples computed at once.

    Returns:
        The patches, with activations, samples and positions; of equal activations the first sample and position.

    Raises:
        DataError: x does not fit the model.
        ConfigurationError: There is no such layer or channel, or what its units see is not known.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv1D
    >>> model = Sequential([Input((5, 1)), Conv1D(1, 3, kernel_initializer="ones")])
    >>> found = top_patches(model, [[[0.0], [0.0], [2.0], [1.0], [0.0]]], count=1)
    >>> found.values.tolist(), found.positions.tolist(), found.patches[0, 0, :, 0].tolist()
    ([[3.0]], [[[1]]], [0.0, 2.0, 1.0])
    """
    require("top_patches", "count", count, Integer(1))
    require("top_patches", "before_activation", before_activation, boolean)
    probe = Probe("top_patches", model, x, batch_size)
    if len(probe.arrays) != 1:
        raise ConfigurationError(f"top_patches: the model has {len(probe.arrays)} inputs; patches are cut from one.")
    wiring = probe.wiring
    value = _chosen(wiring, layer, before_activation)
    step = wiring.maker(value)
    assert step is not None
    field = ReceptiveField(step.name, field_of(wiring, value))
    chosen = channels_of("top_patches", channels, wiring.channels(value, "top_patches: the layer's output"))
    best = _Best(len(chosen), min(count, probe.count), wiring.values[value][1])
    for part, (values,) in probe.forward(value):
        flat = values.reshape(len(values), -1, values.shape[-1])[..., chosen]
        places = flat.argmax(axis=1)
        best.take(np.take_along_axis(flat, places[:, None], axis=1)[:, 0], np.arange(part.start, part.stop), places)
    positions = _positions(best.places, wiring.values[value][0][:-1], len(field.axes))
    patches = [
        [_cut(probe.arrays[0][row], field.window(at)) for row, at in zip(*pair, strict=True)]
        for pair in zip(best.rows, positions, strict=True)
    ]
    return TopPatches(step.name, chosen, best.values, best.rows, positions, np.array(patches), field)


def _positions(places: np.ndarray, shape: tuple[int, ...], axes: int) -> np.ndarray:
    """Positions [..., axes] of numbered places; a unit without positions, of Dense, is at the first."""
    if len(shape) != axes or not axes:
        return np.zeros((*places.shape, axes), np.intp)
    return np.stack(np.unravel_index(places, shape), axis=-1)


class _Best:
    """The largest values of each channel so far, with their samples and places."""

    def __init__(self, channels: int, count: int, dtype: Any) -> None:
        self.count = count
        self.values = np.empty((channels, 0), dtype)
        self.rows: Any = np.empty((channels, 0), np.intp)
        self.places: Any = np.empty((channels, 0), np.intp)

    def take(self, values: np.ndarray, rows: np.ndarray, places: np.ndarray) -> None:
        """Look at more samples: values [sample, channel], the samples' numbers, places [sample, channel]."""
        every = np.concatenate([self.values, values.T], axis=1)
        all_rows = np.concatenate([self.rows, np.broadcast_to(rows, values.T.shape)], axis=1)
        all_places = np.concatenate([self.places, places.T], axis=1)
        # Stable: of equal values, the one met first stays.
        order = np.argsort(-every, axis=1, kind="stable")[:, : self.count]
        self.values, self.rows, self.places = (
            np.take_along_axis(a, order, axis=1) for a in (every, all_rows, all_places)
        )


def _cut(sample: np.ndarray, window: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The window of a sample, with zeros where it reaches beyond it."""
    patch = np.zeros((*(stop - start for start, stop in window), *sample.shape[len(window) :]), sample.dtype)
    inside = [(max(start, 0), min(stop, size)) for (start, stop), size in zip(window, sample.shape, strict=False)]
    if all(start < stop for start, stop in inside):
        into = tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(inside, window, strict=True))
        patch[into] = sample[tuple(slice(a, b) for a, b in inside)]
    return patch


def _chosen(wiring: Wiring, layer: Any, before_activation: bool) -> int:
    chosen = wiring.convolutions()[0].layer if layer is None else layer
    return wiring.output_of(chosen, before_activation=before_activation)
