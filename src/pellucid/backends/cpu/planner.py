"""From a graph to a plan: groups of operations become instructions on buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from pellucid.backends.cpu import elementwise, kernels
from pellucid.backends.cpu.elementwise import Ending, Expression, Folding, Term
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.rows import Leaf, RowProgram, Step
from pellucid.backends.cpu.tasks import REDUCTIONS, Task, tasks_of
from pellucid.graph.ir import Graph, Node, Var
from pellucid.op import Spec
from pellucid.plan.fuse import Group
from pellucid.plan.layout import Loops, Strides, View, byte_size, dense, merge_loops
from pellucid.plan.lifetime import Lifetime, aligned, place
from pellucid.plan.order import order, owner
from pellucid.plan.plan import Address, Entry, Instruction, Plan, address_of
from pellucid.plan.rows import COLUMN, NARROW, SCALAR, WIDE, RowGroup
from pellucid.shapes import size

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
        self._inside: dict[Var, Var] = {}

    def build(self) -> Plan:
        """The plan of one run of the graph."""
        inputs = tuple(self.bind(var) for var in self.graph.inputs)
        self.compute({})
        for var in self.graph.outputs:
            self._outputs.append((self._as_output(var), var.spec))
        return self.freeze(inputs)

    def compute(self, carried: Mapping[Var, Var], kept: Iterable[Var] = ()) -> None:
        """The instructions of the graph, once every input has a view.

        Args:
            carried: New state -> old state; the new one is put in the old one's place where nothing is lost by it.
            kept: What is still read afterwards, before :meth:`replace_state`.
        """
        for var, value in self.graph.constants:
            self._constants.append((self.bind(var), np.ascontiguousarray(value)))
            if value.ndim == 0:
                self._scalars[var] = value.item()
        tasks = tasks_of(self.graph)
        read_later = {owner(var) for var in kept}
        movable = {new: old for new, old in carried.items() if old not in read_later}
        sequence, self._inside = order([task.access for task in tasks], movable)
        for number in sequence:
            self._emit_task(tasks[number])

    def _emit_task(self, task: Task) -> None:
        if isinstance(task.group, RowGroup):
            self._by_rows(task.group)
            return
        root = task.root
        if task.before is not None and task.before.root.op.name == "matmul":
            self._matmul_with_ending(task)
        elif task.before is not None:
            self._reduce(task.before, task)
        elif root.op.name in LANES:
            self._map(task.elementwise)
        elif root.op.name in REDUCTIONS:
            self._reduce(task.elementwise)
        else:
            self.views[root.output] = LOWERINGS[root.op.name](self, root)

    def replace_state(self, carried: Mapping[Var, Var]) -> None:
        """Copy new state over the old, where it was not computed there."""
        left = {new: old for new, old in carried.items() if new not in self._inside}
        states = {self.views[old].buffer for old in left.values()}
        sources = {}
        for new in left:
            view = self.views[new]
            if view.buffer in states and view != self.views[left[new]]:
                view = self.temporary(new.spec)
                self.copy(self.views[new], view)
            sources[new] = view
        for new, old in left.items():
            if sources[new] != self.views[old]:
                self.copy(sources[new], self.views[old])

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

    def freeze(self, inputs: tuple[int, ...]) -> Plan:
        """The plan of the instructions so far."""
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

    def bind(self, var: Var) -> int:
        """A buffer outside of the arena that holds a variable."""
        buffer = self.new_buffer()
        self.views[var] = dense(buffer, var.spec)
        return buffer

    def place_for(self, var: Var) -> View:
        """Where a variable is computed: a new temporary, or the old state's place."""
        view = self.views[self._inside[var]] if var in self._inside else self.temporary(var.spec)
        self.views[var] = view
        return view

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
        target = self.place_for(group.root.output)
        self.run_map(expression, leaves, target, _name(group))

    def _by_rows(self, group: RowGroup) -> None:
        """A group that runs row by row, every value as a matrix of rows and columns."""
        rows, number = size(group.lead), {var: i for i, var in enumerate(group.inputs)}
        leaves = tuple(Leaf(v.spec.dtype, kind, self._scalars.get(v)) for v, kind in group.inputs.items())
        record: list[Entry] = [rows, group.width, Address(FLAG, 0), self.next_number]
        tables = [self._as_rows(self.views[v], k, group) for v, k in group.inputs.items() if v not in self._scalars]
        steps = []
        for node in group.nodes:
            operands = tuple(number[v] for v in node.inputs)
            steps.append(Step(node.op.name, operands, node.output.spec.dtype, group.kind_of_result(node) or WIDE))
            number[node.output] = len(number)
        for var in group.outputs:
            kind = WIDE if var.spec.shape == group.wide else NARROW
            tables.append(self._as_rows(self.place_for(var), kind, group))
        record[3] = self.next_number
        record += [entry for view in tables for entry in (address_of(view), *view.strides)]
        program = RowProgram(leaves, tuple(steps), tuple(number[v] for v in group.outputs))
        self.emit("rows: " + "+".join(n.op.name for n in group.nodes), kernels.rows_kernel(program), record)

    def _as_rows(self, view: View, kind: str, group: RowGroup) -> View:
        """A view of two axes, rows and columns; one stands still where there is one number for all."""
        whole = (size(group.lead), group.width)
        if kind == SCALAR:
            return View(view.buffer, view.offset, whole, (0, 0), view.dtype)
        if kind == COLUMN:
            return View(view.buffer, view.offset, whole, (0, view.strides[-1]), view.dtype)
        wanted = whole if kind == WIDE else whole[:1]
        flat = view if view.shape == wanted else view.reshape(wanted) or self.contiguous(view).reshape(wanted)
        assert flat is not None
        return flat if kind == WIDE else View(flat.buffer, flat.offset, whole, (*flat.strides, 0), flat.dtype)

    def _ending(self, task: Task) -> tuple[Ending, list[View]]:
        """What becomes of a task's product, and the leaves for it, in the shape of the result."""
        group = task.elementwise
        expression, _ = self._expression(group.nodes, group.inputs)
        shape = group.root.output.spec.shape
        others = [v for v in group.inputs if v not in self._scalars and v is not task.through]
        number = [v is task.through for v in group.inputs].index(True)
        return Ending(expression, number), [self.views[v].broadcast(shape) for v in others]

    def _matmul_with_ending(self, task: Task) -> None:
        """A matrix product whose result goes through elementwise operations before it is stored."""
        node, output = task.product, task.root.output
        assert node is not None
        ending, leaves = self._ending(task)
        motions = tuple(elementwise.motion(v.strides[-1], v.dtype.itemsize) for v in leaves)
        if "stride" in motions:
            self.views[node.output] = LOWERINGS[node.op.name](self, node)
            self._map(task.elementwise)
            return
        a, b = (self.views[v] for v in node.inputs)
        b, target = self.densely(b), self.place_for(output)
        record: list[Entry] = [*output.spec.shape, a.shape[-1], *(address_of(v) for v in (a, b, target))]
        record += [*a.strides, b.strides[0], target.strides[0]]
        for leaf in leaves:
            record += [address_of(leaf), leaf.strides[0]]
        self.emit(f"matmul+{_name(task.elementwise)}", kernels.matmul_kernel(a.dtype, 0, ending, motions), record)

    def _reduce(self, group: Group, task: Task | None = None) -> None:
        """A reduction, and where it is part of a task the ending that its result goes through."""
        root = group.root
        expression, leaves = self._expression(group.nodes[:-1], group.inputs)
        domain, axes, name = root.inputs[0].spec.shape, root.attributes["axes"], _name(group)
        ending, others = None, []
        if task is None:
            target = self.place_for(root.output)
        else:
            shape = root.output.spec.shape
            ending, views = self._ending(task)
            name += f"+{_name(task.elementwise)}"
            others = [_over_domain(view.squeezed_to(shape), domain, axes) for view in views]
            target = self.place_for(task.root.output).squeezed_to(shape)
        if size(target.shape) == 0:
            return
        operands = [_over_domain(target, domain, axes), *(leaf.broadcast(domain) for leaf in leaves), *others]
        kept = [a for a in range(len(domain)) if a not in axes and domain[a] != 1]
        inner = merge_loops(tuple(domain[a] for a in axes), [pick(v.strides, axes) for v in operands])
        self._emit_reduction(Folding(expression, root.op.name, ending), operands, kept, inner, name)

    def _emit_reduction(self, folding: Folding, operands: list[View], kept: list[int], inner: Loops, name: str) -> None:
        """Rows or columns, whichever walks through memory in order."""
        domain = operands[0].shape
        kernel, loops = kernels.reduce_kernel, inner
        if kept:
            outer = merge_loops(tuple(domain[a] for a in kept), [pick(v.strides, kept) for v in operands])
            if kept[-1] == max(a for a, n in enumerate(domain) if n != 1):
                kernel, loops = kernels.columns_kernel, _joined(_head(outer), inner, _tail(outer))
            else:
                loops = _joined(outer, inner)
        shape = elementwise.shape_of(loops, [v.dtype for v in operands])
        self.emit(name, kernel(folding, shape, len(inner.sizes)), loop_record(loops, operands))


def _name(group: Group) -> str:
    return "+".join(n.op.name for n in group.nodes)


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
