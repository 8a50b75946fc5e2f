"""Threads that hurry ahead or lag behind between two waits change no bit.

The kernels of a phase are called for one thread after the other, in both orders: the worst that real threads can do.
"""

import ctypes

import numpy as np
import pytest
from tests.backends.cpu.calls import KERNEL

from pellucid import Input, Sequential, ops, set_seed
from pellucid.backends.cpu import loop, memory
from pellucid.backends.cpu.moves import CURSOR_STRIDE, STEPS_LEFT
from pellucid.backends.cpu.runner import JOB_SIZE, ROW
from pellucid.backends.cpu.threads import POOL
from pellucid.nn import LSTM, BatchNorm, Conv2D, Dense, Dropout, Embedding, Flatten, Layer, LayerNorm, MaxPool2D
from pellucid.plan.plan import Wait, When


def numbers_at(address, count):
    """The int64 that lie at an address."""
    return np.ctypeslib.as_array((ctypes.c_int64 * count).from_address(address))


def one_thread_after_the_other(order, going_on):
    """A way to run scripts: all that a thread does in a phase, then the next thread.

    Args:
        order: The order of the threads.
        going_on: Gets, for each instruction, whether two threads go on to the next step after it.
    """
    count, phase = len(order), []

    def wait():
        for thread in order:
            for call, place, far, single, cursor, now in phase:
                cursor[thread, [0, STEPS_LEFT]] = now
                call(place + thread * far, *((0, 1) if single else (thread, count)))
        phase.clear()

    def make(job, step, left, now):
        table, rows, cursors, *_ = numbers_at(job, JOB_SIZE).tolist()
        cursor = numbers_at(cursors, count * CURSOR_STRIDE // 8).reshape(count, -1)
        for kernel, record, waits, apart, alone, when in numbers_at(table, rows * ROW).reshape(-1, ROW).tolist():
            if when & now:
                phase.append((KERNEL(kernel), record, apart, alone, cursor, (step, left)))
            if waits == Wait.ALWAYS or (waits == Wait.AT_END and (count != 2 or now & When.LAST)):
                wait()
            going_on.append(waits == Wait.AT_END and bool(phase))
        assert not (phase and now & When.LAST)
        cursor[0, 0] = step + 1

    def run(script, threads):
        for job, first, steps, ahead in script.tolist():
            for step in range(first, first + steps):
                ends = [When.FIRST * (step == first), When.LAST * (step == first + steps - 1)]
                make(job, step, first + steps - 1 - step + ahead, When.ALWAYS | ends[0] | ends[1])
            assert not phase

    return run


def images():
    convolutions = [Conv2D(4, 3, activation="relu"), MaxPool2D(2), Conv2D(16, 2, padding="same")]
    return [Input((8, 8, 1)), *convolutions, Flatten(), Dense(3, "softmax")]


#: Name -> layers, batch, shape of a sample.
NETWORKS = {
    "mlp": (lambda: [Input((20,)), Dense(32, "sigmoid"), Dense(3, "softmax")], 16, (20,)),
    "wide mlp": (lambda: [Input((200,)), Dense(64, "relu"), Dense(32, "tanh"), Dense(3, "softmax")], 24, (200,)),
    "halved mlp": (lambda: [Input((533,)), Dense(35, "relu"), Dense(3, "softmax")], 21, (533,)),
    "odd mlp": (lambda: [Input((7,)), Dense(17, "tanh"), Dense(3, "softmax")], 13, (7,)),
    "dropout": (lambda: [Input((20,)), Dropout(0.3), Dense(40, "relu"), BatchNorm(), Dense(3, "softmax")], 32, (20,)),
    "layer norm": (lambda: [Input((12,)), Dense(18), LayerNorm(), Dense(3, "softmax")], 20, (12,)),
    "convolutions": (images, 16, (8, 8, 1)),
    "lstm": (lambda: [Input((5, 6)), LSTM(16), Dense(3, "softmax")], 16, (5, 6)),
    "embedding": (lambda: [Input((6,), dtype="int32"), Embedding(11, 8), Flatten(), Dense(3, "softmax")], 16, (6,)),
}


def trained(layers, batch, x, y, optimizer="momentum"):
    set_seed(0)
    model = Sequential(layers)
    if y.ndim > 1:
        model.compile("mse", optimizer)
    else:
        model.compile("categorical_crossentropy", optimizer, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=batch, epochs=3, seed=1, verbose=0)
    return [*model.get_weights().values(), np.array(history.history["loss"])]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("large", [False, True])  # as threads share it, or as if it were too small for that
def test_no_order_of_threads_between_waits_changes_a_bit(name, large, monkeypatch):
    layers, batch, shape = NETWORKS[name]
    monkeypatch.setattr(memory, "_WORTH_SHARING", 0 if large else 10**9)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3 * batch, *shape)).astype("float32")
    if name == "embedding":
        x = rng.integers(0, 11, x.shape, np.int32)
    y = rng.integers(0, 3, 3 * batch)
    every_order_gives_the_same_bits(layers, batch, x, y, monkeypatch)


