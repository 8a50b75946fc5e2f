"""Which convolutions are carried out tile by tile, and their records; the kernels are :mod:`winograd`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.image_layout import Ints
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.winograd import APART, NUMBERS, STEP, registers_for
from pellucid.dtypes import float32
from pellucid.op import Spec
from pellucid.plan.layout import View
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import size

#: Fewer channels than these would leave the sums and differences without enough products to pay for them.
_CHANNELS = 16
#: An image of fewer tiles does not pay for the transform of the kernel; of more results than are there so many times.
_TILES, _WASTE = 9, 1.34
#: A thread's memory at most, and the tiles that are computed at once; by the kernel they are what is summed over.
_BYTES, _BLOCKS, _SUMMED = 1 << 18, (32, 16, 8), (64, 32, 16, 8)
#: Into how many groups the tiles are cut whose sums for the gradient are separate, and the memory for these.
_GROUPS, _GROUPS_BYTES = 8, 1 << 24


def suited(channels: int, out: Ints, taps: Ints, attributes: Mapping[str, Any], dtype: Any) -> bool:
    """Whether a convolution to results [N, height, width, D] is one by tiles.

    It does not depend on the number of samples, so that one alone gives the same bits as among others.
    """
    plain = attributes["groups"] == 1 and attributes["strides"] == (1, 1) == attributes["dilation"]
    if not plain or taps != (3, 3) or dtype is not float32 or min(channels, out[-1]) < _CHANNELS:
        return False
    tiles = tiles_along(out[1]) * tiles_along(out[2])
    enough = tiles >= _TILES and STEP**2 * tiles <= _WASTE * out[1] * out[2]
    return enough and block_of(channels, out[-1]) > 0


def tiles_along(length: int) -> int:
    """How many tiles cover so many results."""
    return -(-length // STEP)


def block_of(channels: int, outs: int) -> int:
    """How many tiles are computed at once; 0 where a thread's memory has no room for any."""
    return next((n for n in _BLOCKS if _own(n, channels, outs) <= _BYTES), 0)


def _own(block: int, channels: int, outs: int) -> int:
    """Bytes that a thread needs for so many tiles at once."""
    lanes, item = lanes_for(float32), float32.itemsize
    numbers = _filled(channels) + registers_for(outs, float32) * lanes
    return NUMBERS * (block * numbers * item + 2 * APART)


def _filled(count: int) -> int:
    """As many numbers as fill the registers of so many."""
    lanes = lanes_for(float32)
    return -(-count // lanes) * lanes


def grid(x: View, before: Ints, rows: int, columns: int) -> list[int]:
    """What a record says of an image [N, height, width, C] and its tiles."""
    return [x.shape[0] * rows * columns, rows, columns, *x.shape[1:3], *before]


def transformed(p: Planner, w: View) -> View:
    """The transform of a kernel [3, 3, C, D]: 16 matrices [C, D], whose rows fill registers."""
    channels, outs = w.shape[-2:]
    item, row = w.dtype.itemsize, _filled(outs)
    buffer = p.temporary(Spec((NUMBERS, channels * row + APART // item), w.dtype))
    u = View(buffer.buffer, buffer.offset, (NUMBERS, channels, outs), (buffer.strides[0], row * item, item), w.dtype)
    record: list[Entry] = [channels, outs, address_of(w), address_of(u), *w.strides[:3], *u.strides[:2]]
    p.emit("conv_weights", kernels.winograd_weights_kernel(w.dtype), record, [u])
    return u


def record(
    p: Planner, x: View, before: Ints, w: View, out: Ints, target: View, leaves: list[View]
) -> tuple[list[Entry], View]:
    """The record of a convolution to results [N, height, width, D], and the memory that it uses.

    Args:
        p: The plan in the making.
        x, before: The image, and how many zeros are before it on both axes.
        w: The kernel.
        out: The shape of the convolution's result.
        target: Where it goes, or what is left of it after pooling.
        leaves: What its ending reads.
    """
    channels, outs = w.shape[-2:]
    block = block_of(channels, outs)
    u = transformed(p, w)
    own, entries = p.scratch(_own(block, channels, outs))
    pooled = target.shape[1:3] != out[1:3]
    rows, columns = target.shape[1:3] if pooled else map(tiles_along, out[1:3])
    result: list[Entry] = [*grid(x, before, rows, columns)]
    result += [*out[1:3], block, channels, outs, *(address_of(v) for v in (x, w, u, target))]
    result += [*x.strides[:3], *w.strides[:3], *u.strides[:2], *target.strides[:3], *entries]
    for leaf in leaves:
        result += [address_of(leaf), *leaf.strides[:3]]
    return result, own


def kernel_gradient(p: Planner, x: View, before: Ints, ct: View, target: View) -> None:
    """The gradient of a convolution by its kernel, from the image and the cotangent."""
    channels, outs = target.shape[-2:]
    item, registers = x.dtype.itemsize, registers_for(outs, x.dtype)
    rows, columns = (tiles_along(n) for n in ct.shape[1:3])
    tiles = grid(x, before, rows, columns)
    numbers = _filled(channels) + _filled(outs)
    block = next((n for n in _SUMMED if NUMBERS * n * numbers * item <= _BYTES), _SUMMED[-1])
    shape = (NUMBERS, _filled(channels), _filled(outs))
    groups = max(1, min(_GROUPS, _GROUPS_BYTES // (item * size(shape))))
    in_group = -(-tiles[0] // groups)
    groups = -(-tiles[0] // in_group)
    sums = p.temporary(Spec((groups, *shape), x.dtype))
    own, entries = p.scratch(NUMBERS * (block * numbers * item + 2 * APART))
    record: list[Entry] = [*tiles, channels, outs, block, groups, in_group, address_of(x), address_of(ct)]
    record += [*x.strides[:3], *ct.strides[:3], *ct.shape[1:3], address_of(sums), *sums.strides[:3], *entries]
    p.emit("conv_kernel_grad", kernels.winograd_sums_kernel(x.dtype, registers), record, [sums], own=[own])
    record = [*tiles, channels, outs, groups, *ct.shape[1:3], *(address_of(v) for v in (x, ct, sums, target))]
    record += [*x.strides[:3], *ct.strides[:3], *sums.strides[:3], *target.strides[:3], x.shape[0]]
    p.emit("conv_kernel_grad, from tiles", kernels.winograd_gradient_kernel(x.dtype), record, [target])
