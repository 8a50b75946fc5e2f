"""The minimum ratio against the training loss: in what kind of place does a network end (deck 000)?

Forty networks 4-6-3 on iris, trained for 1 to 500 epochs and then taken towards a place without a gradient by Newton's
method: the lower the loss, the more of the full Hessian's eigenvalues are positive. (A little weight decay keeps the
minima from lying at infinity.) Where the search gets stuck with a gradient that the Hessian does not see, the place is
gradient-flat, not critical. Run ``python examples/minimum_ratio.py [PICTURE.png]``: 15 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, data
from pellucid.analysis import MinimumRatios, minimum_ratios
from pellucid.nn import Dense
from pellucid.nn.regularizers import L2
from pellucid.optim import SGD

RUNS, DECAY = 40, L2(0.001)
EPOCHS = np.geomspace(1, 500, RUNS).astype(int).tolist()


def main(path: str = "minimum_ratio.png") -> MinimumRatios:
    """Train, search, judge, print, draw."""
    iris = data.load("iris").standardized()
    layers = [Dense(6, "tanh", kernel_regularizer=DECAY), Dense(3, "softmax", kernel_regularizer=DECAY)]
    model = Sequential([Input((4,)), *layers])
    model.compile("categorical_crossentropy", SGD(0.1))
    ratios = minimum_ratios(model, *iris.train, runs=RUNS, epochs=EPOCHS, seed=0)
    print("places:", ", ".join(f"{count} {kind}" for kind, count in ratios.counts().items()))
    print("medians of a quarter each:  loss  minimum ratio  negative      |g|  |Hg| / |g|")
    for own in np.array_split(np.argsort(ratios.loss), 4):
        loss, ratio, negative, norm, flat = (
            np.median(column[own])
            for column in (
                ratios.loss, ratios.minimum_ratio, ratios.negative_ratio, ratios.gradient_norm,
                ratios.hessian_gradient_ratio,
            )
        )  # fmt: skip
        print(f"{loss:32.3f}{ratio:15.2f}{negative:10.0%}{norm:9.0e}{flat:12.1e}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    ratios.plot(left).set_title(f"{RUNS} networks 4-6-3 on iris")
    right.scatter(ratios.trained_loss, ratios.loss, c=EPOCHS, cmap="cividis", s=30, norm="log")
    right.axline((0, 0), slope=1, color="#333333", linewidth=0.8, linestyle=":")
    right.set(xlabel="training loss after training", ylabel="training loss where the search ended")
    figure.colorbar(right.collections[0], label="epochs of training")
    figure.savefig(path, dpi=110)
    return ratios


if __name__ == "__main__":
    main(*sys.argv[1:])
