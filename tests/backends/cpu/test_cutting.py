"""What threads share of products: rows, or columns where weights had better not move."""

import pytest

from pellucid.backends.cpu import cutting
from pellucid.backends.cpu.emit import lanes_for
from pellucid.dtypes import float32, float64

WIDE = cutting.VECTORS * lanes_for(float32)


def test_rows_are_shared_where_nothing_large_is_read_again():
    assert cutting.shared(128, 500, 784, float32, weights="") == cutting.BY_ROWS
    assert cutting.shared(1000, 500, 784, float32, weights="right") == cutting.BY_ROWS  # activations are larger
    assert cutting.shared(8, lanes_for(float32), 784, float32, weights="right") == cutting.BY_ROWS


@pytest.mark.parametrize("weights", ["right", "result"])
def test_columns_of_large_weights_are_shared_in_wide_blocks_where_few_are_left(weights):
    def shared(columns):
        sizes = (16, columns, 784) if weights == "right" else (784, columns, 16)
        return cutting.shared(*sizes, float32, weights=weights)

    assert shared(4 * WIDE + 4) == shared(10 * WIDE + 20) == cutting.BY_BLOCKS
    assert shared(4 * WIDE) == cutting.BY_COLUMNS  # there is nothing left
    assert shared(2 * WIDE + 4 * lanes_for(float32)) == cutting.BY_COLUMNS  # too much is
    assert shared(3 * WIDE) == cutting.BY_ROWS  # two blocks for one thread, one for the other


def test_one_row_of_blocks_is_not_cut():
    rows = cutting.block_rows()
    assert cutting.shared(rows, 10 * WIDE + WIDE // 3, 784, float32, weights="right") == cutting.BY_COLUMNS


def test_weights_move_where_their_columns_take_much_longer_apart():
    lanes = lanes_for(float64)
    assert cutting.shared(64, lanes + 1, 4096, float64, weights="right") == cutting.BY_ROWS


def test_what_cannot_be_cut_in_blocks_is_cut_as_if_there_were_none():
    blocks = 0
    for columns in range(40, 600):
        way, other = (
            cutting.shared(32, columns, 784, float32, weights="right"),
            cutting.without_blocks(32, columns, float32),
        )
        assert other in (cutting.BY_ROWS, cutting.BY_COLUMNS)
        assert way in (other, cutting.BY_BLOCKS)
        blocks += way == cutting.BY_BLOCKS
    assert blocks > 100
