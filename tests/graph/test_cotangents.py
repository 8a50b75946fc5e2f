"""The backward sweep of a graph, with the gradient of everything between input and output."""

import numpy as np
import pytest

from pellucid import errors, ops
from pellucid.backends import get
from pellucid.graph import trace, verify
from pellucid.graph.cotangents import with_cotangents
from pellucid.op import Spec


def run(swept, variables, *arrays):
    """The gradients by some variables."""
    graph = swept.with_outputs([swept.cotangents[v] for v in variables])
    verify(graph)
    return [float(x.sum()) for x in get("reference").compile(graph).run([np.asarray(a) for a in arrays])]


def test_gradients_of_everything_between_are_found():
    graph = trace(lambda a: (2.0 * a) ** 2.0, Spec((), np.dtype("float64"))).graph
    variables = [graph.inputs[0], graph.nodes[0].output, graph.outputs[0]]
    assert run(with_cotangents(graph), variables, 3.0) == [24.0, 12.0, 1.0]


def test_where_paths_meet_gradients_add_up():
    def f(x):
        y = 3.0 * x
        return y * y + y

    graph = trace(f, np.float64(0)).graph
    assert run(with_cotangents(graph), [graph.nodes[0].output, graph.inputs[0]], 2.0) == [13.0, 39.0]


def test_only_the_paths_to_the_inputs_that_are_asked_for_are_walked():
    graph = trace(lambda x, y: x * y, np.float64(0), np.float64(0)).graph
    swept = with_cotangents(graph, [1])
    assert graph.inputs[0] not in swept.cotangents
    assert run(swept, [graph.inputs[1]], 5.0, 2.0) == [5.0]


def test_a_path_without_a_derivative_is_refused():
    graph = trace(lambda x, u: ops.max_pool(x, 2) + u, np.ones((1, 4, 1)), np.ones((1, 2, 1))).graph
    assert graph.inputs[0] in with_cotangents(graph).cotangents  # the winner's index is an integer: no path
    broken = trace(lambda x, y: ops.where(ops.greater(x, 0.0), x, y), np.ones(2), np.ones(2)).graph
    assert set(with_cotangents(broken).cotangents) >= set(broken.inputs)
    with pytest.raises(errors.PellucidError):
        trace(lambda x: ops.argmax(x) * "a", np.ones(2))
