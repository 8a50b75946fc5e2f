"""Symbols and inputs of functional models."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pellucid import Model
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import Add, Conv2D, Dense, Embedding, Flatten, Input, Lambda, Layer, Multiply, Subtract
from pellucid.train import structure


def test_an_input_shows_its_shape_type_and_name() -> None:
    assert repr(Input((4,), name="price")) == "Symbol(float32[?, 4] input 'price')"
    assert repr(Input(4)) == "Symbol(float32[?, 4] input)"
    assert repr(Input((), dtype="int32")) == "Symbol(int32[?] input)"


def test_a_layers_symbol_shows_where_it_comes_from() -> None:
    assert repr(Dense(3, name="head")(Input((4,)))) == 'Symbol(float32[?, 3] from "head")'


def test_shapes_are_inferred_without_numbers() -> None:
    image = Conv2D(6, 5, strides=2)(Input((28, 28, 1)))
    assert image.shape == (None, 12, 12, 6)
    assert image.sample_shape == (12, 12, 6)
    assert Flatten()(image).shape == (None, 864)
    words = Embedding(10, 4)(Input((7,), dtype="int32"))
    assert (words.shape, words.dtype) == ((None, 7, 4), np.float32)


def test_calling_a_layer_on_a_symbol_builds_it() -> None:
    layer = Dense(3)
    layer(Input((4,)))
    assert layer.kernel.shape == (4, 3)


def test_a_float64_input_makes_float64_parameters() -> None:
    x = Input((4,), dtype="float64")
    model = Model(x, Dense(2)(Dense(3)(x)))
    assert {p.dtype for p in model.parameters} == {np.dtype("float64")}
    assert model.predict(np.ones((2, 4))).dtype == np.float64


@pytest.mark.parametrize(
    ("combine", "layer"),
    [(lambda a, b: a + b, Add), (lambda a, b: a - b, Subtract), (lambda a, b: a * b, Multiply)],
)
def test_operators_of_symbols_are_layers(combine: Any, layer: type) -> None:
    a, b = Input((3,)), Input((3,))
    model = Model([a, b], combine(a, b))
    assert [type(inner) for inner in model.layers] == [layer]
    left, right = np.full((2, 3), 5.0), np.full((2, 3), 2.0)
    np.testing.assert_array_equal(model.predict([left, right]), combine(left, right))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 0), "Input: shape must hold positive whole numbers, not (3, 0)."),
        ((None, 3), "Input: shape must hold positive whole numbers, not (None, 3)."),
        ((2.5,), "Input: shape must hold positive whole numbers, not (2.5,)."),
        (-1, "Input: shape must hold positive whole numbers, not -1."),
    ],
)
def test_impossible_inputs_are_explained(shape: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Input(shape)
    assert str(error.value) == message


def test_a_symbol_and_a_number_do_not_combine() -> None:
    with pytest.raises(ConfigurationError) as error:
        Input((3,)) * 2
    assert str(error.value) == "A symbol and 2 cannot be combined here.\nHint: wrap the computation in a Lambda layer"


def test_symbols_and_numbers_do_not_mix_in_one_call() -> None:
    with pytest.raises(ConfigurationError) as error:
        Add(name="sum")(Input((1,)), np.ones((1, 1)))
    assert str(error.value) == 'layer "sum": inputs mix symbols and numbers (array([[1.]])).'


def test_a_layer_that_loses_the_batch_axis_is_refused() -> None:
    with pytest.raises(ShapeError) as error:
        Lambda(lambda x: x.sum(), name="all")(Input((3,)))
    assert str(error.value) == (
        'layer "all": the first axis of its output must be the batch, but the shape for 2 samples is []'
    )


def test_a_wrong_symbol_names_the_layer_before_any_data_exist() -> None:
    layer = Dense(3, name="logits")
    layer(Input((4,)))
    with pytest.raises(ShapeError) as error:
        layer(Input((5,)))
    assert str(error.value).startswith(
        "matmul: inner sizes differ: 5 (x, axis 1) != 4 (w, axis 0)\n"
        '  x: float32[?, 5]\n  w: float32[4, 3]   "logits.kernel"\n  in layer "logits"\n'
    )


class Halves(Layer):
    """Two outputs."""

    def call(self, x: Any) -> Any:
        n = x.spec.shape[-1] // 2
        return x[:, :n], x[:, n:]


def test_an_output_that_nobody_keeps_is_one_of_the_call_all_the_same() -> None:
    x = Input((6,))
    second = Halves()(x)[1]
    call = second.call
    assert call is not None
    gone, kept = call.outputs
    assert (gone.shape, gone.dtype, gone.call) == ((None, 3), np.float32, call)
    assert kept is second
    assert call.outputs[0] is gone
    del gone, kept
    found = Model(x, Dense(2, kernel_initializer="ones")(second)).predict(np.arange(12.0).reshape(2, 6))
    np.testing.assert_array_equal(found, [[12, 12], [30, 30]])


def test_models_that_use_different_outputs_have_different_structures() -> None:
    def model(first: int, second: int) -> Model:
        x = Input((8,))
        halves = Halves(name="a")(Halves(name="b")(x)[first])
        return Model(x, Dense(2, name="c")(halves[second]))

    kinds = [structure.of_model(model(i, j)) for i in (0, 1) for j in (0, 1)]
    assert len(set(kinds)) == 4


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_of_symbols_is_connected_as_they_are(way: str) -> None:
    x = Input((4,))
    hidden = Dense(3)(x)
    y = Dense(2)(hidden)
    symbols = (x, hidden, y)
    copied = copy.deepcopy(symbols) if way == "deepcopy" else pickle.loads(pickle.dumps(symbols))
    assert copied[1].call.outputs == (copied[1],)
    assert copied[2].call.inputs == (copied[1],)
    assert copied[2].call.outputs == (copied[2],)
    assert copied[1] is not hidden
    numbers = np.ones((1, 4))
    np.testing.assert_array_equal(Model(copied[0], copied[2]).predict(numbers), Model(x, y).predict(numbers))


@pytest.fixture
def without_gc() -> Iterator[None]:
    """Python looks for no circles in the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_layers_live_no_longer_than_their_symbols(without_gc: None) -> None:
    layer = Dense(3)
    symbol = layer(Input((4,)))
    alive = weakref.ref(layer)
    del layer
    assert alive() is not None
    del symbol
    assert alive() is None
