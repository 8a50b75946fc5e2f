"""Batches are converted and scaled on their way in, where the network begins with that."""

import numpy as np
import pytest

from pellucid import Input, Model, Sequential, set_seed
from pellucid.nn import Activation, Add, Conv2D, Dense, Dropout, Flatten, MaxPool2D, Normalization, Rescaling


def network(*layers, shape=(12,)):
    return Sequential([Input(shape), *layers, Dense(3, "softmax")])


def normalization(x):
    layer = Normalization()
    layer.adapt(x.astype("float32"))
    return layer


def trained(make, x, y, backend):
    set_seed(0)
    model = make()
    model.compile("categorical_crossentropy", "momentum", metrics=["accuracy"], backend=backend)
    history = model.fit(x, y, batch_size=8, epochs=2, seed=1, verbose=0)
    return model, history


def plans(model):
    """The names of the instructions of every plan of the step: one for each type of data."""
    (program,) = [p for key, p in model.programs.kept.items() if key[0] == "train"]
    return [[i.name for i in made.plan.instructions] for made in program.loop._made.values()]


def pixels(dtype, shape=(12,)):
    rng = np.random.default_rng(0)
    return rng.integers(0, 200 if dtype == "uint8" else 100, (32, *shape)).astype(dtype), rng.integers(0, 3, 32)


CASES = {
    "rescaled": (lambda x: network(Rescaling(1 / 255, -0.5)), (12,), "gather_rows+mul+add"),
    "an activation": (lambda x: network(Rescaling(0.01), Activation("tanh"), Dense(5)), (12,), "gather_rows+mul+tanh"),
    "normalised by feature": (lambda x: network(normalization(x)), (12,), "gather_rows+"),
    "images": (
        lambda x: network(Rescaling(1 / 255), Conv2D(20, 3), MaxPool2D(2), Flatten(), shape=(6, 6, 1)),
        (6, 6, 1),
        "gather_rows+mul",
    ),
}


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64"])
@pytest.mark.parametrize("name", CASES)
def test_what_the_network_begins_with_is_computed_while_rows_come_in(name, dtype):
    make, shape, expected = CASES[name]
    x, y = pixels(dtype, shape)
    model, history = trained(lambda: make(x), x, y, "cpu")
    assert all(names[0].startswith(expected) for names in plans(model))
    other, same = trained(lambda: make(x), x, y, "reference")
    np.testing.assert_allclose(history["loss"], same["loss"], rtol=1e-5)
    for one, two in zip(model.get_weights().values(), other.get_weights().values(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def residual():
    inputs = Input((12,))
    outputs = Add()([Rescaling(0.01)(inputs), Dense(12)(inputs)])
    return Model(inputs, Dense(3, "softmax")(outputs))


@pytest.mark.parametrize("make", [residual, lambda: network(Dropout(0.5))])
def test_a_batch_that_is_used_otherwise_comes_in_as_it_is(make):
    x, y = pixels("float32")
    x = x / 100
    model, history = trained(make, x, y, "cpu")
    assert all(names[:2] == ["gather_rows", "gather_rows"] for names in plans(model))
    _, same = trained(make, x, y, "reference")
    np.testing.assert_allclose(history["loss"], same["loss"], rtol=1e-5)
