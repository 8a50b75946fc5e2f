import numpy as np
import pytest

from pellucid import Input, Sequential, ops
from pellucid.nn import ELU, Activation, Dense, Layer, LeakyReLU, Softmax
from pellucid.train.recording.probe import check_layers, function_of, homes, paths


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Dense(2), ""),
        (Dense(2, activation="linear"), ""),
        (Dense(2, activation="tanh"), "tanh"),
        (Dense(2, activation=ops.relu), "relu"),
        (Activation("sigmoid"), "sigmoid"),
        (Softmax(), "softmax"),
        (LeakyReLU(), "leaky_relu"),
        (ELU(), "elu"),
        (Dense(2, activation=np.sin), "sin"),
    ],
)
def test_the_activation_function_of_a_layer_has_its_name(layer, name):
    assert function_of(layer) == name


class Twins(Layer):
    """Two inner layers of one name."""

    def build(self, shape):
        self.left, self.right = Dense(2), Dense(2)

    def call(self, x):
        return self.left(x) + self.right(x)


def test_every_parameter_has_one_home_even_where_paths_are_equal():
    model = Sequential([Input((3,)), Twins(name="twins"), Dense(1)])
    assert [path for _, path in paths(model)] == ["twins", "twins/dense", "twins/dense", "dense"]
    found = homes(model)
    assert sorted((path, name) for _, path, name in found.values()) == [
        ("dense", "bias"), ("dense", "kernel"), ("twins/dense", "bias"), ("twins/dense", "bias 2"),
        ("twins/dense", "kernel"), ("twins/dense", "kernel 2"),
    ]  # fmt: skip
    assert set(found) == {id(p) for p in model.parameters}


def test_layers_of_equal_paths_are_both_recorded():
    model = Sequential([Input((3,)), Twins(name="twins"), Dense(1)])
    model.compile("mse", "sgd")
    r = model.fit(np.ones((4, 3)), np.ones(4), record="full", verbose=0).recording
    assert sorted(r.weights(1, "twins/dense")) == ["bias", "bias 2", "kernel", "kernel 2"]
    assert r.layers == ["twins/dense", "twins", "dense"]


def test_all_layers_are_known_by_their_paths():
    model = Sequential([Input((3,)), Twins(name="twins"), Dense(1)])
    check_layers(model, ["twins", "twins/dense", "dense"])
    check_layers(model, None)
