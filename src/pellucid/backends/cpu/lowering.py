"""How each operation that is neither elementwise nor a reduction is carried out: a view, or an instruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.planner import FLAG, LOWERINGS, Planner, pick
from pellucid.backends.cpu.tasks import REDUCTIONS
from pellucid.graph.ir import Node
from pellucid.op import Spec
from pellucid.plan.layout import Loops, View, merge_loops
from pellucid.plan.plan import Address, Entry, address_of
from pellucid.shapes import Pads, normalize_axis, size

Ints = tuple[int, ...]


def _reshape(p: Planner, node: Node) -> View:
    view = p.views[node.inputs[0]]
    shape = node.output.spec.shape
    found = view.reshape(shape) or p.contiguous(view).reshape(shape)
    assert found is not None
    return found


def _transpose(p: Planner, node: Node) -> View:
    return p.views[node.inputs[0]].transpose(node.attributes["axes"])


def _flip(p: Planner, node: Node) -> View:
    return p.views[node.inputs[0]].flip(node.attributes["axes"])


def _broadcast_to(p: Planner, node: Node) -> View:
    return p.views[node.inputs[0]].broadcast(node.output.spec.shape)


def _slice(p: Planner, node: Node) -> View:
    view = p.views[node.inputs[0]]
    return view.slice(node.attributes["starts"], node.attributes["steps"], node.output.spec.shape)


def _pad(p: Planner, node: Node) -> View:
    source = p.views[node.inputs[0]]
    target = p.temporary(node.output.spec)
    p.fill(target, 0)
    steps = tuple(between + 1 for between in node.attributes["interior"])
    p.copy(source, target.slice(node.attributes["low"], steps, source.shape))
    return target


def _concatenate(p: Planner, node: Node) -> View:
    target = p.temporary(node.output.spec)
    axis, start = node.attributes["axis"], 0
    for var in node.inputs:
        part = p.views[var]
        starts = tuple(start if a == axis else 0 for a in range(len(part.shape)))
        p.copy(part, target.slice(starts, (1,) * len(part.shape), part.shape))
        start += part.shape[axis]
    return target


def _matmul(p: Planner, node: Node) -> View:
    a, b = (p.views[v] for v in node.inputs)
    b = p.densely(b)
    target = p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    batch = target.shape[:-2]
    operands = [a.broadcast((*batch, *a.shape[-2:])), b.broadcast((*batch, *b.shape[-2:])), target]
    loops = merge_loops(batch, [v.strides[:-2] for v in operands]) if size(batch) > 1 else Loops((), ((), (), ()))
    rows, columns, inner = target.shape[-2], target.shape[-1], a.shape[-1]
    record: list[Entry] = [rows, columns, inner, *loops.sizes, *(address_of(v) for v in operands)]
    record += [*operands[0].strides[-2:], operands[1].strides[-2], operands[2].strides[-2]]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit("matmul", kernels.matmul_kernel(target.dtype, len(loops.sizes)), record)
    return target


def _along_axis(p: Planner, node: Node, adding: bool) -> View:
    source, indices = (p.views[v] for v in node.inputs)
    axis = node.attributes["axis"]
    target = p.temporary(node.output.spec)
    if adding:
        p.fill(target, 0)
    plain, indexed = (source, target) if adding else (target, source)
    if size(indices.shape) == 0:
        return target
    still = tuple(0 if a == axis else s for a, s in enumerate(indexed.strides))
    strides = [plain.strides, still, indices.strides]
    loops = merge_loops(indices.shape, strides)
    return _follow(p, node, loops, (plain, indexed, indices), axis, adding, target)


def _argmax(p: Planner, node: Node) -> View:
    source = p.views[node.inputs[0]]
    axis = normalize_axis(node.attributes["axis"], len(source.shape))
    target = p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    kept = [a for a in range(len(source.shape)) if a != axis]
    loops = merge_loops(target.shape, [target.strides, pick(source.strides, kept)])
    record: list[Entry] = [*loops.sizes, source.shape[axis], source.strides[axis]]
    record += [address_of(target), address_of(source)]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit("argmax", kernels.argmax_kernel(source.dtype, len(loops.sizes)), record)
    return target


def _indexed(p: Planner, node: Node, adding: bool) -> View:
    """gather and scatter_add: as along an axis, with the other array standing still where it has no such axis."""
    source, indices = (p.views[v] for v in node.inputs)
    axis, rank = node.attributes["axis"], len(indices.shape)
    target = p.temporary(node.output.spec)
    if adding:
        p.fill(target, 0)
    plain, indexed = (source, target) if adding else (target, source)
    if size(plain.shape) == 0:
        return target
    before, after = plain.shape[:axis], plain.shape[axis + rank :]
    still_before, still_after = (0,) * len(before), (0,) * len(after)
    strides = [
        plain.strides,
        (*indexed.strides[:axis], *(0,) * rank, *indexed.strides[axis + 1 :]),
        (*still_before, *indices.strides, *still_after),
    ]
    return _follow(p, node, merge_loops(plain.shape, strides), (plain, indexed, indices), axis, adding, target)


def _follow(
    p: Planner,
    node: Node,
    loops: Loops,
    operands: tuple[View, View, View],
    axis: int,
    adding: bool,
    target: View,
) -> View:
    plain, indexed, indices = operands
    record: list[Entry] = [*loops.sizes, indexed.shape[axis], indexed.strides[axis], Address(FLAG, 0), p.next_number]
    record += [address_of(plain), address_of(indexed), address_of(indices)]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit(node.op.name, kernels.along_axis_kernel(target.dtype, indices.dtype, len(loops.sizes), adding), record)
    return target


def _window_entries(
    image: tuple[int, ...], out: tuple[int, ...], taps: tuple[int, ...], attributes: Mapping[str, Any]
) -> list[Entry]:
    dilation = attributes.get("dilation", (1,) * len(taps))
    columns = zip(image, out, taps, attributes["strides"], dilation, attributes["pads"], strict=True)
    return [n for i, o, k, s, d, (before, _) in columns for n in (i, o, k, s, d, before)]


def _padded(p: Planner, view: View, low: Ints, high: Ints, interior: Ints | None = None) -> View:
    """The view with zeros around (and between) the elements of its spatial axes."""
    between = interior or (0,) * len(low)
    if not any((*low, *high, *between)):
        return view
    sizes = [n + a + b + (n - 1) * i for n, a, b, i in zip(view.shape[1:-1], low, high, between, strict=True)]
    target = p.temporary(Spec((view.shape[0], *sizes, view.shape[-1]), view.dtype))
    p.fill(target, 0)
    p.copy(view, target.slice((0, *low, 0), (1, *(i + 1 for i in between), 1), view.shape))
    return target


def _pad_image(p: Planner, view: View, pads: Pads) -> View:
    return _padded(p, view, tuple(a for a, _ in pads), tuple(b for _, b in pads))


def _image_strides(x: View, attributes: Mapping[str, Any]) -> list[Entry]:
    """The strides of a padded image by batch, output position, tap and channel."""
    spatial = x.strides[1:-1]
    by_place = [s * step for s, step in zip(spatial, attributes["strides"], strict=True)]
    by_tap = [s * gap for s, gap in zip(spatial, attributes["dilation"], strict=True)]
    return [x.strides[0], *by_place, *by_tap, x.strides[-1]]


def _convolve(p: Planner, x: View, w: View, target: View, attributes: Mapping[str, Any]) -> None:
    """The convolution of a padded image."""
    groups = attributes["groups"]
    record: list[Entry] = [x.shape[0], groups, w.shape[-2], w.shape[-1] // groups]
    record += [*target.shape[1:-1], *w.shape[:-2], *(address_of(v) for v in (x, w, target))]
    record += [*_image_strides(x, attributes), *w.strides[:-1], *target.strides[:-1]]
    p.emit("conv", kernels.conv_kernel(x.dtype, len(x.shape) - 2), record)


def _convolve_narrow(p: Planner, x: View, w: View, target: View, attributes: Mapping[str, Any]) -> None:
    """The convolution of a padded image with a kernel [taps..., channel out, channel in], for few output channels."""
    record: list[Entry] = [x.shape[0], 1, w.shape[-1], w.shape[-2]]
    record += [*target.shape[1:-1], *w.shape[:-2], *(address_of(v) for v in (x, w, target))]
    record += [*_image_strides(x, attributes)[:-1], *w.strides[:-1], *target.strides[:-1]]
    p.emit("narrow_conv", kernels.narrow_conv_kernel(x.dtype, len(x.shape) - 2), record)


def _conv(p: Planner, node: Node) -> View:
    x, w = (p.views[v] for v in node.inputs)
    target = p.temporary(node.output.spec)
    if size(target.shape):
        _convolve(p, _pad_image(p, x, node.attributes["pads"]), p.densely(w), target, node.attributes)
    return target


def _conv_input_grad(p: Planner, node: Node) -> View:
    """A convolution of the cotangent, spread out by the strides, with the flipped kernel, channels exchanged."""
    ct, w = (p.views[v] for v in node.inputs)
    attributes, target = node.attributes, p.temporary(node.output.spec)
    if size(target.shape) == 0 or size(ct.shape) == 0 or size(w.shape) == 0:
        p.fill(target, 0)
        return target
    rank, groups = len(w.shape) - 2, attributes["groups"]
    reach = [gap * (n - 1) for gap, n in zip(attributes["dilation"], w.shape[:-2], strict=True)]
    spread = [(n - 1) * step + 1 for n, step in zip(ct.shape[1:-1], attributes["strides"], strict=True)]
    low = [r - before for r, (before, _) in zip(reach, attributes["pads"], strict=True)]
    high = [n - s - a + r for n, s, a, r in zip(target.shape[1:-1], spread, low, reach, strict=True)]
    image = _padded(
        p,
        ct,
        tuple(max(n, 0) for n in low),
        tuple(max(n, 0) for n in high),
        tuple(step - 1 for step in attributes["strides"]),
    )
    # Padding wider than the kernel's reach means that the outermost cotangents belong to no pixel.
    image = image.slice(
        (0, *(max(-n, 0) for n in low), 0),
        (1,) * (rank + 2),
        (image.shape[0], *(n + r for n, r in zip(target.shape[1:-1], reach, strict=True)), image.shape[-1]),
    )
    flipped = p.contiguous(w.flip(range(rank)))
    attributes = {**attributes, "strides": (1,) * rank}
    lanes = lanes_for(ct.dtype)
    if groups == 1 and 2 * target.shape[-1] <= lanes and 2 * ct.shape[-1] >= lanes:
        _convolve_narrow(p, p.densely(image), flipped, target, attributes)
        return target
    split = flipped.reshape((*w.shape[:-1], groups, w.shape[-1] // groups))
    assert split is not None
    exchanged = p.contiguous(split.transpose((*range(rank), rank + 2, rank + 1, rank)))
    kernel = exchanged.reshape((*w.shape[:-2], w.shape[-1] // groups, groups * w.shape[-2]))
    assert kernel is not None
    _convolve(p, image, kernel, target, attributes)
    return target


def _conv_kernel_grad(p: Planner, node: Node) -> View:
    x, ct = (p.views[v] for v in node.inputs)
    attributes, target = node.attributes, p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    x, ct, groups = _pad_image(p, x, attributes["pads"]), p.densely(ct), attributes["groups"]
    record: list[Entry] = [x.shape[0], groups, target.shape[-2], target.shape[-1] // groups]
    record += [*ct.shape[1:-1], *target.shape[:-2], *(address_of(v) for v in (x, ct, target))]
    record += [*_image_strides(x, attributes), *ct.strides[:-1], *target.strides[:-1]]
    p.emit("conv_kernel_grad", kernels.conv_kernel_grad_kernel(x.dtype, len(x.shape) - 2), record)
    return target


def _pooling(p: Planner, node: Node, image: View, out: View, kernel: int) -> None:
    window = node.attributes["window"]
    record = _window_entries(image.shape[1:-1], out.shape[1:-1], window, node.attributes)
    record += [image.shape[0], image.shape[-1], address_of(image), address_of(out), *image.strides, *out.strides]
    p.emit(node.op.name, kernel, record)


def _window_sum(p: Planner, node: Node) -> View:
    source, target = p.views[node.inputs[0]], p.temporary(node.output.spec)
    p.fill(target, 0)
    spreading = node.op.name == "window_spread"
    if size(target.shape) and size(source.shape):
        kernel = kernels.window_sum_kernel(source.dtype, len(source.shape) - 2, spreading)
        _pooling(p, node, *((target, source) if spreading else (source, target)), kernel)
    return target


def _max_pool_index(p: Planner, node: Node) -> View:
    source, target = p.densely(p.views[node.inputs[0]]), p.temporary(node.output.spec)
    if size(target.shape):
        _pooling(p, node, source, target, kernels.max_pool_index_kernel(source.dtype, len(source.shape) - 2))
    return target


def _random(p: Planner, node: Node) -> View:
    key, target = p.contiguous(p.views[node.inputs[0]]), p.temporary(node.output.spec)
    kind = "bits" if node.op.name == "random_bits" else "uniform"
    if size(target.shape):
        record = [size(target.shape), address_of(key), address_of(target)]
        p.emit(node.op.name, kernels.random_kernel(kind, target.dtype), record)
    return target


def _fold_in(p: Planner, node: Node) -> View:
    key, number = (p.contiguous(p.views[v]) for v in node.inputs)
    target = p.temporary(node.output.spec)
    p.emit("fold_in", kernels.fold_in_kernel(), [address_of(v) for v in (key, number, target)])
    return target


def _along(p: Planner, node: Node, kernel: Callable[[Any, int], int]) -> View:
    """cumsum and argsort."""
    source, target = p.views[node.inputs[0]], p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    axis = normalize_axis(node.attributes["axis"], len(source.shape))
    kept = [a for a in range(len(source.shape)) if a != axis]
    strides = [pick(source.strides, kept), pick(target.strides, kept)]
    loops = merge_loops(tuple(source.shape[a] for a in kept), strides)
    record: list[Entry] = [source.shape[axis], source.strides[axis], target.strides[axis], *loops.sizes]
    record += [address_of(source), address_of(target)]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit(node.op.name, kernel(source.dtype, len(loops.sizes)), record)
    return target


LOWERINGS.update(
    {
        "reshape": _reshape,
        "transpose": _transpose,
        "flip": _flip,
        "broadcast_to": _broadcast_to,
        "slice": _slice,
        "pad": _pad,
        "concatenate": _concatenate,
        "matmul": _matmul,
        "take_along_axis": lambda p, node: _along_axis(p, node, adding=False),
        "add_along_axis": lambda p, node: _along_axis(p, node, adding=True),
        "argmax": _argmax,
        "gather": lambda p, node: _indexed(p, node, adding=False),
        "scatter_add": lambda p, node: _indexed(p, node, adding=True),
        "conv": _conv,
        "conv_input_grad": _conv_input_grad,
        "conv_kernel_grad": _conv_kernel_grad,
        "window_sum": _window_sum,
        "window_spread": _window_sum,
        "max_pool_index": _max_pool_index,
        "random_bits": _random,
        "random_uniform": _random,
        "fold_in": _fold_in,
        "cumsum": lambda p, node: _along(p, node, kernels.cumsum_kernel),
        "argsort": lambda p, node: _along(p, node, kernels.argsort_kernel),
    }
)


def known() -> dict[str, Any]:
    """Every operation that has a lowering."""
    return {**LANES, **dict.fromkeys(REDUCTIONS, Planner._reduce), **LOWERINGS}
