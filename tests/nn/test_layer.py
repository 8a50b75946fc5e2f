"""Layers that users write: parameters, names, sublayers, phases, and errors."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import draws

from pellucid import Model, Sequential, Tensor, ops, random_key, set_seed
from pellucid.errors import ConfigurationError, NotBuiltError, ShapeError
from pellucid.fields import positive
from pellucid.nn import (
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Input,
    Lambda,
    Layer,
    LayerNorm,
    Parameter,
    initializers,
    phase,
)
from pellucid.nn.layer import param, snake_case
from pellucid.optim import SGD

X = draws(2, 4).astype("float32")


class Scale(Layer):
    """The example of the documentation."""

    start: float = param(default=1.0, check=positive)

    def build(self, shape: tuple[int, ...]) -> None:
        self.factor = self.add_parameter("factor", (shape[-1],), initializers.Constant(self.start))

    def call(self, x: Any) -> Any:
        return x * self.factor


class Block(Layer):
    """Sublayers as attributes, by an ``__init__`` of its own."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.hidden = Dense(units, activation="relu")
        self.out = Dense(units)

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))


class Tower(Layer):
    """Sublayers in a list."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.floors = [Dense(3) for _ in range(depth)]

    def call(self, x: Any) -> Any:
        for floor in self.floors:
            x = floor(x)
        return x


class Wrapped(Layer):
    """A sublayer among the settings."""

    inner: Layer = param()

    def call(self, x: Any) -> Any:
        return self.inner(x)


class Hasty(Layer):
    """An ``__init__`` that forgets the base class."""

    def __init__(self) -> None:
        self.inner = Dense(3)

    def call(self, x: Any) -> Any:
        return self.inner(x)


class Bare(Layer):
    """A parameter that no ``add_parameter`` made."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.shift = Parameter(np.zeros(shape[-1], "float32"), "shift")

    def call(self, x: Any) -> Any:
        return x + self.shift


def names(layer: Layer) -> list[str | None]:
    return [p.name for p in layer.parameters]


def test_the_documented_layer_runs_eagerly_symbolically_and_in_training() -> None:
    layer = Scale(2.0)
    np.testing.assert_array_equal(layer(X), 2 * X)
    assert Scale(3.0)(Input((4,))).shape == (None, 4)
    model = Sequential([Scale(2.0)])
    model.compile(loss="mse", optimizer=SGD(0.5))
    model.fit(np.ones((4, 3)), np.full((4, 3), 5.0), epochs=60, verbose=0)
    np.testing.assert_allclose(model.layers[0].factor, [5, 5, 5], rtol=1e-5)


def test_settings_are_checked_shown_and_configured() -> None:
    assert repr(Scale()) == "Scale()"
    assert repr(Scale(2.0, name="s")) == "Scale(name='s', start=2.0)"
    assert Scale(2.0).config() == {"start": 2.0, "name": None, "trainable": True}
    with pytest.raises(ConfigurationError) as error:
        Scale(-1.0)
    assert str(error.value) == "Scale: start must be a finite number above 0, not -1.0."


