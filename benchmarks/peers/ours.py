"""Pellucid, through its public interface."""

from __future__ import annotations

from typing import Any

import numpy as np

import pellucid
from benchmarks.nets import Conv, Dense, Flatten, Layer, Lstm, Net, Pool
from benchmarks.serving import Run, Variants
from benchmarks.work import (
    MOMENTUM,
    RATES,
    Convolution,
    Estimation,
    Inference,
    Kernel,
    MatMul,
    Training,
    Work,
    on_a_line,
)
from pellucid import nn, ops, optim
from pellucid.backends.loop import LoopData, LoopForm
from pellucid.graph import rewrite, trace
from pellucid.op import Spec


def candidate(work: Work) -> Variants:
    """``fit``, the function of ``predictor()``, or a loop over the product."""
    match work:
        case Training():
            return {"fit": _fit(work)}
        case Inference():
            return {"predictor": _predictor(work)}
        case Kernel():
            return _products(work)
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


def _products(work: Kernel) -> Variants:
    """The product as a network's step makes it, many times in one native call; images in either layout."""
    pellucid.set_num_threads(work.threads)
    x, w, ct = work.operands()
    f = _function(work.product)
    match work.way:
        case "forward":
            function, operands = f, (x, w)
        case "to input":
            function, operands = (lambda w, ct: pellucid.vjp(lambda x: f(x, w), _zeros(x))[1](ct)[0]), (w, ct)
        case _:
            function, operands = (lambda x, ct: pellucid.vjp(lambda w: f(x, w), _zeros(w))[1](ct)[0]), (x, ct)
    variants = {"as it is": lambda: _repeated(function, operands, work.unit)}
    if isinstance(work.product, Convolution):
        variants["samples side by side"] = lambda: _repeated(*_samples_last(function, operands, work.way), work.unit)
    return variants


def _samples_last(function: Any, operands: tuple[np.ndarray, ...], way: str) -> tuple[Any, tuple[np.ndarray, ...]]:
    """The same on images [height, width, channel, sample], as the engine keeps those of few channels."""
    image = [way != "to input", way != "forward"]
    given = [on_a_line(a.transpose(1, 2, 3, 0)) if i else a for a, i in zip(operands, image, strict=True)]

    def turned(*arrays: Any) -> Any:
        out = function(*(ops.transpose(a, (3, 0, 1, 2)) if i else a for a, i in zip(arrays, image, strict=True)))
        return out if way == "to kernel" else ops.transpose(out, (1, 2, 3, 0))

    return turned, tuple(given)


def _repeated(function: Any, operands: tuple[np.ndarray, ...], unit: int) -> Run:
    """Call a function of two arrays again and again.

    Its result lies where a step of a network has it, in the engine's own memory and layout; one element is kept.
    """
    left, right = (Spec(a.shape, a.dtype) for a in operands)
    last = Spec((), np.dtype("float32"))

    def product(left: Any, right: Any, number: Any, old: Any) -> Any:
        result = function(left, right)
        return result[(-1,) * result.spec.ndim]

    graph = rewrite(trace(product, left, right, Spec((), np.dtype("int64")), last).graph)
    loop = pellucid.backends.get("cpu").compile_loop(graph, LoopForm(rows=0, fixed=2, series=1, carried=(0,)))
    expected = np.asarray(function(*map(pellucid.Tensor, operands))).reshape(-1)[-1]

    def run(count: int) -> None:
        kept = np.zeros((), np.float32)
        repeated = loop.start(LoopData([], np.zeros(0, np.int64), operands, [np.zeros(count * unit, np.int64)], [kept]))
        while repeated.done < repeated.steps:
            repeated.advance(repeated.steps - repeated.done)
        assert np.isclose(kept, expected, rtol=1e-3, atol=1e-3), "the product is not what it should be"

    return run


def _function(product: MatMul | Convolution) -> Any:
    if isinstance(product, MatMul):
        return lambda x, w: x @ w
    return lambda x, w: ops.conv(x, w, padding=product.border)


def _zeros(like: Any) -> Any:
    """A linear function's gradient does not depend on where it is taken."""
    return np.zeros(like.shape, np.float32)
