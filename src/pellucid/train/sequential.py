"""The model of layers in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid import dtypes
from pellucid.errors import ConfigurationError, DataError, NotBuiltError
from pellucid.nn.layer import Layer, phase
from pellucid.nn.network import Network, name_layers
from pellucid.nn.symbol import Input, Symbol
from pellucid.op import Value
from pellucid.shapes import Shape
from pellucid.train.checks import as_array
from pellucid.train.model import Model


class Sequential(Model):
    """A model of layers in a row.

    Args:
        layers: The layers; the first may be ``Input(shape)``, else the shape is taken from the first data.
        name: The model's name.
        dtype: ``"float32"`` or ``"float64"``, of inputs and parameters.

    >>> import numpy as np
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((4,)), Dense(16, activation="relu"), Dense(3, activation="softmax")])
    >>> model.predict(np.zeros((2, 4))).shape
    (2, 3)
    """

    def __init__(self, layers: Sequence[Any] = (), *, name: str | None = None, dtype: Any = None) -> None:
        self._begin(name)
        self._dtype = dtypes.dtype(dtype) if dtype else dtypes.DEFAULT_FLOAT
        self._stack: list[Layer] = []
        self._input: Symbol | None = None
        if not isinstance(layers, Iterable):
            raise ConfigurationError(
                f"Sequential takes a list of layers, not {layers!r}.", hint="write [...] around it"
            )
        for layer in layers:
            self.add(layer)
        self._build_if_known()

    def add(self, layer: Any) -> None:
        """Append a layer.

        Raises:
            ConfigurationError: It is not a layer, or the model is compiled and built already.
        """
        if isinstance(layer, Symbol):
            if self._stack or self._input or layer.call is not None:
                raise ConfigurationError("Sequential: Input(...) can only come first.")
            # The dtype of an input that names none is the model's own.
            wide = self._dtype if layer.dtype == dtypes.DEFAULT_FLOAT else layer.dtype
            self._input = Input(layer.sample_shape, wide, layer.name)
            return
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ConfigurationError(f"Sequential: {layer.__name__} is a class.", hint=f"write {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise ConfigurationError(
                f"Sequential takes layers, not {layer!r}.", hint="wrap a function in Lambda(f) or Activation(f)"
            )
        if self.built:
            raise ConfigurationError("Sequential: the model is built; no layer can be added any more.")
        if any(layer is known for known in self._stack):
            raise ConfigurationError(
                f"Sequential: the layer {layer.label!r} occurs twice.", hint="share layers in a functional Model"
            )
        self._stack.append(layer)

    def build(self, *shapes: Shape) -> None:
        """Create all parameters for inputs of this shape, the batch axis first (None or a number)."""
        if self._network is not None:
            return
        (shape,) = shapes
        if not self._stack:
            raise NotBuiltError(f'The model "{self.label}" has no layers.', hint="add layers first")
        if self._input is None:
            self._input = Input(tuple(shape[1:]), self._stack[0].input_dtype or self._dtype)
        name_layers(self._stack)
        symbol: Any = self._input
        with phase(training=False, dtype=self._dtype):
            for layer in self._stack:
                symbol = layer(symbol)
        self._adopt(Network([self._input], [symbol]))
        if self._objective_request is not None:
            self._resolve_objective()

    def _build_if_known(self) -> None:
        """Build at once where the first layer is an Input."""
        if self._input is not None and self._stack:
            self.build((None, *self._input.sample_shape))  # type: ignore[arg-type]

    def _build_for(self, x: Any) -> None:
        if self._network is not None:
            return
        if self._input is not None:
            self._build_if_known()
            return
        if isinstance(x, (tuple, dict)) and len(x) == 1:
            (x,) = x.values() if isinstance(x, dict) else x
        shape = x.spec.shape if isinstance(x, Value) else as_array(x, "x").shape
        if len(shape) < 2:
            raise DataError(
                f"x has shape {list(shape)}, but a batch of samples has at least 2 axes [sample, features].",
                hint="one feature per sample still needs an axis: x[:, None]",
            )
        self.build(shape)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order."""
        return list(self._stack)

    def __call__(self, *inputs: Any) -> Any:
        """The output; builds the model on first use."""
        if self._network is None and not isinstance(inputs[0], Symbol):
            self._build_for(inputs[0])
        return super().__call__(*inputs)
