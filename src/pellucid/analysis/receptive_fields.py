"""Which inputs a unit sees: exactly, through strides, padding, dilation, pooling and branches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pellucid.analysis.wiring import Step, Wiring
from pellucid.errors import ConfigurationError
from pellucid.nn import (
    ELU,
    Activation,
    Add,
    Average,
    AvgPool1D,
    AvgPool2D,
    BatchNorm,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePool,
    GlobalMaxPool,
    LayerNorm,
    LeakyReLU,
    Maximum,
    MaxPool1D,
    MaxPool2D,
    Multiply,
    Normalization,
    Rescaling,
    Softmax,
    Subtract,
)
from pellucid.shapes import Shape, resolve_padding, spatial_tuple

#: From some units to the places of the input that any of them sees.
Reach = Callable[[Iterable[int]], set[int]]


@dataclass(frozen=True)
class AxisField:
    """What the units along one axis see of the input's axis.

    Attributes:
        length: The input's size on the axis.
        units: The number of units on the axis.
        stride: How far the window moves per unit.
        taps: The places under the window of unit 0, sorted; below 0 lies padding.
        reach: From some units to the places that any of them sees; padding, of layers in between too, shows none.
        whole: There is one unit only, or all see the same: every place that anything looks at.
    """

    length: int
    units: int
    stride: int
    taps: tuple[int, ...]
    reach: Reach = field(repr=False, compare=False)
    whole: bool = False

    @classmethod
    def of_input(cls, length: int) -> AxisField:
        """Every place of the input sees itself."""
        return cls(length, length, 1, (0,), set)

    @property
    def size(self) -> int:
        """From the first place to the last, both counted."""
        return self.taps[-1] - self.taps[0] + 1

    def start(self, unit: int) -> int:
        """The first place of a unit's window; below 0 where the window begins in the padding."""
        return self.taps[0] + unit * self.stride

    def centre(self, unit: int) -> float:
        """The middle of a unit's window."""
        return self.start(unit) + (self.size - 1) / 2

    def places(self, unit: int) -> tuple[int, ...]:
        """Every place of the input that the unit sees: dilation leaves gaps, padding is not counted.

        Raises:
            ConfigurationError: There is no such unit.
        """
        if not self.whole and not 0 <= unit < self.units:
            raise ConfigurationError(f"There is no unit {unit} on an axis of {self.units}.")
        return tuple(sorted(self.reach([unit])))


#: One per spatial axis.
Field = tuple[AxisField, ...]


