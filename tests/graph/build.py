"""Small graphs for the tests of the graph package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.backends import get
from pellucid.graph import Graph, trace
from pellucid.op import Spec

F32 = np.dtype("float32")
VECTOR, MATRIX, NUMBER = Spec((3,), F32), Spec((2, 3), F32), Spec((), F32)


def graph_of(function: Callable, *specs: Any, **options: Any) -> Graph:
    return trace(function, *specs, **options).graph


def run(graph: Graph, *inputs: Any) -> list[np.ndarray]:
    """The outputs on the reference backend; numbers become arrays of the inputs' types."""
    arrays = [np.asarray(x, v.spec.dtype) for x, v in zip(inputs, graph.inputs, strict=True)]
    return get("reference").compile(graph)(*arrays)


def names(graph: Graph) -> list[str]:
    """The operations in order."""
    return [node.op.name for node in graph.nodes]


def numbers(spec: Spec, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 2.0, spec.shape).astype(spec.dtype)


def assert_same_numbers(before: Graph, after: Graph, seeds: Sequence[int] = (0, 1), tolerance: float = 0.0) -> None:
    """Both graphs give the same outputs for the same inputs."""
    for seed in seeds:
        inputs = [numbers(var.spec, seed + 10 * i) for i, var in enumerate(before.inputs)]
        for one, other in zip(run(before, *inputs), run(after, *inputs), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance)
