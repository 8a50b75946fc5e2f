"""Gradient descent on error surfaces of one and two parameters: steps too small, right and too large (deck 000).

Above, L = w²: the rate 0.03 creeps, 0.3 arrives, 1.03 climbs from wall to wall. Below, L = (1 - w1 w2)², the error of
the deck's smallest deep network, y = w2 w1 x, on the floor of whose valley all weights are right. Run ``python
examples/error_surface.py [PICTURE.png]``: 2 s on two cores.
"""

import sys

import matplotlib.pyplot as plt

from pellucid import plot
from pellucid.optim import SGD

STEPS = 20
CASES = {
    "w²": (lambda w: w**2, 1.0, (0.03, 0.3, 1.03), (-3.4, 3.4)),
    "(1 - w1 w2)²": (lambda w: (1 - w[0] * w[1]) ** 2, (-0.5, 1.6), (0.02, 0.2, 0.55), ((-2, 2.4), (-2, 2.4))),
}


def main(path: str = "error_surface.png") -> dict[str, list[float]]:
    """Descend with three learning rates on each surface, print, draw; the last losses."""
    figure, rows = plt.subplots(2, 3, figsize=(12, 7.6), layout="constrained")
    found = {}
    for axes, (name, (loss, start, rates, bounds)) in zip(rows, CASES.items(), strict=True):
        paths = [plot.descend(loss, start, SGD(rate), steps=STEPS) for rate in rates]
        found[name] = [float(path.losses[-1]) for path in paths]
        for rate, descent in zip(rates, paths, strict=True):
            first, last = descent.losses[[0, -1]]
            print(f"{name}, learning rate {rate}: loss {first:.3g} -> {last:.2g} in {descent.steps} steps")
        plot.gradient_descent(loss, start, learning_rates=rates, steps=STEPS, bounds=bounds, ax=axes)
        for panel, what in zip(axes, ("too small", "right", "too large"), strict=True):
            panel.set_title(f"{what}: {panel.get_title()}", fontsize=10)
    figure.savefig(path, dpi=110)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
