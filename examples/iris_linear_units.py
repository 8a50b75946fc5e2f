"""Perceptron, Adaline and logistic regression on two iris species by two of their lengths (decks 000, 003, 004).

The perceptron's errors per epoch are the deck's 2 2 3 2 1 0. Adaline diverges with the learning rate 0.01 on the raw
lengths and creeps with 0.0001 (from a cost of 50 to 40.2 in ten epochs); with standardised lengths it comes down to
2.57 in 15 epochs, and online to 8.86 in one. Run ``python examples/iris_linear_units.py [PICTURE.png]``: 2 s on two
cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from pellucid import plot
from pellucid.classic import AdalineGD, AdalineSGD, LinearRegressionGD, LogisticRegressionGD, Perceptron
from pellucid.data import standardize


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
    line, rows = LinearRegressionGD(0.01, 15).fit(x, y), [0, 99]
    print(f"linear regression has Adaline's weights {line.coef_.round(3)}, but says", end=" ")
    print(f"{line.predict(x[rows]).round(2)} where Adaline's threshold makes it {batch.predict(x[rows])}")
    # The batch forms note the cost before a step, the online form after a pass.
    costs = {"Adaline": batch.cost_, "Adaline, online": [50, *online.cost_], "logistic regression": logistic.cost_}
    figure, panels = plt.subplots(2, 2, figsize=(10, 7.6), layout="constrained")
    names = {"feature_names": ("sepal length (cm)", "petal length (cm)"), "class_names": iris.target_names[:2]}
    plot.decision_regions(unit, raw, y, ax=panels[0, 0], **names).set_title("perceptron")
    plot.error_curves(unit, ax=panels[0, 1])[0].set_title("perceptron, raw lengths")
    rates = {0.01: steep, 0.0001: gentle}
    plot.compare(rates, setting="learning rate", log=True, ax=panels[1, 0]).set_title("Adaline, raw lengths")
    shares = {name: np.divide(cost, cost[0]) for name, cost in costs.items()}
    plot.compare(shares, ax=panels[1, 1]).set(title="standardised lengths", ylabel="cost / first cost")
    figure.savefig(path, dpi=110)
    return unit.errors_


if __name__ == "__main__":
    main(*sys.argv[1:])
