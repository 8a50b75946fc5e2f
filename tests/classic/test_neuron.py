from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.classic import McCullochPitts, unit_step
from pellucid.errors import ConfigurationError, DataError, ShapeError

small = st.integers(-8, 8)


def test_the_step_is_one_from_zero_on() -> None:
    assert unit_step([-1e-9, -0.0, 0.0, 1e-9]).tolist() == [0, 1, 1, 1]


@given(st.lists(small, min_size=1, max_size=5), small, st.data())
def test_the_threshold_moved_into_the_bias_gives_the_same_outputs(
    weights: list[int], threshold: int, data: st.DataObject
) -> None:
    x = np.array(data.draw(st.lists(st.lists(small, min_size=len(weights), max_size=len(weights)), max_size=4)))
    x = x.reshape(-1, len(weights))
    unit = McCullochPitts(tuple(weights), threshold)
    reached = np.array([sum(w * v for w, v in zip(weights, row, strict=True)) >= threshold for row in x.tolist()])
    assert np.array_equal(unit(x), reached.astype(int))
    assert McCullochPitts.from_bias(weights, unit.bias) == unit
    assert np.array_equal(unit(x), unit_step(unit.net_input(x)))


def test_inputs_may_have_any_leading_axes() -> None:
    unit = McCullochPitts((1, 1), 2)
    assert unit([1, 1]) == 1
    assert unit(np.ones((2, 3, 2))).shape == (2, 3)


@pytest.mark.parametrize("weights", [(), (1, float("nan")), ((1, 2), (3, 4)), "ab", None])
def test_unsuitable_weights_are_refused(weights: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        McCullochPitts(weights, 1)  # type: ignore[arg-type]
    assert str(caught.value) == f"McCullochPitts: weights must be finite numbers, one per input, not {weights!r}."


def test_an_unsuitable_threshold_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^McCullochPitts: threshold must be a finite number, not inf\.$"):
        McCullochPitts((1,), float("inf"))


def test_inputs_of_another_number_name_both() -> None:
    with pytest.raises(ShapeError) as caught:
        McCullochPitts((1, 1), 2)(np.ones((4, 3)))
    assert str(caught.value) == (
        "McCullochPitts: the unit has 2 weights, the inputs have the shape [4, 3].\n"
        "Hint: the last axis must hold the 2 inputs of one example"
    )


def test_inputs_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="the inputs must be numbers of one shape"):
        McCullochPitts((1,), 0)([["yes"]])
