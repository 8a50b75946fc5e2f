"""Derivatives of functions: any order, any nest, inside and outside of traces."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from pellucid import nest, ops
from pellucid.autodiff import grad, hessian, hvp, jacobian, value_and_grad, vjp
from pellucid.compile import compile
from pellucid.errors import ConfigurationError, DifferentiationError, DTypeError, ShapeError
from pellucid.op import Spec
from pellucid.tensor import Tensor, no_grad


def cubic(x: Any) -> Any:
    return x**3


def network(p: Any) -> Any:
    """A number that depends on every parameter in several ways."""
    hidden = ops.tanh(np.array([[0.3, -0.7]]) @ p["w"] + p["b"][0])
    return (hidden @ p["b"][1]).sum() ** 2 + (p["w"] * p["w"]).sum()


PARAMETERS = {
    "w": np.array([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]]),
    "b": (np.array([0.1, 0.2, -0.3]), np.array([[1.0], [-1.0], [0.5]])),
}


def flat(parameters: Any) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in nest.flatten(parameters)[0]])


def unflat(vector: np.ndarray) -> Any:
    leaves, structure = nest.flatten(PARAMETERS)
    parts, start = [], 0
    for leaf in leaves:
        parts.append(vector[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    return nest.unflatten(structure, parts)


def numerical_gradient(function: Any, vector: np.ndarray, step: float = 1e-6) -> np.ndarray:
    units = np.eye(vector.size) * step
    return np.array([(function(vector + u) - function(vector - u)) / (2 * step) for u in units])


@pytest.mark.parametrize(("order", "expected"), [(1, 12.0), (2, 12.0), (3, 6.0), (4, 0.0)])
def test_derivatives_of_any_order(order: int, expected: float) -> None:
    function = cubic
    for _ in range(order):
        function = grad(function)
    assert function(2.0).item() == expected
    assert compile(function)(2.0).item() == expected


def test_third_derivative_of_a_composite() -> None:
    """d^3/dx^3 of sin(x^2) = -12 x sin(x^2) - 8 x^3 cos(x^2)."""
    x = 1.3
    third = grad(grad(grad(lambda v: ops.sin(v * v))))(np.asarray(x))
    assert math.isclose(third.item(), -12 * x * math.sin(x * x) - 8 * x**3 * math.cos(x * x), rel_tol=1e-12)


def test_an_inner_gradient_may_close_over_the_outer_variable() -> None:
    """d/dx (d/dy x y^2 at y = x) = d/dx 2 x^2 = 4 x: no perturbation is confused with another."""
    assert grad(lambda x: grad(lambda y: x * y * y)(x))(3.0).item() == 12.0
    assert grad(lambda x: grad(lambda y: x * y * y)(2.0))(3.0).item() == 4.0
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(5.0).item() == 1.0


def test_gradients_come_in_the_nest_of_the_argument() -> None:
    value, gradients = value_and_grad(network)(PARAMETERS)
    assert nest.flatten(gradients)[1] == nest.flatten(PARAMETERS)[1]
    assert nest.map(lambda g: g.shape, gradients) == nest.map(lambda p: p.shape, PARAMETERS)
    assert value.item() == network(nest.map(Tensor, PARAMETERS)).item()
    expected = numerical_gradient(lambda v: network(nest.map(Tensor, unflat(v))).item(), flat(PARAMETERS))
    np.testing.assert_allclose(flat(gradients), expected, rtol=1e-7, atol=1e-9)


def test_chosen_arguments_are_differentiated() -> None:
    def function(a: Any, b: Any, scale: float, *, shift: float = 0.0) -> Any:
        return a * b * b * scale + shift * a

    assert grad(function)(2.0, 3.0, 1.0).item() == 9.0
    assert grad(function, 1)(2.0, 3.0, 1.0).item() == 12.0
    assert [g.item() for g in grad(function, (1, 0))(2.0, 3.0, 1.0, shift=5.0)] == [12.0, 14.0]
    assert [g.item() for g in grad(function, [0])(2.0, 3.0, 1.0)] == [9.0]


def test_an_argument_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError) as error:
        grad(cubic, 1)(2.0)
    assert str(error.value) == "grad: argument number 1 does not exist; the call has 1."


def test_auxiliary_results_pass_through() -> None:
    def function(x: Any) -> Any:
        return x * x, {"doubled": 2 * x}

    gradient, aux = grad(function, has_aux=True)(3.0)
    assert (gradient.item(), aux["doubled"].item()) == (6.0, 6.0)
    (value, aux), gradient = value_and_grad(function, has_aux=True)(3.0)
    assert (value.item(), aux["doubled"].item(), gradient.item()) == (9.0, 6.0, 6.0)


def test_what_the_result_does_not_depend_on_has_gradient_zero() -> None:
    gradients = grad(lambda p: p["used"] * 2)({"used": 1.0, "unused": np.ones(2, "float32")})
    assert gradients["unused"].tolist() == [0.0, 0.0]
    assert grad(lambda x: 3.0)(1.0).item() == 0.0
    assert grad(lambda x: ops.floor(x))(1.5).item() == 0.0


def test_the_result_must_be_one_real_number() -> None:
    with pytest.raises(ShapeError) as error:
        grad(lambda x: x * x)(np.ones(3))
    assert str(error.value) == (
        "grad: the function's result has shape [3], but must be one number\n"
        "Hint: reduce it with .sum() or .mean(), or use jacobian or vjp"
    )
    with pytest.raises(DifferentiationError) as refused:
        grad(lambda x: (x > 0).astype("int32"))(1.0)
    assert str(refused.value) == "The result of the function is int32[]; only floats have derivatives."


@pytest.mark.parametrize("value", [1, [1, 2], np.arange(3), True])
def test_only_reals_can_be_differentiated_by(value: Any) -> None:
    for transform in (grad, jacobian, hessian):
        with pytest.raises(DTypeError, match=r"^grad: the argument is (int32|int64|bool)\[.*only float arrays"):
            transform(lambda x: x)(value)


# Closures over tracked tensors.


def test_a_gradient_over_a_tracked_tensor_is_tracked() -> None:
    w = Tensor(3.0, requires_grad=True)
    slope = grad(lambda x: w * x * x)(2.0)
    assert slope.requires_grad
    slope.backward()
    assert w.grad.item() == 4.0


def test_the_value_over_a_tracked_tensor_is_tracked_and_others_are_not() -> None:
    w = Tensor(3.0, requires_grad=True)
    value, _ = value_and_grad(lambda x: w * x)(2.0)
    value.backward()
    assert w.grad.item() == 2.0
    value, gradient = value_and_grad(cubic)(2.0)
    assert (value.requires_grad, gradient.requires_grad) == (False, False)


def test_a_tracked_argument_links_the_gradient_to_its_history() -> None:
    w = Tensor(3.0, requires_grad=True)
    slope = grad(cubic)(2 * w)
    assert slope.item() == 108.0
    slope.backward()
    assert w.grad.item() == 6 * 6.0 * 2
    assert grad(cubic)(w).item() == 27.0


def test_no_grad_does_not_hinder_gradients_but_leaves_them_untracked() -> None:
    w = Tensor(3.0, requires_grad=True)
    with no_grad():
        slope = grad(lambda x: w * x * x)(2.0)
        value, pullback = vjp(lambda x: w * x, 2.0)
        rows = jacobian(lambda x: w * x * x)(np.array([1.0, 2.0]))
        second = grad(grad(cubic))(2.0)
    assert (slope.item(), slope.requires_grad) == (12.0, False)
    assert (value.item(), value.requires_grad) == (6.0, False)
    assert pullback(1.0)[0].item() == 3.0
    assert rows.tolist() == [[6.0, 0.0], [0.0, 12.0]]
    assert second.item() == 12.0


def test_no_grad_inside_the_function_hides_its_part() -> None:
    def function(x: Any) -> Any:
        with no_grad():
            hidden = x * x
        return x * hidden

    assert grad(function)(3.0).item() == 9.0


# vjp.


def test_vjp_pulls_nests_back_to_nests() -> None:
    def function(p: Any, x: Any) -> Any:
        return {"y": p["w"] @ x, "norm": (p["w"] * p["w"]).sum()}, x * 2

    w, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0])
    result, pullback = vjp(function, {"w": w}, x)
    assert result[0]["y"].tolist() == [-1.0, -1.0]
    by_p, by_x = pullback(({"y": np.array([1.0, 0.0]), "norm": 1.0}, np.array([0.0, 1.0])))
    assert by_p["w"].tolist() == [[1.0 + 2, -1.0 + 4], [6.0, 8.0]]
    assert by_x.tolist() == [1.0, 2.0 + 2.0]


def test_a_pullback_is_linear_and_can_be_used_again() -> None:
    x = np.array([1.0, 2.0])
    _, pullback = vjp(lambda v: ops.exp(v), x)
    first, second = pullback(np.array([1.0, 0.0]))[0], pullback(np.array([0.0, 2.0]))[0]
    np.testing.assert_allclose((first + second).numpy(), np.exp(x) * [1, 2])


def test_a_pullback_can_be_differentiated_by_its_cotangent() -> None:
    """The transpose of the transpose is J itself: J v = d/du <J' u, v>."""
    x, v = np.array([0.5, 1.5]), np.array([1.0, -2.0])
    _, pullback = vjp(lambda a: ops.stack([a[0] * a[1], ops.sin(a[0])]), x)
    forward = grad(lambda u: (pullback(u)[0] * v).sum())(np.zeros(2))
    np.testing.assert_allclose(forward.numpy(), [x[1] * v[0] + x[0] * v[1], math.cos(x[0]) * v[0]])


