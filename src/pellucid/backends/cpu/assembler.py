"""Buffers and instructions of a plan in the making."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pellucid.backends.cpu import threads
from pellucid.backends.cpu.ahead import FEATURES, OWN_FEATURES, ROWS, Rows
from pellucid.backends.cpu.cutting import BY_ROWS
from pellucid.dtypes import int8
from pellucid.op import Spec
from pellucid.plan.barriers import access_of, by_each, by_first, by_rows, flow, part, phases
from pellucid.plan.layout import View, batch_last_strides, byte_size, dense
from pellucid.plan.lifetime import Lifetime, aligned, chains, place
from pellucid.plan.plan import Address, Entry, Instruction, Plan, Wait, When, address_of

# Bytes of a page: one is left free before what each thread has for itself, for a core fetches neighbouring lines, too.
_PAGE = 4096
# Bytes between what two threads have for themselves in one instruction, and the bytes from which on it is so much; of
# fewer it is a quarter of them, and a page at most.
_BETWEEN, _LARGE = 1 << 16, 1 << 14


class _Fetcher(NamedTuple):
    """An instruction that can fetch rows meanwhile; see :meth:`Planner.may_fetch`."""

    elements: int
    number: int
    sharing: str
    batch: str
    narrow: Entry | None
    kernel: Callable[[str], int]


class Assembler:
    """Buffers and instructions, which at the end become a plan.

    Attributes:
        instructions: The instructions so far.
        halved: The orders of the batches of which each thread reads the features of one half.
        staying: Temporaries that may not become the array of an output.
    """

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.halved: set[Entry] = set()
        self.staying: set[int] = set()
        self._unwritten: set[int] = set()
        self._buffers = 1
        self._sizes: dict[int, int] = {}
        self._constants: list[tuple[int, np.ndarray]] = []
        self._outputs: list[tuple[int, Spec]] = []
        self._fetchers: list[_Fetcher] = []
        self._order: list[int] = []
        self._own: dict[int, int] = {}
        self._lasting: frozenset[int] = frozenset()

    def freeze(self, inputs: tuple[int, ...], *, short: bool = False) -> Plan:
        """The plan of the instructions so far.

        Args:
            inputs: The buffers of its inputs.
            short: Whether it is a step so short that it is worth while to save a wait between two of them.
        """
        sequence = self._order or range(len(self.instructions))
        parts = [[sequence[n] for n in part] for part in phases([self.instructions[i].access for i in sequence])]
        flows = short and self._flows(parts)
        offsets, arena = self._placed(parts, {b: n for b, n in self._sizes.items() if b not in self._own}, flows)
        within, region = self._placed(parts, self._own, flows)
        region = (-(-region // _PAGE) + 1) * _PAGE if within else 0
        offsets.update({buffer: arena + _PAGE + start for buffer, start in within.items()})
        arena += region * threads.most()
        apart = lambda e: replace(e, apart=region) if e.buffer in self._own else e  # noqa: E731
        waits = {part[-1]: Wait.ALWAYS for part in parts}
        if flows:
            waits[parts[-1][-1]] = Wait.AT_END
        ordered = [(i, waits.get(i, Wait.NEVER)) for part in parts for i in part]
        return Plan(
            tuple(replace(self.instructions[i], number=i, waits=wait).with_places(apart) for i, wait in ordered),
            inputs,
            tuple(self._constants),
            tuple(sorted(offsets.items())),
            max(arena, aligned(1)),
            tuple(self._outputs),
            self._buffers,
            threads.most(),
        )

    def _flows(self, parts: list[list[int]]) -> bool:
        """Whether two threads need not wait between steps that are made of such phases."""
        kept = [self.instructions[i] for i in parts[-1] if self.instructions[i].when is not When.LAST]
        first = [self.instructions[i] for i in parts[0] if self.instructions[i].when is not When.FIRST]
        return len(parts) > 1 and flow(*([i.between_steps for i in part] for part in (kept, first)))

    def _placed(self, parts: list[list[int]], sizes: Mapping[int, int], flows: bool) -> tuple[dict[int, int], int]:
        """Where some temporaries lie, and the bytes that they need, if phases are made of these instructions.

        Where a step's last phase flows into the next one's first, what either touches has a place for itself.
        """
        accesses = [[self.instructions[i].access for i in part] for part in parts]
        ends = accesses[0] + accesses[-1] if flows else []
        alone = {touch.buffer for access in ends for touch in access.touches} & sizes.keys()
        whole = {"first": 0, "last": len(parts)}
        placed = [
            (own, replace(time, **whole) if self._lasting.intersection(own) else time)
            for own, time in chains(accesses, {b: n for b, n in sizes.items() if b not in alone})
        ]
        placed += [([buffer], Lifetime(sizes[buffer], **whole)) for buffer in sizes if buffer in alone]
        starts, needed = place([time for _, time in placed])
        return {buffer: start for (own, _), start in zip(placed, starts, strict=True) for buffer in own}, needed

    @property
    def temporaries(self) -> Mapping[int, int]:
        """The buffers of the arena, and their bytes."""
        return self._sizes

    def repeat(self, order: Sequence[int], own: Mapping[int, int | None], lasting: Collection[int]) -> None:
        """Let each thread have some temporaries for itself.

        Args:
            order: The numbers of all instructions in the order in which they are to be made.
            own: The temporaries, with the bytes that a thread needs, where these are fewer than so far.
            lasting: Those of them that keep what they hold from step to step.
        """
        self._own = {buffer: least or self._sizes[buffer] for buffer, least in own.items()}
        self._order, self._lasting = list(order), frozenset(lasting)

    def new_buffer(self) -> int:
        """The number of a new buffer."""
        self._buffers += 1
        return self._buffers - 1

    def constant(self, value: np.ndarray) -> View:
        """An array that the plan brings with it."""
        buffer = self.new_buffer()
        self._constants.append((buffer, value))
        return dense(buffer, Spec(value.shape, value.dtype))

    def leave_unwritten(self, view: View) -> None:
        """Say that a temporary is never computed: an instruction that would touch it is a mistake."""
        self.forget(view)
        self._unwritten.add(view.buffer)

    def forget(self, view: View) -> None:
        """Take back a temporary that nothing uses."""
        del self._sizes[view.buffer]

    def temporary(self, spec: Spec, *, batch_last: bool = False) -> View:
        """A new array in the arena: dense in row order, or with its first axis innermost."""
        buffer = self.new_buffer()
        self._sizes[buffer] = byte_size(spec)
        view = dense(buffer, spec)
        return replace(view, strides=batch_last_strides(spec.shape, spec.dtype.itemsize)) if batch_last else view

    def read_behind(self, image: View) -> bool:
        """Whether a register may begin in an image and end behind it: only in the arena, where it stays then."""
        if image.buffer not in self._sizes:
            return False
        self.staying.add(image.buffer)
        return True

    def scratch(self, own: int) -> tuple[View, list[Entry]]:
        """Memory that each thread has for itself in the next instruction, and what its record says of it.

        Args:
            own: Bytes of each thread.
        """
        apart = _BETWEEN if own > _LARGE else min(aligned(own // 4), _PAGE)  # cores read ahead, of more they read more
        each = aligned(own) + apart
        view = self.temporary(Spec((threads.most(), each), int8))
        return view, [address_of(view), each]

    @property
    def next_number(self) -> int:
        """The number of the next instruction."""
        return len(self.instructions)

    def emit(
        self,
        name: str,
        kernel: int,
        record: Sequence[Entry],
        writes: Iterable[View],
        rows: Iterable[View] = (),
        numbers: Iterable[View] = (),
        *,
        own: Iterable[View] = (),
        parts: Iterable[View] = (),
        number: int | None = None,
        work: int | None = None,
        turning: Iterable[View] = (),
        halved: Iterable[View] = (),
    ) -> None:
        """Append a call, or put it in the place of another one.

        Args:
            name: What it does, for readers.
            kernel: The address of the kernel.
            record: What the kernel reads; every buffer that it touches is in it.
            writes: What the kernel writes.
            rows: Matrices of which each thread touches only its share of the rows, cut at multiples of ``ROW_BLOCK``.
            numbers: What the first thread alone touches.
            own: Memory of which each thread has a row for itself; it is written, too.
            parts: Of the buffers that these lie in nothing else is touched, but what is among the above.
            number: The call that this one replaces; by default, and where it is the next number, none.
            work: About how many numbers it computes, where every thread could as well compute all of them.
            turning: What has another place in the next step.
            halved: Matrices that it reads, of which two threads touch only their shares of the rows.
        """
        touched = dict.fromkeys(entry.buffer for entry in record if isinstance(entry, Address))
        assert not self._unwritten & touched.keys(), f"{name} would touch an image that was not computed"
        own = tuple(own)
        known = [*map(by_rows, rows), *map(by_first, numbers), *map(by_each, own), *map(part, parts)]
        written = {view.buffer for view in (*writes, *own)}
        access = access_of(touched, written, known)
        shares, turned = [by_rows(view) for view in halved], {view.buffer for view in turning}
        between = None
        if shares or turned:
            parted = turned | {touch.buffer for touch in shares}
            known = [*(touch for touch in known if touch.buffer not in parted), *shares]
            between = access_of([b for b in touched if b not in turned], written - turned, known)
        entries = tuple(int(x) if not isinstance(x, Address) else x for x in record)
        number = self.next_number if number is None else number
        self.instructions[number : number + 1] = [
            Instruction(name, kernel, entries, access, work=work, between=between)
        ]

    def may_fetch(
        self, elements: int, shared: tuple[str, str], narrow: Entry | None, kernel: Callable[[str], int]
    ) -> None:
        """Say that the next instruction, a product, can fetch rows meanwhile.

        Args:
            elements: Its size.
            shared: What threads share, as :func:`~.cutting.shared` says, and which axis of its left operand the rows of
                the batch are, if that is one.
            narrow: If that is the inner one, and there are few columns, the address of the data set.
            kernel: Gives the address of the kernel that fetches in one of the two ways.
        """
        self._fetchers.append(_Fetcher(elements, self.next_number, *shared, narrow, kernel))

    def fetch(self, sources: Sequence[Rows]) -> None:
        """Let the product with the most register blocks fetch the next step's rows of the widest data."""
        if not self._fetchers or not sources:
            return
        rows = max(sources, key=lambda source: source.width)
        best = max(self._fetchers, key=lambda f: (f.elements, f.number))
        plain = self.instructions[best.number]
        own = best.sharing == BY_ROWS and best.batch == "inner" and rows.order in self.halved
        how = OWN_FEATURES if own else rows.wanted(best.elements, shared=best.sharing != BY_ROWS)
        way = FEATURES if own and best.narrow == rows.data else ROWS
        record = (*plain.record, *(rows.record(how) if way == ROWS else ()))
        self.instructions[best.number] = replace(
            plain, name=f"{plain.name}, fetching", kernel=best.kernel(way), record=record, work=None
        )
