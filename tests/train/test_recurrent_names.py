"""Printed recurrent layers use the letters of their equations."""

import re

import pytest

from pellucid import Input, Sequential, nn


@pytest.mark.parametrize(
    ("layer", "letters"),
    [(nn.LSTM(2), "cfghioz"), (nn.GRU(2), "hnrz"), (nn.SimpleRNN(2), "h")],
    ids=lambda value: type(value).__name__,
)
def test_gates_and_states_are_named_by_letter_and_step(layer, letters):
    model = Sequential([Input((3, 2)), layer, nn.Dense(1)])
    model.compile(loss="mse")
    found = re.findall(rf"^    {layer.label}_([a-z])_(\d) = ", model.source(), re.MULTILINE)
    assert {letter for letter, _ in found} == set(letters)
    assert {step for _, step in found} == ({"0", "1", "2"} if len(letters) > 1 else {"0", "1"})


def test_other_activations_are_printed_too():
    model = Sequential([Input((3, 2)), nn.LSTM(2, activation="relu", recurrent_activation="hard_sigmoid"), nn.Dense(1)])
    model.compile(loss="mse")
    assert "lstm_z_2 = " in model.source()
