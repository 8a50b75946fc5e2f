"""Symbols and inputs of functional models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid import Model
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import Add, Conv2D, Dense, Embedding, Flatten, Input, Lambda, Multiply, Subtract


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
