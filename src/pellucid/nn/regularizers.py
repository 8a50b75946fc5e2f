"""Cost terms on parameters that keep them small."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.fields import Configured, lookup, non_negative, param


class Regularizer(Configured):
    """A cost on one parameter."""

    @abstractmethod
    def penalty(self, w: Any) -> Any:
        """The cost: one number."""


class L1(Regularizer):
    """strength * sum |w|: drives weights to exactly zero."""

    strength: float = param(default=0.01, check=non_negative, data=True)

    def penalty(self, w: Any) -> Any:
        """strength * sum |w|."""
        return _absolute(self.number("strength"), w)


class L2(Regularizer):
    """strength / 2 * sum w^2, the lectures' (lambda / 2) ||w||^2, whose gradient is strength * w.

    With plain gradient descent this is weight decay: w becomes (1 - learning_rate * strength) w before the step.
    (Keras writes the term without the 1/2: its ``L2(a)`` is ``L2(2 * a)`` here.)
    """

    strength: float = param(default=0.01, check=non_negative, data=True)

    def penalty(self, w: Any) -> Any:
        """strength / 2 * sum w^2."""
        return _squared(self.number("strength"), w)


class L1L2(Regularizer):
    """l1 * sum |w| + l2 / 2 * sum w^2."""

    l1: float = param(default=0.01, check=non_negative, data=True)
    l2: float = param(default=0.01, check=non_negative, data=True)

    def penalty(self, w: Any) -> Any:
        """Both terms."""
        return _absolute(self.number("l1"), w) + _squared(self.number("l2"), w)


def _absolute(strength: Any, w: Any) -> Any:
    return ops.number_like(strength, w) * ops.sum(ops.abs(w))


def _squared(strength: Any, w: Any) -> Any:
    return ops.number_like(strength / 2, w) * ops.sum(ops.square(w))


REGULARIZERS: dict[str, Callable[..., Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}


def get(regularizer: Any) -> Regularizer | None:
    """The regulariser of a name, or itself; None stays None."""
    return None if regularizer is None else lookup("regularizer", regularizer, Regularizer, REGULARIZERS)


def check(regularizer: Any) -> str | None:
    """The check of a regulariser setting."""
    get(regularizer)
    return None
