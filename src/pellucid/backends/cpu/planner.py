"""From a graph to a plan: groups of operations become instructions on buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from pellucid.backends.cpu import elementwise, halves, kernels
from pellucid.backends.cpu.assembler import Assembler
from pellucid.backends.cpu.elementwise import Ending, Expression, Folding, Term
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.layouts import LAYOUTS
from pellucid.backends.cpu.reductions import reduction
from pellucid.backends.cpu.rows import Leaf, RowProgram, Step
from pellucid.backends.cpu.tasks import REDUCTIONS, Finish, Task, tasks_of
from pellucid.backends.cpu.transposing import ROWS_TO_SHARE
from pellucid.backends.cpu.views import (
    as_rows,
    is_batch_last,
    long_axes,
    loop_record,
    over_domain,
    pick,
    shares_rows,
    turned_axes,
)  # fmt: skip
from pellucid.dtypes import int64
from pellucid.graph.ir import Graph, Node, Var
from pellucid.op import Spec
from pellucid.plan.fuse import Group
from pellucid.plan.layout import (
    View,
    byte_size,
    contiguous_strides,
    dense,
    merge_loops,
)
from pellucid.plan.order import order, owner
from pellucid.plan.plan import Address, Entry, Plan, address_of
from pellucid.plan.rows import NARROW, WIDE, RowGroup
from pellucid.shapes import size

#: The first buffer holds three int64 that kernels set where an index lies outside its axis.
FLAG = 0
#: The flag as a kernel that sets it writes it.
FLAG_VIEW = View(FLAG, 0, (3,), (8,), int64)


#: How each operation that is neither elementwise nor a reduction becomes a view; lowering.py fills it in.
LOWERINGS: dict[str, Callable[[Planner, Node], View]] = {}


#: Products that can take in an ending: they store their result or the ending's, and say which; lowering.py fills it in.
PRODUCTS: dict[str, Callable[[Planner, Node, Finish | None], Finish | None]] = {}


def sums_channels(node: Node) -> bool:
    """Whether a node adds all elements of images up but for their channels."""
    rank = node.inputs[0].spec.ndim
    return node.op.name == "sum" and rank > 2 and tuple(node.attributes["axes"]) == tuple(range(rank - 1))


Pairs = Sequence[tuple[Var, Var]]


class Planner(Assembler):
    """A plan in the making.

    Attributes:
        views: Where each variable lies.
        batch_last, in_order: How images lie: :class:`Layout`'s.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._inputs, self._shown = frozenset(graph.inputs), frozenset(graph.outputs)
        self.views: dict[Var, View] = {}
        self.batch_last = self.in_order = False
        self._converted: dict[tuple[View, bool], View] = {}
        self._users: dict[Var, list[Node]] = {}
        for node in graph.nodes:
            for var in node.inputs:
                self._users.setdefault(var, []).append(node)
        self._scalars: dict[Var, float | int | bool] = {}
        self._inside: dict[Var, Var] = {}
        self._tasks: list[Task] = []
        self._absorbed: set[Var] = set()
        #: Data of the step -> what computes an elementwise group of it while bringing it in, if it can.
        self.sources: dict[Var, Callable[[Finish], bool]] = {}
        #: Batches that products read where they lie: which axis their rows are, and what finds them.
        self.batches: dict[Var, tuple[str, list[Entry]]] = {}
        self._carried: frozenset[Var] = frozenset()
        #: Buffer of an image's gradient -> the gradient of the windows that are spread over it, and the winners.
        self.spread: dict[int, tuple[Node, View, View]] = {}
        #: An image's gradient -> its sums by channels in groups of samples, given with the gradient by the kernel.
        self.channel_sums: dict[Var, View] = {}

    def build(self) -> Plan:
        """The plan of one run of the graph."""
        inputs = tuple(self.bind(var) for var in self.graph.inputs)
        self.compute()
        for var in self.graph.outputs:
            self._outputs.append((self._as_output(var), var.spec))
        return self.freeze(inputs)

    def compute(self, carried: Pairs = (), kept: Iterable[Var] = ()) -> None:
        """The instructions of the graph, once every input has a view.

        Args:
            carried: New states with the old ones; a new one is put in the old one's place where nothing is lost by it.
            kept: What is still read afterwards, before :meth:`replace_state`.
        """
        for var, value in self.graph.constants:
            self._constants.append((self.bind(var), np.ascontiguousarray(value)))
            if value.ndim == 0:
                self._scalars[var] = value.item()
        self._carried = frozenset(old for _, old in carried)
        layout = LAYOUTS["images"](self.graph, self.is_training)
        self.batch_last, self.in_order = layout.batch_last, layout.in_order
        tasks = self._tasks = tasks_of(self.graph)
        # A window on old state is read when state is replaced; it can neither move nor be written over before.
        read_later = {owner(var) for var in (*kept, *(new for new, _ in carried))}
        movable: dict[Var, Var] = {}
        for new, old in carried:
            if owner(new) is new and old not in read_later:
                movable.setdefault(new, old)
        sequence, self._inside = order([task.access for task in tasks], movable)
        for number in sequence:
            self._emit_task(tasks[number])

    def _emit_task(self, task: Task) -> None:
        if isinstance(task.group, RowGroup):
            self._by_rows(task.group)
            return
        root = task.root
        if root.output in self._absorbed or (root.output in self.views and root.op.name != "concatenate"):
            return  # an earlier task has computed it, too
        if task.product is not None and task.product.op.name in PRODUCTS:
            self._product(task.product, task)
        elif task.before is not None:
            self._reduce(task.before, task)
        elif root.op.name in PRODUCTS:
            self._product(root, None)
        elif root.op.name in LANES:
            self._map(task.elementwise)
        elif root.op.name in REDUCTIONS:
            self._reduce(task.elementwise)
        else:
            self.views[root.output] = LOWERINGS[root.op.name](self, root)

    def replace_state(self, carried: Pairs) -> None:
        """Copy new state over the old, where it was not computed there."""
        left = [(new, old) for new, old in carried if self.views[new] != self.views[old]]
        states = {self.views[old].buffer for _, old in left}
        sources = []
        for new, _ in left:
            view = self.views[new]
            if view.buffer in states:
                view = self.temporary(new.spec)
                self.copy(self.views[new], view)
            sources.append(view)
        for (_, old), source in zip(left, sources, strict=True):
            self.copy(source, self.views[old])

    def _as_output(self, var: Var) -> int:
        """The buffer of an output: the temporary that holds it becomes one, anything else is copied."""
        view = self.views[var]
        whole = view.offset == 0 and view.is_contiguous and self._sizes.get(view.buffer) == byte_size(var.spec)
        if whole and view.buffer not in self.staying:
            del self._sizes[view.buffer]
            return view.buffer
        result = self.new_buffer()
        self.copy(view, dense(result, var.spec))
        return result

    # Buffers.

    def bind(self, var: Var) -> int:
        """A buffer outside of the arena that holds a variable."""
        buffer = self.new_buffer()
        self.views[var] = dense(buffer, var.spec)
        return buffer

    def is_input(self, var: Var) -> bool:
        """Whether a variable comes from outside: data of the step, or state."""
        return var in self._inputs

    def is_replaced(self, var: Var) -> bool:
        """Whether a variable is computed in the place of old state."""
        return var in self._inside

    def is_carried(self, var: Var) -> bool:
        """Whether a variable is old state, which the step replaces by new one."""
        return var in self._carried

    @property
    def is_training(self) -> bool:
        """Whether the plan replaces old state by new one."""
        return bool(self._carried)

    def is_cut_by_samples(self, node: Node) -> bool:
        """Whether a product of matrices that the step computes is made in halves of its inner axis, the samples."""
        if node.op.name != "matmul" or node.output.spec.ndim != 2:
            return False
        (a, b), outside = node.inputs, [self.is_input(owner(var)) for var in node.inputs]
        (rows, inner), columns = a.spec.shape, b.spec.shape[1]
        return not outside[1] and halves.of_samples(rows, columns, inner, a.spec.dtype, data=outside[0])

    def is_shown(self, var: Var) -> bool:
        """Whether a variable is an output of the graph."""
        return var in self._shown

    def absorb(self, *variables: Var) -> None:
        """Say that variables exist in registers only."""
        self._absorbed.update(variables)

    def follower(self, var: Var) -> Finish | None:
        """The elementwise group that alone uses a variable, if it reads nothing else from memory."""
        users = set(self.users_of(var))
        for task in self._tasks if users and not self.is_shown(var) else ():
            group = task.group
            free = isinstance(group, Group) and task.before is None and not group.kept
            if isinstance(group, Group) and free and users <= set(group.nodes):
                alone = all(v is var or v in self._scalars for v in group.inputs)
                if alone and group.root.op.name in LANES and group.root.output.spec.shape == var.spec.shape:
                    return Finish(self._ending(Task(group, None, var))[0], [], group.root.output, _name(group))
        return None

    def users_of(self, var: Var) -> Sequence[Node]:
        """The nodes that read a variable."""
        return self._users.get(var, ())

    def place_for(self, var: Var, *, batch_last: bool = False, strided: bool = False) -> View:
        """Where a variable is computed: the old state's place, a part of a larger array, or a new temporary.

        Args:
            var: The variable.
            batch_last: For an image, whether its samples shall lie side by side.
            strided: Whether its rows need not follow each other without gaps.
        """
        if var in self._inside and not batch_last:
            view = self.views[self._inside[var]]
            # Copies of the old state are not copies of the new one.
            self._converted = {key: made for key, made in self._converted.items() if key[0].buffer != view.buffer}
        else:
            part = self._part_of_larger(var) if strided and not batch_last else None
            view = part or self.temporary(var.spec, batch_last=batch_last)
        self.views[var] = view
        return view

    def joined(self, node: Node) -> View:
        """Where the result of a concatenation lies, which its parts may be computed into."""
        if node.output not in self.views:
            self.place_for(node.output, strided=True)
        return self.views[node.output]

    def part(self, node: Node, number: int) -> View:
        """The place of one part in the result of a concatenation."""
        target, axis = self.joined(node), node.attributes["axis"]
        start = sum(v.spec.shape[axis] for v in node.inputs[:number])
        shape = node.inputs[number].spec.shape
        return target.slice([start if a == axis else 0 for a in range(len(shape))], (1,) * len(shape), shape)

    def _part_of_larger(self, var: Var) -> View | None:
        """The place of a variable in the array that it becomes a part of, if that is known to be one."""
        joins = []
        for user in self.users_of(var):
            inner, through = user, var
            if user.op.name == "reshape" and long_axes(user.output) == long_axes(var):
                through = user.output
                inner = next((u for u in self.users_of(through) if u.op.name == "concatenate"), user)
            if inner.op.name == "concatenate":
                joins.append((inner, through))
        if len(joins) != 1 or var.spec.ndim == 0:
            return None
        ((node, through),) = joins
        numbers = [i for i, v in enumerate(node.inputs) if v is through]
        return self.part(node, numbers[0]).squeezed_to(var.spec.shape) if len(numbers) == 1 else None

    # Instructions.

    def copy(self, source: View, target: View) -> None:
        """Copy a view's elements into another view of the same shape."""
        axes = turned_axes(source, target)
        if axes is not None:
            self._copy_turned(source, target, *axes)
            return
        self.run_map(Expression((source.dtype,), (None,), ()), [source], target, "copy")

    def _copy_turned(self, source: View, target: View, row: int, column: int) -> None:
        """A copy that transposes: the target is dense along ``row``, the source along ``column``."""
        others = [a for a in range(len(target.shape)) if a not in (row, column)]
        sizes = tuple(target.shape[a] for a in others)
        outer = merge_loops(sizes, [pick(v.strides, others) for v in (target, source)])
        loops = len(outer.sizes) if size(sizes) > 1 else 0
        record: list[Entry] = [*outer.sizes[:loops], target.shape[row], target.shape[column]]
        record += [address_of(target), address_of(source), target.strides[column], source.strides[row]]
        record += [s for pair in zip(*outer.strides, strict=True) for s in pair][: 2 * loops]
        # Threads that share the first axis (the samples of images) find it as neighbouring kernels left it.
        by_rows = row == 0 and target.shape[0] >= ROWS_TO_SHARE
        kernel = kernels.transposing_kernel(target.dtype, loops, by_rows)
        self.emit("transpose", kernel, record, [target], work=size(target.shape))

    def fill(self, target: View, number: float) -> None:
        """Write one number everywhere."""
        self.run_map(Expression((target.dtype,), (number,), ()), [], target, "fill")

    def densely(self, view: View) -> View:
        """The view itself where its elements lie side by side on the last axis, else a dense copy."""
        if view.strides and (view.strides[-1] == view.dtype.itemsize or view.shape[-1] == 1):
            return view
        return self.contiguous(view)

    def contiguous(self, view: View) -> View:
        """The view itself where it is dense, else a dense copy; axes of size 1 get the strides of row order, too."""
        strides = contiguous_strides(view.shape, view.dtype.itemsize)
        if view.lies_as(strides):
            return replace(view, strides=strides)
        return self.converted_to(view, batch_last=False)

    def converted_to(self, view: View, *, batch_last: bool) -> View:
        """A copy in another layout, which is made once."""
        key = (view, batch_last)
        if key not in self._converted:
            target = self.temporary(Spec(view.shape, view.dtype), batch_last=batch_last)
            self.copy(view, target)
            self._converted[key] = target
        return self._converted[key]

    def run_map(
        self, expression: Expression, leaves: Sequence[View], target: View, name: str, kept: Sequence[View] = ()
    ) -> None:
        """Compute an expression of views into a view, and what it keeps into others."""
        if size(target.shape) == 0:
            return
        # The loops follow the result's memory, whatever the order of its axes.
        axes = sorted(range(len(target.shape)), key=lambda a: -abs(target.strides[a]))
        read = (leaf.broadcast(target.shape) for leaf in leaves)
        operands = [v.transpose(axes) for v in (target, *read, *kept)]
        by_rows = shares_rows(operands[0])
        loops = merge_loops(operands[0].shape, [v.strides for v in operands])
        shape = elementwise.shape_of(loops, [v.dtype for v in operands], by_rows=by_rows)
        record, written = loop_record(loops, operands), [target, *kept]
        if by_rows and len(loops.sizes) == 1:
            record[:1] = operands[0].shape
        kernel, work = kernels.map_kernel(expression, shape), size(target.shape) * max(len(expression.terms), 1)
        if by_rows:
            self.emit(name, kernel, record, written, operands, work=work)
        elif size(target.shape) == 1:
            self.emit(name, kernel, record, written, numbers=operands, work=work)
        else:
            self.emit(name, kernel, record, written, parts=operands, work=work)

    def _expression(
        self, nodes: Sequence[Node], inputs: Sequence[Var], kept: Sequence[Var] = ()
    ) -> tuple[Expression, list[View]]:
        """The expression of elementwise nodes, and the views of the leaves that are read from memory."""
        number = {var: i for i, var in enumerate(inputs)}
        terms = []
        for node in nodes:
            terms.append(Term(node.op.name, tuple(number[v] for v in node.inputs), node.output.spec.dtype))
            number[node.output] = len(number)
        constants = tuple(self._scalars.get(v) for v in inputs)
        types = tuple(v.spec.dtype for v in inputs)
        expression = Expression(types, constants, tuple(terms), tuple(number[v] for v in kept))
        return expression, [self.views[v] for v in inputs if v not in self._scalars and v in self.views]

    def _comes_in_ended(self, group: Group) -> bool:
        """Whether the data that a group alone uses are brought in as the group's result."""
        for var in group.inputs:
            bring = self.sources.get(var)
            alone = bring is not None and all(user in group.nodes for user in self.users_of(var))
            alone = alone and not group.kept
            if bring is not None and alone and var.spec.shape == group.root.output.spec.shape:
                ending, leaves = self._ending(Task(group, None, var))
                return bring(Finish(ending, leaves, group.root.output, _name(group)))
        return False

    def _map(self, group: Group) -> None:
        if self._comes_in_ended(group):
            return
        expression, leaves = self._expression(group.nodes, group.inputs, group.kept)
        shape = group.root.output.spec.shape
        images = self.batch_last and len(shape) >= 3 and any(is_batch_last(v, shape) for v in leaves)
        target = self.place_for(group.root.output, batch_last=images, strided=True)
        kept = [self.place_for(var, batch_last=images, strided=True) for var in group.kept]
        self.run_map(expression, leaves, target, _name(group), kept)

    def _by_rows(self, group: RowGroup) -> None:
        """A group that runs row by row, every value as a matrix of rows and columns."""
        rows, number = size(group.lead), {var: i for i, var in enumerate(group.inputs)}
        leaves = tuple(Leaf(v.spec.dtype, kind, self._scalars.get(v)) for v, kind in group.inputs.items())
        record: list[Entry] = [rows, group.width, Address(FLAG, 0), self.next_number]
        tables = [
            as_rows(self.views[v], k, group, self.contiguous) for v, k in group.inputs.items() if v not in self._scalars
        ]
        steps = []
        for node in group.nodes:
            operands = tuple(number[v] for v in node.inputs)
            steps.append(Step(node.op.name, operands, node.output.spec.dtype, group.kind_of_result(node) or WIDE))
            number[node.output] = len(number)
        for var in group.outputs:
            kind = WIDE if var.spec.shape == group.wide else NARROW
            tables.append(as_rows(self.place_for(var), kind, group, self.contiguous))
        record[3] = self.next_number
        record += [entry for view in tables for entry in (address_of(view), *view.strides)]
        program = RowProgram(leaves, tuple(steps), tuple(number[v] for v in group.outputs))
        name = "rows: " + "+".join(n.op.name for n in group.nodes)
        written, work = [FLAG_VIEW, *tables[-len(group.outputs) :]], rows * group.width * len(group.nodes)
        self.emit(name, kernels.rows_kernel(program), record, written, tables, work=work)

    def _ending(self, task: Task) -> tuple[Ending, list[View]]:
        """What becomes of a task's product, and the leaves for it, in the shape of the result."""
        group = task.elementwise
        expression, _ = self._expression(group.nodes, group.inputs, group.kept)
        shape = group.root.output.spec.shape
        others = [v for v in group.inputs if v not in self._scalars and v is not task.through]
        number = [v is task.through for v in group.inputs].index(True)
        return Ending(expression, number), [self.views[v].broadcast(shape) for v in others]

    def _product(self, node: Node, task: Task | None) -> None:
        """A product, with the ending of a task where there is one and the kernel can take it in."""
        finish = None
        if task is not None:
            ending, leaves = self._ending(task)
            finish = Finish(ending, leaves, task.root.output, _name(task.elementwise), task.elementwise.kept)
        taken = PRODUCTS[node.op.name](self, node, finish)
        if task is not None and taken is None:
            if task.through is not None and task.through is not node.output:
                view = self.views[node.output].reshape(task.through.spec.shape)
                assert view is not None
                self.views[task.through] = view
            self._map(task.elementwise)

    def _reduce(self, group: Group, task: Task | None = None) -> None:
        """A reduction, and where it is part of a task the ending that its result goes through."""
        root = group.root
        expression, leaves = self._expression(group.nodes[:-1], group.inputs)
        domain, axes, name = root.inputs[0].spec.shape, root.attributes["axes"], _name(group)
        shape = root.output.spec.shape
        if self._is_cut_by_samples(group):
            leaves = [self._sums_of_halves(leaves[0])]
            domain = leaves[0].shape
        elif (sums := self._channel_sums(group)) is not None:
            leaves, domain, axes, shape = [sums], sums.shape, (0,), sums.shape[1:]
        ending, others, kept = None, [], []
        if task is None:
            target = self.place_for(root.output).squeezed_to(shape)
        else:
            ending, views = self._ending(task)
            name += f"+{_name(task.elementwise)}"
            others = [over_domain(view.squeezed_to(shape), domain, axes) for view in views]
            target = self.place_for(task.root.output).squeezed_to(shape)
            kept = [self.place_for(var).squeezed_to(shape) for var in task.elementwise.kept]
            others += [over_domain(view, domain, axes) for view in kept]
        if size(target.shape) == 0:
            return
        operands = [over_domain(target, domain, axes), *(leaf.broadcast(domain) for leaf in leaves), *others]
        alone = [v for n, v in enumerate(operands) if n == 0 or n > len(leaves)] if size(target.shape) == 1 else ()
        kernel, record = reduction(Folding(expression, root.op.name, ending), operands, set(axes))
        work = size(domain) * max(len(group.nodes), 1)
        self.emit(name, kernel, record, [target, *kept], numbers=alone, work=work)

    def _is_cut_by_samples(self, group: Group) -> bool:
        """Whether a group is the sum over samples of a matrix that a product over samples reads in halves of them."""
        var, root = group.inputs[0], group.root
        if len(group.nodes) > 1 or root.op.name != "sum" or var.spec.ndim != 2 or root.attributes["axes"] != (0,):
            return False
        return any(self.is_cut_by_samples(user) and user.inputs[1] is var for user in self.users_of(var))

    def _channel_sums(self, group: Group) -> View | None:
        """The sums of an image's gradient by channels, where the gradient by the kernel gives them in groups."""
        var, root = group.inputs[0], group.root
        if len(group.nodes) > 1 or not sums_channels(root):
            return None
        for user in self.users_of(var):
            known = user.output in self.views or not all(v in self.views for v in user.inputs)
            if user.op.name == "conv_kernel_grad" and user.inputs[1] is var and not known:
                self.views[user.output] = LOWERINGS[user.op.name](self, user)
        return self.channel_sums.get(var)

    def _sums_of_halves(self, matrix: View) -> View:
        """The sums of a matrix's columns in each half of its rows [2, column]."""
        matrix = self.densely(matrix)
        (rows, columns), width = matrix.shape, matrix.strides[0]
        sums = self.temporary(Spec((2, columns), matrix.dtype))
        record = [rows, halves.cut(rows), columns, address_of(matrix), width, address_of(sums)]
        self.emit("sums of halves", kernels.column_sums_kernel(matrix.dtype), record, [sums])
        return sums


def _name(group: Group) -> str:
    return "+".join(n.op.name for n in group.nodes)
