"""Which convolutions compute two rows of results at once, and their records; the kernels are :mod:`row_pairs`'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.backends.cpu import kernels, row_runs
from pellucid.backends.cpu.conv_gradient import rows_form, sample_groups
from pellucid.backends.cpu.convolution import lanes_of_channels, registers_of_channels, unrolled_steps
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.image_layout import Ints
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.row_pairs import SUMS, TAPS, PairForm, blocks_of
from pellucid.backends.cpu.row_runs import STEP, factors_of, runs_of
from pellucid.dtypes import DType, float32
from pellucid.op import Spec
from pellucid.plan.layout import View
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import size

#: Rows of results, at least, where they are not even: a pair that is half empty takes as long as a whole one.
_ROWS = 5
#: Bytes of the sums of a kernel's rows, and of an image's, at most: each thread has its own.
_BYTES = 1 << 16
#: Bytes of the sums of all rows of an image, at most.
_GRADIENT_BYTES = 1 << 17
#: With samples side by side: the sums of a pair of rows for a register of samples, in bytes, at most; columns of taps
#: times output channels, at least, so that it pays to make them; and how much less work it has to be.
_LAST_BYTES, _LAST_PRODUCTS, _LAST_LESS = 1 << 18, 16, 0.9


def suited(image: Ints, out: Ints, taps: Ints, attributes: Mapping[str, Any], dtype: DType) -> bool:
    """Whether a convolution to results [N, height, width, D] computes two rows at once.

    It does not depend on the number of samples, so that one alone gives the same bits as among others.

    Args:
        image: The shape of the images.
        out: That of the results.
        taps: Rows and columns of the kernel.
        attributes: The convolution's.
        dtype: The type of the elements.
    """
    if dtype is not float32 or attributes["groups"] != 1 or len(taps) != 2 or taps[0] != TAPS:
        return False
    padded = all(n >= 0 for own in attributes["pads"] for n in own)
    plain = attributes["strides"][0] == 1 and attributes["dilation"] == (1, 1) and padded
    rows = out[1] % 2 == 0 or out[1] >= _ROWS
    own = _sums_of_kernel(taps[1] * image[-1], out[-1]) + (SUMS + 1) * _row_of_sums(image, attributes)
    return plain and rows and image[2] * image[3] >= lanes_for(dtype) and own <= _BYTES and min(out) > 0


def _row_of_sums(image: Ints, attributes: Mapping[str, Any]) -> int:
    """Bytes of a row of sums: of a row of the image and the zeros around it, in whole registers."""
    elements, lanes = (image[2] + sum(attributes["pads"][1])) * image[3], lanes_for(float32)
    return -(-elements // lanes) * lanes * float32.itemsize


def _sums_of_kernel(run: int, outs: int) -> int:
    """Bytes of the sums of a kernel's rows."""
    lanes = lanes_of_channels(outs, float32)
    return SUMS * run * -(-outs // lanes) * lanes * float32.itemsize


def gradient_suited(image: Ints, out: Ints, taps: Ints, attributes: Mapping[str, Any], dtype: DType) -> bool:
    """The same for the gradient by the kernel of such a convolution: all sums of an image lie in a thread's memory."""
    own = (
        SUMS * (out[1] // STEP) * _row_of_sums(image, attributes) if suited(image, out, taps, attributes, dtype) else 0
    )
    return 0 < own <= _GRADIENT_BYTES and out[1] % STEP == 0


def last_runs(image: Ints, out: Ints, taps: Ints, attributes: Mapping[str, Any], dtype: DType) -> Ints:
    """Into what runs the rows of taps are cut where a convolution of images by samples computes two rows at once.

    The arguments are those of :func:`suited`; no runs where it does not.
    """
    if dtype is not float32 or attributes["groups"] != 1 or len(taps) != 2 or taps[0] not in row_runs.TAPS:
        return ()
    padded = all(n >= 0 for own in attributes["pads"] for n in own)
    plain = attributes["strides"][0] == 1 and attributes["dilation"] == (1, 1) and padded
    rows = out[1] % STEP == 0 or out[1] >= _ROWS
    runs = runs_of(taps[0])
    sums = len(factors_of(runs)) * _plane_of_sums(out[2], taps[1], attributes) * image[-1]
    own = sums * lanes_for(dtype) * dtype.itemsize
    if not (plain and rows and own <= _LAST_BYTES and min(*out, image[-1]) > 0 and taps[1] * out[-1] >= _LAST_PRODUCTS):
        return ()
    # One by one, taps outside the image are left out.
    inside = math.prod(_inside(image[n], out[n], taps[n - 1], attributes, n - 1) for n in (1, 2))
    return runs if len(factors_of(runs)) < _LAST_LESS * STEP * taps[0] * inside else ()


def _inside(image: int, out: int, taps: int, attributes: Mapping[str, Any], axis: int) -> float:
    """The share of taps, over all positions along an axis, that lie inside the image."""
    first = np.arange(out) * attributes["strides"][axis] - attributes["pads"][axis][0]
    seen = np.minimum(first + taps, image) - np.maximum(first, 0)
    return float(np.maximum(seen, 0).sum()) / (out * taps)


def _plane_of_sums(width: int, taps: int, attributes: Mapping[str, Any]) -> int:
    """Columns of the image that a row of so many results sees, with zeros around it."""
    return (width - 1) * int(attributes["strides"][1]) + taps


def last_entries(
    p: Planner, x: View, w: View, width: int, runs: Ints, attributes: Mapping[str, Any]
) -> tuple[list[Entry], View]:
    """What the record of a convolution of images by samples goes on with, and the memory that it uses.

    Args:
        p: The plan in the making.
        x: The images.
        w: The kernel.
        width: Positions of a row of the convolution.
        runs: Those of the rows of taps.
        attributes: The convolution's.
    """
    plane, sums = _plane_of_sums(width, w.shape[1], attributes), len(factors_of(runs))
    own = sums * (plane * x.shape[-1] * lanes_for(x.dtype) + size(w.shape[1:])) * x.dtype.itemsize
    view, entries = p.scratch(own)
    return [plane, *entries], view


def kernel_gradient(p: Planner, x: View, ct: View, target: View, attributes: Mapping[str, Any]) -> None:
    """The gradient by the kernel, of dense images and cotangents."""
    item, channels, (run, outs) = x.dtype.itemsize, x.shape[-1], (target.shape[1] * target.shape[2], target.shape[-1])
    (above, _), (left, _) = attributes["pads"]
    size_of_row, pairs, shift = _row_of_sums(x.shape, attributes), ct.shape[1] // STEP, attributes["strides"][1]
    groups = sample_groups(x.shape[0], SUMS * run * outs, x.dtype)
    in_group = -(-x.shape[0] // groups)
    groups = -(-x.shape[0] // in_group)
    sums = p.temporary(Spec((groups, SUMS, run, outs), x.dtype))
    own, entries = p.scratch((1 + SUMS * pairs) * size_of_row)
    position, before = shift * channels * item, left * channels * item
    record: list[Entry] = [x.shape[0], in_group, groups, run, outs, pairs, ct.shape[2], SUMS]
    record += [*(address_of(v) for v in (x, ct, sums)), x.strides[0], size_of_row, position, pairs * size_of_row]
    record += [ct.strides[0], STEP * ct.strides[1], ct.strides[2], *sums.strides[:3], x.strides[1], ct.strides[1]]
    record += [x.shape[1], above, x.shape[2] * channels * item, before, size_of_row, *entries]
    form = rows_form(run, outs, shift * channels, x.dtype)
    p.emit("conv_kernel_grad", kernels.pairs_sums_kernel(x.dtype, form), record, [sums], own=[own])
    record = [x.shape[0], x.shape[1], run, outs, *ct.shape[1:3], groups, x.shape[2] * channels * item, before, above]
    record += [*(address_of(v) for v in (x, ct, sums, target)), *x.strides[:2], position]
    record += [*ct.strides[:3], *sums.strides[:3], target.strides[0], target.strides[2]]
    p.emit("conv_kernel_grad, from pairs", kernels.pairs_gradient_kernel(x.dtype), record, [target])


def form_of(x: View, w: View, width: int, attributes: Mapping[str, Any], together: int = 1) -> PairForm:
    """What the kernel is written for.

    Args:
        x: The images.
        w: The kernel.
        width: Positions of a row.
        attributes: The convolution's.
        together: How many neighbouring positions are pooled.
    """
    outs = w.shape[-1]
    lanes, registers = lanes_of_channels(outs, x.dtype), registers_of_channels(outs, x.dtype)
    position = attributes["strides"][1] * x.shape[-1] * x.dtype.itemsize
    unrolled = unrolled_steps(w.shape[1] * w.shape[2])
    return PairForm(lanes, outs % lanes == 0, registers, unrolled, position, blocks_of(width, registers, together))


def record(
    p: Planner, x: View, w: View, target: View, leaves: list[View], attributes: Mapping[str, Any]
) -> tuple[list[Entry], View]:
    """The record of a convolution, and the memory that it uses.

    Args:
        p: The plan in the making.
        x: The images, whose rows are dense.
        w: The kernel, which is dense.
        target: Where the results go.
        leaves: What the ending reads.
        attributes: The convolution's.
    """
    item, run, outs = x.dtype.itemsize, w.shape[1] * w.shape[2], w.shape[-1]
    (above, _), (left, _) = attributes["pads"]
    row = _row_of_sums(x.shape, attributes)
    own, entries = p.scratch((SUMS + 1) * row + _sums_of_kernel(run, outs))
    result: list[Entry] = [x.shape[0], run, outs, *target.shape[1:3], *(address_of(v) for v in (x, w, target))]
    result += [*x.strides[:2], w.strides[0], w.strides[2], *target.strides[:3]]
    result += [x.shape[1], above, x.shape[2] * x.shape[3] * item, left * x.shape[3] * item, row, *entries]
    for leaf in leaves:
        result += [address_of(leaf), *leaf.strides[:3]]
    return result, own
