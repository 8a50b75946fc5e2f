"""From a graph to a plan: views for what only moves, kernels for what computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid.backends.cpu import counters, elementwise, index, matmul, windows
from pellucid.backends.cpu.elementwise import Expression, Term
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.lanes import LANES
from pellucid.graph.ir import Graph, Node, Var
from pellucid.op import Spec
from pellucid.plan.fuse import Group, groups
from pellucid.plan.layout import Loops, Strides, View, byte_size, dense, merge_loops
from pellucid.plan.lifetime import Lifetime, aligned, place
from pellucid.plan.plan import Address, Entry, Instruction, Plan, address_of
from pellucid.shapes import normalize_axis, size

_REDUCTIONS = ("sum", "max", "min")

map_kernel = lru_cache(maxsize=None)(elementwise.map_kernel)
reduce_kernel = lru_cache(maxsize=None)(elementwise.reduce_kernel)
columns_kernel = lru_cache(maxsize=None)(elementwise.columns_kernel)
matmul_kernel = lru_cache(maxsize=None)(matmul.matmul_kernel)
along_axis_kernel = lru_cache(maxsize=None)(index.along_axis_kernel)
argmax_kernel = lru_cache(maxsize=None)(index.argmax_kernel)
conv_kernel = lru_cache(maxsize=None)(windows.conv_kernel)
conv_input_grad_kernel = lru_cache(maxsize=None)(windows.conv_input_grad_kernel)
conv_kernel_grad_kernel = lru_cache(maxsize=None)(windows.conv_kernel_grad_kernel)
window_sum_kernel = lru_cache(maxsize=None)(windows.window_sum_kernel)
max_pool_index_kernel = lru_cache(maxsize=None)(windows.max_pool_index_kernel)
random_kernel = lru_cache(maxsize=None)(counters.random_kernel)
fold_in_kernel = lru_cache(maxsize=None)(counters.fold_in_kernel)
cumsum_kernel = lru_cache(maxsize=None)(counters.cumsum_kernel)
argsort_kernel = lru_cache(maxsize=None)(counters.argsort_kernel)

#: The first buffer holds one int64 that kernels set where an index lies outside its axis.
FLAG = 0


class Planner:
    """A plan in the making."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.views: dict[Var, View] = {}
        self.instructions: list[Instruction] = []
        self._buffers = 1
        self._sizes: dict[int, int] = {}
        self._constants: list[tuple[int, np.ndarray]] = []
        self._outputs: list[tuple[int, Spec]] = []
        self._scalars: dict[Var, float | int | bool] = {}
        self._touched: dict[int, tuple[int, int]] = {}

    def build(self) -> Plan:
        """The plan of the whole graph."""
        inputs = tuple(self._bind(var) for var in self.graph.inputs)
        for var, value in self.graph.constants:
            self._constants.append((self._bind(var), np.ascontiguousarray(value)))
            if value.ndim == 0:
                self._scalars[var] = value.item()
        plan = groups(self.graph, lambda n: n.op.name in LANES, _takes)
        endings = _endings(self.graph, plan)
        absorbed = set(endings.values())
        for group in plan:
            root = group.root
            if root.output in absorbed:
                continue
            if root.output in endings:
                self._matmul_with_ending(group, endings[root.output])
            elif root.op.name in LANES:
                self._map(group)
            elif root.op.name in _REDUCTIONS:
                self._reduce(group)
            else:
                self.views[root.output] = LOWERINGS[root.op.name](self, root)
        for var in self.graph.outputs:
            self._outputs.append((self._as_output(var), var.spec))
        return self._freeze(inputs)

    def _as_output(self, var: Var) -> int:
        """The buffer of an output: the temporary that holds it becomes one, anything else is copied."""
        view = self.views[var]
        whole = view.offset == 0 and view.is_contiguous and self._sizes.get(view.buffer) == byte_size(var.spec)
        if whole:
            del self._sizes[view.buffer]
            return view.buffer
        result = self.new_buffer()
        self.copy(view, dense(result, var.spec))
        return result

    def _freeze(self, inputs: tuple[int, ...]) -> Plan:
        numbers = sorted(self._sizes)
        lifetimes = [Lifetime(self._sizes[n], *self._touched.get(n, (0, 0))) for n in numbers]
        offsets, arena = place(lifetimes)
        return Plan(
            tuple(self.instructions),
            inputs,
            tuple(self._constants),
            tuple(zip(numbers, offsets, strict=True)),
            max(arena, aligned(1)),
            tuple(self._outputs),
            self._buffers,
        )

    # Buffers.

    def new_buffer(self) -> int:
        """The number of a new buffer."""
        self._buffers += 1
        return self._buffers - 1

    def _bind(self, var: Var) -> int:
        buffer = self.new_buffer()
        self.views[var] = dense(buffer, var.spec)
        return buffer

    def temporary(self, spec: Spec) -> View:
        """A new dense array in the arena."""
        buffer = self.new_buffer()
        self._sizes[buffer] = byte_size(spec)
        return dense(buffer, spec)

    # Instructions.

    def emit(self, name: str, kernel: int, record: Sequence[Entry]) -> None:
        """Append a call."""
        now = len(self.instructions)
        self.instructions.append(
            Instruction(name, kernel, tuple(int(x) if not isinstance(x, Address) else x for x in record))
        )
        for entry in record:
            if isinstance(entry, Address):
                first, _ = self._touched.get(entry.buffer, (now, now))
                self._touched[entry.buffer] = (first, now)

    def copy(self, source: View, target: View) -> None:
        """Copy a view's elements into another view of the same shape."""
        self.run_map(Expression((source.dtype,), (None,), ()), [source], target, "copy")

    def fill(self, target: View, number: float) -> None:
        """Write one number everywhere."""
        self.run_map(Expression((target.dtype,), (number,), ()), [], target, "fill")

    def densely(self, view: View) -> View:
        """The view itself where its elements lie side by side on the last axis, else a dense copy."""
        if view.strides and (view.strides[-1] == view.dtype.itemsize or view.shape[-1] == 1):
            return view
        return self.contiguous(view)

    def contiguous(self, view: View) -> View:
        """The view itself where it is dense, else a dense copy."""
        if view.is_contiguous:
            return view
        target = self.temporary(Spec(view.shape, view.dtype))
        self.copy(view, target)
        return target

    def run_map(self, expression: Expression, leaves: Sequence[View], target: View, name: str) -> None:
        """Compute an expression of views into a view."""
        if size(target.shape) == 0:
            return
        operands = [target, *(leaf.broadcast(target.shape) for leaf in leaves)]
        loops = merge_loops(target.shape, [v.strides for v in operands])
        shape = elementwise.shape_of(loops, [v.dtype for v in operands])
        self.emit(name, map_kernel(expression, shape), _loop_record(loops, operands))

    def _expression(self, nodes: Sequence[Node], inputs: Sequence[Var]) -> tuple[Expression, list[View]]:
        """The expression of elementwise nodes, and the views of the leaves that are read from memory."""
        number = {var: i for i, var in enumerate(inputs)}
        terms = []
        for node in nodes:
            terms.append(Term(node.op.name, tuple(number[v] for v in node.inputs), node.output.spec.dtype))
            number[node.output] = len(number)
        constants = tuple(self._scalars.get(v) for v in inputs)
        expression = Expression(tuple(v.spec.dtype for v in inputs), constants, tuple(terms))
        return expression, [self.views[v] for v in inputs if v not in self._scalars and v in self.views]

    def _map(self, group: Group) -> None:
        expression, leaves = self._expression(group.nodes, group.inputs)
        target = self.temporary(group.root.output.spec)
        self.run_map(expression, leaves, target, "+".join(n.op.name for n in group.nodes))
        self.views[group.root.output] = target

    def _matmul_with_ending(self, group: Group, product: Var) -> None:
        """A matrix product whose result goes through elementwise operations before it is stored."""
        node = product.record
        assert node is not None
        expression, _ = self._expression(group.nodes, group.inputs)
        shape = group.root.output.spec.shape
        leaves = [self.views[v].broadcast(shape) for v in group.inputs if v not in self._scalars and v is not product]
        motions = tuple(elementwise.motion(v.strides[-1], v.dtype.itemsize) for v in leaves)
        ending = matmul.Ending(expression, [v is product for v in group.inputs].index(True), motions)
        a, b = (self.views[v] for v in node.inputs)
        target = self.temporary(group.root.output.spec)
        self.views[group.root.output] = target
        if "stride" in motions or size(shape) == 0:
            self.views[product] = _matmul(self, node)
            self._map(group)
            return
        b = self.densely(b)
        record: list[Entry] = [*shape, a.shape[-1], *(address_of(v) for v in (a, b, target))]
        record += [*a.strides, b.strides[0], target.strides[0]]
        for leaf in leaves:
            record += [address_of(leaf), leaf.strides[0]]
        name = "matmul+" + "+".join(n.op.name for n in group.nodes)
        self.emit(name, matmul_kernel(a.dtype, 0, ending), record)

    def _reduce(self, group: Group) -> None:
        root = group.root
        expression, leaves = self._expression(group.nodes[:-1], group.inputs)
        domain, axes = root.inputs[0].spec.shape, root.attributes["axes"]
        target = self.temporary(root.output.spec)
        self.views[root.output] = target
        if size(target.shape) == 0:
            return
        spread = _over_domain(target, domain, axes)
        operands = [spread, *(leaf.broadcast(domain) for leaf in leaves)]
        kept = [a for a in range(len(domain)) if a not in axes and domain[a] != 1]
        inner = merge_loops(tuple(domain[a] for a in axes), [_pick(v.strides, axes) for v in operands])
        name = "+".join(n.op.name for n in group.nodes)
        self._emit_reduction(expression, root.op.name, operands, kept, inner, name)

    def _emit_reduction(
        self, expression: Expression, kind: str, operands: list[View], kept: list[int], inner: Loops, name: str
    ) -> None:
        """Rows or columns, whichever walks through memory in order."""
        domain = operands[0].shape
        if not kept:
            self._emit_loops(reduce_kernel, expression, kind, operands, inner, len(inner.sizes), name)
            return
        outer = merge_loops(tuple(domain[a] for a in kept), [_pick(v.strides, kept) for v in operands])
        widest = max(len(v.shape) for v in operands) - 1
        if kept[-1] == max(a for a in range(widest + 1) if domain[a] != 1):
            loops = _joined(_head(outer), inner, _tail(outer))
            self._emit_loops(columns_kernel, expression, kind, operands, loops, len(inner.sizes), name)
        else:
            loops = _joined(outer, inner)
            self._emit_loops(reduce_kernel, expression, kind, operands, loops, len(inner.sizes), name)

    def _emit_loops(
        self,
        kernel: Callable[..., int],
        expression: Expression,
        kind: str,
        operands: list[View],
        loops: Loops,
        reduced: int,
        name: str,
    ) -> None:
        shape = elementwise.shape_of(loops, [v.dtype for v in operands])
        self.emit(name, kernel(expression, kind, shape, reduced), _loop_record(loops, operands))


