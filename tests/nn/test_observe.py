import threading

import numpy as np

from pellucid import Input, Model, Tensor, ops
from pellucid.nn import LSTM, Conv2D, Dense, Layer, SimpleRNN
from pellucid.nn.observe import Observer, observing
from pellucid.op import current_scope


class Diary(Observer):
    def __init__(self):
        self.seen = []

    def preactivation(self, value):
        self.seen.append(("z", "/".join(current_scope()), value.numpy()))

    def activation(self, layer, value):
        self.seen.append(("a", "/".join(current_scope()), value.numpy()))

    def part(self, name, function, z, value):
        self.seen.append((name, "/".join(current_scope()), (function, z, value)))

    def names(self):
        return [(what, path) for what, path, _ in self.seen]


def test_a_layer_with_an_activation_tells_what_it_is_applied_to_and_what_it_gives():
    diary, layer = Diary(), Dense(3, activation="tanh", name="hidden")
    with observing(diary):
        layer(np.ones((2, 4), "float32"))
    assert diary.names() == [("z", "hidden"), ("a", "hidden")]
    np.testing.assert_allclose(np.tanh(diary.seen[0][2]), diary.seen[1][2], rtol=1e-6)


def test_a_linear_layer_tells_its_output_only():
    diary = Diary()
    with observing(diary):
        Dense(3)(np.ones((2, 4), "float32"))
        Dense(3, activation="linear", name="straight")(np.ones((2, 4), "float32"))
        Conv2D(2, 3, activation="relu")(np.ones((1, 4, 4, 1), "float32"))
    assert diary.names() == [("a", "dense"), ("a", "straight"), ("z", "conv2d"), ("a", "conv2d")]


class Double(Layer):
    def __init__(self):
        self.inner = Dense(2, activation=ops.tanh, name="inner")

    def call(self, x):
        return 2 * self.inner(x)


def test_inner_layers_and_nested_models_are_seen_with_their_paths():
    x = Input((3,))
    model = Model(x, Double()(x), name="block")
    diary = Diary()
    with observing(diary):
        model(np.ones((1, 3), "float32"))
    assert diary.names() == [
        ("z", "block/double/inner"), ("a", "block/double/inner"), ("a", "block/double"), ("a", "block"),
    ]  # fmt: skip


def test_recurrent_layers_tell_of_their_gates_and_states_at_every_step():
    diary = Diary()
    with observing(diary):
        LSTM(3)(np.ones((2, 2, 4), "float32"))
    step = ["forget gate", "input gate", "candidate", "cell state", "output gate", "hidden state"]
    assert diary.names() == [*((name, "lstm") for name in step * 2), ("a", "lstm")]
    function, z, value = diary.seen[0][2]
    assert function == "sigmoid"
    np.testing.assert_allclose(1 / (1 + np.exp(-z.numpy())), value.numpy(), rtol=1e-6)
    assert diary.seen[3][2][:2] == (None, None)
    np.testing.assert_array_equal(diary.seen[-2][2][2].numpy(), diary.seen[-1][2])


def test_a_linear_recurrence_tells_its_states_only():
    diary = Diary()
    with observing(diary):
        SimpleRNN(3, activation=None)(np.ones((2, 1, 4), "float32"))
    assert diary.names() == [("hidden state", "simple_rnn"), ("a", "simple_rnn")]
    assert diary.seen[0][2][:2] == (None, None)


def test_nobody_is_told_after_the_block_nor_on_another_thread():
    diary, x = Diary(), Tensor(np.ones((2, 4), "float32"))
    layer = Dense(3)
    layer(x)
    with observing(diary):
        thread = threading.Thread(target=layer, args=(x,))
        thread.start()
        thread.join()
        with observing(None):
            layer(x)
    layer(x)
    assert diary.seen == []
