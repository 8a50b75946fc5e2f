"""Keras 3 on JAX: ``fit`` with jit_compile, and one or 32 steps per execution, whichever is quicker."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from benchmarks.nets import Conv, Dense, Flatten, Layer, Lstm, Net, Pool
from benchmarks.serving import Run, Variants
from benchmarks.work import MOMENTUM, RATES, Training, Work

_STEPS = (1, 32)


def candidate(work: Work) -> Variants:
    """``model.fit``."""
    assert isinstance(work, Training)
    x, y = work.data()
    return {
        f"steps_per_execution={steps}": partial(_fit, work, x, y, steps)
        for steps in _STEPS
        if steps == 1 or not work.whole
    }


def model_of(net: Net) -> Any:
    """The network as a model."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(net.inputs), *map(_layer, net.layers)])


def _layer(layer: Layer) -> Any:
    match layer:
        case Dense(units, activation):
            return keras.layers.Dense(units, activation=activation)
        case Conv(filters, window, padding):
            return keras.layers.Conv2D(filters, window, padding=padding, activation="relu")
        case Pool():
            return keras.layers.MaxPooling2D(2)
        case Flatten():
            return keras.layers.Flatten()
        case Lstm(units):
            return keras.layers.LSTM(units)


def _fit(work: Training, x: Any, y: Any, steps_per_execution: int) -> Run:
    rate = RATES[work.optimizer]
    optimizers = {
        "sgd": lambda: keras.optimizers.SGD(rate),
        "momentum": lambda: keras.optimizers.SGD(rate, momentum=MOMENTUM),
        "adam": lambda: keras.optimizers.Adam(rate),
    }
    model = model_of(work.net)
    model.compile(
        optimizer=optimizers[work.optimizer](),
        loss="sparse_categorical_crossentropy",
        jit_compile=True,
        steps_per_execution=min(steps_per_execution, work.steps),
    )

    def run(count: int) -> None:
        epochs = count * work.steps if work.whole else count
        model.fit(x, y, batch_size=work.batch, epochs=epochs, shuffle=not work.whole, verbose=0)

    return run
