"""Pooling layers against torch, and global pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import draws, pull

from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import (
    AvgPool1D,
    AvgPool2D,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    MaxPool1D,
    MaxPool2D,
)

KINDS = {MaxPool1D: "max_pool1d", MaxPool2D: "max_pool2d", AvgPool1D: "avg_pool1d", AvgPool2D: "avg_pool2d"}


@pytest.mark.parametrize("settings", [(2, None, 0), (3, 1, 0), (3, 2, 1), (2, 3, 0), (3, 2, 0)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_pooling_and_its_gradient_are_torchs(kind: Any, settings: tuple) -> None:
    torch = pytest.importorskip("torch")
    window, strides, padding = settings
    layer: Layer = kind(window, strides, padding or "valid")
    rank = kind.rank
    x = draws(2, *(9, 8)[:rank], 3)
    got = pull(layer, x)
    image = torch.tensor(x, requires_grad=True)
    options = {"count_include_pad": False} if "avg" in KINDS[kind] else {}
    pool = getattr(torch.nn.functional, KINDS[kind])
    y = pool(image.permute(0, rank + 1, *range(1, rank + 1)), window, strides, padding, **options)
    y = y.permute(0, *range(2, rank + 2), 1)
    (y * torch.tensor(got.cotangent)).sum().backward()
    np.testing.assert_allclose(got.output, y.detach(), rtol=1e-12)
    np.testing.assert_allclose(got.inputs[0], image.grad, rtol=1e-12, atol=1e-15)


def test_same_padding_makes_ceil_of_size_over_stride_and_is_not_counted() -> None:
    x = np.array([1.0, 3.0, 2.0, 8.0, 4.0]).reshape(1, 5, 1)
    assert np.asarray(MaxPool1D(2, padding="same")(x)).ravel().tolist() == [3, 8, 4]
    assert np.asarray(AvgPool1D(2, padding="same")(x)).ravel().tolist() == [2, 5, 4]
    assert np.asarray(AvgPool1D(3, 1, "same")(x)).ravel().tolist() == pytest.approx([2, 2, 13 / 3, 14 / 3, 6])
    for size in range(4, 9):
        assert MaxPool2D(3, 2, "same")(np.zeros((1, size, size, 1))).shape[1] == -(-size // 2)


def test_negative_images_do_not_lose_to_the_padding() -> None:
    x = -np.ones((1, 3, 3, 1))
    assert np.unique(MaxPool2D(2, padding="same")(x)).tolist() == [-1]
    assert np.unique(AvgPool2D(2, padding="same")(x)).tolist() == [-1]


def test_overlapping_windows_share_a_winner_and_add_its_gradients() -> None:
    x = np.array([0.0, 9.0, 1.0, 5.0]).reshape(1, 4, 1)
    got = pull(MaxPool1D(2, 1), x)
    assert got.output.ravel().tolist() == [9, 9, 5]
    c = got.cotangent.ravel()
    np.testing.assert_allclose(got.inputs[0].ravel(), [0, c[0] + c[1], 0, c[2]])


def test_unequal_windows_and_strides_go_by_axis() -> None:
    x = np.arange(24.0).reshape(1, 4, 6, 1)
    y = np.asarray(MaxPool2D((2, 3), (2, 3))(x))[0, :, :, 0]
    assert y.tolist() == [[8, 11], [20, 23]]
    assert MaxPool2D((2, 3), (1, 2))(x).shape == (1, 3, 2, 1)


def test_channels_are_pooled_apart() -> None:
    x = draws(2, 4, 4, 3)
    y = np.asarray(MaxPool2D()(x))
    for channel in range(3):
        np.testing.assert_array_equal(y[..., channel], np.asarray(MaxPool2D()(x[..., channel : channel + 1]))[..., 0])


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 4, 5, 3)])
def test_global_pooling_leaves_one_number_per_channel(shape: tuple[int, ...]) -> None:
    x = draws(*shape)
    axes = tuple(range(1, len(shape) - 1))
    average, largest = pull(GlobalAveragePool(), x), pull(GlobalMaxPool(), x)
    np.testing.assert_allclose(average.output, x.mean(axis=axes), rtol=1e-12)
    np.testing.assert_array_equal(largest.output, x.max(axis=axes))
    places = np.prod(shape[1:-1])
    spread = np.broadcast_to(average.cotangent.reshape(2, *(1,) * len(axes), 3), shape) / places
    np.testing.assert_allclose(average.inputs[0], spread, rtol=1e-12)
    winners = x == x.max(axis=axes, keepdims=True)
    np.testing.assert_allclose(largest.inputs[0], winners * largest.cotangent.reshape(2, *(1,) * len(axes), 3))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: MaxPool2D(0),
            ConfigurationError,
            "MaxPool2D: pool_size must be a positive integer or 2 of them, not 0.",
        ),
        (
            lambda: AvgPool1D(2, (1, 1)),
            ConfigurationError,
            "AvgPool1D: strides must be a positive integer or 1 of them, not (1, 1).",
        ),
        (
            lambda: MaxPool2D(padding="sme"),
            ConfigurationError,
            "padding must be 'valid', 'same' or numbers, not 'sme'.",
        ),
        (
            lambda: MaxPool2D(name="p")(np.zeros((1, 4, 4))),
            ShapeError,
            'layer "p": MaxPool2D takes inputs of 4 axes [batch, height, width, channel], but was given 3: [1, 4, 4]',
        ),
        (
            lambda: AvgPool1D(name="p")(np.zeros((1, 4))),
            ShapeError,
            'layer "p": AvgPool1D takes inputs of 3 axes [batch, length, channel], but was given 2: [1, 4]',
        ),
        (
            lambda: GlobalMaxPool(name="p")(np.zeros((1, 4))),
            ShapeError,
            'layer "p": GlobalMaxPool takes [batch, spatial axes..., channel], but was given [1, 4]',
        ),
    ],
)  # fmt: skip
def test_wrong_settings_and_inputs_are_explained(make: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_a_window_larger_than_the_image_names_the_layer() -> None:
    with pytest.raises(ShapeError) as error:
        AvgPool1D(3, name="p")(np.zeros((1, 2, 1)))
    assert (
        'a window of 3 does not fit on spatial axis 0 of size 2 + padding 0\n  x: float64[1, 2, 1]\n  in layer "p"'
        in (str(error.value))
    )
