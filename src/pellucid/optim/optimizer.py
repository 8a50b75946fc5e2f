"""What all optimisers share: slots, clipping, weight decay, and the update of many parameters."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.fields import Configured, boolean, non_negative, optional, param, positive
from pellucid.optim import schedules
from pellucid.shapes import Shape
from pellucid.tensor import Tensor, no_grad

Slots = dict[str, Any]


class Optimizer(Configured):
    """Base of the optimisers.

    Before the update, the gradient passes: clip_value, then clip_norm, then weight decay.

    Args:
        learning_rate: eta, a number or a schedule (its default is the optimiser's own).
        weight_decay: lambda; g becomes g + lambda w, the gradient of (lambda / 2) ||w||^2, so that a plain gradient
            step first shrinks w by (1 - eta lambda). AdamW decays apart from the gradient.
        decay_biases: Whether parameters of one axis (biases, scales) decay too.
        clip_norm: The largest Euclidean norm of all gradients together; longer ones are scaled down.
        clip_value: The largest absolute value of any element of a gradient.

    Attributes:
        iterations: Number of updates so far.
    """

    learning_rate: Any = param(default=0.01, check=schedules.check)
    weight_decay: float = param(default=0.0, check=non_negative, kw_only=True, data=True)
    decay_biases: bool = param(default=False, check=boolean, kw_only=True)
    clip_norm: float | None = param(default=None, check=optional(positive), kw_only=True)
    clip_value: float | None = param(default=None, check=optional(positive), kw_only=True)

    def __post_init__(self) -> None:
        self.iterations = 0
        self._slots: dict[int, dict[str, Tensor]] = {}
        self._owners: dict[int, Tensor] = {}
        super().__post_init__()

    # For authors of optimisers.

    def initial_slots(self, shape: Shape, dtype: DType) -> dict[str, np.ndarray]:
        """The state that belongs to one parameter, before the first update."""
        return {}

    @abstractmethod
    def update(self, w: Any, g: Any, slots: Slots, t: Any, learning_rate: Any) -> tuple[Any, Slots]:
        """The new parameter and the new slots.

        Args:
            w: The parameter.
            g: Its gradient, clipped and with decay.
            slots: Its state.
            t: The number of this update, from 1, as float64.
            learning_rate: eta, as float64.
        """

    # For the training step.

    def update_all(
        self, parameters: Sequence[Any], gradients: Sequence[Any], slots: Sequence[Slots], t: Any, learning_rate: Any
    ) -> tuple[list[Any], list[Slots]]:
        """New parameters and slots from operations on any values, eager or traced."""
        new_parameters, new_slots = [], []
        for w, g, own in zip(parameters, self._clipped(gradients), slots, strict=True):
            w_next, slots_next = self.update(w, self._decayed(w, g), own, t, learning_rate)
            new_parameters.append(w_next)
            new_slots.append(slots_next)
        return new_parameters, new_slots

    def _clipped(self, gradients: Sequence[Any]) -> list[Any]:
        result = list(gradients)
        if self.clip_value is not None:
            result = [ops.clip(g, -self.clip_value, self.clip_value) for g in result]
        if self.clip_norm is not None:
            total: Any = 0.0
            for g in result:
                total = total + ops.sum(ops.square(g))
            # The small number keeps a zero gradient zero.
            scale = ops.minimum(self.clip_norm / (ops.sqrt(total) + 1e-6), 1.0)
            result = [g * ops.cast(scale, g.spec.dtype) for g in result]
        return result

    def _decayed(self, w: Any, g: Any) -> Any:
        return g + ops.number_like(self.number("weight_decay"), w) * w if self.decays(w) else g

    def decays(self, w: Any) -> bool:
        """Whether weight decay applies to the parameter."""
        return self.weight_decay > 0 and (self.decay_biases or w.spec.ndim > 1)

    def belongs_to(self, parameters: Sequence[Tensor]) -> None:
        """Refuse to train parameters when the state is that of other ones.

        Raises:
            ConfigurationError: The optimiser already trains another model.
        """
        known = {id(owner) for owner in self._owners.values()}
        if known and parameters and not any(id(p) in known for p in parameters):
            raise ConfigurationError(
                f"{type(self).__name__}: this optimiser already trains another model, whose state it keeps.",
                hint="make an optimiser for each model, or call optimizer.reset() first",
            )

    # For users.

    def slots_of(self, parameter: Tensor) -> dict[str, Tensor]:
        """The state of one parameter, made on first use."""
        slots = self._slots.get(id(parameter))
        if slots is None:
            start = self.initial_slots(parameter.shape, parameter.dtype)
            slots = {name: Tensor.wrap(value, name=f"{parameter.name}.{name}") for name, value in start.items()}
            self._slots[id(parameter)] = slots
            self._owners[id(parameter)] = parameter  # keeps the id from being given to another object
        return slots

    @property
    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """The state of every parameter that was updated, by the parameter's name."""
        return {
            owner.name or f"parameter {position}": {name: slot.numpy() for name, slot in self._slots[key].items()}
            for position, (key, owner) in enumerate(self._owners.items())
        }

    def current_learning_rate(self) -> float:
        """The learning rate of the next update."""
        return schedules.rate_at(self.learning_rate, self.iterations)

    def learning_rates(self, count: int) -> np.ndarray:
        """The learning rates of the next updates, as float64."""
        return schedules.rates_at(self.learning_rate, self.iterations, count)

    def copy(self) -> Optimizer:
        """An optimiser of the same settings, without any state."""
        twin = copy.copy(self)
        twin.iterations, twin._slots, twin._owners = 0, {}, {}
        return twin

    def reset(self) -> None:
        """Forget all state, as before the first update."""
        self.iterations = 0
        self._slots.clear()
        self._owners.clear()

    def apply(self, parameters: Sequence[Tensor], gradients: Sequence[Any] | None = None) -> None:
        """Update parameters at once, for hand-written loops.

        Args:
            parameters: The tensors to change.
            gradients: One per parameter; by default what ``backward()`` left in ``.grad``.

        Raises:
            ConfigurationError: A parameter has no gradient.
            ShapeError: A gradient has another shape than its parameter.

        >>> from pellucid.optim import SGD
        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> SGD(0.1).apply([w]); w.tolist()
        [0.8, 1.6]
        """
        given = [p.grad for p in parameters] if gradients is None else list(gradients)
        if len(given) != len(parameters):
            raise ConfigurationError(
                f"{type(self).__name__}: {len(parameters)} parameters, but {len(given)} gradients were given."
            )
        for parameter, g in zip(parameters, given, strict=True):
            if g is None:
                raise ConfigurationError(
                    f"{type(self).__name__}: the parameter {parameter.name or parameter.spec} has no gradient.",
                    hint="call backward() first, or pass gradients=",
                )
        tensors = [g if isinstance(g, Tensor) else Tensor(g) for g in given]
        for parameter, g in zip(parameters, tensors, strict=True):
            if g.shape != parameter.shape:
                raise ShapeError(
                    f"{type(self).__name__}: the gradient of {parameter.name or 'a parameter'} is {g.spec}, "
                    f"but the parameter {parameter.spec}"
                )
        rate = np.float64(self.current_learning_rate())
        with no_grad():
            slots = [self.slots_of(p) for p in parameters]
            t = Tensor.wrap(np.asarray(self.iterations + 1, np.float64))
            new, new_slots = self.update_all(parameters, tensors, slots, t, Tensor.wrap(np.asarray(rate)))
        for parameter, value, own, fresh in zip(parameters, new, slots, new_slots, strict=True):
            parameter.assign(value)
            for name, slot in own.items():
                slot.assign(fresh[name])
        self.iterations += 1
