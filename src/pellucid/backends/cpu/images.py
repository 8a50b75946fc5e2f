"""How convolutions and pooling are carried out, in either layout of the images.

Images lie as [N, spatial, C], and channels fill the registers; where that would leave many lanes empty, the whole graph
keeps its images batch-last, [spatial, C, N], and samples fill them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pellucid.backends.cpu import elementwise, kernels
from pellucid.backends.cpu.convolution import lanes_of_channels
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.planner import Finish, Planner
from pellucid.graph.ir import Node, Var
from pellucid.op import Spec
from pellucid.plan.layout import View, batch_last_strides
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import Pads, size

Ints = tuple[int, ...]


# Padding and layout.


def _padded(p: Planner, view: View, low: Ints, high: Ints, interior: Ints | None = None, last: bool = False) -> View:
    """The view with zeros around (and between) the elements of its spatial axes; ``last`` makes it batch-last."""
    between = interior or (0,) * len(low)
    if not any((*low, *high, *between)):
        return view
    sizes = [n + a + b + (n - 1) * i for n, a, b, i in zip(view.shape[1:-1], low, high, between, strict=True)]
    target = p.temporary(Spec((view.shape[0], *sizes, view.shape[-1]), view.dtype), batch_last=last)
    p.fill(target, 0)
    p.copy(view, target.slice((0, *low, 0), (1, *(i + 1 for i in between), 1), view.shape))
    return target


def _pad_image(p: Planner, view: View, pads: Pads, last: bool = False) -> View:
    return _padded(p, view, tuple(a for a, _ in pads), tuple(b for _, b in pads), last=last)


def _samples_together(p: Planner, view: View) -> View:
    """The image batch-last: itself, or a copy, which later nodes use again."""
    strides = batch_last_strides(view.shape, view.dtype.itemsize)
    if view.lies_as(strides):
        return replace(view, strides=strides)
    return p.converted_to(view, batch_last=True)


def _as_planes(view: View) -> View:
    """An image of one spatial axis as one of two, the first of size 1."""
    if len(view.shape) == 4:
        return view
    n, width, c = view.shape
    return View(view.buffer, view.offset, (n, 1, width, c), (view.strides[0], 0, *view.strides[1:]), view.dtype)


# Convolutions.


def _image_strides(x: View, attributes: Mapping[str, Any]) -> list[Entry]:
    """The strides of a padded image by batch, output position, tap and channel."""
    spatial = x.strides[1:-1]
    by_place = [s * step for s, step in zip(spatial, attributes["strides"], strict=True)]
    by_tap = [s * gap for s, gap in zip(spatial, attributes["dilation"], strict=True)]
    return [x.strides[0], *by_place, *by_tap, x.strides[-1]]


def _can_be_batch_last(p: Planner, attributes: Mapping[str, Any]) -> bool:
    """Whether the batch-last kernels know such a convolution."""
    plain = attributes["groups"] == 1 and attributes["dilation"][-1] == 1
    return p.batch_last and plain and len(attributes["strides"]) <= 2


def _finished(p: Planner, output: Var, finish: Finish | None, last: bool) -> tuple[View, list[View], Finish | None]:
    """Where the result goes, the leaves of the ending, and the ending, if the kernel can take it in."""
    axis = 0 if last else -1
    if finish is not None:
        how = {elementwise.motion(v.strides[axis], v.dtype.itemsize) for v in finish.leaves}
        if "stride" not in how:
            return p.place_for(finish.output, batch_last=last), finish.leaves, finish
    return p.place_for(output, batch_last=last), [], None


def _motions(leaves: list[View], last: bool) -> tuple[str, ...]:
    axis = 0 if last else -1
    return tuple(elementwise.motion(v.strides[axis], v.dtype.itemsize) for v in leaves)


def _convolve(
    p: Planner, x: View, w: View, output: Var, attributes: Mapping[str, Any], finish: Finish | None
) -> Finish | None:
    """The convolution of a padded image; the ending that it took in."""
    target, leaves, taken = _finished(p, output, finish, last=False)
    groups, channels, taps = attributes["groups"], w.shape[-2], w.shape[:-2]
    if _in_one_run(x, w, attributes):
        channels, taps = taps[-1] * channels, (*taps[:-1], 1)
    record: list[Entry] = [x.shape[0], groups, channels, w.shape[-1] // groups]
    record += [*target.shape[1:-1], *taps, *(address_of(v) for v in (x, w, target))]
    record += [*_image_strides(x, attributes), *w.strides[:-1], *target.strides[:-1]]
    for leaf in leaves:
        record += [address_of(leaf), *leaf.strides[:-1]]
    ending = taken.ending if taken else None
    lanes = lanes_of_channels(w.shape[-1] // groups, x.dtype)
    kernel = kernels.conv_kernel(x.dtype, len(x.shape) - 2, ending, _motions(leaves, last=False), lanes)
    p.emit("conv" + (f"+{taken.name}" if taken else ""), kernel, record, [target])
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
    p: Planner, x: View, w: View, output: Var, attributes: Mapping[str, Any], finish: Finish | None
) -> Finish | None:
    """The convolution of a batch-last image, which needs no padding; the ending that it took in."""
    target, leaves, taken = _finished(p, output, finish, last=True)
    rank = len(x.shape) - 2
    lead: Ints = (1,) * (2 - rank)
    strides, gaps = (*lead, *attributes["strides"]), (*lead, *attributes["dilation"])
    before = (*((0,) * (2 - rank)), *(low for low, _ in attributes["pads"]))
    x, out, planes = _as_planes(x), _as_planes(target), [_as_planes(leaf) for leaf in leaves]
    taps = (*lead, *w.shape[:-2])
    record: list[Entry] = [x.shape[0], x.shape[-1], w.shape[-1], *x.shape[1:3], *out.shape[1:3], *taps]
    record += [*strides, *before, gaps[0], *(address_of(v) for v in (x, w, out))]
    record += [x.strides[1], x.strides[3], w.strides[-4] if rank == 2 else 0, w.strides[-2], *out.strides[1:]]
    for leaf in planes:
        record += [address_of(leaf), *leaf.strides[1:]]
    ending = taken.ending if taken else None
    kernel = kernels.conv_last_kernel(x.dtype, ending, _motions(leaves, last=True))
    p.emit("conv" + (f"+{taken.name}" if taken else ""), kernel, record, [target])
    return taken


def conv(p: Planner, node: Node, finish: Finish | None = None) -> Finish | None:
    """The convolution; the ending that the kernel took in."""
    x, w = (p.views[v] for v in node.inputs)
    if _can_be_batch_last(p, node.attributes):
        return _convolve_last(p, _samples_together(p, x), p.contiguous(w), node.output, node.attributes, finish)
    image = _pad_image(p, x, node.attributes["pads"])
    return _convolve(p, image, p.densely(w), node.output, node.attributes, finish)


def conv_input_grad(p: Planner, node: Node, finish: Finish | None = None) -> Finish | None:
    """A convolution of the cotangent, spread out by the strides, with the flipped kernel, channels exchanged."""
    ct, w = (p.views[v] for v in node.inputs)
    attributes, shape = node.attributes, node.output.spec.shape
    if size(ct.shape) == 0 or size(w.shape) == 0:
        p.fill(p.place_for(node.output), 0)
        return None
    rank = len(w.shape) - 2
    reach = [gap * (n - 1) for gap, n in zip(attributes["dilation"], w.shape[:-2], strict=True)]
    spread = [(n - 1) * step + 1 for n, step in zip(ct.shape[1:-1], attributes["strides"], strict=True)]
    low = [r - before for r, (before, _) in zip(reach, attributes["pads"], strict=True)]
    high = [n - s - a + r for n, s, a, r in zip(shape[1:-1], spread, low, reach, strict=True)]
    between = tuple(step - 1 for step in attributes["strides"])
    flipped = p.contiguous(w.flip(range(rank)))
    if _can_be_batch_last(p, attributes):
        image = _samples_together(p, _padded(p, ct, (0,) * rank, (0,) * rank, between, last=True))
        exchanged = p.contiguous(flipped.transpose((*range(rank), rank + 1, rank)))
        wanted = {**attributes, "strides": (1,) * rank, "pads": tuple(zip(low, high, strict=True))}
        return _convolve_last(p, image, exchanged, node.output, wanted, finish)
    image = _padded(p, ct, tuple(max(n, 0) for n in low), tuple(max(n, 0) for n in high), between)
    # Padding wider than the kernel's reach means that the outermost cotangents belong to no pixel.
    image = image.slice(
        (0, *(max(-n, 0) for n in low), 0),
        (1,) * (rank + 2),
        (image.shape[0], *(n + r for n, r in zip(shape[1:-1], reach, strict=True)), image.shape[-1]),
    )
    groups, lanes = attributes["groups"], lanes_for(ct.dtype)
    attributes = {**attributes, "strides": (1,) * rank}
    if groups == 1 and 2 * shape[-1] <= lanes and 2 * ct.shape[-1] >= lanes:
        _convolve_narrow(p, p.densely(image), flipped, p.place_for(node.output), attributes)
        return None
    return _convolve(p, image, _exchanged(p, flipped, groups), node.output, attributes, finish)


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
    if _can_be_batch_last(p, attributes):
        _kernel_grad_last(p, x, ct, target, attributes)
        return target
    x, ct, groups = _pad_image(p, x, attributes["pads"]), p.densely(ct), attributes["groups"]
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
        x = _pad_image(p, x, pads, last=True)
    x, ct = _as_planes(_samples_together(p, x)), _as_planes(_samples_together(p, ct))
    rank = len(attributes["strides"])
    lead: Ints = (1,) * (2 - rank)
    strides, gaps, taps = ((*lead, *n) for n in (attributes["strides"], attributes["dilation"], target.shape[:-2]))
    rows = taps[1] * x.shape[-1]
    record: list[Entry] = [x.shape[0], rows, target.shape[-1], *ct.shape[1:3], taps[0]]
    record += [address_of(v) for v in (x, ct, target)]
    record += [x.strides[1] * strides[0], x.strides[2] * strides[1], x.strides[1] * gaps[0], x.strides[3]]
    record += [*ct.strides[1:], target.strides[0] if rank == 2 else 0, target.strides[-2]]
    p.emit("conv_kernel_grad", kernels.conv_last_grad_kernel(x.dtype), record, [target])


def _kernel_grad_rows(p: Planner, x: View, ct: View, target: View, attributes: Mapping[str, Any]) -> None:
    x, ct = _as_planes(x), _as_planes(ct)
    rank = len(attributes["strides"])
    lead: Ints = (1,) * (2 - rank)
    strides, gaps, taps = ((*lead, *n) for n in (attributes["strides"], attributes["dilation"], target.shape[:-2]))
    record: list[Entry] = [x.shape[0], taps[1] * x.shape[-1], target.shape[-1], *ct.shape[1:3], taps[0]]
    record += [address_of(v) for v in (x, ct, target)]
    record += [x.strides[0], x.strides[1] * strides[0], x.strides[2] * strides[1], x.strides[1] * gaps[0]]
    record += [*ct.strides[:-1], target.strides[0] if rank == 2 else 0, target.strides[-2]]
    p.emit("conv_kernel_grad", kernels.conv_rows_grad_kernel(x.dtype), record, [target])


# Pooling.


def _in_lanes(p: Planner, view: View) -> View:
    """The image with samples side by side, or channels."""
    return _samples_together(p, view) if p.batch_last else p.densely(view)


def _by_lanes(p: Planner, view: View, last: bool) -> tuple[int, int, list[int]]:
    """Size of the outer axis and of the one in lanes, and the strides outer, spatial..., lanes."""
    if last:
        return view.shape[-1], view.shape[0], [view.strides[-1], *view.strides[1:-1], view.strides[0]]
    return view.shape[0], view.shape[-1], [*view.strides]


def _window_entries(image: Ints, out: Ints, attributes: Mapping[str, Any]) -> list[Entry]:
    columns = zip(image, out, attributes["window"], attributes["strides"], attributes["pads"], strict=True)
    return [n for i, o, k, s, (before, _) in columns for n in (i, o, k, s, 1, before)]


def _pooling(
    p: Planner,
    name: str,
    attributes: Mapping[str, Any],
    views: list[View],
    kernel: int,
    last: bool,
    writes: list[View],
) -> None:
    """A pooling kernel on an image, its output, and whatever has the output's shape."""
    image, out = views[:2]
    record = _window_entries(image.shape[1:-1], out.shape[1:-1], attributes)
    outer, lanes, _ = _by_lanes(p, image, last)
    record += [outer, lanes, *(address_of(v) for v in views)]
    record += [stride for v in views for stride in _by_lanes(p, v, last)[2]]
    p.emit(name, kernel, record, writes)


