"""What one unit, a kernel and a hidden layer separate: three data sets in the plane (decks 001 and 002).

The perceptron solves the linearly separable points only; a network with 16 hidden units solves all three, from ten of
ten first weights. scikit-learn's support vector machine solves them, too: its kernel is a non-linear map that nobody
learns, the hidden layer one that is learnt. Run ``python examples/three_data_sets.py [PICTURE.png]``: 7 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.svm import SVC

from pellucid import Input, Sequential, data, plot, set_seed
from pellucid.classic import Perceptron
from pellucid.nn import Dense
from pellucid.optim import Adam

NAMES = ("linearly_separable", "non_linearly_separable", "circles")


def network(x: np.ndarray, y: np.ndarray) -> Sequential:
    """One hidden layer of sixteen units."""
    set_seed(0)
    model = Sequential([Input((2,)), Dense(16, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(0.03), ["accuracy"])
    model.fit(x, y, epochs=300, seed=0, verbose=0)
    return model


def main(path: str = "three_data_sets.png") -> dict[str, tuple[float, float, float]]:
    """Train all on each, print, draw; the accuracies of perceptron, kernel and network on the test points."""
    (figure, panels), found = plt.subplots(3, 3, figsize=(12, 11.4), layout="constrained"), {}
    for column, name in zip(panels.T, NAMES, strict=True):
        points = data.load(name)
        unit, kernel = (each.fit(*points.train) for each in (Perceptron(0.1, 1000), SVC(C=1000)))
        hidden = network(*points.train)
        found[name] = *(float(each.score(*points.test)) for each in (unit, kernel)), hidden.evaluate(*points.test)[1]
        print(f"{name}: perceptron {found[name][0]:.0%}, kernel {found[name][1]:.0%}, ", end="")
        print(f"network {found[name][2]:.0%} of the test points right")
        kinds = ("perceptron", unit), ("kernel SVM", kernel), ("hidden layer", hidden)
        for axes, (kind, model), share in zip(column, kinds, found[name], strict=True):
            plot.decision_regions(model, *points.train, feature_names=points.feature_names, ax=axes)
            axes.set(title=f"{name.replace('_', ' ')}\n{kind}: {share:.0%} right", aspect="equal")
            axes.get_legend().remove()
    figure.legend(*axes.get_legend_handles_labels(), title="class", ncols=2, loc="outside upper right")
    figure.suptitle("240 points to learn from, and how much of 60 others is right")
    figure.savefig(path, dpi=100)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
