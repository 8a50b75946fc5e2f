"""Section B of the lectures' canon: computational graphs and back-propagation, with the numbers of the decks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pellucid import backends, ops
from pellucid.autodiff import grad, jacobian, value_and_grad, vjp
from pellucid.compile import compile
from pellucid.graph import gradient, trace
from pellucid.reverse import sweep
from pellucid.tensor import Tensor


def leaf(value: Any) -> Tensor:
    return Tensor(np.asarray(value, "float64"), requires_grad=True)


# Buying apples: 100 each, three of them, 10 % tax.


def buy(apple: Any, count: Any, tax: Any) -> Any:
    return apple * count * tax


APPLES = (np.asarray(100.0), np.asarray(3.0), np.asarray(1.1))


def test_three_apples_cost_330_and_the_gradients_are_those_of_the_slide() -> None:
    apple, count, tax = map(leaf, APPLES)
    price = buy(apple, count, tax)
    price.backward()
    assert price.item() == pytest.approx(330, rel=1e-14)
    assert apple.grad.item() == pytest.approx(3.3, rel=1e-14)
    assert count.grad.item() == pytest.approx(110, rel=1e-14)
    assert tax.grad.item() == 300


def test_apples_by_every_road() -> None:
    eager = [g.item() for g in grad(buy, (0, 1, 2))(*APPLES)]
    compiled = [g.item() for g in compile(grad(buy, (0, 1, 2)))(*APPLES)]
    price, *from_graph = backends.get("reference").compile(gradient(trace(buy, *APPLES).graph, [0, 1, 2]))(*APPLES)
    assert float(price) == pytest.approx(330, rel=1e-14)
    for found in (eager, compiled, [float(v) for v in from_graph]):
        assert found == pytest.approx([3.3, 110, 300], rel=1e-14)


def test_the_gradient_of_the_apple_price_before_tax() -> None:
    """The intermediate value: dprice / d(apple * count) = 1.1, and the layers' backward calls chain through it."""
    apple, count, tax = map(leaf, APPLES)
    apple_price = apple * count
    price = apple_price * tax
    one = Tensor(np.asarray(1.0))
    (by_price,) = sweep([price], [one], [apple_price])
    assert by_price.item() == 1.1
    by_apple, by_count = sweep([apple_price], [by_price], [apple, count])
    assert by_apple.item() == pytest.approx(3.3, rel=1e-14)
    assert by_count.item() == pytest.approx(110, rel=1e-14)


# The chain rule.


@pytest.mark.parametrize("a", [-2.0, 0.0, 0.5, 3.0])
def test_c_is_b_squared_and_b_is_2a_so_dc_da_is_8a(a: float) -> None:
    def c(a: Any) -> Any:
        b = 2 * a
        return b**2

    assert grad(c)(a).item() == 8 * a
    x = leaf(a)
    b = 2 * x
    (by_b,) = sweep([b**2], [Tensor(np.asarray(1.0))], [b])
    assert by_b.item() == 2 * b.item()


@pytest.mark.parametrize(("x", "y", "z"), [(1.0, 2.0, 3.0), (-1.0, 0.5, -4.0)])
def test_j_is_4_times_x_plus_yz(x: float, y: float, z: float) -> None:
    def j(x: Any, y: Any, z: Any) -> Any:
        return 4 * (x + y * z)

    value, gradients = value_and_grad(j, (0, 1, 2))(x, y, z)
    assert value.item() == 4 * (x + y * z)
    assert [g.item() for g in gradients] == [4.0, 4 * z, 4 * y]
    u = leaf(y) * z
    v = x + u
    for intermediate in (u, v):
        assert sweep([4 * v], [Tensor(np.asarray(1.0))], [intermediate])[0].item() == 4.0


def test_the_two_weight_example() -> None:
    """a = 3 w2, y_hat = w1 + w2 + a = 14, y = 17, L = (y_hat - y)^2: dL/dw1 = -6, dL/dw2 = -6 - 6 * 3 = -24."""

    def loss(w1: Any, w2: Any) -> Any:
        a = 3 * w2
        y_hat = w1 + w2 + a
        return (y_hat - 17) ** 2

    w1, w2 = 2.0, 3.0
    value, gradients = value_and_grad(loss, (0, 1))(w1, w2)
    assert value.item() == (14 - 17) ** 2
    assert [g.item() for g in gradients] == [-6.0, -24.0]