def test_a_wrong_argument_gets_the_nearest_spelling() -> None:
    with pytest.raises(ConfigurationError) as error:
        Scale(strat=2.0)  # type: ignore[call-arg]
    assert str(error.value) == (
        "Scale has no argument 'strat'; it takes: start, name, trainable.\nHint: did you mean 'start'?"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(), "Dense: missing 1 required positional argument: 'units'."),
        (lambda: Dropout(0.1, True, 3), "Dropout: takes from 1 to 3 positional arguments but 4 were given."),
        (lambda: Dense(0), "Dense: units must be a whole number of at least 1, not 0."),
        (lambda: Dense(2.5), "Dense: units must be a whole number of at least 1, not 2.5."),
        (lambda: Dense(3, use_bias=1), "Dense: use_bias must be True or False, not 1."),
        (lambda: Dense(3, trainable="no"), "Dense: trainable must be True or False, not 'no'."),
        (lambda: Dropout(1.0), "Dropout: rate must be a number in [0, 1), not 1.0."),
        (
            lambda: Dense(3, "relo"),
            "Unknown activation 'relo'; known are: elu, gelu, hard_sigmoid, leaky_relu, linear, relu, sigmoid, "
            "softmax, softplus, softsign, step, swish, tanh.\nHint: did you mean 'relu'?",
        ),
        (
            lambda: Dense(3, activatoin="relu"),
            "Dense has no argument 'activatoin'; it takes: units, activation, use_bias, kernel_initializer, "
            "bias_initializer, kernel_regularizer, bias_regularizer, name, trainable.\n"
            "Hint: did you mean 'activation'?",
        ),
    ],
)
def test_wrong_settings_are_explained(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Block(3), ["block.hidden.kernel", "block.hidden.bias", "block.out.kernel", "block.out.bias"]),
        (Tower(2), [f"tower.floors_{i}.{p}" for i in range(2) for p in ("kernel", "bias")]),
        (Wrapped(Dense(3)), ["wrapped.inner.kernel", "wrapped.inner.bias"]),
        (Wrapped(Block(3)), [f"wrapped.inner.{d}.{p}" for d in ("hidden", "out") for p in ("kernel", "bias")]),
        (Wrapped(Dense(3, name="mine")), ["wrapped.mine.kernel", "wrapped.mine.bias"]),
        (Hasty(), ["hasty.inner.kernel", "hasty.inner.bias"]),
        (Bare(), ["bare.shift"]),
        (Scale(), ["scale.factor"]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_parameters_are_found_and_named_below_the_layer(layer: Layer, expected: list[str]) -> None:
    model = Sequential([Input((3,)), layer])
    assert list(model.get_weights()) == expected
    assert names(layer) == expected
    assert layer.trainable_parameters == layer.parameters
    assert model.count_parameters() == layer.count_parameters() == sum(p.size for p in layer.parameters)


def test_every_parameter_of_a_user_defined_layer_is_trained() -> None:
    set_seed(0)
    model = Sequential([Input((4,)), Tower(2), Block(3), Wrapped(Dense(2))])
    before = model.get_weights()
    model.compile(loss="mse", optimizer=SGD(0.1))
    model.fit(draws(20, 4), draws(20, 2, seed=1), epochs=3, verbose=0)
    unmoved = [name for name, value in model.get_weights().items() if np.array_equal(value, before[name])]
    assert unmoved == []


def test_a_sublayer_used_under_two_names_counts_once() -> None:
    class Tied(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.a = Dense(4)
            self.b = self.a

        def call(self, x: Any) -> Any:
            return self.b(self.a(x))

    layer = Tied()
    layer(X)
    assert layer.count_parameters() == 4 * 4 + 4
    assert [type(inner) for inner in layer.sublayers()] == [Tied, Dense, Dense]


def test_a_replaced_sublayer_is_forgotten() -> None:
    block = Block(3)
    block.out = Dense(5)
    block(X)
    assert block.count_parameters() == (4 * 3 + 3) + (3 * 5 + 5)


def test_layers_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError) as error:
        Sequential([Input((3,)), Dense(2, name="same"), Dense(2, name="same")])
    assert str(error.value) == "Two layers are called 'same'.\nHint: give each layer a name of its own"


def test_inner_layers_of_one_name_are_refused_for_their_weights_would_be_lost() -> None:
    block = Block(3)
    block.hidden = Dense(3, name="same")
    block.out = Dense(3, name="same")
    with pytest.raises(ConfigurationError) as error:
        Sequential([Input((3,)), block])
    assert str(error.value) == (
        "Two parameters are called 'block.same.kernel'.\nHint: give the inner layers names of their own"
    )


def test_unnamed_layers_are_numbered_around_given_names() -> None:
    layers = [Dense(2), Dense(2, name="dense_1"), Dense(2), Conv2D(1, 1, name="c")]
    model = Sequential([Input((3,)), *layers[:3]])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dense_2"]


@pytest.mark.parametrize(
    ("cls", "expected"),
    [("MaxPool2D", "max_pool2d"), ("LSTM", "lstm"), ("MyLSTMCell", "my_lstm_cell"), ("A", "a"), ("Conv1D", "conv1d")],
)
def test_class_names_become_layer_names(cls: str, expected: str) -> None:
    assert snake_case(cls) == expected


def test_an_untrainable_layer_keeps_its_parameters_and_those_inside_it() -> None:
    frozen = Block(3)
    frozen.trainable = False
    head = Dense(2)
    model = Sequential([Input((4,)), frozen, head])
    assert model.trainable_parameters == head.parameters
    before = model.get_weights()
    model.compile(loss="mse", optimizer=SGD(0.1))
    model.fit(draws(20, 4), draws(20, 2, seed=1), epochs=3, verbose=0)
    moved = [name for name, value in model.get_weights().items() if not np.array_equal(value, before[name])]
    assert moved == ["dense.kernel", "dense.bias"]


def test_thawing_a_layer_after_a_fit_takes_effect() -> None:
    first = Dense(3, trainable=False)
    model = Sequential([Input((4,)), first, Dense(2)])
    model.compile(loss="mse", optimizer=SGD(0.1))
    x, y = draws(20, 4), draws(20, 2, seed=1)
    start = first.kernel.numpy().copy()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(first.kernel, start)
    first.trainable = True
    model.fit(x, y, verbose=0)
    assert not np.array_equal(first.kernel, start)


def test_statistics_are_parameters_but_not_trainable() -> None:
    layer = BatchNorm()
    layer(X)
    assert [p.name for p in layer.parameters if not p.trainable] == [
        "batch_norm.moving_mean",
        "batch_norm.moving_variance",
    ]
    assert [p.requires_grad for p in layer.parameters] == [True, True, False, False]


def test_a_layer_is_built_once_by_its_first_input() -> None:
    layer = Dense(3)
    assert not layer.built
    assert layer.parameters == []
    layer(X)
    kernel = layer.kernel
    layer(X[:1])
    assert layer.built
    assert layer.kernel is kernel
    assert kernel.shape == (4, 3)


def test_a_copy_of_a_layer_has_parameters_of_its_own() -> None:
    layer = Block(3)
    layer(X)
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(twin(X), layer(X))
    assert names(twin) == names(layer)
    twin.out.bias.assign(np.ones(3))
    assert layer.out.bias.tolist() == [0, 0, 0]


def test_training_is_a_matter_of_the_phase() -> None:
    class Tells(Layer):
        def call(self, x: Any) -> Any:
            return x * (1.0 if self.training else 0.0)

    assert not Tells()(X).numpy().any()
    with phase(training=True):
        np.testing.assert_array_equal(Tells()(X), X)
        with phase(training=False):
            assert not Tells()(X).numpy().any()
        np.testing.assert_array_equal(Tells()(X), X)


def test_random_keys_differ_from_call_to_call_and_repeat_with_the_key() -> None:
    layer = Layer()

    def keys() -> list[list[int]]:
        with phase(training=True, key=random_key(3)):
            return [np.asarray(layer.random_key()).tolist() for _ in range(3)]

    first = keys()
    assert first == keys()
    assert len({tuple(k) for k in first}) == 3


def test_a_layer_without_call_says_so() -> None:
    class Empty(Layer):
        pass

    with pytest.raises(NotBuiltError) as error:
        Empty()(X)
    assert str(error.value) == "Empty defines no call(self, x)."


def built_dense() -> Dense:
    layer = Dense(3, name="logits")
    layer(X)
    return layer


def test_an_input_of_another_width_names_layer_parameter_and_both_operands() -> None:
    layer = built_dense()
    with pytest.raises(ShapeError) as error:
        layer(np.ones((2, 5), "float32"))
    lines = str(error.value).split("\n")
    assert lines[:4] == [
        "matmul: inner sizes differ: 5 (x, axis 1) != 4 (w, axis 0)",
        "  x: float32[2, 5]",
        '  w: float32[4, 3]   "logits.kernel"',
        '  in layer "logits"',
    ]
    assert lines[4].startswith("  at test_layer.py:")
    assert lines[4].endswith(" in test_an_input_of_another_width_names_layer_parameter_and_both_operands")


def test_an_error_deep_inside_names_the_path_of_layers() -> None:
    block = Block(3)
    block.name = "block"
    block(X)
    with pytest.raises(ShapeError) as error:
        block(np.ones((2, 5), "float32"))
    assert '\n  in layer "block/dense"\n' in str(error.value)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Dense(3, name="d"),
            (4,),
            'layer "d": Dense takes inputs [batch, ..., features], not [4]\n'
            "Hint: a single sample still needs a batch axis: x[None]",
        ),
        (BatchNorm(name="b"), (4,), 'layer "b": BatchNorm takes inputs [batch, ..., channel], not [4]'),
        (
            Conv2D(3, 3, name="c"),
            (2, 8, 8),
            'layer "c": Conv2D takes inputs of 4 axes [batch, height, width, channel], but was given 3: [2, 8, 8]',
        ),
        (
            Conv2D(3, 3, groups=2, name="c"),
            (2, 8, 8, 4),
            'layer "c": 4 channels and 3 filters do not both divide into 2 groups',
        ),
    ],
)
def test_a_wrong_input_is_explained_with_the_layers_name(layer: Layer, shape: tuple, message: str) -> None:
    with pytest.raises(ShapeError) as error:
        layer(np.zeros(shape, "float32"))
    assert str(error.value) == message
    assert not layer.built


