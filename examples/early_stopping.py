"""When to stop: a network that learns its few examples by heart, early stopping, L2 and dropout (decks 002 and 004).

200 digits to train on, 200 to decide when to stop, 359 to test. The plain network's validation loss is lowest in epoch
14 (0.26) and rises to 0.37 while its training loss goes on to fall; early stopping keeps the weights of the star, which
have as many test digits right after a sixth of the epochs. With a penalty (L2) the loss stays where it comes to (0.33).
Run ``python examples/early_stopping.py [PICTURE.png]``: 5 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import EarlyStopping, Input, Sequential, data, plot, set_seed
from pellucid.nn import Dense, Dropout
from pellucid.nn.regularizers import L2
from pellucid.optim import Adam

EPOCHS, PATIENCE = 200, 20
CASES = {"plain": (None, 0.0), "L2": (L2(0.003), 0.0), "dropout": (None, 0.5)}


def network(penalty: L2 | None, rate: float) -> Sequential:
    """Two hidden layers of 100 units, which are more than 200 digits need."""
    set_seed(0)
    dense = [Dense(100, "relu", kernel_regularizer=penalty) for _ in range(2)]
    model = Sequential([Input((64,)), dense[0], Dropout(rate), dense[1], Dropout(rate), Dense(10, "softmax")])
    model.compile("categorical_crossentropy", Adam(0.003), ["accuracy"])
    return model


def main(path: str = "early_stopping.png") -> dict[str, dict[str, float]]:
    """Train all to the end and with early stopping, print, draw; numbers of each."""
    digits, histories, found = data.load("digits").flat(), {}, {}
    rows = np.random.default_rng(0).permutation(len(digits.x_train))
    train, validation = ((digits.x_train[part], digits.y_train[part]) for part in (rows[:200], rows[200:400]))
    for name, (penalty, rate) in CASES.items():
        whole, stopped = network(penalty, rate), network(penalty, rate)
        settings = {"validation_data": validation, "epochs": EPOCHS, "batch_size": 20, "seed": 0, "verbose": 0}
        histories[name] = whole.fit(*train, **settings)
        stopper = EarlyStopping("val_loss", patience=PATIENCE)
        stopped.fit(*train, callbacks=[stopper], **settings)
        losses = histories[name]["val_loss"]
        best, late = (model.evaluate(*digits.test)[1] for model in (stopped, whole))
        found[name] = {"best": min(losses), "last": losses[-1], "stopped": best, "to the end": late}
        print(
            f"{name:<8} validation loss {losses[stopper.best_epoch]:.3f} in epoch {stopper.best_epoch + 1:3}, ", end=""
        )
        print(f"{losses[-1]:.3f} in epoch {EPOCHS}; test digits right: {best:.1%} stopped, {late:.1%} at the end")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    plot.error_curves(histories["plain"], "loss", log=True, ax=left)
    plot.compare(histories, "val_loss", ax=right)
    left.set_title("the plain network")
    figure.savefig(path, dpi=110)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
