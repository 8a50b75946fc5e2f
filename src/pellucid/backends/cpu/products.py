"""How matrix products are carried out: what threads share, what each of them puts side by side for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.backends.cpu import cutting, halves, kernels, narrow, packing
from pellucid.backends.cpu.elementwise import Ending, motion
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.tasks import Finish
from pellucid.backends.cpu.tile_extent import Extent
from pellucid.backends.cpu.tile_product import Form
from pellucid.dtypes import DType
from pellucid.graph.ir import Node, Var
from pellucid.op import Spec
from pellucid.plan.layout import Loops, View, merge_loops
from pellucid.plan.order import owner
from pellucid.plan.plan import Address, Entry, address_of
from pellucid.shapes import size

# How many times the columns may be the lanes that an ending with several results computes them in.
_FULL = 1.5
# Bytes of a right operand from which on no core's cache keeps it from one product to the next.
_LARGE = 1 << 19


def matmul(p: Planner, node: Node, finish: Finish | None) -> Finish | None:
    """Carry out a product of matrices, or of stacks of them; gives the ending that it took in."""
    a, b = (p.views[v] for v in node.inputs)
    turned, beside = _is_turned(p, node, a, b), b.strides[-1] == b.dtype.itemsize
    b = b if turned else p.densely(b)
    if size(node.output.spec.shape) == 0:
        p.place_for(node.output)
        return None
    finish, leaves, kept, target = _ended(p, node, finish)
    lead = target.shape[:-2]
    operands = [a.broadcast((*lead, *a.shape[-2:])), b.broadcast((*lead, *b.shape[-2:])), target]
    rows, columns, inner = target.shape[-2], target.shape[-1], a.shape[-1]
    with_weights = p.is_carried(node.inputs[1]) and halves.are_worth_it(rows, columns, inner, a.dtype)
    if not lead and not turned and (with_weights or p.is_cut_by_samples(node)):
        _in_halves(p, node, finish, (leaves, kept), operands)
    else:
        across = beside and _is_across(operands[0], columns) and _lies_in_rows(node.inputs[0])
        _whole(p, node, finish, (leaves, kept), operands, turned=turned, across=across)
    return finish


def _whole(
    p: Planner,
    node: Node,
    finish: Finish | None,
    ended: tuple[list[View], list[View]],
    operands: list[View],
    *,
    turned: bool,
    across: bool,
) -> None:
    """A product along the whole inner axis, with the ending, its leaves and results."""
    (leaves, kept), (a, _, target) = ended, operands
    lead, (rows, columns), inner = target.shape[:-2], target.shape[-2:], a.shape[-1]
    loops = merge_loops(lead, [v.strides[:-2] for v in operands]) if size(lead) > 1 else Loops((), ((), (), ()))
    record = _product_record(operands, loops, [*leaves, *kept], turned)
    form = (a.dtype, len(loops.sizes), finish.ending if finish else None, _motions(leaves))
    dense, name = _dense_axis(a), "matmul" + (f"+{finish.name}" if finish else "")
    by_rows, own, parts, work = [], [], [], None
    batch, found = p.batches.get(node.inputs[0], ("", []))
    record += found
    if loops.sizes:
        own = _memory(p, record, narrow.bytes_of_columns(inner, a.dtype)) if across else []
        kernel = kernels.matmul_kernel(*form, dense=dense, across=across)
    elif rows == 1:
        kernel = kernels.single_row_kernel(a.dtype, *form[2:], dense=dense, across=across)
    else:
        sharing = _shared(p, node, finish)
        matrices = [_matrix(v) for v in (target, *leaves, *kept, *(() if batch else operands[:1]))]
        # Every thread reads the whole right operand.
        by_rows, parts = ([], matrices) if sharing != cutting.BY_ROWS else (matrices, [])
        parts = [*parts, _matrix(operands[1])]
        shared, work = (sharing, batch), None if batch else rows * columns * inner
        few = batch == "inner" and columns <= cutting.block_columns(a.dtype)
        own, write, tiled = _multiplying(p, record, operands, form[2:], shared, turned=turned, across=across)
        name, kernel = name.replace("matmul", "tiles", 1) if tiled else name, write("")
        p.may_fetch(rows * columns, shared, address_of(a) if few and not tiled else None, write)
    p.emit(name, kernel, record, [target, *kept], by_rows, own=own, parts=parts, work=work)


def _multiplying(
    p: Planner,
    record: list[Entry],
    operands: list[View],
    ended: tuple[Ending | None, tuple[str, ...]],
    shared: tuple[str, str],
    *,
    turned: bool,
    across: bool,
) -> tuple[list[View], Callable[[str], int], bool]:
    """How two matrices are multiplied: in training on the matrix unit, where that takes less time; else by vectors.

    Predictions are made by vectors, so that a row has the same bits in a batch of any size.

    Args:
        p: The plan in the making.
        record: The product's record, which is told of memory.
        operands: Its operands and its result.
        ended: Its ending, and how the leaves of that move.
        shared: What threads share, and which axis of the left operand the rows of the batch are.
        turned: Whether the right operand lies column by column.
        across: Whether the last few columns may have their lanes along the inner axis.

    Returns:
        Memory of each thread's own, what gives the kernel by the way in which it fetches, and whether the unit is used.
    """
    (a, b, target), dense = operands, _dense_axis(operands[0])
    (rows, columns), inner = target.shape[-2:], a.shape[-1]
    extent = Extent(rows, columns, inner, dense, turned)
    readable = turned or b.strides[-1] == b.dtype.itemsize
    if p.is_training and readable and extent.is_worth_it(a.dtype):
        own = _memory(p, record, extent.bytes)
        record += [extent.kept_blocks, extent.most_steps]
        sharing, batch = shared
        sharing = sharing if sharing == cutting.BY_ROWS else cutting.without_blocks(rows, columns, a.dtype)
        last = batch, dense, turned, extent.streams
        return own, lambda way: kernels.tile_product_kernel(Form(*ended, way, sharing, *last)), True
    own, options = _side_by_side(p, record, operands, turned, across)
    return own, lambda way: kernels.matmul_kernel(a.dtype, 0, *ended, way, *shared, dense, **options), False


def _shared(p: Planner, node: Node, finish: Finish | None) -> str:
    """What threads share of a product of matrices: its rows, or its columns because of the weights that are in it."""
    (rows, inner), columns, dtype = node.inputs[0].spec.shape[-2:], node.output.spec.shape[-1], node.output.spec.dtype
    rows *= size(node.output.spec.shape[:-2])
    replaced = p.is_replaced(finish.output if finish else node.output)
    if replaced and halves.are_worth_it(inner, columns, rows, dtype):  # in halves where they are multiplied with
        return cutting.BY_ROWS
    weights = "right" if p.is_input(owner(node.inputs[1])) else "result" if replaced else ""
    return cutting.shared(rows, columns, inner, dtype, weights=weights)


def _is_turned(p: Planner, node: Node, a: View, b: View) -> bool:
    """Whether the columns of a product's right operand lie side by side, to be turned where they are multiplied with.

    What several products read, or just one row, is turned once for all.
    """
    (_, columns), rows = b.shape[-2:], size(node.output.spec.shape[:-1])
    inner = a.shape[-1]
    lies = b.strides[-2] == b.dtype.itemsize != b.strides[-1] and columns > 1
    lies = lies and inner * columns >= packing.LEAST_TURNED
    alone = len(b.shape) == 2 == node.output.spec.ndim and len(p.users_of(node.inputs[1])) == 1
    return lies and alone and rows > 1 and _turned_bytes(inner, columns, b.dtype) > 0


def _turned_bytes(inner: int, columns: int, dtype: DType) -> int:
    return packing.bytes_turned(inner, columns, cutting.block_columns(dtype), lanes_for(dtype), dtype)


def _side_by_side(
    p: Planner, record: list[Entry], operands: list[View], turned: bool, across: bool
) -> tuple[list[View], dict[str, Any]]:
    """What threads put side by side for themselves: memory for it, of which the record tells, and the kernel's form.

    Args:
        p: The plan in the making.
        record: The product's record.
        operands: Its operands and its result.
        turned: Whether the right operand lies column by column.
        across: Whether the last few columns have their lanes along the inner axis.
    """
    (rows, inner), columns, dtype = operands[0].shape[-2:], operands[1].shape[-1], operands[0].dtype
    own: list[View] = []
    packs = _packing(p, record, own, operands, turned)
    strips = _dense_axis(operands[0]) == "rows" and packing.strips_are_worth_it(
        rows, inner, columns, cutting.block_columns(dtype), dtype
    )
    if strips:
        own += _memory(p, record, rows * inner * dtype.itemsize)
    if across:
        own += _memory(p, record, narrow.bytes_of_columns(inner, dtype))
    large = packs == "rows" and inner * columns * dtype.itemsize >= _LARGE
    return own, {"packing": packs, "across": across, "strips": strips, "large": large}


def _packing(p: Planner, record: list[Entry], own: list[View], operands: list[View], turned: bool) -> str:
    """How threads put columns of a product's right operand side by side; memory for it is added, the record tells."""
    (inner, columns), dtype = operands[1].shape[-2:], operands[1].dtype
    least = packing.least_blocks(operands[1].strides[-2]) * cutting.block_rows()
    needed = _turned_bytes(inner, columns, dtype) if turned else 0
    if not turned and operands[2].shape[-2] >= least:
        needed = packing.bytes_beside(inner, columns, cutting.block_columns(dtype), dtype)
    if not needed:
        return ""
    record.append(least)
    own += _memory(p, record, needed)
    return "turned" if turned else "rows"


