"""Composites are found in graphs of primitives, and have the gradients of their primitives."""

import numpy as np
import pytest

from pellucid import ops
from pellucid.graph import trace
from pellucid.graph.composites import COMPOSITES, with_composites
from pellucid.graph.cotangents import with_cotangents
from pellucid.op import REGISTRY


def loss_and_gradient(graph, *arrays):
    """The output of a graph and its gradient by the first input."""
    swept = with_cotangents(graph, [0])
    values = dict(zip(swept.graph.inputs, arrays, strict=True)) | dict(swept.graph.constants)
    for node in swept.graph.nodes:
        values[node.output] = node.op.forward(*(values[v] for v in node.inputs), **node.attributes)
    return values[swept.graph.outputs[0]], values[swept.cotangents[graph.inputs[0]]]


def binary_cross_entropy(z, y):
    return -(y * -ops.softplus(-z) + (1 - y) * -ops.softplus(z))


ROWS, CLASSES = np.eye(3)[:2], np.array([0, 2], "int32")
COMPOSED = {
    "softmax": (lambda z, y: ops.softmax(z), ROWS),
    "log_softmax": (lambda z, y: ops.log_softmax(z, 0), ROWS),
    "mean": (lambda z, y: ops.mean(z, 0), ROWS),
    "square": (lambda z, y: ops.square(z), ROWS),
    "cross_entropy": (lambda z, y: ops.cross_entropy(ops.log_softmax(z), y), CLASSES),
    "cross_entropy_of_rows": (lambda z, y: ops.cross_entropy(ops.log_softmax(z), y), ROWS),
    "binary_cross_entropy": (binary_cross_entropy, ROWS),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composites_are_found_and_have_the_same_gradient_as_their_primitives(name):
    z = np.random.default_rng(1).normal(size=(2, 3))
    f, y = COMPOSED[name]

    def loss(z, y):
        out = f(z, y)
        return ops.sum(out * np.random.default_rng(2).normal(size=out.shape))

    graph = trace(loss, z, y).graph
    found = with_composites(graph)
    assert name in [node.op.name for node in found.nodes]
    values = [loss_and_gradient(one, z, y) for one in (graph, found)]
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_max_pooling_is_found_and_has_the_same_gradient():
    x = np.random.default_rng(3).normal(size=(2, 5, 5, 2))
    graph = trace(lambda x: ops.sum(ops.square(ops.max_pool(x, 3, 2, 1))), x).graph
    found = with_composites(graph)
    assert [node.op.name for node in found.nodes if "pool" in node.op.name][-1] == "max_pool"
    values = [loss_and_gradient(one, x)[1] for one in (graph, found)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-13)


def test_what_only_looks_like_a_composite_stays():
    def no_mean(x):
        return ops.sum(x, 0) * 0.3

    def no_softmax(x, y):
        return ops.exp(x - ops.stop_gradient(ops.max(x, -1, keepdims=True))) / ops.sum(ops.exp(y), -1, keepdims=True)

    for f in (no_mean, no_softmax):
        arrays = [np.ones((2, 4))] * f.__code__.co_argcount
        names = {node.op.name for node in with_composites(trace(f, *arrays).graph).nodes}
        assert not names & {"mean", "softmax"}


def test_composites_are_in_no_registry():
    assert not set(COMPOSITES) & set(REGISTRY)
