"""Many small pictures in one set of axes: images, or signals as lines, in rows with a line of text each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.drawing import BLUE, INK, axes_for

#: The distance from tile to tile where a tile is 1 wide, and the height of a line of text.
_STEP, _TEXT = 1.12, 0.22

#: Signed numbers: blue below 0, red above, white at 0.
SIGNED = "RdBu_r"

#: A signal of so many channels is drawn as a picture of them.
MANY = 8


@dataclass(frozen=True)
class Tile:
    """A small picture.

    Attributes:
        picture: [height, width], [height, width, 3] from 0 to 1, or a signal [length].
        low, high: The numbers of the ends of the colours, or of the axis of a signal.
        colours: Matplotlib's name of the colours.
        text: What is written above it.
        over: A map [height, width] drawn over the picture, from ``over_low`` to ``over_high``, in ``over_colours``.
    """

    picture: np.ndarray
    low: float = 0.0
    high: float = 1.0
    colours: str = "gray_r"
    text: str = ""
    over: np.ndarray | None = None
    over_low: float = 0.0
    over_high: float = 1.0
    over_colours: str = "Purples"


def draw_tiles(
    owner: str,
    ax: Any,
    tiles: Sequence[Tile],
    columns: int,
    *,
    title: str = "",
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    inch: float = 0.8,
) -> Any:
    """Draw tiles in rows of a number of columns; the axes.

    Args:
        owner: Who draws, for errors.
        ax: Axes, or None for new ones, which fit the tiles.
        tiles: Row after row.
        columns: Tiles in a row.
        title: Of the axes.
        row_names: What stands left of the rows.
        column_names: What stands above the first row.
        inch: The width of a tile on new axes.
    """
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    tall = tiles[0].picture.shape[0] / tiles[0].picture.shape[1] if tiles[0].picture.ndim > 1 else 0.6
    text = _TEXT if any(tile.text for tile in tiles) else 0.0
    step = tall + _STEP - 1 + text
    head = _TEXT if column_names else 0.0
    side = 0.13 * max((len(name) for name in row_names), default=0)
    # A title of this size takes about 0.08 inch a letter.
    wide = max(inch * (columns * _STEP + side) + 0.1, 0.08 * len(title) + 0.2)
    ax = axes_for(owner, ax, (wide, inch * (rows * step + head) + 0.32))
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        _draw(ax, tile, column * _STEP, head + row * step + text, tall)
    small: dict[str, Any] = {"fontsize": 8, "color": INK}
    for row, name in enumerate(row_names):
        ax.text(-0.1, head + row * step + text + tall / 2, name, ha="right", va="center", **small)
    for column, name in enumerate(column_names):
        ax.text(column * _STEP + 0.5, head - 0.06, name, ha="center", va="bottom", **small)
    ax.set_xlim(-side - 0.05, columns * _STEP - _STEP + 1.05)
    ax.set_ylim(head + rows * step, 0)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_title(title, fontsize=10)
    return ax


def _draw(ax: Any, tile: Tile, left: float, top: float, tall: float) -> None:
    from matplotlib.patches import Rectangle

    extent = (left, left + 1, top + tall, top)
    if tile.picture.ndim == 1:
        _signal(ax, tile, left, top, tall)
    else:
        ax.imshow(
            tile.picture, extent=extent, cmap=tile.colours, vmin=tile.low, vmax=tile.high, interpolation="nearest"
        )
    if tile.over is not None:
        over = tile.over if tile.over.ndim > 1 else tile.over[None]
        ax.imshow(
            over, extent=extent, cmap=tile.over_colours, vmin=tile.over_low, vmax=tile.over_high,
            interpolation="nearest", alpha=0.75 if tile.picture.ndim > 1 else 0.5,
        )  # fmt: skip
    ax.add_patch(Rectangle((left, top), 1, tall, fill=False, edgecolor="#AAAAAA", linewidth=0.5))
    if tile.text:
        ax.text(left + 0.5, top - 0.04, tile.text, ha="center", va="bottom", fontsize=7, color=INK)


def _signal(ax: Any, tile: Tile, left: float, top: float, tall: float) -> None:
    width = tile.high - tile.low or 1.0
    across = left + (np.arange(len(tile.picture)) + 0.5) / len(tile.picture)
    up = top + tall - (tile.picture - tile.low) / width * tall
    if tile.low < 0 < tile.high:
        zero = top + tall + tile.low / width * tall
        ax.plot([left, left + 1], [zero, zero], color="#BBBBBB", linewidth=0.5, zorder=2)
    marks = "o-" if len(tile.picture) <= 12 else "-"
    ax.plot(across, up, marks, color=BLUE, linewidth=0.9, markersize=2, zorder=3)


def as_pictures(samples: Any) -> tuple[np.ndarray, float, float]:
    """Samples [N, height, width, channel] or [N, length, channel] as pictures, and their smallest and largest number.

    One channel is grey, three are colours (brought to 0 .. 1 all together), of any other number the mean is shown.
    Signals show their mean channel; those of many channels, such as a sound's frequencies, become a picture of them.

    >>> pictures, low, high = as_pictures(np.ones((2, 5, 5, 1)))
    >>> pictures.shape, low, high
    ((2, 5, 5), 1.0, 1.0)
    """
    found = np.asarray(samples, np.float64)
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
    if found.ndim == 4 and found.shape[-1] == 3:
        return (found - low) / ((high - low) or 1.0), 0.0, 1.0
    if found.ndim == 3 and found.shape[-1] >= MANY:
        return sheets(found), low, high
    return found.mean(axis=-1), low, high


def sheets(signals: np.ndarray) -> np.ndarray:
    """Signals [..., length, channel] as pictures: time to the right, the channels upwards; a short one is stretched.

    >>> sheets(np.array([[1, 2], [3, 4], [5, 6]])).tolist()
    [[2, 4, 6], [1, 3, 5]]
    """
    upwards = np.flip(np.swapaxes(signals, -1, -2), axis=-2)
    return np.repeat(upwards, max(1, round(upwards.shape[-2] / upwards.shape[-1])), axis=-1)


def balanced(count: int, most: int = 8) -> int:
    """How many tiles to put in a row so that all rows are about as long.

    >>> [balanced(count) for count in (3, 8, 10, 16)]
    [3, 8, 5, 8]
    """
    return -(-count // max(1, -(-count // most)))


def limit(values: np.ndarray) -> float:
    """The largest magnitude, for colours around 0; 1 where all is 0."""
    return float(np.abs(values).max(initial=0.0)) or 1.0
