"""How convolutions are carried out, in either layout of the images.

Images lie as [N, spatial, C], and channels fill the registers; where that would leave many lanes empty, the whole graph
keeps its images batch-last, [spatial, C, N], and samples fill them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pellucid.backends.cpu import elementwise, groups_images, kernels, pair_images, tiled_images, unit_images
from pellucid.backends.cpu.batch_last import grad_row_blocks
from pellucid.backends.cpu.conv_gradient import rows_form, sample_groups
from pellucid.backends.cpu.convolution import (
    Form,
    lanes_of_channels,
    position_blocks,
    registers_of_channels,
    unrolled_steps,
)
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.image_layout import (
    Ints,
    along_two_axes,
    as_gradient,
    as_planes,
    can_be_batch_last,
    in_groups,
    pad_image,
    padded,
    samples_together,
    unit_gradient,
)
from pellucid.backends.cpu.planner import Planner, sums_channels
from pellucid.backends.cpu.pooling import Pooled, is_pooled_otherwise, pooled_after, spreads
from pellucid.backends.cpu.tasks import Finish
from pellucid.backends.cpu.tile_conv_gradient import GradForm
from pellucid.backends.cpu.winograd import STEP, registers_for
from pellucid.graph.ir import Node, Var
from pellucid.op import Spec
from pellucid.plan.layout import View
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import Pads, size


def _image_strides(x: View, attributes: Mapping[str, Any]) -> list[Entry]:
    """The strides of a padded image by batch, output position, tap and channel."""
    spatial = x.strides[1:-1]
    by_place = [s * step for s, step in zip(spatial, attributes["strides"], strict=True)]
    by_tap = [s * gap for s, gap in zip(spatial, attributes["dilation"], strict=True)]
    return [x.strides[0], *by_place, *by_tap, x.strides[-1]]


def _finished(output: Var, finish: Finish | None, last: bool) -> tuple[Var, list[View], Finish | None]:
    """What the kernel gives, the leaves of the ending, and the ending, if the kernel can take it in."""
    axis = 0 if last else -1
    if finish is not None and not finish.kept:
        how = {elementwise.motion(v.strides[axis], v.dtype.itemsize) for v in finish.leaves}
        if "stride" not in how:
            return finish.output, finish.leaves, finish
    return output, [], None


def _motions(leaves: list[View], last: bool) -> tuple[str, ...]:
    axis = 0 if last else -1
    return tuple(elementwise.motion(v.strides[axis], v.dtype.itemsize) for v in leaves)


def _name(taken: Finish | None, pooled: Pooled | None = None) -> str:
    return "+".join(["conv", *([taken.name] if taken else ()), *([pooled.name] if pooled else ())])


def _convolve(
    p: Planner, x: View, w: View, output: Var, attributes: Mapping[str, Any], finish: Finish | None
) -> Finish | None:
    """The convolution of a padded image, and its pooling where that follows; the ending that it took in."""
    result, leaves, taken = _finished(output, finish, last=False)
    ending, motions = taken.ending if taken else None, _motions(leaves, last=False)
    pooled = pooled_after(p, result, last=False)
    lead = (1,) * (4 - len(x.shape))
    attributes = {**attributes, **{key: (*lead, *attributes[key]) for key in ("strides", "dilation")}}
    w = replace(w, shape=(*lead, *w.shape), strides=(*(0 for _ in lead), *w.strides))
    x, leaves = as_planes(x), [as_planes(v) for v in leaves]
    form = _form(x, w, attributes)
    if pooled is None:
        target = p.place_for(result)
        registers = registers_of_channels(w.shape[-1] // attributes["groups"], x.dtype)
        follows = attributes["strides"][0] == attributes["dilation"][0]  # the next row's windows begin one tap further
        rows = 2 if registers == 1 and follows and w.shape[0] > 1 else 1
        blocks = position_blocks(result.spec.shape[-2], registers * rows)
        form = replace(form, registers=registers, rows=rows, blocks=blocks)
        kernel = kernels.conv_kernel(x.dtype, len(x.shape) - 2, ending, motions, form)
        p.emit(_name(taken), kernel, _record(x, w, as_planes(target), leaves, attributes), [target])
        return taken
    value, index = pooled.places(p, last=False)
    record = _record(x, w, as_planes(value), leaves, attributes)
    record += pooled.entries(result.spec.shape, index, (0, 1, 2))
    kernel = kernels.conv_pool_kernel(x.dtype, ending, motions, form, pooled.form)
    p.emit(_name(taken, pooled), kernel, record, [value, *index])
    return taken


def _form(x: View, w: View, attributes: Mapping[str, Any]) -> Form:
    """What the kernel of a padded image's convolution is written for, one position at a time."""
    outs = w.shape[-1] // attributes["groups"]
    lanes = lanes_of_channels(outs, x.dtype)
    run = w.shape[-2] * (w.shape[-3] if _in_one_run(x, w, attributes) else 1)
    apart = x.strides[-2] * attributes["strides"][-1], x.strides[-1], w.strides[-2]
    return Form(lanes, outs % lanes == 0, unrolled_steps(run), apart)


