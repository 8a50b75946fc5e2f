"""The CPU engine: machine code for the very processor it runs on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from pellucid.backends.base import Backend, Executable
from pellucid.backends.cpu import lowering
from pellucid.backends.cpu.planner import FLAG, Planner
from pellucid.backends.cpu.threads import POOL, Pace
from pellucid.errors import DataError
from pellucid.graph.ir import Graph
from pellucid.plan.lifetime import ALIGNMENT
from pellucid.plan.plan import Address, Plan
from pellucid.shapes import size

# Below this many elementary operations one thread is faster than waking a second.
_WORTH_SHARING = 500_000


class CpuExecutable(Executable):
    """A plan with its memory."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.plan: Plan = Planner(graph).build()
        self._arena, base = _aligned_bytes(self.plan.arena)
        self._flag = np.zeros(3, np.int64)
        self._lock = threading.Lock()
        self._work = work_of(graph)
        self._pace = Pace()
        self._bases = np.zeros(self.plan.buffers, np.int64)
        self._bases[FLAG] = self._flag.ctypes.data
        for buffer, value in self.plan.constants:
            self._bases[buffer] = value.ctypes.data
        for buffer, offset in self.plan.temporaries:
            self._bases[buffer] = base + offset
        self._lay_out_records()

    def _lay_out_records(self) -> None:
        """All records in one row, and where addresses must be filled in."""
        entries = [entry for i in self.plan.instructions for entry in i.record]
        self._records = np.array([0 if isinstance(e, Address) else e for e in entries], np.int64)
        open_entries = [(n, e) for n, e in enumerate(entries) if isinstance(e, Address)]
        self._places = np.array([n for n, _ in open_entries], np.intp)
        self._buffer_of = np.array([e.buffer for _, e in open_entries], np.intp)
        self._offset_of = np.array([e.offset for _, e in open_entries], np.int64)
        starts = np.cumsum([0, *(len(i.record) for i in self.plan.instructions)])
        first = self._records.ctypes.data
        rows = [(i.kernel, first + 8 * int(s)) for i, s in zip(self.plan.instructions, starts, strict=False)]
        self._table = np.array(rows, np.int64).reshape(-1, 2)

    def _call(self) -> None:
        """Call every kernel, on as many threads as is fastest just now."""
        threads = POOL.size() if self._work >= _WORTH_SHARING else 1
        if threads == 1:
            POOL.run(self._table, 1)
            return
        shared = self._pace.shares()
        started = time.perf_counter()
        POOL.run(self._table, threads if shared else 1)
        self._pace.note(shared, time.perf_counter() - started)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Call every kernel.

        Raises:
            DataError: An index lay outside its axis.
        """
        with self._lock:  # the arena and the records serve one run at a time
            return self._run_alone([np.ascontiguousarray(value) for value in inputs])

    def _run_alone(self, kept: list[np.ndarray]) -> list[np.ndarray]:
        outputs = [np.empty(spec.shape, spec.dtype) for _, spec in self.plan.outputs]
        for buffer, value in zip(self.plan.inputs, kept, strict=True):
            self._bases[buffer] = value.ctypes.data
        for (buffer, _), value in zip(self.plan.outputs, outputs, strict=True):
            self._bases[buffer] = value.ctypes.data
        self._records[self._places] = self._bases[self._buffer_of] + self._offset_of
        self._call()
        if self._flag[0]:
            number, index, axis = (int(n) for n in self._flag)
            self._flag[:] = 0
            name = self.plan.instructions[number - 1].name
            raise DataError(f"{name}: the index {index} lies outside 0..{axis - 1}.")
        return outputs


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


def _aligned_bytes(count: int) -> tuple[np.ndarray, int]:
    """Memory, and the first address in it at the start of a cache line."""
    memory = np.zeros(count + ALIGNMENT, np.uint8)
    address = memory.ctypes.data
    return memory, -(-address // ALIGNMENT) * ALIGNMENT


class CpuBackend(Backend):
    """Runs graphs as machine code."""

    name = "cpu"

    @property
    def lowerings(self) -> dict[str, Callable]:  # type: ignore[override]
        """The operations that the engine knows."""
        return lowering.known()

    def _compile(self, graph: Graph) -> Executable:
        return CpuExecutable(graph)
