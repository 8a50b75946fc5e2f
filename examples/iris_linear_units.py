"""Perceptron, Adaline and logistic regression on two iris species by two of their lengths (decks 000, 003, 004).

The perceptron's errors per epoch are the deck's 2 2 3 2 1 0. Adaline diverges with the learning rate 0.01 on the raw
lengths and creeps with 0.0001 (from a cost of 50 to 40.2 in ten epochs); with standardised lengths it comes down to
2.57 in 15 epochs, and online to 8.86 in one. Run ``python examples/iris_linear_units.py [PICTURE.png]``: 3 s on two
cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from pellucid.classic import AdalineGD, AdalineSGD, LogisticRegressionGD, Perceptron
from pellucid.data import standardize

STYLES = ("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^:")


def draw(axes, curves: dict, title: str, ylabel: str) -> None:
    """One number per epoch and unit."""
    for (label, values), (color, style) in zip(curves.items(), STYLES, strict=False):
        axes.plot(range(1, len(values) + 1), values, style, color=color, label=label)
    axes.set(title=title, xlabel="epoch", ylabel=ylabel)
    axes.legend()


def main(path: str = "iris_linear_units.png") -> list[int]:
    """Train the units, print what became of them, and draw; the perceptron's errors per epoch."""
    iris = load_iris()  # in the order of the file, on which the online rules depend
    raw, y = iris.data[:100, [0, 2]], np.where(iris.target[:100] == 0, -1, 1)
    x, unit = standardize(raw), Perceptron(0.1).fit(raw, y)
    print(f"perceptron: errors {unit.errors_}, bias and weights {np.r_[unit.intercept_, unit.coef_[0]].round(2)}")
    steep, gentle = AdalineGD(0.01, 10).fit(raw, y), AdalineGD(0.0001, 10).fit(raw, y)
    batch, online, logistic = AdalineGD(0.01, 15), AdalineSGD(0.01, 14), LogisticRegressionGD(10.0, 15)
    for name, model in {"batch": batch, "online": online, "logistic regression": logistic}.items():
        print(f"{name}, standardised: {model.fit(x, y).score(x, y):.0%} right")
    for name, model in {"raw, rate 0.01": steep, "raw, rate 0.0001": gentle, "standardised, rate 0.01": batch}.items():
        print(f"Adaline, {name}: cost {model.cost_[0]:.3g}, in epoch {model.n_iter_} {model.cost_[-1]:.3g}")
    print(f"Adaline, online: cost {online.cost_[0]:.3g} after one epoch")
    # The batch forms note the cost before a step, the online form after a pass.
    costs = {"Adaline": batch.cost_, "Adaline, online": [50, *online.cost_], "logistic": logistic.cost_}
    figure, panels = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    draw(panels[0], {"errors": unit.errors_}, "perceptron, raw lengths", "errors")
    draw(panels[1], {"0.01": steep.cost_, "0.0001": gentle.cost_}, "Adaline, raw lengths", "squared errors / 2")
    draw(panels[2], {k: np.divide(c, c[0]) for k, c in costs.items()}, "standardised lengths", "cost / first cost")
    panels[1].set(yscale="log")
    panels[1].get_legend().set_title("learning rate")
    figure.savefig(path, dpi=110)
    return unit.errors_


if __name__ == "__main__":
    main(*sys.argv[1:])
