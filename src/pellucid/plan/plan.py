"""A plan: instructions on numbered buffers, frozen, with every address still open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np

from pellucid.op import Spec
from pellucid.plan.barriers import Access
from pellucid.plan.layout import View


@dataclass(frozen=True)
class Address:
    """An entry of a record that is known when the buffers are: a place in one of them.

    Attributes:
        buffer: The buffer.
        offset: Bytes from its beginning.
        apart: Bytes from one thread's place to the next one's, where each thread has a place for itself.
    """

    buffer: int
    offset: int
    apart: int = 0


def address_of(view: View) -> Address:
    """Where a view begins."""
    return Address(view.buffer, view.offset)


Entry = int | Address


class When(IntEnum):
    """In which steps of a run an instruction is made."""

    FIRST = 1
    LAST = 2
    ALWAYS = 4


class Wait(IntEnum):
    """Whether threads wait for each other after an instruction.

    Two threads that share a plan may go on to the next step where others must wait: then they do so ``AT_END``, after
    the last step of a run.
    """

    NEVER = 0
    ALWAYS = 1
    AT_END = 2


@dataclass(frozen=True)
class Instruction:
    """A call of a kernel.

    Attributes:
        name: What it does, for readers.
        kernel: The kernel's address.
        record: What the kernel reads.
        access: What it touches.
        number: Its number in the order in which the graph gives it.
        waits: Whether threads wait for each other after it.
        between: What it touches that one of two threads may touch in the step before or after; by default all of it.
        work: About how many numbers it computes, each by one operation; None where threads had better share it.
        alone: Whether each thread makes all of it, in memory of its own.
        when: In which steps of a run of them it is made.
    """

    name: str
    kernel: int
    record: tuple[Entry, ...]
    access: Access
    number: int = 0
    waits: Wait = Wait.ALWAYS
    between: Access | None = None
    work: int | None = None
    alone: bool = False
    when: When = When.ALWAYS

    @property
    def between_steps(self) -> Access:
        """What one of two threads touches that the other one may touch in the step before or after."""
        return self.access if self.between is None else self.between

    def with_places(self, change: Callable[[Address], Address]) -> Instruction:
        """The same with other addresses in its record."""
        return replace(self, record=tuple(change(e) if isinstance(e, Address) else e for e in self.record))


@dataclass(frozen=True)
class Records:
    """The records of all instructions in one row, an instruction's once for each thread where it has places of its own.

    Attributes:
        entries: The row; 0 where an address must be filled in.
        places: Where in the row that is.
        buffers: The buffer of each such address.
        offsets: Bytes from the buffer's beginning.
        starts: Where the first record of each instruction begins.
        apart: Entries from one thread's record of it to the next one's; 0 where all threads read the same.
    """

    entries: np.ndarray
    places: np.ndarray
    buffers: np.ndarray
    offsets: np.ndarray
    starts: tuple[int, ...]
    apart: tuple[int, ...]

    @classmethod
    def of(cls, instructions: Sequence[Instruction], threads: int) -> Records:
        """The records of some instructions for so many threads."""
        entries: list[int] = []
        addresses: list[tuple[int, int, int]] = []
        starts, apart = [], []
        for instruction in instructions:
            record = instruction.record
            own = any(isinstance(entry, Address) and entry.apart for entry in record)
            starts.append(len(entries))
            apart.append(len(record) if own else 0)
            for thread in range(threads if own else 1):
                for entry in record:
                    if isinstance(entry, Address):
                        addresses.append((len(entries), entry.buffer, entry.offset + thread * entry.apart))
                    entries.append(0 if isinstance(entry, Address) else entry)
        places, buffers, offsets = np.array(addresses, np.int64).reshape(-1, 3).T.copy()
        return cls(np.array(entries, np.int64), places, buffers, offsets, tuple(starts), tuple(apart))


@dataclass(frozen=True)
class Plan:
    """Everything about a run but the memory.

    Attributes:
        instructions: The calls in order.
        inputs: Buffer of each input.
        constants: Buffers that hold known numbers.
        temporaries: Buffer -> offset in the arena.
        arena: Bytes of the arena.
        outputs: Buffer and spec of each output.
        buffers: How many buffers there are.
        threads: How many threads it has memory for.
    """

    instructions: tuple[Instruction, ...]
    inputs: tuple[int, ...]
    constants: tuple[tuple[int, np.ndarray], ...]
    temporaries: tuple[tuple[int, int], ...]
    arena: int
    outputs: tuple[tuple[int, Spec], ...]
    buffers: int
    threads: int

    @cached_property
    def records(self) -> Records:
        """The records of its instructions."""
        return Records.of(self.instructions, self.threads)

    def __str__(self) -> str:
        ends = {Wait.NEVER: "", Wait.ALWAYS: " |", Wait.AT_END: " | at the end"}
        lines = [f"{len(self.instructions)} instructions, arena of {self.arena:,} bytes"]
        lines += [f"  {'each: ' if i.alone else ''}{i.name}{ends[i.waits]}" for i in self.instructions]
        return "\n".join(lines)
