"""Microseconds per training step: our backends beside PyTorch eager, taking turns on the same cores.

Run ``python -m benchmarks.steps`` (PyTorch is optional: ``pip install '.[peers]'``). Each candidate has a process of
its own. Each figure is the median over rounds of an epoch of 40 steps through the public interface: shuffling,
gathering the batch, forward, gradient, SGD.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid import Input, Sequential, set_seed
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

STEPS, WARM, ROUNDS = 40, 3, 9


def mlp(*sizes: int) -> list[Any]:
    hidden = [Dense(n, activation="relu") for n in sizes[1:-1]]
    return [Input((sizes[0],)), *hidden, Dense(sizes[-1], activation="softmax")]


def lenet() -> list[Any]:
    convolutions = [Conv2D(6, 5, padding="same", activation="relu"), MaxPool2D(2), Conv2D(16, 5, activation="relu")]
    head = [Dense(120, activation="relu"), Dense(84, activation="relu"), Dense(10, activation="softmax")]
    return [Input((28, 28, 1)), *convolutions, MaxPool2D(2), Flatten(), *head]


WORK: dict[str, tuple[Callable[[], list[Any]], int]] = {
    "784-100-10, batch 256": (lambda: mlp(784, 100, 10), 256),
    "784-100-10, batch 32": (lambda: mlp(784, 100, 10), 32),
    "784-500-500-10, batch 128": (lambda: mlp(784, 500, 500, 10), 128),
    "784-32-10, batch 16": (lambda: mlp(784, 32, 10), 16),
    "4-16-3, batch 8": (lambda: mlp(4, 16, 3), 8),
    "LeNet-5, batch 128": (lenet, 128),
}


def ours(layers: list[Any], x: np.ndarray, y: np.ndarray, batch: int, backend: str) -> Callable[[], None]:
    set_seed(0)
    model = Sequential(layers)
    model.compile("categorical_crossentropy", "sgd", backend=backend)
    return lambda: model.fit(x, y, batch_size=batch, epochs=1, verbose=0) and None


def torchs(layers: list[Any], x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[], None] | None:
    try:
        import torch
    except ImportError:
        return None
    modules: list[Any] = []
    shape = layers[0].sample_shape
    channels = shape[-1]
    for layer in layers[1:]:
        if isinstance(layer, Conv2D):
            padding = 2 if layer.padding == "same" else 0
            modules += [torch.nn.Conv2d(channels, layer.filters, 5, padding=padding), torch.nn.ReLU()]
            channels = layer.filters
        elif isinstance(layer, MaxPool2D):
            modules.append(torch.nn.MaxPool2d(2))
        elif isinstance(layer, Flatten):
            modules.append(torch.nn.Flatten())
            channels *= 25
        else:
            modules += [torch.nn.Linear(channels, layer.units), torch.nn.ReLU()]
            channels = layer.units
    model = torch.nn.Sequential(*modules[:-1])
    optimizer, loss = torch.optim.SGD(model.parameters(), 0.01), torch.nn.CrossEntropyLoss()
    inputs = torch.tensor(x).permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else torch.tensor(x)
    targets = torch.tensor(y)

    def epoch() -> None:
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch):
            rows = order[start : start + batch]
            optimizer.zero_grad()
            loss(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()

    return epoch


def serve(connection: Any, kind: str, name: str) -> None:
    """One candidate in a process of its own: run an epoch when asked, and say how long it took."""
    make, batch = WORK[name]
    layers = make()
    random = np.random.default_rng(0)
    x = random.normal(size=(batch * STEPS, *layers[0].sample_shape)).astype("float32")
    y = random.integers(0, 3, batch * STEPS)
    run = torchs(layers, x, y, batch) if kind == "torch" else ours(layers, x, y, batch, kind)
    connection.send(run is not None)
    while run is not None and connection.recv():
        started = time.perf_counter()
        run()
        connection.send(time.perf_counter() - started)


def measure(name: str) -> dict[str, float]:
    """Microseconds per step of every candidate, taking turns."""
    context = multiprocessing.get_context("spawn")
    ends, processes = {}, []
    for kind in ("reference", "cpu", "torch"):
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, kind, name), daemon=True)
        process.start()
        processes.append(process)
        if here.recv():
            ends[kind] = here
    seconds: dict[str, list[float]] = {kind: [] for kind in ends}
    for _ in range(WARM + ROUNDS):
        for kind, end in ends.items():
            end.send(True)
            seconds[kind].append(end.recv())
    for end in ends.values():
        end.send(False)
    for process in processes:
        process.join()
    return {kind: statistics.median(values[WARM:]) / STEPS * 1e6 for kind, values in seconds.items()}


def main() -> None:
    print(f"{'work':28}{'reference':>12}{'cpu':>12}{'torch eager':>14}{'torch / cpu':>14}")
    for name in WORK:
        figures = measure(name)
        peer = f"{figures['torch']:14.0f}{figures['torch'] / figures['cpu']:14.2f}" if "torch" in figures else ""
        print(f"{name:28}{figures['reference']:12.0f}{figures['cpu']:12.0f}{peer}", flush=True)


if __name__ == "__main__":
    main()
