"""``python -m benchmarks.tuning``: a search over 64 configurations of 784-64-10 on MNIST, beside Optuna with PyTorch.

Both try the same configurations (learning rate, momentum and L2, drawn by Optuna's random sampler of one seed) of the
same network on the same 10,000 images, by SGD in batches of 32 for 3 epochs, with the accuracy on 2,000 other images
after each epoch, which Optuna is told. PyTorch runs twice: two trials at a time with one thread each (``n_jobs=2``),
and one at a time with two threads; the faster one counts. It reads its batches from one tensor, without a data loader,
which would be slower. ``--memory`` tells how the memory of a process of ours grows with the number of trials.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna

from pellucid import Input, Sequential
from pellucid.data import load
from pellucid.nn import Dense
from pellucid.nn.regularizers import L2
from pellucid.optim import SGD
from pellucid.select import TrialRecord, tune

HIDDEN, BATCH, EPOCHS, ROWS, HELD_OUT = 64, 32, 3, 10_000, 2_000


def examples() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images to train on, and images that judge."""
    x, y = load("mnist").train
    x = x.reshape(len(x), -1)[: ROWS + HELD_OUT].astype(np.float32)
    return (x[:ROWS], y[:ROWS]), (x[ROWS:], y[ROWS : ROWS + HELD_OUT])


def suggestions(trial: Any) -> dict[str, float]:
    """What a trial is to use."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        "momentum": trial.suggest_float("momentum", 0.1, 0.95),
        "l2": trial.suggest_float("l2", 1e-6, 1e-2, log=True),
    }


def ours(trials: int, on_trial: Callable[[TrialRecord], Any] | None = None) -> Any:
    """A search of ours."""
    train, held_out = examples()
    layers = [Dense(HIDDEN, activation="relu", kernel_regularizer=L2(1e-4)),
              Dense(10, activation="softmax", kernel_regularizer=L2(1e-4))]  # fmt: skip
    model = Sequential([Input((784,)), *layers])
    model.compile("categorical_crossentropy", SGD(0.1, momentum=0.9), ["accuracy"])
    return tune(
        model, *train, space=suggestions, trials=trials, sampler="random", validation=held_out, epochs=EPOCHS,
        batch_size=BATCH, seed=0, on_trial=on_trial, verbose=0,
    )  # fmt: skip


def theirs(trials: int, jobs: int, threads: int) -> Any:
    """The same by Optuna and PyTorch."""
    import torch

    torch.set_num_threads(threads)
    (x, y), (x_held_out, y_held_out) = [tuple(map(torch.as_tensor, part)) for part in examples()]
    y, y_held_out = y.long(), y_held_out.long()

    def objective(trial: Any) -> float:
        own = suggestions(trial)
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(784, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10))
        kernels = [p for p in net.parameters() if p.ndim == 2]
        biases = [p for p in net.parameters() if p.ndim == 1]
        groups = [{"params": kernels, "weight_decay": own["l2"]}, {"params": biases}]
        optimizer = torch.optim.SGD(groups, lr=own["learning_rate"], momentum=own["momentum"])
        loss, accuracy = torch.nn.CrossEntropyLoss(), 0.0
        for epoch in range(EPOCHS):
            order = torch.randperm(ROWS)
            for start in range(0, ROWS, BATCH):
                rows = order[start : start + BATCH]
                optimizer.zero_grad()
                loss(net(x[rows]), y[rows]).backward()
                optimizer.step()
            with torch.inference_mode():
                accuracy = float((net(x_held_out).argmax(1) == y_held_out).float().mean())
            trial.report(accuracy, epoch)
        return accuracy

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=trials, n_jobs=jobs)
    return study


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and the best accuracy."""
    started = time.perf_counter()
    found = work()
    best = found.best_score_ if hasattr(found, "best_score_") else found.best_value
    return time.perf_counter() - started, best


def compare(trials: int, rounds: int) -> float:
    """Measure in turns, print; the ratio of the best times."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ways: dict[str, Callable[[], Any]] = {
        "pellucid": lambda: ours(trials),
        "Optuna + PyTorch, 2 x 1 thread": lambda: theirs(trials, 2, 1),
        "Optuna + PyTorch, 1 x 2 threads": lambda: theirs(trials, 1, 2),
    }
    first, _ = timed(lambda: ours(2))
    timed(lambda: theirs(2, 1, 1))
    seconds: dict[str, float] = dict.fromkeys(ways, float("inf"))
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, work in ways.items():
            taken, best[name] = timed(work)
            seconds[name] = min(seconds[name], taken)
    print(f"{trials} trials of 784-{HIDDEN}-10 on {ROWS} images of MNIST, {EPOCHS} epochs, batches of {BATCH}")
    for name, taken in seconds.items():
        print(f"{name:<32}{taken:8.2f} s, {1e3 * taken / trials:7.1f} ms a trial, best accuracy {best[name]:.4f}")
    ratio = min(taken for name, taken in seconds.items() if name != "pellucid") / seconds["pellucid"]
    print(f"the faster peer takes {ratio:.1f} times as long; what a process of ours waits for once: {first:.2f} s")
    return ratio


def memory(counts: list[int]) -> None:
    """The largest memory of this process so far, after so many trials of one search."""

    def measured(record: TrialRecord) -> None:
        if record.number + 1 in counts:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{record.number + 1:5d} trials: {most:8.1f} MB at most", flush=True)

    ours(max(counts), measured)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of which the best counts")
    parser.add_argument("--memory", type=int, nargs="*", metavar="TRIALS", help="numbers of trials, such as 50 500")
    given = parser.parse_args()
    if given.memory:
        memory(given.memory)
    else:
        compare(given.trials, given.rounds)
