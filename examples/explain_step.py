"""One step explained: the lectures' small graphs, a whole training step of a 2-3-2 network, and its code in NumPy.

Each number is computed here, none is copied: forward, local derivatives, back-propagation and update. Run
``python examples/explain_step.py [PICTURE.png]``: a few seconds.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from pellucid import Input, Sequential, ops, set_seed
from pellucid.analysis import explain
from pellucid.nn import Dense
from pellucid.optim import SGD

GRAPHS = {
    "buying apples (deck 000)": explain(lambda apple, number, tax: apple * number * tax, 100, 3, 1.1),
    "c = b^2, b = 2a: dc/da = 8a (deck 002)": explain(lambda a: (2 * a) ** 2, 3),
    "J = 4 (x + y z) (deck 003)": explain(lambda x, y, z: 4 * (x + y * z), 5, 3, 2),
    "a neuron's layer (deck 001)": explain(
        lambda W, x, b: ops.sigmoid(W @ x + b), [[1, -2], [-1, 1]], [1, -1], [1, 0], names=["W", "x", "b"]
    ),
}


def network() -> Sequential:
    """A 2-3-2 network of sigmoids with a softmax, the same every time."""
    set_seed(1)
    model = Sequential([Input((2,)), Dense(3, activation="sigmoid"), Dense(2, activation="softmax")], dtype="float64")
    model.compile(loss="categorical_crossentropy", optimizer=SGD(0.5))
    return model


def main(path: str = "explain_step.png") -> dict:
    """Explain, print, draw; the lectures' gradients, and by how much the printed code and the model differ."""
    for title, explanation in GRAPHS.items():
        print(f"\n=== {title} ===\n{explanation}")
    model, x, y = network(), np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]), np.array([1, 0, 1])
    step = explain(model, x, y)
    print(f"\n=== a training step ===\n{step}\n\n=== the same step in NumPy ===\n{(code := model.source())}")
    functions, weights = {"__name__": "step"}, model.get_weights()
    exec(code, functions)  # the text that has just been printed
    functions["train_step"](weights, x, y, learning_rate=0.5)
    model.train_on_batch(x, y)
    trained = model.get_weights()
    difference = max(float(np.abs(weights[name] - trained[name]).max()) for name in trained)
    print(f"the printed code and train_on_batch differ by {difference:.0e} after the update")
    figure = Figure(figsize=(15, 5.5), layout="constrained")
    top, bottom = figure.subplots(2, height_ratios=(1, 1.8))
    GRAPHS["buying apples (deck 000)"].plot(top)
    step.plot(bottom)
    figure.savefig(path, dpi=110)
    return {"gradients": {title: e.gradients for title, e in GRAPHS.items()}, "difference": difference}


if __name__ == "__main__":
    main(*sys.argv[1:])