def test_a_cotangent_must_fit_the_result() -> None:
    _, pullback = vjp(lambda x: (x * x, x.sum()), np.ones(2))
    with pytest.raises(ShapeError) as error:
        pullback((np.ones(3), 1.0))
    assert str(error.value) == "vjp: the cotangent has shape [3], the result float64[2]"
    with pytest.raises(ShapeError, match=r"^vjp: the cotangent is nested otherwise than the result$"):
        pullback([np.ones(2), 1.0])


def test_a_constant_result_pulls_back_to_zero() -> None:
    value, pullback = vjp(lambda x: 3.0, 1.0)
    assert (value.item(), pullback(1.0)[0].item()) == (3.0, 0.0)


# Jacobians and Hessians.


def test_the_jacobian_has_the_shape_of_output_then_input() -> None:
    x = np.arange(6.0).reshape(2, 3)
    rows = jacobian(lambda v: v.sum(0) ** 2)(x)
    assert rows.shape == (3, 2, 3)
    expected = np.zeros((3, 2, 3))
    for column in range(3):
        expected[column, :, column] = 2 * x.sum(0)[column]
    np.testing.assert_array_equal(rows.numpy(), expected)


def test_the_jacobian_of_nests_is_a_nest_of_nests() -> None:
    def function(p: Any) -> Any:
        return {"product": p["a"] * p["b"], "sum": [p["a"].sum()]}

    found = jacobian(function)({"a": np.array([1.0, 2.0]), "b": 3.0})
    assert found["product"]["a"].tolist() == [[3.0, 0.0], [0.0, 3.0]]
    assert found["product"]["b"].tolist() == [1.0, 2.0]
    assert found["sum"][0]["a"].tolist() == [1.0, 1.0]
    assert found["sum"][0]["b"].item() == 0.0


