"""Data on their way into a loop's step: gathered, converted, and scaled where the network begins with that."""

from __future__ import annotations

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.ahead import Rows
from pellucid.backends.cpu.elementwise import motion
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.tasks import Finish
from pellucid.dtypes import DType
from pellucid.graph.ir import Var
from pellucid.plan.layout import View, dense, merge_loops
from pellucid.plan.plan import Address, Entry, address_of
from pellucid.shapes import size


class Source:
    """A data set, the order of its rows, and the instruction that brings a batch of them in.

    Args:
        p: The planner of the step.
        var: What the step knows the batch as.
        dtype: Type of the data set's elements.
        cursors: Buffer of the loop's cursors.

    Attributes:
        data: Buffer of the data set.
        order: Buffer of the order.
    """

    def __init__(self, p: Planner, var: Var, dtype: DType, cursors: int) -> None:
        self.data, self.order = p.new_buffer(), p.new_buffer()
        self._p, self._var, self._dtype, self._cursors = p, var, dtype, cursors
        self._rows, self._width = var.spec.shape[0], size(var.spec.shape[1:])
        self._number = p.next_number
        in_place = _products_of(p, var) if dtype is var.spec.dtype else {}
        if in_place:
            p.views[var] = dense(self.data, var.spec)
            found: list[Entry] = [Address(cursors, 0), self._rows, Address(self.order, 0)]
            p.batches.update({operand: (axis, found) for operand, axis in in_place.items()})
            return
        p.views[var] = p.temporary(var.spec)
        self._emit(p.views[var], None, [])
        if all(var is not output for output in p.graph.outputs):
            p.sources[var] = self.take

    @property
    def rows(self) -> Rows:
        """What fetches the next step's rows has to know."""
        cursors, order, data = (Address(buffer, 0) for buffer in (self._cursors, self.order, self.data))
        return Rows(cursors, self._rows, order, data, self._width * self._dtype.itemsize)

    def take(self, finish: Finish) -> bool:
        """Compute an elementwise group of the batch while it comes in, instead of the batch itself; whether it can be.

        Whatever else the group reads must be the same for all rows: numbers, or one for each element of a row.
        """
        expression = finish.ending.expression
        types = [self._var.spec.dtype, *expression.leaves, *(term.dtype for term in expression.terms)]
        leaves = [_same_for_all_rows(view) for view in finish.leaves]
        alike = len({lanes_for(dtype) for dtype in types if dtype.kind == "f"} | {lanes_for(self._var.spec.dtype)}) == 1
        if not alike or any(leaf is None for leaf in leaves) or self._p.is_replaced(finish.output):
            return False
        # The batch comes in before anything is computed.
        computed = {touch.buffer for made in self._p.instructions for touch in made.access.writes}
        if any(leaf.buffer in computed for leaf in finish.leaves):
            return False
        before = self._p.views.pop(self._var)
        self._emit(self._p.place_for(finish.output), finish, [leaf for leaf in leaves if leaf is not None])
        self._p.forget(before)
        return True

    def _emit(self, target: View, finish: Finish | None, leaves: list[View]) -> None:
        width, item = self._width, target.dtype.itemsize
        record: list[Entry] = [Address(self._cursors, 0), self._rows, width, Address(self.order, 0)]
        record += [Address(self.data, 0), width * self._dtype.itemsize, address_of(target), width * item]
        record += [address_of(leaf) for leaf in leaves]
        motions = tuple(motion(leaf.strides[0], leaf.dtype.itemsize) for leaf in leaves)
        kernel = kernels.gather_rows_kernel(
            self._dtype, self._var.spec.dtype, finish.ending if finish else None, motions
        )
        flat = View(target.buffer, 0, (self._rows, width), (width * item, item), target.dtype)
        name = "gather_rows" + (f"+{finish.name}" if finish else "")
        work = self._rows * width
        self._p.emit(name, kernel, record, [target], [flat], number=self._number, work=work)


def _products_of(p: Planner, var: Var) -> dict[Var, str]:
    """What a batch is known as in the products that alone read it, and which axis its rows are there; or nothing.

    Such products read the rows where they lie: a copy of them would cost a small network as much as its arithmetic.
    """
    known = {var: "rows"}
    for node in p.users_of(var):
        if node.op.name == "transpose":
            known[node.output] = "inner"
    users = [(operand, node) for operand in known for node in p.users_of(operand) if node.output not in known]
    left = all(
        node.op.name == "matmul" and node.inputs[0] is operand is not node.inputs[1] and node.output.spec.ndim == 2
        for operand, node in users
    )
    shown = any(p.is_shown(operand) for operand in known)
    usual = var.spec.ndim == 2 and min(var.spec.shape) > 1 and var.spec.dtype.kind == "f"
    return known if usual and left and not shown else {}


def _same_for_all_rows(view: View) -> View | None:
    """The row of a view that has the same one everywhere, if it is a run of memory or one number."""
    row = merge_loops(view.shape[1:], [view.strides[1:]])
    stride = row.strides[0][0]
    if (view.shape[0] > 1 and view.strides[0] != 0) or len(row.sizes) > 1 or stride not in (0, view.dtype.itemsize):
        return None
    return View(view.buffer, view.offset, row.sizes, (stride,), view.dtype)
