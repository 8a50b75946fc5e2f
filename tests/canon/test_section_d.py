"""Section D of the lectures' canon: convolutional networks, with the numbers of the decks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.canon.mnist_files import mnist_or_skip

from pellucid import Sequential, Tensor, jacobian, set_seed
from pellucid.nn import Conv2D, Dense, Flatten, GlobalAveragePool, Input, MaxPool2D, Normalization
from pellucid.optim import Adam

KERNEL = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], float)
FIRST = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]], float)
SECOND = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]], float)


def convolved(image: np.ndarray, **settings: Any) -> list[list[float]]:
    layer = Conv2D(1, 3, **settings)
    layer.ensure_built((1, 5, 5, 1))
    layer.kernel.assign(KERNEL.reshape(3, 3, 1, 1))
    return np.asarray(layer(image.reshape(1, 5, 5, 1)))[0, :, :, 0].tolist()


def test_stride_1() -> None:
    assert convolved(FIRST) == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


@pytest.mark.parametrize("image", [FIRST, SECOND], ids=["first", "second"])
def test_stride_2(image: np.ndarray) -> None:
    assert convolved(image, strides=2) == [[4, 4], [2, 4]]


@pytest.mark.parametrize("padding", [1, "same", ((1, 1), (1, 1))])
def test_zero_padding_keeps_the_size(padding: Any) -> None:
    """The slide prints 2 for the 3 in the first row: a slip, as the sum over the window shows."""
    padded = convolved(SECOND, padding=padding)
    assert padded == [[2, 2, 3, 1, 1], [1, 4, 3, 4, 1], [1, 2, 4, 3, 3], [0, 2, 3, 4, 2], [0, 1, 2, 2, 1]]
    assert (np.pad(SECOND, 1)[0:3, 2:5] * KERNEL).sum() == 3


def test_unpadded_output_sizes_are_the_decks_formula() -> None:
    for width in range(3, 12):
        for window in range(1, width + 1):
            for stride in range(1, 5):
                layer = Conv2D(1, window, strides=stride)
                y = layer(Input((width, width, 1)))
                size = math.ceil((width - window + 1) / stride)
                assert y.shape == (None, size, size, 1)


def test_images_are_3d_and_batches_4d_tensors() -> None:
    image = Input((28, 28, 3))
    assert image.sample_shape == (28, 28, 3)
    batch = np.zeros((7, 28, 28, 3), "float32")
    assert Conv2D(6, 5)(batch).shape == (7, 24, 24, 6)
    assert MaxPool2D()(Conv2D(6, 5)(batch)).shape == (7, 12, 12, 6)


def test_parameters_of_a_convolution_against_a_dense_layer() -> None:
    convolution, dense = Conv2D(3, 3), Dense(3)
    convolution(Input((6, 6, 1)))
    dense(Input((36,)))
    assert convolution.count_parameters() == (3 * 3 + 1) * 3 == 30
    assert dense.count_parameters() == (36 + 1) * 3 == 111


def test_connections_are_local() -> None:
    layer = Conv2D(1, 3)
    layer.ensure_built((1, 5, 5, 1))
    layer.kernel.assign(np.ones((3, 3, 1, 1)))
    slopes = np.asarray(jacobian(layer)(np.zeros((1, 5, 5, 1), "float32"))).reshape(3, 3, 5, 5)
    for i in range(3):
        for j in range(3):
            expected = np.zeros((5, 5))
            expected[i : i + 3, j : j + 3] = 1
            np.testing.assert_array_equal(slopes[i, j], expected)


def test_weights_are_shared_so_that_shifting_the_image_shifts_the_output() -> None:
    set_seed(0)
    layer = Conv2D(2, 3)
    image = np.zeros((1, 8, 8, 1), "float32")
    image[0, 2:4, 2:4, 0] = [[1, 2], [3, 4]]
    moved = np.roll(image, (2, 1), axis=(1, 2))
    np.testing.assert_allclose(np.asarray(layer(moved))[:, 2:, 1:], np.asarray(layer(image))[:, :-2, :-1], rtol=1e-6)


def test_the_gradient_of_a_shared_weight_is_the_sum_over_all_places() -> None:
    layer = Conv2D(1, 3, use_bias=False)
    layer.ensure_built((1, 5, 5, 1))
    layer(Tensor(FIRST.reshape(1, 5, 5, 1).astype("float32"))).sum().backward()
    expected = [[FIRST[i : i + 3, j : j + 3].sum() for j in range(3)] for i in range(3)]
    assert np.asarray(layer.kernel.grad)[:, :, 0, 0].tolist() == expected


def test_two_by_two_max_pooling() -> None:
    image = np.array([[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]], "float32")
    pooled = MaxPool2D(2)(image.reshape(1, 4, 4, 1))
    assert np.asarray(pooled)[0, :, :, 0].tolist() == [[20, 30], [112, 37]]


def test_pixels_and_channels_are_normalised_by_mean_and_deviation() -> None:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(200, 4, 5, 3)) * [10, 1, 0.1] + [100, 0, -5]
    for axis, over in (((1, 2, 3), 0), (-1, (0, 1, 2))):
        layer = Normalization(axis)
        layer.adapt(images)
        y = np.asarray(layer(images.astype("float32")), "float64")
        np.testing.assert_allclose(y.mean(axis=over), 0, atol=1e-4)
        np.testing.assert_allclose(y.std(axis=over), 1, rtol=1e-4)
    assert layer.mean.shape == (1, 1, 3)


def lenet() -> Sequential:
    """LeNet-5 with max-pooling, as in today's libraries."""
    return Sequential(
        [
            Input((28, 28, 1)),
            Conv2D(6, 5, padding="same", activation="tanh"),
            MaxPool2D(),
            Conv2D(16, 5, activation="tanh"),
            MaxPool2D(),
            Flatten(),
            Dense(120, "tanh"),
            Dense(84, "tanh"),
            Dense(10, "softmax"),
        ]
    )


