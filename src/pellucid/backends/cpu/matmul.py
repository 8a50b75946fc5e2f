"""The matrix product: register blocks of rows by vectors, for any strides of the left operand, with an ending.

The ending is an elementwise expression of the product (bias and activation; the masked delta; an optimiser's update),
computed while the product is still in registers.
"""

# M rows, N columns, K inner size. A is [M, K] with any strides, B is [K, N] and C is [M, N] with dense rows.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pellucid.backends.cpu import narrow
from pellucid.backends.cpu.ahead import FEATURES, ROWS, Ahead, NextBatch
from pellucid.backends.cpu.block import Block, Masks, Place, begins_at_its_end, take_back
from pellucid.backends.cpu.cutting import BY_BLOCKS, BY_COLUMNS, BY_ROWS, MOVING, VECTORS, block_rows, narrowest
from pellucid.backends.cpu.elementwise import Ending, leaf_reader
from pellucid.backends.cpu.emit import I1, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.moves import BatchRows
from pellucid.backends.cpu.narrow import NarrowColumns
from pellucid.backends.cpu.packing import Panel, Strips
from pellucid.backends.cpu.windows import pieces
from pellucid.dtypes import DType
from pellucid.plan.barriers import ROW_BLOCK

# Steps of the inner loop between two looks at the next batch: a processor forgets what it is asked for all at once.
_FETCHING = 16
# The same where it only asks for the next columns.
_ASKING = 64
# Registers of columns for a single row, whose accumulators must hide the latency of the additions.
_SINGLE = (8, 7, 6, 5, 4, 3, 2, 1)


@dataclass(frozen=True)
class _Cut:
    """How columns are cut into blocks.

    Attributes:
        wide_end: Behind the wide blocks.
        pair_end: Behind the blocks of two registers.
        single_end: Behind the single registers.
        end: Behind half of a register.
        few: The columns after it, which are computed across.
    """

    wide_end: Value
    pair_end: Value
    single_end: Value
    end: Value
    few: Value


