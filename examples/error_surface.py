"""Gradient descent on an error surface: steps too small, right and too large; a saddle and its Hessian (deck 000).

L = (1 - w1 w2)^2 is the deck's smallest network with a saddle, y = w2 w1 x. Its Hessian at the origin has the
eigenvalues -2 and 2: the gradient is 0 there, yet a step along [1, 1] goes down. Run ``python
examples/error_surface.py [PICTURE.png]``: 1 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import grad, hessian

RATES = {0.02: ("#E69F00", "o:"), 0.2: ("#0072B2", "s-"), 0.55: ("#D55E00", "^--")}
START, STEPS = np.array([-0.5, 1.6]), 30


def loss(w):
    """The squared error of y = w1 w2 x at x = 1, y = 1."""
    return (1 - w[0] * w[1]) ** 2


def descend(rate: float) -> np.ndarray:
    """The weights after every step, until they leave the picture."""
    path = [START]
    while len(path) <= STEPS and np.abs(path[-1]).max() < 3:
        path.append(path[-1] - rate * np.asarray(grad(loss)(path[-1])))
    return np.array(path)


def main(path: str = "error_surface.png") -> dict[float, float]:
    """Look at the saddle, descend with three learning rates, draw; the last loss of each."""
    values, vectors = np.linalg.eigh(np.asarray(hessian(loss)(np.zeros(2))))
    print(f"the gradient at the origin is {np.asarray(grad(loss)(np.zeros(2)))}, the loss {loss([0, 0])}")
    for value, (w1, w2) in zip(values, 0.1 * vectors.T, strict=True):
        print(f"eigenvalue {value:+.0f}: the loss is {loss([w1, w2]):.2f} at [{w1:.2f}, {w2:.2f}]")
    figure, (plane, curves) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    grid = np.meshgrid(np.linspace(-2, 2.4, 200), np.linspace(-2, 2.4, 200))
    plane.contourf(*grid, np.log10(loss(grid) + 1e-3), 20, cmap="cividis", alpha=0.7)
    for rate, (color, style) in RATES.items():
        steps = descend(rate)
        losses = np.array([loss(w) for w in steps])
        print(f"learning rate {rate}: loss {losses[0]:.2f} -> {losses[-1]:.2g} in {len(steps) - 1} steps")
        plane.plot(*steps.T, style, color=color, label=f"rate {rate}", markersize=4)
        curves.plot(losses, style, color=color, label=f"rate {rate}", markersize=4)
    plane.plot(0, 0, "wX", markersize=10, markeredgecolor="k", label="saddle")
    plane.set(title="(1 - w1 w2)²", xlabel="w1", ylabel="w2", xlim=(-2, 2.4), ylim=(-2, 2.4))
    curves.set(title="the loss", xlabel="step", ylabel="loss", yscale="log", ylim=(1e-9, 1e3))
    plane.legend()
    figure.savefig(path, dpi=110)
    return {rate: float(loss(descend(rate)[-1])) for rate in RATES}


if __name__ == "__main__":
    main(*sys.argv[1:])
