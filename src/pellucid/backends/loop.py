"""Loops: a graph run many times, each time on other rows of the data and on the state that the last time left.

A training step, an evaluation and a prediction are loops over the batches of an epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph.ir import Graph, Var

if TYPE_CHECKING:
    from pellucid.backends.base import Executable


@dataclass(frozen=True)
class LoopForm:
    """What each input and output of a graph is to the loop.

    The inputs are, in this order: rows, fixed ones, series, state. The outputs are logs, then new state.

    Attributes:
        rows: How many inputs are a batch of rows, gathered anew in every step.
        fixed: How many inputs stay as they are.
        series: How many inputs have a value of their own for every step.
        carried: For each new state, from the last outputs, the number of the state that it replaces.
    """

    rows: int
    fixed: int = 0
    series: int = 0
    carried: tuple[int, ...] = ()

    def split(self, graph: Graph) -> tuple[tuple[Var, ...], tuple[Var, ...], tuple[Var, ...], tuple[Var, ...]]:
        """The graph's inputs: rows, fixed, series, state."""
        a, b, c = self.rows, self.rows + self.fixed, self.rows + self.fixed + self.series
        return graph.inputs[:a], graph.inputs[a:b], graph.inputs[b:c], graph.inputs[c:]

    def logs(self, graph: Graph) -> tuple[Var, ...]:
        """The outputs that are kept for every step."""
        return graph.outputs[: len(graph.outputs) - len(self.carried)]

    def new_state(self, graph: Graph) -> tuple[tuple[Var, Var], ...]:
        """Each new state with the old one."""
        state = self.split(graph)[3]
        outputs = graph.outputs[len(graph.outputs) - len(self.carried) :]
        return tuple((new, state[number]) for new, number in zip(outputs, self.carried, strict=True))


@dataclass(frozen=True)
class LoopData:
    """What a loop works on.

    Attributes:
        rows: For each input of rows the data set [samples, ...], of any number type.
        order: The rows of all steps, one batch after the other, as int64.
        fixed: One array per fixed input.
        series: For each such input its values [steps, ...].
        state: One array per state; the loop changes them in place.
    """

    rows: Sequence[np.ndarray]
    order: np.ndarray
    fixed: Sequence[np.ndarray] = ()
    series: Sequence[np.ndarray] = ()
    state: Sequence[np.ndarray] = ()


class LoopRun(ABC):
    """A loop on its data, somewhere between the first step and the last.

    Attributes:
        logs: Each logged output of all steps [steps, ...]; those of the steps ahead are not filled in yet.
        steps: How many steps there are.
        done: How many were made.
        goes_on: Whether its steps are made one soon after the other, even where lines of other runs come between.
    """

    logs: list[np.ndarray]
    steps: int
    done: int
    goes_on = True

    @abstractmethod
    def advance(self, steps: int) -> int:
        """Make at most so many steps, and return within a fraction of a second; how many they were.

        At least one step is made, unless none is asked for or left.
        """


#: A run, how many of its steps to make, and the first of them where that is not the next one.
Line = tuple[LoopRun, int] | tuple[LoopRun, int, int]

#: Steps of several loops in turn.
Script = Sequence[Line]

#: What is called when so many lines of a script are done, in the order of the lines.
Stops = Sequence[tuple[int, Callable[[], None]]]


def first_of(line: Line, following: int) -> int:
    """The number of a line's first step, where that which follows the run's last one is known."""
    return line[2] if len(line) == 3 else following


def parts_of(lines: Any, stops: Stops) -> Iterator[tuple[Any, Callable[[], None]]]:
    """The lines up to each stop with what is called there, then the rest."""
    reached = 0
    for line, call in stops:
        yield lines[reached:line], call
        reached = line
    if reached < len(lines):
        yield lines[reached:], _nothing


def _nothing() -> None:
    """The end of a script calls nobody."""