class Product:
    """One kernel in the making: its record is M, N, K, batch sizes; addresses and strides of the operands.

    Addresses of A, B, C; strides a_row, a_inner, b_row, c_row; for each batch loop the strides of A, B and C; then for
    each leaf of the ending, and each result that it keeps, its address and row stride. Where A is a batch in its data
    set, what :class:`~pellucid.backends.cpu.moves.BatchRows` reads; where threads share halves, the inner size of the
    first half, the bytes from its product to that of the second, and those from the products of an even step to those
    of an odd one; where it packs, what
    :class:`~pellucid.backends.cpu.packing.Panel` reads; where it has strips, what
    :class:`~pellucid.backends.cpu.packing.Strips` reads; where the last few columns have their lanes along the inner
    axis, the thread's own memory for them; where it fetches, what
    :class:`~pellucid.backends.cpu.ahead.Ahead` reads. Where B lies column by column, b_row is the stride of columns.
    """

    def __init__(
        self,
        dtype: DType,
        batch_loops: int,
        ending: Ending | None,
        motions: tuple[str, ...],
        fetching: str = "",
        sharing: str = "rows",
        batch: str = "",
        dense: str = "",
        packing: str = "",
        across: bool = False,
        strips: bool = False,
        large: bool = False,
    ) -> None:
        self.dtype, self.ending, self.motions, self.dense = dtype, ending, motions, dense
        self.rows = block_rows()
        self.e = e = Emitter(lanes_for(dtype))
        self.m, self.n, self.k = e.field(), e.field(), e.field()
        self.batches = [e.field() for _ in range(batch_loops)]
        self.addresses = [e.field() for _ in range(3)]
        self.a_row, self.a_inner, self.b_row, self.c_row = (e.field() for _ in range(4))
        self.batch_strides = [[e.field() for _ in range(3)] for _ in range(batch_loops)]
        self.leaf_types = ending.memory_types if ending else []
        self.leaves = [(e.field(), e.field()) for _ in self.leaf_types]
        kept = ending.expression.kept_types if ending else []
        self.kept = [(e.field(), e.field()) for _ in kept]
        self.out_types = [ending.expression.dtype if ending else dtype, *kept]
        self.batch, self.batch_rows = batch, BatchRows(e) if batch else None
        self.halved = (e.field(), e.field(), e.field()) if sharing == "halves" else None
        self.read_own_memory(packing, across, strips)
        self.first_inner = I64(0)  # the number in the batch of the first element of the inner axis
        self.by_columns, self.rest_by_rows = sharing in (BY_COLUMNS, BY_BLOCKS), sharing == BY_BLOCKS
        self.large = large
        self.replaces_rows = dense == "rows" and sharing == BY_ROWS and not batch_loops
        self.upwards = begins_at_its_end(e) if self.replaces_rows and not (strips or large) else None
        self.chunk = _FETCHING if fetching == ROWS or strips else _ASKING
        self.ahead = Ahead(e) if fetching == ROWS else None
        self.next_batch = NextBatch(e, self.batch_rows) if fetching == FEATURES and self.batch_rows else None

    def read_own_memory(self, packing: str, across: bool, strips: bool) -> None:
        """The memory that each thread has for itself; the arguments are those of :func:`matmul_kernel`."""
        e, dtype, turned = self.e, self.dtype, packing == "turned"
        self.panel = Panel(e, dtype, turned) if packing else None
        self.strips = Strips(e, dtype, self.rows) if strips else None
        #: Which axis lanes run along where few columns are left, and memory for them where it is the inner one.
        self.narrow = (
            self.dense if across or (self.dense == "rows" and narrow.is_possible(dtype) and not turned) else ""
        )
        self.few_memory = e.own_memory() if self.narrow == "inner" else I64(0)

    def write(self) -> int:
        """The whole kernel; its address."""
        self.body()
        return self.e.finish()

    def body(self) -> None:
        """What this thread does."""
        if self.halved is not None:
            self.halves(*self.halved)
        else:
            self.nest(0, *self.addresses)

    def nest(self, loop: int, a: Value, b: Value, c: Value) -> None:
        """The loops over batches."""
        e = self.e
        if self.rest_by_rows:
            self.blocks_and_rest(a, b, c)
            return
        if loop == len(self.batches):
            alone = loop > 0 or self.by_columns
            rows = (I64(0), self.m) if alone else e.my_share(self.m, ROW_BLOCK)
            columns = self.own_columns() if self.by_columns and loop == 0 else (I64(0), self.n)
            self.product(a, b, c, rows, columns)
            return
        share = e.my_share(self.batches[loop]) if loop == 0 else (I64(0), self.batches[loop])
        with e.loop(*share) as i:
            moved = (e.advance(x, i, s) for x, s in zip((a, b, c), self.batch_strides[loop], strict=True))
            self.nest(loop + 1, *moved)

    def own_columns(self) -> tuple[Value, Value]:
        """The columns of this thread; what is left over by the smallest registers is the last one's."""
        e, half = self.e, narrowest(self.e.lanes)
        low, high = e.my_share(e.minus(self.n, e.b.srem(self.n, I64(half))), half)
        last = e.b.icmp_signed("==", e.thread, e.minus(e.threads, I64(1)))
        return low, e.b.select(last, self.n, high)

    def blocks_and_rest(self, a: Value, b: Value, c: Value) -> None:
        """As many wide blocks of columns as all threads have alike; they share the rows of the columns that are left.

        Where too many would be left, they share all columns.
        """
        e, wide = self.e, VECTORS * self.e.lanes
        in_turn = e.b.mul(e.threads, I64(wide))
        even = e.b.mul(e.b.sdiv(self.n, in_turn), in_turn)
        few = e.b.icmp_signed("<=", e.b.mul(e.minus(self.n, even), I64(MOVING)), self.n)
        own = [e.b.select(few, x, y) for x, y in zip(e.my_share(even, wide), self.own_columns(), strict=True)]
        first, rest = ((I64(0), self.m), own), (e.my_share(self.m, ROW_BLOCK), (e.b.select(few, even, self.n), self.n))
        if self.ahead is not None:
            self.begin_fetching(self.cut(*own), own[0], first[0])
        with e.loop(I64(0), I64(2)) as turn:
            second = e.b.icmp_signed("!=", turn, I64(0))
            rows, columns = (
                (e.b.select(second, y[0], x[0]), e.b.select(second, y[1], x[1]))
                for x, y in zip(first, rest, strict=True)
            )
            some = e.b.and_(e.b.icmp_signed("<", *rows), e.b.icmp_signed("<", *columns))
            with e.b.if_then(some):
                self.product(a, b, c, rows, columns)

    def halves(self, cut: Value, apart: Value, turn: Value) -> None:
        """The products of the two halves of the inner axis; threads share the blocks of rows of one after the other."""
        e, inner = self.e, self.k
        a, b, c = self.addresses
        if self.batch_rows is not None:
            c = e.advance(c, self.batch_rows.odd, turn)
        blocks = e.ceiling(self.m, self.rows)
        own = e.my_share(e.b.mul(blocks, I64(2)))
        with e.loop(I64(0), I64(2)) as half:
            second = e.b.icmp_signed("!=", half, I64(0))
            start = e.b.select(second, cut, I64(0))
            self.k = e.b.select(second, e.minus(inner, cut), cut)
            low, high = (self.row_of_block(e.minus(number, e.b.mul(half, blocks)), blocks) for number in own)
            left = e.advance(a, start, self.a_inner)
            if self.batch == "inner":
                left, self.first_inner = a, start
            moved = left, e.advance(b, start, self.b_row), e.advance(c, half, apart)
            with e.b.if_then(e.b.icmp_signed("<", low, high)):  # else it would read what another thread writes
                self.product(*moved, (low, high), (I64(0), self.n))

    def row_of_block(self, block: Value, blocks: Value) -> Value:
        """The first row of a block; of blocks before the first one 0, after the last one the number of rows."""
        e = self.e
        inside = e.b.select(e.b.icmp_signed("<", block, I64(0)), I64(0), e.smaller(block, blocks))
        return e.smaller(e.b.mul(inside, I64(self.rows)), self.m)

    def product(self, a: Value, b: Value, c: Value, rows: tuple[Value, Value], columns: tuple[Value, Value]) -> None:
        """Some columns of some rows: wide blocks first, then narrower ones, the last few columns across."""
        e, lanes, half = self.e, self.e.lanes, narrowest(self.e.lanes)
        start, stop = columns
        cut = self.cut(start, stop)
        end = cut.end
        if self.panel is not None:
            self.panel.decide(rows)
        if self.strips is not None:
            self.strips.begin(rows[0], start, self.k)
        if self.ahead is not None and not self.rest_by_rows:
            self.begin_fetching(cut, start, rows)
        if self.replaces_rows and self.upwards is None:
            take_back(self, rows)
        with e.loop(start, cut.wide_end, lanes * VECTORS) as j:
            self.columns(a, b, c, rows, j, [None] * VECTORS, stop)
        with e.loop(cut.wide_end, cut.pair_end, lanes * (VECTORS - 1)) as j:
            self.columns(a, b, c, rows, j, [None] * (VECTORS - 1), stop)
        with e.loop(cut.pair_end, cut.single_end, lanes) as j:
            self.columns(a, b, c, rows, j, [e.mask(e.minus(end, j))], stop)
        with e.narrowed(half), e.loop(cut.single_end, end, half) as j:
            self.columns(a, b, c, rows, j, [e.mask(e.minus(end, j))], stop)
        if self.narrow:
            with e.b.if_then(e.b.icmp_signed(">", cut.few, I64(0))):
                self.few_columns(a, b, c, rows, (end, cut.few))

    def cut(self, start: Value, stop: Value) -> _Cut:
        """How some columns are cut into blocks."""
        e, lanes, half = self.e, self.e.lanes, narrowest(self.e.lanes)
        wide, pair = lanes * VECTORS, lanes * (VECTORS - 1)
        few = self.few_of(start, stop)
        end = e.minus(stop, few)
        count = e.minus(end, start)
        left = e.b.srem(count, I64(wide))
        # A single register after a wide block: two pairs take less time than both.
        spare = e.b.and_(e.b.icmp_signed(">", count, I64(wide)), e.b.icmp_signed("==", left, I64(lanes)))
        left = e.b.select(spare, I64(wide + lanes), left)
        wide_end = e.minus(end, left)
        pair_end = e.b.add(wide_end, e.b.mul(e.b.sdiv(left, I64(pair)), I64(pair)))
        # As many whole registers as leave no more than half of one.
        single = e.b.sdiv(e.b.add(e.minus(end, pair_end), I64(half - 1)), I64(lanes))
        single_end = e.b.add(pair_end, e.b.mul(single, I64(lanes)))
        return _Cut(wide_end, pair_end, single_end, end, few)

    def few_of(self, start: Value, stop: Value) -> Value:
        """How many of these columns are the last few of all: however threads share columns, the same ones."""
        e = self.e
        if not self.narrow:
            return I64(0)
        over = e.b.srem(self.n, I64(e.lanes))
        own = e.b.and_(e.b.icmp_signed("<", start, stop), e.b.icmp_signed("==", stop, self.n))
        return e.b.select(e.b.and_(own, e.b.icmp_signed("<=", over, I64(narrow.COLUMNS))), over, I64(0))

    def begin_fetching(self, cut: _Cut, start: Value, rows: tuple[Value, Value]) -> None:
        """Divide what is fetched among the blocks of some rows and of columns from the first one on."""
        e, b, count, wide = self.e, self.e.b, self.e.minus(rows[1], rows[0]), self.e.lanes * VECTORS
        assert self.ahead is not None
        wide_blocks, pairs = e.minus(cut.wide_end, start), e.minus(cut.pair_end, cut.wide_end)
        several = b.add(e.ceiling(wide_blocks, wide), e.ceiling(pairs, wide))
        single, half = e.minus(cut.single_end, cut.pair_end), e.minus(cut.end, cut.single_end)
        narrower = b.add(e.ceiling(single, e.lanes), e.ceiling(half, narrowest(e.lanes)))
        blocks = b.mul(several, e.ceiling(count, self.rows))
        blocks = b.add(blocks, b.mul(narrower, e.ceiling(count, 2 * self.rows)))
        fetches = b.and_(b.icmp_signed(">", cut.few, I64(0)), I1(self.narrow == "rows"))
        across = b.select(fetches, NarrowColumns.blocks_along_rows(e, count), I64(0))
        window = [b.mul(row, I64(self.dtype.itemsize)) for row in rows]
        self.ahead.begin(b.mul(b.add(blocks, across), e.ceiling(self.k, _FETCHING)), window)

    def few_columns(
        self, a: Value, b: Value, c: Value, rows: tuple[Value, Value], columns: tuple[Value, Value]
    ) -> None:
        """So few columns, given by the first one and their number, that lanes run along another axis."""
        first = self.e.advance(b, columns[0], I64(self.dtype.itemsize))
        part = NarrowColumns(self, first, c, *columns)
        if self.narrow == "rows":
            part.along_rows(a, rows)
        else:
            part.along_inner(a, rows, self.few_memory)

    def single_row(self, a: Value, b: Value, c: Value) -> None:
        """All columns of the only row; threads share them."""
        e = self.e
        low, high = e.my_share(self.n, e.lanes)
        few = self.few_of(low, high)
        end = e.minus(high, few)
        vectors = e.ceiling(e.minus(end, low), e.lanes)

        def piece(first: Value, count: int) -> None:
            j = e.b.add(low, e.b.mul(first, I64(e.lanes)))
            masks = [e.mask(e.minus(end, e.b.add(j, I64(v * e.lanes)))) for v in range(count)]
            here = e.advance(b, j, I64(self.dtype.itemsize))
            Block(self, (a, here, c), Place(I64(0), j, 1, masks)).write()

        pieces(e, I64(0), vectors, _SINGLE, piece)
        if self.narrow:
            with e.b.if_then(e.b.icmp_signed(">", few, I64(0))):
                NarrowColumns(self, e.advance(b, end, I64(self.dtype.itemsize)), c, end, few).single_row(a)

    def columns(
        self, a: Value, b: Value, c: Value, rows: tuple[Value, Value], j: Value, masks: Masks, stop: Value
    ) -> None:
        """One block of columns: blocks of rows first, half a block where it is left, then single rows."""
        e, panel, item = self.e, self.panel, I64(self.dtype.itemsize)
        if panel is not None and panel.turned:
            b = e.advance(b, j, self.b_row)
            panel.turn(b, self.b_row, self.k, masks, e.minus(stop, j))
        else:
            b = e.advance(b, j, item)
        (start, high), first = rows, rows[0]
        for size in (2 * self.rows, self.rows, self.rows // 2, 1):
            if size > self.tallest(masks):
                continue
            end = e.b.add(start, e.b.mul(e.b.sdiv(e.minus(high, start), I64(size)), I64(size)))
            turn = None
            if self.upwards is not None:
                last = e.larger(e.minus(end, I64(size)), start)
                turn = e.b.select(self.upwards, last, start), e.b.select(self.upwards, I64(-1), I64(1))
                first = turn[0] if size == self.tallest(masks) else first
            with e.loop(start, end, size) as n:
                i = e.advance(turn[0], e.minus(n, start), turn[1]) if turn else n
                Block(self, (a, b, c), Place(i, j, size, masks, (first, high), stop)).write()
            start = end

    def tallest(self, masks: Masks) -> int:
        """Rows of the first blocks: the sums of fewer rows of a single register would wait for each other."""
        return 2 * self.rows if len(masks) == 1 else self.rows

    def store(self, c: Value, row_number: Value, j: Value, ended: Sequence[Sequence[Value]], masks: Masks) -> None:
        """Write a row's registers of everything that an ending gives."""
        e = self.e
        for number, ((address, stride), kind) in enumerate(zip(self.results_from(c), self.out_types, strict=True)):
            row = e.advance(e.advance(address, row_number, stride), j, I64(kind.itemsize))
            for v, mask in enumerate(masks):
                e.store(e.beside(row, v, kind), ended[v][number], kind, mask)

    def results_from(self, c: Value) -> list[tuple[Value, Value]]:
        """Where the result begins and what the ending keeps, with the bytes from row to row."""
        return [(c, self.c_row), *self.kept]

    def inner_loop(
        self,
        zeros: list[Value],
        step: Callable[[Value, list[Value]], list[Value]],
        together: int = 1,
        asking: Sequence[Callable[[Value], None]] = (),
        before: Callable[[Value], None] | None = None,
    ) -> list[Value]:
        """The steps along the inner axis; every few of them it asks for lines of the next batch and for other ones.

        Args:
            zeros: What the sums begin with.
            step: One step: its number and the sums so far.
            together: How many are written out one after the other.
            asking: What asks for some lines before each :attr:`chunk` of steps, by the number of the first of them.
            before: What comes before the steps that are written together, by the number of the first of them.
        """
        e, ahead = self.e, self.ahead
        if ahead is None and not asking:
            return e.unrolled_loop(I64(0), self.k, together, zeros, step, before)

        def several(start: Value, sums: list[Value]) -> list[Value]:
            if ahead is not None:
                ahead.some()
            for ask in asking:
                ask(start)
            stop = e.smaller(e.b.add(start, I64(self.chunk)), self.k)
            return e.unrolled_loop(start, stop, together, sums, step, before)

        return e.reduce_loop(I64(0), self.k, self.chunk, zeros, several)

    def asking_for_next(self, a: Value, i: Value, rows: int, together: int = 1) -> Callable[[Value], None] | None:
        """What asks for the next batch's features of a block, before so many steps along the inner axis, if anything.

        Args:
            a: The address of A.
            i: The number of the block's first row.
            rows: How many rows it has.
            together: How many steps.
        """
        if self.next_batch is None:
            return None
        e, item = self.e, self.dtype.itemsize
        features, turn = e.advance(a, i, I64(item)), e.b.sdiv(i, I64(rows))
        return self.next_batch.of_block(features, self.a_inner, rows * item, turn, together)

    def left_of(self, a: Value, row_numbers: Sequence[Value]) -> Callable[[Value], list[Value]]:
        """What gives the addresses of the elements of some rows of A that follow each other, by their inner number.

        Rows that lie side by side need one register for all of their addresses, where each would need its own.
        """
        e, rows = self.e, self.batch_rows
        beside = I64(self.dtype.itemsize)
        a_row = beside if self.dense == "rows" else self.a_row
        a_inner = beside if self.dense == "inner" else self.a_inner
        own = rows if self.batch == "rows" else None
        starts = [e.opaque(e.advance(a, own.number(number) if own else number, a_row)) for number in row_numbers]

        def addresses(inner: Value) -> list[Value]:
            inside = rows.number(e.b.add(self.first_inner, inner)) if rows and self.batch == "inner" else inner
            moved = e.b.mul(inside, a_inner)
            if self.dense != "rows":
                return [e.b.add(start, moved) for start in starts]
            first = e.b.add(starts[0], moved)
            return [e.b.add(first, I64(r * self.dtype.itemsize)) for r in range(len(starts))]

        return addresses

    def end(self, value: Value, row: Value, j: Value, vector: int, mask: Value | None) -> list[Value]:
        """The ending's expression of one register of the product."""
        if self.ending is None:
            return [value]
        rows = [self.e.advance(address, row, stride) for address, stride in self.leaves]
        kinds = list(zip(self.leaf_types, self.motions, strict=True))
        return self.ending.results(self.e, value, leaf_reader(self.e, rows, kinds, j, mask, vector))


def single_row_kernel(
    dtype: DType, ending: Ending | None = None, motions: tuple[str, ...] = (), dense: str = "", across: bool = False
) -> int:
    """The address of the product of one row with a matrix; arguments and record are those of :func:`matmul_kernel`.

    It needs no memory for what it computes across.
    """
    kernel = Product(dtype, 0, ending, motions, dense=dense)
    kernel.narrow = "inner" if across else ""
    kernel.single_row(*kernel.addresses)
    return kernel.e.finish()


def matmul_kernel(
    dtype: DType,
    batch_loops: int,
    ending: Ending | None = None,
    motions: tuple[str, ...] = (),
    fetching: str = "",
    sharing: str = "rows",
    batch: str = "",
    dense: str = "",
    packing: str = "",
    across: bool = False,
    strips: bool = False,
    large: bool = False,
) -> int:
    """The address of a matrix product, inside ``batch_loops`` loops over batches; the record is :class:`Product`'s.

    Args:
        dtype: The type of the elements.
        batch_loops: How many loops over batches there are.
        ending: What becomes of the product.
        motions: How each leaf of the ending moves along a row: ``"stays"`` or ``"next"``.
        fetching: How it fetches the next step's rows meanwhile: ``"rows"`` as
            :class:`~pellucid.backends.cpu.ahead.Ahead` does, ``"features"`` as
            :class:`~pellucid.backends.cpu.ahead.NextBatch`, where its left operand is this step's batch along the inner
            axis; by default it does not.
        sharing: What threads share: ``"rows"`` or ``"columns"`` of the result; its columns in wide ``"blocks"``, and
            the rows of those that are left; or ``"halves"`` of the inner axis, whose products are stored one behind the
            other.
        batch: Which axis of A the rows are of a step's batch that is read where it lies in its data set: ``"rows"`` or
            ``"inner"``; by default A is an array like any other.
        dense: Along which axis of A, if along one, elements lie side by side: ``"rows"`` or ``"inner"``.
        packing: How threads put columns of B side by side: ``"rows"`` as its rows are read, ``"turned"`` where it lies
            column by column; by default they do not.
        across: Whether the last few columns have their lanes along the inner axis, along which A must be dense.
        strips: Whether threads put columns of A, which must be dense along the rows, side by side.
        large: Whether blocks ask for the columns of B to the right, because no cache keeps them.
    """
    return Product(
        dtype, batch_loops, ending, motions, fetching, sharing, batch, dense, packing, across, strips, large
    ).write()