def _memory(p: Planner, record: list[Entry], needed: int) -> list[View]:
    """Memory of so many bytes that each thread has for itself; the record tells where it is."""
    own, entries = p.scratch(needed)
    record += entries
    return [own]


def _is_across(left: View, columns: int) -> bool:
    """Whether the last few columns may have their lanes along the inner axis."""
    dtype, inner = left.dtype, left.shape[-1]
    few = 0 < columns % lanes_for(dtype) <= narrow.COLUMNS
    return few and inner >= narrow.LEAST_INNER and narrow.is_possible(dtype) and _dense_axis(left) == "inner"


def _lies_in_rows(var: Var) -> bool:
    """Whether a left operand's rows lie one after the other for however many rows, so that their sums have one order.

    So do inputs, products, and what is computed of them element by element. Images, and what is seen through a window,
    lie as suits the number of samples.
    """
    waiting, seen = [var], set()
    while waiting:
        record = waiting.pop().record
        if record is None or record.op.name == "matmul" or id(record) in seen:
            continue
        if record.op.name not in LANES:
            return False
        seen.add(id(record))
        waiting += record.inputs
    return True


def _product_record(operands: list[View], loops: Loops, ended: list[View], turned: bool) -> list[Entry]:
    """Sizes, addresses and strides of a product, of its batches, and of what its ending reads and keeps."""
    a, b, target = operands
    record: list[Entry] = [*target.shape[-2:], a.shape[-1], *loops.sizes, *(address_of(v) for v in operands)]
    record += [*a.strides[-2:], b.strides[-1 if turned else -2], target.strides[-2]]
    record += [s for column in zip(*loops.strides, strict=True) for s in column]
    return record + [entry for view in ended for entry in (address_of(view), view.strides[0])]


