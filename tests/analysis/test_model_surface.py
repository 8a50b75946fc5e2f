import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.analysis import loss_surface
from pellucid.nn import (
    GRU,
    LSTM,
    AvgPool1D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalMaxPool,
    LayerNorm,
    LeakyReLU,
    SimpleRNN,
    Softmax,
)  # fmt: skip
from pellucid.nn.regularizers import L2

R = np.random.default_rng(0)
X, Y = R.normal(size=(50, 4)), R.integers(0, 3, 50)


def net(loss="categorical_crossentropy", metrics=(), **settings):
    set_seed(0)
    layers = [Dense(5, "tanh", kernel_regularizer=L2(0.02)), Dropout(0.5), Dense(3, "softmax", name="head")]
    model = Sequential([Input((4,)), *layers], **settings)
    model.compile(loss, metrics=metrics)
    return model


@pytest.mark.parametrize("batch_size", [1, 16, 60])
def test_a_models_loss_is_that_of_evaluate_whatever_the_batch_size(batch_size):
    model = net()
    surface = loss_surface(model, X, Y, batch_size=batch_size)
    assert surface.value() == pytest.approx(model.evaluate(X, Y), rel=1e-6)
    assert surface.value() == pytest.approx(loss_surface(model, X, Y).value(), rel=1e-14)


def test_gradient_and_hessian_are_the_differences_of_loss_and_gradient_and_do_not_depend_on_the_batch_size():
    for batch_size in (50, 16):
        surface = loss_surface(net(), X, Y, batch_size=batch_size)
        n, h = surface.point.size, 1e-5
        moves = h * np.eye(n)
        numeric = (surface.values(surface.point + moves) - surface.values(surface.point - moves)) / (2 * h)
        np.testing.assert_allclose(surface.gradient(), numeric, atol=1e-9)
        slopes = (surface.gradients(surface.point + moves) - surface.gradients(surface.point - moves)) / (2 * h)
        np.testing.assert_allclose(surface.hessian(), slopes, atol=1e-8)
        v = R.normal(size=n)
        np.testing.assert_allclose(surface.hvp(v), surface.hessian() @ v, atol=1e-12)


def test_compiled_and_step_by_step_agree():
    surface = loss_surface(net(), X, Y, batch_size=16)
    value, gradient = surface.step_by_step(surface.point, slope=True)
    assert value == pytest.approx(surface.value(), rel=1e-12)
    np.testing.assert_allclose(gradient, surface.gradient(), atol=1e-13)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_it_runs_on_every_backend(backend):
    model = net()
    model.compile("categorical_crossentropy", backend=backend)
    surface = loss_surface(model, X, Y)
    np.testing.assert_allclose(surface.hessian(), loss_surface(net(), X, Y).hessian(), atol=1e-12)


def test_sample_weights_count_and_sums_stay_sums():
    weights = R.uniform(size=50)
    model = net()
    weighted = loss_surface(model, X, Y, sample_weight=weights).value()
    assert weighted == pytest.approx(model.evaluate(X, Y, sample_weight=weights), rel=1e-6)
    set_seed(0)
    summed = Sequential([Input((4,)), Dense(1)])
    summed.compile("sse")
    target = R.normal(size=50)
    assert loss_surface(summed, X, target, batch_size=7).value() == pytest.approx(summed.evaluate(X, target), rel=1e-5)


def test_later_training_moves_no_surface_and_looking_changes_no_model():
    model = net()
    surface, before = loss_surface(model, X, Y), model.get_weights()
    value = surface.value()
    surface.hessian(), surface.values(surface.point + R.normal(size=(9, surface.point.size)))
    assert all(np.array_equal(v, before[name]) for name, v in model.get_weights().items())
    model.fit(X, Y, epochs=2, verbose=0, seed=0)
    assert surface.value() == value


def test_frozen_layers_are_no_parameters():
    model = net()
    model.layers[0].trainable = False
    surface = loss_surface(model, X, Y)
    assert surface.names == ("head.kernel", "head.bias")
    assert set(surface.weights()) == set(model.get_weights())


def test_weights_of_a_point_can_be_set():
    model = net()
    surface = loss_surface(model, X, Y)
    point = surface.point + 0.1
    model.set_weights(surface.weights(point))
    assert model.evaluate(X, Y) == pytest.approx(surface.value(point), rel=1e-6)


SEQUENCES, IMAGES, WORDS = R.normal(size=(6, 5, 3)), R.normal(size=(4, 9, 9, 2)), R.integers(0, 7, (6, 5))


@pytest.mark.parametrize(
    ("x", "layers"),
    [
        (SEQUENCES, [GRU(3, return_sequences=True), SimpleRNN(3)]),
        (SEQUENCES, [Conv1D(4, 2, activation="elu"), AvgPool1D(2), Flatten()]),
        (WORDS, [Embedding(7, 3), LSTM(2)]),
        (IMAGES, [Conv2D(3, 3, padding="same", strides=2), BatchNorm(), LeakyReLU(), GlobalMaxPool()]),
        (X, [LayerNorm(), Dense(5, "softsign"), Softmax()]),
    ],
    ids=["recurrent", "conv1d", "embedding", "conv2d", "dense"],
)
def test_layers_of_every_kind_have_the_right_hessian(x, layers):
    set_seed(0)
    kind = {"dtype": "int32"} if x.dtype.kind == "i" else {}
    model = Sequential(
        [Input(x.shape[1:], **kind), *(type(each)(**each.config()) for each in layers), Dense(3, "softmax")]
    )
    model.compile("categorical_crossentropy")
    surface = loss_surface(model, x, Y[: len(x)])
    v, h = np.random.default_rng(0).normal(size=surface.point.size), 1e-6
    slopes = (surface.gradient(surface.point + h * v) - surface.gradient(surface.point - h * v)) / (2 * h)
    np.testing.assert_allclose(surface.hvp(v), slopes, atol=1e-7 * np.abs(slopes).max())
