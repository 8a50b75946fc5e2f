"""Fat and short against thin and tall: the same number of parameters in one to six layers (deck 001).

Two interleaved spirals, ten first weights for each shape at the best of four learning rates: two to four layers beat
one at every size, and one layer of 3,000 parameters (0.8 % errors) does not reach two of 1,000 (0.0 %), as in the
deck's table; six layers of 6 units have 18 %. Run ``python examples/fat_or_tall.py [PICTURE.png]``: 25 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Population, Sequential, data
from pellucid.nn import Dense
from pellucid.optim import Adam

SIZES = {300: ("#D55E00", "o:"), 1000: ("#009E73", "s--"), 3000: ("#0072B2", "^-")}
DEPTHS, RATES, SEEDS = (1, 2, 3, 4, 6), (0.003, 0.01, 0.03, 0.1), 10


def network(depth: int, size: int) -> Sequential:
    """The widest network of this depth that has no more parameters: w (2 + 1), (depth - 1) w (w + 1) and w + 1."""
    width = max(w for w in range(1, size) if 3 * w + (depth - 1) * w * (w + 1) + w + 1 <= size)
    hidden = [Dense(width, "relu", kernel_initializer="he_normal") for _ in range(depth)]
    model = Sequential([Input((2,)), *hidden, Dense(1, "sigmoid")])
    model.compile("binary_crossentropy", Adam(), ["accuracy"])
    return model


def errors_of(model: Sequential, spirals) -> np.ndarray:
    """The errors of ten networks on held-out points, at the learning rate with the best median."""
    seeds, rates = list(range(SEEDS)) * len(RATES), np.repeat(RATES, SEEDS)
    networks = Population(model, len(seeds), seed=seeds, learning_rate=rates)
    networks.fit(*spirals.train, epochs=200)
    accuracy = np.reshape([each["accuracy"] for each in networks.evaluate(*spirals.test)], (len(RATES), SEEDS))
    return 1 - accuracy[np.median(accuracy, axis=1).argmax()]


def main(path: str = "fat_or_tall.png") -> dict[int, list[float]]:
    """Train all shapes, print, draw; for each size the median error at each depth."""
    spirals, medians = data.load("spirals", samples=1000, turns=2.5, test_fraction=0.5), {}
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for size, (color, style) in SIZES.items():
        models = [network(depth, size) for depth in DEPTHS]
        errors = [errors_of(model, spirals) for model in models]
        medians[size] = np.median(errors, axis=1).tolist()
        for model, each in zip(models, errors, strict=True):
            shape = f"{len(model.layers) - 1} x {model.layers[0].units:<3} = {model.count_parameters():5,} parameters"
            print(f"{shape}: {np.median(each):5.1%} errors ({each.min():.1%} to {each.max():.1%})")
        axes.plot(DEPTHS, medians[size], style, color=color, label=f"{size:,} parameters")
    axes.set(title="Two spirals, fat or tall", xlabel="hidden layers", ylabel="errors on held-out points")
    axes.set_yticks(np.arange(5) / 20, [f"{5 * k}%" for k in range(5)])
    axes.legend()
    figure.savefig(path, dpi=110)
    return medians


if __name__ == "__main__":
    main(*sys.argv[1:])