def _endings(graph: Graph, plan: Sequence[Group]) -> dict[Var, Var]:
    """Root of an elementwise group -> the matrix product that it ends.

    The product is used by that group alone, has the group's shape and no batch axes, and is computed in registers of
    as many lanes.
    """
    users: dict[Var, list[Group]] = {}
    for group in plan:
        for var in group.inputs:
            users.setdefault(var, []).append(group)
    outputs = set(graph.outputs)
    found: dict[Var, Var] = {}
    for group in plan:
        root = group.root
        var = root.output
        own = users.get(var, [])
        if root.op.name != "matmul" or var.spec.ndim != 2 or var in outputs or len(own) != 1:
            continue
        (end,) = own
        last = end.root.output
        types = [*(v.spec.dtype for v in end.inputs), *(n.output.spec.dtype for n in end.nodes)]
        fits = end.root.op.name in LANES and last.spec.shape == var.spec.shape
        if fits and last not in found and lanes_for(*types) == lanes_for(var.spec.dtype):
            found[last] = var
    return found


def _takes(node: Node) -> bool:
    return node.op.name in LANES or node.op.name in _REDUCTIONS


def _loop_record(loops: Loops, operands: Sequence[View]) -> list[Entry]:
    """Sizes, addresses, strides operand by operand."""
    record: list[Entry] = [*loops.sizes, *(address_of(v) for v in operands)]
    for strides in loops.strides:
        record.extend(strides)
    return record


