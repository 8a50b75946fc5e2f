"""compile: a Python function -> trace -> passes -> backend, cached by the shapes of its arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid import backends, nest
from pellucid.backends import Backend, Executable
from pellucid.graph import Graph, Traced, rewrite, trace
from pellucid.graph.trace import spec_of
from pellucid.op import current_interpreter
from pellucid.ops.promotion import array
from pellucid.tensor import EAGER, Tensor, is_recording


class Compiled:
    """A function that is traced once per combination of argument shapes and then runs as a graph.

    Tensors that the function closes over are inputs of the graph: it sees their present numbers at every call, and
    ``tensor.assign(...)`` inside it takes effect. Where gradients are being recorded for an argument or for such a
    tensor, the function runs eagerly; use ``no_grad()`` for speed, or compile the gradient itself.
    """

    def __init__(self, function: Callable[..., Any], backend: Backend) -> None:
        self._function = function
        self._backend = backend
        self._cache: dict[Any, tuple[Traced, Executable]] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """The result, as tensors in the nest that the function returned."""
        leaves, structure = nest.flatten(args)
        if current_interpreter() is not EAGER or (is_recording() and any(map(_tracked, leaves))):
            return self._function(*args)  # inside another trace, or under a gradient: be part of it
        traced, executable = self._specialise(args, leaves, structure)
        if is_recording() and any(map(_tracked, traced.captured)):
            return self._function(*args)
        inputs = [_as_array(leaf) for leaf in (*leaves, *traced.captured)]
        outputs = executable.run(inputs)
        count = traced.structure.leaf_count
        for tensor, value in zip(traced.assigned, outputs[count:], strict=True):
            tensor.replace(np.array(value))
        return nest.unflatten(traced.structure, [Tensor.wrap(_own(value, inputs)) for value in outputs[:count]])

    def graph(self, *args: Any) -> Graph:
        """The rewritten graph for arguments of these shapes."""
        return self._specialise(args, *nest.flatten(args))[1].graph

    def _specialise(self, args: tuple, leaves: list[Any], structure: nest.Structure) -> tuple[Traced, Executable]:
        key = (structure, tuple(spec_of(leaf) for leaf in leaves))
        found = self._cache.get(key)
        if found is None:
            traced = trace(self._function, *args, capture=True)
            found = self._cache[key] = (traced, self._backend.compile(rewrite(traced.graph)))
        return found


def _tracked(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.requires_grad


def _own(value: np.ndarray, inputs: list[np.ndarray]) -> np.ndarray:
    """The result in memory of its own: an input that is handed through, or a view of one, is copied."""
    shared = value.base is not None or any(value is given for given in inputs)
    return np.array(value) if shared else value


def _as_array(leaf: Any) -> np.ndarray:
    if isinstance(leaf, Tensor):
        return leaf.numpy()
    return array(leaf)


def compile(function: Callable[..., Any], backend: str | Backend | None = None) -> Compiled:
    """The function as a compiled graph.

    Args:
        function: Any function of tensors, arrays and numbers, or nests of them; it must not decide on their values.
        backend: Which backend runs it.

    >>> square_sum = compile(lambda x: (x * x).sum())
    >>> square_sum(np.array([1.0, 2.0], "float32"))
    Tensor(5.)
    >>> print(square_sum.graph(np.array([1.0, 2.0], "float32")))
    graph f(in0: float32[2]):
      %0: float32[2] = mul(in0, in0)
      %1: float32[] = sum(%0, axes=(0,), keepdims=False)
      return %1
    """
    return Compiled(function, backends.get(backend))
