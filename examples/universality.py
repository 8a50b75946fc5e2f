"""Universality: one hidden layer fits a continuous function as closely as you like (decks 001 and 003).

A staircase built by hand proves it: twice the units, half the error, 0.020 with 512. Training by L-BFGS needs far fewer
(0.037 with 8), but promises nothing. Run ``python examples/universality.py [PICTURE.png]``: 6 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential
from pellucid.estimators import MLPRegressor
from pellucid.nn import Dense

X, FINE = np.linspace(-1, 1, 200)[:, None], np.linspace(-1, 1, 4001)[:, None]
LBFGS = {"solver": "lbfgs", "alpha": 0.0, "tol": 1e-6, "max_iter": 10_000, "max_fun": 100_000}


def function(x: np.ndarray) -> np.ndarray:
    """What is to be fitted."""
    return np.sin(3 * np.pi * x) + np.abs(x)


def built(units: int) -> np.ndarray:
    """A staircase over -1 to 1: every unit rises at an edge, by the difference of the two steps there."""
    model = Sequential([Input((1,)), Dense(units, activation="sigmoid"), Dense(1)], dtype="float64")
    edges, steps = np.linspace(-1, 1, units + 2), function(np.linspace(-1, 1, 2 * units + 3)[1::2])
    weights = np.full((1, units), 5.0 * units), -5 * units * edges[1:-1], np.diff(steps)[:, None], steps[:1]
    model.set_weights(dict(zip(model.get_weights(), weights, strict=True)))
    return model.predict(FINE)[:, 0]


def trained(units: int) -> np.ndarray:
    """Of five networks that learn 200 points, the one with the smallest loss."""
    networks = [MLPRegressor(hidden_layer_sizes=units, activation="tanh", random_state=k, **LBFGS) for k in range(5)]
    return min((each.fit(X, function(X[:, 0])) for each in networks), key=lambda each: each.loss_).predict(FINE)


def main(path: str = "universality.png") -> dict[str, dict[int, float]]:
    """Build, train, print, draw; the largest error at each width."""
    (figure, (left, right)), errors = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained"), {}
    left.plot(FINE, function(FINE), color="k", linewidth=5, alpha=0.25, label="sin 3πx + |x|")
    for make, first, shown, color, style in ((built, 8, 32, "#D55E00", "o--"), (trained, 1, 8, "#0072B2", "s-")):
        fits = {first << k: make(first << k) for k in range(7)}
        found = {width: float(np.abs(fit - function(FINE[:, 0])).max()) for width, fit in fits.items()}
        errors[make.__name__] = found
        print(f"{make.__name__}: largest error", ", ".join(f"{e:.3f} ({width} units)" for width, e in found.items()))
        left.plot(FINE, fits[shown], style[1:], color=color, label=f"{make.__name__}, {shown} units")
        right.plot(found.keys(), found.values(), style, color=color, label=make.__name__)
    left.set(title="one hidden layer", xlabel="x")
    right.set(title="error", xlabel="hidden units", ylabel="largest error", xscale="log", yscale="log")
    left.legend()
    figure.savefig(path, dpi=110)
    return errors


if __name__ == "__main__":
    main(*sys.argv[1:])
