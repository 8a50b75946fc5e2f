"""How large a product on a matrix unit is: what of it a thread keeps, and whether the unit takes less time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH, is_available
from pellucid.backends.cpu.split import INNER, PRODUCTS
from pellucid.backends.cpu.tile_operands import BLOCK, STEP
from pellucid.dtypes import DType, float32
from pellucid.plan.lifetime import aligned

#: Bytes of a block of results, and of a row of it; bytes of the addresses of a step's numbers of the inner axis.
BLOCK_BYTES, BLOCK_ROW, LINES = 4 * TILE, 2 * WIDTH, INNER * 8
# Steps of the inner axis that are split at once, and bytes of the kept operand's parts at most: a core's second cache
# must hold them. Bytes of blocks of results at most.
_STEPS, _KEPT, _MOST_SUMS = 32, 640 << 10, 4 << 20
# Cycles of a product of two tiles; of splitting a pair of registers, where elements lie in the tiles' rows and where
# they lie across; of ending and storing a row of a block.
_MULTIPLYING, _SPLITTING, _TURNING, _ENDING = 20, 14, 25, 13
# The share of its peak that a product by vectors reaches, and how much less time the unit must take: what is done
# meanwhile takes longer than alone.
_REACHED, _LESS = 0.75, 0.85


@dataclass(frozen=True)
class Extent:
    """How large a product is, and what of it a thread keeps.

    Attributes:
        rows: Rows of the result.
        columns: Columns of the result.
        inner: The inner size.
        dense: Along which axis elements of A lie side by side: ``"rows"`` or ``"inner"``, or neither.
        turned: Whether B lies column by column.
    """

    rows: int
    columns: int
    inner: int
    dense: str
    turned: bool

    @property
    def streams(self) -> str:
        """The operand whose blocks stream: the one that takes longer to split."""
        left, right = self._splitting
        return "left" if left > right else "right"

    @property
    def kept_blocks(self) -> int:
        """How many blocks of the other operand are kept at once."""
        kept = self.columns if self.streams == "left" else self.rows
        return min(-(-kept // BLOCK), max(1, _KEPT // (self.most_steps * STEP)))

    @property
    def most_steps(self) -> int:
        """Of how many steps tiles are kept at once."""
        return min(self._steps, _STEPS)

    @property
    def _steps(self) -> int:
        return -(-self.inner // INNER)

    @property
    def bytes(self) -> int:
        """Bytes of memory that a thread needs for itself."""
        parts = (2 + self.kept_blocks) * self.most_steps * STEP
        return aligned(parts + self.most_steps * LINES + self._sums)

    @property
    def _sums(self) -> int:
        """Bytes of blocks of results: two that take turns, or all where the inner axis has several parts.

        In halves of the inner axis it may have one part, though it has several as a whole.
        """
        streamed = self.rows if self.streams == "left" else self.columns
        several = -(-streamed // BLOCK) * self.kept_blocks if self._steps > _STEPS else 0
        return max(2, several) * BLOCK_BYTES

    @property
    def _splitting(self) -> tuple[float, float]:
        """Cycles of splitting A and B."""
        across = (self.dense == "rows", self.turned)
        sizes = (-(-size // ROWS) * ROWS * self._steps for size in (self.rows, self.columns))
        left, right = (
            size * (_TURNING if is_across else _SPLITTING) for size, is_across in zip(sizes, across, strict=True)
        )
        return left, right

    def is_worth_it(self, dtype: DType) -> bool:
        """Whether a product takes less time on a matrix unit."""
        if dtype != float32 or not self.dense or not is_available():
            return False
        if min(self.rows, self.columns) < ROWS or self._sums > _MOST_SUMS:
            return False
        tiles = math.prod(-(-size // ROWS) for size in (self.rows, self.columns)) * self._steps
        ending = _ENDING * self.rows * -(-self.columns // BLOCK)
        by_tiles = tiles * len(PRODUCTS) * _MULTIPLYING + sum(self._splitting) + ending
        by_vectors = self.rows * self.columns * self.inner / (2 * lanes_for(dtype)) / _REACHED
        return by_tiles < _LESS * by_vectors
