import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.select.baselines.problems import iris, xor

from pellucid import Input, Model, Sequential
from pellucid.errors import ConfigurationError, DataError, NotBuiltError, ShapeError
from pellucid.nn import BatchNorm, Dense, Dropout
from pellucid.select.baselines.loss import LossFunction, vector_of


def evaluated(model, loss, point, x, y):
    """The loss by ``evaluate`` with the weights put into the model."""
    twin = model.clone()
    twin.set_weights(loss.weights(point))
    return twin.evaluate(x, y, return_dict=True, batch_size=None)["loss"]


@given(
    units=st.lists(st.integers(1, 5), max_size=2),
    count=st.integers(1, 4),
    backend=st.sampled_from(["auto", "reference"]),
)
def test_it_is_the_loss_of_evaluate_for_every_vector(units, count, backend):
    r = np.random.default_rng(0)
    x, y = r.normal(size=(7, 3)), r.integers(0, 2, 7)
    model = Sequential([Input((3,)), *(Dense(n, activation="tanh") for n in units), Dense(2, activation="softmax")])
    model.compile("categorical_crossentropy", "sgd", ["accuracy"], backend=backend)
    loss = LossFunction(model, x, y)
    points = loss.start + r.normal(size=(count, loss.size))
    assert np.allclose(loss(points), [evaluated(model, loss, p, x, y) for p in points], rtol=1e-5)


def test_penalties_belong_to_it_and_layers_are_at_inference():
    layers = [Dense(5, activation="relu", kernel_regularizer="l2"), BatchNorm(), Dropout(0.5), Dense(1)]
    model = Sequential([Input((3,)), *layers])
    model.compile("mse", "sgd")
    r = np.random.default_rng(0)
    x, y = r.normal(size=(9, 3)), r.normal(size=(9, 1))
    model.fit(x, y, epochs=2, verbose=0)  # statistics that are not their first ones
    loss = LossFunction(model, x, y)
    points = loss.start + 0.1 * r.normal(size=(3, loss.size))
    assert np.allclose(loss(points), [evaluated(model, loss, p, x, y) for p in points], rtol=1e-5)
    assert loss.size == sum(p.numpy().size for p in model.trainable_parameters) < model.count_parameters()


def test_several_inputs_and_outputs_are_one_loss():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    model = Model([a, b], [Dense(1, name="first")(a), Dense(1, name="second")(b)])
    model.compile(["mse", "mae"], "sgd", loss_weights=[1.0, 3.0])
    r = np.random.default_rng(0)
    x, y = [r.normal(size=(5, 2)), r.normal(size=(5, 3))], [r.normal(size=(5, 1)), r.normal(size=(5, 1))]
    loss = LossFunction(model, x, y)
    assert loss(loss.start[None])[0] == pytest.approx(evaluated(model, loss, loss.start, x, y), rel=1e-6)


def test_the_model_stays_as_it_is_and_its_weights_are_the_start():
    model, x, y = iris()
    before = model.get_weights()
    loss = LossFunction(model, x, y)
    loss(np.zeros((4, loss.size)))
    assert all(np.array_equal(value, before[name]) for name, value in model.get_weights().items())
    assert all(np.array_equal(value, before[name]) for name, value in loss.weights(loss.start).items())
    assert np.array_equal(loss.start, vector_of(model))


def test_a_large_call_is_made_in_pieces(monkeypatch):
    model, x, y = xor()
    loss = LossFunction(model, x, y)
    points = np.random.default_rng(0).normal(size=(50, loss.size))
    whole = loss(points)
    monkeypatch.setattr("pellucid.select.baselines.loss._CHUNK", 7 * loss.size)
    assert np.array_equal(loss(points), whole)
    assert loss(points[:0]).shape == (0,)


def test_what_is_no_number_is_infinite():
    model, x, y = xor()
    loss = LossFunction(model, x, y)
    assert np.isposinf(loss(np.full((1, loss.size), np.nan))).all()


def test_what_cannot_be_is_said():
    model, x, y = xor()
    loss = LossFunction(model, x, y)
    with pytest.raises(ShapeError, match=r"the loss takes points \[n, 13\], not \[13\]"):
        loss(loss.start)
    with pytest.raises(DataError, match="x has shape"):
        LossFunction(model, np.zeros((4, 3)), y)
    for layer in model.layers:
        layer.trainable = False
    with pytest.raises(ConfigurationError, match="has no parameter that is trained"):
        LossFunction(model, x, y)
    with pytest.raises(NotBuiltError, match="not compiled"):
        LossFunction(Sequential([Input((2,)), Dense(1)]), x, y)
