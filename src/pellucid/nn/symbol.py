"""Symbols: what a functional model is written with before there are numbers.

>>> from pellucid.nn import Dense
>>> x = Input(shape=(4,))
>>> Dense(3)(x)
Symbol(float32[?, 3] from "dense")
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pellucid import dtypes, nest
from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.graph.trace import trace
from pellucid.op import Spec, batch_placeholder
from pellucid.shapes import show

# Shapes are inferred by tracing a call with a batch of this many samples; only the first axis depends on it.
_BATCH = 2


#: The layers behind +, - and * of symbols; merging.py fills it in.
MERGES: dict[str, Callable[[], Any]] = {}


class Symbol:
    """The future output of a layer (or a future input): a shape without the batch axis, and where it comes from.

    Attributes:
        shape: Sizes, the batch axis first as None.
        dtype: Element type.
        call: The layer call that makes it; None for inputs.
    """

    def __init__(self, shape: Sequence[int], dtype: DType, call: Call | None, name: str | None) -> None:
        self.shape = (None, *shape)
        self.dtype = dtype
        self.call = call
        self.name = name

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.shape[1:]  # type: ignore[return-value]

    def with_batch(self, batch: int) -> Spec:
        """The spec of a batch of so many samples."""
        return Spec((batch, *self.sample_shape), self.dtype)

    def __repr__(self) -> str:
        source = f'from "{self.call.layer.label}"' if self.call else f"input {self.name!r}" if self.name else "input"
        return f"Symbol({self.dtype.name}{show(self.shape)} {source})"

    def _merge(self, other: Any, kind: str) -> Any:
        if not isinstance(other, Symbol):
            raise ConfigurationError(
                f"A symbol and {other!r} cannot be combined here.", hint="wrap the computation in a Lambda layer"
            )
        return MERGES[kind]()(self, other)

    def __add__(self, other: Any) -> Any:
        return self._merge(other, "+")

    def __sub__(self, other: Any) -> Any:
        return self._merge(other, "-")

    def __mul__(self, other: Any) -> Any:
        return self._merge(other, "*")

    # Two symbols never come here: these explain a number on the left.

    def __radd__(self, other: Any) -> Any:
        return self._merge(other, "+")

    def __rsub__(self, other: Any) -> Any:
        return self._merge(other, "-")

    def __rmul__(self, other: Any) -> Any:
        return self._merge(other, "*")


class Call:
    """One call of a layer on symbols; a shared layer has several.

    Symbols keep the call that makes them alive, and not the other way round: a model that nobody needs any more frees
    its parameters at once, not when Python next looks for circles.
    """

    def __init__(self, layer: Any, inputs: tuple[Symbol, ...]) -> None:
        self.layer = layer
        self.inputs = inputs
        self._specs: tuple[tuple[Sequence[int], DType], ...] = ()
        self._outputs: list[weakref.ref[Symbol]] = []

    def make(self, *specs: tuple[Sequence[int], DType]) -> tuple[Symbol, ...]:
        """The symbols of the outputs, of these sample shapes and types."""
        self._specs = specs
        return self._keep([Symbol(shape, dtype, self, None) for shape, dtype in specs])

    @property
    def outputs(self) -> tuple[Symbol, ...]:
        """The symbols; in place of one that nobody has kept there is a new one like it, from then on the only one."""
        kept = [reference() for reference in self._outputs]
        return self._keep([s or Symbol(*spec, self, None) for s, spec in zip(kept, self._specs, strict=True)])

    def _keep(self, symbols: Sequence[Symbol]) -> tuple[Symbol, ...]:
        self._outputs = [weakref.ref(symbol) for symbol in symbols]
        return tuple(symbols)

    def __getstate__(self) -> tuple:
        return self.layer, self.inputs, self._specs, self.outputs

    def __setstate__(self, state: tuple) -> None:
        self.layer, self.inputs, self._specs, symbols = state
        self._keep(symbols)


def Input(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Symbol:  # noqa: N802 - Keras' name
    """The input of a functional model.

    Args:
        shape: Sizes of one sample, without the batch axis.
        dtype: Element type; by default float32, and the model's own where that is float64.
        name: What errors call it, and the key for inputs given as a dict.

    Raises:
        ConfigurationError: A size is missing or not positive.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(not isinstance(n, int) or n < 1 for n in sizes):
        raise ConfigurationError(f"Input: shape must hold positive whole numbers, not {shape!r}.")
    return Symbol(sizes, dtypes.dtype(dtype) if dtype else dtypes.DEFAULT_FLOAT, None, name)


def symbolic_call(layer: Any, inputs: tuple[Any, ...]) -> Any:
    """The symbols that a layer makes of symbols; the layer is built on the way.

    Raises:
        ShapeError: The layer does not keep the batch axis.
    """
    for x in inputs:
        if not isinstance(x, Symbol):
            raise ConfigurationError(f'layer "{layer.label}": inputs mix symbols and numbers ({x!r}).')
    call = Call(layer, inputs)
    with batch_placeholder(_BATCH):
        traced = trace(layer, *(x.with_batch(_BATCH) for x in inputs), capture=True, name=layer.label)
    count = traced.structure.leaf_count
    specs = []
    for var in traced.graph.outputs[:count]:
        if not var.spec.shape or var.spec.shape[0] != _BATCH:
            raise ShapeError(
                f'layer "{layer.label}": the first axis of its output must be the batch, but the shape for '
                f"{_BATCH} samples is {show(var.spec.shape)}"
            )
        specs.append((var.spec.shape[1:], var.spec.dtype))
    outputs = call.make(*specs)
    if traced.structure.kind is None:
        return outputs[0]
    return nest.unflatten(traced.structure, list(outputs))
