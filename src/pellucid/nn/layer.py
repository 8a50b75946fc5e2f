"""The layer: parameters, and a function of tensors that uses them.

A layer is plain Python. It declares its settings, creates parameters in ``build`` (when the input's shape is first
known) and computes in ``call``. The same code runs eagerly, in a trace and symbolically:

    >>> from pellucid import ops
    >>> class Scale(Layer):
    ...     start: float = param(default=1.0)
    ...     def build(self, shape):
    ...         self.factor = self.add_parameter("factor", (shape[-1],), initializers.Constant(self.start))
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale(2.0)(Tensor([[1.0, 2.0]]))
    Tensor([[2., 4.]], requires_grad=True)
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from pellucid import dtypes, ops, seeds
from pellucid.dtypes import DType
from pellucid.errors import ConfigurationError, NotBuiltError, PellucidError, ShapeError
from pellucid.fields import Configured, boolean, param
from pellucid.nn import initializers
from pellucid.nn.initializers import Initializer
from pellucid.nn.observe import tell_activation
from pellucid.nn.regularizers import Regularizer
from pellucid.nn.symbol import Symbol, symbolic_call
from pellucid.op import Value, scope
from pellucid.shapes import Shape, show
from pellucid.tensor import Tensor


class Parameter(Tensor):
    """A tensor that belongs to a layer.

    Attributes:
        trainable: Whether optimisers change it; statistics such as a moving mean are not trainable.
        regularizer: The cost term on it, or None.
    """

    __slots__ = ("regularizer", "trainable")

    def __init__(
        self, data: np.ndarray, name: str, *, trainable: bool = True, regularizer: Regularizer | None = None
    ) -> None:
        self._fill(np.array(data), None, trainable, name)
        self.trainable = trainable
        self.regularizer = regularizer

    def __deepcopy__(self, memo: dict) -> Parameter:
        return Parameter(self._data, self.name or "", trainable=self.trainable, regularizer=self.regularizer)


class _Phase(threading.local):
    training = False
    frozen = False
    key: Any = None
    draws = 0
    dtype: DType = dtypes.DEFAULT_FLOAT


_phase = _Phase()


@contextmanager
def phase(*, training: bool, key: Any = None, dtype: Any = None) -> Iterator[None]:
    """Run layers in training (or inference), with the random key that dropout and noise derive theirs from."""
    before = (_phase.training, _phase.key, _phase.draws, _phase.dtype)
    _phase.training, _phase.key, _phase.draws = training, key, 0
    _phase.dtype = before[3] if dtype is None else dtypes.dtype(dtype)
    try:
        yield
    finally:
        _phase.training, _phase.key, _phase.draws, _phase.dtype = before


@contextmanager
def _inside(layer: Layer) -> Iterator[None]:
    """The layers that a frozen layer calls are frozen with it."""
    before = _phase.frozen
    _phase.frozen = before or not layer.trainable
    try:
        yield
    finally:
        _phase.frozen = before


_serials = itertools.count()


class Layer(Configured):
    """Base of all layers.

    Args:
        name: What summaries, errors and files call it; a model gives one to a layer that has none.
        trainable: False keeps its parameters as they are during training.
    """

    name: str | None = param(default=None, kw_only=True)
    trainable: bool = param(default=True, check=boolean, kw_only=True)

    #: The element type of inputs, where it is not the model's own (embeddings take integers).
    input_dtype = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A layer that keeps track of layers and parameters from the first assignment in ``__init__`` on."""
        layer = super().__new__(cls)
        layer._keep_track()
        return layer

    def _keep_track(self) -> None:
        self.built = False
        self._own: dict[str, Parameter] = {}
        self._sublayers: dict[str, Layer] = {}

    # For authors of layers.

    def build(self, *shapes: Shape) -> None:
        """Create parameters for inputs of these shapes (batch axis included)."""

    def call(self, *inputs: Any) -> Any:
        """Compute the output."""
        raise NotBuiltError(f"{type(self).__name__} defines no call(self, x).")

    def add_parameter(
        self,
        name: str,
        shape: Shape,
        initializer: Any = "glorot_uniform",
        *,
        trainable: bool = True,
        regularizer: Regularizer | None = None,
    ) -> Parameter:
        """A new parameter of the layer, drawn from the initialiser."""
        draw: Initializer = initializers.get(initializer)
        values = draw.draw(tuple(shape), seeds.generator(seeds.next_seed())).astype(_phase.dtype)
        parameter = Parameter(values, f"{self.label}.{name}", trainable=trainable, regularizer=regularizer)
        self._own[name] = parameter
        return parameter

    @property
    def training(self) -> bool:
        """Whether the layer runs in training now."""
        return _phase.training

    @property
    def frozen(self) -> bool:
        """Whether the layer, or one that it is part of, is called with ``trainable=False`` now."""
        return _phase.frozen

    def random_key(self) -> Any:
        """A fresh random key for this call; different for every call in a step, the same for equal seeds."""
        if _phase.key is None:
            _phase.key = ops.random_key(seeds.next_seed())
        _phase.draws += 1
        return ops.fold_in(_phase.key, _phase.draws)

    # For users.

    def __call__(self, *inputs: Any) -> Any:
        """The output for tensors, traced variables, arrays, or symbols of a functional model."""
        symbols = [x for x in inputs if isinstance(x, Symbol)]
        if symbols:
            # A float64 input asks for a float64 model.
            wide = any(symbol.dtype == dtypes.float64 for symbol in symbols)
            with phase(training=False, dtype=dtypes.float64 if wide else None):
                return symbolic_call(self, inputs)
        values = [x if isinstance(x, Value) else Tensor(x) for x in inputs]
        with scope(self.label), _inside(self):
            self.ensure_built(*(x.spec.shape for x in values))
            result = self.call(*values)
            tell_activation(self, result)
            return result

    def ensure_built(self, *shapes: Shape) -> None:
        """Build the layer if it is not built yet; an error names the layer."""
        if self.built:
            return
        try:
            self.build(*shapes)
        except PellucidError as error:
            if f'layer "{self.label}"' in str(error):
                raise
            raise error.with_context(f'layer "{self.label}": {error.message}', ()) from None
        self.built = True
        self._input_shapes = shapes
        self._serial = next(_serials)

    def redraw(self) -> None:
        """Draw the parameters anew, those of inner layers too, in the order in which they were first drawn."""
        built = [layer for layer in self.sublayers() if layer.built and layer._own]
        for layer in sorted({id(layer): layer for layer in built}.values(), key=lambda layer: layer._serial):
            names = {name: parameter.name for name, parameter in layer._own.items()}
            dtype = next(iter(layer._own.values())).dtype
            with phase(training=False, dtype=dtype):
                layer.build(*layer._input_shapes)
            for name, parameter in layer._own.items():
                parameter.name = names.get(name, parameter.name)

    @property
    def label(self) -> str:
        """The name, or the class's name where none was given."""
        return self.name or snake_case(type(self).__name__)

    def sublayers(self) -> Iterator[Layer]:
        """The layer and all layers inside it."""
        yield self
        for inner in self._sublayers.values():
            yield from inner.sublayers()

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter, those of inner layers too, each once."""
        found: dict[int, Parameter] = {}
        for layer in self.sublayers():
            for parameter in layer._own.values():
                found[id(parameter)] = parameter
        return list(found.values())

    @property
    def trainable_parameters(self) -> list[Parameter]:
        """The parameters that optimisers change."""
        found: dict[int, Parameter] = {}
        for layer in self._trainable_layers():
            for parameter in layer._own.values():
                if parameter.trainable:
                    found[id(parameter)] = parameter
        return list(found.values())

    def _trainable_layers(self) -> Iterator[Layer]:
        if self.trainable:
            yield self
            for inner in self._sublayers.values():
                yield from inner._trainable_layers()

    def rename(self, prefix: str) -> None:
        """Give the parameters names below ``prefix``: ``dense.kernel``, ``block.dense.kernel``."""
        for name, parameter in self._own.items():
            parameter.name = f"{prefix}.{name}"
        for attribute, inner in self._sublayers.items():
            inner.rename(f"{prefix}.{inner.name or attribute}")

    def count_parameters(self) -> int:
        """Number of trainable and other numbers in the parameters."""
        return sum(parameter.size for parameter in self.parameters)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Layer):
            self._sublayers[name] = value
        elif isinstance(value, Parameter) and not any(value is known for known in self._own.values()):
            self._own[name] = value
        elif isinstance(value, (list, tuple)):
            self._sublayers |= {f"{name}_{i}": item for i, item in enumerate(value) if isinstance(item, Layer)}
        object.__setattr__(self, name, value)


def snake_case(name: str) -> str:
    """A class's name as a layer's name.

    >>> snake_case("MaxPool2D"), snake_case("Dense"), snake_case("LSTM"), snake_case("BatchNorm")
    ('max_pool2d', 'dense', 'lstm', 'batch_norm')
    """
    out = []
    for i, char in enumerate(name):
        if char.isupper() and i and (name[i - 1].islower() or (i + 1 < len(name) and name[i + 1].islower())):
            out.append("_")
        out.append(char.lower())
    return "".join(out)


def need_rank(layer: Layer, shape: Shape, rank: int, axes: str) -> None:
    """Check the number of axes of an input.

    Raises:
        ShapeError: The input has another number; the text says which axes are expected.
    """
    if len(shape) != rank:
        raise ShapeError(
            f'layer "{layer.label}": {type(layer).__name__} takes inputs of {rank} axes [{axes}], '
            f"but was given {len(shape)}: {show(shape)}"
        )


def at_least(layer: Layer, count: int, inputs: tuple[Any, ...]) -> None:
    """Check the number of inputs of a merging layer."""
    if len(inputs) < count:
        raise ConfigurationError(
            f'layer "{layer.label}": {type(layer).__name__} takes at least {count} inputs, not {len(inputs)}.',
            hint="call it with several tensors, or with one list of them",
        )
