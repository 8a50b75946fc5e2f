"""Functions composed of primitives: their definitions, written independently in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.ops.strategies import arrays

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.errors import DataError, ShapeError
from pellucid.tensor import Tensor

filled_shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


@given(filled_shapes, st.data())
def test_softmax_is_a_distribution_and_the_exponential_of_its_logarithm(shape: tuple, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    p = ops.softmax(x, axis).numpy()
    raised = np.exp(x)
    np.testing.assert_allclose(p, raised / raised.sum(axis, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(ops.log_softmax(x, axis).numpy(), np.log(p), rtol=1e-12, atol=1e-12)
    for keepdims in (False, True):
        total = ops.logsumexp(x, axis, keepdims).numpy()
        np.testing.assert_allclose(total, np.log(raised.sum(axis, keepdims=keepdims)), rtol=1e-12, atol=1e-12)


@given(filled_shapes, st.booleans(), st.data())
def test_mean_and_variance_are_numpys(shape: tuple, keepdims: bool, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    axes = tuple(data.draw(st.sets(st.integers(-len(shape), -1))))
    np.testing.assert_allclose(ops.mean(x, axes, keepdims).numpy(), x.mean(axes, keepdims=keepdims), atol=1e-14)
    np.testing.assert_allclose(ops.variance(x, axes, keepdims).numpy(), x.var(axes, keepdims=keepdims), atol=1e-13)
    np.testing.assert_allclose(ops.norm(x).item(), np.sqrt((x**2).sum()), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e3, 1e4, 3e38])
def test_softmax_and_its_kin_survive_huge_logits(dtype: str, size: float) -> None:
    x = np.array([[-size, 0.0, size]], dtype)
    assert ops.softmax(x).tolist() == [[0.0, 0.0, 1.0]]
    assert ops.logsumexp(x).tolist() == x[:, 2].tolist()
    np.testing.assert_allclose(ops.log_softmax(x[:, :2]).numpy(), [[-size, 0.0]], rtol=1e-7)
    for function in (ops.softmax, ops.log_softmax, ops.logsumexp):
        assert np.isfinite(grad(lambda v, f=function: f(v).sum())(x / 2).numpy()).all()


def test_softmax_in_float32_is_accurate() -> None:
    x = np.random.default_rng(0).normal(0, 10, (50, 20)).astype("float32")
    exact = np.exp(x.astype("float64") - x.max(1, keepdims=True))
    exact /= exact.sum(1, keepdims=True)
    # The argument of exp is exact to half a unit in its own last place, at most 80.
    np.testing.assert_allclose(ops.softmax(x).numpy(), exact, rtol=1e-5, atol=1e-38)


DEFINITIONS: list[tuple[Callable, Callable]] = [
    (ops.square, lambda x: x**2),
    (ops.step, lambda x: float(x >= 0)),
    (ops.hard_sigmoid, lambda x: min(max(x / 6 + 0.5, 0), 1)),
    (ops.leaky_relu, lambda x: x if x > 0 else 0.01 * x),
    (ops.elu, lambda x: x if x > 0 else math.exp(x) - 1),
    (ops.gelu, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    (ops.softsign, lambda x: x / (1 + abs(x))),
    (ops.swish, lambda x: x / (1 + math.exp(-x))),
    (ops.log_sigmoid, lambda x: -math.log(1 + math.exp(-x))),
    (lambda x: ops.clip(x, -1.0, 2.0), lambda x: min(max(x, -1.0), 2.0)),
    (lambda x: ops.elu(x, 2.0), lambda x: x if x > 0 else 2 * (math.exp(x) - 1)),
    (lambda x: ops.leaky_relu(x, 0.3), lambda x: x if x > 0 else 0.3 * x),
]


@pytest.mark.parametrize(("function", "definition"), DEFINITIONS)
def test_activations_are_their_definitions(function: Callable, definition: Callable) -> None:
    x = np.array([-5.0, -3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 3.0, 5.0])
    np.testing.assert_allclose(function(x).numpy(), [definition(v) for v in x], rtol=1e-12, atol=1e-15)


def test_the_tanh_form_of_gelu_is_near_the_exact_one() -> None:
    x = np.linspace(-4, 4, 101)
    difference = np.abs((ops.gelu(x, approximate=True) - ops.gelu(x)).numpy())
    assert 1e-6 < difference.max() < 1e-3


def test_normalize_gives_mean_zero_and_variance_one() -> None:
    x = np.random.default_rng(0).normal(3, 5, (4, 6))
    y = ops.normalize(x, -1, 0.0).numpy()
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(1), 1, rtol=1e-12)


def test_cross_entropy_takes_classes_or_rows_of_probabilities() -> None:
    log_p = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    by_class = ops.cross_entropy(log_p, np.array([0, 2]))
    by_row = ops.cross_entropy(log_p, np.eye(3)[[0, 2]])
    np.testing.assert_allclose(by_class.numpy(), [-math.log(0.5), -math.log(0.7)], rtol=1e-12)
    np.testing.assert_allclose(by_row.numpy(), by_class.numpy(), rtol=1e-12)


def test_a_class_that_does_not_exist_is_a_data_error() -> None:
    with pytest.raises(DataError, match=r"^take_along_axis: the index 3 lies outside 0\.\.2\.$"):
        ops.cross_entropy(np.zeros((1, 3), "float32"), np.array([3]))


def test_the_mean_of_nothing_is_explained() -> None:
    with pytest.raises(ShapeError, match=r"^mean: there are no elements to average in shape \[2, 0\]$"):
        ops.mean(Tensor(np.zeros((2, 0))), 1)
    assert ops.mean(Tensor(np.zeros((2, 0))), 0).shape == (0,)
