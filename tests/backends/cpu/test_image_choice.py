"""Which layout images get."""

from itertools import pairwise

import numpy as np
import pytest

from pellucid import Input, Sequential, compile, grad, nn, ops, set_seed
from pellucid.backends.cpu import matrix_unit
from pellucid.backends.cpu.image_choice import layout_of
from pellucid.graph import trace


def wants_batch_last(graph, training):
    return layout_of(graph, training).batch_last


def graph_of(n, *channels, taps=5):
    def function(x, *kernels):
        for w in kernels:
            x = ops.relu(ops.conv(x, w))
        return x

    kernels = [np.ones((taps, taps, a, b), "float32") for a, b in pairwise(channels)]
    return trace(function, np.ones((n, 19, 19, channels[0]), "float32"), *kernels).graph


@pytest.fixture
def registers_of_64_bytes(monkeypatch):
    monkeypatch.setattr("pellucid.backends.cpu.image_choice.lanes_for", lambda dtype: 64 // dtype.itemsize)


@pytest.mark.usefixtures("registers_of_64_bytes")
def test_the_layout_is_the_one_that_fills_more_lanes():
    assert wants_batch_last(graph_of(128, 1, 6, 16), False)
    assert wants_batch_last(graph_of(25, 3, 6), False)
    assert not wants_batch_last(graph_of(128, 3, 32, 64), False)
    assert not wants_batch_last(graph_of(2, 1, 6), False)
    assert not wants_batch_last(trace(lambda x: x * 2.0, np.ones((128, 4), "float32")).graph, False)


@pytest.mark.parametrize("shapes", [((0, 9, 3), (3, 3, 4)), ((0, 8, 8, 3), (3, 3, 3, 4)), ((2, 8, 8, 3), (3, 3, 3, 0)),
                                    ((2, 8, 8, 0), (3, 3, 0, 32))])  # fmt: skip
def test_convolutions_of_nothing_have_a_layout_too(shapes):
    x, w = (np.ones(shape, "float32") for shape in shapes)

    def function(x, w):
        return ops.conv(x, w), *grad(lambda x, w: ops.sum(ops.conv(x, w)), (0, 1))(x, w)

    found, expected = (compile(function, backend=name)(x, w) for name in ("cpu", "reference"))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.usefixtures("registers_of_64_bytes")
def test_few_channels_of_one_convolution_do_not_decide_for_all():
    assert not wants_batch_last(graph_of(128, 32, 32, 32, 1, taps=3), True)
    assert not wants_batch_last(graph_of(128, 3, 32, 32, 6, taps=3), False)


@pytest.mark.usefixtures("registers_of_64_bytes")
@pytest.mark.parametrize("n", [1, 2, 25, 128])
def test_where_the_number_of_samples_decides_all_convolutions_outside_of_training_add_in_the_order_of_taps(n):
    assert layout_of(graph_of(n, 1, 6, 16), False).in_order
    assert not layout_of(graph_of(n, 1, 6, 16), True).in_order
    assert not layout_of(graph_of(n, 3, 32, 64, taps=3), False).in_order


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


@pytest.mark.parametrize(("channels", "outs"), [(16, (20,)), (3, (32, 6)), (3, (16, 24)), (3, (32,)), (2, (5,))])
def test_a_prediction_has_the_same_bits_in_a_batch_of_any_size_however_convolutions_are_made(channels, outs):
    set_seed(5)
    layers = [nn.Conv2D(n, 3, padding="same", activation="relu") for n in outs]
    model = Sequential([Input((12, 12, channels)), *layers, nn.MaxPool2D(2), nn.Flatten(), nn.Dense(3)])
    x = np.random.default_rng(0).random((67, 12, 12, channels), np.float32)
    whole = model.predict(x, batch_size=67)
    for size in (1, 7, 16, 64):
        assert model.predict(x, batch_size=size).tobytes() == whole.tobytes()