def _in_halves(
    p: Planner, node: Node, finish: Finish | None, ended: tuple[list[View], list[View]], operands: list[View]
) -> None:
    """A product whose inner axis is cut in two, and the sum of both halves with the ending, its leaves and results."""
    a, b, target = operands
    (rows, columns), inner, dtype = target.shape, a.shape[-1], a.dtype
    width = columns * dtype.itemsize
    batch, found = p.batches.get(node.inputs[0], ("", []))
    # In the next step they lie elsewhere, so that one of two threads may begin with it.
    turn = 2 * rows * width if batch else 0
    both = p.temporary(Spec((4 if turn else 2, rows, columns), dtype))
    turning = [both] if turn else []
    record: list[Entry] = [
        rows,
        columns,
        inner,
        *(address_of(v) for v in (a, b, both)),
        *a.strides,
        b.strides[0],
        width,
    ]
    record += [*found, halves.cut(inner), rows * width, turn]
    if batch == "rows":
        p.halved.add(found[-1])
    shared, across = ("halves", batch), _is_across(a, columns)
    own, write, tiled = _multiplying(p, record, operands, (None, ()), shared, turned=False, across=across)
    parts = [b, *(() if batch else [a])]
    halved = [b] if a.buffer != b.buffer else []  # else it reads other rows, too
    name = "tiles in halves" if tiled else "matmul in halves"
    p.emit(name, write(""), record, [both], own=own, parts=parts, turning=turning, halved=halved)
    _join(p, finish, ended, both, target, [found[0], turn] if turn else [])


