"""Dense, dropout, embedding, reshaping, noise and plain functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.nn.pulling import built, draws, pull

from pellucid import Callback, Sequential, Tensor, random_key
from pellucid.errors import ConfigurationError, DataError, DTypeError, ShapeError
from pellucid.nn import (
    ELU,
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Input,
    Lambda,
    Layer,
    LeakyReLU,
    Rescaling,
    Reshape,
    Softmax,
    phase,
)
from pellucid.optim import SGD


def in_training(layer: Layer, x: Any, seed: int = 0) -> np.ndarray:
    with phase(training=True, key=random_key(seed)):
        return np.asarray(layer(x))


# Dense.


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (2, 3, 2, 4), (1, 4), (0, 4)])
def test_dense_is_x_w_plus_b_on_the_last_axis(shape: tuple[int, ...]) -> None:
    layer = built(Dense(3), (1, 4))
    x = draws(*shape)
    got = pull(layer, x)
    rows, cotangents = x.reshape(-1, 4), got.cotangent.reshape(-1, 3)
    np.testing.assert_allclose(got.output, x @ layer.kernel.numpy() + layer.bias.numpy(), rtol=1e-12)
    np.testing.assert_allclose(got.parameters["kernel"], rows.T @ cotangents, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got.parameters["bias"], cotangents.sum(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got.inputs[0], got.cotangent @ layer.kernel.numpy().T, rtol=1e-12)


def test_dense_passes_delta_back_as_documented() -> None:
    layer = built(Dense(3, activation="tanh"), (1, 4))
    x = draws(5, 4)
    got = pull(layer, x)
    delta = got.cotangent * (1 - got.output**2)
    np.testing.assert_allclose(got.parameters["kernel"], x.T @ delta, rtol=1e-11)
    np.testing.assert_allclose(got.parameters["bias"], delta.sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(got.inputs[0], delta @ layer.kernel.numpy().T, rtol=1e-11)


def test_dense_without_bias_has_one_parameter() -> None:
    layer = built(Dense(3, use_bias=False), (1, 4))
    assert [p.name for p in layer.parameters] == ["dense.kernel"]
    np.testing.assert_allclose(layer(draws(2, 4)), draws(2, 4) @ layer.kernel.numpy(), rtol=1e-12)


def test_dense_turns_integers_into_floats() -> None:
    layer = Dense(2, kernel_initializer="ones")
    y = layer(np.array([[9, 1]], "uint8"))
    assert (y.dtype, y.tolist()) == (np.float32, [[10, 10]])


def test_the_lectures_forward_example() -> None:
    layer = Dense(2, activation="sigmoid")
    layer.ensure_built((1, 2))
    layer.kernel.assign(np.array([[1, -2], [-1, 1]]).T)
    layer.bias.assign([1, 0])
    assert layer(np.array([[1.0, -1.0]], "float32"))[0].numpy().round(2).tolist() == pytest.approx([0.98, 0.12])


# Activations as layers.


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Activation("tanh"), np.tanh),
        (Activation(lambda x: x * 3), lambda x: x * 3),
        (LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
        (ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        (Softmax(axis=1), lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)),
        (Rescaling(2.0, offset=-1.0), lambda x: 2 * x - 1),
        (Lambda(lambda x: x * x), np.square),
        (Flatten(), lambda x: x.reshape(2, 12)),
        (Reshape((4, 3)), lambda x: x.reshape(2, 4, 3)),
        (Reshape([2, -1]), lambda x: x.reshape(2, 2, 6)),
        (Dropout(0.5), lambda x: x),
        (GaussianNoise(1.0), lambda x: x),
    ],
    ids=lambda value: repr(value) if isinstance(value, Layer) else "formula",
)
def test_layers_without_parameters_are_their_formulas(layer: Layer, expected: Any) -> None:
    x = draws(2, 3, 4)
    np.testing.assert_allclose(layer(x), expected(x), rtol=1e-12)
    assert layer.parameters == []


def test_rescaling_makes_floats_of_pixels() -> None:
    y = Rescaling(1 / 255)(np.array([[0, 255]], "uint8"))
    assert (y.dtype, y.tolist()) == (np.float32, [[0, 1]])


def test_flatten_and_reshape_handle_samples_without_axes_and_empty_batches() -> None:
    assert Flatten()(np.zeros((3,))).shape == (3, 1)
    assert Flatten()(np.zeros((0, 2, 2))).shape == (0, 4)
    assert Reshape((2, -1))(np.zeros((0, 4))).shape == (0, 2, 2)


# Dropout.


@given(st.floats(0, 0.95), st.integers(1, 60), st.integers(0, 1000))
def test_exact_dropout_drops_the_rounded_share_of_every_sample(rate: float, n: int, seed: int) -> None:
    y = in_training(Dropout(rate, exact=True), np.ones((4, n)), seed)
    assert ((y == 0).sum(axis=1) == round(rate * n)).all()
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-12)


def test_exact_dropout_counts_over_all_axes_of_a_sample() -> None:
    y = in_training(Dropout(0.25, exact=True), np.ones((3, 4, 4, 2)))
    assert (y == 0).sum(axis=(1, 2, 3)).tolist() == [8, 8, 8]


def test_exact_dropout_of_the_lectures() -> None:
    y = in_training(Dropout(0.2, exact=True), np.ones((1, 6)))
    assert sorted(y[0].tolist()) == [0, 1.25, 1.25, 1.25, 1.25, 1.25]


def test_exact_dropout_drops_every_unit_equally_often() -> None:
    y = in_training(Dropout(0.5, exact=True), np.ones((20_000, 4)))
    # Binomial counts, five deviations wide.
    assert (np.abs((y == 0).sum(axis=0) - 10_000) < 5 * math.sqrt(20_000 / 4)).all()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("rate", [0.25, 0.5, 0.8])
def test_inverted_scaling_keeps_the_mean(rate: float, exact: bool) -> None:
    n = 200_000
    y = in_training(Dropout(rate, exact=exact), np.full((n // 20, 20), 3.0))
    deviation = 3 * math.sqrt(rate / (1 - rate))  # of one scaled unit
    assert abs(y.mean() - 3) < 5 * deviation / math.sqrt(n)
    np.testing.assert_allclose(np.unique(y), [0, 3 / (1 - rate)], rtol=1e-12)


def test_independent_dropout_drops_the_rates_share() -> None:
    n = 100_000
    y = in_training(Dropout(0.3), np.ones((1, n)))
    assert abs((y == 0).sum() - 0.3 * n) < 5 * math.sqrt(n * 0.3 * 0.7)


def test_the_gradient_flows_through_the_kept_units_alone() -> None:
    x = draws(4, 10)
    got = pull(Dropout(0.5), x, training=True, key=random_key(1))
    np.testing.assert_allclose(got.inputs[0], np.where(got.output == 0, 0, 2 * got.cotangent), rtol=1e-12)
    assert 0 < (got.output == 0).sum() < 40


def test_rate_zero_changes_nothing() -> None:
    x = draws(3, 4)
    for exact in (False, True):
        np.testing.assert_array_equal(in_training(Dropout(0.0, exact=exact), x), x)


def test_dropout_passes_infinities_only_through_kept_units() -> None:
    y = in_training(Dropout(0.5), np.full((1, 100), np.inf))
    assert set(np.unique(y)) == {0, np.inf}


def mask(layer: Layer, seed: int) -> list[bool]:
    return (in_training(layer, np.ones((1, 64)), seed) == 0)[0].tolist()


def test_masks_repeat_with_the_seed_and_only_then() -> None:
    assert mask(Dropout(0.5), 1) == mask(Dropout(0.5), 1)
    assert mask(Dropout(0.5), 1) != mask(Dropout(0.5), 2)


def test_samples_and_layers_have_masks_of_their_own() -> None:
    with phase(training=True, key=random_key(0)):
        first, second = np.asarray(Dropout(0.5)(np.ones((2, 64)))), np.asarray(Dropout(0.5)(np.ones((2, 64))))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, second)


class Probe(Layer):
    """Adds what passes through it to a statistic, so that compiled training can be looked into."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.seen = self.add_parameter("seen", (2, *shape[1:]), "zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.seen.assign(x)
        return x