class Loop(ABC):
    """A graph compiled to be run in a loop.

    Attributes:
        graph: What is computed.
        form: What its inputs and outputs are to the loop.
        seconds: What a step has cost lately, with all that goes with it; None where nobody has noted that.
    """

    graph: Graph
    form: LoopForm
    seconds: float | None = None

    def in_turn(self, script: Script, stops: Stops = ()) -> None:
        """Make the steps of a script whose loops belong to one backend; not for more than a fraction of a second.

        Args:
            script: Which steps.
            stops: What is called between them.

        Raises:
            DataError: An index lay outside its axis.
        """
        for part, call in parts_of(script, stops):
            for line in part:
                run, steps = line[:2]
                run.done = first_of(line, run.done)
                end = run.done + steps
                while run.done < end:
                    run.advance(end - run.done)
            call()

    @abstractmethod
    def start(self, data: LoopData, first: int = 0) -> LoopRun:
        """The loop before its step number ``first``.

        Raises:
            ShapeError: An array does not have the shape or type that the graph was compiled for.
        """

    def fixed(self, data: LoopData) -> Callable[[], list[np.ndarray]]:
        """A function that makes the first step again and again on arrays that stay where they are; it gives the logs.

        The logs are overwritten by the next call.
        """

        def step() -> list[np.ndarray]:
            run = self.start(data)
            run.advance(1)
            return run.logs

        return step

    @property
    def byte_size(self) -> int:
        """Bytes of memory that the loop keeps between runs, beside its code."""
        return 0

    @property
    def batch(self) -> int:
        """Rows of a step."""
        return self.graph.inputs[0].spec.shape[0] if self.form.rows else 0

    def check(self, data: LoopData) -> int:
        """Compare arrays with the graph's inputs; the number of steps."""
        steps = len(data.order) // self.batch if self.batch else len(data.series[0]) if data.series else 1
        rows, fixed, series, state = self.form.split(self.graph)
        for var, array in zip(rows, data.rows, strict=True):
            self._same(var, array.shape[1:], None, var.spec.shape[1:])
        for var, array in zip(series, data.series, strict=True):
            self._same(var, array.shape, array.dtype, (steps, *var.spec.shape))
        for var, array in zip((*fixed, *state), (*data.fixed, *data.state), strict=True):
            self._same(var, array.shape, array.dtype, var.spec.shape)
        if not all(array.flags.c_contiguous for array in data.state):
            raise ShapeError(f"loop {self.graph.name}: state must lie in arrays in row order (C-contiguous)")
        if not all(data.state[number].flags.writeable for number in self.form.carried):
            raise ShapeError(
                f"loop {self.graph.name}: state that the loop replaces must lie in arrays that can be written"
            )
        return steps

    def _same(self, var: Var, shape: tuple[int, ...], dtype: np.dtype | None, wanted: tuple[int, ...]) -> None:
        if shape != wanted or (dtype is not None and dtype != var.spec.dtype):
            given = f"{dtype}{list(shape)}" if dtype is not None else f"an array of {list(shape)}"
            raise ShapeError(
                f"loop {self.graph.name}: input {var.name or '?'} needs {var.spec.dtype}{list(wanted)}, "
                f"but {given} was given"
            )

    def empty_logs(self, steps: int) -> list[np.ndarray]:
        """Memory for the logs of all steps."""
        return [np.empty((steps, *v.spec.shape), v.spec.dtype) for v in self.form.logs(self.graph)]


class SteppedLoop(Loop):
    """A loop that runs an executable step by step; the specification of every other one."""

    def __init__(self, executable: Executable, form: LoopForm) -> None:
        self.executable, self.form = executable, form
        self.graph = executable.graph

    def start(self, data: LoopData, first: int = 0) -> LoopRun:
        """The loop before a step."""
        return _SteppedRun(self, data, self.check(data), first)


class _SteppedRun(LoopRun):
    def __init__(self, loop: SteppedLoop, data: LoopData, steps: int, first: int) -> None:
        self._loop, self._data = loop, data
        self.steps, self.done = steps, first
        self.logs = loop.empty_logs(steps)

    def advance(self, steps: int) -> int:
        """Make one step."""
        if steps <= 0 or self.done == self.steps:
            return 0
        loop, data, number = self._loop, self._data, self.done
        chosen = data.order[number * loop.batch : (number + 1) * loop.batch]
        rows = [
            np.ascontiguousarray(array[chosen], var.spec.dtype)
            for array, var in zip(data.rows, loop.graph.inputs, strict=False)
        ]
        outputs = loop.executable.run([*rows, *data.fixed, *(np.asarray(s[number]) for s in data.series), *data.state])
        for log, value in zip(self.logs, outputs, strict=False):
            log[number] = value
        new = [_apart(value, data.state) for value in outputs[len(self.logs) :]]
        for place, value in zip(loop.form.carried, new, strict=True):
            data.state[place][...] = value
        self.done += 1
        return 1


def _apart(value: np.ndarray, state: Sequence[np.ndarray]) -> np.ndarray:
    """The value in memory that no state lies in."""
    return value.copy() if any(np.may_share_memory(value, old) for old in state) else value
