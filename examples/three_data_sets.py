"""What one unit separates and what a hidden layer separates: three data sets in the plane (deck 002).

The perceptron solves the linearly separable points only; a network with 16 hidden units solves all three, from ten of
ten first weights. Run ``python examples/three_data_sets.py [PICTURE.png]``: 6 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, data, set_seed
from pellucid.classic import Perceptron
from pellucid.nn import Dense
from pellucid.optim import Adam

NAMES = ("linearly_separable", "non_linearly_separable", "circles")


def network(x: np.ndarray, y: np.ndarray):
    """One hidden layer of sixteen units; a function that gives the class of points."""
    set_seed(0)
    model = Sequential([Input((2,)), Dense(16, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(0.03))
    model.fit(x, y, epochs=300, seed=0, verbose=0)
    return lambda points: (model.predict(points)[:, 0] > 0.5).astype(int)


def draw(axes, classify, points: data.Dataset, title: str) -> None:
    """What the model says all over the plane, and the training points."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1.1, 1.1, 300)] * 2), axis=-1).reshape(-1, 2)
    axes.pcolormesh(*grid.T.reshape(2, 300, 300), classify(grid).reshape(300, 300), cmap="cividis", alpha=0.4)
    for label, style in enumerate(("ko", "k+")):
        axes.plot(
            *points.x_train[points.y_train == label].T, style, markersize=4, fillstyle="none", label=f"class {label}"
        )
    axes.set(title=title, xlabel="Input_A", ylabel="Input_B", aspect="equal")


def main(path: str = "three_data_sets.png") -> dict[str, tuple[float, float]]:
    """Train both on each, print, draw; the accuracies of perceptron and network on the test points."""
    (figure, panels), found = plt.subplots(2, 3, figsize=(11, 7.2), layout="constrained"), {}
    for column, name in zip(panels.T, NAMES, strict=True):
        points = data.load(name)
        models = {
            "perceptron": Perceptron(0.1, 1000).fit(*points.train).predict,
            "hidden layer": network(*points.train),
        }
        right = [float((classify(points.x_test) == points.y_test).mean()) for classify in models.values()]
        found[name] = right[0], right[1]
        print(f"{name}: perceptron {right[0]:.0%}, network {right[1]:.0%} of the test points right")
        for axes, (kind, classify), share in zip(column, models.items(), right, strict=True):
            draw(axes, classify, points, f"{name.replace('_', ' ')}\n{kind}: {share:.0%} right")
    figure.savefig(path, dpi=100)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
