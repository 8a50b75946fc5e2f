"""Recurrent layers: the same cell at every time step of [batch, time, features].

The input's contribution is one matrix product for all steps; the recurrence is unrolled into the graph.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.fields import Integer, boolean, param
from pellucid.nn import activations, initializers, regularizers
from pellucid.nn.layer import Layer, need_rank
from pellucid.nn.observe import tell_part
from pellucid.shapes import Shape, show


class _Recurrent(Layer):
    """What the recurrent layers share: parameters for ``gates`` blocks, and the loop over time.

    Args:
        units: Size of the state.
        activation: Function of the candidate state.
        recurrent_activation: Function of the gates (where there are any).
        use_bias: Whether there are biases.
        return_sequences: The states of all steps [batch, time, units] instead of the last [batch, units].
        go_backwards: Read the sequence from its end.
        kernel_..., recurrent_..., bias_...: Initialisers and regularisers of W, U and b.
    """

    units: int = param(check=Integer(1))
    activation: Any = param(default="tanh", check=activations.check)
    recurrent_activation: Any = param(default="sigmoid", check=activations.check)
    use_bias: bool = param(default=True, check=boolean)
    return_sequences: bool = param(default=False, check=boolean)
    go_backwards: bool = param(default=False, check=boolean)
    kernel_initializer: Any = param(default="glorot_uniform", check=initializers.check)
    recurrent_initializer: Any = param(default="orthogonal", check=initializers.check)
    bias_initializer: Any = param(default="zeros", check=initializers.check)
    kernel_regularizer: Any = param(default=None, check=regularizers.check)
    recurrent_regularizer: Any = param(default=None, check=regularizers.check)

    #: Number of blocks of size ``units`` in the parameters, and of parts of the state.
    gates: ClassVar[int]
    state_count: ClassVar[int] = 1

    @abstractmethod
    def step(self, from_input: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """The next state (whose first part is the output), given x_t W + b."""

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create W, U and b."""
        need_rank(self, shape, 3, "batch, time, features")
        width = self.gates * self.units
        self.kernel = self.add_parameter(
            "kernel",
            (shape[-1], width),
            self.kernel_initializer,
            regularizer=regularizers.get(self.kernel_regularizer),
        )
        self.recurrent_kernel = self.add_parameter(
            "recurrent_kernel",
            (self.units, width),
            self.recurrent_initializer,
            regularizer=regularizers.get(self.recurrent_regularizer),
        )
        if self.use_bias:
            self.bias = self.add_parameter("bias", (width,), self.bias_initializer)

    def call(self, x: Any) -> Any:  # type: ignore[override]
        """Run the cell over time."""
        need_rank(self, x.spec.shape, 3, "batch, time, features")
        batch, time, _ = x.spec.shape
        if not time:
            raise ShapeError(f'layer "{self.label}": the sequences {show(x.spec.shape)} have no time step')
        state = (np.zeros((batch, self.units), x.spec.dtype),) * self.state_count
        outputs = []
        for t in reversed(range(time)) if self.go_backwards else range(time):
            from_input = ops.matmul(x[:, t], self.kernel)
            state = self.step(from_input + self.bias if self.use_bias else from_input, state)
            outputs.append(state[0])
        return ops.transpose(ops.stack(outputs), (1, 0, 2)) if self.return_sequences else outputs[-1]

    def block(self, x: Any, number: int) -> Any:
        """One of the blocks of size ``units`` along the last axis."""
        return x[:, number * self.units : (number + 1) * self.units]

    def gate(self, name: str, z: Any) -> Any:
        """s(z); whoever observes the layers is told of it."""
        return _told(name, self.recurrent_activation, z)

    def squash(self, name: str, z: Any) -> Any:
        """f(z); whoever observes the layers is told of it."""
        return _told(name, self.activation, z)


def _told(name: str, function: Any, z: Any) -> Any:
    value = activations.get(function)(z)
    if activations.is_linear(function):
        tell_part(name, None, None, value)
    else:
        tell_part(name, function, z, value)
    return value


class SimpleRNN(_Recurrent):
    """h_t = f(x_t W + h_{t-1} U + b)."""

    gates = 1

    def step(self, from_input: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """f(x_t W + b + h U)."""
        return (self.squash("hidden state", from_input + ops.matmul(state[0], self.recurrent_kernel)),)


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; with forget gate, Gers et al. 2000).

    i, f, g, o = blocks of x_t W + h_{t-1} U + b;  c_t = s(f) c_{t-1} + s(i) tanh(g);  h_t = s(o) tanh(c_t)

    The forget gate's bias starts at 1 (Jozefowicz et al. 2015), unless ``unit_forget_bias=False``.
    """

    gates = 4
    state_count = 2
    unit_forget_bias: bool = param(default=True, check=boolean)

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create W, U and b; open the forget gate."""
        super().build(shape)
        if self.use_bias and self.unit_forget_bias:
            start = self.bias.numpy().copy()
            start[self.units : 2 * self.units] = 1
            self.bias.replace(start)

    def step(self, from_input: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """The next h and c."""
        h, c = state
        z = from_input + ops.matmul(h, self.recurrent_kernel)
        kept = self.gate("forget gate", self.block(z, 1)) * c
        c = kept + self.gate("input gate", self.block(z, 0)) * self.squash("candidate", self.block(z, 2))
        tell_part("cell state", None, None, c)
        h = self.gate("output gate", self.block(z, 3)) * activations.get(self.activation)(c)
        tell_part("hidden state", None, None, h)
        return h, c


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al. 2014), with the reset after the matrix product as in cuDNN and PyTorch.

    z, r = s of blocks of x_t W + b + h_{t-1} U + c;  n = tanh(x_t W_n + b_n + s(r) (h_{t-1} U_n + c_n));
    h_t = z h_{t-1} + (1 - z) n
    """

    gates = 3

    def build(self, shape: Shape) -> None:  # type: ignore[override]
        """Create W, U and the two biases b (of the input) and c (of the state)."""
        super().build(shape)
        if self.use_bias:
            self.recurrent_bias = self.add_parameter(
                "recurrent_bias", (self.gates * self.units,), self.bias_initializer
            )

    def step(self, from_input: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """The next h."""
        (h,) = state
        from_state = ops.matmul(h, self.recurrent_kernel)
        if self.use_bias:
            from_state = from_state + self.recurrent_bias
        z = self.gate("update gate", self.block(from_input, 0) + self.block(from_state, 0))
        r = self.gate("reset gate", self.block(from_input, 1) + self.block(from_state, 1))
        candidate = self.squash("candidate", self.block(from_input, 2) + r * self.block(from_state, 2))
        h = z * h + (1 - z) * candidate
        tell_part("hidden state", None, None, h)
        return (h,)