def _window_sum(p: Planner, node: Node) -> View:
    source, last = _in_lanes(p, p.views[node.inputs[0]]), p.batch_last
    target = p.temporary(node.output.spec, batch_last=last)
    p.fill(target, 0)
    spreading = node.op.name == "window_spread"
    if size(target.shape) and size(source.shape):
        kernel = kernels.window_sum_kernel(source.dtype, len(source.shape) - 2, spreading)
        views = [target, source] if spreading else [source, target]
        _pooling(p, node.op.name, node.attributes, views, kernel, last, [target])
    return target


def _max_pool_index(p: Planner, node: Node) -> View:
    """The places of the largest elements, and where someone takes the elements, these too."""
    source, last = _in_lanes(p, p.views[node.inputs[0]]), p.batch_last
    target = p.temporary(node.output.spec, batch_last=last)
    if size(target.shape) == 0:
        return target
    taken = _taken_by(p, node)
    inside = _windows_are_inside(source.shape[1:-1], target.shape[1:-1], node.attributes)
    if taken is not None and inside and _only_the_elements(p, node):
        value = _taken_elements(p, taken, source, target, last)
        kernel = kernels.max_pool_kernel(source.dtype, len(source.shape) - 2)
        _pooling(p, "max_pool", node.attributes, [source, value], kernel, last, [value])
        return target
    views = [source, target]
    if taken is not None:
        views.append(_taken_elements(p, taken, source, target, last))
    kernel = kernels.max_pool_index_kernel(source.dtype, len(source.shape) - 2, taken is not None, inside)
    _pooling(p, "max_pool", node.attributes, views, kernel, last, views[1:])
    return target


