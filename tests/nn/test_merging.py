"""Layers that merge several inputs."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import draws, pull

from pellucid import Model
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import Add, Average, Concatenate, Dense, Input, Layer, Maximum, Multiply, Subtract

MERGES = {
    Add: np.add,
    Subtract: np.subtract,
    Multiply: np.multiply,
    Maximum: np.maximum,
}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", MERGES)
def test_merges_go_element_by_element_from_left_to_right(kind: Any, count: int) -> None:
    parts = [draws(4, 3, seed=seed) for seed in range(count)]
    np.testing.assert_allclose(kind()(*parts), reduce(MERGES[kind], parts), rtol=1e-13)


def test_average_divides_by_the_number_of_inputs() -> None:
    parts = [draws(4, 3, seed=seed) for seed in range(3)]
    np.testing.assert_allclose(Average()(*parts), np.mean(parts, axis=0), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_concatenate_joins_along_its_axis(axis: int) -> None:
    shapes = [(4, 3, 2), (4, 3, 5)] if axis in (-1, 2) else [(4, 3, 2), (4, 1, 2)]
    parts = [draws(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    np.testing.assert_array_equal(Concatenate(axis)(*parts), np.concatenate(parts, axis))


def test_gradients_flow_to_every_input() -> None:
    a, b, c = (draws(4, 3, seed=seed) for seed in range(3))
    g = pull(Add(), a, b, c)
    for part in g.inputs:
        np.testing.assert_array_equal(part, g.cotangent)
    g = pull(Subtract(), a, b, c)
    for part, sign in zip(g.inputs, (1, -1, -1), strict=True):
        np.testing.assert_array_equal(part, sign * g.cotangent)
    g = pull(Multiply(), a, b, c)
    np.testing.assert_allclose(g.inputs[1], g.cotangent * a * c, rtol=1e-13)
    g = pull(Maximum(), a, b)
    np.testing.assert_array_equal(g.inputs[0], np.where(a > b, g.cotangent, 0))
    g = pull(Average(), a, b)
    np.testing.assert_allclose(g.inputs[1], g.cotangent / 2)
    g = pull(Concatenate(), a, b)
    np.testing.assert_array_equal(np.concatenate(g.inputs, -1), g.cotangent)


@pytest.mark.parametrize("kind", [*MERGES, Average, Concatenate])
def test_inputs_may_come_as_one_list_in_both_styles(kind: Any) -> None:
    a, b = draws(4, 3), draws(4, 3, seed=1)
    np.testing.assert_array_equal(kind()([a, b]), kind()(a, b))
    x, y = Input((3,), dtype="float64"), Input((3,), dtype="float64")
    model = Model([x, y], kind()([x, y]))
    np.testing.assert_allclose(model.predict([a, b]), kind()(a, b), rtol=1e-13, atol=1e-15)


def test_an_input_merged_with_itself_gets_both_gradients() -> None:
    x = Input((3,), dtype="float64")
    layer = Dense(3, use_bias=False)
    y = layer(x)
    model = Model(x, Multiply()(y, y))
    a = draws(2, 3)
    np.testing.assert_allclose(model.predict(a), (a @ layer.kernel.numpy()) ** 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Add(name="sum")(np.ones((2, 3))),
            ConfigurationError,
            'layer "sum": Add takes at least 2 inputs, not 1.\n'
            "Hint: call it with several tensors, or with one list of them",
        ),
        (
            lambda: Concatenate(name="c")([np.ones((2, 3))]),
            ConfigurationError,
            'layer "c": Concatenate takes at least 2 inputs, not 1.\n'
            "Hint: call it with several tensors, or with one list of them",
        ),
        (
            lambda: Multiply(name="m")(np.ones((2, 3)), np.ones((2, 1))),
            ShapeError,
            'layer "m": inputs have different shapes: [2, 3] != [2, 1]',
        ),
    ],
)
def test_wrong_inputs_are_explained(call: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_parts_that_do_not_join_name_the_layer_and_every_operand() -> None:
    layer: Layer = Concatenate(name="join")
    with pytest.raises(ShapeError) as error:
        layer(np.ones((2, 3)), np.ones((3, 3)))
    assert str(error.value).split("\n")[:4] == [
        "concatenate: part 1 [3, 3] does not join [2, 3] along axis 1",
        "  operand 0: float64[2, 3]",
        "  operand 1: float64[3, 3]",
        '  in layer "join"',
    ]
