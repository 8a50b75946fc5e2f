"""Hidden nodes, learning rate and batch size (deck 002): a validation curve over each, the others as in the deck.

The network 64-100-10 with sigmoids on the 1,797 handwritten digits of scikit-learn, ten epochs, five folds; the pixels
are standardised within each fold. Below: the learning curve over the number of samples, the error curves with the best
epoch of all, and three by three by three settings in parallel coordinates. Run ``python examples/hyperparameters.py
[PICTURE.png]``.
"""

import sys

from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from pellucid import Input, Model, Sequential, select
from pellucid.nn import Dense
from pellucid.optim import SGD

CURVES = {
    "hidden": [1, 3, 10, 30, 100, 300],
    "learning_rate": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
    "batch_size": [1, 4, 16, 64, 256, 1024],
}
GRID = {"hidden": [5, 20, 80], "learning_rate": [0.1, 0.5, 2.0], "batch_size": [16, 64, 256]}
OPTIONS = {"cv": 5, "preprocess": StandardScaler()}
TRAINING = {"epochs": 10, "batch_size": 64}


def network(hidden: int = 100) -> Model:
    """64 pixels, some hidden nodes, 10 digits."""
    model = Sequential([Input((64,)), Dense(hidden, activation="sigmoid"), Dense(10, activation="softmax")])
    model.compile("categorical_crossentropy", SGD(0.5), ["accuracy"])
    return model


def main(path: str = "hyperparameters.png") -> dict[str, float]:
    """Validate, print, draw; the best value of each parameter."""
    x, y = load_digits(return_X_y=True)
    figure, best = Figure(figsize=(16, 12), layout="constrained"), {}
    axes = figure.subplots(3, 3)
    for (name, values), (top, middle, _) in zip(CURVES.items(), axes.T, strict=True):
        found = select.cross_validate(network, x, y, grid={name: values}, watch=True, **OPTIONS, **TRAINING)
        select.validation_curve(found, name, ax=top)
        select.parameter_curves(found, name, ax=middle)
        best[name] = found.best_params_[name]
        print(f"{name:<14}{best[name]:>6g}: {found.best_score_:.1%} of the digits of other folds, of {values}")
    select.learning_curve(network(), x, y, **OPTIONS, **TRAINING).plot(ax=axes[2, 0])
    watched = select.cross_validate(network(20), x, y, grid={"learning_rate": [2.0]}, watch=True, epochs=60, **OPTIONS)
    select.error_curves(watched, ax=axes[2, 1])
    select.plot_parallel_coordinates(
        select.cross_validate(network, x, y, grid=GRID, epochs=10, **OPTIONS), ax=axes[2, 2]
    )
    figure.savefig(path, dpi=110)
    return best


if __name__ == "__main__":
    main(*sys.argv[1:])