def _pick(strides: Strides, axes: Sequence[int]) -> Strides:
    return tuple(strides[a] for a in axes)


def _over_domain(target: View, domain: tuple[int, ...], axes: Sequence[int]) -> View:
    """A reduction's result, standing still along the reduced axes."""
    if len(target.shape) == len(domain):
        return target.broadcast(domain)
    strides = iter(target.strides)
    spread = tuple(0 if axis in axes else next(strides) for axis in range(len(domain)))
    return View(target.buffer, target.offset, domain, spread, target.dtype)


def _head(loops: Loops) -> Loops:
    return Loops(loops.sizes[:-1], tuple(s[:-1] for s in loops.strides))


def _tail(loops: Loops) -> Loops:
    return Loops(loops.sizes[-1:], tuple(s[-1:] for s in loops.strides))


def _joined(*parts: Loops) -> Loops:
    sizes = tuple(n for part in parts for n in part.sizes)
    strides = tuple(
        tuple(s for own in columns for s in own) for columns in zip(*(p.strides for p in parts), strict=True)
    )
    return Loops(sizes, strides)


# Lowerings of the operations that are not elementwise.


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
    p.emit("matmul", matmul_kernel(target.dtype, len(loops.sizes)), record)
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
    loops = merge_loops(target.shape, [target.strides, _pick(source.strides, kept)])
    record: list[Entry] = [*loops.sizes, source.shape[axis], source.strides[axis]]
    record += [address_of(target), address_of(source)]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit("argmax", argmax_kernel(source.dtype, len(loops.sizes)), record)
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
    record: list[Entry] = [*loops.sizes, indexed.shape[axis], indexed.strides[axis], Address(FLAG, 0)]
    record += [address_of(plain), address_of(indexed), address_of(indices)]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit(node.op.name, along_axis_kernel(target.dtype, indices.dtype, len(loops.sizes), adding), record)
    return target


