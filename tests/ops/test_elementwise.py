"""Elementwise operations: values at their limits, derivatives at kinks, broadcasting, errors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.ops.strategies import arrays, shapes

from pellucid import ops
from pellucid.autodiff import grad
from pellucid.errors import DTypeError, ShapeError
from pellucid.op import scope
from pellucid.tensor import Tensor

broadcastable = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4)


@given(broadcastable, st.data())
def test_binary_operations_broadcast_like_numpy(drawn: hnp.BroadcastableShapes, data: st.DataObject) -> None:
    x, y = (data.draw(arrays(shape)) for shape in drawn.input_shapes)
    for ours, theirs in ((ops.add, np.add), (ops.mul, np.multiply), (ops.maximum, np.maximum), (ops.less, np.less)):
        np.testing.assert_array_equal(ours(x, y).numpy(), theirs(x, y))


@given(broadcastable)
def test_cotangents_are_summed_back_over_stretched_axes(drawn: hnp.BroadcastableShapes) -> None:
    left, right = drawn.input_shapes
    gradients = grad(lambda x, y: (x * y).sum(), (0, 1))(np.full(left, 2.0), np.full(right, 3.0))
    out = math.prod(drawn.result_shape)
    for gradient, shape, factor in zip(gradients, (left, right), (3.0, 2.0), strict=True):
        copies = out // math.prod(shape) if math.prod(shape) else 0
        np.testing.assert_array_equal(gradient.numpy(), np.full(shape, factor * copies))


@given(shapes, st.data())
def test_where_picks_like_numpy(shape: tuple, data: st.DataObject) -> None:
    condition = data.draw(hnp.arrays(bool, shape))
    x, y = data.draw(arrays(shape)), data.draw(arrays(()))
    np.testing.assert_array_equal(ops.where(condition, x, y).numpy(), np.where(condition, x, y))


SATURATING = [
    (ops.sigmoid, 0.0, 1.0),
    (ops.softplus, 0.0, 1000.0),
    (ops.log_sigmoid, -1000.0, 0.0),
    (ops.tanh, -1.0, 1.0),
    (ops.elu, -1.0, 1000.0),
    (ops.softsign, -1000 / 1001, 1000 / 1001),
    (ops.swish, 0.0, 1000.0),
    (ops.gelu, 0.0, 1000.0),
]


@pytest.mark.parametrize(("function", "low", "high"), SATURATING)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_are_finite_and_exact_far_out(function: Callable, low: float, high: float, dtype: str) -> None:
    x = np.array([-1000.0, 1000.0], dtype)
    np.testing.assert_allclose(function(x).numpy(), np.array([low, high]), rtol=1e-6, atol=1e-30)
    slopes = grad(lambda v: function(v).sum())(x)
    assert np.isfinite(slopes.numpy()).all()
    curvatures = grad(lambda v: grad(lambda w: function(w).sum())(v).sum())(x)
    assert np.isfinite(curvatures.numpy()).all()


def sigmoid_in_double(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(x)


ACCURATE = [
    (ops.sigmoid, sigmoid_in_double),
    (ops.softplus, lambda x: np.logaddexp(0, x)),
    (ops.log_sigmoid, lambda x: -np.logaddexp(0, -x)),
    (ops.exp, np.exp),
    (ops.expm1, np.expm1),
    (ops.tanh, np.tanh),
]


@pytest.mark.parametrize(("function", "exact"), ACCURATE)
def test_float32_results_have_float32_accuracy_everywhere(function: Callable, exact: Callable) -> None:
    """Relative error of a few units in the last place, in both tails and near zero, wherever float32 is normal."""
    x = np.concatenate([np.linspace(-85, 85, 2001), np.geomspace(1e-6, 1, 200), -np.geomspace(1e-6, 1, 200)])
    x = x.astype("float32")
    expected = exact(x.astype("float64"))
    np.testing.assert_allclose(function(x).numpy(), expected, rtol=6 * np.finfo("float32").eps, atol=1e-37)


def test_log1p_and_expm1_are_exact_near_zero() -> None:
    x = np.array([1e-12, -1e-12])
    np.testing.assert_allclose(ops.log1p(x).numpy(), x, rtol=1e-11)
    np.testing.assert_allclose(ops.expm1(x).numpy(), x, rtol=1e-11)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0])
def test_powers_of_zero_have_finite_derivatives(exponent: float) -> None:
    def function(x: Tensor) -> Tensor:
        return x**exponent

    assert grad(function)(0.0).item() == (1.0 if exponent == 1 else 0.0)
    assert grad(grad(function))(0.0).item() == (2.0 if exponent == 2 else 0.0)


def test_powers_of_negative_numbers_differentiate_by_the_base_alone() -> None:
    x = np.array([-2.0, -0.5])
    assert grad(lambda b: (b**3).sum())(x).tolist() == [12.0, 0.75]
    assert grad(lambda y: (ops.pow(x, y)).sum())(np.array([3.0, 3.0])).tolist() == [0.0, 0.0]
    assert grad(lambda y: ops.pow(0.0, y))(2.0).item() == 0.0


def test_kinks_have_the_documented_derivatives() -> None:
    assert grad(ops.relu)(0.0).item() == 0.0
    assert grad(ops.abs)(0.0).item() == 0.0
    assert grad(ops.sign)(0.0).item() == 0.0
    assert grad(ops.step)(0.0).item() == 0.0
    assert grad(ops.floor)(2.0).item() == 0.0
    for function in (ops.maximum, ops.minimum):
        left, right = grad(function, (0, 1))(1.5, 1.5)
        assert (left.item(), right.item()) == (0.5, 0.5)


def test_the_branch_that_is_not_taken_gets_no_gradient() -> None:
    x = Tensor([1.0, 4.0], requires_grad=True)
    y = Tensor([10.0, 20.0], requires_grad=True)
    (ops.where(Tensor([True, False]), x, y) * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 0.0]
    assert y.grad.tolist() == [0.0, 3.0]


def test_stop_gradient_keeps_the_value_and_drops_the_gradient() -> None:
    assert grad(lambda x: x * ops.stop_gradient(x))(3.0).item() == 3.0


@pytest.mark.parametrize("name", ["neg", "sign", "relu"])
def test_booleans_are_no_numbers(name: str) -> None:
    with pytest.raises(DTypeError, match=rf"^{name}: a bool is no number\n  x: bool\[2\]"):
        getattr(ops, name)(Tensor([True, False]))


def test_booleans_cannot_be_subtracted_but_may_meet_numbers() -> None:
    mask = Tensor([True, False])
    with pytest.raises(DTypeError, match=r"^sub: a bool is no number"):
        mask - mask
    assert (1 - mask).tolist() == [0, 1]
    assert (mask * 2.5).tolist() == [2.5, 0.0]


def test_logic_of_booleans() -> None:
    a, b = Tensor([True, True, False]), Tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (~a).tolist() == [False, False, True]
    assert ops.is_finite(Tensor([1.0, math.nan, math.inf])).tolist() == [True, False, False]


# The whole text of errors.


def test_sizes_that_do_not_broadcast_are_explained() -> None:
    x, y = Tensor(np.zeros((2, 3), "float32"), name="scores"), Tensor(np.zeros((2, 4), "float32"))
    with pytest.raises(ShapeError) as error, scope("head"), scope("logits"):
        ops.add(x, y)
    line = test_sizes_that_do_not_broadcast_are_explained.__code__.co_firstlineno + 3
    assert str(error.value) == (
        "add: shapes [2, 3] and [2, 4] do not broadcast: 3 != 4 (axis -1 counted from the right)\n"
        '  x: float32[2, 3]   "scores"\n'
        "  y: float32[2, 4]\n"
        '  in layer "head/logits"\n'
        f"  at test_elementwise.py:{line} in test_sizes_that_do_not_broadcast_are_explained"
    )


def test_a_condition_that_is_no_bool_is_explained() -> None:
    with pytest.raises(DTypeError) as error:
        ops.where(Tensor([1, 0]), Tensor([1.0, 2.0], name="left"), 0.0)
    line = test_a_condition_that_is_no_bool_is_explained.__code__.co_firstlineno + 2
    assert str(error.value) == (
        "where: the condition must be bool, not int32\n"
        "  condition: int32[2]\n"
        '  x:         float32[2]   "left"\n'
        "  y:         float32[]\n"
        f"  at test_elementwise.py:{line} in test_a_condition_that_is_no_bool_is_explained"
    )
