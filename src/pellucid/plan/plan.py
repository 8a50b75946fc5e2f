"""A plan: instructions on numbered buffers, frozen, with every address still open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.op import Spec
from pellucid.plan.barriers import Access
from pellucid.plan.layout import View


@dataclass(frozen=True)
class Address:
    """An entry of a record that is known when the buffers are: a place in one of them."""

    buffer: int
    offset: int


def address_of(view: View) -> Address:
    """Where a view begins."""
    return Address(view.buffer, view.offset)


Entry = int | Address


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
    """

    name: str
    kernel: int
    record: tuple[Entry, ...]
    access: Access
    number: int = 0
    waits: bool = True


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
        lines += [f"  {i.name}{' |' if i.waits else ''}" for i in self.instructions]
        return "\n".join(lines)