def _taken_elements(p: Planner, taken: Node, source: View, target: View, last: bool) -> View:
    """The place of the elements that a node takes from the windows."""
    value = p.temporary(Spec(target.shape, source.dtype), batch_last=last)
    flat = value.reshape(taken.output.spec.shape)
    assert flat is not None
    p.views[taken.output] = flat
    return value


def _only_the_elements(p: Planner, node: Node) -> bool:
    """Whether the places that a pooling node finds serve to take the elements, and nothing else."""
    through = p.users_of(node.output)
    shown = set(map(id, p.graph.outputs))
    if len(through) != 1 or id(node.output) in shown or id(through[0].output) in shown:
        return False
    return len(p.users_of(through[0].output)) == 1


def _windows_are_inside(image: Ints, out: Ints, attributes: Mapping[str, Any]) -> bool:
    """Whether no window reaches over an edge of the image."""
    axes = zip(image, out, attributes["window"], attributes["strides"], attributes["pads"], strict=True)
    return all(before == 0 and (o - 1) * step + n <= width for width, o, n, step, (before, _) in axes)


def _taken_by(p: Planner, node: Node) -> Node | None:
    """The node that takes the elements at the places that a pooling node finds."""
    for reshaped in p.users_of(node.output):
        for user in p.users_of(reshaped.output) if reshaped.op.name == "reshape" else ():
            takes = user.op.name == "take_along_axis" and user.inputs[1] is reshaped.output
            source = user.inputs[0].record if takes else None
            if source is not None and source.op.name == "reshape" and source.inputs[0] is node.inputs[0]:
                return user
    return None


