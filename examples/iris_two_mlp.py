"""A 4-2-3 network on iris, trained by numerical gradients and by back-propagation (deck 000, TwoMLP).

Both take the same way, but two forward passes for each of 19 parameters cost 7 to 11 times one forward and one backward
pass (the deck says 10). Run ``python examples/iris_two_mlp.py [PICTURE.png]``: 5 s on two cores.
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np

from pellucid import data, grad, ops

STEP, RATE, UPDATES, BATCH, FLOWERS = 1e-2, 0.5, 400, 8, data.load("iris", test_fraction=0.3).standardized()


def loss(w: dict, x: np.ndarray, y: np.ndarray):
    """Cross-entropy of a softmax over a hidden layer of sigmoids."""
    return ops.cross_entropy(ops.log_softmax(ops.sigmoid(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]), y).mean()


def numerical_gradient(w: dict, x: np.ndarray, y: np.ndarray) -> dict:
    """(L(w + h) - L(w - h)) / 2h for one number after the other."""
    found = {name: np.zeros_like(value) for name, value in w.items()}
    for name, value in w.items():
        for place, kept in np.ndenumerate(value.copy()):
            for value[place], sign in ((kept + STEP, 1), (kept - STEP, -1)):
                found[name][place] += sign * loss(w, x, y).item() / (2 * STEP)
            value[place] = kept
    return found


def main(path: str = "iris_two_mlp.png") -> float:
    """Train both ways from the same weights, compare, draw; how many times longer the numerical gradient takes."""
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    losses, seconds = np.zeros((2, 2, UPDATES))
    for k, (gradient, style) in enumerate(((numerical_gradient, "-"), (grad(loss), "--"))):
        r = np.random.default_rng(0)
        w = {"W1": r.normal(size=(4, 2)), "b1": np.zeros(2), "W2": r.normal(size=(2, 3)), "b2": np.zeros(3)}
        for update, rows in enumerate(r.integers(0, len(FLOWERS.x_train), (UPDATES, BATCH))):
            started = time.perf_counter()
            found = gradient(w, FLOWERS.x_train[rows], FLOWERS.y_train[rows])
            seconds[k, update] = time.perf_counter() - started
            w = {key: value - RATE * np.asarray(found[key]) for key, value in w.items()}
            losses[k, update] = loss(w, *FLOWERS.train).item()
        print(label := f"{('numerical', 'back-propagation')[k]}: {1000 * np.median(seconds[k]):.2g} ms a gradient")
        axes.plot(losses[k], style, color=("#E69F00", "#0072B2")[k], linewidth=(5, 1.5)[k], label=label)
    # Of medians, which a pause of the machine does not move.
    ratio = float(np.divide(*np.median(seconds, axis=1)))
    print(f"{ratio:.1f} times longer; the losses differ by {np.abs(np.diff(losses, axis=0)).max():.0e}")
    axes.set(title="Iris, 4-2-3: the same descent", xlabel="update (batches of 8)", ylabel="mean cross-entropy")
    axes.legend()
    figure.savefig(path, dpi=110)
    return ratio


if __name__ == "__main__":
    main(*sys.argv[1:])
