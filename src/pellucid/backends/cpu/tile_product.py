"""Matrix products of float32 on a matrix unit: both operands in three parts, six products of parts.

One operand's blocks are kept, those of the other one stream past them (:mod:`~pellucid.backends.cpu.tile_stream`).
Both are split into parts one step ahead (:mod:`~pellucid.backends.cpu.tile_operands`): a processor does other things
while its matrix unit multiplies, if they stand between the products. A block of 32 x 32 results goes through memory of
the thread's own, and its ending is computed while the unit is at the next one.

Parts of what is not finite are no numbers, so neither is a result that one of them took part in. Such results are
summed once more, number by number. So each of them is what it is however many rows, columns or threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llvmlite import ir

from pellucid.backends.cpu.block import take_back
from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.emit import I64, Value
from pellucid.backends.cpu.matmul import Product
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH, MatrixUnit
from pellucid.backends.cpu.split import INNER, PRODUCTS
from pellucid.backends.cpu.tile_extent import BLOCK_BYTES, BLOCK_ROW, LINES
from pellucid.backends.cpu.tile_operands import (
    ALL_PARTS,
    BLOCK,
    STEP,
    ColumnsAcross,
    ColumnsSideBySide,
    RowsAcross,
    RowsSideBySide,
)
from pellucid.backends.cpu.tile_stream import Chunk, Following, Stream, pauses
from pellucid.dtypes import float32

# The numbers of the tiles of A and of B; those of the results come before.
_LEFT, _RIGHT = (4, 5), (6, 7)
# Products of tiles before which a tile is read that follows them.
_AHEAD = 3


@dataclass(frozen=True)
class Form:
    """What a kernel is made for; what is said nothing of here is as in :func:`~.matmul.matmul_kernel`.

    Attributes:
        ending: What becomes of the product.
        motions: How each leaf of the ending moves along a row.
        fetching: How it fetches the next step's rows meanwhile.
        sharing: What threads share.
        batch: Which axis of A the rows are of a batch that is read where it lies.
        dense: Along which axis of A elements lie side by side.
        turned: Whether B lies column by column.
        streams: Which operand's blocks stream: the ``"left"`` or the ``"right"`` one.
    """

    ending: Ending | None
    motions: tuple[str, ...]
    fetching: str
    sharing: str
    batch: str
    dense: str
    turned: bool
    streams: str


class TileProduct(Product):
    """One kernel in the making: its record is :class:`~pellucid.backends.cpu.matmul.Product`'s, without batch loops.

    Instead of the memory of panels, strips and narrow columns it has that of its own, how many blocks it keeps there at
    once, and of how many steps at most.
    """

    def __init__(self, form: Form) -> None:
        self.turned, self.streams = form.turned, form.streams
        batch, dense = form.batch, form.dense
        super().__init__(float32, 0, form.ending, form.motions, form.fetching, form.sharing, batch, dense)
        self.unit = MatrixUnit(self.e)
        #: Of the block whose ending is still to come: its first row and column, how many of both, and where it lies.
        self.pending = [self.e.b.alloca(ir.IntType(64)) for _ in range(5)]
        self.turn = self.e.b.alloca(ir.IntType(64))
        #: The address of two registers of zeros.
        nothing = ir.ArrayType(ir.FloatType(), BLOCK)
        place = self.e.b.alloca(nothing)
        self.e.b.store(ir.Constant(nothing, None), place)
        self.zeros = self.e.b.ptrtoint(place, I64)

    def read_own_memory(self, packing: str, across: bool, strips: bool) -> None:
        """Memory for the tiles of two blocks that stream, for those that are kept, and for blocks of results."""
        super().read_own_memory(packing, across, strips)
        e = self.e
        self.narrow, self.few_memory = "", I64(0)
        self.streamed, self.kept_blocks, self.most_steps = e.own_memory(), e.field(), e.field()
        self.block_bytes = e.b.mul(self.most_steps, I64(STEP))
        self.kept_tiles = e.advance(self.streamed, self.block_bytes, I64(2))
        self.table = e.advance(self.kept_tiles, self.block_bytes, self.kept_blocks)
        self.sums = e.advance(self.table, self.most_steps, I64(LINES))

    def write(self) -> int:
        """The whole kernel; its address."""
        self.e.b.store(I64(0), self.turn)
        self.unit.configure()
        self.body()
        self.unit.release()
        return self.e.finish()

    def product(self, a: Value, b: Value, c: Value, rows: tuple[Value, Value], columns: tuple[Value, Value]) -> None:
        """Some columns of some rows."""
        e, self.operands, self.stop = self.e, (a, b, c), (rows[1], columns[1])
        for place in self.pending:
            e.b.store(I64(0), place)
        steps = e.ceiling(self.k, INNER)
        if self.ahead is not None:
            self._begin_fetching(rows, columns, steps)
        if self.dense == "rows" and not self.by_columns:
            take_back(self, rows)
        left = (RowsSideBySide if self.dense == "inner" else RowsAcross)(self, a, self.table), rows
        right = (ColumnsSideBySide if self.turned else ColumnsAcross)(self, b, self.table), columns
        (streamed, outer), (kept, inner) = (left, right) if self.streams == "left" else (right, left)
        with e.loop(*inner, e.b.mul(self.kept_blocks, I64(BLOCK))) as first:
            own = first, e.smaller(e.advance(first, self.kept_blocks, I64(BLOCK)), inner[1])
            for chunk in self._chunks(steps):
                self._stream(Stream(self, chunk, (streamed, kept), (outer, own)))
        self._end_pending(I64(0), I64(BLOCK))

    def _chunks(self, steps: Value) -> Iterator[Chunk]:
        """A loop over parts of the inner axis of about as many steps."""
        e = self.e
        count = e.ceiling(steps, self.most_steps)
        several = e.ceiling(steps, count)
        with e.loop(I64(0), steps, several) as first:
            own = e.smaller(several, e.minus(steps, first))
            begins, ends = e.b.icmp_signed("==", first, I64(0)), e.b.icmp_signed("==", e.b.add(first, own), steps)
            yield Chunk(first, own, begins, ends, e.b.and_(begins, ends))

    def _begin_fetching(self, rows: tuple[Value, Value], columns: tuple[Value, Value], steps: Value) -> None:
        """Divide what is fetched among the steps of all blocks, and the places in them where other things are done.

        At the edges there are fewer of these: some lines are not asked for.
        """
        e = self.e
        assert self.ahead is not None
        blocks = [e.ceiling(e.minus(high, low), BLOCK) for low, high in (rows, columns)]
        window = [e.b.mul(row, I64(self.dtype.itemsize)) for row in rows]
        places = e.b.mul(e.b.mul(*blocks), e.b.mul(steps, I64(pauses(2, 2))))
        self.ahead.begin(places, window)

    def _stream(self, stream: Stream) -> None:
        """The products of all blocks of the operand that streams with those that are kept."""
        e, (outer, inner) = self.e, stream.ranges
        with e.b.if_then(e.b.icmp_signed("<", *outer)):
            stream.split_first()
        for size, i in _pairs(self, *outer):
            for width, j in _pairs(self, *inner):
                self._block(stream, (i, j), (size, width))

    # Elements.

    def left_row(self, a: Value, row: Value) -> Value:
        """Where a row of A begins."""
        own = self.batch_rows if self.batch == "rows" else None
        stride = I64(self.dtype.itemsize) if self.dense == "rows" else self.a_row
        return self.e.advance(a, own.number(row) if own else row, stride)

    def left_inner(self, a: Value, inner: Value) -> Value:
        """Where the elements of a number of the inner axis begin in A."""
        own = self.batch_rows if self.batch == "inner" else None
        number = own.number(self.e.b.add(self.first_inner, inner)) if own else inner
        return self.e.advance(a, number, I64(self.dtype.itemsize) if self.dense == "inner" else self.a_inner)

    def right_row(self, b: Value, k: Value, column: Value, mask: Value) -> Value:
        """A register of columns of a row of B."""
        e, item = self.e, I64(self.dtype.itemsize)
        if self.turned:
            return e.gather(e.advance(e.advance(b, column, self.b_row), k, item), self.b_row, self.dtype, mask)
        return e.load(e.advance(e.advance(b, k, self.b_row), column, item), self.dtype, mask)

    # Blocks.

    def _block(self, stream: Stream, corner: tuple[Value, Value], sizes: tuple[int, int]) -> None:
        """What a part of the inner axis adds to a block; meanwhile what comes next is split, the last one ended."""
        e, unit, chunk, by_rows = self.e, self.unit, stream.chunk, self.streams == "left"
        height, width = sizes if by_rows else sizes[::-1]
        numbers = stream.numbers(corner)
        turn = e.b.xor(e.b.load(self.turn, typ=I64), I64(1))
        e.b.store(turn, self.turn)
        number = e.advance(numbers[1], numbers[0], stream.count)
        sums = e.advance(self.sums, e.b.select(chunk.alone, turn, number), I64(BLOCK_BYTES))
        totals = [(2 * x + y, x * ROWS * BLOCK_ROW + y * WIDTH) for x in range(height) for y in range(width)]
        self._begin_totals(totals, chunk, sums)
        count = pauses(height, width)
        rows = e.ceiling(I64(BLOCK), e.b.mul(chunk.steps, I64(count)))
        with e.loop(I64(0), chunk.steps) as step:
            following = stream.following(corner, numbers, step, count)
            start = e.b.mul(e.b.mul(step, I64(count)), rows)
            ends = e.b.icmp_signed("<", start, e.b.load(self.pending[2], typ=I64))

            def pause(
                number: int, start: Value = start, following: list[Following] = following, ends: Value = ends
            ) -> None:
                if self.ahead is not None:
                    self.ahead.some()
                for operand in following:
                    operand.split(number)
                with e.b.if_then(ends):
                    first = e.advance(start, I64(number), rows)
                    self._end_pending(first, e.b.add(first, rows))

            parts = stream.tiles(numbers, step)
            self._multiply(parts if by_rows else parts[::-1], height, width, pause)
        for number, offset in totals:
            unit.store(number, e.b.add(sums, I64(offset)), BLOCK_ROW)
        place = corner if by_rows else corner[::-1]
        counts = [e.smaller(e.minus(stop, at), I64(BLOCK)) for stop, at in zip(self.stop, place, strict=True)]
        counts[0] = e.b.select(chunk.ends, counts[0], I64(0))
        for value, memory in zip((*place, *counts, sums), self.pending, strict=True):
            e.b.store(value, memory)

    def _begin_totals(self, totals: list[tuple[int, int]], chunk: Chunk, sums: Value) -> None:
        """The tiles of a block's results, given by their number and offset: 0, or what earlier parts have added."""
        e, unit = self.e, self.unit
        with e.b.if_else(chunk.begins) as (begins, goes_on):
            with begins:
                for number, _ in totals:
                    unit.zero(number)
            with goes_on:
                for number, offset in totals:
                    unit.load(number, e.b.add(sums, I64(offset)), BLOCK_ROW)

    def _multiply(self, parts: tuple[Value, Value], height: int, width: int, pause: Callable[[int], None]) -> None:
        """Add the products of a step's parts; other things are done at a few places between them."""
        done, paused = 0, 0
        for kind, *numbers in _schedule(height, width):
            if kind == "load":
                tile, part, which = numbers
                start = parts[0] if tile in _LEFT else parts[1]
                self.unit.load(tile, self.e.b.add(start, I64(which * ALL_PARTS + part * TILE)))
                continue
            self.unit.multiply_add(*numbers)
            done += 1
            while done * pauses(height, width) >= (paused + 1) * len(PRODUCTS) * height * width:
                pause(paused)
                paused += 1

    def _end_pending(self, first: Value, stop: Value) -> None:
        """The ending of some rows of the block before, and where it goes."""
        e, c = self.e, self.operands[2]
        i, j, rows, columns, sums = (e.b.load(place, typ=I64) for place in self.pending)
        masks = [e.mask(e.minus(columns, I64(v * ROWS))) for v in range(2)]
        with e.loop(first, e.smaller(stop, rows)) as r:
            row, here = e.b.add(i, r), e.advance(sums, r, I64(BLOCK_ROW))
            self._mend(here, row, j, masks)
            values = [e.load(e.beside(here, v, self.dtype), self.dtype) for v in range(2)]
            ended = [
                self.end(value, row, j, v, mask) for v, (value, mask) in enumerate(zip(values, masks, strict=True))
            ]
            self.store(c, row, j, ended, masks)

    def _mend(self, here: Value, row: Value, j: Value, masks: list[Value]) -> None:
        """Sum the results of a row once more, number by number, that are not finite."""
        e, zero, (a, b, _) = self.e, self.e.constant(0, self.dtype), self.operands
        places = [e.beside(here, v, self.dtype) for v in range(len(masks))]
        found = [
            e.b.and_(self.unit.not_finite(e.load(place, self.dtype)), mask)
            for place, mask in zip(places, masks, strict=True)
        ]
        kind = ir.IntType(e.lanes)
        wrong = e.b.bitcast(e.b.or_(found[0], found[1]), kind)
        with e.b.if_then(e.b.icmp_unsigned("!=", wrong, kind(0)), likely=False):
            start = self.left_row(a, row)
            for v, (place, mask) in enumerate(zip(places, masks, strict=True)):
                column = e.b.add(j, I64(v * ROWS))

                def step(k: Value, sums: list[Value], column: Value = column, mask: Value = mask) -> list[Value]:
                    left = e.splat(e.load_scalar(self.left_inner(start, k), self.dtype))
                    return [e.multiply_add(left, self.right_row(b, k, column, mask), sums[0])]

                (anew,) = e.reduce_loop(I64(0), self.k, 1, [zero], step)
                e.store(place, e.b.select(found[v], anew, e.load(place, self.dtype)), self.dtype)


