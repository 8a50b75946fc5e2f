"""How each operation that is neither elementwise nor a reduction is carried out: a view, or an instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.backends.cpu import halves, images, kernels, matmul, narrow, packing, pooling
from pellucid.backends.cpu.elementwise import motion
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.planner import FLAG, FLAG_VIEW, LOWERINGS, PRODUCTS, Planner
from pellucid.backends.cpu.tasks import REDUCTIONS, Finish
from pellucid.backends.cpu.views import pick
from pellucid.dtypes import DType
from pellucid.graph.ir import Node
from pellucid.op import Spec
from pellucid.plan.layout import Loops, View, merge_loops
from pellucid.plan.order import owner
from pellucid.plan.plan import Address, Entry, address_of
from pellucid.shapes import normalize_axis, size

# How many times the columns may be the lanes that an ending with several results computes them in.
_FULL = 1.5


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


def _matmul(p: Planner, node: Node, finish: Finish | None) -> Finish | None:
    a, b = (p.views[v] for v in node.inputs)
    turned = _is_turned(p, node, a, b)
    b = b if turned else p.densely(b)
    if size(node.output.spec.shape) == 0:
        p.place_for(node.output)
        return None
    finish, leaves, kept, target = _ended(p, node, finish)
    motions = _motions(leaves)
    lead = target.shape[:-2]
    operands = [a.broadcast((*lead, *a.shape[-2:])), b.broadcast((*lead, *b.shape[-2:])), target]
    loops = merge_loops(lead, [v.strides[:-2] for v in operands]) if size(lead) > 1 else Loops((), ((), (), ()))
    rows, columns, inner = target.shape[-2], target.shape[-1], a.shape[-1]
    with_weights = p.is_carried(node.inputs[1]) and halves.are_worth_it(rows, columns, inner, a.dtype)
    if not lead and not turned and (with_weights or p.is_cut_by_samples(node)):
        _in_halves(p, node, finish, (leaves, kept), operands)
        return finish
    record = _product_record(operands, loops, [*leaves, *kept], turned)
    form, dense = (a.dtype, len(loops.sizes), finish.ending if finish else None, motions), _dense_axis(operands[0])
    name, by_rows, own, parts, work = "matmul" + (f"+{finish.name}" if finish else ""), [], [], [], None
    batch, found = p.batches.get(node.inputs[0], ("", []))
    record += found
    if loops.sizes:
        kernel = kernels.matmul_kernel(*form, dense=dense)
    elif rows == 1:
        kernel = kernels.single_row_kernel(a.dtype, *form[2:], dense=dense)
    else:
        by_columns = _is_by_columns(p, node, finish)
        cut = (target, *leaves, *kept, *(() if batch else operands[:1]))
        matrices = [_matrix(v) for v in cut]
        # Every thread reads the whole right operand.
        by_rows, parts = ([], matrices) if by_columns else (matrices, [])
        parts = [*parts, _matrix(operands[1])]
        packs, own = _packing(p, record, operands, turned)
        shared, work = ("columns" if by_columns else "rows", batch), None if batch else rows * columns * inner
        kernel = kernels.matmul_kernel(*form, False, *shared, dense, packs)
        fetching = lambda: kernels.matmul_kernel(*form, True, *shared, dense, packs)  # noqa: E731
        p.may_fetch(rows * columns, *shared, fetching)
    p.emit(name, kernel, record, [target, *kept], by_rows, own=own, parts=parts, work=work)
    return finish


def _is_by_columns(p: Planner, node: Node, finish: Finish | None) -> bool:
    """Whether threads share the columns of a product of matrices, because of the weights that are in it."""
    (rows, inner), columns, dtype = node.inputs[0].spec.shape[-2:], node.output.spec.shape[-1], node.output.spec.dtype
    rows *= size(node.output.spec.shape[:-2])
    replaced = p.is_replaced(finish.output if finish else node.output)
    in_halves = replaced and halves.are_worth_it(inner, columns, rows, dtype)  # where they are multiplied with
    weights = "right" if p.is_input(owner(node.inputs[1])) else "result" if replaced else ""
    return not in_halves and matmul.by_columns(rows, columns, inner, dtype, weights=weights)


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
    return packing.bytes_turned(inner, columns, matmul.block_columns(dtype), lanes_for(dtype), dtype)


def _packing(p: Planner, record: list[Entry], operands: list[View], turned: bool, besides: int = 0) -> tuple[str, list]:
    """How threads put columns of a product's right operand side by side, and the memory for it; the record tells.

    Args:
        p: The plan in the making.
        record: The product's record.
        operands: Its operands and its result.
        turned: Whether the right operand lies column by column.
        besides: Bytes that the kernel needs if it packs.
    """
    (inner, columns), dtype = operands[1].shape[-2:], operands[1].dtype
    least = packing.BLOCKS * matmul.block_rows()
    needed = _turned_bytes(inner, columns, dtype) if turned else 0
    if not turned and operands[2].shape[-2] >= least:
        needed = packing.bytes_beside(inner, columns, matmul.block_columns(dtype), dtype)
    if not needed:
        return "", []
    own, entries = p.scratch(max(needed, besides))
    record += [least, *entries]
    return "turned" if turned else "rows", [own]


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
    (leaves, kept), (a, b, target) = ended, operands
    (rows, columns), inner, dtype = target.shape, a.shape[-1], a.dtype
    width = columns * dtype.itemsize
    both = p.temporary(Spec((2, rows, columns), dtype))
    batch, found = p.batches.get(node.inputs[0], ("", []))
    record: list[Entry] = [
        rows,
        columns,
        inner,
        *(address_of(v) for v in (a, b, both)),
        *a.strides,
        b.strides[0],
        width,
    ]
    record += [*found, halves.cut(inner), rows * width]
    if batch == "rows":
        p.halved.add(found[-1])
    few = narrow.bytes_of_columns(inner, dtype) if narrow.is_possible(dtype) else 0
    packs, memory = _packing(p, record, operands, turned=False, besides=few)
    kernel = kernels.matmul_kernel(dtype, 0, sharing="halves", batch=batch, dense=_dense_axis(a), packing=packs)
    p.emit("matmul in halves", kernel, record, [both], own=memory, parts=[b, *(() if batch else [a])])
    record = [rows, columns, address_of(both), Address(both.buffer, rows * width), width]
    record += [address_of(target), target.strides[0]]
    own = [*leaves, *kept]
    record += [entry for view in own for entry in (address_of(view), view.strides[0])]
    kernel = kernels.joining_kernel(dtype, finish.ending if finish else None, _motions(leaves))
    name = "join" + (f"+{finish.name}" if finish else "")
    p.emit(name, kernel, record, [target, *kept], [target, *own], work=size(target.shape))


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


PRODUCTS.update({"matmul": _matmul, "conv": images.conv, "conv_input_grad": images.conv_input_grad})


def known() -> dict[str, Any]:
    """Every operation that has a lowering."""
    return {**LANES, **dict.fromkeys(REDUCTIONS, Planner._reduce), **LOWERINGS, **PRODUCTS}
