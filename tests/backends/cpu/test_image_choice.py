"""Which layout images get."""

from itertools import pairwise

import numpy as np
import pytest

from pellucid import ops
from pellucid.backends.cpu import matrix_unit
from pellucid.backends.cpu.image_choice import wants_batch_last
from pellucid.graph import trace


def graph_of(n, *channels):
    def function(x, *kernels):
        for w in kernels:
            x = ops.relu(ops.conv(x, w))
        return x

    kernels = [np.ones((3, 3, a, b), "float32") for a, b in pairwise(channels)]
    return trace(function, np.ones((n, 9, 9, channels[0]), "float32"), *kernels).graph


def test_the_layout_is_the_one_that_fills_more_lanes(monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.image_choice.lanes_for", lambda dtype: 64 // dtype.itemsize)
    assert wants_batch_last(graph_of(128, 1, 6, 16), False)
    assert wants_batch_last(graph_of(25, 3, 6), False)
    assert not wants_batch_last(graph_of(128, 3, 32, 64), False)
    assert not wants_batch_last(graph_of(2, 1, 6), False)
    assert not wants_batch_last(trace(lambda x: x * 2.0, np.ones((128, 4), "float32")).graph, False)


@pytest.mark.skipif(not matrix_unit.is_available(), reason="there is no matrix unit here")
def test_in_training_the_matrix_unit_counts():
    def graph_of_one(channels, outs, taps):
        shapes = (128, 14, 14, channels), (taps, taps, channels, outs)
        return trace(ops.conv, *(np.ones(shape, "float32") for shape in shapes)).graph

    assert wants_batch_last(graph_of_one(6, 16, 5), True)
    assert not wants_batch_last(graph_of_one(6, 16, 5), False)
    # Few taps leave the unit little to do; many channels are quicker tile by tile.
    assert not wants_batch_last(graph_of_one(6, 16, 1), True)
    assert not wants_batch_last(graph_of_one(64, 64, 3), True)
