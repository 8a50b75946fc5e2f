"""Distorted images as training data: LeNet-5 on 1,000 digits of MNIST, with and without (decks 000, 004).

Both networks make as many updates from batches as large; one sees the same digits again and again, the other sees them
moved, turned, stretched and bent anew each time. It learns them less well by heart, and makes about half as many errors
on the 10,000 test digits. Run ``python examples/augmentation.py [PICTURE.png]``: 17 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, data, plot, set_seed
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D
from pellucid.optim import Adam

EPOCHS, BATCH = 30, 50
STILL = {"shift": 0.0, "rotation": 0.0, "scale": 0.0, "shear": 0.0}


def lenet() -> Sequential:
    """LeNet-5."""
    set_seed(0)
    first = [Conv2D(6, 5, padding="same", activation="relu"), MaxPool2D(2)]
    second = [Conv2D(16, 5, activation="relu"), MaxPool2D(2), Flatten()]
    dense = [Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax")]
    model = Sequential([Input((28, 28, 1)), *first, *second, *dense])
    model.compile("categorical_crossentropy", Adam(0.002), ["accuracy"])
    return model


def main(path: str = "augmentation.png") -> dict[str, float]:
    """Train both, draw; the share of wrong test digits of each."""
    mnist = data.load("mnist")
    x, y, bend = mnist.x_train[:1000], mnist.y_train[:1000], {"elastic": 1.0}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    plot.image_grid(np.concatenate([x[:6], *(data.distort(x[:6], k, **bend) for k in range(3))]), columns=6, ax=left)
    left.set_title("six digits, and three distortions of each")
    wrong = {}
    for name, options, style in (("as they are", STILL, "s--"), ("distorted", bend, "o-")):
        batches = data.distorted_batches(x, y, batch_size=BATCH, seed=0, **options)
        form = {"epochs": EPOCHS, "steps_per_epoch": len(x) // BATCH, "validation_every": 3, "seed": 0, "verbose": 0}
        history = lenet().fit(batches, validation_data=mnist.test, **form)
        epochs, missed = np.arange(3, EPOCHS + 1, 3), 1 - np.array(history["val_accuracy"][2::3])
        wrong[name] = float(missed[-1])
        print(f"{name:<12} training loss {history['loss'][-1]:.4f}, {wrong[name]:.2%} of the test digits wrong")
        right.plot(epochs, 100 * missed, style, label=f"{name}: {wrong[name]:.1%}")
    right.set(
        title="training on 1,000 digits", xlabel="epoch", ylabel="wrong among 10,000 test digits, %", ylim=(0, None)
    )
    right.legend()
    figure.savefig(path, dpi=110)
    return wrong


if __name__ == "__main__":
    main(*sys.argv[1:])