def _record(x: View, w: View, target: View, leaves: list[View], attributes: Mapping[str, Any]) -> list[Entry]:
    """The record of a convolution of a padded image."""
    groups, channels, taps = attributes["groups"], w.shape[-2], w.shape[:-2]
    if _in_one_run(x, w, attributes):
        channels, taps = taps[-1] * channels, (*taps[:-1], 1)
    record: list[Entry] = [x.shape[0], groups, channels, w.shape[-1] // groups]
    record += [*target.shape[1:-1], *taps, *(address_of(v) for v in (x, w, target))]
    record += [*_image_strides(x, attributes), *w.strides[:-1], *target.strides[:-1]]
    for leaf in leaves:
        record += [address_of(leaf), *leaf.strides[:-1]]
    return record


def _convolve_by_tiles(p: Planner, x: View, before: Ints, w: View, output: Var, finish: Finish | None) -> Finish | None:
    """The convolution of an image that needs no padding, tile by tile; windows of 2 x 2 are pooled there, too."""
    result, leaves, taken = _finished(output, finish, last=False)
    ending, motions = taken.ending if taken else None, _motions(leaves, last=False)
    registers = registers_for(w.shape[-1], x.dtype)
    pooled = pooled_after(p, result, last=False, window=(STEP, STEP))
    shape = result.spec.shape
    if pooled is None:
        target = p.place_for(result)
        record, own = tiled_images.record(p, x, before, w, shape, target, leaves)
        kernel = kernels.winograd_kernel(x.dtype, ending, motions, registers, None)
        p.emit(_name(taken), kernel, record, [target], own=[own])
        return taken
    value, index = pooled.places(p, last=False)
    record, own = tiled_images.record(p, x, before, w, shape, value, leaves)
    record += pooled.entries(shape, index, (0, 1, 2))
    kernel = kernels.winograd_kernel(x.dtype, ending, motions, registers, pooled.form)
    p.emit(_name(taken, pooled), kernel, record, [value, *index], own=[own])
    return taken


def _convolve_by_pairs(
    p: Planner, x: View, w: View, output: Var, attributes: Mapping[str, Any], finish: Finish | None
) -> Finish | None:
    """The convolution of an image that needs no padding, two rows of results at once."""
    result, leaves, taken = _finished(output, finish, last=False)
    ending, motions = taken.ending if taken else None, _motions(leaves, last=False)
    window = pair_images.STEP
    pooled = pooled_after(p, result, last=False, window=(window, window))
    form = pair_images.form_of(x, w, result.spec.shape[2], attributes, window if pooled else 1)
    value, index = pooled.places(p, last=False) if pooled else (p.place_for(result), [])
    record, own = pair_images.record(p, x, w, value, leaves, attributes)
    record += pooled.entries(result.spec.shape, index, (0, 1, 2)) if pooled else []
    kernel = kernels.pairs_kernel(x.dtype, ending, motions, form, pooled.form if pooled else None)
    p.emit(_name(taken, pooled), kernel, record, [value, *index], own=[own])
    return taken


def _in_one_run(x: View, w: View, attributes: Mapping[str, Any]) -> bool:
    """Whether the channels of all taps along the last axis follow each other in memory, as if they were one tap's."""
    plain = attributes["groups"] == 1 and attributes["dilation"][-1] == 1
    channels = w.shape[-2]
    return plain and x.strides[-2] == channels * x.strides[-1] and w.strides[-3] == channels * w.strides[-2]


def _convolve_narrow(p: Planner, x: View, w: View, target: View, attributes: Mapping[str, Any]) -> None:
    """The convolution of a padded image with a kernel [taps..., channel out, channel in], for few output channels."""
    record: list[Entry] = [x.shape[0], 1, w.shape[-1], w.shape[-2]]
    record += [*target.shape[1:-1], *w.shape[:-2], *(address_of(v) for v in (x, w, target))]
    record += [*_image_strides(x, attributes)[:-1], *w.strides[:-1], *target.strides[:-1]]
    p.emit("narrow_conv", kernels.narrow_conv_kernel(x.dtype, len(x.shape) - 2), record, [target])


def _convolve_last(
    p: Planner, x: View, w: View, output: Var, attributes: Mapping[str, Any], finish: Finish | None, *, framed: bool
) -> Finish | None:
    """The convolution of a batch-last image, which needs no padding, and its pooling; the ending that it took in.

    ``framed``: zeros around the image count as its numbers do.
    """
    result, leaves, taken = _finished(output, finish, last=True)
    ending, motions = taken.ending if taken else None, _motions(leaves, last=True)
    exact = not p.read_behind(x)
    windows = unit_images.windows_of(p, x, w, output, attributes)
    runs: Ints = ()
    if p.is_training and windows is None and not is_pooled_otherwise(p, output, (pair_images.STEP,) * 2):
        runs = pair_images.last_runs(x.shape, result.spec.shape, w.shape[:-2], attributes, x.dtype)
    pooled = None
    if windows is None or unit_images.can_pool(windows):
        pooled = pooled_after(p, result, last=True, window=(2, 2) if windows or runs else None)
    if pooled is None:
        target = p.place_for(result, batch_last=True)
        index: list[View] = []
        record = _record_last(x, w, target, leaves, attributes)
    else:
        target, index = pooled.places(p, last=True)
        record = _record_last(x, w, target, leaves, attributes) + pooled.entries(result.spec.shape, index, (1, 2, 3))
    if windows is not None:
        width = result.spec.shape[-2]
        form = unit_images.form_of(windows, ending, motions, exact, pooled, width)
        before = attributes["pads"][-1][0]
        more, own = unit_images.entries(p, form, as_planes(x), width, before)
        name = _name(taken, pooled).replace("conv", "conv by tiles", 1)
        p.emit(name, kernels.tile_convolution_kernel(form), [*record, *more], [target, *index], own=[own])
    elif runs:
        more, own = pair_images.last_entries(p, x, w, result.spec.shape[-2], runs, attributes)
        form = pooled.form if pooled else None
        kernel = kernels.last_pairs_kernel(x.dtype, ending, motions, exact, framed, runs, form)
        p.emit(_name(taken, pooled), kernel, [*record, *more], [target, *index], own=[own])
    elif pooled is None:
        p.emit(_name(taken), kernels.conv_last_kernel(x.dtype, ending, motions, exact, framed), record, [target])
    else:
        kernel = kernels.conv_pool_last_kernel(x.dtype, ending, motions, pooled.form, exact, framed)
        p.emit(_name(taken, pooled), kernel, record, [target, *index])
    return taken


def _record_last(x: View, w: View, target: View, leaves: list[View], attributes: Mapping[str, Any]) -> list[Entry]:
    """The record of a convolution of a batch-last image."""
    rank = len(x.shape) - 2
    lead: Ints = (1,) * (2 - rank)
    strides, gaps = (*lead, *attributes["strides"]), (*lead, *attributes["dilation"])
    before = (*((0,) * (2 - rank)), *(low for low, _ in attributes["pads"]))
    x, out, planes = as_planes(x), as_planes(target), [as_planes(leaf) for leaf in leaves]
    taps = (*lead, *w.shape[:-2])
    record: list[Entry] = [x.shape[0], x.shape[-1], w.shape[-1], *x.shape[1:3], *out.shape[1:3], *taps]
    record += [*strides, *before, gaps[0], *(address_of(v) for v in (x, w, out))]
    record += [x.strides[1], x.strides[3], w.strides[-4] if rank == 2 else 0, w.strides[-2], *out.strides[1:]]
    for leaf in planes:
        record += [address_of(leaf), *leaf.strides[1:]]
    return record


def conv(p: Planner, node: Node, finish: Finish | None = None) -> Finish | None:
    """The convolution; the ending that the kernel took in."""
    (x, w), result, attributes = (p.views[v] for v in node.inputs), node.output, node.attributes
    shape, taps = result.spec.shape, w.shape[:-2]
    if can_be_batch_last(p, attributes):
        framed = any(n > 0 for own in attributes["pads"] for n in own)
        return _convolve_last(p, samples_together(p, x), p.contiguous(w), result, attributes, finish, framed=framed)
    if not p.in_order and tiled_images.suited(x.shape[-1], shape, taps, attributes, x.dtype):
        before = tuple(low for low, _ in attributes["pads"])
        return _convolve_by_tiles(p, p.densely(x), before, p.densely(w), result, finish)
    other_windows = is_pooled_otherwise(p, result, (pair_images.STEP,) * 2)
    if not (p.in_order or other_windows) and pair_images.suited(x.shape, shape, taps, attributes, x.dtype):
        return _convolve_by_pairs(p, p.contiguous(x), p.contiguous(w), result, attributes, finish)
    return _convolve(p, pad_image(p, x, attributes["pads"]), p.densely(w), result, attributes, finish)


def conv_input_grad(p: Planner, node: Node, finish: Finish | None = None) -> Finish | None:
    """The gradient by the image, and once more where the kernel is not finite."""
    taken = _input_grad(p, node, finish)
    (ct, w), result = (p.views[v] for v in node.inputs), taken.output if taken else node.output
    if size(ct.shape) and size(w.shape) and size(result.spec.shape):
        _input_grad_anew(p, ct, p.contiguous(w), p.views[result], node.attributes, taken)
    return taken


def _input_grad_anew(
    p: Planner, ct: View, w: View, target: View, attributes: Mapping[str, Any], taken: Finish | None
) -> None:
    """The gradient element by element, if a number of the kernel is not finite."""
    groups, taps, before = attributes["groups"], w.shape[:-2], [low for low, _ in attributes["pads"]]
    record: list[Entry] = [size(w.shape), ct.shape[0], groups, w.shape[-2], w.shape[-1] // groups]
    record += [*target.shape[1:-1], *taps, *ct.shape[1:-1], *attributes["strides"], *attributes["dilation"], *before]
    record += [*(address_of(v) for v in (w, ct, target)), *w.strides, *ct.strides, *target.strides]
    for leaf in taken.leaves if taken else ():
        record += [address_of(leaf), *leaf.strides]
    kernel = kernels.input_grad_anew_kernel(ct.dtype, len(taps), taken.ending if taken else None)
    p.emit("conv_input_grad, if not finite", kernel, record, [target])


def _input_grad(p: Planner, node: Node, finish: Finish | None) -> Finish | None:
    """A convolution of the cotangent, spread out by the strides, with the flipped kernel, channels exchanged."""
    (ct, w), shape = (p.views[v] for v in node.inputs), node.output.spec.shape
    if size(ct.shape) == 0 or size(w.shape) == 0:
        p.fill(p.place_for(node.output), 0)
        return None
    rank, taps, groups = len(w.shape) - 2, w.shape[:-2], node.attributes["groups"]
    between = tuple(step - 1 for step in node.attributes["strides"])
    attributes = as_gradient(node.attributes, taps, ct.shape, shape)
    flipped = p.contiguous(w.flip(range(rank)))
    if can_be_batch_last(p, attributes):
        image = samples_together(p, padded(p, ct, (0,) * rank, (0,) * rank, between, last=True))
        exchanged = p.contiguous(flipped.transpose((*range(rank), rank + 1, rank)))
        return _convolve_last(p, image, exchanged, node.output, attributes, finish, framed=False)
    if not (p.in_order or any(between)) and tiled_images.suited(ct.shape[-1], shape, taps, attributes, ct.dtype):
        low = tuple(before for before, _ in attributes["pads"])
        return _convolve_by_tiles(p, p.densely(ct), low, _exchanged(p, flipped, groups), node.output, finish)
    lanes = lanes_for(ct.dtype)
    narrow = groups == 1 and 2 * shape[-1] <= lanes and 2 * ct.shape[-1] >= lanes
    others = narrow or p.in_order or any(between)
    if not others and pair_images.suited(ct.shape, shape, taps, attributes, ct.dtype):
        exchanged = _exchanged(p, flipped, groups)
        return _convolve_by_pairs(p, p.contiguous(ct), exchanged, node.output, attributes, finish)
    image = _framed(p, ct, attributes["pads"], between)
    if narrow:
        _convolve_narrow(p, p.densely(image), flipped, p.place_for(node.output), attributes)
        return None
    return _convolve(p, image, _exchanged(p, flipped, groups), node.output, attributes, finish)


def _framed(p: Planner, ct: View, pads: Pads, between: Ints) -> View:
    """A cotangent with zeros between its elements and around them; of where there are fewer than none, a part."""
    low, high = (tuple(own) for own in zip(*pads, strict=True))
    image = padded(p, ct, tuple(max(n, 0) for n in low), tuple(max(n, 0) for n in high), between)
    # Padding wider than the kernel's reach means that the outermost cotangents belong to no pixel.
    sizes = [n + min(a, 0) + min(b, 0) for n, a, b in zip(image.shape[1:-1], low, high, strict=True)]
    first, shape = (0, *(max(-n, 0) for n in low), 0), (image.shape[0], *sizes, image.shape[-1])
    return image.slice(first, (1,) * len(shape), shape)


def _exchanged(p: Planner, w: View, groups: int) -> View:
    """The kernel [taps..., C, G D] as [taps..., D, G C]."""
    rank = len(w.shape) - 2
    split = w.reshape((*w.shape[:-1], groups, w.shape[-1] // groups))
    assert split is not None
    exchanged = p.contiguous(split.transpose((*range(rank), rank + 2, rank + 1, rank)))
    kernel = exchanged.reshape((*w.shape[:-2], w.shape[-1] // groups, groups * w.shape[-2]))
    assert kernel is not None
    return kernel


def _conv_kernel_grad(p: Planner, node: Node) -> View:
    x, ct = (p.views[v] for v in node.inputs)
    attributes, target = node.attributes, p.temporary(node.output.spec)
    if size(target.shape) == 0 or size(ct.shape) == 0:
        p.fill(target, 0)
        return target
    form = unit_gradient(p, node)
    if form is not None:
        _kernel_grad_by_tiles(p, form, x, ct, target, attributes["pads"])
        return target
    spread = p.spread.get(ct.buffer) if spreads(p, node) else None
    if can_be_batch_last(p, attributes) and in_groups(node, pooled=spread is not None):
        summed = node.inputs[1] if any(map(sums_channels, p.users_of(node.inputs[1]))) else None
        groups_images.kernel_gradient(p, x, ct, target, attributes, spread, summed)
        return target
    if can_be_batch_last(p, attributes):
        _kernel_grad_last(p, x, ct, target, attributes)
        return target
    if tiled_images.suited(x.shape[-1], ct.shape, target.shape[:-2], attributes, x.dtype):
        before = tuple(low for low, _ in attributes["pads"])
        tiled_images.kernel_gradient(p, p.densely(x), before, p.densely(ct), target)
        return target
    if pair_images.gradient_suited(x.shape, ct.shape, target.shape[:-2], attributes, x.dtype):
        pair_images.kernel_gradient(p, p.contiguous(x), p.contiguous(ct), target, attributes)
        return target
    x, ct, groups = pad_image(p, x, attributes["pads"]), p.densely(ct), attributes["groups"]
    rank, item = len(x.shape) - 2, x.dtype.itemsize
    together = x.strides[-1] == item and (x.strides[-2] == item * x.shape[-1] or target.shape[-3] == 1)
    if groups == 1 and attributes["dilation"][-1] == 1 and together and rank <= 2:
        _kernel_grad_rows(p, x, ct, target, attributes)
        return target
    record: list[Entry] = [x.shape[0], groups, target.shape[-2], target.shape[-1] // groups]
    record += [*ct.shape[1:-1], *target.shape[:-2], *(address_of(v) for v in (x, ct, target))]
    record += [*_image_strides(x, attributes), *ct.strides[:-1], *target.strides[:-1]]
    p.emit("conv_kernel_grad", kernels.conv_kernel_grad_kernel(x.dtype, len(x.shape) - 2), record, [target])
    return target


def _kernel_grad_last(p: Planner, x: View, ct: View, target: View, attributes: Mapping[str, Any]) -> None:
    pads: Pads = attributes["pads"]
    if any(n for pair in pads for n in pair):
        x = pad_image(p, x, pads, last=True)
    x, ct = as_planes(samples_together(p, x)), as_planes(samples_together(p, ct))
    rank = len(attributes["strides"])
    strides, gaps, taps = along_two_axes(attributes["strides"], attributes["dilation"], target.shape[:-2])
    rows = taps[1] * x.shape[-1]
    record: list[Entry] = [x.shape[0], rows, target.shape[-1], *ct.shape[1:3], taps[0]]
    record += [address_of(v) for v in (x, ct, target)]
    record += [x.strides[1] * strides[0], x.strides[2] * strides[1], x.strides[1] * gaps[0], x.strides[3]]
    record += [*ct.strides[1:], target.strides[0] if rank == 2 else 0, target.strides[-2]]
    p.emit("conv_kernel_grad", kernels.conv_last_grad_kernel(x.dtype, grad_row_blocks(rows)), record, [target])


def _kernel_grad_by_tiles(p: Planner, form: GradForm, x: View, ct: View, target: View, pads: Pads) -> None:
    x = as_planes(samples_together(p, pad_image(p, x, pads, last=True)))
    ct = as_planes(samples_together(p, ct))
    groups, bands = unit_images.pieces_of(x.shape[0], ct.shape[1], form.taps[0])
    count = groups * bands
    sums = p.temporary(Spec((count, *target.shape), target.dtype)) if count > 1 else target
    unit_images.kernel_gradient(p, form, x, ct, sums, bands)
    groups_images.add(p, sums, target)


def _kernel_grad_rows(p: Planner, x: View, ct: View, target: View, attributes: Mapping[str, Any]) -> None:
    x, ct = as_planes(x), as_planes(ct)
    rank = len(attributes["strides"])
    strides, gaps, taps = along_two_axes(attributes["strides"], attributes["dilation"], target.shape[:-2])
    rows, outs = taps[1] * x.shape[-1], target.shape[-1]
    groups = sample_groups(x.shape[0], size(target.shape), x.dtype)
    in_group = -(-x.shape[0] // groups)
    groups = -(-x.shape[0] // in_group)
    sums = p.temporary(Spec((groups, *target.shape), target.dtype)) if groups > 1 else target
    record: list[Entry] = [x.shape[0], in_group, groups, rows, outs, *ct.shape[1:3], taps[0]]
    record += [address_of(v) for v in (x, ct, sums)]
    record += [x.strides[0], x.strides[1] * strides[0], x.strides[2] * strides[1], x.strides[1] * gaps[0]]
    record += [*ct.strides[:-1], size(target.shape) * x.dtype.itemsize]
    record += [target.strides[0] if rank == 2 else 0, target.strides[-2]]
    form = rows_form(rows, outs, x.strides[2] * strides[1] // x.dtype.itemsize, x.dtype)
    p.emit("conv_kernel_grad", kernels.conv_rows_grad_kernel(x.dtype, form), record, [sums])
    groups_images.add(p, sums, target)


LOWERINGS: dict[str, Callable[[Planner, Node], View]] = {"conv_kernel_grad": _conv_kernel_grad}
