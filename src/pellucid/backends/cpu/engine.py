"""The CPU engine: machine code for the very processor it runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from pellucid.backends.base import Backend, Executable
from pellucid.backends.cpu import lowering
from pellucid.backends.cpu.loop import CpuLoop
from pellucid.backends.cpu.memory import Memory, work_of
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.loop import Loop, LoopForm
from pellucid.graph.ir import Graph


class CpuExecutable(Executable):
    """A plan with its memory."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.plan = Planner(graph).build()
        self._memory = Memory(self.plan, work_of(graph), flush=False)
        self._lock = threading.Lock()  # the memory serves one run at a time
        self._buffers = [*self.plan.inputs, *(buffer for buffer, _ in self.plan.outputs)]

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Call every kernel.

        Raises:
            DataError: An index lay outside its axis.
        """
        kept = [np.ascontiguousarray(value) for value in inputs]
        outputs = [np.empty(spec.shape, spec.dtype) for _, spec in self.plan.outputs]
        with self._lock:
            self._memory.bind(self._buffers, [value.ctypes.data for value in (*kept, *outputs)])
            self._memory.run(0, 1)
        return outputs


class CpuBackend(Backend):
    """Runs graphs as machine code."""

    name = "cpu"

    @property
    def lowerings(self) -> dict[str, Callable]:  # type: ignore[override]
        """The operations that the engine knows."""
        return lowering.known()

    def _compile(self, graph: Graph) -> Executable:
        return CpuExecutable(graph)

    def _compile_loop(self, graph: Graph, form: LoopForm) -> Loop:
        return CpuLoop(graph, form)
