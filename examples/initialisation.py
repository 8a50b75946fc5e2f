"""Initial weights: what arrives at each of five layers, and how the networks learn from there (decks 002, 003, 004).

From zeros all units of a layer stay alike. From N(0, 0.01) the signal dies on its way. sqrt(1/rows) and Glorot keep it
up for tanh, He for ReLU, where a small positive bias lets more units answer at the start. Run
``python examples/initialisation.py [PICTURE.png]``: 6 s on two cores. The histograms are of tanh(z), and of z for ReLU.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, analysis, data, set_seed
from pellucid.nn import Dense, initializers
from pellucid.optim import SGD

DEPTH, UNITS, EPOCHS = 5, 50, 30
CASES = {
    "zeros": ("zeros", 0.0, "#4D4D4D", ":"),
    "N(0, 0.01)": (initializers.RandomNormal(0.01), 0.0, "#D55E00", "--"),
    "sqrt(1/rows)": ("lecun_normal", 0.0, "#E69F00", "-."),
    "Glorot": ("glorot_normal", 0.0, "#009E73", "-"),
    "He": ("he_normal", 0.0, "#0072B2", "-"),
    "He, bias 0.1": ("he_normal", 0.1, "#CC79A7", "--"),
}


def main(path: str = "initialisation.png") -> dict[str, list[float]]:
    """Look, train, print, draw; the last layer's deviation and positive share, units that differ after it, and loss."""
    digits, found = data.load("digits").flat().standardized(), {}
    figure, axes = plt.subplots(2, 7, figsize=(16, 6.5), layout="constrained", width_ratios=[1] * 6 + [2.2])
    for row, activation, shown in zip(axes, ("tanh", "relu"), ("tanh", "ReLU"), strict=True):
        for ax, (name, (kernel, bias, colour, style)) in zip(row, CASES.items(), strict=False):
            set_seed(0)
            form = {"kernel_initializer": kernel, "bias_initializer": initializers.Constant(bias)}
            hidden = [Dense(UNITS, activation, **form) for _ in range(DEPTH)]
            model = Sequential([Input((64,)), *hidden, Dense(10, "softmax", kernel_initializer=kernel)])
            raw, reach = (True, 3) if activation == "relu" else (False, 1)
            for number, layer in enumerate(hidden):
                values = analysis.feature_maps(model, digits.x_train, layer, before_activation=raw)
                counts, edges = np.histogram(values, 41, (-reach, reach))
                ax.fill_between(edges[:-1], -number, counts / counts.max() * 0.9 - number, color=colour, step="post")
            ax.set(title=f"{shown}: {name}", yticks=-np.arange(DEPTH), yticklabels=range(1, DEPTH + 1))
            model.compile("categorical_crossentropy", SGD(0.05))
            losses = model.fit(*digits.train, epochs=EPOCHS, seed=0, verbose=0)["loss"]
            row[-1].plot(range(1, EPOCHS + 1), losses, style, color=colour, label=name)
            units = len(np.unique(hidden[1].kernel.numpy(), axis=1).T)
            case = found[f"{shown}: {name}"] = [values.std(), (values > 0).mean(), units, losses[-1]]
            text = "layer 5 has deviation {:.2g}, {:.0%} above 0; later {:2} of 50 units of layer 2 differ, loss {:.4f}"
            print(f"{shown}: {name:<12}", text.format(*case))
        row[0].set_ylabel("layer")
        row[-1].set(title=f"learning with {shown}", xlabel="epoch", ylabel="cross-entropy", yscale="log")
    axes[0, -1].legend()
    figure.savefig(path, dpi=110)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
