"""How pooling is carried out, in either layout of the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.conv_pool import PoolForm, blocks_of
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.groups_form import can_spread
from pellucid.backends.cpu.image_layout import (
    Ints,
    as_planes,
    can_be_batch_last,
    in_groups,
    samples_together,
    unit_gradient,
)
from pellucid.backends.cpu.planner import Planner, sums_channels
from pellucid.backends.cpu.tasks import Finish, is_elementwise
from pellucid.graph.ir import Node, Var
from pellucid.op import Spec
from pellucid.plan.layout import View
from pellucid.plan.plan import Entry, address_of
from pellucid.shapes import size


def _in_lanes(p: Planner, view: View) -> View:
    """The image with samples side by side, or channels."""
    return samples_together(p, view) if p.batch_last else p.densely(view)


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
    return all(len(p.users_of(var)) == 1 and not p.is_shown(var) for var in _reshaped(p, node.output))


def _reshaped(p: Planner, var: Var) -> list[Var]:
    """A variable, and where it is used only in another shape, that one too."""
    users = p.users_of(var)
    return [var, users[0].output] if len(users) == 1 and users[0].op.name == "reshape" else [var]


def _unreshaped(var: Var) -> Var:
    """What a variable was before it was reshaped."""
    return var.record.inputs[0] if var.record is not None and var.record.op.name == "reshape" else var


def _windows_are_inside(image: Ints, out: Ints, attributes: Mapping[str, Any]) -> bool:
    """Whether no window reaches over an edge of the image."""
    axes = zip(image, out, attributes["window"], attributes["strides"], attributes["pads"], strict=True)
    return all(before == 0 and (o - 1) * step + n <= width for width, o, n, step, (before, _) in axes)


def _taken_by(p: Planner, node: Node) -> Node | None:
    """The node that takes the elements at the places that a pooling node finds."""
    reshapes = [user.output for user in p.users_of(node.output) if user.op.name == "reshape"]
    for places in (node.output, *reshapes):
        for user in p.users_of(places):
            takes = user.op.name == "take_along_axis" and user.inputs[1] is places and user.attributes["axis"] == 1
            if takes and _unreshaped(user.inputs[0]) is node.inputs[0]:
                return user
    return None


@dataclass(frozen=True)
class Pooled:
    """The pooling that alone uses the result of a convolution, and so can be done in its kernel.

    Attributes:
        pool: The node that finds the places of the largest elements.
        taken: The node that takes these elements.
        form: What the kernel is specialised to.
        after: What alone uses the elements, and is computed in the kernel, too.
    """

    pool: Node
    taken: Node
    form: PoolForm
    after: Finish | None

    @property
    def name(self) -> str:
        """What it is called in a plan."""
        return "max_pool" + (f"+{self.after.name}" if self.after else "")

    def places(self, p: Planner, last: bool) -> tuple[View, list[View]]:
        """Where the results go, and the places where they are kept; whatever they are known as has a view then."""
        shape = self.pool.output.spec.shape
        result = self.after.output if self.after else self.taken.output
        value = p.temporary(Spec(shape, result.spec.dtype), batch_last=last)
        p.views[result] = _shaped(value, result.spec.shape)
        if not self.form.placed:
            return value, []
        index = p.views[self.pool.output] = p.temporary(self.pool.output.spec, batch_last=last)
        return value, [index]

    def entries(self, image: Ints, index: list[View], order: tuple[int, ...]) -> list[Entry]:
        """What the record says of it: width of the convolution, height of the window, the places by some axes."""
        window = self.pool.attributes["window"]
        entries: list[Entry] = [image[-2], window[0] if len(window) == 2 else 1]
        for view in map(as_planes, index):
            entries += [address_of(view), *(view.strides[axis] for axis in order)]
        return entries


def _shaped(view: View, shape: Ints) -> View:
    """A dense view in another shape."""
    shaped = view.reshape(shape)
    assert shaped is not None
    return shaped


def pooled_after(p: Planner, image: Var, last: bool, window: Ints | None = None) -> Pooled | None:
    """The max pooling that alone uses an image, if a convolution's kernel can do it; of a window where given."""
    pool = next((node for node in p.users_of(image) if node.op.name == "max_pool_index"), None)
    taken = _taken_by(p, pool) if pool is not None else None
    if pool is None or taken is None or not _alone(p, image, pool, taken):
        return None
    attributes = pool.attributes
    inside = _windows_are_inside(image.spec.shape[1:-1], pool.output.spec.shape[1:-1], attributes)
    apart = attributes["window"] == attributes["strides"] and len(attributes["window"]) <= 2
    if window not in (None, attributes["window"]):
        return None
    width = attributes["window"][-1]
    if not (inside and apart and (last or blocks_of(width))) or size(pool.output.spec.shape) == 0:
        return None
    elements = _reshaped(p, taken.output)
    after = p.follower(elements[-1]) if not p.is_shown(taken.output) else None
    if after is not None and after.ending.expression.lanes != lanes_for(image.spec.dtype):
        after = None
    placed = not _only_the_elements(p, pool)
    p.absorb(*([taken.inputs[0]] if taken.inputs[0] is not image else ()), *(elements if after else ()))
    p.absorb(*(() if placed else _reshaped(p, pool.output)))
    return Pooled(pool, taken, PoolForm(width, placed, after.ending if after else None), after)


