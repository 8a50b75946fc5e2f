"""How a reduction walks through memory."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.backends.cpu import elementwise, kernels
from pellucid.backends.cpu.elementwise import Folding
from pellucid.backends.cpu.views import head, joined, loop_record, pick, tail
from pellucid.plan.layout import View, merge_loops
from pellucid.plan.plan import Entry


def reduction(folding: Folding, operands: Sequence[View], axes: set[int]) -> tuple[int, list[Entry]]:
    """The kernel of a reduction and its record: by rows or by columns, whichever walks through memory in order.

    Args:
        folding: What is reduced, how, and what becomes of the result.
        operands: The result and what is read, all over the axes of what is reduced.
        axes: The axes that are reduced.
    """
    main = operands[1] if len(operands) > 1 else operands[0]
    domain = main.shape
    in_memory = sorted((a for a, n in enumerate(domain) if n != 1), key=lambda a: -abs(main.strides[a]))
    kept, reduced = [a for a in in_memory if a not in axes], [a for a in in_memory if a in axes]
    inner = merge_loops(tuple(domain[a] for a in reduced), [pick(v.strides, reduced) for v in operands])
    kernel, loops = kernels.reduce_kernel, inner
    if kept:
        outer = merge_loops(tuple(domain[a] for a in kept), [pick(v.strides, kept) for v in operands])
        side_by_side = operands[0].strides[kept[-1]] == operands[0].dtype.itemsize
        if kept[-1] == in_memory[-1] and side_by_side:
            kernel, loops = kernels.columns_kernel, joined(head(outer), inner, tail(outer))
        else:
            loops = joined(outer, inner)
    shape = elementwise.shape_of(loops, [v.dtype for v in operands])
    return kernel(folding, shape, len(inner.sizes)), loop_record(loops, operands)
