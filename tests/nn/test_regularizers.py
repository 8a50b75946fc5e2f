"""Cost terms: values, gradients, and their place in training."""

from __future__ import annotations

import numpy as np
import pytest
from tests.nn.pulling import draws

from pellucid import Sequential, grad
from pellucid.errors import ConfigurationError
from pellucid.nn import BatchNorm, Conv2D, Dense, Embedding, Input, regularizers
from pellucid.nn.regularizers import L1, L1L2, L2
from pellucid.optim import SGD

W = draws(3, 4)


@pytest.mark.parametrize(
    ("regularizer", "cost", "slope"),
    [
        (L1(0.3), 0.3 * np.abs(W).sum(), 0.3 * np.sign(W)),
        (L2(0.3), 0.15 * (W**2).sum(), 0.3 * W),
        (L1L2(0.2, 0.3), 0.2 * np.abs(W).sum() + 0.15 * (W**2).sum(), 0.2 * np.sign(W) + 0.3 * W),
    ],
)
def test_costs_and_gradients_are_the_formulas(regularizer: L1, cost: float, slope: np.ndarray) -> None:
    np.testing.assert_allclose(regularizer.penalty(W).item(), cost, rtol=1e-13)
    np.testing.assert_allclose(grad(regularizer.penalty)(W), slope, rtol=1e-13)


def test_names_have_their_defaults_and_none_is_none() -> None:
    assert regularizers.get(None) is None
    assert [repr(regularizers.get(name)) for name in ("l1", "l2", "l1_l2")] == ["L1()", "L2()", "L1L2()"]
    assert regularizers.get("l2").strength == 0.01


def test_only_the_kernel_carries_the_kernels_regularizer() -> None:
    layers = [Dense(2, kernel_regularizer="l2"), Conv2D(2, 1, kernel_regularizer="l2"), BatchNorm()]
    layers.append(Embedding(3, 2, embeddings_regularizer="l1"))
    for layer, shape in zip(layers, [(1, 2), (1, 2, 2, 1), (1, 2), (1, 2)], strict=True):
        layer.ensure_built(shape)
    marked = [p.name for layer in layers for p in layer.parameters if p.regularizer]
    assert marked == ["dense.kernel", "conv2d.kernel", "embedding.embeddings"]


def step(kernel_regularizer: object, bias_regularizer: object = None) -> tuple[dict, dict, dict]:
    """One update with a data gradient of zero: weights before and after, and the logs."""
    layer = Dense(2, kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer)
    model = Sequential([Input((3,)), layer], dtype="float64")
    model.compile(loss="mse", optimizer=SGD(0.1))
    layer.bias.assign(draws(2))
    before = model.get_weights()
    x = draws(4, 3)
    logs = model.train_on_batch(x, model.predict(x))
    return before, model.get_weights(), logs


def test_training_adds_the_cost_to_the_loss_and_its_gradient_to_the_step() -> None:
    before, after, logs = step(L2(0.5))
    kernel = before["dense.kernel"]
    np.testing.assert_allclose(logs["loss"], 0.25 * (kernel**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(after["dense.kernel"], (1 - 0.1 * 0.5) * kernel, rtol=1e-12)
    np.testing.assert_allclose(after["dense.bias"], before["dense.bias"], rtol=1e-12)


def test_biases_can_be_regularised_on_request() -> None:
    before, after, _ = step(None, L1(0.5))
    np.testing.assert_allclose(after["dense.bias"], before["dense.bias"] - 0.05 * np.sign(before["dense.bias"]))
    np.testing.assert_allclose(after["dense.kernel"], before["dense.kernel"], rtol=1e-12)


def test_evaluation_reports_the_cost_too() -> None:
    layer = Dense(1, kernel_regularizer=L2(2.0), kernel_initializer="ones")
    model = Sequential([Input((3,)), layer])
    model.compile(loss="mse", optimizer="sgd")
    x = np.ones((5, 3), "float32")
    assert model.evaluate(x, model.predict(x)) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.get("l3"), "Unknown regularizer 'l3'; known are: l1, l1_l2, l2."),
        (lambda: L2(-0.1), "L2: strength must be a finite number of at least 0, not -0.1."),
        (lambda: Dense(2, kernel_regularizer=0.1), "regularizer must be a name or a Regularizer, not 0.1."),
    ],
)
def test_wrong_settings_are_explained(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()  # type: ignore[operator]
    assert str(error.value) == message
