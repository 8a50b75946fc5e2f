"""Relu after max pooling instead of before it: the same numbers, the same gradients."""

from __future__ import annotations

import numpy as np
import pytest
from tests.graph.build import F32, assert_same_numbers, graph_of, names, run

from pellucid import ops
from pellucid.graph import gradient, verify
from pellucid.graph.commute import pool_before_relu
from pellucid.graph.rewrite import eliminate_common, eliminate_dead
from pellucid.op import Spec

IMAGE, ROW = Spec((2, 6, 6, 3), F32), Spec((2, 9, 3), F32)


def commuted(function, spec):
    before = eliminate_common(graph_of(function, spec))
    after = eliminate_dead(pool_before_relu(before))
    verify(after)
    return before, after


@pytest.mark.parametrize("spec", [IMAGE, ROW])
@pytest.mark.parametrize("options", [{}, {"strides": 1}, {"padding": "same"}])
def test_relu_comes_after_the_choice(spec, options):
    before, after = commuted(lambda x: ops.max_pool(ops.relu(x - 1), 2, **options), spec)
    assert names(before).index("relu") < names(before).index("max_pool_index")
    assert names(after).index("max_pool_index") < names(after).index("relu")
    assert_same_numbers(before, after)


@pytest.mark.parametrize("spec", [IMAGE, ROW])
def test_the_gradient_stays(spec):
    def function(x):
        return ops.sum(ops.max_pool(ops.relu(x - 1), 2) * 3)

    before, after = commuted(function, spec)
    assert_same_numbers(gradient(before, [0]), gradient(after, [0]))


def test_an_activation_that_something_else_reads_stays():
    def function(x):
        active = ops.relu(x - 1)
        return ops.max_pool(active, 2), ops.sum(active)

    before, after = commuted(function, IMAGE)
    assert names(before) == names(after)


def test_an_activation_that_is_an_output_stays():
    def function(x):
        active = ops.relu(x - 1)
        return ops.max_pool(active, 2), active

    before, after = commuted(function, IMAGE)
    assert names(before) == names(after)


def test_other_activations_stay():
    before, after = commuted(lambda x: ops.max_pool(ops.tanh(x), 2), IMAGE)
    assert names(before) == names(after)


def test_nan_and_infinity_are_as_before():
    before, after = commuted(lambda x: ops.max_pool(ops.relu(x - 1), 2), IMAGE)
    x = np.zeros(IMAGE.shape, "float32")
    x[0, 0, 0], x[0, 2:4, 2:4], x[1, 5, 5] = np.nan, -np.inf, np.inf

    np.testing.assert_array_equal(run(before, x)[0], run(after, x)[0])
