"""No alarm for trainings that are good: every detector looks at each, on real data."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from tests.analysis.diagnosis.runs import diagnosed, network

from pellucid import EarlyStopping, Input, Model, data, set_seed
from pellucid.analysis import diagnose
from pellucid.nn import (
    LSTM,
    Activation,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    MaxPool2D,
)
from pellucid.optim import SGD, Adam, Momentum
from pellucid.train import recipe


@pytest.mark.parametrize("name", ["iris", "digits", "breast_cancer", "wine"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_recipe_of_the_command_line_gives_no_finding(name, seed):
    examples = data.load(name)
    set_seed(seed)
    model, options = recipe.build("mlp", examples)
    recipe.compile_for(model, examples, options, "auto")
    settings = {"validation_split": 0.1, "batch_size": options.batch_size, "seed": seed}
    stopping = EarlyStopping(patience=options.patience)
    model.fit(*examples.train, epochs=options.epochs, callbacks=[stopping], verbose=0, **settings)
    assert diagnose(model, *examples.train, test_data=examples.test, **settings).names == []


NETWORKS = {
    "tanh": ([Dense(64, "tanh"), Dense(64, "tanh"), Dense(10, "softmax")], Adam(0.001)),
    "sigmoid": ([Dense(64, "sigmoid"), Dense(10, "softmax")], Adam(0.01)),
    "plain descent": ([Dense(64, "relu"), Dense(10, "softmax")], SGD(0.1)),
    "momentum": ([Dense(64, "relu"), Dense(10, "softmax")], Momentum(0.05)),
    "batch norm": ([Dense(64), BatchNorm(), Activation("relu"), Dense(10, "softmax")], Adam(0.001)),
    "one layer": ([Dense(10, "softmax")], Adam(0.01)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_good_networks_for_the_digits_have_no_finding(name):
    layers, optimizer = NETWORKS[name]
    digits = data.load("digits").flat()
    found = diagnosed(
        network(*layers, optimizer=optimizer), *digits.train, epochs=20, validation_split=0.1, test_data=digits.test
    )
    assert found.names == []


def test_a_convolutional_network_has_no_finding():
    digits = data.load("digits")
    layers = [Conv2D(16, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(32, "relu"), Dropout(0.3)]
    model = network(*layers, Dense(10, "softmax"), optimizer=Adam(0.003), inputs=(8, 8, 1))
    assert diagnosed(model, *digits.train, epochs=15, validation_split=0.1, test_data=digits.test).names == []


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "wine"])
@pytest.mark.parametrize(("activation", "optimizer"), [("relu", Adam(0.01)), ("tanh", SGD(0.1))])
def test_small_networks_for_tables_have_no_finding(name, activation, optimizer):
    table = data.load(name).standardized()
    model = network(
        Dense(16, activation), Dense(table.n_classes, "softmax"), optimizer=optimizer, inputs=table.input_shape
    )
    found = diagnosed(
        model, *table.train, epochs=60, validation_split=0.2, test_data=table.test,
        callbacks=[EarlyStopping(patience=5)],
    )  # fmt: skip
    assert found.names == []


def test_unscaled_iris_is_small_enough():
    iris = data.load("iris")
    model = network(Dense(16, "relu"), Dense(3, "softmax"), optimizer=Adam(0.01), inputs=(4,))
    assert diagnosed(model, *iris.train, epochs=60, validation_split=0.2, test_data=iris.test).names == []


def test_regressions_have_no_finding():
    table = load_diabetes()
    x = (table.data / table.data.std(axis=0)).astype(np.float32)
    y = ((table.target - table.target.mean()) / table.target.std()).astype(np.float32)
    model = network(Dense(16, "relu"), Dense(1), loss="mse", inputs=(10,))
    stopping = [EarlyStopping(patience=5)]
    assert diagnosed(model, x, y, epochs=40, validation_split=0.2, callbacks=stopping).names == []
    x = np.linspace(-3, 3, 400, dtype=np.float32)[:, None]
    model = network(Dense(32, "tanh"), Dense(1), loss="mse", optimizer=Adam(0.01), inputs=(1,))
    assert diagnosed(model, x, np.sin(x), epochs=50, validation_split=0.2).names == []


def test_sequences_and_tokens_have_no_finding():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 10, 1)).astype(np.float32)
    model = network(LSTM(16), Dense(1), loss="mse", optimizer=Adam(0.01), inputs=(10, 1))
    assert diagnosed(model, x, x[:, -3:].sum((1, 2)), epochs=20, validation_split=0.2).names == []
    tokens = draw.integers(0, 20, (600, 8))
    layers = [Embedding(20, 8), Flatten(), Dense(16, "relu"), Dense(2, "softmax")]
    model = network(*layers, optimizer=Adam(0.01), inputs=(8,), dtype="int32")
    found = diagnosed(model, tokens, (tokens == 3).any(axis=1).astype(int), epochs=20, validation_split=0.2)
    assert found.names == []


def test_a_model_of_two_inputs_and_outputs_has_no_finding():
    draw = np.random.default_rng(0)
    left, right = draw.normal(size=(300, 3)), draw.normal(size=(300, 2))
    a, b = Input((3,), name="a"), Input((2,), name="b")
    joined = Concatenate()(Dense(8, "relu")(a), Dense(8, "relu")(b))
    model = Model([a, b], [Dense(1, name="price")(joined), Dense(3, activation="softmax", name="kind")(joined)])
    model.compile({"price": "mse", "kind": "categorical_crossentropy"}, Adam(0.01))
    y = {"price": left[:, 0] * 2 + right[:, 1], "kind": (left[:, 1] > 0) * 1 + (right[:, 0] > 0) * 1}
    found = diagnosed(model.clone(0), {"a": left, "b": right}, y, epochs=30)
    assert found.names == []
    assert "leakage" in found.skipped
