"""How each operation that is neither elementwise nor a reduction is carried out: a view, or an instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.backends.cpu import image_choice, images, kernels, pooling, products
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.layouts import LAYOUTS
from pellucid.backends.cpu.planner import FLAG, FLAG_VIEW, LOWERINGS, PRODUCTS, Planner
from pellucid.backends.cpu.tasks import REDUCTIONS
from pellucid.backends.cpu.views import pick
from pellucid.graph.ir import Node
from pellucid.plan.layout import Loops, View, merge_loops
from pellucid.plan.plan import Address, Entry, address_of
from pellucid.shapes import normalize_axis, size


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
    """The parts side by side; most were computed where they belong."""
    for number, var in enumerate(node.inputs):
        place = p.part(node, number)
        if not p.views[var].same_place(place):
            p.copy(p.views[var], place)
    return p.joined(node)


def _along_axis(p: Planner, node: Node, adding: bool) -> View:
    source, indices = (p.views[v] for v in node.inputs)
    axis = node.attributes["axis"]
    if adding:
        pooled = pooling.unpooled(p, node)
        if pooled is not None:
            return pooled
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
    p.emit("argmax", kernels.argmax_kernel(source.dtype, len(loops.sizes)), record, [target])
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
    kernel = kernels.along_axis_kernel(target.dtype, indices.dtype, len(loops.sizes), adding)
    p.emit(node.op.name, kernel, record, [FLAG_VIEW, target])
    return target


def _random(p: Planner, node: Node) -> View:
    key, target = p.contiguous(p.views[node.inputs[0]]), p.temporary(node.output.spec)
    kind = "bits" if node.op.name == "random_bits" else "uniform"
    if size(target.shape):
        record = [size(target.shape), address_of(key), address_of(target)]
        p.emit(node.op.name, kernels.random_kernel(kind, target.dtype), record, [target])
    return target


def _fold_in(p: Planner, node: Node) -> View:
    key, number = (p.contiguous(p.views[v]) for v in node.inputs)
    target = p.temporary(node.output.spec)
    p.emit("fold_in", kernels.fold_in_kernel(), [address_of(v) for v in (key, number, target)], [target])
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
    p.emit(node.op.name, kernel(source.dtype, len(loops.sizes)), record, [target])
    return target


LOWERINGS.update(
    {
        **images.LOWERINGS,
        **pooling.LOWERINGS,
        "reshape": _reshape,
        "transpose": _transpose,
        "flip": _flip,
        "broadcast_to": _broadcast_to,
        "slice": _slice,
        "pad": _pad,
        "concatenate": _concatenate,
        "take_along_axis": lambda p, node: _along_axis(p, node, adding=False),
        "add_along_axis": lambda p, node: _along_axis(p, node, adding=True),
        "argmax": _argmax,
        "gather": lambda p, node: _indexed(p, node, adding=False),
        "scatter_add": lambda p, node: _indexed(p, node, adding=True),
        "random_bits": _random,
        "random_uniform": _random,
        "fold_in": _fold_in,
        "cumsum": lambda p, node: _along(p, node, kernels.cumsum_kernel),
        "argsort": lambda p, node: _along(p, node, kernels.argsort_kernel),
    }
)


LAYOUTS["images"] = image_choice.layout_of
PRODUCTS.update({"matmul": products.matmul, "conv": images.conv, "conv_input_grad": images.conv_input_grad})


def known() -> dict[str, Any]:
    """Every operation that has a lowering."""
    return {**LANES, **dict.fromkeys(REDUCTIONS, Planner._reduce), **LOWERINGS, **PRODUCTS}
