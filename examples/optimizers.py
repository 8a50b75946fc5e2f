"""Gradient descent, momentum, Adagrad, RMSProp and Adam on the same networks (decks 000 and 004).

Each optimiser gets the best of eleven learning rates (medians of five first weights). The others are ahead of plain
descent after one epoch (0.8 to 1.1 against 3.4), and RMSProp and Adam wherever the rate is small; after ten epochs
only momentum is (0.019 against 0.027): on so small a task a good rate matters more than the rule. Run
``python examples/optimizers.py [PICTURE.png]``: 5 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Population, Sequential, data
from pellucid.nn import Dense
from pellucid.optim import SGD, Adagrad, Adam, Momentum, RMSProp

RATES, SEEDS, EPOCHS = np.logspace(-4, 1, 11), 5, 10
CASES = {
    "gradient descent": (SGD(), "k", "o"),
    "momentum 0.9": (Momentum(momentum=0.9), "#E69F00", "s"),
    "Adagrad": (Adagrad(), "#56B4E9", "^"),
    "RMSProp": (RMSProp(), "#009E73", "D"),
    "Adam": (Adam(), "#D55E00", "v"),
}


def train(optimizer) -> np.ndarray:
    """The training losses [rate, seed, epoch]; infinite from where a network diverged."""
    digits = data.load("digits").flat()
    model = Sequential([Input((64,)), Dense(32, "tanh"), Dense(32, "tanh"), Dense(10, "softmax")])
    model.compile("categorical_crossentropy", optimizer)
    seeds, rates = list(range(SEEDS)) * len(RATES), np.repeat(RATES, SEEDS)
    networks = Population(model, len(seeds), seed=seeds, learning_rate=rates)
    losses = np.full((len(networks), EPOCHS), np.inf)
    for row, history in zip(losses, networks.fit(*digits.train, epochs=EPOCHS), strict=True):
        row[: len(history)] = history["loss"]
    return losses.reshape(len(RATES), SEEDS, EPOCHS)


def main(path: str = "optimizers.png") -> dict[str, float]:
    """Train, print, draw; the loss of each optimiser at its best rate."""
    (figure, (left, right)), best = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained"), {}
    for name, (optimizer, color, marker) in CASES.items():
        losses = np.median(train(optimizer), axis=1)
        k = int(losses[:, -1].argmin())
        best[name] = float(losses[k, -1])
        print(f"{name:<17} rate {RATES[k]:<5.2g} loss {losses[k, 0]:.3f} after one epoch, {best[name]:.4f} after ten")
        left.plot(range(1, EPOCHS + 1), losses[k], color=color, marker=marker, label=f"{name}, {RATES[k]:.2g}")
        right.plot(RATES, losses[:, -1], color=color, marker=marker)
    left.set(title="each at its best learning rate", xlabel="epoch", ylabel="cross-entropy", yscale="log")
    right.set(title=f"after {EPOCHS} epochs", xlabel="learning rate", xscale="log", ylim=(0.01, 20))
    left.legend()
    figure.savefig(path, dpi=110)
    return best


if __name__ == "__main__":
    main(*sys.argv[1:])
