"""Batches are converted and scaled on their way in, where the network begins with that."""

import numpy as np
import pytest

from pellucid import Input, Model, Sequential, set_seed
from pellucid.nn import Activation, Add, Conv2D, Dense, Dropout, Flatten, MaxPool2D, Normalization, Rescaling
from pellucid.plan.plan import When


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
    """The names of what every plan of the step makes each time: one for each type of data and size of a batch."""
    programs = [p for key, p in model.programs.kept.items() if key[0] == "train"]
    made = [made.plan.instructions for p in programs for made in p.loop._made.values()]
    return [[i.name for i in instructions if i.when is When.ALWAYS] for instructions in made]


def pixels(dtype, shape=(12,)):
    rng = np.random.default_rng(0)
    return rng.integers(0, 200 if dtype == "uint8" else 100, (32, *shape)).astype(dtype), rng.integers(0, 3, 32)


def gathered(model, dtype):
    """How many data sets are gathered in the plans for inputs of a type."""
    programs = [p for key, p in model.programs.kept.items() if key[0] == "train"]
    made = [plan for p in programs for types, plan in p.loop._made.items() if str(types[0]) == dtype]
    return {sum(i.name.startswith("gather_rows") for i in plan.plan.instructions) for plan in made}


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


@pytest.mark.parametrize("features", [2, 12, 37])
@pytest.mark.parametrize(("rows", "batch"), [(32, 8), (29, 8), (40, 40), (32, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_read_a_batch_where_it_lies_with_the_bits_of_one_that_comes_in(dtype, rows, batch, features):
    rng = np.random.default_rng(rows)
    x, y = rng.normal(size=(rows, features)).astype(dtype), rng.integers(0, 3, rows)

    def weights(x):
        set_seed(0)
        model = Sequential([Input((features,)), Dense(40, "tanh"), Dense(3, "softmax")], dtype=dtype)
        model.compile("categorical_crossentropy", "momentum", backend="cpu")
        model.fit(x, y, batch_size=batch, epochs=2, seed=1, verbose=0)
        return model

    in_place = weights(x)
    assert gathered(in_place, dtype) == {1}
    # Numbers of another type come in, and are converted.
    other = weights(x.astype("float64") if dtype == "float32" else np.float32(x))
    assert gathered(other, "float64" if dtype == "float32" else "float32") == {2}
    expected = in_place if dtype == "float32" else weights(np.float32(x).astype(dtype))
    for one, two in zip(expected.get_weights().values(), other.get_weights().values(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_batch_of_one_or_of_one_feature_comes_in():
    x, y = pixels("float32")
    for features, batch in ((11, 1), (1, 8)):
        model = network(Dense(5), shape=(features,))
        model.compile("categorical_crossentropy", "sgd", backend="cpu")
        model.fit(x[:, :features] / 100, y, batch_size=batch, epochs=1, verbose=0)
        assert gathered(model, "float32") == {2}
