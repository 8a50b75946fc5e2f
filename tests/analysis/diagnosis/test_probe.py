import numpy as np
import pytest
from tests.analysis.diagnosis.runs import digits, network, plain

from pellucid import Input, Model, Sequential, Tensor
from pellucid.analysis.diagnosis.probe import leaves, name_of_activation, probe
from pellucid.nn import GRU, LSTM, Activation, BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, losses, phase
from pellucid.nn import activations as functions


def test_the_gradients_are_those_of_back_propagation_and_the_model_is_not_touched():
    x, y = (a[:100] for a in digits().train)
    model = plain()
    seen = probe(model, x, y)
    twin = model.clone()
    with phase(training=True):
        loss = losses.get("categorical_crossentropy")(Tensor(y), twin(x))
        loss.backward()
    assert seen.loss == pytest.approx(float(loss), rel=1e-5)
    for view, layer in zip(seen.views, twin.layers, strict=True):
        assert view.gradients["kernel"] == pytest.approx(layer.kernel.grad.numpy(), abs=1e-6)
        assert view.gradients["bias"] == pytest.approx(layer.bias.grad.numpy(), abs=1e-6)
    assert model.layers[0].kernel.grad is None
    assert model.layers[0].activation == "relu"


def test_deltas_are_the_gradients_by_the_pre_activations():
    x, y = (a[:100] for a in digits().train)
    model = plain()
    hidden, last = probe(model, x, y).views
    outputs = model.predict(x)
    delta = (outputs - np.eye(10)[y]) / 100  # softmax and cross-entropy
    assert last.delta == pytest.approx(delta, abs=1e-6)
    assert hidden.delta == pytest.approx((delta @ last.weights["kernel"].T) * (hidden.activation > 0), abs=1e-6)
    assert last.gradients["kernel"] == pytest.approx(hidden.activation.T @ last.delta, abs=1e-5)


def test_a_probability_that_is_0_in_float32_still_has_a_gradient():
    model = network(Dense(10, "softmax"))
    model.set_weights({"dense.kernel": np.eye(64, 10, dtype=np.float32) * 1e4, "dense.bias": np.zeros(10, np.float32)})
    view = probe(model, np.eye(64, dtype=np.float32)[:1], np.array([3])).views[0]
    assert view.delta[0, [0, 3]].tolist() == pytest.approx([1.0, -1.0])


def test_dead_and_saturated_units_are_counted_per_unit_and_channel():
    model = network(
        Conv2D(3, 3, activation="relu"), Flatten(), Dense(4, "tanh"), Dense(10, "softmax"), inputs=(8, 8, 1)
    )
    weights = model.get_weights()
    weights["conv2d.bias"][1] = -1e3
    weights["dense.bias"][:2] = 50.0
    model.set_weights(weights)
    conv, _, dense, _ = probe(model, digits().x_train.reshape(-1, 8, 8, 1), digits().y_train).views
    assert conv.dead.tolist() == [False, True, False]
    assert dense.dead.tolist() == [True, True, False, False]
    assert dense.saturated[:, :2].all()


def test_layers_inside_of_models_have_their_path_as_label():
    inner = Sequential([Input((3,)), Dense(4, "relu", name="first")], name="block")
    x = Input((3,))
    model = Model(x, Dense(1, name="last")(inner(x)))
    model.compile("mse")
    assert [label for label, _ in leaves(model)] == ["block/first", "last"]
    assert [view.label for view in probe(model, np.ones((4, 3)), np.ones(4)).views] == ["block/first", "last"]


def test_dropout_and_batch_norm_do_not_disturb_the_seeds_or_the_model():
    model = network(Dense(8), BatchNorm(), Activation("relu"), Dropout(0.5), Dense(10, "softmax"))
    before = model.get_weights()
    first, again = (probe(model, *digits().train, seed=1).loss for _ in range(2))
    assert first == again
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Dense(1), "linear"),
        (Dense(1, activation=functions.linear), "linear"),
        (Dense(1, activation=functions.ACTIVATIONS["tanh"]), "tanh"),
        (Dense(1, activation=lambda x: x * x), ""),
        (Activation("relu"), "relu"),
        (BatchNorm(), ""),
    ],
)
def test_an_activation_has_a_name_however_it_is_given(layer, name):
    assert name_of_activation(layer) == name


def test_gates_and_states_of_recurrent_layers_are_seen_over_time():
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    model = network(LSTM(4, return_sequences=True), GRU(2, activation=None), Dense(1), loss="mse", inputs=(5, 3))
    seen = probe(model, x, np.ones(6))
    assert [view.label for view in seen.views] == ["lstm", "gru", "dense"]
    parts = {view.name: view for view in seen.parts}
    functions = {name: (view.function, view.activation.shape) for name, view in parts.items()}
    assert functions == {
        "lstm: forget gate": ("sigmoid", (6, 5, 4)), "lstm: input gate": ("sigmoid", (6, 5, 4)),
        "lstm: candidate": ("tanh", (6, 5, 4)), "lstm: cell state": ("", (6, 5, 4)),
        "lstm: output gate": ("sigmoid", (6, 5, 4)), "lstm: hidden state": ("", (6, 5, 4)),
        "gru: update gate": ("sigmoid", (6, 5, 2)), "gru: reset gate": ("sigmoid", (6, 5, 2)),
        "gru: candidate": ("", (6, 5, 2)), "gru: hidden state": ("", (6, 5, 2)),
    }  # fmt: skip
    assert np.array_equal(parts["lstm: hidden state"].activation, seen.views[0].activation)
    assert [view.label for view in seen.weighted] == ["lstm", "gru", "dense"]
    assert parts["gru: reset gate"].weights["kernel"].shape == (4, 6)


def test_two_cells_of_one_layer_are_kept_apart():
    class Twice(Layer):
        def build(self, shape):
            self.first, self.second = GRU(4, return_sequences=True, name="first"), GRU(2, name="second")

        def call(self, x):
            return self.second(self.first(x))

    model = network(Twice(name="twice"), Dense(1), loss="mse", inputs=(5, 3))
    seen = probe(model, np.ones((6, 5, 3)), np.ones(6))
    shapes = [view.activation.shape for view in seen.parts if view.part == "reset gate"]
    assert shapes == [(6, 5, 4), (6, 5, 2)]
