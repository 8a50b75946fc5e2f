"""JAX on the CPU: an epoch as one compiled scan over batches, or one compiled step after the other.

State is donated, the gather happens inside. Variants that are tried: the epoch scanned (not for convolutions: XLA runs
them on a slow path inside loops, 4 to 40 times slower here), steps called one by one; pooling by reduce_window or by
reshaping; the LSTM's time loop rolled or unrolled.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.nets import Conv, Dense, Flatten, Lstm, Net, Pool, Stage
from benchmarks.serving import Run, Variants
from benchmarks.work import MOMENTUM, RATES, Inference, Training, Work

Parameters = list[dict[str, Any]]


@dataclass(frozen=True)
class Style:
    """How the network is written down.

    Attributes:
        window: Pool by reduce_window rather than by reshaping.
        unroll: Steps of the LSTM's loop that are written out.
    """

    window: bool = False
    unroll: int = 1


def candidate(work: Work) -> Variants:
    """Everything under jax.jit."""
    styles = _styles(work.net) if isinstance(work, Training | Inference) else {}
    if isinstance(work, Inference):
        return {name: partial(_inference, work, style) for name, style in styles.items()}
    assert isinstance(work, Training)
    x, y = map(jnp.asarray, work.data())
    ways: dict[str, Callable[..., Run]] = {"epoch scanned": _scanned, "step by step": _stepwise}
    if work.net.has_images:
        del ways["epoch scanned"]
    return {
        ", ".join(filter(None, (way, name))): partial(make, work, style, x, y)
        for (way, make), (name, style) in itertools.product(ways.items(), styles.items())
    }


def _styles(net: Net) -> dict[str, Style]:
    if net.has_images:
        return {"pooling by reshaping": Style(), "pooling by reduce_window": Style(window=True)}
    if not net.is_dense:
        return {"time unrolled": Style(unroll=net.inputs[0]), "time rolled": Style()}
    return {"": Style()}


# The network.


def parameters_of(net: Net) -> Parameters:
    """Initial values, one dictionary per layer."""
    keys = jax.random.split(jax.random.key(0), len(net.layers))
    return [_initial(stage, key) for stage, key in zip(net.stages(), keys, strict=True)]


def _initial(stage: Stage, key: Any) -> dict[str, Any]:
    glorot = jax.nn.initializers.glorot_uniform()
    match stage.layer:
        case Dense(units):
            return {"w": glorot(key, (stage.inputs[0], units)), "b": jnp.zeros(units)}
        case Conv(filters, window):
            return {"w": glorot(key, (window, window, stage.inputs[-1], filters)), "b": jnp.zeros(filters)}
        case Lstm(units):
            recurrent = jax.nn.initializers.orthogonal()(key, (units, 4 * units))
            return {"w": glorot(key, (stage.inputs[-1], 4 * units)), "u": recurrent, "b": jnp.zeros(4 * units)}
        case _:
            return {}


def logits(net: Net, style: Style, parameters: Parameters, x: Any) -> Any:
    """The network up to the logits."""
    activations: dict[str, Callable[[Any], Any]] = {
        "relu": jax.nn.relu,
        "sigmoid": jax.nn.sigmoid,
        "softmax": lambda z: z,
    }
    for layer, p in zip(net.layers, parameters, strict=True):
        match layer:
            case Dense(_, activation):
                x = activations[activation](x @ p["w"] + p["b"])
            case Conv():
                axes = ("NHWC", "HWIO", "NHWC")
                x = jax.lax.conv_general_dilated(x, p["w"], (1, 1), layer.padding.upper(), dimension_numbers=axes)
                x = jax.nn.relu(x + p["b"])
            case Pool():
                x = _pool_window(x) if style.window else _pool(x)
            case Flatten():
                x = x.reshape(len(x), -1)
            case Lstm():
                x = _lstm(p, x, style.unroll)
    return x


def _pool(x: Any) -> Any:
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def _pool_window(x: Any) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _lstm(p: dict[str, Any], x: Any, unroll: int) -> Any:
    from_input = (x @ p["w"] + p["b"]).swapaxes(0, 1)

    def cell(state: Any, z: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(z + h @ p["u"], 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    start = jnp.zeros((len(x), p["u"].shape[0]))
    (h, _), _ = jax.lax.scan(cell, (start, start), from_input, unroll=unroll)
    return h


# Training.


def _step(work: Training, style: Style, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """One step from a batch: the new state, the loss."""
    parameters, slots, t = state

    def loss(p: Parameters) -> Any:
        chosen = jax.nn.log_softmax(logits(work.net, style, p, x))
        return -jnp.take_along_axis(chosen, y[:, None], 1).mean()

    value, gradients = jax.value_and_grad(loss)(parameters)
    parameters, slots = _update(work.optimizer, parameters, gradients, slots, t + 1)
    return (parameters, slots, t + 1), value


def _update(optimizer: str, w: Any, g: Any, slots: Any, t: Any) -> tuple[Any, Any]:
    rate, each = RATES[optimizer], jax.tree.map
    if optimizer == "sgd":
        return each(lambda w, g: w - rate * g, w, g), slots
    if optimizer == "momentum":
        m = each(lambda m, g: MOMENTUM * m + g, slots, g)
        return each(lambda w, m: w - rate * m, w, m), m
    m = each(lambda m, g: 0.9 * m + 0.1 * g, slots[0], g)
    v = each(lambda v, g: 0.999 * v + 0.001 * g * g, slots[1], g)
    scale, root = rate / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
    return each(lambda w, m, v: w - scale * m / (jnp.sqrt(v) / root + 1e-8), w, m, v), (m, v)


def _state(work: Training) -> Any:
    def zeros() -> Any:
        return jax.tree.map(jnp.zeros_like, parameters)

    parameters = parameters_of(work.net)
    slots = {"sgd": lambda: (), "momentum": zeros, "adam": lambda: (zeros(), zeros())}[work.optimizer]()
    return parameters, slots, jnp.zeros((), jnp.float32)


def _scanned(work: Training, style: Style, x: Any, y: Any) -> Run:
    step = partial(_step, work, style)

    @partial(jax.jit, donate_argnums=0)
    def shuffled(state: Any, x: Any, y: Any, order: Any) -> Any:
        return jax.lax.scan(lambda state, rows: step(state, x[rows], y[rows]), state, order)

    @partial(jax.jit, donate_argnums=0)
    def whole(state: Any, x: Any, y: Any) -> Any:
        return jax.lax.scan(lambda state, _: step(state, x, y), state, length=work.steps)

    if work.whole:
        return _passes(work, lambda state: whole(state, x, y)[0])
    return _passes(work, lambda state: shuffled(state, x, y, _order(work))[0])


def _stepwise(work: Training, style: Style, x: Any, y: Any) -> Run:
    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any, rows: Any) -> Any:
        return _step(work, style, state, x[rows], y[rows])[0]

    @partial(jax.jit, donate_argnums=0)
    def whole(state: Any, x: Any, y: Any) -> Any:
        return _step(work, style, state, x, y)[0]

    def one_pass(state: Any) -> Any:
        if work.whole:
            for _ in range(work.steps):
                state = whole(state, x, y)
            return state
        for rows in _order(work):
            state = step(state, x, y, rows)
        return state

    return _passes(work, one_pass)


_random = np.random.default_rng(0)


def _order(work: Training) -> np.ndarray:
    """A new order of the rows, drawn by NumPy: XLA's permutation is a slow sort."""
    return _random.permutation(work.samples).astype(np.int32).reshape(work.steps, work.batch)


def _passes(work: Training, one_pass: Callable[[Any], Any]) -> Run:
    state = _state(work)

    def run(count: int) -> None:
        nonlocal state
        for _ in range(count):
            state = one_pass(state)
        jax.block_until_ready(state)

    return run


# Inference.


def _inference(work: Inference, style: Style) -> Run:
    parameters, sample = parameters_of(work.net), work.sample()
    f = jax.jit(lambda p, x: jax.nn.softmax(logits(work.net, style, p, x)))

    def run(count: int) -> None:
        for _ in range(count * work.unit):
            np.asarray(f(parameters, sample))

    return run
