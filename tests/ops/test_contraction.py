"""Matrix products and convolutions: against NumPy and against the definition written as loops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.ops.strategies import counted

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.errors import ConfigurationError, DTypeError, ShapeError
from pellucid.op import REGISTRY, apply, scope
from pellucid.tensor import Tensor

products = hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=4)


@given(products)
def test_matmul_is_numpys_for_vectors_matrices_and_batches(drawn: hnp.BroadcastableShapes) -> None:
    left, right = drawn.input_shapes
    x, w = counted(left) - 3, counted(right) + 1
    np.testing.assert_array_equal(ops.matmul(x, w).numpy(), np.matmul(x, w))


@given(products)
def test_the_gradient_of_matmul_has_the_shapes_of_its_operands(drawn: hnp.BroadcastableShapes) -> None:
    left, right = drawn.input_shapes
    x, w = counted(left) - 3, counted(right) + 1
    dx, dw = grad(lambda a, b: (a @ b).sum(), (0, 1))(x, w)
    assert (dx.shape, dw.shape) == (left, right)
    # The product is linear in each operand: <dx, x> = <dw, w> = the sum itself.
    total = np.matmul(x, w).sum()
    assert (dx * x).sum().item() == (dw * w).sum().item() == total


def test_inner_sizes_that_differ_are_explained() -> None:
    """The example of the style guide."""
    x, w = np.zeros((128, 784), "float32"), Tensor(np.zeros((512, 10), "float32"), name="logits.kernel")
    with pytest.raises(ShapeError) as error, scope("logits"):
        x @ w
    line = test_inner_sizes_that_differ_are_explained.__code__.co_firstlineno + 4
    assert str(error.value) == (
        "matmul: inner sizes differ: 784 (x, axis 1) != 512 (w, axis 0)\n"
        "  x: float32[128, 784]\n"
        '  w: float32[512, 10]   "logits.kernel"\n'
        '  in layer "logits"\n'
        f"  at test_contraction.py:{line} in test_inner_sizes_that_differ_are_explained"
    )


def test_a_number_is_no_matrix() -> None:
    with pytest.raises(ShapeError) as error:
        Tensor([1.0]) @ 2.0
    assert str(error.value) == ("matmul: a single number is no matrix\nHint: use * for the product with a number")


def test_matmul_promotes_but_its_primitive_does_not() -> None:
    x, w = np.ones((2, 2), "int32"), np.ones((2, 2), "float32")
    assert ops.matmul(x, w).dtype == np.float32
    with pytest.raises(DTypeError, match=r"^matmul: element types differ: int32 \(x\) != float32 \(w\)"):
        apply(REGISTRY["matmul"], x, w)


def convolution_by_loops(
    x: np.ndarray, w: np.ndarray, strides: tuple, pads: tuple, dilation: tuple, groups: int
) -> np.ndarray:
    """out[n, o, d] = sum over k, c of x[n, o stride + k dilation - before, c] w[k, c, d], one element at a time."""
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    window, depth = w.shape[:-2], w.shape[-1] // groups
    extents = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    sizes = [(n - e) // s + 1 for n, e, s in zip(x.shape[1:-1], extents, strides, strict=True)]
    out = np.zeros((x.shape[0], *sizes, w.shape[-1]))
    for place in np.ndindex(*out.shape):
        n, position, d = place[0], place[1:-1], place[-1]
        first = (d // depth) * w.shape[-2]
        for tap in itertools.product(*map(range, window)):
            where = tuple(o * s + k * g for o, s, k, g in zip(position, strides, tap, dilation, strict=True))
            out[place] += x[(n, *where)][first : first + w.shape[-2]] @ w[(*tap, slice(None), d)]
    return out


@st.composite
def convolutions(draw: st.DrawFn) -> tuple:
    rank = draw(st.integers(1, 2))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    groups, window, strides, dilation = draw(st.integers(1, 2)), per_axis(1, 3), per_axis(1, 3), per_axis(1, 2)
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    sizes = tuple(max(d * (k - 1) + 1, 1) + draw(st.integers(0, 3)) for k, d in zip(window, dilation, strict=True))
    channels, depth = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    image = (draw(st.integers(0, 2)), *sizes, channels * groups)
    return image, (*window, channels, depth * groups), strides, pads, dilation, groups


@given(convolutions())
def test_convolution_is_its_definition(drawn: tuple) -> None:
    image, kernel, strides, pads, dilation, groups = drawn
    x, w = counted(image) - 5, counted(kernel) + 1
    ours = ops.conv(x, w, strides, pads, dilation, groups)
    np.testing.assert_array_equal(ours.numpy(), convolution_by_loops(x, w, strides, pads, dilation, groups))


@given(convolutions())
def test_the_gradients_of_a_convolution_are_its_transposes(drawn: tuple) -> None:
    """A convolution is linear in the image and in the kernel: <dx, x> = <dw, w> = <ct, out>."""
    image, kernel, strides, pads, dilation, groups = drawn
    x, w = counted(image) - 5, counted(kernel) + 1
    out = ops.conv(x, w, strides, pads, dilation, groups)
    ct = counted(out.shape) + 1
    dx, dw = grad(lambda a, b: (ops.conv(a, b, strides, pads, dilation, groups) * ct).sum(), (0, 1))(x, w)
    expected = (out.numpy() * ct).sum()
    np.testing.assert_allclose([(dx * x).sum().item(), (dw * w).sum().item()], expected, rtol=1e-12)


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 2, 3, 4])
def test_same_padding_keeps_the_size_divided_by_the_stride(size: int, stride: int, window: int) -> None:
    x, w = np.ones((1, size, 1), "float32"), np.ones((window, 1, 1), "float32")
    assert ops.conv(x, w, stride, "same").shape == (1, -(-size // stride), 1)


LECTURE_IMAGE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]


def test_the_lectures_example() -> None:
    x = np.array(LECTURE_IMAGE, "float32").reshape(1, 5, 5, 1)
    w = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], "float32").reshape(3, 3, 1, 1)
    assert ops.conv(x, w)[0, :, :, 0].tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert ops.conv(x, w, strides=2)[0, :, :, 0].tolist() == [[4, 4], [2, 4]]
    x[0, 4, :, 0] = [0, 0, 1, 1, 0]
    assert ops.conv(x, w, padding=1)[0, :, :, 0].tolist() == [
        [2, 2, 3, 1, 1],
        [1, 4, 3, 4, 1],
        [1, 2, 4, 3, 3],
        [0, 2, 3, 4, 2],
        [0, 1, 2, 2, 1],
    ]


IMAGE, KERNEL = np.zeros((2, 5, 5, 4), "float32"), np.zeros((3, 3, 4, 6), "float32")


@pytest.mark.parametrize(
    ("x", "w", "options", "error", "message"),
    [
        (IMAGE[..., :3], KERNEL, {}, ShapeError, "conv: channels differ: 3 (x, last axis) != 4 (w, axis 2)"),
        (
            IMAGE,
            KERNEL,
            {"groups": 2},
            ShapeError,
            "conv: channels differ: 4 (x, last axis) != 4 x 2 groups",
        ),
        (
            IMAGE,
            KERNEL[:, :, :1, :5],
            {"groups": 4},
            ShapeError,
            "conv: 5 output channels (w, last axis) do not",
        ),
        (
            IMAGE[:, :2],
            KERNEL,
            {},
            ShapeError,
            "conv: a window of 3 does not fit on spatial axis 0 of size 2",
        ),
        (IMAGE, KERNEL, {"dilation": 3}, ShapeError, "conv: a window of 7 does not fit on spatial axis 0 of size 5"),
        (
            IMAGE[0],
            KERNEL,
            {},
            ShapeError,
            "conv: images of 3 axes [5, 5, 4] and a kernel of 4 axes",
        ),
        (IMAGE, KERNEL, {"strides": 0}, ConfigurationError, "strides must be a positive integer or 2 of them, not 0."),
        (
            IMAGE,
            KERNEL,
            {"strides": 1.5},
            ConfigurationError,
            "strides must be a positive integer or 2 of them, not",
        ),
        (
            IMAGE,
            KERNEL,
            {"dilation": (1, 1, 1)},
            ConfigurationError,
            "dilation must be a positive integer or 2",
        ),
        (
            IMAGE,
            KERNEL,
            {"padding": "full"},
            ConfigurationError,
            "padding must be 'valid', 'same' or numbers",
        ),
        (
            IMAGE,
            KERNEL,
            {"padding": -1},
            ConfigurationError,
            "padding must give a number or a pair of",
        ),
        (
            IMAGE,
            KERNEL,
            {"padding": None},
            ConfigurationError,
            "padding must give a number or a pair of",
        ),
    ],
)
def test_impossible_convolutions_are_explained(x: Any, w: Any, options: dict, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        ops.conv(x, w, **options)
    assert str(caught.value).startswith(message)
