"""Loops in machine code: batches are gathered, steps made and state replaced without a return to Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.memory import Memory, is_worth_sharing, work_of
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.repeating import repeat_small
from pellucid.backends.cpu.script import run_script
from pellucid.backends.cpu.sources import Source
from pellucid.backends.loop import Loop, LoopData, LoopForm, LoopRun, Script, Stops
from pellucid.dtypes import DType
from pellucid.graph.ir import Graph, Var
from pellucid.plan.layout import View, byte_size, contiguous_strides, dense
from pellucid.plan.plan import Address, Entry, Plan, address_of
from pellucid.shapes import size

#: Bytes of a data set that are converted at once where the engine cannot read it in place.
_BLOCK = 1 << 24
# Elementary operations of a step up to which a wait between two of them counts.
_SHORT = 4_000_000


class CpuLoop(Loop):
    """A graph as a plan for any number of steps.

    A data set has an order and a type of its own, so plans differ by the types of the data: one is made for each.
    """

    def __init__(self, graph: Graph, form: LoopForm) -> None:
        self.graph, self.form = graph, form
        self._work = work_of(graph)
        self._made: dict[tuple[DType, ...], LoopPlan] = {}

    @property
    def byte_size(self) -> int:
        """Bytes of the plans' arenas."""
        return sum(made.plan.arena * made.made for made in self._made.values())

    def plan(self, types: Sequence[DType]) -> LoopPlan:
        """The plan for data sets of some element types."""
        key = tuple(types)
        if key not in self._made:
            self._made[key] = LoopPlan(self.graph, self.form, key, self._work)
        return self._made[key]

    def start(self, data: LoopData, first: int = 0) -> LoopRun:
        """The loop before a step."""
        return _CpuRun(self, data, self.check(data), first)

    def in_turn(self, script: Script, stops: Stops = ()) -> None:
        """Make the steps of a script, natively from stop to stop where the engine can read the data where they lie."""
        runs = {id(line[0]): line[0] for line in script}
        if not all(isinstance(run, _CpuRun) and run.is_readable for run in runs.values()):
            super().in_turn(script, stops)
            return
        lent: dict[int, Memory] = {number: run.lend() for number, run in runs.items()}  # type: ignore[attr-defined]
        try:
            run_script(script, stops, lent)
        finally:
            for number, run in runs.items():
                run.take_back(lent[number])  # type: ignore[attr-defined]

    def fixed(self, data: LoopData) -> Callable[[], list[np.ndarray]]:
        """A function that makes the first step again and again; it has a memory of its own, bound once."""
        run = _CpuRun(self, data, self.check(data), 0)
        return run.fixed() if run.is_readable else super().fixed(data)


class LoopPlan:
    """The plan of a loop on data sets of known types, with its memory."""

    def __init__(self, graph: Graph, form: LoopForm, types: Sequence[DType], work: int) -> None:
        self._p = p = Planner(graph)
        rows, fixed, series, state = form.split(graph)
        self._cursors = p.new_buffer()
        sources = [Source(p, var, dtype, self._cursors) for var, dtype in zip(rows, types, strict=True)]
        self.sources = [(source.data, source.order) for source in sources]
        self.fixed = [p.bind(var) for var in fixed]
        self.series = self._read_series(series)
        self.state = [p.bind(var) for var in state]
        carried = form.new_state(graph)
        p.compute(carried, form.logs(graph))
        p.fetch([source.rows for source in sources])
        self.logs = self._write_logs(form.logs(graph))
        p.replace_state(carried)
        if is_worth_sharing(work):
            repeat_small(p, [p.views[var] for var in state], self._cursors)
        self.plan: Plan = p.freeze((*self.fixed, *self.state), short=work <= _SHORT)
        self._work = work
        self._idle: list[Memory] = []
        self.made = 0
        del self._p

    def take(self) -> Memory:
        """A memory that nobody uses now, to be given back: there are as many as runs were under way at once."""
        try:
            memory = self._idle.pop()
        except IndexError:
            self.made += 1
            return self.new_memory()
        memory.index_error()  # of a run that was interrupted before it could be told
        return memory

    def new_memory(self) -> Memory:
        """A memory that belongs to whoever asked for it."""
        memory = Memory(self.plan, self._work, flush=True)
        memory.bind([self._cursors], [memory.job.cursors.ctypes.data])
        return memory

    def give_back(self, memory: Memory) -> None:
        """Keep a memory for the next one who takes it."""
        self._idle.append(memory)

    def _read_series(self, series: Sequence[Var]) -> list[int]:
        tables, items, targets = [], [], []
        for var in series:
            tables.append(self._p.new_buffer())
            target = self._p.views[var] = self._p.temporary(var.spec)
            targets.append(target)
            items.append([Address(tables[-1], 0), byte_size(var.spec), address_of(target), 0, byte_size(var.spec)])
        self._move("series", items, targets, targets, len(items))
        return tables

    def _write_logs(self, logs: Sequence[Var]) -> list[int]:
        tables, items, sources, targets = [], [], [], []
        for var in logs:
            tables.append(self._p.new_buffer())
            source = self._p.contiguous(self._p.views[var])
            sources.append(source)
            targets.append(dense(tables[-1], var.spec))
            items.append([address_of(source), 0, Address(tables[-1], 0), byte_size(var.spec), byte_size(var.spec)])
        self._move("logs", items, targets, [*sources, *targets])
        return tables

    def _move(
        self, name: str, items: list[list[Entry]], writes: list[View], touched: list[View], work: int | None = None
    ) -> None:
        if items:
            record = [Address(self._cursors, 0), len(items), *(entry for item in items for entry in item)]
            self._p.emit(name, kernels.move_kernel(), record, writes, numbers=touched, work=work)


