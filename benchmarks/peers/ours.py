"""Pellucid, through its public interface."""

from __future__ import annotations

from typing import Any

import numpy as np

import pellucid
from benchmarks.nets import Conv, Dense, Flatten, Layer, Lstm, Net, Pool
from benchmarks.serving import Variants
from benchmarks.work import MOMENTUM, RATES, Convolution, Estimation, Inference, Kernel, MatMul, Training, Work
from pellucid import nn, ops, optim


def candidate(work: Work) -> Variants:
    """``fit``, the function of ``predictor()``, or ``pellucid.compile``."""
    match work:
        case Training():
            return {"fit": _fit(work)}
        case Inference():
            return {"predictor": _predictor(work)}
        case Kernel():
            return {"compile": _product(work)}
        case Estimation():
            from benchmarks.peers.estimating import fits  # scikit-learn is imported for these rows alone
            from pellucid import estimators

            return {"fit": lambda: fits(work, estimators)}


def predict(work: Work) -> Variants:
    """``predict`` on one sample: what the convenient call costs."""
    assert isinstance(work, Inference)
    model, x = model_of(work.net), work.sample()

    def run(count: int) -> None:
        for _ in range(count * work.unit):
            model.predict(x)

    return {"predict": lambda: run}


def model_of(net: Net) -> Any:
    """The network as a model."""
    pellucid.set_seed(0)
    return pellucid.Sequential([pellucid.Input(net.inputs), *map(_layer, net.layers)])


def _layer(layer: Layer) -> Any:
    match layer:
        case Dense(units, activation):
            return nn.Dense(units, activation=activation)
        case Conv(filters, window, padding):
            return nn.Conv2D(filters, window, padding=padding, activation="relu")
        case Pool():
            return nn.MaxPool2D(2)
        case Flatten():
            return nn.Flatten()
        case Lstm(units):
            return nn.LSTM(units)


def _fit(work: Training) -> Any:
    x, y = work.data()

    def make() -> Any:
        optimizers = {
            "sgd": lambda rate: optim.SGD(learning_rate=rate),
            "momentum": lambda rate: optim.Momentum(learning_rate=rate, momentum=MOMENTUM),
            "adam": lambda rate: optim.Adam(learning_rate=rate),
        }
        model = model_of(work.net)
        model.compile("categorical_crossentropy", optimizers[work.optimizer](RATES[work.optimizer]))

        def run(count: int) -> None:
            epochs = count * work.steps if work.whole else count
            model.fit(x, y, batch_size=work.batch, epochs=epochs, shuffle=not work.whole, seed=0, verbose=0)

        return run

    return make


def _predictor(work: Inference) -> Any:
    x = work.sample()

    def make() -> Any:
        predict = model_of(work.net).predictor()

        def run(count: int) -> None:
            for _ in range(count * work.unit):
                predict(x)

        return run

    return make


def _product(work: Kernel) -> Any:
    pellucid.set_num_threads(work.threads)
    x, w, ct = map(pellucid.Tensor, work.operands())

    def make() -> Any:
        f = _function(work.product)
        if work.way == "forward":
            compiled, operands = pellucid.compile(f), (x, w)
        elif work.way == "to input":
            compiled, operands = (
                pellucid.compile(lambda w, ct: pellucid.vjp(lambda x: f(x, w), _zeros(x))[1](ct)),
                (w, ct),
            )
        else:
            compiled, operands = (
                pellucid.compile(lambda x, ct: pellucid.vjp(lambda w: f(x, w), _zeros(w))[1](ct)),
                (x, ct),
            )

        def run(count: int) -> None:
            for _ in range(count * work.unit):
                compiled(*operands)

        return run

    return make


def _function(product: MatMul | Convolution) -> Any:
    if isinstance(product, MatMul):
        return lambda x, w: x @ w
    return lambda x, w: ops.conv(x, w, padding=product.border)


def _zeros(like: Any) -> Any:
    """A linear function's gradient does not depend on where it is taken."""
    return np.zeros(like.shape, np.float32)
