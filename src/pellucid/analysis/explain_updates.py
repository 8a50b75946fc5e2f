"""The formula by which an optimiser, with its settings, changes a parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import optim

_M_HAT = "m_hat = m / (1 - beta_1^(t))"
_V_HAT = "v_hat = v / (1 - beta_2^(t))"
_MOMENTS = "m = beta_1 m + (1 - beta_1) {g}, v = beta_2 v + (1 - beta_2) ({g})^2"


def _heavy_ball(nesterov: bool) -> str:
    moved = "momentum m - eta {g}" if nesterov else "m"
    return f"{{w}} + {moved}, m = momentum m - eta {{g}}"


def _sgd(given: Any) -> str:
    return _heavy_ball(given.nesterov) if given.momentum else "{w} - eta {g}"


def _momentum(given: Any) -> str:
    if given.form == "heavy_ball":
        return _heavy_ball(given.nesterov)
    mean = "momentum m + (1 - momentum) {g}"
    return f"{{w}} - eta ({mean}), m = {mean}" if given.nesterov else f"{{w}} - eta m, m = {mean}"


def _adagrad(given: Any) -> str:
    size = "s" if given.form == "sum" else "s / t"
    return f"{{w}} - eta {{g}} / (sqrt({size}) + epsilon), s = s + ({{g}})^2"


def _rms_prop(given: Any) -> str:
    size = "v - c^2" if given.centered else "v"
    step = f"{{g}} / (sqrt({size}) + epsilon)"
    text = f"{{w}} - eta b, b = momentum b + {step}" if given.momentum else f"{{w}} - eta {step}"
    text += ", v = rho v + (1 - rho) ({g})^2"
    text += ", c = rho c + (1 - rho) {g}" if given.centered else ""
    return text + (", but v = ({g})^2 in the first update" if given.start == "gradient" else "")


def _adadelta(given: Any) -> str:
    step = "d = sqrt(u + epsilon) / sqrt(v + epsilon) {g}"
    return f"{{w}} - eta d, {step}, v = rho v + (1 - rho) ({{g}})^2, then u = rho u + (1 - rho) d^2"


def _adam(given: Any) -> str:
    return f"{{w}} - eta m_hat / (sqrt(v_hat) + epsilon), {_M_HAT}, {_V_HAT}, {_MOMENTS}"


def _nadam(given: Any) -> str:
    ahead = "m_bar = (1 - mu) / (1 - P) {g} + k / (1 - P k) m, P = P mu"
    shares = (
        "k = beta_1 (1 - 0.96^(t momentum_decay + momentum_decay) / 2), mu = beta_1 (1 - 0.96^(t momentum_decay) / 2)"
    )
    return f"{{w}} - eta m_bar / (sqrt(v_hat) + epsilon), {ahead}, {shares}, {_V_HAT}, {_MOMENTS}"


_RULES: dict[type, Callable[[Any], str]] = {
    optim.SGD: _sgd, optim.Momentum: _momentum, optim.Adagrad: _adagrad, optim.RMSProp: _rms_prop,
    optim.Adadelta: _adadelta, optim.Adam: _adam, optim.AdamW: _adam, optim.Nadam: _nadam,
}  # fmt: skip

#: What formulas name, and the setting that it is.
_NAMED = {
    "momentum": "momentum", "rho": "rho", "beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon",
    "momentum_decay": "momentum_decay", "lambda": "weight_decay",
}  # fmt: skip


def update_formula(optimizer: optim.Optimizer, parameter: Any, w: str, g: str) -> str:
    """What a parameter becomes, and what the names in that are.

    Args:
        optimizer: The optimiser; its settings decide.
        parameter: The parameter: not every one has weight decay.
        w, g: What it and its gradient are called.

    >>> from pellucid import Tensor
    >>> update_formula(optim.SGD(0.1, momentum=0.9), Tensor([[1.0]]), "W^1", "dL/dW^1")
    'W^1 + m, m = momentum m - eta dL/dW^1'
    """
    rule = _RULES.get(type(optimizer))
    if rule is None:
        return f"update({w}, {g})"
    apart = isinstance(optimizer, optim.AdamW)  # its decay does not pass through the moments
    decays = optimizer.decays(parameter)
    used, meaning = _gradient(optimizer, w, g, decays=decays and not apart)
    text = rule(optimizer).format(w=f"(1 - eta lambda) {w}" if apart and decays else w, g=used)
    return f"{text}, {meaning}" if meaning else text


def _gradient(optimizer: optim.Optimizer, w: str, g: str, *, decays: bool) -> tuple[str, str]:
    """What the gradient is called in the update, and what that is where it was clipped or weight decay was added."""
    changed = g
    if optimizer.clip_value is not None:
        changed = f"clip({changed}, -{optimizer.clip_value:g}, {optimizer.clip_value:g})"
    where = ""
    if optimizer.clip_norm is not None:
        changed = f"min(1, {optimizer.clip_norm:g} / r) {changed}"
        where = ", r the norm of all gradients together"
    if decays:
        changed += f" + lambda {w}"
    return (g, "") if changed == g else ("g", f"g = {changed}{where}")


def update_settings(optimizer: optim.Optimizer) -> dict[str, float]:
    """What the names in the formulas are in numbers: settings, and the number t of the update.

    >>> update_settings(optim.Momentum(0.1, momentum=0.5))
    {'momentum': 0.5}
    """
    rule = _RULES.get(type(optimizer))
    if rule is None:
        return {}
    words = set(rule(optimizer).replace("(", " ").replace(")", " ").replace("^", " ").replace(",", " ").split())
    found: dict[str, float] = {
        name: float(getattr(optimizer, setting))
        for name, setting in _NAMED.items()
        if name in words or (name == "lambda" and optimizer.weight_decay > 0)
    }
    return {**found, "t": optimizer.iterations + 1} if "t" in words else found
