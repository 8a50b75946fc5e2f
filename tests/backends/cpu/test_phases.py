"""Threads that hurry ahead or lag behind between two waits change no bit.

The kernels of a phase are called for one thread after the other, in both orders: the worst that real threads can do.
"""

import ctypes

import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.backends.cpu import memory
from pellucid.backends.cpu.moves import STEPS_LEFT
from pellucid.nn import LSTM, BatchNorm, Conv2D, Dense, Dropout, Embedding, Flatten, LayerNorm, MaxPool2D

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def one_thread_after_the_other(order):
    """A way to run plans: all that a thread does in a phase, then the next thread; ``order`` of the threads."""

    def run(self, first, steps):
        threads = len(order)
        for step in range(first, first + steps):
            self.job.cursors[:threads, 0] = step
            self.job.cursors[:threads, STEPS_LEFT] = first + steps - 1 - step
            phase = []
            for kernel, record, waits in self.job._table.tolist():
                phase.append((KERNEL(kernel), record))
                if waits:
                    for thread in order:
                        for call, place in phase:
                            call(place, thread, threads)
                    phase = []
            assert not phase
        self.done = first + steps
        self.raise_for_indices()

    return run


def images():
    convolutions = [Conv2D(4, 3, activation="relu"), MaxPool2D(2), Conv2D(16, 2, padding="same")]
    return [Input((8, 8, 1)), *convolutions, Flatten(), Dense(3, "softmax")]


#: Name -> layers, batch, shape of a sample.
NETWORKS = {
    "mlp": (lambda: [Input((20,)), Dense(32, "sigmoid"), Dense(3, "softmax")], 16, (20,)),
    "wide mlp": (lambda: [Input((200,)), Dense(64, "relu"), Dense(32, "tanh"), Dense(3, "softmax")], 24, (200,)),
    "odd mlp": (lambda: [Input((7,)), Dense(17, "tanh"), Dense(3, "softmax")], 13, (7,)),
    "dropout": (lambda: [Input((20,)), Dropout(0.3), Dense(40, "relu"), BatchNorm(), Dense(3, "softmax")], 32, (20,)),
    "layer norm": (lambda: [Input((12,)), Dense(18), LayerNorm(), Dense(3, "softmax")], 20, (12,)),
    "convolutions": (images, 16, (8, 8, 1)),
    "lstm": (lambda: [Input((5, 6)), LSTM(16), Dense(3, "softmax")], 16, (5, 6)),
    "embedding": (lambda: [Input((6,), dtype="int32"), Embedding(11, 8), Flatten(), Dense(3, "softmax")], 16, (6,)),
}


def trained(layers, batch, x, y):
    set_seed(0)
    model = Sequential(layers)
    model.compile("categorical_crossentropy", "momentum", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=batch, epochs=3, seed=1, verbose=0)
    return [*model.get_weights().values(), np.array(history.history["loss"])]


@pytest.mark.parametrize("name", NETWORKS)
def test_no_order_of_threads_between_waits_changes_a_bit(name, monkeypatch):
    layers, batch, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3 * batch, *shape)).astype("float32")
    if name == "embedding":
        x = rng.integers(0, 11, x.shape, np.int32)
    y = rng.integers(0, 3, 3 * batch)
    results = []
    for order in ((0,), (0, 1), (1, 0), (2, 0, 1)):
        monkeypatch.setattr(memory.Memory, "run", one_thread_after_the_other(order))
        results.append(trained(layers(), batch, x, y))
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, same)
