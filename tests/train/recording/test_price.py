import numpy as np
import pytest

from pellucid import Input, Sequential, ops
from pellucid.graph import trace
from pellucid.nn import Dense
from pellucid.train.feed import single
from pellucid.train.recording import Recorder
from pellucid.train.recording.price import affordable, operations

R = np.random.default_rng(0)


def loops(inputs, units, batch):
    """The steps of a network without and with statistics."""
    model = Sequential([Input((inputs,)), Dense(units, "relu"), Dense(3, "softmax")])
    model.compile("categorical_crossentropy", "sgd", backend="reference")
    x, y = R.random((batch, inputs), "float32"), R.integers(0, 3, batch)
    segment = single((x,), (y,), None, [np.dtype("float32")])
    return tuple(model.programs.training(segment, recorder).loop for recorder in (None, Recorder()))


def test_operations_are_those_of_the_formulas():
    x, w = np.ones((5, 7), "float32"), np.ones((7, 4), "float32")
    assert operations(trace(lambda x, w: ops.relu(ops.matmul(x, w)), x, w).graph) == 5 * 7 * 4 + 5 * 4
    image, kernel = np.ones((2, 6, 6, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
    assert operations(trace(lambda x, w: ops.conv(x, w), image, kernel).graph) == 2 * 4 * 4 * 8 * 3 * 3 * 3


def test_long_steps_are_recorded_more_often_than_short_ones():
    every = [affordable(*loops(200, 50, batch), 1000) for batch in (1, 16, 256)]
    assert every[0] > every[1] > every[2]


@pytest.mark.parametrize("batch", [1, 16])
def test_a_fit_has_three_records_at_least(batch):
    for count in (1, 2, 3, 10, 500):
        every = affordable(*loops(300, 40, batch), count)
        steps = {*range(1, count + 1, every), count}
        assert len(steps) >= min(count, 3)


def test_the_price_is_a_share_of_training_in_long_fits():
    plain, recorded = loops(300, 40, 8)
    own, more = operations(plain.graph), operations(recorded.graph) - operations(plain.graph)
    records = 1_000_000 / affordable(plain, recorded, 1_000_000)
    assert records * more * 8 < 0.021 * own * 1_000_000
    assert affordable(plain, recorded, None) == pytest.approx(affordable(plain, recorded, 1_000_000), rel=0.01)


def test_the_same_fit_has_the_same_records_each_time_and_what_is_asked_for_is_given():
    def fitted(**arguments):
        model = Sequential([Input((300,)), Dense(40, "relu"), Dense(3, "softmax")])
        model.compile("categorical_crossentropy", "sgd")
        history = model.fit(x, y, batch_size=4, epochs=10, verbose=0, seed=0, record="stats", **arguments)
        return history.recording.steps

    x, y = np.random.default_rng(1).random((200, 300), "float32"), np.arange(200) % 3
    assert fitted() == fitted()
    assert fitted(every=45) == [*range(1, 500, 45), 500]
    assert 3 <= len(fitted()) <= len(fitted(every=50))
