"""The adaptive optimisers against torch and against the lectures' formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.optim.peers import GRADIENT_CASES, assert_as_torch_on_a_network, assert_as_torch_on_a_quadratic, follow

from pellucid import Tensor
from pellucid.optim import Adadelta, Adagrad, Adam, AdamW, Nadam, RMSProp

CASES: list[tuple[Any, str, dict[str, Any]]] = [
    (Adagrad(0.1), "Adagrad", {"lr": 0.1}),
    (Adagrad(0.1, weight_decay=0.1, decay_biases=True), "Adagrad", {"lr": 0.1, "weight_decay": 0.1}),
    (RMSProp(0.01), "RMSprop", {"lr": 0.01, "alpha": 0.9}),
    (RMSProp(0.01, 0.99, centered=True), "RMSprop", {"lr": 0.01, "alpha": 0.99, "centered": True}),
    (RMSProp(0.01, momentum=0.8), "RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.8}),
    (Adadelta(), "Adadelta", {}),
    (Adadelta(0.5, 0.8, 1e-4), "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4}),
    (Adam(0.01), "Adam", {"lr": 0.01}),
    (Adam(0.01, 0.5, 0.9, 1e-4), "Adam", {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-4}),
    (Adam(0.01, weight_decay=0.1, decay_biases=True), "Adam", {"lr": 0.01, "weight_decay": 0.1}),
    (AdamW(0.01, weight_decay=0.1, decay_biases=True), "AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    (Nadam(0.01), "NAdam", {"lr": 0.01}),
    (Nadam(0.01, momentum_decay=0.1), "NAdam", {"lr": 0.01, "momentum_decay": 0.1}),
    (Nadam(0.01, weight_decay=0.1, decay_biases=True), "NAdam", {"lr": 0.01, "weight_decay": 0.1}),
]

each = pytest.mark.parametrize(("optimizer", "peer", "options"), CASES, ids=repr)


# The difference v - mean^2 cancels here: in float32, torch itself ends 3e-5 away from its own float64.
CANCELLING = (
    RMSProp(0.01, momentum=0.8, centered=True, weight_decay=0.1, decay_biases=True),
    "RMSprop",
    {"lr": 0.01, "alpha": 0.9, "momentum": 0.8, "centered": True, "weight_decay": 0.1},
)


def test_centred_rmsprop_with_momentum_and_decay_is_torchs_in_float64() -> None:
    assert_as_torch_on_a_network(*CANCELLING)
    assert_as_torch_on_a_quadratic(*CANCELLING, "float64")


@each
def test_a_hundred_steps_of_a_network_are_torchs(optimizer: Any, peer: str, options: dict[str, Any]) -> None:
    assert_as_torch_on_a_network(optimizer, peer, options)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_hundred_steps_of_a_quadratic_are_torchs(
    optimizer: Any, peer: str, options: dict[str, Any], dtype: str
) -> None:
    assert_as_torch_on_a_quadratic(optimizer, peer, options, dtype)


def test_defaults_are_torchs_where_torch_has_the_form() -> None:
    torch = pytest.importorskip("torch")
    w = [torch.zeros(1, requires_grad=True)]
    for own, peer in ((Adam(), torch.optim.Adam(w)), (Nadam(), torch.optim.NAdam(w))):
        assert own.learning_rate == peer.defaults["lr"]
        assert (own.beta_1, own.beta_2) == peer.defaults["betas"]
        assert own.epsilon == peer.defaults["eps"]
    assert Adagrad().epsilon == torch.optim.Adagrad(w).defaults["eps"]


def test_adagrad_by_the_root_of_the_sum() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        s = np.zeros_like(w)
        for g in gradients:
            s = s + g**2
            w = w - 0.1 / np.sqrt(s) * g
        return w

    follow(Adagrad(0.1, epsilon=0.0), loop)


def test_adagrad_of_the_lectures_by_the_root_of_the_mean() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        for t in range(len(gradients)):
            sigma = np.sqrt(np.mean(np.square(gradients[: t + 1]), axis=0))
            w = w - 0.1 / sigma * gradients[t]
        return w

    follow(Adagrad(0.1, form="mean", epsilon=0.0), loop)


def test_rmsprop_of_the_lectures_starts_from_the_first_gradient() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        sigma = np.abs(gradients[0])
        w = w - 0.01 / sigma * gradients[0]
        for g in gradients[1:]:
            sigma = np.sqrt(0.9 * sigma**2 + 0.1 * g**2)
            w = w - 0.01 / sigma * g
        return w

    follow(RMSProp(0.01, 0.9, start="gradient", epsilon=0.0), loop)


def test_adam_of_the_lectures_pseudo_code() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        m, v = np.zeros_like(w), np.zeros_like(w)
        for t, g in enumerate(gradients, start=1):
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
            w = w - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
        return w

    follow(Adam(0.01), loop)


def test_nadam_of_its_paper() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        m, v, product = np.zeros_like(w), np.zeros_like(w), 1.0
        for t, g in enumerate(gradients, start=1):
            mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * n)) for n in (t, t + 1))
            product *= mu
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            ahead = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
            w = w - 0.01 * ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return w

    follow(Nadam(0.01), loop)


def test_adadelta_of_its_paper() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        v, u = np.zeros_like(w), np.zeros_like(w)
        for g in gradients:
            v = 0.9 * v + 0.1 * g**2
            d = np.sqrt(u + 1e-6) / np.sqrt(v + 1e-6) * g
            u = 0.9 * u + 0.1 * d**2
            w = w - d
        return w

    follow(Adadelta(), loop)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_first_step_of_adam_has_the_size_of_the_rate(size: float, dtype: str) -> None:
    w = Tensor(np.zeros((1, 2), dtype))
    Adam(0.01).apply([w], [Tensor(np.array([[size, -size]], dtype))])
    np.testing.assert_allclose(w, [[-0.01, 0.01]], rtol=2e-5)


def test_steps_do_not_depend_on_the_size_of_the_gradients() -> None:
    scaled = [1000 * g for g in GRADIENT_CASES.sequence]
    for optimizer in (Adagrad(0.1), RMSProp(0.01), Adam(0.01), Nadam(0.01)):
        w = Tensor(GRADIENT_CASES.start)
        for g in scaled:
            optimizer.apply([w], [Tensor(g)])
        np.testing.assert_allclose(w, GRADIENT_CASES.run(optimizer), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_that_hardly_changes_keeps_centred_rmsprop_finite(dtype: str) -> None:
    """v - mean^2 is then nothing but rounding, which falls on either side of 0."""
    generator = np.random.default_rng(0)
    sizes = generator.uniform(0.1, 10, (40, 50)).astype(dtype)
    optimizer, w = RMSProp(0.001, centered=True), Tensor(np.zeros((40, 50), dtype))
    for _ in range(400):
        optimizer.apply([w], [Tensor(sizes)])
    assert np.isfinite(w.numpy()).all()


@pytest.mark.parametrize("kind", [Adagrad, RMSProp, Adadelta, Adam, AdamW, Nadam])
def test_a_gradient_of_zero_moves_nothing(kind: Any) -> None:
    w = Tensor(np.zeros((2, 2)))
    optimizer = kind()
    for _ in range(3):
        optimizer.apply([w], [Tensor(np.zeros((2, 2)))])
    assert w.tolist() == [[0, 0], [0, 0]]
