"""Which parts of an input speak for a class: gradients, saliency, SmoothGrad, integrated gradients, Grad-CAM.

Every function takes ``target``, the class to explain: a number for all samples, or one for each; by default the class
that the model predicts. ``score="logits"`` explains the value before a last softmax or sigmoid, ``"output"`` the
probability. ``layer=`` explains a channel of that layer in place of a class (its sum over all positions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid import seeds
from pellucid.analysis.probe import RULES, Probe, Request, program
from pellucid.analysis.receptive_fields import AxisField, field_of
from pellucid.analysis.target import Targets, handed_back, target_value, targets_of
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, Integer, boolean, non_negative, require
from pellucid.shapes import show


def gradients(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    layer: Any = None,
    output: str | int | None = None,
    score: str = "logits",
    wrt: Any = None,
    rule: str = "gradient",
    batch_size: int = 256,
) -> Any:
    """The gradient of a class's score by the input: dS_c / dx.

    Args:
        model: The model, built.
        x: Inputs [N, ...] as for ``predict``.
        target: The class, or one per sample; by default the predicted one.
        layer: The layer whose channel is the target, in place of a class.
        output: Which output of several has the class, by name or number.
        score: ``"logits"`` or ``"output"``.
        wrt: A layer whose output to differentiate by, in place of the inputs (an embedding's, for texts).
        rule: ``"gradient"``; ``"guided"`` and ``"deconvnet"`` change the way back through every ReLU (see
            :func:`~pellucid.analysis.guided_backpropagation` and :func:`~pellucid.analysis.deconvnet`).
        batch_size: The most samples computed at once.

    Returns:
        An array of the shape of x; a list of them for several inputs.

    Raises:
        DataError: x or the targets do not fit the model.
        ConfigurationError: There is no such class or layer, or the inputs have no gradient.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones")])
    >>> gradients(model, [[3.0, 4.0]], target=0).tolist()
    [[1.0, 1.0]]
    """
    return signals("gradients", model, x, target, layer, output, score, wrt, rule, batch_size)


def signals(
    owner: str,
    model: Any,
    x: Any,
    target: Any,
    layer: Any,
    output: Any,
    score: str,
    wrt: Any,
    rule: str,
    batch_size: int,
) -> Any:
    """What :func:`gradients` computes, for an owner that errors name."""
    require(owner, "rule", rule, Choice(*RULES))
    probe = Probe(owner, model, x, batch_size)
    targets = targets_of(probe, target_value(owner, probe.wiring, layer, output, score), target)
    ends = probe.wiring.inputs if wrt is None else (probe.wiring.output_of(wrt),)
    back = probe.backward(Request((), targets.value, ends, rule))
    found = [np.empty((probe.count, *probe.wiring.values[end][0]), probe.wiring.values[end][1]) for end in ends]
    for part in probe.parts():
        for whole, signal in zip(found, back(probe.rows(part), _start(probe, targets, part)), strict=True):
            whole[part] = signal
    return handed_back(found)


def saliency(
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
    """How strongly each pixel changes the score: max over channels of |dS_c / dx| (Simonyan, Vedaldi, Zisserman 2014).

    Args:
        model, x, target, layer, output, score, wrt, batch_size: As for :func:`gradients`.

    Returns:
        [N, height, width] for images [N, height, width, channel], [N, length] for sequences; inputs that are rows
        [N, features] keep every feature. A list for several inputs.

    Raises:
        DataError, ConfigurationError: As for :func:`gradients`.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D, Dense, Flatten
    >>> model = Sequential([Input((6, 6, 3)), Conv2D(4, 3, activation="relu"), Flatten(), Dense(2)])
    >>> saliency(model, np.ones((5, 6, 6, 3))).shape
    (5, 6, 6)
    """
    found = signals("saliency", model, x, target, layer, output, score, wrt, "gradient", batch_size)
    return _each(found, strength)


def smooth_gradients(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
    layer: Any = None,
    output: str | int | None = None,
    score: str = "logits",
    batch_size: int = 256,
) -> Any:
    """SmoothGrad: the mean gradient over noisy copies of the input (Smilkov et al. 2017).

    (1/n) sum_k dS_c(x + e_k) / dx, with e_k from N(0, sigma^2), sigma = ``noise`` times (largest - smallest element of
    the sample). :func:`strength` makes a map of it.

    Args:
        model, x, target, layer, output, score, batch_size: As for :func:`gradients`; the class of a sample is that
            which is predicted without noise.
        samples: n.
        noise: The deviation as a share of the sample's range.
        seed: Fixes the noise.

    Raises:
        DataError, ConfigurationError: As for :func:`gradients`.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones")])
    >>> smooth_gradients(model, [[3.0, 4.0]], samples=3).tolist()
    [[1.0, 1.0]]
    """
    owner = "smooth_gradients"
    require(owner, "samples", samples, Integer(1))
    require(owner, "noise", noise, non_negative)
    require(owner, "seed", seed, Integer(0))
    probe = Probe(owner, model, x, batch_size)
    targets = targets_of(probe, target_value(owner, probe.wiring, layer, output, score), target)
    back = probe.backward(Request((), targets.value, probe.wiring.inputs))
    # A stream per copy, drawn row after row: the size of a batch changes nothing.
    streams = [seeds.generator(seed, copy) for copy in range(samples)]

    def mean(part: slice, rows: list[np.ndarray]) -> list[np.ndarray]:
        start, total = _start(probe, targets, part), [np.zeros(a.shape, np.float64) for a in rows]
        spreads = [noise * (_rowwise(a, np.max) - _rowwise(a, np.min)) for a in rows]
        for stream in streams:
            moved = [
                a + (s * stream.standard_normal(a.shape)).astype(a.dtype) for a, s in zip(rows, spreads, strict=True)
            ]
            for sum_, signal in zip(total, back(moved, start), strict=True):
                sum_ += signal
        return [sum_ / samples for sum_ in total]

    return _by_batches(probe, probe.wiring.inputs, mean)


def integrated_gradients(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 64,
    return_gap: bool = False,
    layer: Any = None,
    output: str | int | None = None,
    score: str = "logits",
    wrt: Any = None,
    batch_size: int = 256,
) -> Any:
    """What each input contributes to S_c(x) - S_c(x0): (x - x0) times the mean gradient between x0 and x.

    (x - x0) * integral from 0 to 1 of dS_c(x0 + a (x - x0)) / dx da, by Gauss and Legendre's rule. The contributions
    add up to the difference of the scores ("completeness"); an input that alone differs and changes the score gets
    some ("sensitivity") (Sundararajan, Taly, Yan 2017).

    Args:
        model, x, target, layer, output, score, batch_size: As for :func:`gradients`.
        baseline: x0: a number, one sample, or one for each sample.
        wrt: A layer whose output takes the place of x, and x0 with it: an embedding's, for texts, where
            ``.sum(axis=-1)`` gives the share of each word.
        steps: How many points of the path are computed.
        return_gap: Whether to return, too, how far the sum is from the difference [N]: the error of the integration.

    Returns:
        An array of the shape of x (a list for several inputs), or of the output of ``wrt``; or that and the gaps.

    Raises:
        DataError, ConfigurationError: As for :func:`gradients`; also where the baseline does not fit.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones", activation="relu")])
    >>> found = integrated_gradients(model, [[3.0, -1.0]], target=0)
    >>> found.round(2).tolist(), float(found.sum().round(2))
    ([[3.0, -1.0]], 2.0)
    """
    owner = "integrated_gradients"
    require(owner, "steps", steps, Integer(1))
    require(owner, "return_gap", return_gap, boolean)
    probe = Probe(owner, model, x, batch_size)
    wiring = probe.wiring
    targets = targets_of(probe, target_value(owner, wiring, layer, output, score), target)
    path = _Path(probe, targets, wiring.inputs if wrt is None else (wiring.output_of(wrt),))
    bases = _baselines(owner, probe, path.ends, baseline)
    gaps = np.empty(probe.count)

    def integral(part: slice, rows: list[np.ndarray]) -> list[np.ndarray]:
        tops, run = path.of(part, rows)
        ends = [
            np.broadcast_to(base[part] if len(base) > 1 else base, a.shape).astype(a.dtype)
            for a, base in zip(tops, bases, strict=True)
        ]
        means = _mean_on_path(lambda at: run(at)[1:], tops, ends, steps)
        found = [mean * (a.astype(np.float64) - b) for mean, a, b in zip(means, tops, ends, strict=True)]
        there, here = (targets.scores(part, run(at)[0].astype(np.float64)) for at in (tops, ends))
        gaps[part] = sum(a.reshape(len(a), -1).sum(axis=1) for a in found) - (there - here)
        return found

    found = _by_batches(probe, path.ends, integral)
    return (found, gaps) if return_gap else found


class _Path:
    """The score and its gradient over values of the inputs, or of the output of a layer in their place."""

    def __init__(self, probe: Probe, targets: Targets, ends: tuple[int, ...]) -> None:
        self.ends, self._probe, self._targets = ends, probe, targets
        self._inside = () if ends == probe.wiring.inputs else ends
        self._back = probe.backward(Request((targets.value,), targets.value, ends, given=self._inside))

    def of(self, part: slice, rows: list[np.ndarray]) -> tuple[list[np.ndarray], Callable[..., list[np.ndarray]]]:
        """The values of a batch, and the function from such values to the score and its gradients."""
        start = _start(self._probe, self._targets, part)
        if not self._inside:
            return rows, lambda at: self._back(at, start)
        forward = program(self._probe.wiring, Request(self._inside), self._probe.batch)
        values = [value.copy() for value in self._probe.call(forward, rows)]
        return values, lambda at: self._back([*rows, *at], start)


def _mean_on_path(
    slope: Callable[[list[np.ndarray]], Sequence[np.ndarray]],
    rows: Sequence[np.ndarray],
    ends: Sequence[np.ndarray],
    steps: int,
) -> list[np.ndarray]:
    """The mean of a gradient on the straight line from ``ends`` to ``rows``."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = [np.zeros(a.shape, np.float64) for a in rows]
    # From [-1, 1], for which the rule is made, to [0, 1].
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        between = [(b + point * (a.astype(np.float64) - b)).astype(a.dtype) for a, b in zip(rows, ends, strict=True)]
        for sum_, signal in zip(total, slope(between), strict=True):
            sum_ += weight * signal
    return total


def grad_cam(
    model: Any,
    x: Any,
    target: Any = None,
    layer: Any = None,
    *,
    upsample: bool = True,
    output: str | int | None = None,
    score: str = "logits",
    batch_size: int = 256,
) -> np.ndarray:
    """Where the evidence for a class is: Grad-CAM (Selvaraju et al. 2017).

    max(0, sum_k a_k A_k), where A_k is channel k of a layer and a_k the mean of dS_c / dA_k over its positions.

    Args:
        model, x, target, output, score, batch_size: As for :func:`gradients`.
        layer: The layer that A is the output of; the last convolution by default.
        upsample: Whether to interpolate linearly to the size of the input, each position at the centre of what it
            sees there; otherwise the map has the layer's own positions.

    Returns:
        Maps [N, height, width], or [N, length] for sequences.

    Raises:
        DataError, ConfigurationError: As for :func:`gradients`; also where there is no convolution, or the layer has
            no positions.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D, Dense, Flatten
    >>> model = Sequential([Input((8, 8, 1)), Conv2D(4, 3, activation="relu"), Flatten(), Dense(2)])
    >>> grad_cam(model, np.ones((1, 8, 8, 1))).shape, grad_cam(model, np.ones((1, 8, 8, 1)), upsample=False).shape
    ((1, 8, 8), (1, 6, 6))
    """
    owner = "grad_cam"
    require(owner, "upsample", upsample, boolean)
    probe = Probe(owner, model, x, batch_size)
    wiring = probe.wiring
    looked_at = wiring.convolutions()[-1].outputs[0] if layer is None else wiring.output_of(layer)
    shape, dtype = wiring.values[looked_at]
    if len(shape) < 2:
        raise ConfigurationError(
            f"{owner}: the layer makes {show((None, *shape))}, which has no positions.",
            hint="choose a convolution or a pooling layer before Flatten",
        )
    targets = targets_of(probe, target_value(owner, wiring, None, output, score), target)
    back = probe.backward(Request((looked_at,), targets.value, (looked_at,)))
    found = np.empty((probe.count, *shape[:-1]), dtype)
    positions = tuple(range(1, len(shape)))
    for part in probe.parts():
        values, signal = back(probe.rows(part), _start(probe, targets, part))
        weights = signal.mean(axis=positions, keepdims=True)
        found[part] = np.maximum((weights * values).sum(axis=-1), 0)
    return upsampled(found, field_of(wiring, looked_at)) if upsample else found


def strength(gradient: Any) -> np.ndarray:
    """The largest magnitude over the channels: one number per position of images and sequences.

    >>> strength(np.array([[[1.0, -3.0], [0.5, 0.0]]])).tolist()
    [[3.0, 0.5]]
    """
    size = np.abs(np.asarray(gradient))
    return size.max(axis=-1) if size.ndim > 2 else size


def upsampled(maps: np.ndarray, field: Sequence[AxisField]) -> np.ndarray:
    """Maps [N, positions...] at the size of the input: linear between the centres of what the positions see."""
    for axis, seen in enumerate(field, start=1):
        units = maps.shape[axis]
        centres = np.array([seen.centre(unit) for unit in range(units)])
        # Column by column of a matrix: what a map that is 1 at one position becomes.
        weights = np.stack([np.interp(np.arange(seen.length), centres, unit) for unit in np.eye(units)])
        maps = np.moveaxis(np.tensordot(maps, weights.astype(maps.dtype), ([axis], [0])), -1, axis)
    return maps


def _start(probe: Probe, targets: Targets, part: slice) -> np.ndarray:
    return targets.signal(part, probe.wiring.values[targets.value][1])


def _rowwise(array: np.ndarray, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    """A number per sample, of a shape that goes with the samples."""
    return reduce(array.reshape(len(array), -1), axis=1).reshape(len(array), *[1] * (array.ndim - 1))


def _each(found: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    return [change(one) for one in found] if isinstance(found, list) else change(found)


def _by_batches(
    probe: Probe, ends: Sequence[int], compute: Callable[[slice, list[np.ndarray]], list[np.ndarray]]
) -> Any:
    """What is computed of each batch, put together in the shapes and types of some values."""
    found = [np.empty((probe.count, *shape), dtype) for shape, dtype in (probe.wiring.values[end] for end in ends)]
    for part in probe.parts():
        for whole, piece in zip(found, compute(part, probe.rows(part)), strict=True):
            whole[part] = piece
    return handed_back(found)


def _baselines(owner: str, probe: Probe, ends: Sequence[int], baseline: Any) -> list[np.ndarray]:
    """One baseline per value, with a first axis of 1 or of all samples."""
    several = len(ends) > 1 and isinstance(baseline, (list, tuple))
    given = list(baseline) if several else [baseline] * len(ends)
    if len(given) != len(ends):
        raise DataError(f"{owner}: there are {len(given)} baselines for {len(ends)} inputs.")
    found = []
    for base, end in zip(given, ends, strict=True):
        numbers = np.asarray(base)
        sample, _ = probe.wiring.values[end]
        whole = (probe.count, *sample)
        if numbers.dtype.kind not in "biuf" or numbers.shape not in ((), sample, (1, *sample), whole):
            raise DataError(
                f"{owner}: the baseline {numbers.dtype.name}{show(numbers.shape)} is neither a number, nor a sample "
                f"{show(sample)}, nor one for each of {probe.count} samples."
            )
        found.append(numbers if numbers.shape == whole else np.broadcast_to(numbers, (1, *sample)))
    return found
