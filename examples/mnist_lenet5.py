"""LeNet-5 on MNIST: at least 99 % on the 10,000 test images, in well under a minute on two cores (decks 000, 001, 004).

Run ``python examples/mnist_lenet5.py [PICTURE.png]``; the data come from ``$PELLUCID_DATA`` or a checked download. The
picture has the curves of loss and accuracy over the epochs, and the images that are taken for others.
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, data, plot, set_seed
from pellucid.nn import Conv2D, Dense, Dropout, Flatten, MaxPool2D
from pellucid.optim import Adam
from pellucid.optim.schedules import CosineDecay

EPOCHS, BATCH = 15, 128


def draw(path: str, history, mnist: data.Dataset, outputs: np.ndarray) -> None:
    """The curves, and below them the mistakes on the test images."""
    figure = plt.figure(figsize=(12, 8), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    plot.error_curves(history, ax=[figure.add_subplot(grid[0, k]) for k in range(2)])
    mistakes = {"wrong_only": True, "count": 60, "columns": 15}
    plot.image_grid(mnist.x_test, mnist.y_test, outputs, **mistakes, ax=figure.add_subplot(grid[1, :]))
    figure.savefig(path, dpi=110)


def main(path: str = "mnist_lenet5.png") -> float:
    """Train, report, draw, and give the accuracy on the test images."""
    mnist = data.load("mnist")
    set_seed(0)
    convolutions = [Conv2D(6, 5, padding="same", activation="relu"), MaxPool2D(2)]
    convolutions += [Conv2D(16, 5, activation="relu"), MaxPool2D(2), Flatten()]
    head = [Dense(120, activation="relu"), Dropout(0.3), Dense(84, activation="relu"), Dense(10, activation="softmax")]
    model = Sequential([Input((28, 28, 1)), *convolutions, *head])
    steps = EPOCHS * -(-len(mnist.x_train) // BATCH)
    model.compile("categorical_crossentropy", Adam(CosineDecay(0.002, decay_steps=steps)), ["accuracy"])
    started = time.perf_counter()
    history = model.fit(mnist.x_train, mnist.y_train, batch_size=BATCH, epochs=EPOCHS, seed=0)
    seconds = time.perf_counter() - started
    _, accuracy = model.evaluate(mnist.x_test, mnist.y_test)
    print(f"{accuracy:.2%} of the test images are right, after {seconds:.1f} s of training")
    draw(path, history, mnist, model.predict(mnist.x_test))
    return accuracy


if __name__ == "__main__":
    main(*sys.argv[1:])