# Layers, the delta recursion, finite differences.

X = np.array([[0.5, -1.0, 0.25], [1.5, 0.3, -0.7]])
Y = np.array([[1.0, 0.0], [0.0, 1.0]])


def layers() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    sizes = (3, 4, 5, 2)
    return [(rng.standard_normal((i, o)), rng.standard_normal(o)) for i, o in itertools.pairwise(sizes)]


def mlp_loss(parameters: Any) -> Any:
    """Affine and sigmoid layers, then softmax with cross-entropy, averaged over the batch."""
    a = X
    for kernel, bias in parameters[:-1]:
        a = ops.sigmoid(a @ kernel + bias)
    kernel, bias = parameters[-1]
    return ops.cross_entropy(ops.log_softmax(a @ kernel + bias), Y).mean()


def deltas_by_hand(parameters: list) -> list[tuple[np.ndarray, np.ndarray]]:
    """delta^L = (y_hat - y) / m, then delta^l = sigma'(z^l) * (W^{l+1})^T delta^{l+1}; D = a^T delta."""
    activations = [X]
    for kernel, bias in parameters[:-1]:
        activations.append(1 / (1 + np.exp(-(activations[-1] @ kernel + bias))))
    kernel, bias = parameters[-1]
    z = activations[-1] @ kernel + bias
    raised = np.exp(z - z.max(1, keepdims=True))
    delta = (raised / raised.sum(1, keepdims=True) - Y) / len(X)
    gradients = []
    for place in reversed(range(len(parameters))):
        gradients.append((activations[place].T @ delta, delta.sum(0)))
        a = activations[place]
        delta = a * (1 - a) * (delta @ parameters[place][0].T)
    return gradients[::-1]


def test_the_delta_recursion_equals_autodiff_eager_and_compiled() -> None:
    parameters = layers()
    by_hand = deltas_by_hand(parameters)
    for found in (grad(mlp_loss)(parameters), compile(grad(mlp_loss))(parameters)):
        for (kernel, bias), (by_kernel, by_bias) in zip(by_hand, found, strict=True):
            np.testing.assert_allclose(by_kernel.numpy(), kernel, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(by_bias.numpy(), bias, rtol=1e-12, atol=1e-14)


def test_the_delta_recursion_equals_finite_differences() -> None:
    parameters, by_hand, step = layers(), deltas_by_hand(layers()), 1e-6
    for place, part in [(layer, part) for layer in range(3) for part in range(2)]:
        array = parameters[place][part]
        for position in np.ndindex(*array.shape):
            kept = array[position]
            losses = []
            for moved in (kept + step, kept - step):
                array[position] = moved
                losses.append(mlp_loss([(Tensor(k), Tensor(b)) for k, b in parameters]).item())
            array[position] = kept
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(
                by_hand[place][part][position], rel=1e-6, abs=1e-9
            )


def test_affine_and_sigmoid_layers_have_the_backward_of_the_slide() -> None:
    """Sigmoid: dout (1 - out) out. Affine: dx = dout W^T, dW = x^T dout, db = sum of dout."""
    w, b, dout = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0]), np.array([[1.0, 2.0], [3.0, 4.0]])
    _, pullback = vjp(lambda x, w, b: x @ w + b, X, w, b)
    dx, dw, db = pullback(dout)
    np.testing.assert_allclose(dx.numpy(), dout @ w.T)
    np.testing.assert_allclose(dw.numpy(), X.T @ dout)
    np.testing.assert_allclose(db.numpy(), dout.sum(0))
    out, pullback = vjp(ops.sigmoid, X)
    np.testing.assert_allclose(pullback(np.ones_like(X))[0].numpy(), (1 - out.numpy()) * out.numpy(), rtol=1e-14)


# Forward examples.


def test_the_forward_example() -> None:
    w, x, b = np.array([[1.0, -2.0], [-1.0, 1.0]]), np.array([1.0, -1.0]), np.array([1.0, 0.0])
    out = ops.sigmoid(w @ Tensor(x) + b)
    assert [round(v, 2) for v in out.tolist()] == [0.98, 0.12]


