"""Small networks with convolutions, and the same in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D


def lenet(seed: int = 0, size: int = 12, channels: int = 1) -> Sequential:
    """A small relative of LeNet-5."""
    set_seed(seed)
    return Sequential(
        [
            Input((size, size, channels)),
            Conv2D(3, 3, padding="same", activation="relu", bias_initializer="random_uniform"),
            MaxPool2D(2),
            Conv2D(4, 3, activation="relu", bias_initializer="random_uniform"),
            MaxPool2D(2),
            Flatten(),
            Dense(6, activation="relu", bias_initializer="random_uniform"),
            Dense(5, activation="softmax"),
        ]
    )


def images(count: int, seed: int = 0, size: int = 12, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size, size, channels)).astype("float32")


def torch_lenet(model: Sequential, rule: str = "gradient") -> Any:
    """The forward computation of :func:`lenet` in PyTorch, from [N, H, W, C] to a dict of every value."""
    torch = pytest.importorskip("torch")

    class Rectified(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, *signal):
            (x,) = ctx.saved_tensors
            kept = signal[0].clamp(min=0)
            return kept if rule == "deconvnet" else kept * (x > 0)

    relu = torch.relu if rule == "gradient" else Rectified.apply
    weights = {name: torch.tensor(value) for name, value in model.get_weights().items()}

    def conv(x, name, padding):
        kernel = weights[f"{name}.kernel"].permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(x, kernel, weights[f"{name}.bias"], padding=padding)

    def forward(x):
        first = relu(conv(x.permute(0, 3, 1, 2), "conv2d", 1))
        second = relu(conv(torch.nn.functional.max_pool2d(first, 2), "conv2d_1", 0))
        pooled = torch.nn.functional.max_pool2d(second, 2).permute(0, 2, 3, 1).flatten(1)
        hidden = relu(pooled @ weights["dense.kernel"] + weights["dense.bias"])
        logits = hidden @ weights["dense_1.kernel"] + weights["dense_1.bias"]
        return {"conv2d": first, "conv2d_1": second, "logits": logits, "output": logits.softmax(1)}

    return forward


def torch_gradient(model: Sequential, x: np.ndarray, targets: Any, rule: str = "gradient", of: str = "logits") -> Any:
    """The gradient of each sample's target by the input, as PyTorch has it."""
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(x, requires_grad=True)
    scores = torch_lenet(model, rule)(leaf)[of]
    scores[torch.arange(len(x)), torch.as_tensor(np.asarray(targets))].sum().backward()
    return leaf.grad.numpy()