def is_pooled_otherwise(p: Planner, image: Var, window: Ints) -> bool:
    """Whether other windows than these are pooled from an image, or from what is computed of it element by element."""
    seen, waiting = {image}, [image]
    while waiting:
        for user in p.users_of(waiting.pop()):
            if user.op.name == "max_pool_index" and user.attributes["window"] != window:
                return True
            if is_elementwise(user) and user.output not in seen:
                seen.add(user.output)
                waiting.append(user.output)
    return False


def _alone(p: Planner, image: Var, pool: Node, taken: Node) -> bool:
    """Whether a pooling and nothing else reads an image."""
    flat = taken.inputs[0]
    if flat is image:
        return set(p.users_of(image)) == {pool, taken} and not p.is_shown(image)
    single = list(p.users_of(flat)) == [taken] and not p.is_shown(flat)
    return single and set(p.users_of(image)) == {pool, flat.record} and not p.is_shown(image)


def unpooled(p: Planner, node: Node) -> View | None:
    """add_along_axis at the places that a pooling node has found, as a kernel over windows; None if it is not that."""
    ct, places = node.inputs
    pool = _unreshaped(places).record
    if pool is None or pool.op.name != "max_pool_index" or node.attributes["axis"] != 1:
        return None
    index, shape = _in_lanes(p, p.views[pool.output]), pool.inputs[0].spec.shape
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
    axes = zip(shape[1:-1], index.shape[1:-1], a["window"], a["strides"], a["pads"], strict=True)
    covered = apart and all(n == o * k and k == s and before == 0 for n, o, k, s, (before, _) in axes)
    if covered and last:
        p.spread[target.buffer] = pool, source, index
        if _is_spread_by_others(p, node):
            p.leave_unwritten(target)
            return target.reshape(node.output.spec.shape)
    if not covered:
        p.fill(target, 0)
    kernel = kernels.unpool_kernel(source.dtype, len(shape) - 2, not apart)
    _pooling(p, "unpool", a, [target, source, index], kernel, last, [target])
    return target.reshape(node.output.spec.shape)


def _is_spread_by_others(p: Planner, node: Node) -> bool:
    """Whether nobody needs the gradient of an image in memory: gradients by kernels spread it, and sum it by channels.

    Their images must be there already, since the sums may come first; and the gradient must not be one of them.
    """
    seen = _reshaped(p, node.output)
    users, own = p.users_of(seen[-1]), set(seen)
    gradients = [user for user in users if user.op.name == "conv_kernel_grad" and spreads(p, user)]
    if not gradients or any(p.is_shown(var) for var in seen):
        return False
    if any(user.inputs[0] in own or user.inputs[0] not in p.views for user in gradients):
        return False
    return all(user in gradients or sums_channels(user) for user in users)


def spreads(p: Planner, node: Node) -> bool:
    """Whether the gradient by a convolution's kernel can spread the gradient of its windows itself."""
    ct, taps = node.inputs[1].spec, size(node.output.spec.shape)
    record = _unreshaped(node.inputs[1]).record
    if not can_be_batch_last(p, node.attributes) or record is None or record.op.name != "add_along_axis":
        return False
    if unit_gradient(p, node) is not None:
        return False
    pool = _unreshaped(record.inputs[1]).record
    if pool is None or pool.op.name != "max_pool_index" or taps == 0:
        return False
    height = pool.attributes["window"][0] if len(ct.shape) == 4 else 1
    return can_spread(height * ct.shape[-2] * ct.shape[-1], ct.dtype) and in_groups(node, pooled=True)


LOWERINGS: dict[str, Callable[[Planner, Node], View]] = {
    "window_sum": _window_sum,
    "window_spread": _window_sum,
    "max_pool_index": _max_pool_index,
}