def test_softmax_of_1_2_3_4_1_2_3() -> None:
    out = ops.softmax(Tensor([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0]))
    assert [round(v, 3) for v in out.tolist()] == [0.024, 0.064, 0.175, 0.475, 0.024, 0.064, 0.175]


# The derivative table.

Z = np.array([-3.0, -1.0, -0.1, 0.2, 1.0, 4.0])


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


TABLE: list[tuple[Callable, Callable]] = [
    (ops.sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    (ops.tanh, lambda z: 1 - np.tanh(z) ** 2),
    (ops.relu, lambda z: np.where(z < 0, 0.0, 1.0)),
    (ops.leaky_relu, lambda z: np.where(z < 0, 0.01, 1.0)),
    (ops.softplus, sigmoid),
    (ops.softsign, lambda z: 1 / (1 + np.abs(z)) ** 2),
    (ops.hard_sigmoid, lambda z: np.where(np.abs(z) < 3, 1 / 6, 0.0)),
    (ops.step, np.zeros_like),
    (lambda z: z, np.ones_like),
    (lambda z: ops.elu(z, 1.0), lambda z: np.where(z < 0, np.exp(z), 1.0)),
    (ops.swish, lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
]


@pytest.mark.parametrize(("function", "derivative"), TABLE)
def test_the_derivative_table(function: Callable, derivative: Callable) -> None:
    z = Z[np.abs(Z) != 3] if function is ops.hard_sigmoid else Z  # -3 is its kink
    found = grad(lambda v: function(v).sum())(z)
    np.testing.assert_allclose(found.numpy(), derivative(z), rtol=1e-12, atol=1e-15)


def test_the_derivative_of_softmax() -> None:
    """da_i / dz_j = a_i (1{i = j} - a_j)."""
    a = ops.softmax(Z).numpy()
    np.testing.assert_allclose(jacobian(ops.softmax)(Z).numpy(), np.diag(a) - np.outer(a, a), rtol=1e-12, atol=1e-16)


def test_the_derivative_of_binary_cross_entropy() -> None:
    """dL/dy_hat = (y_hat - y) / (y_hat (1 - y_hat)), and through the sigmoid y_hat - y."""
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])

    def loss(p: Any) -> Any:
        return -(y * ops.log(p) + (1 - y) * ops.log(1 - p)).sum()

    p = sigmoid(Z)
    np.testing.assert_allclose(grad(loss)(p).numpy(), (p - y) / (p * (1 - p)), rtol=1e-12)
    np.testing.assert_allclose(grad(lambda z: loss(ops.sigmoid(z)))(Z).numpy(), p - y, rtol=1e-12, atol=1e-15)


def test_softmax_with_cross_entropy_gives_y_hat_minus_y() -> None:
    z, y = np.stack([Z, Z[::-1]]), np.eye(6)[[2, 5]]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    by_definition = grad(lambda v: -(y * ops.log(ops.softmax(v))).sum())(z)
    by_composite = grad(lambda v: ops.cross_entropy(ops.log_softmax(v), y).sum())(z)
    by_label = grad(lambda v: ops.cross_entropy(ops.log_softmax(v), np.array([2, 5])).sum())(z)
    for found in (by_definition, by_composite, by_label):
        np.testing.assert_allclose(found.numpy(), p - y, rtol=1e-12, atol=1e-15)


def test_the_derivative_of_categorical_cross_entropy() -> None:
    p, y = np.array([[0.2, 0.3, 0.5]]), np.array([[0.0, 1.0, 0.0]])
    found = grad(lambda q: ops.cross_entropy(ops.log(q), y).sum())(p)
    np.testing.assert_allclose(found.numpy(), -y / p, rtol=1e-12)


def test_the_univariate_logistic_least_squares_model() -> None:
    """L = 1/2 (sigma(w x + b) - y)^2: dL/dw = (sigma - y) sigma' x, dL/db = (sigma - y) sigma'."""
    w, b, x, y = 0.7, -0.2, 1.5, 1.0
    by_w, by_b = grad(lambda w, b: 0.5 * (ops.sigmoid(w * x + b) - y) ** 2, (0, 1))(np.asarray(w), np.asarray(b))
    s = 1 / (1 + math.exp(-(w * x + b)))
    assert by_w.item() == pytest.approx((s - y) * s * (1 - s) * x, rel=1e-12)
    assert by_b.item() == pytest.approx((s - y) * s * (1 - s), rel=1e-12)


