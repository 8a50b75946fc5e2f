"""``python -m benchmarks.selection``: many fits of a small network, beside GridSearchCV on two processes.

Both train the same folds of iris, standardised inside each of them, with the same configurations, epochs, batch size
and optimiser (Adam with scikit-learn's constants). Ours runs first once for what a process compiles only once, which is
told apart. scikit-learn is not warmed up beyond the start of its processes.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid import Input, Sequential
from pellucid.nn import Dense
from pellucid.optim import Adam
from pellucid.select import cross_validate

FOLDS, HIDDEN, BATCH = 10, 16, 32


def rates(count: int) -> list[float]:
    """So many learning rates."""
    return np.geomspace(1e-4, 1e-1, count).tolist()


def ours(configurations: int, epochs: int) -> Any:
    """Folds x configurations as one population."""
    x, y = load_iris(return_X_y=True)
    model = Sequential([Input((4,)), Dense(HIDDEN, activation="relu"), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", Adam(epsilon=1e-8), ["accuracy"])
    return cross_validate(
        model, x, y, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0), preprocess=StandardScaler(),
        grid={"learning_rate": rates(configurations)}, epochs=epochs, batch_size=BATCH, train_scores=False, verbose=0,
    )  # fmt: skip


def theirs(configurations: int, epochs: int) -> Any:
    """The same by GridSearchCV; every fit takes all epochs."""
    x, y = load_iris(return_X_y=True)
    mlp = MLPClassifier((HIDDEN,), alpha=0, batch_size=BATCH, max_iter=epochs, n_iter_no_change=epochs, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), mlp), {"mlpclassifier__learning_rate_init": rates(configurations)},
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0), n_jobs=2, refit=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(x, y)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def main(configurations: int, epochs: int, rounds: int) -> float:
    """Measure in turns, print; the ratio of the best times."""
    first, _ = timed(lambda: ours(2, 1))
    theirs(2, 1)  # starts its processes
    seconds: dict[str, list[float]] = {"pellucid": [], "scikit-learn": []}
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, work in (("pellucid", ours), ("scikit-learn", theirs)):
            taken, found = timed(lambda work=work: work(configurations, epochs))
            seconds[name].append(taken)
            best[name] = float(found.cv_results_["mean_test_score"].max())
    fits = FOLDS * configurations
    print(f"{fits} fits of a 4-{HIDDEN}-3 net on iris, {epochs} epochs, batches of {BATCH}, Adam")
    for name, taken in seconds.items():
        each = f"{1e3 * min(taken) / fits:8.2f} ms a fit"
        print(f"{name:<14}{min(taken):9.2f} s, {each}, best mean accuracy {best[name]:.4f}")
    ratio = min(seconds["scikit-learn"]) / min(seconds["pellucid"])
    print(f"scikit-learn takes {ratio:.1f} times as long; what a process of ours waits for once: {first:.2f} s")
    return ratio


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__)
    parser.add_argument("--configurations", type=int, default=100, help="learning rates (default: 100: 1,000 fits)")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of which the best counts")
    given = parser.parse_args()
    main(given.configurations, given.epochs, given.rounds)
