"""Which parts of an input a prediction needs: what happens when a window hides them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.analysis.probe import Probe, Request, program
from pellucid.analysis.target import target_value, targets_of
from pellucid.errors import ConfigurationError, DataError
from pellucid.shapes import show, spatial_tuple


def occlusion(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    window: int | Sequence[int] = 5,
    stride: int | Sequence[int] = 1,
    fill: Any = 0.0,
    output: str | int | None = None,
    score: str = "output",
    batch_size: int = 256,
) -> np.ndarray:
    """How much the score falls where a window covers the input (Zeiler and Fergus 2014).

    For each pixel, the mean of S_c(x) - S_c(x with the window filled) over the windows that lie on it. The windows move
    by ``stride``; a last one ends at the edge, so that every pixel is covered.

    Args:
        model, target, output, batch_size: As for :func:`gradients`.
        x: Images [N, height, width, channel] or sequences [N, length, channel].
        window: Size of the window, one number or one per axis.
        stride: How far it moves.
        fill: What is written into it: a number, or one per channel.
        score: ``"output"`` (the probability) or ``"logits"``.

    Returns:
        Maps [N, height, width] or [N, length]; positive where the input speaks for the class.

    Raises:
        DataError, ConfigurationError: As for :func:`gradients`; also where the window does not fit.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense, Flatten
    >>> model = Sequential([Input((2, 2, 1)), Flatten(), Dense(1, kernel_initializer="ones")])
    >>> occlusion(model, [[[[1.0], [2.0]], [[3.0], [4.0]]]], window=1).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    owner = "occlusion"
    probe = Probe(owner, model, x, batch_size)
    if len(probe.arrays) > 1 or probe.arrays[0].ndim < 3:
        raise ConfigurationError(
            f"{owner}: the model must have one input with positions, [N, ..., channel], not "
            f"{' and '.join(show((None, *a.shape[1:])) for a in probe.arrays)}."
        )
    windows = _windows(owner, probe.arrays[0].shape[1:-1], window, stride)
    hidden = _filling(owner, fill, probe.arrays[0].shape[-1])
    targets = targets_of(probe, target_value(owner, probe.wiring, None, output, score), target)
    run = program(probe.wiring, Request((targets.value,)), probe.at_most(batch_size, probe.count * len(windows)))
    return _maps(probe, run, targets, windows, hidden)


def _windows(owner: str, sizes: Sequence[int], window: Any, stride: Any) -> list[tuple[slice, ...]]:
    """Every place of the window; the last of each axis ends at the edge."""
    extents = spatial_tuple(window, len(sizes), f"{owner}: window")
    strides = spatial_tuple(stride, len(sizes), f"{owner}: stride")
    axes = []
    for size, extent, step in zip(sizes, extents, strides, strict=True):
        if extent > size:
            raise ConfigurationError(f"{owner}: a window of {extent} does not fit on an axis of {size}.")
        starts = sorted({*range(0, size - extent + 1, step), size - extent})
        axes.append([slice(start, start + extent) for start in starts])
    return list(itertools.product(*axes))


def _filling(owner: str, fill: Any, channels: int) -> np.ndarray:
    numbers = np.asarray(fill)
    if numbers.dtype.kind not in "biuf" or numbers.shape not in ((), (channels,)) or not np.isfinite(numbers).all():
        raise DataError(f"{owner}: fill must be a finite number, or one for each of {channels} channels, not {fill!r}.")
    return numbers


def _maps(probe: Probe, run: Any, targets: Any, windows: list[tuple[slice, ...]], fill: np.ndarray) -> np.ndarray:
    """The mean fall of the score over the windows that cover each pixel.

    Pairs of a sample and a window fill the batches, so that few samples cost as little as their windows.
    """
    (x,), dtype = probe.arrays, probe.wiring.model.input_dtypes[0]
    plain = np.empty(probe.count)
    for part in probe.parts():
        plain[part] = targets.scores(part, probe.call(run, probe.rows(part))[0].astype(np.float64))
    total = np.zeros(x.shape[:-1])
    covers = np.zeros(x.shape[1:-1])
    for window in windows:
        covers[window] += 1
    for start in range(0, probe.count * len(windows), run.batch):
        pairs = range(start, min(start + run.batch, probe.count * len(windows)))
        rows = np.array([pair // len(windows) for pair in pairs])
        batch = np.array(x[rows], dtype)
        for image, pair in zip(batch, pairs, strict=True):
            image[windows[pair % len(windows)]] = fill
        scores = targets.scores(rows, probe.call(run, [batch])[0].astype(np.float64))
        for row, pair, score in zip(rows, pairs, scores, strict=True):
            total[(row, *windows[pair % len(windows)])] += plain[row] - score
    return (total / covers).astype(dtype)
