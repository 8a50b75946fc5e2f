"""Activation functions by name.

==============  ==================================  ==================================
name            f(x)                                f'(x)
==============  ==================================  ==================================
linear          x                                   1
step            1 if x >= 0 else 0                  0
sigmoid         1 / (1 + e^-x)                      f (1 - f)
hard_sigmoid    min(max(x / 6 + 1/2, 0), 1)         1/6 for -3 < x < 3, else 0
tanh            (e^x - e^-x) / (e^x + e^-x)         1 - f^2
relu            max(0, x)                           1 if x > 0 else 0
leaky_relu      x if x > 0 else 0.01 x              1 if x > 0 else 0.01
elu             x if x > 0 else e^x - 1             1 if x > 0 else e^x
gelu            x Phi(x)                            Phi(x) + x phi(x)
softplus        log(1 + e^x)                        sigmoid(x)
softsign        x / (1 + |x|)                       1 / (1 + |x|)^2
swish           x sigmoid(x)                        f + sigmoid(x) (1 - f)
softmax         e^x_i / sum_k e^x_k                 f_i (delta_ij - f_j)
==============  ==================================  ==================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.errors import ConfigurationError, unknown_name
from pellucid.nn.observe import tell_preactivation

Activation = Callable[[Any], Any]


def linear(x: Any) -> Any:
    """x itself."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "linear": linear,
    "step": ops.step,
    "sigmoid": ops.sigmoid,
    "hard_sigmoid": ops.hard_sigmoid,
    "tanh": ops.tanh,
    "relu": ops.relu,
    "leaky_relu": ops.leaky_relu,
    "elu": ops.elu,
    "gelu": ops.gelu,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "swish": ops.swish,
    "softmax": ops.softmax,
}


def get(activation: str | Activation | None) -> Activation:
    """The function of a name; None is linear, a function is itself.

    Raises:
        ConfigurationError: The name is unknown.
    """
    if activation is None:
        return linear
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        return ACTIVATIONS[activation]
    if callable(activation):
        return activation
    raise ConfigurationError(f"An activation must be a name or a function, not {activation!r}.")


def apply(activation: str | Activation | None, z: Any) -> Any:
    """f(z); whoever observes the layers sees z, unless f is linear."""
    if not is_linear(activation):
        tell_preactivation(z)
    return get(activation)(z)


def is_linear(activation: Any) -> bool:
    """Whether an activation setting leaves its input as it is."""
    return activation is None or activation is linear or activation == "linear"


def check(activation: Any) -> str | None:
    """The check of an activation setting."""
    get(activation)
    return None