def test_the_jacobian_of_nothing_is_empty() -> None:
    assert jacobian(lambda x: x[:0] * 2)(np.ones(3)).shape == (0, 3)
    assert jacobian(lambda x: x.sum())(np.ones((0, 2))).shape == (0, 2)


def blocks(matrix: Any) -> np.ndarray:
    """A Hessian as a nest of nests -> one square array."""
    names = [("b", 0), ("b", 1), ("w", None)]

    def pick(tree: Any, name: tuple) -> Any:
        return tree[name[0]] if name[1] is None else tree[name[0]][name[1]]

    rows = []
    for row in names:
        n = int(np.prod(pick(PARAMETERS, row).shape))
        rows.append(np.concatenate([np.asarray(pick(pick(matrix, row), c)).reshape(n, -1) for c in names], axis=1))
    return np.concatenate(rows)


def test_the_hessian_of_a_nest_is_symmetric_and_the_derivative_of_the_gradient() -> None:
    square = blocks(hessian(network)(PARAMETERS))
    np.testing.assert_allclose(square, square.T, rtol=1e-12, atol=1e-13)
    expected = numerical_gradient(lambda v: flat(grad(network)(unflat(v))), flat(PARAMETERS))
    np.testing.assert_allclose(square, expected, rtol=1e-6, atol=1e-8)


