"""How images lie in memory: padded, batch-last, or with one more axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pellucid.backends.cpu import kernels, padding
from pellucid.backends.cpu.groups_form import suits
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.tile_conv_gradient import GradForm, gradient_for
from pellucid.backends.cpu.tile_windows import plain
from pellucid.backends.cpu.views import pick
from pellucid.graph.ir import Node
from pellucid.op import Spec
from pellucid.plan.layout import View, batch_last_strides
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import Pads, size

Ints = tuple[int, ...]


def can_be_batch_last(p: Planner, attributes: Mapping[str, Any]) -> bool:
    """Whether the batch-last kernels know such a convolution."""
    plain = attributes["groups"] == 1 and attributes["dilation"][-1] == 1
    return p.batch_last and plain and len(attributes["strides"]) <= 2


def padded(p: Planner, view: View, low: Ints, high: Ints, interior: Ints | None = None, last: bool = False) -> View:
    """The view with zeros around (and between) the elements of its spatial axes; ``last`` makes it batch-last."""
    between = interior or (0,) * len(low)
    if not any((*low, *high, *between)):
        return view
    sizes = [n + a + b + (n - 1) * i for n, a, b, i in zip(view.shape[1:-1], low, high, between, strict=True)]
    target = p.temporary(Spec((view.shape[0], *sizes, view.shape[-1]), view.dtype), batch_last=last)
    if not any(between) and len(low) <= 2 and min(*low, *high) >= 0 and _has_dense_rows(view, last):
        _pad(p, view, target, plane_of(as_planes(view).shape[1:3], tuple(zip(low, high, strict=True)))[1], last)
        return target
    p.fill(target, 0)
    p.copy(view, target.slice((0, *low, 0), (1, *(i + 1 for i in between), 1), view.shape))
    return target


def _has_dense_rows(view: View, last: bool) -> bool:
    """Whether the elements of an image's rows lie side by side, all samples' of a batch-last one, and are not few."""
    axes = (-2, -1, 0) if last else (-2, -1)
    row = View(view.buffer, 0, pick(view.shape, axes), pick(view.strides, axes), view.dtype)
    return row.is_contiguous and size(view.shape) > 0 and padding.suits(size(row.shape), view.dtype)


def _pad(p: Planner, view: View, target: View, before: Ints, last: bool) -> None:
    """Put images into larger ones, with zeros around them."""
    small, large = as_planes(view), as_planes(target)
    run = view.shape[-1] * (view.shape[0] if last else 1)
    record: list[Entry] = [1 if last else view.shape[0], large.shape[1], small.shape[1], before[0]]
    record += [large.shape[2] * run, small.shape[2] * run, before[1] * run, address_of(target), address_of(view)]
    record += [0 if last else target.strides[0], large.strides[1], 0 if last else view.strides[0], small.strides[1]]
    p.emit("pad", kernels.padding_kernel(view.dtype), record, [target])


def pad_image(p: Planner, view: View, pads: Pads, last: bool = False) -> View:
    """The view with zeros around its spatial axes, as many as a convolution's padding says."""
    return padded(p, view, tuple(a for a, _ in pads), tuple(b for _, b in pads), last=last)


def as_gradient(attributes: Mapping[str, Any], taps: Ints, ct: Ints, image: Ints) -> dict[str, Any]:
    """Those of the convolution with the flipped kernel that gives the gradient by an image; padding may be below zero.

    Args:
        attributes: Those of the convolution, by whose strides the cotangent is spread out first.
        taps: The kernel's, along all axes.
        ct: The shape of the cotangent.
        image: That of the image.
    """
    steps, pads = attributes["strides"], []
    axes = zip(image[1:-1], ct[1:-1], taps, attributes["dilation"], steps, attributes["pads"], strict=True)
    for n, out, k, gap, step, (before, _) in axes:
        pads.append((gap * (k - 1) - before, n - ((out - 1) * step + 1) + before))
    return {**attributes, "strides": (1,) * len(steps), "pads": tuple(pads)}


def samples_together(p: Planner, view: View) -> View:
    """The image batch-last: itself, or a copy, which later nodes use again."""
    strides = batch_last_strides(view.shape, view.dtype.itemsize)
    if view.lies_as(strides):
        return replace(view, strides=strides)
    return p.converted_to(view, batch_last=True)


def as_planes(view: View) -> View:
    """An image of one spatial axis as one of two, the first of size 1."""
    if len(view.shape) != 3:
        return view
    n, width, c = view.shape
    return View(view.buffer, view.offset, (n, 1, width, c), (view.strides[0], 0, *view.strides[1:]), view.dtype)


def along_two_axes(*numbers: Ints) -> list[Ints]:
    """Numbers of each spatial axis for images as planes, whose first axis is of size 1 where there was only one."""
    return [(*(1,) * (2 - len(own)), *own) for own in numbers]


def plane_of(image: Ints, pads: Pads) -> tuple[Ints, Ints]:
    """Height and width of an image with zeros around it, and where the image begins there; a line is a row."""
    axes = [(0, 0)] * (2 - len(pads)) + list(pads)
    size_of = tuple(n + low + high for n, (low, high) in zip(image, axes, strict=True))
    return size_of, tuple(low for low, _ in axes)


def in_groups(node: Node, *, pooled: bool) -> bool:
    """Whether the gradient by a convolution's kernel is made in groups of samples, if images lie batch-last."""
    (x, ct), pads = (v.spec for v in node.inputs), node.attributes["pads"]
    plane, _ = plane_of((1,) * (2 - len(pads)) + x.shape[1:-1], pads)
    images, row = size(plane) * x.shape[-1], size(ct.shape[-2:])
    return suits(x.shape[0], size(node.output.spec.shape), images, row, x.dtype, pooled=pooled)


def unit_gradient(p: Planner, node: Node) -> GradForm | None:
    """What the kernel of a gradient by a convolution's kernel is made for, if it goes to a matrix unit.

    It does in training alone, whatever else becomes of the cotangent: recorded steps have the bits of plain ones.
    """
    if not (p.is_training and can_be_batch_last(p, node.attributes)):
        return None
    (x, ct), taps = (v.spec for v in node.inputs), node.output.spec.shape[:-2]
    conv = plain(x.shape, taps, ct.shape, node.attributes)
    return gradient_for(conv, x.dtype) if conv else None