def unpooled(p: Planner, node: Node) -> View | None:
    """add_along_axis at the places that a pooling node has found, as a kernel over windows; None if it is not that."""
    ct, places = node.inputs
    reshaped = places.record
    pool = reshaped.inputs[0].record if reshaped is not None and reshaped.op.name == "reshape" else None
    if pool is None or pool.op.name != "max_pool_index" or node.attributes["axis"] != 1:
        return None
    index, shape = p.views[pool.output], pool.inputs[0].spec.shape
    source = p.views[ct].reshape(index.shape)
    if (
        source is None
        or node.output.spec.shape != (shape[0], size(shape[1:-1]), shape[-1])
        or places.spec.shape != (shape[0], size(index.shape[1:-1]), shape[-1])
        or size(source.shape) == 0
    ):
        return None
    source, last = _in_lanes(p, source), p.batch_last
    target = p.temporary(Spec(shape, source.dtype), batch_last=last)
    a = pool.attributes
    apart = all(step >= n for step, n in zip(a["strides"], a["window"], strict=True))
    whole = zip(shape[1:-1], index.shape[1:-1], a["window"], a["strides"], a["pads"], strict=True)
    if not apart or not all(n == o * k and k == s and before == 0 for n, o, k, s, (before, _) in whole):
        p.fill(target, 0)
    kernel = kernels.unpool_kernel(source.dtype, len(shape) - 2, not apart)
    _pooling(p, "unpool", a, [target, source, index], kernel, last, [target])
    return target.reshape(node.output.spec.shape)


LOWERINGS: dict[str, Callable[[Planner, Node], View]] = {
    "conv_kernel_grad": _conv_kernel_grad,
    "window_sum": _window_sum,
    "window_spread": _window_sum,
    "max_pool_index": _max_pool_index,
}
