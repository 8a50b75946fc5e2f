"""Gradients by small kernels in groups of samples: their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.conv_gradient import sample_groups
from pellucid.backends.cpu.elementwise import Expression, Folding
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.groups_form import (
    GroupsForm,
    blocks_by_sums,
    blocks_of,
    bytes_of,
    cut_of,
    sums_of,
    without_loops,
)
from pellucid.backends.cpu.image_layout import Ints, along_two_axes, as_planes, plane_of, samples_together
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.reductions import reduction
from pellucid.backends.cpu.row_cuts import Cut
from pellucid.backends.cpu.views import over_domain
from pellucid.backends.cpu.windows import even_blocks
from pellucid.dtypes import DType
from pellucid.graph.ir import Node, Var
from pellucid.op import Spec
from pellucid.plan.layout import View
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import size

# Channels of an image that are put in planes one after the other, at most.
_INPUTS = 8


def kernel_gradient(
    p: Planner,
    x: View,
    ct: View,
    target: View,
    attributes: Mapping[str, Any],
    spread: tuple[Node, View, View] | None,
    summed: Var | None,
) -> None:
    """The gradient by a convolution's kernel.

    Args:
        p: The plan in the making.
        x: The images.
        ct: Their gradient.
        target: The gradient by the kernel.
        attributes: The convolution's.
        spread: Where the gradient is that of a pooling's windows: the pooling, that gradient, and the winners.
        summed: The variable whose sums by channels are wanted, too: that of the gradient, or none.
    """
    x, ct = as_planes(samples_together(p, x)), as_planes(spread[1] if spread else samples_together(p, ct))
    strides, gaps, kernel = along_two_axes(attributes["strides"], attributes["dilation"], target.shape[:-2])
    (window,) = along_two_axes(spread[0].attributes["window"]) if spread else [(1, 1)]
    image = ct.shape[1] * window[0], ct.shape[2] * window[1]
    taps, channels, outs = size(target.shape), x.shape[-1], target.shape[-1]
    plane, before = plane_of(x.shape[1:3], attributes["pads"])
    cut = cut_of((kernel[0], kernel[1]), (strides[0], gaps[0]), (*image, outs), plane[1], x.dtype)
    columns = ct.shape[2], plane[1]
    form = _form(window if spread else None, summed is not None, (*kernel, channels, outs), strides[1], cut, columns)
    band, beside = form.band(*image, outs, window[0], plane[1], x.dtype)
    in_group, groups = _groups_of_registers(x.shape[0], taps, x.dtype)
    sums = p.temporary(Spec((groups, *target.shape), target.dtype)) if groups > 1 else target
    record: list[Entry] = [x.shape[0], in_group, groups, channels, outs, *ct.shape[1:3], *kernel, band, *window]
    record += [*x.shape[1:3], *plane, *before, strides[0], gaps[0], *(address_of(v) for v in (x, sums, ct))]
    record += [*x.strides[1:], *ct.strides[1:], taps * x.dtype.itemsize]
    by_taps = (sums_of(cut) if cut else kernel[0]) * kernel[1] * (channels * outs + 1)
    elements, writes = by_taps + size(plane) * channels + beside, [sums]
    if spread:
        won = as_planes(samples_together(p, spread[2]))
        record += [address_of(won), *won.strides[1:]]
    if summed is not None:
        p.channel_sums[summed] = totals = p.temporary(Spec((groups, outs), x.dtype))
        record.append(address_of(totals))
        writes.append(totals)
        elements += outs
    own, entries = p.scratch(bytes_of(elements + lanes_for(x.dtype), x.dtype))  # lanes of sums are joined together
    name = "conv_kernel_grad" + (" of windows" if spread else "")
    kernel_of = kernels.groups_sums_kernel if cut else kernels.groups_grad_kernel
    p.emit(name, kernel_of(x.dtype, form), [*record, *entries], writes, own=[own])
    add(p, sums, target)


def _form(
    window: Ints | None, summed: bool, sizes: Ints, step: int, cut: Cut | None, columns: tuple[int, int]
) -> GroupsForm:
    """What the kernel is written for.

    Args:
        window: That of the pooling whose gradient is spread; None: there is none.
        summed: Whether the sums by channels are wanted.
        sizes: Taps along both axes, and channels in and out.
        step: The stride along the last axis.
        cut: Which rows are computed at once.
        columns: Columns of the gradient (or of windows) and of a plane.
    """
    taps = sizes[0], sizes[1]
    blocks = blocks_by_sums(taps) if cut else blocks_of(taps, sizes[3], step)
    written_out = without_loops(*window) if window else None
    inputs = even_blocks(sizes[2], _INPUTS)
    single = (blocks[0], blocks[1], sizes[2]) == (sizes[:1], sizes[1:2], 1)
    known = columns if cut and single else None
    return GroupsForm(window is not None, summed, written_out, step, blocks, single, inputs, cut, known)


def _groups_of_registers(batch: int, elements: int, dtype: DType) -> tuple[int, int]:
    """Samples of a group, whole registers of them, and the number of groups, for a gradient of so many elements."""
    lanes = lanes_for(dtype)
    registers = -(-batch // lanes)
    in_group = -(-registers // sample_groups(registers, elements, dtype)) * lanes
    return in_group, -(-batch // in_group)


def add(p: Planner, sums: View, target: View) -> None:
    """The sum of what groups of samples give, where it is not one group that has given it."""
    if sums.buffer != target.buffer:
        operands = [over_domain(target, sums.shape, (0,)), sums]
        p.emit("sum", *reduction(Folding(Expression((sums.dtype,), (None,), ()), "sum"), operands, {0}), [target])
