"""Checks of an estimator's parameters, of sample weights, and of what a fit leaves behind.

scikit-learn's rule is that a constructor only stores what it is given, so that ``set_params`` and searches can; the
parameters are checked when ``fit`` begins, all of them from one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

from pellucid.errors import ConfigurationError, DataError, NonFiniteError
from pellucid.fields import Check
from pellucid.optim import OPTIMIZERS, Optimizer
from pellucid.train import Recorder


class DivergedError(NonFiniteError, ValueError):
    """Training met NaN or infinity; scikit-learn's estimators raise a ValueError there, so this is one too."""


def check_parameters(estimator: Any, checks: Mapping[str, Check]) -> None:
    """Refuse a parameter outside its range.

    Raises:
        ConfigurationError: Which parameter of which estimator, what it must be, and what it is.
    """
    for name, check in checks.items():
        value = getattr(estimator, name)
        message = check(value)
        if message:
            raise ConfigurationError(f"{type(estimator).__name__}: {name} must be {message}, not {value!r}.")


def truth(value: Any) -> str | None:
    """True or False, NumPy's too: a parameter grid may be an array."""
    return None if isinstance(value, (bool, np.bool_)) else "True or False"


def verbosity(value: Any) -> str | None:
    """True, False or a level."""
    return None if truth(value) is None or isinstance(value, Integral) else "True, False or a whole number"


def whole(value: Any) -> bool:
    """Whether it is a whole number of at least 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def random_state(value: Any) -> str | None:
    """A seed, or what numbers are drawn from."""
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return None
    if isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) < 2**32:
        return None
    return "None, a whole number from 0 to 4294967295 or a numpy.random.RandomState"


def same(a: Any, b: Any) -> bool:
    """Whether two values of a parameter are the same; arrays and lists are looked into.

    >>> same([1, 2], [1, 2]), same(np.zeros(2), np.zeros(3)), same("relu", None)
    (True, False, False)
    """
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    try:
        return bool(a == b)
    except Exception:  # whatever objects of others' classes raise: they are not the same object
        return False


def sizes(value: Any) -> str | None:
    """One whole number of at least 1, or a list of them."""
    if whole(value) or (np.ndim(value) == 1 and all(whole(item) for item in value)):
        return None
    return "a whole number > 0 or a list of whole numbers > 0"


def batch_size(value: Any) -> str | None:
    """A whole number of at least 1, or the rule."""
    return None if whole(value) or (isinstance(value, str) and value == "auto") else "a whole number > 0, or 'auto'"


def patience(value: Any) -> str | None:
    """A whole number of at least 1, or infinity."""
    return None if whole(value) or value == np.inf else "a whole number of at least 1, or infinity"


def optimizer(value: Any) -> str | None:
    """The name of an optimiser, or one."""
    names = {name.lower() for name in OPTIMIZERS}
    if isinstance(value, Optimizer) or (isinstance(value, str) and value.lower() in names):
        return None
    return f"an Optimizer or one of {', '.join(repr(n) for n in sorted(names))}"


def recorder(value: Any) -> str | None:
    """What ``fit(record=...)`` of a Model takes."""
    ok = value is None or isinstance(value, Recorder) or (isinstance(value, str) and value in ("off", "stats", "full"))
    return None if ok else "'off', 'stats', 'full' or a Recorder"


def class_weights(value: Any) -> str | None:
    """None, the rule, or a weight per class."""
    ok = value is None or isinstance(value, dict) or (isinstance(value, str) and value == "balanced")
    return None if ok else "None, 'balanced' or a dict of class to weight"


def sample_weights(given: Any, count: int, dtype: Any) -> np.ndarray | None:
    """One weight per sample, checked.

    Raises:
        DataError: The number of weights differs from that of samples, one is negative, or all are zero.
    """
    if given is None:
        return None
    if isinstance(given, Real):
        return np.full(count, float(given), dtype)
    array = check_array(given, dtype=dtype, ensure_2d=False, input_name="sample_weight")
    if array.shape != (count,):
        raise DataError(
            f"sample_weight must hold one number for each of {count} samples, but its shape is {array.shape}."
        )
    if array.min() < 0:
        raise DataError(f"sample_weight must not be negative, but {array.min()} is there.")
    if not array.any():
        raise DataError("sample_weight must contain at least one non-zero number: all weights are zero.")
    return array


def check_finite_state(arrays: Any, estimator: Any, place: str = "") -> None:
    """Refuse parameters that are NaN or infinite.

    Raises:
        DivergedError: One is.
    """
    if not all(np.isfinite(array).all() for array in arrays):
        raise DivergedError(
            f"{type(estimator).__name__}: training{place} gave non-finite parameter weights.",
            hint="scale the inputs (StandardScaler), or take a smaller learning rate",
        )