@dataclass(frozen=True)
class ReceptiveField:
    """The part of the input that a unit of a layer sees.

    Attributes:
        layer: The layer's name.
        axes: One :class:`AxisField` per spatial axis.
    """

    layer: str
    axes: tuple[AxisField, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """The window's size on each axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def stride(self) -> tuple[int, ...]:
        """How far the window moves from unit to unit."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def start(self) -> tuple[int, ...]:
        """Where the first unit's window begins; below 0 in the padding."""
        return tuple(axis.start(0) for axis in self.axes)

    @property
    def whole(self) -> bool:
        """Whether every unit sees the whole input."""
        return all(axis.whole for axis in self.axes)

    def places(self, unit: Sequence[int] = ()) -> tuple[tuple[int, ...], ...]:
        """The rows, columns, ... that the unit at a position sees."""
        position = tuple(unit) or (0,) * len(self.axes)
        return tuple(axis.places(int(n)) for axis, n in zip(self.axes, position, strict=True))

    def window(self, unit: Sequence[int] = ()) -> tuple[tuple[int, int], ...]:
        """The (first, last + 1) of the window of the unit at a position, on each axis; it may reach into padding."""
        position = tuple(unit) or (0,) * len(self.axes)
        starts = [axis.start(int(n)) for axis, n in zip(self.axes, position, strict=True)]
        return tuple((start, start + size) for start, size in zip(starts, self.size, strict=True))


def receptive_field(model: Any, layer: Any) -> ReceptiveField:
    """The part of the input that a unit of a layer sees.

    A window of k taps with distance d, on values of stride s, sees the taps t + i d s for i = 0 .. k - 1 of each place
    t that its inputs see, begins s times the padding earlier, and multiplies the stride by its own.

    Args:
        model: The model, built.
        layer: A layer's name, number, or the layer itself.

    Raises:
        ConfigurationError: There is no such layer, or what a layer on the way sees does not follow from its settings.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D, MaxPool2D
    >>> lenet = Sequential([Input((28, 28, 1)), Conv2D(6, 5, padding="same"), MaxPool2D(2), Conv2D(16, 5)])
    >>> field = receptive_field(lenet, "conv2d_1")
    >>> field.size, field.stride, field.start
    ((14, 14), (2, 2), (-2, -2))
    """
    wiring = Wiring(model)
    step = wiring.step(layer)
    return ReceptiveField(step.name, field_of(wiring, step.outputs[0]))


def field_of(wiring: Wiring, number: int) -> Field:
    """What the units of a numbered value see of the first input with spatial axes that leads there.

    Raises:
        ConfigurationError: It does not follow from the settings of the layers on the way.
    """
    known: dict[int, Field] = {
        n: tuple(AxisField.of_input(length) for length in wiring.values[n][0][:-1]) for n in wiring.inputs
    }
    for step in _leading_to(wiring, number):
        known.update(dict.fromkeys(step.outputs, _after(wiring, step, [known[n] for n in step.inputs])))
        if step.before is not None:
            known[step.before] = known[step.outputs[0]]
    return known[number]


def _leading_to(wiring: Wiring, number: int) -> list[Step]:
    """The calls that a value is made by, in order."""
    needed, found = {number}, []
    for step in reversed(wiring.steps):
        if needed.intersection((*step.outputs, step.before)):
            found.append(step)
            needed.update(step.inputs)
    return found[::-1]


def _after(wiring: Wiring, step: Step, fields: list[Field]) -> Field:
    for kinds, rule in _RULES:
        # A subclass may do anything.
        if type(step.layer) in kinds and not _mixes_positions(step.layer):
            return rule(step, wiring, fields)
    raise ConfigurationError(
        f'What the units of "{step.name}" ({type(step.layer).__name__}) see of the input is not known.',
        hint="receptive fields go through convolutions, pooling, merges and layers that work element by element",
    )


def _mixes_positions(layer: Any) -> bool:
    """Whether a layer that does something along an axis does it along one of positions."""
    return isinstance(layer, (Concatenate, Softmax)) and layer.axis != -1


def _windowed(axis: AxisField, units: int, window: int, stride: int, before: int, dilation: int = 1) -> AxisField:
    """What the units of a window see that moves over what ``axis`` describes."""
    offsets = [i * dilation - before for i in range(window)]
    taps = {tap + offset * axis.stride for tap in axis.taps for offset in offsets}

    def reach(units: Iterable[int]) -> set[int]:
        looked_at = {unit * stride + offset for unit in units for offset in offsets}
        return axis.reach(place for place in looked_at if 0 <= place < axis.units)

    return AxisField(axis.length, units, axis.stride * stride, tuple(sorted(taps)), reach)


def _shape(wiring: Wiring, number: int) -> Shape:
    return wiring.values[number][0]


def _convolved(step: Step, wiring: Wiring, fields: list[Field]) -> Field:
    layer: Any = step.layer
    rank = layer.rank
    window, strides, gaps = (
        spatial_tuple(value, rank, "window") for value in (layer.kernel_size, layer.strides, layer.dilation_rate)
    )
    pads = resolve_padding(layer.padding, _shape(wiring, step.inputs[0])[:-1], window, strides, gaps)
    units = _shape(wiring, step.outputs[0])[:-1]
    return tuple(
        _windowed(axis, n, k, s, before, d)
        for axis, n, k, s, (before, _), d in zip(fields[0], units, window, strides, pads, gaps, strict=True)
    )


def _pooled(step: Step, wiring: Wiring, fields: list[Field]) -> Field:
    layer: Any = step.layer
    window = spatial_tuple(layer.pool_size, layer.rank, "window")
    strides = window if layer.strides is None else spatial_tuple(layer.strides, layer.rank, "strides")
    pads = resolve_padding(layer.padding, _shape(wiring, step.inputs[0])[:-1], window, strides, (1,) * layer.rank)
    units = _shape(wiring, step.outputs[0])[:-1]
    return tuple(
        _windowed(axis, n, k, s, before)
        for axis, n, k, s, (before, _) in zip(fields[0], units, window, strides, pads, strict=True)
    )


def _everything(step: Step, wiring: Wiring, fields: list[Field]) -> Field:
    """One unit looks at all positions: at every place that the unit of any position sees."""
    return tuple(_whole(axis) for axis in fields[0])


def _whole(axis: AxisField) -> AxisField:
    seen = axis.reach(range(axis.units))
    return AxisField(axis.length, 1, 0, tuple(sorted(seen)), lambda units: set(seen), whole=True)


def _same(step: Step, wiring: Wiring, fields: list[Field]) -> Field:
    return fields[0]


def _merged(step: Step, wiring: Wiring, fields: list[Field]) -> Field:
    """What any of the branches sees; branches that come from inputs without positions do not count."""
    spatial = [field for field in fields if field] or [()]
    kinds = {tuple((axis.length, axis.stride, axis.whole) for axis in field) for field in spatial}
    if len(kinds) > 1:
        steps = ", ".join(str(tuple(axis.stride for axis in field)) for field in spatial)
        raise ConfigurationError(
            f'The branches that meet in "{step.name}" move over the input by different steps: {steps}.'
        )
    return tuple(_together(branches) for branches in zip(*spatial, strict=True))


def _together(branches: Sequence[AxisField]) -> AxisField:
    taps = {tap for branch in branches for tap in branch.taps}

    def reach(units: Iterable[int]) -> set[int]:
        chosen = list(units)
        return {place for branch in branches for place in branch.reach(chosen)}

    return replace(branches[0], taps=tuple(sorted(taps)), reach=reach)


_Rule = Callable[[Step, Wiring, list[Field]], Field]

#: What a unit of each kind of layer sees of its inputs.
_RULES: tuple[tuple[tuple[type, ...], _Rule], ...] = (
    ((Conv1D, Conv2D), _convolved),
    ((MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D), _pooled),
    ((GlobalAveragePool, GlobalMaxPool, Flatten), _everything),
    ((Add, Subtract, Multiply, Maximum, Average, Concatenate), _merged),
    ((Dense, Activation, LeakyReLU, ELU, Softmax, Dropout, GaussianNoise), _same),
    ((BatchNorm, LayerNorm, Normalization, Rescaling), _same),
)
