"""The same hundred steps by Pellucid, by torch, and by a loop of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import draws

from pellucid import Sequential, Tensor
from pellucid.nn import Dense, Input

STEPS = 100
X, Y = draws(16, 3), draws(16, 2, seed=1)


def again(optimizer: Any) -> Any:
    """The same optimiser without state."""
    return type(optimizer)(**optimizer.config())


@dataclass(frozen=True)
class Gradients:
    """A parameter and a fixed sequence of gradients of changing size."""

    start: np.ndarray
    sequence: list[np.ndarray]

    def run(self, optimizer: Any) -> np.ndarray:
        """The parameter after all updates."""
        optimizer.reset()
        w = Tensor(self.start)
        for g in self.sequence:
            optimizer.apply([w], [Tensor(g)])
        return w.numpy()


GRADIENT_CASES = Gradients(draws(2, 3), [draws(2, 3, seed=100 + t) * (1 + np.sin(t)) + 0.3 for t in range(STEPS)])


def follow(optimizer: Any, loop: Callable[[np.ndarray, list[np.ndarray]], np.ndarray]) -> None:
    """Check that the optimiser does what the loop does."""
    expected = loop(GRADIENT_CASES.start, GRADIENT_CASES.sequence)
    np.testing.assert_allclose(GRADIENT_CASES.run(optimizer), expected, rtol=1e-10, atol=1e-12)


def assert_as_torch_on_a_network(optimizer: Any, peer: str, options: dict[str, Any]) -> None:
    """A hundred compiled steps of a small network in float64, against torch's own back-propagation."""
    torch = pytest.importorskip("torch")
    model = Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(2)], dtype="float64")
    for number, parameter in enumerate(model.parameters):
        parameter.assign(draws(*parameter.shape, seed=10 + number) * 0.5)
    w1, b1, w2, b2 = weights = [torch.tensor(p.numpy().copy(), requires_grad=True) for p in model.parameters]
    model.compile(loss="mse", optimizer=again(optimizer))
    other = getattr(torch.optim, peer)(weights, **options)
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(STEPS):
        model.train_on_batch(X, Y)
        other.zero_grad()
        torch.mean((torch.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).backward()
        other.step()
    for own, theirs in zip(model.parameters, weights, strict=True):
        np.testing.assert_allclose(own, theirs.detach(), rtol=1e-7, atol=1e-9)


def assert_as_torch_on_a_quadratic(optimizer: Any, peer: str, options: dict[str, Any], dtype: str) -> None:
    """A hundred eager steps on sum c (w - a)^2 / 2 in either precision."""
    torch = pytest.importorskip("torch")
    curvature = np.array([[0.1, 1.0, 3.0], [0.5, 2.0, 0.01]], dtype)
    target = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]], dtype)
    fresh = again(optimizer)
    w, theirs = Tensor(np.zeros((2, 3), dtype)), torch.zeros((2, 3), dtype=getattr(torch, dtype), requires_grad=True)
    other = getattr(torch.optim, peer)([theirs], **options)
    for _ in range(STEPS):
        fresh.apply([w], [Tensor(curvature * (w.numpy() - target))])
        theirs.grad = torch.tensor(curvature) * (theirs.detach() - torch.tensor(target))
        other.step()
    # torch keeps NAdam's product of momenta in float32, whatever the parameter's type.
    tolerance = 1e-6 if dtype == "float32" else 1e-9 if peer == "NAdam" else 1e-12
    np.testing.assert_allclose(w, theirs.detach(), rtol=tolerance, atol=tolerance)