def masks_in_training(seed: int, updates: int) -> list[np.ndarray]:
    """The masks of two dropout layers in each update of compiled training."""
    first, second = Probe(name="first"), Probe(name="second")
    layers = [Dropout(0.5), first, Rescaling(0.0, 1.0), Dropout(0.5), second, Dense(1)]
    model = Sequential([Input((64,)), *layers])
    model.compile(loss="mse", optimizer=SGD(0.0))
    seen: list[np.ndarray] = []
    x = np.ones((2 * updates, 64))

    class Collect(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.extend([first.seen.numpy() == 0, second.seen.numpy() == 0])

    model.fit(x, np.zeros(2 * updates), batch_size=2, epochs=1, seed=seed, callbacks=[Collect()], verbose=0)
    return seen


def test_compiled_training_draws_a_new_mask_per_step_and_layer_and_repeats_with_the_seed() -> None:
    first = masks_in_training(seed=5, updates=3)
    assert len(first) == 6
    assert len({m.tobytes() for m in first}) == 6
    assert [m.tobytes() for m in masks_in_training(seed=5, updates=3)] == [m.tobytes() for m in first]
    assert masks_in_training(seed=6, updates=3)[0].tobytes() != first[0].tobytes()


def test_evaluation_and_prediction_do_not_drop() -> None:
    model = Sequential([Input((8,)), Dropout(0.5), Activation("linear")])
    model.compile(loss="mse", optimizer="sgd")
    x = draws(4, 8).astype("float32")
    np.testing.assert_array_equal(model.predict(x), x)
    assert model.evaluate(x, x) == 0


# Noise.


def test_noise_has_its_moments_and_changes_from_call_to_call() -> None:
    n, std = 200_000, 0.3
    layer = GaussianNoise(std)
    with phase(training=True, key=random_key(0)):
        first, second = np.asarray(layer(np.full((1, n), 5.0))), np.asarray(layer(np.full((1, n), 5.0)))
    assert abs(first.mean() - 5) < 5 * std / math.sqrt(n)
    assert abs(first.std() - std) < 5 * std / math.sqrt(2 * n)
    noise = first - 5, second - 5
    assert abs(np.mean(noise[0] * noise[1])) < 5 * std**2 / math.sqrt(n)


def test_noise_passes_the_gradient_unchanged() -> None:
    got = pull(GaussianNoise(0.5), draws(3, 4), training=True, key=random_key(1))
    np.testing.assert_array_equal(got.inputs[0], got.cotangent)


# Embedding.


def test_an_embedding_is_a_table_whose_rows_add_up_their_gradients() -> None:
    layer = built(Embedding(5, 3), (1, 4))
    words = np.array([[1, 1, 4, 0], [1, 2, 2, 0]])
    got = pull(layer, words)
    np.testing.assert_array_equal(got.output, layer.embeddings.numpy()[words])
    expected = np.zeros((5, 3))
    np.add.at(expected, words, got.cotangent)
    np.testing.assert_allclose(got.parameters["embeddings"], expected, rtol=1e-12)
    assert expected[3].tolist() == [0, 0, 0]


def test_an_embedding_equals_torchs() -> None:
    torch = pytest.importorskip("torch")
    layer = built(Embedding(6, 2), (1, 3))
    words = np.array([[5, 5, 0], [3, 5, 1]])
    got = pull(layer, words)
    table = torch.tensor(layer.embeddings.numpy().copy(), requires_grad=True)
    y = torch.nn.functional.embedding(torch.tensor(words), table)
    (y * torch.tensor(got.cotangent)).sum().backward()
    np.testing.assert_array_equal(got.output, y.detach())
    np.testing.assert_allclose(got.parameters["embeddings"], table.grad, rtol=1e-12)


def test_a_model_that_begins_with_an_embedding_takes_integers() -> None:
    model = Sequential([Embedding(10, 4), Flatten(), Dense(1)])
    assert model.predict(np.array([[1, 2, 3]])).shape == (1, 1)
    assert model.inputs[0].dtype == np.int32


@pytest.mark.parametrize("bad", [10, -1])
def test_integers_outside_the_table_are_found_before_the_first_step(bad: int) -> None:
    model = Sequential([Embedding(10, 4, name="words"), Flatten(), Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    with pytest.raises(DataError) as error:
        model.fit(np.array([[1, 2], [bad, 0]]), np.zeros(2), verbose=0)
    assert str(error.value) == (
        f'layer "words": the integer {bad} lies outside 0..9.\n'
        "Hint: input_dim must be at least the largest integer plus 1"
    )


# Errors.


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Embedding(5, 2, name="words")(np.zeros((1, 2), "float32")),
            DTypeError,
            'layer "words": Embedding takes integers, not float32.\n'
            "Hint: declare the input with Input(shape, dtype='int32')",
        ),
        (
            lambda: Reshape((5,), name="r")(np.zeros((2, 4))),
            ShapeError,
            'layer "r": 4 elements [4] do not fill the shape [5] of 5',
        ),
        (
            lambda: Reshape((-1, -1), name="r")(np.zeros((2, 4))),
            ShapeError,
            'layer "r": the shape [-1, -1] has more than one -1',
        ),
        (lambda: Reshape(5), ConfigurationError, "Reshape: shape must be a list of whole numbers, not 5."),
        (lambda: Reshape("45"), ConfigurationError, "Reshape: shape must be a list of whole numbers, not '45'."),
        (lambda: Lambda("x + 1"), ConfigurationError, "Lambda takes a function, not 'x + 1'."),
        (
            lambda: Activation(3),
            ConfigurationError,
            "An activation must be a name or a function, not 3.",
        ),
        (lambda: GaussianNoise(0), ConfigurationError, "GaussianNoise: std must be a finite number above 0, not 0."),
        (lambda: Dropout(-0.1), ConfigurationError, "Dropout: rate must be a number in [0, 1), not -0.1."),
        (lambda: Dropout(float("nan")), ConfigurationError, "Dropout: rate must be a number in [0, 1), not nan."),
        (lambda: LeakyReLU(-1), ConfigurationError, "LeakyReLU: negative_slope must be a number in [0, inf], not -1."),
        (lambda: ELU(0), ConfigurationError, "ELU: alpha must be a finite number above 0, not 0."),
        (
            lambda: Embedding(0, 3),
            ConfigurationError,
            "Embedding: input_dim must be a whole number of at least 1, not 0.",
        ),
    ],
)
def test_wrong_settings_and_inputs_are_explained(make: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_tensors_that_require_gradients_get_them_through_a_stack_of_layers() -> None:
    x = Tensor(draws(2, 3), requires_grad=True)
    Flatten()(Reshape((3, 1))(Rescaling(2.0)(x))).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[2, 2, 2], [2, 2, 2]]
