"""Gradient descent and momentum against torch and against loops of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.optim.peers import GRADIENT_CASES, assert_as_torch_on_a_network, assert_as_torch_on_a_quadratic, follow

from pellucid.optim import SGD, Momentum

CASES: list[tuple[Any, str, dict[str, Any]]] = [
    (SGD(0.05), "SGD", {"lr": 0.05}),
    (SGD(0.05, 0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (SGD(0.05, 0.9, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (Momentum(0.05), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (Momentum(0.05, 0.5, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.5, "nesterov": True}),
    (
        SGD(0.05, 0.9, weight_decay=0.1, decay_biases=True),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    ),
]

each = pytest.mark.parametrize(("optimizer", "peer", "options"), CASES, ids=repr)


@each
def test_a_hundred_steps_of_a_network_are_torchs(optimizer: Any, peer: str, options: dict[str, Any]) -> None:
    assert_as_torch_on_a_network(optimizer, peer, options)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_hundred_steps_of_a_quadratic_are_torchs(
    optimizer: Any, peer: str, options: dict[str, Any], dtype: str
) -> None:
    assert_as_torch_on_a_quadratic(optimizer, peer, options, dtype)


def test_heavy_ball_is_the_lectures_movement() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        m = np.zeros_like(w)
        for g in gradients:
            m = 0.8 * m - 0.05 * g
            w = w + m
        return w

    follow(Momentum(0.05, 0.8, form="heavy_ball"), loop)
    follow(SGD(0.05, 0.8), loop)


def test_ema_is_the_lectures_moving_average() -> None:
    def loop(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        v = np.zeros_like(w)
        for g in gradients:
            v = 0.8 * v + 0.2 * g
            w = w - 0.05 * v
        return w

    follow(Momentum(0.05, 0.8, form="ema"), loop)


def test_nesterov_looks_ahead_in_both_forms() -> None:
    def heavy_ball(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        m = np.zeros_like(w)
        for g in gradients:
            m = 0.8 * m - 0.05 * g
            w = w + 0.8 * m - 0.05 * g
        return w

    def ema(w: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
        v = np.zeros_like(w)
        for g in gradients:
            v = 0.8 * v + 0.2 * g
            w = w - 0.05 * (0.8 * v + 0.2 * g)
        return w

    follow(Momentum(0.05, 0.8, nesterov=True), heavy_ball)
    follow(Momentum(0.05, 0.8, form="ema", nesterov=True), ema)


def test_the_two_forms_agree_when_the_rate_is_scaled() -> None:
    heavy_ball, ema = Momentum(0.05 * 0.2, 0.8), Momentum(0.05, 0.8, form="ema")
    np.testing.assert_allclose(GRADIENT_CASES.run(heavy_ball), GRADIENT_CASES.run(ema), rtol=1e-12)


def test_momentum_zero_is_plain_descent() -> None:
    plain = GRADIENT_CASES.run(SGD(0.05))
    for optimizer in (SGD(0.05, 0.0), Momentum(0.05, 0.0), Momentum(0.05, 0.0, form="ema")):
        np.testing.assert_allclose(GRADIENT_CASES.run(optimizer), plain, rtol=1e-13)


def test_plain_descent_has_no_state() -> None:
    optimizer = SGD(0.05)
    GRADIENT_CASES.run(optimizer)
    assert list(optimizer.state.values()) == [{}]
