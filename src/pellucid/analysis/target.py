"""What an explanation explains: a class of an output, or a channel of a layer; and the signal that starts there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.probe import Probe
from pellucid.analysis.wiring import Wiring
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, require
from pellucid.shapes import show


def target_value(
    owner: str, wiring: Wiring, layer: Any = None, output: str | int | None = None, score: str = "logits"
) -> int:
    """The number of the value that a target is a channel of.

    Args:
        owner: Who asks, for errors.
        wiring: The model's calls.
        layer: A layer whose channels are meant; by default an output of the model.
        output: Which output of several, by name or number; the first by default.
        score: ``"logits"``, before a last softmax or sigmoid, or ``"output"``.

    Raises:
        ConfigurationError: There is no such layer or output.
    """
    require(owner, "score", score, Choice("logits", "output"))
    if layer is not None:
        if output is not None:
            raise ConfigurationError(f"{owner}: a target is in a layer or in an output; give one of the two.")
        return wiring.output_of(layer)
    names = wiring.model.output_names
    if output is None:
        output = 0
    if isinstance(output, str):
        require(owner, "output", output, Choice(*names))
        output = names.index(output)
    require(owner, "output", output, Choice(*range(len(names))))
    number = wiring.outputs[output]
    return wiring.logits(number) if score == "logits" else number


@dataclass(frozen=True, eq=False)
class Targets:
    """A channel of one value for every sample; its score is the channel's sum over all positions.

    Attributes:
        value: The number of the value.
        channels: One channel per sample [N].
        shape: The value's sample shape.
    """

    value: int
    channels: np.ndarray
    shape: tuple[int, ...]

    def signal(self, part: slice, dtype: Any) -> np.ndarray:
        """What flows back from the scores of some samples: 1 in the channel, 0 elsewhere."""
        channels = self.channels[part]
        signal = np.zeros((len(channels), *self.shape), dtype)
        signal[np.arange(len(channels)), ..., channels] = 1
        return signal

    def scores(self, rows: slice | np.ndarray, values: np.ndarray) -> np.ndarray:
        """The scores of some samples, of the value's numbers for them."""
        channels = self.channels[rows]
        taken = values[np.arange(len(channels)), ..., channels]
        return taken.reshape(len(channels), -1).sum(axis=1)


def targets_of(probe: Probe, value: int, target: Any, what: str = "target") -> Targets:
    """The channel that is explained for each sample: those given, or each sample's strongest.

    Args:
        probe: The model and the data.
        value: The number of the value.
        target: A channel for all samples, or one for each; None for the one with the largest element anywhere, which
            for a classifier is the predicted class.
        what: What errors call it.

    Raises:
        DataError: The targets are not whole numbers, one per sample.
        ConfigurationError: A channel does not exist.
    """
    owner, shape = probe.owner, probe.wiring.values[value][0]
    classes = probe.wiring.channels(value, f"{owner}: what is explained")
    if target is None:
        return Targets(value, _strongest(probe, value), shape)
    given = np.asarray(target)
    if given.dtype.kind not in "iu" or given.shape not in ((), (probe.count,)):
        raise DataError(
            f"{owner}: {what} must be one whole number, or one for each of {probe.count} samples, "
            f"not {given.dtype.name}{show(given.shape)}.",
            hint="labels as rows of 0 and 1 become numbers by y.argmax(axis=1)" if given.ndim == 2 else None,
        )
    wrong = np.atleast_1d(given)[np.atleast_1d((given < 0) | (given >= classes))]
    if wrong.size:
        raise ConfigurationError(
            f"{owner}: there is no {what} {int(wrong[0])}; {_whose(probe.wiring, value)} has {classes} channels, "
            f"0 to {classes - 1}."
        )
    return Targets(value, np.broadcast_to(given, (probe.count,)).astype(np.intp), shape)


def _whose(wiring: Wiring, value: int) -> str:
    step = wiring.maker(value)
    return f'"{step.name}"' if step else "the input"


def _strongest(probe: Probe, value: int) -> np.ndarray:
    found = np.zeros(probe.count, np.intp)
    for part, (values,) in probe.forward(value):
        flat = values.reshape(len(values), -1, values.shape[-1])
        found[part] = flat.max(axis=1).argmax(axis=1)
    return found


def handed_back(arrays: Sequence[np.ndarray]) -> Any:
    """One array where there is one, else the list."""
    return arrays[0] if len(arrays) == 1 else list(arrays)


def channels_of(owner: str, channels: Any, count: int) -> np.ndarray:
    """Chosen channels as an array: one, several, or all of ``count``.

    Raises:
        ConfigurationError: There is no such channel.
    """
    if channels is None:
        return np.arange(count)
    given = np.atleast_1d(np.asarray(channels))
    if given.dtype.kind not in "iu" or given.ndim != 1 or not len(given):
        raise ConfigurationError(f"{owner}: channels must be a whole number or several, not {channels!r}.")
    wrong = given[(given < 0) | (given >= count)]
    if wrong.size:
        raise ConfigurationError(f"{owner}: there is no channel {int(wrong[0])}; there are {count}, 0 to {count - 1}.")
    return given.astype(np.intp)
