"""Views and loops as the planner needs them: which layout, which axes, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.graph.ir import Var
from pellucid.plan.layout import Loops, Strides, View, batch_last_strides
from pellucid.plan.plan import Entry, address_of
from pellucid.plan.rows import COLUMN, SCALAR, WIDE, RowGroup
from pellucid.shapes import size

# Rows enough for some threads to share, and for two; elements of which more threads would not be of use.
_MANY_ROWS, _SOME_ROWS, _SMALL = 64, 16, 1 << 16


def is_batch_last(view: View, shape: tuple[int, ...]) -> bool:
    """Whether a view is a whole image of a shape whose samples lie side by side."""
    return view.shape == shape and view.lies_as(batch_last_strides(shape, view.dtype.itemsize))


def turned_axes(source: View, target: View) -> tuple[int, int] | None:
    """The axis along which the target is dense and that along which the source is, where they differ and are long."""
    item = target.dtype.itemsize
    if item < 4 or source.dtype != target.dtype or size(target.shape) == 0:
        return None
    rows = [a for a, s in enumerate(target.strides) if s == item and target.shape[a] >= 4]
    columns = [a for a, s in enumerate(source.strides) if s == item and source.shape[a] >= 4]
    if not rows or not columns or rows[0] == columns[0] or source.strides[rows[0]] == 0:
        return None
    return rows[0], columns[0]


def shares_rows(result: View) -> bool:
    """Whether threads share the rows of an elementwise result as products do, and need not wait for each other then."""
    if len(result.shape) != 2 or min(result.shape) == 1:
        return False
    rows, columns = result.shape
    return rows >= _MANY_ROWS or (rows >= _SOME_ROWS and rows * columns <= _SMALL)


def long_axes(var: Var) -> list[int]:
    """The sizes of the axes that are not 1."""
    return [n for n in var.spec.shape if n != 1]


def loop_record(loops: Loops, operands: Sequence[View]) -> list[Entry]:
    """Sizes, addresses, strides operand by operand."""
    record: list[Entry] = [*loops.sizes, *(address_of(v) for v in operands)]
    for strides in loops.strides:
        record.extend(strides)
    return record


def pick(strides: Strides, axes: Sequence[int]) -> Strides:
    """The strides of some axes."""
    return tuple(strides[a] for a in axes)


def over_domain(target: View, domain: tuple[int, ...], axes: Sequence[int]) -> View:
    """A reduction's result, standing still along the reduced axes."""
    if len(target.shape) == len(domain):
        return target.broadcast(domain)
    strides = iter(target.strides)
    spread = tuple(0 if axis in axes else next(strides) for axis in range(len(domain)))
    return View(target.buffer, target.offset, domain, spread, target.dtype)


def head(loops: Loops) -> Loops:
    """All loops but the innermost."""
    return Loops(loops.sizes[:-1], tuple(s[:-1] for s in loops.strides))


def tail(loops: Loops) -> Loops:
    """The innermost loop."""
    return Loops(loops.sizes[-1:], tuple(s[-1:] for s in loops.strides))


def joined(*parts: Loops) -> Loops:
    """Loops inside of loops."""
    sizes = tuple(n for part in parts for n in part.sizes)
    strides = tuple(
        tuple(s for own in columns for s in own) for columns in zip(*(p.strides for p in parts), strict=True)
    )
    return Loops(sizes, strides)


def as_rows(view: View, kind: str, group: RowGroup, contiguous: Callable[[View], View]) -> View:
    """A view of two axes, rows and columns; one stands still where there is one number for all."""
    whole = (size(group.lead), group.width)
    if kind == SCALAR:
        return View(view.buffer, view.offset, whole, (0, 0), view.dtype)
    if kind == COLUMN:
        return View(view.buffer, view.offset, whole, (0, view.strides[-1]), view.dtype)
    wanted = whole if kind == WIDE else whole[:1]
    flat = view if view.shape == wanted else view.reshape(wanted) or contiguous(view).reshape(wanted)
    assert flat is not None
    return flat if kind == WIDE else View(flat.buffer, flat.offset, whole, (*flat.strides, 0), flat.dtype)
