"""Spelling: spaces as they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pellucid.errors import ConfigurationError, unknown_name
from pellucid.fields import Check, Integer, Interval, non_negative, positive, require
from pellucid.select.grid import NUMBERS
from pellucid.select.tuning.library import optuna
from pellucid.train.recipe import make_optimizer

#: What may be searched for, and which values each takes; ``units_1`` and so on are those of ``units``.
CHECKS: dict[str, Check] = {
    "units": Integer(1), "layers": Integer(1), "learning_rate": positive, "momentum": Interval(0, 1, closed="left"),
    "l2": non_negative, "dropout": Interval(0, 1, closed="left"), "batch_size": Integer(1), "epochs": Integer(1),
}  # fmt: skip
#: Those whose values are names.
NAMED = ("activation", "optimizer")
_EXAMPLE = "learning_rate=1e-4:0.1:log units=16,32,64 layers=1:3"


def parse_space(given: Sequence[str]) -> dict[str, Any]:
    """A space, in the form that ``tune`` takes, of parts such as ``name=low:high`` and ``name=value,value``.

    ==================== ============================================================================
    ``units=16,32,64``   one of these values
    ``epochs=5:30``      from 5 to 30; whole numbers where they must be whole
    ``units=8:512:log``  the same on a logarithmic scale
    ``dropout=0:0.5:0.1``  every tenth
    ==================== ============================================================================

    Raises:
        ConfigurationError: A part is not of that form, or holds a value that could not be used.

    >>> parse_space(["learning_rate=1e-3:1:log", "units=16,32", "layers=1:3"])
    {'learning_rate': (0.001, 1.0, 'log'), 'units': [16, 32], 'layers': (1, 3, 'linear')}
    """
    found: dict[str, Any] = {}
    for part in given:
        name, equals, values = (text.strip() for text in part.partition("="))
        name = name.replace("-", "_")
        if not equals or not name or not values.strip(" ,"):
            raise _misspelt(part)
        if name in found:
            raise ConfigurationError(f"--space names {name!r} twice.")
        kind = re.sub(r"_[1-9][0-9]*$", "", name) if name.startswith("units_") else name
        if kind not in (*CHECKS, *NAMED):
            raise unknown_name("parameter of --space", name, (*CHECKS, *NAMED, "units_1", "units_2"))
        found[name] = _range(name, kind, values, part) if ":" in values else _choices(name, kind, values)
    return found


def _misspelt(part: str) -> ConfigurationError:
    return ConfigurationError(
        f"--space {part!r} is none of name=value,value and name=low:high and name=low:high:log.", hint=_EXAMPLE
    )


def _choices(name: str, kind: str, text: str) -> list[Any]:
    found = list(dict.fromkeys(_value(name, kind, value.strip()) for value in text.split(",") if value.strip()))
    if kind == "optimizer":
        for value in found:
            make_optimizer(value, None)
    return found


def _value(name: str, kind: str, text: str) -> Any:
    """A value of a parameter."""
    if kind in NAMED:
        return text
    value = _number(text)
    require("--space", name, text if value is None else value, CHECKS[kind])
    return float(value) if kind in NUMBERS and value is not None else value


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _range(name: str, kind: str, text: str, part: str) -> Any:
    """The values between two bounds."""
    pieces = [piece.strip() for piece in text.split(":")]
    if len(pieces) not in (2, 3) or not all(pieces) or kind in NAMED:
        raise _misspelt(part)
    low, high = (_value(name, kind, piece) for piece in pieces[:2])
    if not low < high:
        raise ConfigurationError(
            f"--space {part!r}: the lower bound {low} is not below the upper bound {high}.",
            hint=f"{name}={low} is a value that is always taken",
        )
    scale = pieces[2] if len(pieces) == 3 else "linear"
    if scale in ("log", "linear"):
        if scale == "log" and low <= 0:
            raise ConfigurationError(f"--space {part!r}: a logarithmic scale begins above 0.")
        return (low, high, scale)
    return _steps(name, low, high, _number(scale), part)


def _steps(name: str, low: Any, high: Any, step: Any, part: str) -> Any:
    """The values between two bounds that are so far apart."""
    if step is None or not step > 0:
        raise _misspelt(part)
    if isinstance(low, int):
        require("--space", f"the step of {name}", step, Integer(1))
        return range(low, high + 1, step)
    if step > high - low:
        raise ConfigurationError(f"--space {part!r}: the step {step} leads beyond the upper bound {high}.")
    last = low + step * int((high - low) / step + 1e-9)
    return optuna.distributions.FloatDistribution(low, last, step=float(step))


def spoken_space(space: dict[str, Any]) -> str:
    """A space for people, a line for each parameter.

    >>> print(spoken_space({"learning_rate": (1e-4, 0.1, "log"), "units": [8, 16], "layers": range(1, 4)}))
      learning_rate  0.0001 to 0.1 (log)
      units          8, 16
      layers         1 to 3
    """
    width = max(map(len, space))
    return "\n".join(f"  {name:<{width}}  {_spoken(values)}" for name, values in space.items())


def _spoken(values: Any) -> str:
    if isinstance(values, range):
        steps = "" if values.step == 1 else f" in steps of {values.step}"
        return f"{values[0]} to {values[-1]}{steps}"
    if isinstance(values, tuple):
        return f"{values[0]:g} to {values[1]:g}" + (" (log)" if values[2:] == ("log",) else "")
    if isinstance(values, list):
        return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return f"{values.low:g} to {values.high:g} in steps of {values.step:g}"
