"""Initial values: their distributions, and what they do to training."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pellucid import Sequential, set_seed
from pellucid.errors import ConfigurationError
from pellucid.nn import Conv2D, Dense, Input, initializers
from pellucid.nn.initializers import INITIALIZERS, Constant, Orthogonal, RandomNormal, RandomUniform, VarianceScaling

DENSE = (400, 300)
CONV = (5, 5, 6, 160)


def draw(initializer: object, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return initializers.get(initializer).draw(shape, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((784, 100), (784, 100)), ((5, 5, 6, 16), (150, 400)), ((3, 8, 4), (24, 12)), ((7,), (7, 7)), ((), (1, 1))],
)
def test_fans_count_the_window(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert initializers.fans(shape) == expected


@pytest.mark.parametrize(
    ("initializer", "shape", "deviation"),
    [
        (RandomNormal(0.1), DENSE, 0.1),  # the lectures' N(0, 0.01), written with its variance
        ("random_normal", DENSE, 0.05),
        ("lecun_normal", DENSE, math.sqrt(1 / 400)),  # the lectures' sqrt(1 / rows)
        ("glorot_normal", DENSE, math.sqrt(2 / 700)),
        ("he_normal", DENSE, math.sqrt(2 / 400)),
        (VarianceScaling(1.0, "out"), DENSE, math.sqrt(1 / 300)),
        ("lecun_normal", CONV, math.sqrt(1 / 150)),
        ("glorot_normal", CONV, math.sqrt(2 / (150 + 4000))),
        ("he_normal", CONV, math.sqrt(2 / 150)),
    ],
)
def test_normal_draws_have_the_theorys_distribution(
    initializer: object, shape: tuple[int, ...], deviation: float
) -> None:
    values = draw(initializer, shape).ravel()
    # Five standard errors of the mean and of the deviation.
    assert abs(values.mean()) < 5 * deviation / math.sqrt(values.size)
    assert abs(values.std() - deviation) < 5 * deviation / math.sqrt(2 * values.size)
    assert stats.kstest(values, stats.norm(0, deviation).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("initializer", "shape", "limit"),
    [
        (RandomUniform(0.2), DENSE, 0.2),
        ("random_uniform", DENSE, 0.05),
        ("lecun_uniform", DENSE, math.sqrt(3 / 400)),
        ("glorot_uniform", DENSE, math.sqrt(6 / 700)),
        ("he_uniform", DENSE, math.sqrt(6 / 400)),
        ("glorot_uniform", CONV, math.sqrt(6 / (150 + 4000))),
        ("he_uniform", CONV, math.sqrt(6 / 150)),
    ],
)
def test_uniform_draws_fill_their_interval(initializer: object, shape: tuple[int, ...], limit: float) -> None:
    values = draw(initializer, shape).ravel()
    assert np.abs(values).max() <= limit
    assert stats.kstest(values, stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3


def test_the_mean_of_normal_draws_can_be_moved() -> None:
    values = draw(RandomNormal(0.5, mean=3.0), DENSE)
    assert abs(values.mean() - 3) < 5 * 0.5 / math.sqrt(values.size)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 3, 2, 8)])
def test_orthogonal_matrices_keep_lengths(shape: tuple[int, ...]) -> None:
    matrix = draw(Orthogonal(2.0), shape).reshape(-1, shape[-1])
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_draws_have_both_orientations() -> None:
    signs = [np.sign(np.linalg.det(draw("orthogonal", (3, 3), seed))) for seed in range(200)]
    # Half of the orthogonal matrices reflect: a binomial count, five deviations wide.
    assert abs(np.sum(np.array(signs) > 0) - 100) < 5 * math.sqrt(50)


def test_constants_are_constant() -> None:
    assert draw("zeros", (2, 2)).tolist() == [[0, 0], [0, 0]]
    assert draw("ones", (2,)).tolist() == [1, 1]
    assert draw(Constant(0.1), (3,)).tolist() == [0.1, 0.1, 0.1]


@pytest.mark.parametrize("name", INITIALIZERS)
def test_equal_seeds_give_equal_values(name: str) -> None:
    np.testing.assert_array_equal(draw(name, (4, 3), seed=1), draw(name, (4, 3), seed=1))
    if name not in ("zeros", "ones", "constant"):
        assert not np.array_equal(draw(name, (4, 3), seed=1), draw(name, (4, 3), seed=2))


def test_a_global_seed_fixes_the_parameters_of_a_model() -> None:
    def kernels(seed: int) -> list[np.ndarray]:
        set_seed(seed)
        model = Sequential([Input((8,)), Dense(8), Dense(8)])
        return [layer.kernel.numpy() for layer in model.layers]

    first, again, other = kernels(5), kernels(5), kernels(6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])  # layers of one model draw independently


def test_parameters_have_the_models_precision() -> None:
    narrow = Sequential([Input((8,)), Dense(8)])
    wide = Sequential([Input((8,)), Dense(8)], dtype="float64")
    assert narrow.layers[0].kernel.dtype == np.float32
    assert wide.layers[0].kernel.dtype == np.float64
    kernel = wide.layers[0].kernel.numpy()
    assert not np.array_equal(kernel, kernel.astype("float32"))  # not rounded on the way


def test_a_small_positive_bias_keeps_relu_units_alive() -> None:
    set_seed(0)
    layer = Dense(100, activation="relu", kernel_initializer=RandomNormal(0.01), bias_initializer=Constant(0.5))
    y = layer(np.random.default_rng(0).normal(size=(20, 10)).astype("float32"))
    assert layer.bias.tolist() == [0.5] * 100
    assert y.numpy().min() > 0


@pytest.mark.parametrize(("start", "symmetric"), [("zeros", True), (Constant(0.3), True), ("glorot_uniform", False)])
def test_equal_starts_keep_the_units_equal_during_training(start: object, symmetric: bool) -> None:
    set_seed(0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(32, 3))
    y = np.sin(x).sum(axis=1)
    hidden = Dense(4, activation="tanh", kernel_initializer=start)
    model = Sequential([Input((3,)), hidden, Dense(1, kernel_initializer=start)], dtype="float64")
    model.compile(loss="mse", optimizer="adam")
    model.fit(x, y, epochs=20, batch_size=8, seed=0, verbose=0)
    columns = hidden.kernel.numpy().T
    assert np.allclose(columns, columns[0], rtol=0, atol=1e-12) is symmetric
    assert np.abs(columns).max() > 0 or start == "zeros"


def test_zeros_move_the_output_bias_but_stay_symmetric() -> None:
    hidden = Dense(4, activation="sigmoid", kernel_initializer="zeros")
    model = Sequential([Input((2,)), hidden, Dense(1, kernel_initializer="zeros")])
    model.compile(loss="mse", optimizer="sgd")
    model.fit(np.eye(2), np.array([1.0, 3.0]), epochs=50, seed=0, verbose=0)
    kernel = hidden.kernel.numpy()
    assert np.ptp(kernel, axis=1).tolist() == [0, 0]
    assert np.abs(kernel).max() > 0


def test_convolutions_use_the_window_in_their_fans() -> None:
    set_seed(0)
    layer = Conv2D(160, 5, kernel_initializer="he_uniform")
    layer(np.zeros((1, 8, 8, 6), "float32"))
    assert layer.kernel.shape == CONV
    assert 0.999 * math.sqrt(6 / 150) < np.abs(layer.kernel.numpy()).max() <= math.sqrt(6 / 150)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: initializers.get("he_norml"),
            "Unknown initializer 'he_norml'; known are: constant, glorot_normal, glorot_uniform, he_normal, "
            "he_uniform, lecun_normal, lecun_uniform, ones, orthogonal, random_normal, random_uniform, zeros.\n"
            "Hint: did you mean 'he_normal'?",
        ),
        (lambda: initializers.get(3), "initializer must be a name or a Initializer, not 3."),
        (
            lambda: RandomNormal(-1),
            "RandomNormal: std must be a finite number of at least 0, not -1.",
        ),
        (lambda: Constant("0"), "Constant: value must be a number in [-inf, inf], not '0'."),
        (lambda: Orthogonal(0), "Orthogonal: gain must be a finite number above 0, not 0."),
        (
            lambda: VarianceScaling(fan="both"),
            "VarianceScaling: fan must be one of 'in', 'out', 'average', not 'both'.",
        ),
        (
            lambda: VarianceScaling(distribution="gauss"),
            "VarianceScaling: distribution must be one of 'normal', 'uniform', not 'gauss'.",
        ),
        (
            lambda: Dense(3, kernel_initializer="zeroes"),
            "Unknown initializer 'zeroes'; known are: constant, glorot_normal, glorot_uniform, he_normal, he_uniform, "
            "lecun_normal, lecun_uniform, ones, orthogonal, random_normal, random_uniform, zeros.\n"
            "Hint: did you mean 'zeros'?",
        ),
    ],
)
def test_wrong_settings_are_explained(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()  # type: ignore[operator]
    assert str(error.value) == message