def _join(
    p: Planner,
    finish: Finish | None,
    ended: tuple[list[View], list[View]],
    both: View,
    target: View,
    turn: list[Entry],
) -> None:
    """The sum of two halves' products with its ending; ``turn`` says where they lie in an odd step, if elsewhere."""
    (leaves, kept), (rows, columns), width = ended, target.shape, both.strides[-2]
    record: list[Entry] = [rows, columns, address_of(both), Address(both.buffer, rows * width), width]
    record += [address_of(target), target.strides[0]]
    own = [*leaves, *kept]
    record += [entry for view in own for entry in (address_of(view), view.strides[0])]
    record += turn
    kernel = kernels.joining_kernel(target.dtype, finish.ending if finish else None, _motions(leaves), bool(turn))
    name = "join" + (f"+{finish.name}" if finish else "")
    p.emit(
        name, kernel, record, [target, *kept], [target, *own], work=size(target.shape), turning=[both] if turn else []
    )


def _dense_axis(matrix: View) -> str:
    """Along which axis of a left operand elements lie side by side; none where neither does."""
    for axis, stride in (("inner", matrix.strides[-1]), ("rows", matrix.strides[-2])):
        if stride == matrix.dtype.itemsize:
            return axis
    return ""


def _motions(leaves: list[View]) -> tuple[str, ...]:
    return tuple(motion(v.strides[-1], v.dtype.itemsize) for v in leaves)


def _ended(p: Planner, node: Node, finish: Finish | None) -> tuple[Finish | None, list[View], list[View], View]:
    """The ending, if a matrix product can take it in, its leaves, where goes what it keeps, and where the result goes.

    An ending of more axes than the product is one of its rows: the product of stacked matrices is one of all rows.
    """
    if finish is not None and "stride" not in _motions(finish.leaves) and not _is_wasteful(node, finish):
        if finish.output.spec.ndim == node.output.spec.ndim:
            kept = [p.place_for(var) for var in finish.kept]
            return finish, finish.leaves, kept, p.place_for(finish.output, strided=True)
        leaves = [matrix for view in finish.leaves if (matrix := _as_matrix(view)) is not None]
        if len(leaves) == len(finish.leaves):
            places = [_as_matrix(p.place_for(var)) for var in (finish.output, *finish.kept)]
            target, *kept = [place for place in places if place is not None]
            assert len(kept) == len(finish.kept)
            return finish, leaves, kept, target
    return None, [], [], p.place_for(node.output, strided=True)


def _is_wasteful(node: Node, finish: Finish) -> bool:
    """Whether an optimiser's long ending would run on registers with many empty lanes."""
    columns, lanes = node.output.spec.shape[-1], lanes_for(node.output.spec.dtype)
    return bool(finish.kept) and -(-columns // lanes) * lanes > _FULL * columns


def _as_matrix(view: View) -> View | None:
    """All axes but the last as one, where they follow each other evenly."""
    lead = merge_loops(view.shape[:-1], [view.strides[:-1]])
    if len(lead.sizes) > 1:
        return None
    shape = (size(view.shape[:-1]), view.shape[-1])
    return View(view.buffer, view.offset, shape, (lead.strides[0][0], view.strides[-1]), view.dtype)


def _matrix(view: View) -> View:
    """The last two axes of a view."""
    return View(view.buffer, view.offset, view.shape[-2:], view.strides[-2:], view.dtype)
