"""Small instructions of a loop that each thread makes for itself, as :mod:`pellucid.plan.repeat` finds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pellucid.backends.cpu.moves import CURSOR_STRIDE
from pellucid.backends.cpu.planner import FLAG, Planner
from pellucid.op import Spec
from pellucid.plan.layout import View, dense
from pellucid.plan.plan import Address, When
from pellucid.plan.repeat import Repeats, Small, copies, repeats
from pellucid.shapes import size

# Elementary operations that a thread makes for itself at most; elements of state of which each thread may have a copy,
# and bytes of temporaries that an instruction writes.
_MOST_WORK, _MOST_STATE, _MOST_BYTES = 200_000, 1 << 14, 1 << 15


def repeat_small(p: Planner, state: Iterable[View], cursors: int) -> None:
    """Let each thread make small instructions for itself where that saves a wait.

    Args:
        p: A plan with all of its instructions.
        state: What the loop replaces.
        cursors: The buffer of the threads' cursors.
    """
    known = {view.buffer: view for view in state if size(view.shape) <= _MOST_STATE}
    bytes_of = lambda i: sum(p.temporaries.get(t.buffer, 0) for t in i.access.writes if not t.each)  # noqa: E731
    chain = [Small(i.access, i.work if bytes_of(i) <= _MOST_BYTES else None) for i in p.instructions]
    found = repeats(chain, p.temporaries, known, _MOST_WORK, (FLAG,))
    if found.numbers:
        _repeat(p, found, [known[buffer] for buffer in sorted(found.own & known.keys())], cursors)


def _repeat(p: Planner, found: Repeats, state: list[View], cursors: int) -> None:
    """Each thread has some state for itself: it copies that in a run's first step, and all copy it back in the last."""
    middle = range(p.next_number)
    touches = [touch for i in p.instructions for touch in i.access.touches]
    rows = {touch.buffer: touch.rows[1] for touch in touches if touch.each and touch.rows}
    flat = [Spec((size(view.shape),), view.dtype) for view in state]
    names = {view.buffer: p.temporary(spec).buffer for view, spec in zip(state, flat, strict=True)}
    for number in middle:
        given, alone = p.instructions[number], number in found.numbers

        def place(entry: Address, alone: bool = alone) -> Address:
            apart = CURSOR_STRIDE if alone and entry.buffer == cursors else 0
            return replace(entry, buffer=names.get(entry.buffer, entry.buffer), apart=apart)

        access, between = (a and found.access(number, a).renamed(names) for a in (given.access, given.between))
        p.instructions[number] = replace(given.with_places(place), access=access, between=between, alone=alone)
    ends: list[list[int]] = []
    for when in (When.FIRST, When.LAST):
        ends.append([])
        for (buffer, own), spec in zip(names.items(), flat, strict=True):
            pair = dense(buffer, spec), dense(own, spec)
            ends[-1].append(p.next_number)
            p.copy(*(pair if when is When.FIRST else pair[::-1]))
            access = copies(buffer, own)[when is When.LAST]
            p.instructions[-1] = replace(p.instructions[-1], access=access, alone=when is When.FIRST, when=when)
    own = (found.own - names.keys()) | set(names.values())
    p.repeat([*ends[0], *middle, *ends[1]], {buffer: rows.get(buffer) for buffer in own}, names.values())
