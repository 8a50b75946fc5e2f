"""Images that excite a unit most: gradient ascent on the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import seeds
from pellucid.analysis.probe import Request, program
from pellucid.analysis.target import channels_of, target_value
from pellucid.analysis.wiring import Wiring
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, Interval, non_negative, positive, require
from pellucid.shapes import show


@dataclass(frozen=True, eq=False)
class Maximised:
    """Inputs that excite some channels.

    Attributes:
        channels: The channels [K].
        images: One input for each [K, ...].
        scores: The channel's mean over its positions, for the image and at each step before [steps + 1, K].
    """

    channels: np.ndarray
    images: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class _Ascent:
    """The settings of an ascent."""

    steps: int
    learning_rate: float
    decay: float
    blur: float
    jitter: int
    low: float
    high: float


def maximise_activation(
    model: Any,
    channels: Any = None,
    *,
    layer: Any = None,
    output: str | int | None = None,
    score: str = "logits",
    start: Any = None,
    steps: int = 256,
    learning_rate: float = 0.05,
    decay: float = 0.01,
    blur: float = 0.5,
    jitter: int = 1,
    value_range: Sequence[float] = (0.0, 1.0),
    seed: int = 0,
) -> Maximised:
    """Inputs that make channels of a layer, or classes, as strong as they get: gradient ascent on the input.

    x <- clip(blurred((1 - decay) (x + eta g / rms(g)))), g = dS / dx: the gradient's size does not matter, decay and
    blur keep out what is strong but means nothing (Erhan et al. 2009; Simonyan et al. 2014; Yosinski et al. 2015). The
    image is moved by up to ``jitter`` pixels at random before each gradient, so that no pixel counts by its place.
    All channels rise in one batch.

    Args:
        model: The model, built, with one input.
        channels: A channel, several, or None for all.
        layer: The layer whose channels are meant; by default the classes of the output.
        output: Which output of several has the classes.
        score: ``"logits"`` or ``"output"``.
        start: The input to start from: a sample, or one per channel; by default grey with a little noise.
        steps: Number of steps.
        learning_rate: eta, as a share of the width of ``value_range``.
        decay: How much is lost towards the middle of the range per step.
        blur: Deviation of the blur along each spatial axis, in pixels, in every fourth step; 0 for none.
        jitter: The largest shift in pixels; 0 for none.
        value_range: The smallest and the largest value that a pixel can have.
        seed: Fixes the noise and the shifts.

    Returns:
        The images, and how the scores rose.

    Raises:
        ConfigurationError: There is no such channel or layer, the model has several inputs, or integers as input.
        DataError: ``start`` does not fit.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D
    >>> model = Sequential([Input((6, 6, 1)), Conv2D(2, 3)])
    >>> found = maximise_activation(model, layer="conv2d", steps=8)
    >>> found.images.shape, bool((found.scores[-1] > found.scores[0]).all())
    ((2, 6, 6, 1), True)
    """
    owner = "maximise_activation"
    ascent = _Ascent(steps, learning_rate, decay, blur, jitter, *_range(owner, value_range))
    for name, check in (("steps", Integer(1)), ("learning_rate", positive), ("decay", Interval(0, 1, "left")),
                        ("blur", non_negative), ("jitter", Integer(0))):  # fmt: skip
        require(owner, name, getattr(ascent, name), check)
    require(owner, "seed", seed, Integer(0))
    wiring = Wiring(model)
    if len(wiring.inputs) != 1 or wiring.values[wiring.inputs[0]][1].kind != "f":
        raise ConfigurationError(f"{owner}: the model must have one input of real numbers.")
    value = target_value(owner, wiring, layer, output, score)
    chosen = channels_of(owner, channels, wiring.channels(value, owner))
    generator = seeds.generator(seed)
    images = _begin(owner, start, wiring, len(chosen), ascent, generator)
    return _ascend(wiring, value, chosen, images, ascent, generator)


def _range(owner: str, value_range: Any) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in value_range)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ConfigurationError(f"{owner}: value_range must be two numbers, the smaller first, not {value_range!r}.")
    return low, high


def _begin(
    owner: str, start: Any, wiring: Wiring, count: int, ascent: _Ascent, generator: np.random.Generator
) -> np.ndarray:
    sample, dtype = wiring.values[wiring.inputs[0]]
    if start is None:
        middle, width = (ascent.low + ascent.high) / 2, ascent.high - ascent.low
        return (middle + 0.01 * width * generator.standard_normal((count, *sample))).astype(dtype)
    given = np.asarray(start)
    if given.dtype.kind not in "biuf" or given.shape not in (sample, (1, *sample), (count, *sample)):
        raise DataError(
            f"{owner}: start must be a sample {show(sample)} or one for each of {count} channels, "
            f"not {given.dtype.name}{show(given.shape)}."
        )
    return np.broadcast_to(given, (count, *sample)).astype(dtype)


def _ascend(
    wiring: Wiring, value: int, channels: np.ndarray, images: np.ndarray, ascent: _Ascent, generator: Any
) -> Maximised:
    run = program(wiring, Request((value,), value, wiring.inputs), len(channels))
    shape, dtype = wiring.values[value]
    rows = np.arange(len(channels))
    signal = np.zeros((len(channels), *shape), dtype)
    # The mean over positions, so that layers of any size rise alike.
    signal[rows, ..., channels] = 1 / max(int(np.prod(shape[:-1])), 1)
    axes = tuple(range(1, images.ndim - 1))

    def climb(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, slope = run(np.ascontiguousarray(at), signal)
        return (values[rows, ..., channels].reshape(len(rows), -1).mean(axis=1), np.array(slope))

    scores = np.empty((ascent.steps + 1, len(channels)))
    for step in range(ascent.steps):
        scores[step] = climb(images)[0]
        shift = generator.integers(-ascent.jitter, ascent.jitter + 1, len(axes)) if ascent.jitter else [0] * len(axes)
        slope = np.roll(climb(np.roll(images, shift, axes))[1], -np.asarray(shift, int), axes)
        images = _stepped(images, slope, ascent, axes, step % 4 == 3)
    scores[-1] = climb(images)[0]
    return Maximised(channels, images, scores)


def _stepped(images: np.ndarray, slope: np.ndarray, ascent: _Ascent, axes: Sequence[int], blur: bool) -> np.ndarray:
    """The images after one step uphill, in the range of values."""
    from scipy.ndimage import gaussian_filter1d

    size = np.sqrt(np.square(slope).mean(axis=tuple(range(1, slope.ndim)), keepdims=True))
    middle, width = (ascent.low + ascent.high) / 2, ascent.high - ascent.low
    # Where nothing changes the score there is no way up: 0 / 0 stays 0.
    risen = images + ascent.learning_rate * width * slope / np.maximum(size, np.finfo(slope.dtype).tiny)
    risen = middle + (1 - ascent.decay) * (risen - middle)
    if blur and ascent.blur:
        for axis in axes:
            risen = gaussian_filter1d(risen, ascent.blur, axis=axis, mode="nearest")
    return np.clip(risen, ascent.low, ascent.high).astype(images.dtype)