class _CpuRun(LoopRun):
    """A loop on its data.

    Data sets that the engine cannot read where they lie (float16, foreign byte order, strided rows) are converted
    block by block.
    """

    def __init__(self, loop: CpuLoop, data: LoopData, steps: int, first: int) -> None:
        self.steps, self.done = steps, first
        self.logs = loop.empty_logs(steps)
        self._batch = loop.batch
        self._data = data
        rows = loop.form.split(loop.graph)[0]
        self._specs = [var.spec for var in rows]
        self._readable = [_is_readable(array) for array in data.rows]
        types = [a.dtype if ok else s.dtype for a, ok, s in zip(data.rows, self._readable, self._specs, strict=True)]
        self._plan = loop.plan(types)
        self._order = np.ascontiguousarray(data.order, np.int64)
        self._fixed = [np.ascontiguousarray(value) for value in data.fixed]
        self._series = [np.ascontiguousarray(value) for value in data.series]
        p = self._plan
        self._buffers = [*p.fixed, *p.series, *p.state, *p.logs, *(b for pair in p.sources for b in pair)]
        self._addresses = [a.ctypes.data for a in (*self._fixed, *self._series, *data.state, *self.logs)]

    def advance(self, steps: int) -> int:
        """Make some of the steps."""
        before = self.done
        steps = min(steps, self.steps - before)
        if steps <= 0:
            return 0
        steps, kept, addresses = self._sources(steps)
        memory = self._plan.take()
        memory.bind(self._buffers, self._addresses + addresses)
        memory.done = before
        try:
            memory.run(before, steps)
        finally:  # Ctrl-C may come at any moment: what counts is what was done
            self.done = memory.done
            self._plan.give_back(memory)
        del kept
        return self.done - before

    def lend(self) -> Memory:
        """A memory that is bound to this run's data."""
        memory = self._plan.take()
        memory.bind(self._buffers, self._addresses + self._sources(1)[2])
        memory.done = self.done
        return memory

    def take_back(self, memory: Memory) -> None:
        """The memory was used: what was done in it counts."""
        self.done = memory.done
        self._plan.give_back(memory)

    @property
    def is_readable(self) -> bool:
        """Whether all data sets are read where they lie."""
        return all(self._readable)

    def fixed(self) -> Callable[[], list[np.ndarray]]:
        """A function that makes the step at which the run is, in a memory of its own."""
        memory = self._plan.new_memory()
        memory.bind(self._buffers, self._addresses + self._sources(1)[2])
        once = memory.once(self.done)

        def step() -> list[np.ndarray]:
            once()
            return self.logs

        return step

    def _sources(self, steps: int) -> tuple[int, list[np.ndarray], list[int]]:
        """How many steps can be made, arrays to keep while they run, and the addresses of data sets and orders."""
        addresses: list[int] = []
        kept: list[np.ndarray] = []
        if not all(self._readable):
            widest = max((size(s.shape) * s.dtype.itemsize for s in self._specs), default=1)
            steps = max(1, min(steps, _BLOCK // max(widest, 1)))
        start = self.done * self._batch
        for array, readable, spec in zip(self._data.rows, self._readable, self._specs, strict=True):
            if readable:
                addresses += [array.ctypes.data, self._order.ctypes.data]
                continue
            chosen = self._order[start : start + steps * self._batch]
            block = np.ascontiguousarray(array[chosen], spec.dtype)
            order = np.arange(len(chosen), dtype=np.int64)
            kept += [block, order]
            addresses += [block.ctypes.data, order.ctypes.data - 8 * start]
        return steps, kept, addresses


def _is_readable(array: np.ndarray) -> bool:
    """Whether kernels can read the rows of a data set where they lie."""
    dtype = array.dtype
    known = dtype.isnative and dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype != np.float16
    return known and array.strides == contiguous_strides(array.shape, dtype.itemsize)