def _pairs(product: TileProduct, start: Value, stop: Value) -> Iterator[tuple[int, Value]]:
    """Loops over blocks of two tiles, then over what a single one covers: how many, and the first number."""
    e = product.e
    pairs = e.b.sdiv(e.b.add(e.minus(stop, start), I64(ROWS - 1)), I64(BLOCK))
    end = e.b.add(start, e.b.mul(pairs, I64(BLOCK)))
    with e.loop(start, end, BLOCK) as number:
        yield 2, number
    with e.b.if_then(e.b.icmp_signed("<", end, stop)):
        yield 1, end


def _schedule(height: int, width: int) -> list[tuple]:
    """What is done in a step, in order: tiles are read where they are not there already, some products ahead."""
    done: list[tuple] = []
    held: dict[int, int] = {}
    for own, other in PRODUCTS:
        for x in range(height):
            for y in range(width) if x % 2 == 0 else reversed(range(width)):
                for tile, part, which in ((_LEFT[x], own, x), (_RIGHT[y], other, y)):
                    if held.get(tile) != part:
                        held[tile] = part
                        _insert(done, ("load", tile, part, which))
                done.append(("multiply", 2 * x + y, _LEFT[x], _RIGHT[y]))
    return done


def _insert(done: list[tuple], load: tuple) -> None:
    """Put the reading of a tile before some products that do not need what it held."""
    place, passed = len(done), 0
    while place and passed < _AHEAD and load[1] not in done[place - 1][1:]:
        place -= 1
        passed += done[place][0] == "multiply"
    done.insert(place, load)


def tile_product_kernel(form: Form) -> int:
    """The address of a product of matrices of float32."""
    return TileProduct(form).write()