def test_a_hessian_vector_product_is_the_hessian_times_the_vector() -> None:
    direction = unflat(np.random.default_rng(0).standard_normal(flat(PARAMETERS).size))
    product = flat(hvp(network, PARAMETERS, direction))
    np.testing.assert_allclose(product, blocks(hessian(network)(PARAMETERS)) @ flat(direction), rtol=1e-12, atol=1e-13)


def test_a_direction_must_fit_the_point() -> None:
    with pytest.raises(ShapeError, match=r"^hvp: the direction has shape \[\], the point float64\[2\]$"):
        hvp(lambda x: (x**3).sum(), np.ones(2), np.asarray(1.0))
    with pytest.raises(ShapeError, match=r"^hvp: the direction is nested otherwise than the point$"):
        hvp(lambda x: (x**3).sum(), np.ones(2), [np.ones(2)])


def test_the_saddle_of_the_lectures() -> None:
    """L = (1 - w1 w2)^2 at 0: H = [[0, -2], [-2, 0]], eigenvalues 2 and -2, down along [1, 1]."""

    def loss(w: Any) -> Any:
        return (1 - w[0] * w[1]) ** 2

    matrix = hessian(loss)(np.zeros(2)).numpy()
    assert matrix.tolist() == [[0.0, -2.0], [-2.0, 0.0]]
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), [-2.0, 2.0])
    assert loss(np.array([0.1, 0.1])) < loss(np.zeros(2))


def test_a_value_that_escaped_from_a_finished_gradient_is_a_constant() -> None:
    escaped: list[Tensor] = []
    grad(lambda x: escaped.append(x * 2) or x * x)(3.0)
    slope = grad(lambda z: z * z * escaped[0])(1.0)
    assert slope.item() == 12.0
    assert not slope.requires_grad


# Inside traces, threads, memory.


@pytest.mark.parametrize(
    "derivative",
    [
        lambda p: grad(network)(p),
        lambda p: grad(lambda q: sum((g * g).sum() for g in nest.flatten(grad(network)(q))[0]))(p),
        lambda p: hvp(network, p, PARAMETERS),
        lambda p: vjp(network, p)[1](2.0)[0],
        lambda p: hessian(network)(p),
    ],
    ids=["grad", "grad-of-grad", "hvp", "vjp", "hessian"],
)
def test_derivatives_are_the_same_inside_compile(derivative: Any) -> None:
    eager, compiled = derivative(PARAMETERS), compile(derivative)(PARAMETERS)
    assert nest.flatten(eager)[1] == nest.flatten(compiled)[1]
    np.testing.assert_allclose(flat(compiled), flat(eager), rtol=1e-13, atol=1e-13)


def test_threads_differentiate_without_disturbing_each_other() -> None:
    results: dict[int, list] = {}
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        found = []
        for step in range(30):
            x = 1.0 + number + step / 100
            if step % 2:
                found.append(abs(grad(grad(cubic))(np.asarray(x)).item() - 6 * x))
            else:
                found.append(abs(compile(grad(cubic))(np.asarray(x)).item() - 3 * x * x))
        results[number] = found

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
    assert max(max(found) for found in results.values()) < 1e-12


def test_a_gradient_releases_what_the_function_computed() -> None:
    alive = []

    def function(x: Any) -> Any:
        middle = ops.exp(x)
        alive.append(weakref.ref(middle))
        return (middle * middle).sum()

    value, gradient = value_and_grad(function)(np.ones(5))
    gc.collect()
    assert alive[0]() is None
    assert value.spec == Spec((), np.dtype("float64"))
    assert gradient.shape == (5,)