# Matrix dimensions of an L-layer network.


def test_matrix_dimensions_of_2_3_5_4_2_1() -> None:
    """W[l]: (n[l], n[l-1]); b[l]: (n[l], 1); Z[l], A[l]: (n[l], m); each gradient like its value."""
    n, m = (2, 3, 5, 4, 2, 1), 7
    parameters = {f"W{k}": np.full((n[k], n[k - 1]), 0.1) for k in range(1, 6)}
    parameters |= {f"b{k}": np.zeros((n[k], 1)) for k in range(1, 6)}
    shapes: dict[str, tuple] = {}

    def cost(p: Any) -> Any:
        a = np.ones((n[0], m))
        for k in range(1, 6):
            z = p[f"W{k}"] @ a + p[f"b{k}"]
            a = ops.sigmoid(z)
            shapes[f"Z{k}"], shapes[f"A{k}"] = z.shape, a.shape
        return a.mean()

    gradients = grad(cost)(parameters)
    assert [p.shape for key, p in sorted(parameters.items()) if key[0] == "W"] == [
        (3, 2),
        (5, 3),
        (4, 5),
        (2, 4),
        (1, 2),
    ]
    assert shapes == {f"{letter}{k}": (n[k], m) for k in range(1, 6) for letter in "ZA"}
    assert {key: g.shape for key, g in gradients.items()} == {key: p.shape for key, p in parameters.items()}


# Batch accumulation and regularisation.


def one_sided_cost(theta: Any, x: Any, y: Any) -> Any:
    """K logistic outputs; column 0 of each theta is the bias."""
    a = x
    for matrix in theta:
        a = ops.sigmoid(ops.concatenate([np.ones((len(x), 1)), a], 1) @ ops.transpose(matrix))
    return -(y * ops.log(a) + (1 - y) * ops.log(1 - a)).sum()


THETA = [np.random.default_rng(1).standard_normal((4, 4)), np.random.default_rng(2).standard_normal((2, 5))]


def accumulated() -> list[np.ndarray]:
    """Delta^(l) += delta^(l+1) (a^(l))^T, one example at a time."""
    totals = [np.zeros_like(theta) for theta in THETA]
    for x, y in zip(X, Y, strict=True):
        activations = [np.concatenate([[1.0], x])]
        hidden = sigmoid(THETA[0] @ activations[0])
        activations.append(np.concatenate([[1.0], hidden]))
        delta = sigmoid(THETA[1] @ activations[1]) - y
        totals[1] += np.outer(delta, activations[1])
        delta = (THETA[1].T @ delta)[1:] * hidden * (1 - hidden)
        totals[0] += np.outer(delta, activations[0])
    return totals


def test_gradients_accumulate_over_the_batch() -> None:
    thetas = [leaf(theta) for theta in THETA]
    for x, y in zip(X, Y, strict=True):
        one_sided_cost(thetas, x[None], y[None]).backward()
    for theta, delta in zip(thetas, accumulated(), strict=True):
        np.testing.assert_allclose(theta.grad.numpy(), delta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_the_gradient_d_has_a_lambda_term_but_not_for_the_bias(lam: float) -> None:
    """D = Delta / m + lambda Theta (bias column: Delta / m) is the gradient of J + lambda / 2 sum Theta^2."""
    m = len(X)

    def cost(theta: Any) -> Any:
        penalty = sum((matrix[:, 1:] ** 2).sum() for matrix in theta)
        return one_sided_cost(theta, X, Y) / m + lam / 2 * penalty

    for found, delta, theta in zip(grad(cost)(THETA), accumulated(), THETA, strict=True):
        expected = delta / m + lam * theta
        expected[:, 0] = delta[:, 0] / m
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-14)


# Gradient checking.


def test_the_numerical_gradient_of_theta_cubed_at_1_is_3_0001() -> None:
    def cubed(theta: Any) -> Any:
        return theta**3

    step = 0.01
    ahead, behind = (cubed(Tensor(np.asarray(1.0 + sign * step))).item() for sign in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(3.0001, abs=1e-12)
    assert grad(cubed)(np.asarray(1.0)).item() == 3.0
