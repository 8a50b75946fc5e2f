"""Fetching the next batch while a product is computed.

The rows of a shuffled batch lie anywhere in memory, so that no processor foresees them: gathered when they are needed
they cost as much as the arithmetic of a small network. A product has arithmetic enough to wait behind: in front of each
of its register blocks it asks for a few cache lines of the next step's rows (:class:`Ahead`).

Where the product has few columns, these lines come as fast as they can, and a core cannot remember so many. There a
gradient asks for the features that it reads of this step's batch in the next one as well, sample by sample
(:class:`NextBatch`): a line here and there, of many rows at once, which the processor then reads on by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from pellucid.alignment import ALIGNMENT
from pellucid.backends.cpu.emit import I64, Emitter, Value
from pellucid.backends.cpu.moves import STEPS_LEFT, BatchRows, cursor_of
from pellucid.dtypes import int64
from pellucid.plan.barriers import ROW_BLOCK
from pellucid.plan.plan import Entry

#: How a product fetches: some lines of a row in front of each block, or the features that its blocks read.
ROWS, FEATURES = "rows", "features"
#: What a thread fetches of the rows: its share of them; all of them; of all rows the features that its share of the
#: product's rows belongs to, where the product is the gradient with respect to weights.
OWN_ROWS, EVERYTHING, OWN_FEATURES = range(3)
# Elements of a product's result for each byte of a row, from which on there is time to fetch all rows.
_PER_BYTE = 64


@dataclass(frozen=True)
class Rows:
    """A data set whose rows a loop gathers.

    Attributes:
        cursors: Address of the loop's cursors.
        count: Rows of a batch.
        order: Address of the order of the rows.
        data: Address of the data set.
        width: Bytes of a row.
    """

    cursors: Entry
    count: int
    order: Entry
    data: Entry
    width: int

    def wanted(self, elements: int, *, shared: bool) -> int:
        """What each thread shall fetch.

        Args:
            elements: How large the product is that fetches.
            shared: Whether every thread will read all rows. Then it fetches all of them where there is time enough,
                since what the other one's cache holds takes as long as memory.
        """
        return EVERYTHING if shared and elements >= _PER_BYTE * self.width else OWN_ROWS

    def record(self, how: int) -> tuple[Entry, ...]:
        """What :class:`Ahead` reads; ``how`` says what each thread fetches."""
        return (self.cursors, self.count, self.order, self.data, self.width, how)


class Ahead:
    """The part of a kernel that fetches what this thread will read.

    Record: cursors, rows of a batch, order, data set, bytes of a row, which part of them.
    """

    def __init__(self, e: Emitter) -> None:
        self.e = e
        cursor = cursor_of(e)
        self.rows, order, self.data, self.width, how = (e.field() for _ in range(5))
        self.some_rows, self.some_features = (e.b.icmp_signed("==", how, I64(n)) for n in (OWN_ROWS, OWN_FEATURES))
        step, left = (e.load_scalar(e.b.add(cursor, I64(8 * n)), int64) for n in (0, STEPS_LEFT))
        self.order = e.advance(order, e.b.mul(e.b.add(step, I64(1)), self.rows), I64(8))
        self.more = e.b.icmp_signed(">", left, I64(0))
        self.offset, self.row = (e.b.alloca(ir.IntType(64)) for _ in range(2))

    def begin(self, blocks: Value, features: Sequence[Value]) -> None:
        """Divide the lines that this thread wants among the blocks that it will compute.

        Args:
            blocks: How many these are.
            features: Where its features begin in a row, and where they end, in bytes.
        """
        e = self.e
        own = e.my_share(self.rows, ROW_BLOCK)
        low, high = (e.b.select(self.some_rows, a, b) for a, b in zip(own, (I64(0), self.rows), strict=True))
        first = e.b.mul(e.b.sdiv(features[0], I64(ALIGNMENT)), I64(ALIGNMENT))
        self.left = e.b.select(self.some_features, first, I64(0))
        right = e.b.select(self.some_features, features[1], self.width)
        rows, lines = self._at_least_one(e.minus(high, low)), e.ceiling(e.minus(right, self.left), ALIGNMENT)
        blocks = self._at_least_one(blocks)
        blocks_of_row = self._at_least_one(e.b.sdiv(blocks, rows))
        self.lines = e.ceiling(lines, blocks_of_row)
        self.rows_of_block = e.b.select(self.more, e.ceiling(rows, blocks), I64(0))
        self.last = e.b.add(self.left, e.b.mul(e.minus(lines, I64(1)), I64(ALIGNMENT)))
        self.high = high
        e.b.store(self.left, self.offset)
        e.b.store(low, self.row)

    def _at_least_one(self, number: Value) -> Value:
        return self.e.b.select(self.e.b.icmp_signed(">", number, I64(1)), number, I64(1))

    def some(self) -> None:
        """Ask for the lines of one block: a part of a row, or where there are more rows than blocks, some whole rows.

        Where a row ends early its last line is asked for again, which costs less than a branch that nobody foresees.
        """
        e, b = self.e, self.e.b
        with e.loop(I64(0), self.rows_of_block):
            row, offset = b.load(self.row, typ=I64), b.load(self.offset, typ=I64)
            with b.if_then(b.icmp_signed("<", row, self.high)):
                number = e.load_scalar(e.advance(self.order, row, I64(8)), int64)
                start = e.advance(self.data, number, self.width)
                with e.loop(I64(0), self.lines) as line:
                    e.prefetch(b.add(start, e.smaller(e.advance(offset, line, I64(ALIGNMENT)), self.last)))
                following = e.advance(offset, self.lines, I64(ALIGNMENT))
                ended = b.icmp_signed(">", following, self.last)
                b.store(b.select(ended, self.left, following), self.offset)
                b.store(b.add(row, b.zext(ended, row.type)), self.row)


class NextBatch:
    """The part of a gradient's kernel that asks for the features of the next batch.

    Args:
        e: The kernel in the making.
        batch: The rows of this batch.
    """

    def __init__(self, e: Emitter, batch: BatchRows) -> None:
        self.e, self.batch, self.order = e, batch, batch.next_order()

    def of_block(
        self, features: Value, stride: Value, width: int, turn: Value, together: int
    ) -> Callable[[Value], None]:
        """What asks for a block's features, of some samples that follow a given one.

        Blocks that have a line together take turns with its samples.

        Args:
            features: The address of the block's features in the first row of the data set.
            stride: Bytes from row to row.
            width: Bytes of the features.
            turn: The number of the block.
            together: Of how many samples it asks for some at once.
        """
        e, batch = self.e, self.batch
        at_once = min(together, max(1, together * width // ALIGNMENT))
        offset = e.b.srem(turn, I64(together // at_once))
        last = e.minus(batch.rows, I64(1))

        def ask(first: Value) -> None:
            for n in range(at_once):
                sample = e.smaller(e.b.add(e.b.add(first, I64(n)), offset), last)
                row = e.advance(features, batch.number(sample, self.order), stride)
                for at in range(0, width, ALIGNMENT):
                    e.prefetch(e.b.add(row, I64(at)))

        return ask