def _window_entries(
    image: tuple[int, ...], out: tuple[int, ...], taps: tuple[int, ...], attributes: Mapping[str, Any]
) -> list[Entry]:
    dilation = attributes.get("dilation", (1,) * len(taps))
    columns = zip(image, out, taps, attributes["strides"], dilation, attributes["pads"], strict=True)
    return [n for i, o, k, s, d, (before, _) in columns for n in (i, o, k, s, d, before)]


def _conv_record(
    spatial: tuple[tuple[int, ...], tuple[int, ...]], kernel: tuple[int, ...], batch: int, attributes: Mapping[str, Any]
) -> list[Entry]:
    """The window, and N, groups, C and D per group."""
    image, out = spatial
    groups = attributes["groups"]
    entries = _window_entries(image, out, kernel[:-2], attributes)
    return [*entries, batch, groups, kernel[-2], kernel[-1] // groups]


def _conv(p: Planner, node: Node) -> View:
    x, w = (p.views[v] for v in node.inputs)
    w = p.densely(w)
    target = p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    record = _conv_record((x.shape[1:-1], target.shape[1:-1]), w.shape, x.shape[0], node.attributes)
    record += [address_of(v) for v in (x, w, target)]
    record += [*x.strides, *w.strides[:-1], *target.strides[:-1]]
    p.emit("conv", conv_kernel(x.dtype, len(x.shape) - 2), record)
    return target


def _conv_input_grad(p: Planner, node: Node) -> View:
    ct, w = (p.views[v] for v in node.inputs)
    target = p.temporary(node.output.spec)
    p.fill(target, 0)
    if size(target.shape) == 0 or size(ct.shape) == 0:
        return target
    rank = len(w.shape) - 2
    # Channels of the image side by side: w'[k, d of all groups, c].
    swapped = p.densely(w.transpose((*range(rank), rank + 1, rank)))
    record = _conv_record((target.shape[1:-1], ct.shape[1:-1]), w.shape, ct.shape[0], node.attributes)
    record += [address_of(v) for v in (ct, swapped, target)]
    record += [*ct.strides, *swapped.strides[:-1], *target.strides[:-1]]
    p.emit("conv_input_grad", conv_input_grad_kernel(ct.dtype, rank), record)
    return target


def _conv_kernel_grad(p: Planner, node: Node) -> View:
    x, ct = (p.views[v] for v in node.inputs)
    ct = p.densely(ct)
    target = p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    record = _conv_record((x.shape[1:-1], ct.shape[1:-1]), target.shape, x.shape[0], node.attributes)
    record += [address_of(v) for v in (x, ct, target)]
    record += [*x.strides, *ct.strides[:-1], *target.strides[:-1]]
    p.emit("conv_kernel_grad", conv_kernel_grad_kernel(x.dtype, len(x.shape) - 2), record)
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
        kernel = window_sum_kernel(source.dtype, len(source.shape) - 2, spreading)
        _pooling(p, node, *((target, source) if spreading else (source, target)), kernel)
    return target


def _max_pool_index(p: Planner, node: Node) -> View:
    source, target = p.views[node.inputs[0]], p.temporary(node.output.spec)
    if size(target.shape):
        _pooling(p, node, source, target, max_pool_index_kernel(source.dtype, len(source.shape) - 2))
    return target


def _random(p: Planner, node: Node) -> View:
    key, target = p.contiguous(p.views[node.inputs[0]]), p.temporary(node.output.spec)
    kind = "bits" if node.op.name == "random_bits" else "uniform"
    if size(target.shape):
        record = [size(target.shape), address_of(key), address_of(target)]
        p.emit(node.op.name, random_kernel(kind, target.dtype), record)
    return target


def _fold_in(p: Planner, node: Node) -> View:
    key, number = (p.contiguous(p.views[v]) for v in node.inputs)
    target = p.temporary(node.output.spec)
    p.emit("fold_in", fold_in_kernel(), [address_of(v) for v in (key, number, target)])
    return target


def _along(p: Planner, node: Node, kernel: Callable[[Any, int], int]) -> View:
    """cumsum and argsort."""
    source, target = p.views[node.inputs[0]], p.temporary(node.output.spec)
    if size(target.shape) == 0:
        return target
    axis = normalize_axis(node.attributes["axis"], len(source.shape))
    kept = [a for a in range(len(source.shape)) if a != axis]
    strides = [_pick(source.strides, kept), _pick(target.strides, kept)]
    loops = merge_loops(tuple(source.shape[a] for a in kept), strides)
    record: list[Entry] = [source.shape[axis], source.strides[axis], target.strides[axis], *loops.sizes]
    record += [address_of(source), address_of(target)]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    p.emit(node.op.name, kernel(source.dtype, len(loops.sizes)), record)
    return target


LOWERINGS: dict[str, Callable[[Planner, Node], View]] = {
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
    "cumsum": lambda p, node: _along(p, node, cumsum_kernel),
    "argsort": lambda p, node: _along(p, node, argsort_kernel),
}


def known() -> dict[str, Any]:
    """Every operation that has a lowering."""
    return {**LANES, **dict.fromkeys(_REDUCTIONS, Planner._reduce), **LOWERINGS}