def every_order_gives_the_same_bits(layers, batch, x, y, monkeypatch, **options):
    """Check it; gives whether two threads went on to a next step without a wait."""
    results, going_on = [], []
    for order in ((0,), (0, 1), (1, 0), (2, 0, 1)):
        monkeypatch.setattr(POOL, "run", one_thread_after_the_other(order, going_on))
        results.append(trained(layers(), batch, x, y, **options))
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, same)
    return any(going_on)


def went_on(hidden, batch, inputs, monkeypatch, outputs=3, **options):
    """Whether two threads went on to a next step of a regression whose first weights are halved."""
    monkeypatch.setattr(memory, "_WORTH_SHARING", 0)
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(4 * batch, count)).astype("float32") for count in (inputs, outputs))
    layers = lambda: [Input((inputs,)), *hidden(), Dense(outputs)]  # noqa: E731
    return every_order_gives_the_same_bits(layers, batch, x, y, monkeypatch, **options)


# Widths of their own: plans are shared between models of one structure.
@pytest.mark.parametrize(("units", "batch"), [(36, 16), (49, 7), (52, 21)])
def test_two_threads_go_on_to_the_next_one_of_short_steps(units, batch, monkeypatch):
    assert went_on(lambda: [Dense(units, "tanh")], batch, 541, monkeypatch)


@pytest.mark.parametrize(
    ("units", "outputs", "batch", "inputs", "optimizer"),
    [((112, 64), 2, 48, 162, "adam"), ((139, 2), 2, 64, 141, "momentum"), ((136, 3, 33), 3, 64, 136, "sgd")],
)
def test_temporaries_of_a_step_and_the_next_one_lie_apart(units, outputs, batch, inputs, optimizer, monkeypatch):
    hidden = lambda: [Dense(u, "tanh") for u in units]  # noqa: E731
    assert went_on(hidden, batch, inputs, monkeypatch, outputs, optimizer=optimizer)


class Twice(Layer):
    """x times the transpose of some rows of a square matrix times that matrix."""

    def build(self, shape):
        self.w = self.add_parameter("w", (shape[-1], shape[-1]))

    def call(self, x):
        return ops.matmul(x, ops.transpose(ops.matmul(self.w[88:112], self.w)))


def test_weights_of_which_other_rows_are_read_as_well_are_waited_for(monkeypatch):
    assert not went_on(lambda: [Twice()], 4, 224, monkeypatch, optimizer="sgd")


def test_long_steps_end_with_a_wait(monkeypatch):
    monkeypatch.setattr(loop, "_SHORT", 10_000)
    assert not went_on(lambda: [Dense(37, "tanh")], 16, 541, monkeypatch)
