"""How the formulas call the values of a model's layers, and what they say."""

import pytest

from pellucid import Input, Model, Sequential, nn
from pellucid.nn import LAYERS, losses
from pellucid.nn.activations import ACTIVATIONS
from pellucid.train.formulas import (
    ACTIVATION_LAYERS,
    DERIVATIVES,
    FORMULAS,
    NUMBERED,
    LayerFormulas,
    loss_formula,
    loss_slope,
    simple_error,
)


def formulas(*layers, shape=(4,), loss="mse"):
    model = Sequential([Input(shape), *layers])
    model.compile(loss=loss)
    return LayerFormulas.of(model)


def test_every_layer_has_a_formula_but_a_function_of_ones_own():
    assert set(LAYERS) - {*FORMULAS, *NUMBERED, *ACTIVATION_LAYERS} == {"Lambda"}
    assert set(FORMULAS) <= set(LAYERS)


def test_every_activation_has_a_derivative():
    assert set(DERIVATIVES) == set(ACTIVATIONS)


def test_layers_with_weights_are_numbered_and_the_others_are_called_by_name():
    found = formulas(nn.Conv2D(2, 3, activation="relu"), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(1), shape=(6, 6, 1))
    assert [line for call in found.calls for line in call.forward()] == [
        "z^1 = W^1 conv a^0 + b^1",
        "a^1 = relu(z^1)",
        "max_pool2d = max over windows of a^1",
        "flatten = vec(max_pool2d)",
        "z^2 = W^2 flatten + b^2",
    ]
    assert found.outputs == ("z^2",)


def test_an_activation_layer_belongs_to_the_layer_before_it():
    found = formulas(nn.Dense(3), nn.Activation("sigmoid"), nn.Dense(1))
    assert [line for call in found.calls for line in call.forward()][:2] == ["z^1 = W^1 a^0 + b^1", "a^1 = sigma(z^1)"]
    assert found.backward(found.calls[0])["delta"] == "delta^1 = sigma'(z^1) * (W^2)^T delta^2"


@pytest.mark.parametrize(
    ("activation", "loss", "delta"),
    [
        ("softmax", "categorical_crossentropy", "(y_hat - y) / N"),
        ("sigmoid", "binary_crossentropy", "(y_hat - y) / (K N)"),
        (None, losses.CategoricalCrossentropy(from_logits=True), "(y_hat - y) / N"),
        ("sigmoid", "mse", "sigma'(z^1) * 2 (y_hat - y) / (K N)"),
        (None, losses.SumSquaredError(half=True), "(y_hat - y)"),
        ("tanh", losses.Huber(), "tanh'(z^1) * dL/da^1"),
        ("softmax", losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax'(z^1) * dL/da^1"),
    ],
)
def test_the_error_of_the_last_layer(activation, loss, delta):
    found = formulas(nn.Dense(3, activation=activation), loss=loss)
    assert found.backward(found.calls[0])["delta"] == f"delta^1 = {delta}"


def test_one_sigmoid_unit_has_no_k():
    found = formulas(nn.Dense(1, activation="sigmoid"), loss="binary_crossentropy")
    assert found.backward(found.calls[0])["delta"] == "delta^1 = (y_hat - y) / N"


def test_models_inside_of_models_and_shared_layers():
    inner = Sequential([Input((3,)), nn.Dense(2, activation="tanh")], name="tower")
    a, b = Input((3,), name="a"), Input((3,), name="b")
    model = Model([a, b], nn.Add()(inner(a), inner(b)))
    found = LayerFormulas.of(model)
    assert [(call.label, call.a, call.inputs) for call in found.calls] == [
        ("tower/dense", "a^1", ("a",)),
        ("tower/dense", "a^2", ("b",)),
        ("add", "add", ("a^1", "a^2")),
    ]


def test_losses():
    assert loss_formula(losses.SumSquaredError(half=True)) == "L = 1/2 sum over the batch of sum_k (y_hat_k - y_k)^2"
    assert loss_formula(losses.CustomLoss(abs)) == "L = mean over the batch of abs(y, y_hat)"
    assert {loss_slope(make()) for make in losses.LOSSES.values() if make not in (losses.CustomLoss,)} >= {
        "2 (y_hat - y)"
    }
    assert simple_error(losses.BinaryCrossentropy(), "sigmoid")
    assert not simple_error(losses.BinaryCrossentropy(), "tanh")
