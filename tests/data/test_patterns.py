from __future__ import annotations

import numpy as np
import pytest

from pellucid.data import load
from pellucid.errors import ConfigurationError

# As printed in deck 002, "ReLU and Dropout".
DECK = """
01100 11110 11110 00010 11111
00100 00001 00001 00110 10000
00100 01110 01110 01010 11110
00100 10000 00001 11111 00001
01110 11111 11110 00010 11110
"""


def test_the_five_digits_are_the_decks() -> None:
    digits = load("five_by_five")
    rows = [line.split() for line in DECK.split("\n") if line]
    for number, image in enumerate(digits.x_train):
        assert ["".join(str(int(pixel)) for pixel in row) for row in image[:, :, 0]] == [row[number] for row in rows]
    assert digits.y_train.tolist() == [0, 1, 2, 3, 4]
    assert digits.target_names == ("1", "2", "3", "4", "5")
    assert digits.flat().input_shape == (25,)
    assert np.array_equal(digits.x_test, digits.x_train)


@pytest.mark.parametrize("bits", [2, 3, 8, 10])
def test_parity_lists_every_row_once_with_its_number_of_ones(bits: int) -> None:
    data = load("parity", bits=bits)
    assert data.x_train.shape == (2**bits, bits)
    assert len({tuple(row) for row in data.x_train.tolist()}) == 2**bits
    assert np.array_equal(data.x_train.sum(axis=1) % 2, data.y_train)
    assert np.array_equal(data.x_test, data.x_train)


def test_a_share_of_parity_can_be_held_out() -> None:
    data = load("parity", bits=6, test_fraction=0.25, seed=2)
    assert (len(data.x_train), len(data.x_test)) == (48, 16)
    assert data.y_test.sum() == 8
    rows = {tuple(row) for row in np.concatenate([data.x_train, data.x_test]).tolist()}
    assert len(rows) == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 1}, "parity: bits must be a whole number from 2 to 20, not 1."),
        ({"bits": 21}, "parity: bits must be a whole number from 2 to 20, not 21."),
        ({"test_fraction": 1}, "parity: test_fraction must be a number in [0, 1), not 1."),
    ],
)
def test_arguments_outside_their_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("parity", **options)
    assert str(caught.value) == message
