"""Normalisation over the batch, over features, and of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from tests.nn.pulling import built, draws, pull

from pellucid import Sequential, set_seed
from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.nn import BatchNorm, Dense, Input, Layer, LayerNorm, Normalization, phase
from pellucid.optim import SGD

SHAPES = [(6, 4), (5, 7, 4), (3, 5, 2, 4)]


def settled(layer: Any, shape: tuple[int, ...]) -> Any:
    """The layer with drawn parameters; its variances are positive."""
    built(layer, shape)
    if isinstance(layer, BatchNorm):
        layer.moving_variance.assign(np.abs(layer.moving_variance.numpy()) + 0.5)
    return layer


# BatchNorm.


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_and_its_gradients_are_torchs(shape: tuple[int, ...], training: bool) -> None:
    torch = pytest.importorskip("torch")
    layer = settled(BatchNorm(epsilon=1e-3), shape)
    mean, variance = layer.moving_mean.numpy().copy(), layer.moving_variance.numpy().copy()
    x = draws(*shape) * 3 + 1
    got = pull(layer, x, training=training)
    rows = torch.tensor(x.reshape(-1, 4), requires_grad=True)
    gamma, beta = (torch.tensor(p.numpy().copy(), requires_grad=True) for p in (layer.gamma, layer.beta))
    y = torch.nn.functional.batch_norm(rows, torch.tensor(mean), torch.tensor(variance), gamma, beta, training, 0, 1e-3)
    (y * torch.tensor(got.cotangent.reshape(-1, 4))).sum().backward()
    np.testing.assert_allclose(got.output.reshape(-1, 4), y.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.inputs[0].reshape(-1, 4), rows.grad, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(got.parameters["gamma"], gamma.grad, rtol=1e-10)
    np.testing.assert_allclose(got.parameters["beta"], beta.grad, rtol=1e-10)


def test_in_training_each_channel_has_mean_0_and_deviation_1() -> None:
    layer = BatchNorm(epsilon=1e-12)
    with phase(training=True, dtype="float64"):
        y = np.asarray(layer(draws(50, 3) * 7 + 100))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-9)


def test_moving_statistics_follow_the_documented_average() -> None:
    layer = BatchNorm(momentum=0.8)
    mean, variance = np.zeros(3), np.ones(3)
    with phase(training=True, dtype="float64"):
        for seed in range(4):
            x = draws(10, 3, seed=seed) * 2 + 5
            layer(x)
            mean = 0.8 * mean + 0.2 * x.mean(axis=0)
            variance = 0.8 * variance + 0.2 * x.var(axis=0)  # divided by n
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-12)


def test_compiled_training_moves_the_statistics_and_inference_leaves_them() -> None:
    layer = BatchNorm(momentum=0.9)
    model = Sequential([Input((3,)), layer, Dense(1)], dtype="float64")
    model.compile(loss="mse", optimizer=SGD(0.01))
    x = draws(8, 3) * 2 + 5
    model.fit(x, np.zeros(8), batch_size=None, epochs=2, verbose=0)
    share = 1 - 0.9**2
    np.testing.assert_allclose(layer.moving_mean, share * x.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(layer.moving_variance, 0.9**2 + share * x.var(axis=0), rtol=1e-10)
    before = layer.moving_mean.numpy().copy()
    model.evaluate(x, np.zeros(8))
    model.predict(x)
    np.testing.assert_array_equal(layer.moving_mean, before)


def test_an_untrainable_batch_norm_uses_and_keeps_its_moving_statistics() -> None:
    layer = settled(BatchNorm(trainable=False), (6, 4))
    x = draws(6, 4)
    with phase(training=True, dtype="float64"):
        training = np.asarray(layer(x))
    np.testing.assert_array_equal(training, layer(x))
    assert layer.trainable_parameters == []


def test_center_and_scale_can_be_left_out() -> None:
    layer = BatchNorm(center=False, scale=False)
    layer(draws(3, 4))
    assert [p.name for p in layer.parameters] == ["batch_norm.moving_mean", "batch_norm.moving_variance"]
    plain = LayerNorm(center=False, scale=False)
    plain(draws(3, 4))
    assert plain.parameters == []


def test_a_constant_channel_becomes_beta() -> None:
    layer = BatchNorm()
    with phase(training=True):
        assert np.asarray(layer(np.full((5, 2), 3.0, "float32"))).tolist() == [[0, 0]] * 5


# LayerNorm.


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm_and_its_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    layer = settled(LayerNorm(epsilon=1e-5), shape)
    x = draws(*shape) * 3 + 1
    got = pull(layer, x)
    image = torch.tensor(x, requires_grad=True)
    gamma, beta = (torch.tensor(p.numpy().copy(), requires_grad=True) for p in (layer.gamma, layer.beta))
    y = torch.nn.functional.layer_norm(image, (4,), gamma, beta, 1e-5)
    (y * torch.tensor(got.cotangent)).sum().backward()
    np.testing.assert_allclose(got.output, y.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.inputs[0], image.grad, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(got.parameters["gamma"], gamma.grad, rtol=1e-10)
    np.testing.assert_allclose(got.parameters["beta"], beta.grad, rtol=1e-10)


def test_layer_norm_is_the_same_in_training_and_for_any_batch() -> None:
    layer = settled(LayerNorm(), (6, 4))
    x = draws(6, 4)
    with phase(training=True):
        np.testing.assert_array_equal(layer(x), layer(x))
    np.testing.assert_allclose(np.asarray(layer(x))[:1], layer(x[:1]), rtol=1e-12)


# Normalization.


def test_adapted_features_are_standardised_as_by_scikit_learn() -> None:
    x = draws(40, 3) * [1, 20, 0.01] + [0, 500, -3]
    layer = Normalization()
    with phase(training=False, dtype="float64"):
        layer.adapt(x)
    np.testing.assert_allclose(layer(x), StandardScaler().fit_transform(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("axis", "kept"), [(-1, (3,)), ((), ()), ((1, 2, 3), (1, 2, 3)), (1, (1,))])
def test_statistics_are_kept_along_the_given_axes(axis: Any, kept: tuple[int, ...]) -> None:
    x = draws(20, 3, 4, 2) + 10
    layer = Normalization(axis)
    with phase(training=False, dtype="float64"):
        layer.adapt(x)
    over = tuple(a for a in range(4) if a not in kept)
    expected = (x - x.mean(axis=over, keepdims=True)) / x.std(axis=over, keepdims=True)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-9, atol=1e-12)
    assert layer.mean.shape == tuple(n if a in kept else 1 for a, n in enumerate(x.shape))[1:]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3e-8])
def test_a_constant_feature_is_only_centred(value: float) -> None:
    x = np.stack([np.full(7, value), np.arange(7.0)], axis=1)
    layer = Normalization()
    layer.adapt(x)
    assert layer.deviation.numpy()[0] == 1
    y = np.asarray(layer(x.astype("float32")))
    assert y[:, 0].tolist() == [0] * 7
    assert y[:, 1].std() == pytest.approx(1, rel=1e-6)


def test_integers_are_taken_as_numbers() -> None:
    layer = Normalization()
    layer.adapt(np.array([[0, 255], [254, 255]], "uint8"))
    assert layer.mean.tolist() == [127, 255]
    assert layer.deviation.tolist() == [127, 1]
    assert np.asarray(layer(np.array([[0, 255]], "uint8"))).tolist() == [[-1, 0]]


def test_a_layer_that_was_not_adapted_changes_nothing() -> None:
    x = draws(3, 2)
    np.testing.assert_array_equal(Normalization()(x), x)


def test_adapting_again_replaces_the_statistics() -> None:
    layer = Normalization()
    layer.adapt(draws(20, 2))
    layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    assert layer.mean.tolist() == [2, 20]
    assert layer.deviation.tolist() == [1, 10]


def test_statistics_are_weights_that_training_keeps() -> None:
    layer = Normalization()
    layer.adapt(draws(20, 2) + 4)
    model = Sequential([Input((2,)), layer, Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    before = {name: model.get_weights()[f"normalization.{name}"] for name in ("mean", "deviation")}
    model.fit(draws(20, 2) + 4, np.ones(20), epochs=2, verbose=0)
    for name, value in before.items():
        np.testing.assert_array_equal(model.get_weights()[f"normalization.{name}"], value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0, np.nan], [1.0, 2.0]], 'layer "n": adapt met NaN or infinity in the data.'),
        ([[1.0, np.inf], [1.0, 2.0]], 'layer "n": adapt met NaN or infinity in the data.'),
        ([["a", "b"]], 'layer "n": adapt needs numbers, not <U1.'),
        (np.zeros((0, 3)), 'layer "n": adapt needs samples [batch, ...], not shape [0, 3].'),
        ([1.0, 2.0], 'layer "n": adapt needs samples [batch, ...], not shape [2].'),
    ],
)
def test_data_that_cannot_be_adapted_to_are_explained(data: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        Normalization(name="n").adapt(data)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BatchNorm(1.5), ConfigurationError, "BatchNorm: momentum must be a number in [0, 1], not 1.5."),
        (
            lambda: LayerNorm(0),
            ConfigurationError,
            "LayerNorm: epsilon must be a finite number above 0, not 0.",
        ),
        (
            lambda: BatchNorm(name="b")(np.zeros(3)),
            ShapeError,
            'layer "b": BatchNorm takes inputs [batch, ..., channel], not [3]',
        ),
    ],
)
def test_wrong_settings_and_inputs_are_explained(make: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_batch_statistics_rest_inside_a_frozen_layer() -> None:
    class Block(Layer):
        def setup(self) -> None:
            self.norm = BatchNorm()

        def call(self, x):
            return self.norm(x)

    block = Block()
    x = np.random.default_rng(0).normal(3, 2, (20, 4)).astype("float32")
    with phase(training=True):
        block(x)
        moved = block.norm.moving_mean.numpy().copy()
        assert np.abs(moved).max() > 0
        block.trainable = False
        y = np.asarray(block(x))
    np.testing.assert_array_equal(block.norm.moving_mean.numpy(), moved)
    assert abs(y.mean()) > 1  # normalised by the moving statistics, not by the batch's


def test_a_clone_draws_the_layers_after_adapted_statistics_as_a_fresh_model_does():
    def fresh(seed):
        set_seed(seed)
        layer = Normalization()
        model = Sequential([Input((3,)), layer, Dense(4)])
        layer.adapt(np.arange(12.0).reshape(4, 3))
        return model

    clone = fresh(0).clone(7)
    for name, numbers in fresh(7).get_weights().items():
        np.testing.assert_array_equal(clone.get_weights()[name], numbers, err_msg=name)