def test_an_error_of_a_nested_build_names_the_innermost_layer() -> None:
    with pytest.raises(ShapeError) as error:
        Wrapped(Conv2D(3, 3, name="inner"))(X)
    assert str(error.value) == (
        'layer "inner": Conv2D takes inputs of 4 axes [batch, height, width, channel], but was given 2: [2, 4]'
    )


def test_layer_norm_of_another_width_names_its_parameter() -> None:
    layer = LayerNorm(name="ln")
    layer(X)
    with pytest.raises(ShapeError) as error:
        layer(np.ones((2, 5), "float32"))
    assert str(error.value).startswith(
        "mul: shapes [2, 5] and [4] do not broadcast: 5 != 4 (axis -1 counted from the right)\n"
        '  x: float32[2, 5]\n  y: float32[4]   "ln.gamma"\n  in layer "ln"\n'
    )


def test_arrays_lists_tensors_and_traces_give_the_same_output() -> None:
    layer = built_dense()
    expected = layer(X).numpy()
    np.testing.assert_array_equal(layer(Tensor(X)), expected)
    np.testing.assert_array_equal(layer(X.tolist()), expected)
    x = Input((4,))
    np.testing.assert_allclose(Model(x, layer(x)).predict(X), expected, rtol=1e-6)


def test_a_layer_with_two_inputs_is_built_from_both_shapes() -> None:
    class Bilinear(Layer):
        def build(self, left: tuple[int, ...], right: tuple[int, ...]) -> None:
            self.w = self.add_parameter("w", (left[-1], right[-1]))

        def call(self, left: Any, right: Any) -> Any:
            return ops.sum(ops.matmul(left, self.w) * right, -1, keepdims=True)

    layer = Bilinear()
    a, b = draws(5, 3), draws(5, 2, seed=1)
    layer.ensure_built(a.shape, b.shape)
    expected = np.einsum("ni,ij,nj->n", a, layer.w.numpy(), b)[:, None]
    np.testing.assert_allclose(layer(a, b), expected, rtol=1e-12)
    left, right = Input((3,)), Input((2,))
    assert Model([left, right], layer(left, right)).predict([a, b]).shape == (5, 1)


def test_a_layer_may_return_several_outputs() -> None:
    class Halves(Layer):
        def call(self, x: Any) -> Any:
            return x[:, :2], x[:, 2:]

    x = Input((4,))
    first, second = Halves()(x)
    assert (first.shape, second.shape) == ((None, 2), (None, 2))
    swapped = Model(x, Concatenate()(second, first)).predict(X)
    np.testing.assert_array_equal(swapped, X[:, [2, 3, 0, 1]])


def test_a_lambda_may_close_over_nothing_but_operations() -> None:
    model = Sequential([Input((4,)), Lambda(lambda x: ops.tanh(x) * 2)])
    np.testing.assert_allclose(model.predict(X), 2 * np.tanh(X), rtol=1e-6)
