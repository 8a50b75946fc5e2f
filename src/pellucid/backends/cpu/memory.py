"""A plan with its memory: records whose addresses are filled in, in a row that the native loop walks through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from pellucid.alignment import ALIGNMENT, aligned_bytes
from pellucid.backends.cpu.pace import Pace
from pellucid.backends.cpu.planner import FLAG
from pellucid.backends.cpu.runner import ROW, table_row
from pellucid.backends.cpu.threads import POOL, Job
from pellucid.errors import DataError
from pellucid.graph.ir import Graph
from pellucid.plan.lifetime import aligned
from pellucid.plan.plan import Plan
from pellucid.shapes import size

# Below this many elementary operations one thread is faster than two.
_WORTH_SHARING = 500_000
# Bytes that are left free before an arena that threads share, where it is as large. A core that reads an array of the
# caller's in large steps reads on behind its end, unasked; were the arena there, others had to take lines of it back.
_BEFORE = 1 << 20
_seen: ContextVar[list[Memory] | None] = ContextVar("_seen", default=None)


def is_worth_sharing(work: int) -> bool:
    """Whether threads may share a plan of so many elementary operations."""
    return work >= _WORTH_SHARING


@contextmanager
def watching() -> Iterator[list[Memory]]:
    """In the block, plans get memory that counts what each instruction takes, from then on; gives the list of them.

    What has been planned before, as by another fit of the same architecture, is not seen.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((3,)), Dense(2)])
    >>> model.compile("mse", "sgd")
    >>> with watching() as seen:
    ...     _ = model.fit(np.ones((8, 3), "float32"), np.ones((8, 2), "float32"), verbose=0)
    >>> seen[0].job.times.shape[1] == len(seen[0].plan.instructions)
    True
    """
    seen: list[Memory] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


class Memory:
    """The arena and the records of a plan, which serve one run at a time.

    Args:
        plan: The plan.
        work: Elementary operations in it, roughly.
        flush: Whether denormal numbers count as 0.

    Attributes:
        pace: How many steps are worth a turn, and on how many threads.
    """

    def __init__(self, plan: Plan, work: int, flush: bool) -> None:
        self.plan = plan
        self.work = max(work, 1)
        before = min(aligned(plan.arena), _BEFORE) if self.may_share else 0
        behind = ALIGNMENT  # a register may end behind the last array
        self._arena = aligned_bytes(before + plan.arena + behind)[before:]
        base = self._arena.ctypes.data
        self._flag = np.zeros(3, np.int64)
        self.pace = Pace()
        self._bases = np.zeros(plan.buffers, np.int64)
        self._bases[FLAG] = self._flag.ctypes.data
        for buffer, value in plan.constants:
            self._bases[buffer] = value.ctypes.data
        for buffer, offset in plan.temporaries:
            self._bases[buffer] = base + offset
        self._records = plan.records.entries.copy()
        first = self._records.ctypes.data
        rows = [
            table_row(i.kernel, first + 8 * start, waits=i.waits, apart=8 * apart, alone=i.alone, when=i.when)
            for i, start, apart in zip(plan.instructions, plan.records.starts, plan.records.apart, strict=True)
        ]
        self.job = Job(np.array(rows, np.int64).reshape(-1, ROW), flush)
        seen = _seen.get()
        if seen is not None:
            self.job.watch()
            seen.append(self)

    def bind(self, buffers: list[int], addresses: list[int]) -> None:
        """Say where buffers outside of the arena lie."""
        self._bases[buffers] = addresses
        records = self.plan.records
        self._records[records.places] = self._bases[records.buffers] + records.offsets

    @property
    def may_share(self) -> bool:
        """Whether several threads may be faster than one."""
        return is_worth_sharing(self.work) and len(self.plan.instructions) > 0

    @property
    def done(self) -> int:
        """The number of the step at which the last run ended."""
        return int(self.job.cursors[0, 0])

    @done.setter
    def done(self, step: int) -> None:
        self.job.cursors[0, 0] = step

    def run(self, first: int, steps: int) -> None:
        """Make some steps, as many of the given ones as are worth a turn.

        Raises:
            DataError: An index lay outside its axis.
        """
        if not self.may_share and steps == 1:
            POOL.run(self.job.script(first, 1), 1)
            self.raise_for_indices()
            return
        available = POOL.size() if self.may_share else 1
        shared, chosen = self.pace.choose(steps, available > 1)
        self.timed(self.job.script(first, chosen), chosen, available if shared else 1)
        self.raise_for_indices()

    def timed(self, script: np.ndarray, steps: float, threads: int) -> None:
        """Run a script, and note that it takes as long as so many steps of this plan."""
        started = time.perf_counter()
        POOL.run(script, threads)
        self.pace.note(threads > 1, steps, time.perf_counter() - started)

    def once(self, step: int) -> Callable[[], None]:
        """A function that makes one step on the calling thread, with the least ado.

        Its errors: DataError, an index lay outside its axis.
        """
        run, flag = POOL.alone(self.job.script(step, 1)), self._flag

        def again() -> None:
            run()
            if flag[0]:
                self.raise_for_indices()

        return again

    def raise_for_indices(self) -> None:
        """The error of a run in which an index lay outside its axis."""
        error = self.index_error()
        if error is not None:
            raise error

    def index_error(self) -> DataError | None:
        """What an index outside its axis in the last run is told by; it is told once."""
        if not self._flag[0]:
            return None
        number, index, axis = (int(n) for n in self._flag)
        self._flag[:] = 0
        name = next(i.name for i in self.plan.instructions if i.number == number - 1)
        return DataError(f"{name}: the index {index} lies outside 0..{axis - 1}.")


def work_of(graph: Graph) -> int:
    """Elementary operations of a graph, roughly: multiply-adds of contractions, elements of everything else."""
    total = 0
    for node in graph.nodes:
        elements = size(node.output.spec.shape)
        if node.op.name == "matmul":
            elements *= node.inputs[0].spec.shape[-1]
        elif node.op.name.startswith("conv"):
            shapes = sorted((size(v.spec.shape) for v in (*node.inputs, node.output)), reverse=True)
            elements = shapes[0] * max(shapes[2], 1)
        total += elements
    return total
