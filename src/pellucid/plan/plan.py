"""A plan: instructions on numbered buffers, frozen, with every address still open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

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
        work: About how many numbers it computes, each by one operation; None where threads had better share it.
        alone: Whether each thread makes all of it, in memory of its own.
        when: In which steps of a run of them it is made.
    """

    name: str
    kernel: int
    record: tuple[Entry, ...]
    access: Access
    number: int = 0
    waits: bool = True
    work: int | None = None
    alone: bool = False
    when: When = When.ALWAYS

    def with_places(self, change: Callable[[Address], Address]) -> Instruction:
        """The same with other addresses in its record."""
        return replace(self, record=tuple(change(e) if isinstance(e, Address) else e for e in self.record))


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
    """

    instructions: tuple[Instruction, ...]
    inputs: tuple[int, ...]
    constants: tuple[tuple[int, np.ndarray], ...]
    temporaries: tuple[tuple[int, int], ...]
    arena: int
    outputs: tuple[tuple[int, Spec], ...]
    buffers: int

    def __str__(self) -> str:
        lines = [f"{len(self.instructions)} instructions, arena of {self.arena:,} bytes"]
        lines += [f"  {'each: ' if i.alone else ''}{i.name}{' |' if i.waits else ''}" for i in self.instructions]
        return "\n".join(lines)
