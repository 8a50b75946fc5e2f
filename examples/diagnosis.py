"""What went wrong: six broken trainings, what the diagnosis finds in each, and the same with its suggested change.

Each fault is one that the lectures warn of; ``diagnose`` names it with its evidence, ``retry`` trains twice from the
same seed, as it was and with the change. Run ``python examples/diagnosis.py [PICTURE.png]``: 6 s on one core.
"""

import sys

import matplotlib.pyplot as plt

from pellucid import Input, Sequential, data
from pellucid.analysis import Retry, diagnose
from pellucid.nn import Dense, initializers
from pellucid.optim import SGD, Adam

EPOCHS = 15
DEEP = [Dense(20, "sigmoid") for _ in range(8)]
EQUAL = {"kernel_initializer": initializers.Constant(0.1)}
FAULTS = {
    "vanishing_gradients": ([*DEEP, Dense(10, "softmax")], Adam(0.001)),
    "dead_relu": ([Dense(32, "relu", bias_initializer=initializers.Constant(-9)), Dense(10, "softmax")], Adam(0.001)),
    "learning_rate_too_high": ([Dense(32, "relu"), Dense(10, "softmax")], Adam(1.0)),
    "learning_rate_too_low": ([Dense(32, "relu"), Dense(10, "softmax")], SGD(0.0001)),
    "symmetry": ([Dense(32, "sigmoid", **EQUAL), Dense(10, "softmax", **EQUAL)], Adam(0.003)),
    "underfitting": ([Dense(2, "relu"), Dense(10, "softmax")], Adam(0.02)),
}


def main(path: str = "diagnosis.png") -> dict[str, Retry]:
    """Train, diagnose, print, try again, draw; the retry of each fault."""
    digits, retries = data.load("digits").flat(), {}
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    for ax, (name, (layers, optimizer)) in zip(axes.flat, FAULTS.items(), strict=True):
        model = Sequential([Input((64,)), *layers])
        model.compile("categorical_crossentropy", optimizer, ["accuracy"])
        model = model.clone(seed=0)
        model.fit(*digits.train, epochs=EPOCHS, seed=0, verbose=0)
        finding = diagnose(model, *digits.train, test_data=digits.test)[name]
        retries[name] = finding.retry()
        print(f"{finding}\n  -> {retries[name]}\n")
        retries[name].plot(ax=ax)
    figure.savefig(path, dpi=100)
    return retries


if __name__ == "__main__":
    main(*sys.argv[1:])
