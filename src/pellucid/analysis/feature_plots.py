"""Pictures of what a network with convolutions has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.analysis.features import TopPatches, feature_maps, filters
from pellucid.analysis.maximisation import Maximised
from pellucid.analysis.tiles import MANY, SIGNED, Tile, as_pictures, balanced, draw_tiles, limit, sheets
from pellucid.analysis.wiring import Wiring
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, require
from pellucid.shapes import show


def plot_filters(model: Any, layer: Any = None, *, most: int = 16, ax: Any = None) -> Any:
    """Draw the kernels of a convolution: a column per filter, a row per input channel; one tile for colours.

    Red is above 0, blue below, on one scale for the layer. Where the first convolution looks at three channels its
    kernels are drawn in colours; kernels along one axis are lines.

    Args:
        model: The model, built.
        layer: A layer's name, number, or the layer itself; the first convolution by default.
        most: The most filters, and the most input channels, that are drawn: the first ones.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes: images have a tile for each filter and input channel; filters along time are lines, and over many
        channels (the frequencies of a sound) pictures, time to the right and channels upwards.

    Raises:
        ConfigurationError: There is no such layer, or it is no convolution.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Conv2D
    >>> ax = plot_filters(Sequential([Input((28, 28, 1)), Conv2D(6, 5)]))
    >>> ax.get_title()
    '6 filters of conv2d, 5 x 5 on 1 channel'
    """
    owner = "plot_filters"
    require(owner, "most", most, Integer(1))
    kernel = filters(model, layer)
    name = _name(model, layer)
    inputs, count = kernel.shape[-2:]
    sizes = " x ".join(str(n) for n in kernel.shape[:-2])
    title = (
        f"{_first(min(most, count), count)}filters of {name}, {sizes} on {inputs} channel{'s' if inputs > 1 else ''}"
    )
    high = limit(kernel)
    if inputs == 3 and kernel.ndim == 4 and name == Wiring(model).convolutions()[0].name:
        tiles = [Tile((kernel[..., k] / high + 1) / 2) for k in range(min(most, count))]
        return draw_tiles(owner, ax, tiles, balanced(len(tiles)), title=title)
    if kernel.ndim == 3 and inputs >= MANY:
        tiles = [Tile(sheets(kernel[..., k]), -high, high, SIGNED) for k in range(min(most, count))]
        return draw_tiles(owner, ax, tiles, balanced(len(tiles)), title=f"{title} (upwards)")
    shown = kernel[..., :most, :most]
    tiles = [
        Tile(shown[..., i, k], -high, high, SIGNED) for i in range(shown.shape[-2]) for k in range(shown.shape[-1])
    ]
    if inputs == 1:
        return draw_tiles(owner, ax, tiles, balanced(len(tiles)), title=title)
    rows = [f"channel {i}" for i in range(shown.shape[-2])]
    return draw_tiles(owner, ax, tiles, shown.shape[-1], title=title, row_names=rows, inch=0.5)


def plot_feature_maps(
    model: Any, sample: Any, layer: Any = None, *, before_activation: bool = False, most: int = 32, ax: Any = None
) -> Any:
    """Draw what the channels of a layer make of one sample, on one scale.

    Args:
        model: The model, built.
        sample: One sample [height, width, channel] or [length, channel]; or a batch of one.
        layer: A layer's name, number, or the layer itself; the first convolution by default.
        before_activation: Whether to draw the values before the activation; below 0 is blue then.
        most: The most channels that are drawn.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The sample does not fit the model.
        ConfigurationError: There is no such layer, or it has no positions.
    """
    owner = "plot_feature_maps"
    require(owner, "most", most, Integer(1))
    wiring = Wiring(model)
    given = np.asarray(sample)
    shape = wiring.values[wiring.inputs[0]][0]
    if given.shape == shape:
        given = given[None]
    if given.shape != (1, *shape):
        raise DataError(f"{owner}: the sample must be {show(shape)}, not {show(given.shape)}.")
    maps = feature_maps(model, given, layer, before_activation=before_activation)[0]
    name = _name(model, layer)
    if maps.ndim < 2:
        raise ConfigurationError(f'{owner}: the layer "{name}" makes {show(maps.shape)}, which has no positions.')
    count = maps.shape[-1]
    signed = maps.min() < 0
    high = limit(maps)
    tiles = [
        Tile(maps[..., k], -high if signed else 0.0, high, SIGNED if signed else "gray_r", str(k))
        for k in range(min(most, count))
    ]
    size = " x ".join(str(n) for n in maps.shape[:-1]) + (" positions" if maps.ndim == 2 else "")
    title = f"{_first(len(tiles), count)}feature maps of {name}, {size}"
    return draw_tiles(owner, ax, tiles, balanced(len(tiles)), title=title)


def plot_top_patches(top: TopPatches, *, most: int = 16, ax: Any = None) -> Any:
    """Draw for each channel of a layer (a row, with its largest value) what excites it most, the strongest first.

    Args:
        top: What :func:`~pellucid.analysis.top_patches` found.
        most: The most channels that are drawn: the first ones.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.
    """
    owner = "plot_top_patches"
    require(owner, "most", most, Integer(1))
    channels, count = top.patches.shape[:2]
    shown = min(most, channels)
    pictures, low, high = as_pictures(top.patches[:shown].reshape(-1, *top.patches.shape[2:]))
    tiles = [Tile(picture, low, high) for picture in pictures]
    # What is 0 for every sample is excited by none: the patches beside it are only the first ones.
    silent = (top.values == 0).all(axis=1)
    names = [
        f"{k}: silent" if nothing else f"{k}: {value:.2g}"
        for k, value, nothing in zip(top.channels, top.values[:, 0], silent, strict=True)
    ][:shown]
    size = " x ".join(str(n) for n in top.field.size)
    title = f"What excites {shown} channel{'s' if shown > 1 else ''} of {top.layer}, windows of {size}"
    return draw_tiles(owner, ax, tiles, count, title=title, row_names=names, inch=0.55)


def plot_attribution(
    sample: Any, attribution: Any, *, title: str = "", scale: float | None = None, ax: Any = None
) -> Any:
    """Draw what an explanation found over the sample that it explains.

    Signed numbers are red where the sample speaks for the class and blue where it speaks against it; numbers that are
    never below 0 are darker where they are larger.

    Args:
        sample: One sample [height, width, channel] or [length, channel].
        attribution: A map [height, width] or [length], or contributions of the shape of the sample, whose channels are
            added up.
        title: Of the axes.
        scale: The magnitude of the deepest colour; the largest one by default.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: The two do not fit together.

    >>> ax = plot_attribution(np.zeros((8, 8, 1)), np.eye(8), title="saliency")
    >>> ax.get_title()
    'saliency'
    """
    owner = "plot_attribution"
    return draw_tiles(owner, ax, [explained(owner, sample, attribution, scale)], 1, title=title, inch=3.0)


def plot_attributions(
    samples: Any, attributions: Mapping[str, Any], *, names: Sequence[str] = (), title: str = "", ax: Any = None
) -> Any:
    """Draw several explanations side by side: a row per sample, a column per method.

    Args:
        samples: Samples [N, height, width, channel] or [N, length, channel].
        attributions: The name of each method, and what it found: maps or contributions as for
            :func:`plot_attribution`, one per sample; each on a scale of its own.
        names: What stands left of the rows.
        title: Of the axes.
        ax: The Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        DataError: They do not fit together.

    >>> ax = plot_attributions(np.zeros((2, 8, 8, 1)), {"nothing": np.zeros((2, 8, 8))}, names=["first", "second"])
    >>> [text.get_text() for text in ax.texts]
    ['first', 'second', 'input', 'nothing']
    """
    owner = "plot_attributions"
    images = np.asarray(samples)
    if images.ndim not in (3, 4):
        raise DataError(
            f"{owner}: the samples must be [N, height, width, channel] or [N, length, channel], not "
            f"{show(images.shape)}."
        )
    for name, found in attributions.items():
        if len(np.asarray(found)) != len(images):
            raise DataError(f"{owner}: there are {len(images)} samples but {len(np.asarray(found))} maps of {name!r}.")
    pictures, low, high = as_pictures(images)
    signs = [bool((np.asarray(found) < 0).any()) for found in attributions.values()]
    tiles: list[Tile] = []
    for row, picture in enumerate(pictures):
        tiles.append(Tile(picture, low, high))
        tiles += [
            explained(owner, images[row], found[row], signed=signed)
            for found, signed in zip(attributions.values(), signs, strict=True)
        ]
    columns = ["input", *attributions]
    return draw_tiles(owner, ax, tiles, len(columns), title=title, row_names=names, column_names=columns, inch=1.1)


def explained(
    owner: str, sample: Any, attribution: Any, scale: float | None = None, *, signed: bool | None = None
) -> Tile:
    """A sample as a tile, with an attribution over it, whose colours have two sides where some of it is below 0.

    Raises:
        DataError: The two do not fit together.
    """
    image, found = np.asarray(sample), np.asarray(attribution, np.float64)
    if image.ndim not in (2, 3):
        raise DataError(
            f"{owner}: the sample must be [height, width, channel] or [length, channel], not {show(image.shape)}."
        )
    if found.shape == image.shape:
        found = found.sum(axis=-1)
    if found.shape != image.shape[:-1]:
        raise DataError(
            f"{owner}: an attribution {show(found.shape)} does not lie on a sample {show(image.shape)}.",
            hint="take one of each batch: sample = x[0], attribution = found[0]",
        )
    pictures, low, high = as_pictures(image[None])
    signed = bool((found < 0).any()) if signed is None else signed
    top = limit(found) if scale is None else scale
    colours = SIGNED if signed else "Purples"
    return Tile(pictures[0], low, high, "gray_r", "", found, -top if signed else 0.0, top, colours)


def plot_maximised(found: Maximised, *, names: Any = None, ax: Any = None, title: str = "") -> Any:
    """Draw the inputs that excite channels or classes most, each with its score.

    Args:
        found: What :func:`~pellucid.analysis.maximise_activation` found.
        names: The names of all channels, by number; numbers by default.
        ax: The Matplotlib axes to draw on; new ones by default.
        title: Of the axes.

    Returns:
        The axes.
    """
    pictures, low, high = as_pictures(found.images)
    labels = [str(k) if names is None else str(names[k]) for k in found.channels]
    tiles = [
        Tile(picture, low, high, text=f"{label}: {score:.2g}")
        for picture, label, score in zip(pictures, labels, found.scores[-1], strict=True)
    ]
    return draw_tiles("plot_maximised", ax, tiles, balanced(len(tiles)), title=title)


def _first(shown: int, count: int) -> str:
    return f"{count} " if shown == count else f"The first {shown} of {count} "


def _name(model: Any, layer: Any) -> str:
    wiring = Wiring(model)
    return wiring.convolutions()[0].name if layer is None else wiring.name_of(layer)
