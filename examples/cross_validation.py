"""Cross-validation (decks 000, 002): one network, ten folds, 27 configurations, trained at once as populations.

The mean over the folds chooses hidden nodes, learning rate and batch size. Flat, the best of 27 looks at least as good
as it is; nested, each choice is judged by rows that took no part in it.
Run ``python examples/cross_validation.py [PICTURE.png]``.
"""

import sys

from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from pellucid import Input, Model, Sequential
from pellucid.nn import Dense
from pellucid.select import (
    Nested,
    compare,
    cross_validate,
    error_curves,
    plot_folds,
    plot_scores,
    validation_curve,
)

GRID = {"hidden": [2, 8, 32], "learning_rate": [0.001, 0.01, 0.1], "batch_size": [8, 32, 128]}
OPTIONS = {"grid": GRID, "preprocess": StandardScaler(), "epochs": 40}


def network(hidden: int = 8) -> Model:
    """4 inputs, some hidden nodes, 3 classes."""
    model = Sequential([Input((4,)), Dense(hidden, activation="relu"), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", "adam", ["accuracy"])
    return model


def main(path: str = "cross_validation.png") -> dict[str, float]:
    """Cross-validate flat and nested, print, draw; the two estimates."""
    x, y = load_iris(return_X_y=True)
    flat = cross_validate(network, x, y, cv=10, watch=True, **OPTIONS)
    flat.summary(top=5)
    print(f"the best against the second: {compare(flat)}\n")
    nested = cross_validate(network, x, y, cv=Nested(5, 5), **OPTIONS).nested
    print(nested)
    figure = Figure(figsize=(18, 9), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    plot_folds("stratified", y, ax=axes[0])
    error_curves(flat, ax=axes[1])
    plot_scores(flat, ax=axes[2])
    for name, ax in zip(GRID, axes[3:], strict=True):
        validation_curve(flat, name, ax=ax)
    figure.savefig(path, dpi=110)
    return {"flat": nested.flat, "nested": nested.score, "best": flat.best_score_}


if __name__ == "__main__":
    main(*sys.argv[1:])
