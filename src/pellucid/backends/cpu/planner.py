"""From a graph to a plan: groups of operations become instructions on buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pellucid.backends.cpu import elementwise, kernels, matmul
from pellucid.backends.cpu.elementwise import Expression, Term
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.lanes import LANES
from pellucid.graph.ir import Graph, Node, Var
from pellucid.op import Spec
from pellucid.plan.fuse import Group, groups
from pellucid.plan.layout import Loops, Strides, View, byte_size, dense, merge_loops
from pellucid.plan.lifetime import Lifetime, aligned, place
from pellucid.plan.plan import Address, Entry, Instruction, Plan, address_of
from pellucid.shapes import size

REDUCTIONS = ("sum", "max", "min")

#: The first buffer holds three int64 that kernels set where an index lies outside its axis.
FLAG = 0


#: How each operation that is neither elementwise nor a reduction becomes a view; lowering.py fills it in.
LOWERINGS: dict[str, Callable[[Planner, Node], View]] = {}


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
            elif root.op.name in REDUCTIONS:
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

    @property
    def next_number(self) -> int:
        """The number of the next instruction."""
        return len(self.instructions)

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
        self.emit(name, kernels.map_kernel(expression, shape), loop_record(loops, operands))

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
            self.views[product] = LOWERINGS[node.op.name](self, node)
            self._map(group)
            return
        b = self.densely(b)
        record: list[Entry] = [*shape, a.shape[-1], *(address_of(v) for v in (a, b, target))]
        record += [*a.strides, b.strides[0], target.strides[0]]
        for leaf in leaves:
            record += [address_of(leaf), leaf.strides[0]]
        name = "matmul+" + "+".join(n.op.name for n in group.nodes)
        self.emit(name, kernels.matmul_kernel(a.dtype, 0, ending), record)

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
        inner = merge_loops(tuple(domain[a] for a in axes), [pick(v.strides, axes) for v in operands])
        name = "+".join(n.op.name for n in group.nodes)
        self._emit_reduction(expression, root.op.name, operands, kept, inner, name)

    def _emit_reduction(
        self, expression: Expression, kind: str, operands: list[View], kept: list[int], inner: Loops, name: str
    ) -> None:
        """Rows or columns, whichever walks through memory in order."""
        domain = operands[0].shape
        if not kept:
            self._emit_loops(kernels.reduce_kernel, expression, kind, operands, inner, len(inner.sizes), name)
            return
        outer = merge_loops(tuple(domain[a] for a in kept), [pick(v.strides, kept) for v in operands])
        widest = max(len(v.shape) for v in operands) - 1
        if kept[-1] == max(a for a in range(widest + 1) if domain[a] != 1):
            loops = _joined(_head(outer), inner, _tail(outer))
            self._emit_loops(kernels.columns_kernel, expression, kind, operands, loops, len(inner.sizes), name)
        else:
            loops = _joined(outer, inner)
            self._emit_loops(kernels.reduce_kernel, expression, kind, operands, loops, len(inner.sizes), name)

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
        self.emit(name, kernel(expression, kind, shape, reduced), loop_record(loops, operands))


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
    return node.op.name in LANES or node.op.name in REDUCTIONS


def loop_record(loops: Loops, operands: Sequence[View]) -> list[Entry]:
    """Sizes, addresses, strides operand by operand."""
    record: list[Entry] = [*loops.sizes, *(address_of(v) for v in operands)]
    for strides in loops.strides:
        record.extend(strides)
    return record


def pick(strides: Strides, axes: Sequence[int]) -> Strides:
    """The strides of some axes."""
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
