"""What a backend is: it compiles a graph to something that runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from pellucid.backends.loop import Loop, LoopForm, SteppedLoop
from pellucid.errors import BackendError, ShapeError
from pellucid.graph.ir import Graph
from pellucid.op import Op, Spec


class Executable(ABC):
    """A compiled graph."""

    graph: Graph

    @abstractmethod
    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for inputs of exactly the graph's specs."""

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs, after checking every input.

        Raises:
            ShapeError: An input does not have the spec that the graph was compiled for.
        """
        self.check(inputs)
        return self.run(inputs)

    def check(self, inputs: Sequence[np.ndarray]) -> None:
        """Compare the inputs with the graph's."""
        expected = self.graph.inputs
        if len(inputs) != len(expected):
            raise ShapeError(f"graph {self.graph.name} takes {len(expected)} inputs, not {len(inputs)}")
        for var, value in zip(expected, inputs, strict=True):
            if value.shape != var.spec.shape or value.dtype != var.spec.dtype:
                found = Spec(value.shape, value.dtype)
                raise ShapeError(
                    f"graph {self.graph.name}: input {var.name or '?'} is {var.spec}, but {found} was given"
                )


class Backend(ABC):
    """A machine that runs graphs.

    Attributes:
        name: What users call it.
        lowerings: How each operation it knows is carried out.
    """

    name: str
    lowerings: dict[str, Callable]

    def compile(self, graph: Graph) -> Executable:
        """The executable of a graph.

        Raises:
            BackendError: The backend lacks operations of the graph; all of them are listed.
        """
        self._check(graph)
        return self._compile(graph)

    def compile_loop(self, graph: Graph, form: LoopForm) -> Loop:
        """The graph as a loop over steps.

        Raises:
            BackendError: As for ``compile``.
        """
        self._check(graph)
        return self._compile_loop(graph, form)

    def _compile_loop(self, graph: Graph, form: LoopForm) -> Loop:
        """A loop of single runs; backends that can do better say how."""
        return SteppedLoop(self._compile(graph), form)

    def _check(self, graph: Graph) -> None:
        missing = sorted({node.op.name for node in graph.nodes} - self.lowerings.keys())
        if missing:
            raise BackendError(
                f"The backend {self.name!r} lacks {len(missing)} of the operations of graph {graph.name}: "
                f"{', '.join(missing)}.",
                hint="use backend='reference', which knows every operation",
            )

    @abstractmethod
    def _compile(self, graph: Graph) -> Executable:
        """The executable of a graph whose operations are all known."""

    def supports(self, op: Op) -> bool:
        """Whether the backend has a lowering for the operation."""
        return op.name in self.lowerings
