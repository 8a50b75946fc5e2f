"""Convolution layers against torch and against loops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nn.pulling import Pulled, built, draws, pull

from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import Conv1D, Conv2D, Layer


def same_pads(n: int, k: int, s: int, d: int) -> tuple[int, int]:
    """The padding that makes ceil(n / s) outputs, the odd one after."""
    total = max((int(np.ceil(n / s)) - 1) * s + (k - 1) * d + 1 - n, 0)
    return total // 2, total - total // 2


def pads_of(layer: Any, sizes: tuple[int, ...], window: tuple[int, ...]) -> list[tuple[int, int]]:
    if layer.padding == "valid":
        return [(0, 0)] * len(sizes)
    if layer.padding == "same":
        return [same_pads(n, k, layer.strides, layer.dilation_rate) for n, k in zip(sizes, window, strict=True)]
    given: Any = layer.padding
    if isinstance(given, int):
        return [(given, given)] * len(sizes)
    if len(sizes) == 1 and isinstance(given[0], int):
        return [tuple(given)]
    return [tuple(p) if isinstance(p, tuple) else (p, p) for p in given]


def torch_pull(layer: Any, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    """The same convolution by torch, channels first, with explicit padding."""
    torch = pytest.importorskip("torch")
    rank = layer.rank
    first, last = (0, rank + 1, *range(1, rank + 1)), (0, *range(2, rank + 2), 1)
    image = torch.tensor(x, requires_grad=True)
    kernel = torch.tensor(layer.kernel.numpy().copy(), requires_grad=True)
    bias = torch.tensor(layer.bias.numpy().copy(), requires_grad=True)
    pads = pads_of(layer, x.shape[1:-1], layer.kernel.shape[:-2])
    padded = torch.nn.functional.pad(image.permute(first), [n for pair in reversed(pads) for n in pair])
    conv = torch.nn.functional.conv1d if rank == 1 else torch.nn.functional.conv2d
    weight = kernel.permute(rank + 1, rank, *range(rank))
    y = conv(padded, weight, bias, layer.strides, 0, layer.dilation_rate, layer.groups).permute(last)
    (y * torch.tensor(cotangent)).sum().backward()
    return Pulled(
        y.detach().numpy(),
        cotangent,
        [image.grad.numpy()],
        {"kernel": kernel.grad.numpy(), "bias": bias.grad.numpy()},
    )


def assert_as_torch(layer: Layer, x: np.ndarray) -> None:
    built(layer, x.shape)
    got = pull(layer, x)
    expected = torch_pull(layer, x, got.cotangent)
    assert got.output.shape == expected.output.shape
    np.testing.assert_allclose(got.output, expected.output, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.inputs[0], expected.inputs[0], rtol=1e-10, atol=1e-12)
    for name, gradient in expected.parameters.items():
        np.testing.assert_allclose(got.parameters[name], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"strides": 2},
        {"padding": "same"},
        {"padding": "same", "strides": 2},
        {"padding": "same", "strides": 3},
        {"padding": "same", "dilation_rate": 2},
        {"padding": 2},
        {"dilation_rate": 2},
        {"groups": 2},
        {"groups": 4},
        {"padding": 1, "strides": 2, "groups": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("rank", [1, 2])
def test_convolutions_and_their_gradients_are_torchs(rank: int, settings: dict[str, Any]) -> None:
    layer = Conv1D(4, 3, **settings) if rank == 1 else Conv2D(4, 3, **settings)
    assert_as_torch(layer, draws(2, *(8, 7)[:rank], 4))


def test_windows_of_even_and_unequal_sizes_are_torchs() -> None:
    for window in ((2, 3), (4, 1), (1, 1)):
        for padding in ("valid", "same"):
            assert_as_torch(Conv2D(3, window, padding=padding), draws(2, 6, 5, 2))


def test_one_sided_padding_is_torchs() -> None:
    assert_as_torch(Conv2D(2, 3, padding=((2, 0), (0, 1))), draws(2, 5, 5, 1))
    assert_as_torch(Conv1D(2, 3, padding=(2, 0)), draws(2, 5, 1))
    assert_as_torch(Conv1D(2, 3, padding=((2, 0),)), draws(2, 5, 1))


@settings(max_examples=25)
@given(
    st.sampled_from(["valid", "same", 1]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(5, 9),
)
def test_any_combination_is_torchs(padding: Any, window: int, stride: int, gap: int, groups: int, length: int) -> None:
    layer = Conv1D(2, window, strides=stride, padding=padding, dilation_rate=gap, groups=groups)
    assert_as_torch(layer, draws(2, length, 2))


def test_a_convolution_is_a_loop_over_windows() -> None:
    layer: Any = built(Conv2D(3, (2, 3), activation="relu"), (1, 5, 6, 2))
    x = draws(2, 5, 6, 2)
    expected = np.zeros((2, 4, 4, 3))
    for n, i, j in itertools.product(range(2), range(4), range(4)):
        expected[n, i, j] = np.tensordot(x[n, i : i + 2, j : j + 3], layer.kernel.numpy(), 3) + layer.bias.numpy()
    np.testing.assert_allclose(layer(x), np.maximum(expected, 0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("layer", "shape", "count"),
    [
        (Conv2D(3, 3), (1, 6, 6, 1), 30),
        (Conv2D(16, 5), (1, 14, 14, 6), (5 * 5 * 6 + 1) * 16),
        (Conv2D(8, 3, groups=4), (1, 6, 6, 4), (9 * 1 + 1) * 8),
        (Conv1D(4, 3, use_bias=False), (1, 9, 2), 3 * 2 * 4),
    ],
)
def test_parameters_do_not_depend_on_the_images_size(layer: Layer, shape: tuple[int, ...], count: int) -> None:
    layer.ensure_built(shape)
    assert layer.count_parameters() == count


def test_an_image_of_another_size_needs_no_new_parameters() -> None:
    layer = Conv2D(3, 3)
    assert layer(np.zeros((1, 6, 6, 1), "float32")).shape == (1, 4, 4, 3)
    assert layer(np.zeros((1, 9, 7, 1), "float32")).shape == (1, 7, 5, 3)


def test_an_empty_batch_gives_an_empty_batch() -> None:
    assert Conv2D(3, 3)(np.zeros((0, 6, 6, 1), "float32")).shape == (0, 4, 4, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Conv2D(3, 0),
            ConfigurationError,
            "Conv2D: kernel_size must be a positive integer or 2 of them, not 0.",
        ),
        (
            lambda: Conv2D(3, (3, 3, 3)),
            ConfigurationError,
            "Conv2D: kernel_size must be a positive integer or 2 of them, not (3, 3, 3).",
        ),
        (
            lambda: Conv1D(3, 3, strides=0),
            ConfigurationError,
            "Conv1D: strides must be a positive integer or 1 of them, not 0.",
        ),
        (
            lambda: Conv2D(3, 3, dilation_rate="2"),
            ConfigurationError,
            "Conv2D: dilation_rate must be a positive integer or 2 of them, not '2'.",
        ),
        (
            lambda: Conv2D(3, 3, padding="sme"),
            ConfigurationError,
            "padding must be 'valid', 'same' or numbers, not 'sme'.",
        ),
        (
            lambda: Conv2D(3, 3, padding=(1, 2, 3)),
            ConfigurationError,
            "padding must give a number or a pair of numbers for each of 2 axes: (1, 2, 3).",
        ),
        (lambda: Conv2D(0, 3), ConfigurationError, "Conv2D: filters must be a whole number of at least 1, not 0."),
        (
            lambda: Conv2D(3, 3, groups=0),
            ConfigurationError,
            "Conv2D: groups must be a whole number of at least 1, not 0.",
        ),
        (
            lambda: Conv1D(3, 3, name="c")(np.zeros((2, 8))),
            ShapeError,
            'layer "c": Conv1D takes inputs of 3 axes [batch, length, channel], but was given 2: [2, 8]',
        ),
        (
            lambda: Conv1D(4, 3, groups=2, name="c")(np.zeros((2, 8, 3))),
            ShapeError,
            'layer "c": 3 channels and 4 filters do not both divide into 2 groups',
        ),
    ],
)
def test_wrong_settings_and_inputs_are_explained(make: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def lines_of(error: Any) -> list[str]:
    return str(error.value).split("\n")[:-1]  # without the line of this file


def test_other_channels_name_the_kernel_and_both_operands() -> None:
    layer = Conv2D(3, 3, name="c1")
    layer(np.zeros((2, 8, 8, 4), "float32"))
    with pytest.raises(ShapeError) as error:
        layer(np.zeros((2, 8, 8, 5), "float32"))
    assert lines_of(error) == [
        "conv: channels differ: 5 (x, last axis) != 4 (w, axis 2)",
        "  x: float32[2, 8, 8, 5]",
        '  w: float32[3, 3, 4, 3]   "c1.kernel"',
        '  in layer "c1"',
    ]


def test_a_window_larger_than_the_image_is_explained() -> None:
    with pytest.raises(ShapeError) as error:
        Conv2D(3, 5, name="c1")(np.zeros((2, 8, 4, 1), "float32"))
    assert lines_of(error) == [
        "conv: a window of 5 does not fit on spatial axis 1 of size 4 + padding 0",
        "  x: float32[2, 8, 4, 1]",
        '  w: float32[5, 5, 1, 3]   "c1.kernel"',
        '  in layer "c1"',
    ]
