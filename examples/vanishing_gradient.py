"""The vanishing gradient: how much of it reaches each of ten layers, through sigmoids, tanh and ReLU (deck 002).

A sigmoid passes on at most a quarter of the gradient, so that the first layer gets 1e-6 of what the last one gets;
through tanh and ReLU it is twice as much. Medians of ten first weights, drawn as suits the activation (Glorot; He for
ReLU). Run ``python examples/vanishing_gradient.py [PICTURE.png]``: 5 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Population, Sequential, Tensor, data
from pellucid.nn import Dense, losses, phase
from pellucid.optim import Adam

DEPTH, SEEDS, EPOCHS = 10, 10, 20
STYLES = {"sigmoid": ("#D55E00", "o-"), "tanh": ("#009E73", "s--"), "relu": ("#0072B2", "^-.")}


def network(activation: str) -> Sequential:
    """Ten layers of 20 units, and a softmax."""
    form = {"kernel_initializer": "he_normal" if activation == "relu" else "glorot_normal"}
    model = Sequential([Input((64,)), *(Dense(20, activation, **form) for _ in range(DEPTH)), Dense(10, "softmax")])
    model.compile("categorical_crossentropy", Adam(0.003), ["accuracy"])
    return model


def gradient_norms(model: Sequential, x: np.ndarray, y: np.ndarray) -> list[float]:
    """The norm of the gradient of each layer's kernel."""
    with phase(training=True):
        losses.get("categorical_crossentropy")(Tensor(y), model(x)).backward()
    return [float(np.linalg.norm(layer.kernel.grad)) for layer in model.layers]


def main(path: str = "vanishing_gradient.png") -> dict[str, float]:
    """Measure, train, print, draw; for each activation, the gradient of the first layer over that of the last."""
    digits, ratio, depths = data.load("digits").flat(), {}, range(1, DEPTH + 2)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, (color, style) in STYLES.items():
        networks = Population(network(name), SEEDS, seed=0)
        norms = np.array([gradient_norms(model, *digits.train) for model in networks])
        curves = [history["loss"] for history in networks.fit(*digits.train, epochs=EPOCHS)]
        accuracy = np.median([found["accuracy"] for found in networks.evaluate(*digits.test)])
        ratio[name] = float(np.median(norms[:, 0] / norms[:, -1]))
        print(f"{name:<8} first / last layer {ratio[name]:.1e}; {accuracy:.0%} of the test digits after training")
        left.plot(depths, np.median(norms, axis=0), style, color=color, label=name.replace("relu", "ReLU"))
        left.fill_between(depths, norms.min(axis=0), norms.max(axis=0), color=color, alpha=0.15)
        right.plot(range(1, EPOCHS + 1), np.median(curves, axis=0), style, color=color)
    left.set(title="before training", xlabel="layer, from the input", ylabel="norm of the gradient", yscale="log")
    right.set(title="training with Adam", xlabel="epoch", ylabel="cross-entropy", xticks=range(0, EPOCHS + 1, 5))
    left.legend()
    figure.savefig(path, dpi=110)
    return ratio


if __name__ == "__main__":
    main(*sys.argv[1:])