def test_the_layers_of_lenet_have_its_shapes_and_parameters() -> None:
    model = lenet()
    counts = [layer.count_parameters() for layer in model.layers if layer.parameters]
    assert counts == [156, 2416, 48120, 10164, 850]
    assert model.count_parameters() == 61706
    shapes = [call.outputs[0].sample_shape for call in model.network.calls]
    assert shapes[:5] == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (400,)]


def test_a_small_convolutional_network_tells_bars_apart_wherever_they_stand() -> None:
    generator = np.random.default_rng(0)
    images, labels = np.zeros((300, 8, 8, 1)), generator.integers(0, 2, 300)
    for image, label, place in zip(images, labels, generator.integers(0, 8, 300), strict=True):
        image[(slice(None), place) if label else (place, slice(None))] = 1
    images += generator.normal(size=images.shape) * 0.3
    set_seed(0)
    model = Sequential(
        [Input((8, 8, 1)), Conv2D(8, 3, padding="same", activation="relu"), GlobalAveragePool(), Dense(1, "sigmoid")]
    )
    model.compile(loss="binary_crossentropy", optimizer=Adam(0.02), metrics=["accuracy"])
    model.fit(images[:200], labels[:200], epochs=60, batch_size=20, seed=0, verbose=0)
    assert model.evaluate(images[200:], labels[200:])[1] > 0.95


@pytest.mark.slow
def test_lenet_learns_mnist_from_a_tenth_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = mnist_or_skip(monkeypatch)
    set_seed(0)
    model = lenet()
    model.compile(loss="categorical_crossentropy", optimizer=Adam(0.002), metrics=["accuracy"])
    model.fit(digits.x_train[:6000], digits.y_train[:6000], batch_size=64, epochs=4, seed=0, verbose=0)
    assert model.evaluate(digits.x_test, digits.y_test)[1] > 0.95
