"""``python -m benchmarks.crowded``: does training with all threads ever cost more than with one?

Fits with every usable core and with one take turns, on a machine that nobody else uses and on one where a busy process
takes a core, or all of them. The ratio is the time with one thread by the time with all; it should not fall below 1.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pellucid import Input, Sequential, set_num_threads
from pellucid.backends.cpu.threads import usable_cores
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

NETWORKS = ("784-100-10, batch 256", "784-32-10, batch 16", "LeNet-5, batch 128")


def prepared(name: str, steps: int) -> tuple[Sequential, np.ndarray, np.ndarray, int]:
    """A compiled network, data for so many steps, and the batch size."""
    batch = int(name.rsplit(" ", 1)[1])
    r = np.random.default_rng(0)
    if name.startswith("LeNet"):
        x = r.random((batch * steps, 28, 28, 1), "float32")
        pool = [Conv2D(6, 5, padding="same", activation="relu"), MaxPool2D(2), Conv2D(16, 5, activation="relu")]
        dense = [Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax")]
        model = Sequential([Input((28, 28, 1)), *pool, MaxPool2D(2), Flatten(), *dense])
    else:
        sizes = [int(n) for n in name.split(",")[0].split("-")]
        x = r.random((batch * steps, sizes[0]), "float32")
        model = Sequential([Input((sizes[0],)), Dense(sizes[1], "sigmoid"), Dense(sizes[2], "softmax")])
    model.compile("categorical_crossentropy", "sgd")
    return model, x, r.integers(0, 10, len(x)), batch


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """In the block, so many other processes compute without a pause."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        time.sleep(0.3 if others else 0)
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def compare(name: str, others: int, rounds: int, seconds: float) -> tuple[float, float]:
    """Microseconds per step with one thread and with all, medians of rounds that take turns."""
    model, x, y, batch = prepared(name, 16)
    times: dict[int | None, list[float]] = {1: [], None: []}
    with busy(others):
        for turn in range(-1, rounds):
            for threads, found in times.items():
                set_num_threads(threads)
                started, epochs = time.perf_counter(), 0
                while time.perf_counter() - started < seconds:
                    model.fit(x, y, batch_size=batch, epochs=4, verbose=0)
                    epochs += 4
                if turn >= 0:
                    found.append((time.perf_counter() - started) / epochs / 16 * 1e6)
    set_num_threads(None)
    return statistics.median(times[1]), statistics.median(times[None])


def main(rounds: int, seconds: float) -> None:
    """Print a row for every network and number of busy processes."""
    print(f"{'network':24} {'busy processes':>14} {'one thread':>12} {'all threads':>12} {'ratio':>6}")
    for name in NETWORKS:
        for others in range(usable_cores() + 1):
            one, every = compare(name, others, rounds, seconds)
            print(f"{name:24} {others:>14} {one:9,.1f} us {every:9,.1f} us {one / every:6.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowded", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median counts")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of each turn")
    chosen = parser.parse_args()
    main(chosen.rounds, chosen.seconds)
