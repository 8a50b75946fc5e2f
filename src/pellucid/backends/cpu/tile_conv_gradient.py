"""The gradient of a convolution by its kernel on a matrix unit, of images whose samples lie side by side, [H, W, C, N].

The unit multiplies taps along W and channels in by output channels, and sums over samples: 32 of them in a step. The
image comes padded, and a line of 64 bytes has the samples of a pixel and channel: the taps of a position are one run of
lines, whichever position it is. The cotangent is turned, so that output channels lie side by side for each pair of
samples. Both are split into parts one output row ahead, between the unit's products.

Samples and output rows are cut into pieces that do not depend on the number of threads, and each has sums of its own.
Sums that are not finite are made once more by vectors.
"""

# N batch, W pixels of a row, O x P output, K x L taps, C channels in, D channels out.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from pellucid.backends.cpu import split
from pellucid.backends.cpu.emit import I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.lanes import LANES, Place
from pellucid.backends.cpu.matrix_unit import ROWS, TILE, WIDTH, MatrixUnit, is_available
from pellucid.backends.cpu.split import FOUR, INNER, ORDER, PARTS, PRODUCTS
from pellucid.backends.cpu.tile_stream import Following
from pellucid.backends.cpu.tile_windows import SPLITTING, Plain, Runs, cycles_of_product
from pellucid.backends.cpu.windows import carry, element, even_blocks, over, pieces
from pellucid.dtypes import DType, float32
from pellucid.plan.lifetime import aligned

# The tile of the image and those of the parts of the cotangent.
_LEFT, _RIGHT = 7, (4, 5, 6)
# Sums at once: as many as there are tiles for.
_SUMS = 4
_ITEM = I64(float32.itemsize)
# Cycles of turning and splitting a pair of registers; how much less time than vectors the unit must take.
_TURNING, _LESS = 25, 0.9
# Bytes of memory that a thread has for itself at most: a core's second cache must hold it.
_MOST = 1 << 19


@dataclass(frozen=True)
class GradForm(Runs):
    """What a kernel is made for.

    Attributes:
        taps: Of the kernel, along both axes.
        channels: Of the image.
        outs: Channels of the result.
    """

    taps: tuple[int, int]
    channels: int
    outs: int

    @property
    def run(self) -> int:
        """Lines of a row of taps."""
        return self.taps[1] * self.channels

    @property
    def elements(self) -> int:
        """Of the gradient."""
        return self.taps[0] * self.run * self.outs

    @property
    def sums(self) -> int:
        """Tiles of sums of a block of output channels."""
        return self.taps[0] * self.tiles

    @property
    def at_once(self) -> tuple[int, ...]:
        """How many of these are added to at once, the larger number first."""
        return even_blocks(self.sums, _SUMS)

    @property
    def ring(self) -> int:
        """Rows of the image that are kept: those of an output row, and the next one."""
        return self.taps[0] + 1

    @property
    def position(self) -> int:
        """Bytes of a position of the cotangent."""
        return self.out_blocks * PARTS * TILE

    def part(self, width: int) -> int:
        """Bytes of a part of a row of the image."""
        return (width * self.channels + self.spare) * WIDTH

    def bytes(self, width: int, out_width: int) -> int:
        """Bytes of memory that a thread needs for itself."""
        sums = self.out_blocks * self.sums * TILE
        return aligned(sums + WIDTH + 2 * out_width * self.position + self.ring * PARTS * self.part(width))

    def cycles(self, conv: Plain) -> float:
        """About how long the unit takes for the gradient of a convolution."""
        products = self.sums * self.out_blocks * len(PRODUCTS) * cycles_of_product(self.deep)
        positions = math.prod(conv.out) * (products + self.out_blocks * ROWS * _TURNING)
        return -(-conv.batch // INNER) * (positions + math.prod(conv.image) * self.channels * SPLITTING)


def gradient_for(conv: Plain, dtype: DType) -> GradForm | None:
    """What the kernel of a convolution's gradient is made for, if the unit takes less time for it than vectors."""
    form = GradForm(conv.taps, conv.channels, conv.outs)
    fits = form.bytes(conv.out[1] + conv.taps[1] - 1, conv.out[1]) <= _MOST
    if dtype != float32 or not is_available() or not fits:
        return None
    return form if form.cycles(conv) < _LESS * conv.by_vectors(conv.filled) else None


class TileGradient:
    """The kernel in the making.

    Record: N, W, O, P; into how many pieces O is cut; addresses of x, ct, dw; strides of x by place along H and by
    channel; of ct by O, P and D; bytes of a piece in dw; bytes of a part of a row of the image; the thread's own
    memory.
    """

    def __init__(self, form: GradForm) -> None:
        self.form = form
        self.e = e = Emitter(lanes_for(float32))
        self.unit = MatrixUnit(e)
        self.batch, self.width, self.out_height, self.out_width, self.bands = (e.field() for _ in range(5))
        self.x, self.ct, self.dw = (e.field() for _ in range(3))
        self.x_h, self.x_c = e.field(), e.field()
        self.ct_strides = [e.field() for _ in range(3)]
        self.dw_piece, self.part = e.field(), e.field()
        self.sums = e.own_memory()
        self.zeros = e.b.add(self.sums, I64(form.out_blocks * form.sums * TILE))
        self.cotangents = e.b.add(self.zeros, I64(WIDTH))
        self.row_of_cotangents = e.b.mul(self.out_width, I64(form.position))
        self.rows = e.advance(self.cotangents, self.row_of_cotangents, I64(2))
        self.row = e.b.mul(self.part, I64(PARTS))
        self.columns = e.b.mul(self.width, I64(form.channels))

    def write(self) -> int:
        """The kernel's address."""
        e, form = self.e, self.form
        self._clear()
        left, whole = (form.deep, WIDTH), (ROWS, WIDTH)
        self.unit.configure([left] * _SUMS + [whole] * len(_RIGHT) + [left])
        groups = e.ceiling(self.batch, INNER)
        with e.loop(*e.my_share(e.b.mul(groups, self.bands))) as item:
            band, group = e.b.sdiv(item, groups), e.b.srem(item, groups)
            low, high = (
                e.b.sdiv(e.b.mul(self.out_height, number), self.bands) for number in (band, e.b.add(band, I64(1)))
            )
            self._piece(e.b.mul(group, I64(INNER)), (low, high))
            self._finish(e.b.mul(group, I64(INNER)), (low, high), e.advance(self.dw, item, self.dw_piece))
        self.unit.release()
        return e.finish()

    def _clear(self) -> None:
        """Write zeros behind the lines of all rows, and where channels are read that are none."""
        e, zero = self.e, self.e.constant(0, float32)
        e.store(self.zeros, zero, float32)
        with e.loop(I64(0), I64(self.form.ring * PARTS)) as part:
            end = e.advance(self.rows, e.b.add(part, I64(1)), self.part)
            with e.loop(e.advance(e.advance(self.rows, part, self.part), self.columns, I64(WIDTH)), end, WIDTH) as at:
                e.store(at, zero, float32)

    def _piece(self, start: Value, own: tuple[Value, Value]) -> None:
        """The sums of some samples and output rows."""
        e, form, (low, high) = self.e, self.form, own
        with e.loop(I64(0), I64(form.out_blocks * form.sums * TILE), WIDTH) as place:
            e.store(e.b.add(self.sums, place), e.constant(0, float32), float32)
        one = I64(1)
        first = e.b.add(low, I64(form.taps[0]))
        with e.loop(low, first) as row, e.loop(I64(0), self._pieces_of_image()) as piece:
            self._split_image(start, row, piece)
        with e.loop(I64(0), self._pieces_of_cotangent()) as piece:
            self._split_cotangent(start, low, piece)
        with e.loop(low, high) as row:
            following = e.b.add(row, one)
            wanted = e.b.icmp_signed("<", following, high)
            pauses = e.b.mul(self.out_width, I64(form.out_blocks * -(-form.sums // form.at_once[0])))
            below = e.b.add(row, I64(form.taps[0]))
            ahead = [
                Following(e, split_piece, (I64(0), e.b.select(wanted, count, I64(0))), pauses)
                for split_piece, count in (
                    (lambda piece: self._split_image(start, below, piece), self._pieces_of_image()),
                    (lambda piece: self._split_cotangent(start, following, piece), self._pieces_of_cotangent()),
                )
            ]
            with e.loop(I64(0), I64(form.out_blocks)) as outs:
                pieces(
                    e, I64(0), I64(form.sums), form.at_once,
                    lambda first, count: self._row(row, outs, first, count, ahead),
                )  # fmt: skip

    def _row(self, row: Value, outs: Value, first: Value, count: int, ahead: Sequence[Following]) -> None:
        """What an output row adds to some tiles of sums; meanwhile what comes next is split."""
        e, form, unit = self.e, self.form, self.unit
        sums = e.advance(self.sums, e.advance(first, outs, I64(form.sums)), I64(TILE))
        for number in range(count):
            unit.load(number, e.b.add(sums, I64(number * TILE)))
        numbers = [e.b.add(first, I64(n)) for n in range(count)]
        places = []
        for number in numbers:
            tap, tile = e.b.udiv(number, I64(form.tiles)), e.b.urem(number, I64(form.tiles))
            places.append(e.advance(self._row_at(e.b.add(row, tap)), tile, I64(form.deep * WIDTH)))
        cotangent = e.advance(self._cotangents_at(row), outs, I64(PARTS * TILE))
        chunk, chunks = e.b.sdiv(first, I64(form.at_once[0])), -(-form.sums // form.at_once[0])
        pause = e.b.mul(e.advance(chunk, outs, I64(chunks)), self.out_width)
        with e.loop(I64(0), self.out_width) as position:
            right = e.advance(cotangent, position, I64(form.position))
            for part, register in enumerate(_RIGHT):
                unit.load(register, e.b.add(right, I64(part * TILE)))
            moved = e.b.mul(position, I64(form.channels * WIDTH))
            here = [e.b.add(place, moved) for place in places]
            for part, others in ORDER:
                distance = e.b.mul(self.part, I64(part))
                for number, place in enumerate(here):
                    unit.load(_LEFT, e.b.add(place, distance))
                    for other in others:
                        unit.multiply_add(number, _LEFT, _RIGHT[other])
                if part != 1:
                    ahead[0 if part else 1].split(e.b.add(pause, position))
        for number in range(count):
            unit.store(number, e.b.add(sums, I64(number * TILE)))

    # Operands.

    def _row_at(self, row: Value) -> Value:
        """Where a row of the image lies."""
        return self.e.advance(self.rows, self.e.b.urem(row, I64(self.form.ring)), self.row)

    def _cotangents_at(self, row: Value) -> Value:
        """Where a row of the cotangent lies."""
        return self.e.advance(self.cotangents, self.e.b.and_(row, I64(1)), self.row_of_cotangents)

    def _pieces_of_image(self) -> Value:
        """Pieces of a row of the image: its lines."""
        return self.columns

    def _split_image(self, start: Value, row: Value, piece: Value) -> None:
        """One of them."""
        e = self.e
        source = e.advance(e.advance(e.advance(self.x, row, self.x_h), piece, self.x_c), start, _ITEM)
        masks = [e.mask(e.minus(self.batch, e.b.add(start, I64(half * ROWS)))) for half in range(2)]
        halves = [e.load(e.beside(source, half, float32), float32, mask) for half, mask in enumerate(masks)]
        split.keep(e, e.advance(self._row_at(row), piece, I64(WIDTH)), *halves, apart=self.part)

    def _pieces_of_cotangent(self) -> Value:
        """Pieces of a row of the cotangent: four pairs of samples of a block of channels."""
        return self.e.b.mul(self.out_width, I64(self.form.out_blocks * ROWS // FOUR))

    def _split_cotangent(self, start: Value, row: Value, piece: Value) -> None:
        """One of them."""
        e, form = self.e, self.form
        quarter, rest = e.b.and_(piece, I64(ROWS // FOUR - 1)), e.b.udiv(piece, I64(ROWS // FOUR))
        position, block = e.b.udiv(rest, I64(form.out_blocks)), e.b.urem(rest, I64(form.out_blocks))
        sample, out = e.advance(start, quarter, I64(FOUR)), e.b.mul(block, I64(ROWS))
        source = e.advance(element(e, self.ct, self.ct_strides, [row, position, out]), sample, _ITEM)
        place = e.advance(self._cotangents_at(row), rest, I64(PARTS * TILE))
        place = e.advance(place, quarter, I64(FOUR * WIDTH))
        with e.narrowed(FOUR):
            masks = [e.mask(e.minus(self.batch, e.b.add(sample, I64(half * ROWS)))) for half in range(2)]

        def line(half: int, number: int) -> Value:
            here = e.b.add(e.advance(source, I64(number), self.ct_strides[2]), I64(half * ROWS * float32.itemsize))
            if form.outs % ROWS:
                real = e.b.icmp_signed("<", e.b.add(out, I64(number)), I64(form.outs))
                here = e.b.select(real, here, self.zeros)
            with e.narrowed(FOUR):
                return e.load(here, float32, masks[half])

        split.transposed_pairs(e, place, line)

    # Results.

    def _finish(self, start: Value, own: tuple[Value, Value], target: Value) -> None:
        """Store the sums of a piece as [K, L C, D]; those that are not finite are made once more."""
        e, form = self.e, self.form
        row = I64(form.outs * float32.itemsize)
        with e.loop(I64(0), I64(form.out_blocks)) as block, e.loop(I64(0), I64(form.sums)) as number:
            tap, tile = e.b.udiv(number, I64(form.tiles)), e.b.urem(number, I64(form.tiles))
            first, outs = e.b.mul(tile, I64(form.deep)), e.b.mul(block, I64(ROWS))
            mask = e.mask(e.minus(I64(form.outs), outs))
            sums = e.advance(self.sums, e.advance(number, block, I64(form.sums)), I64(TILE))
            place = e.advance(e.advance(target, e.advance(first, tap, I64(form.run)), row), outs, _ITEM)
            with e.loop(I64(0), e.smaller(e.minus(I64(form.run), first), I64(form.deep))) as r:
                value = e.load(e.advance(sums, r, I64(WIDTH)), float32)
                e.store(e.advance(place, r, row), value, float32, mask)
        sizes = [I64(form.taps[0]), I64(form.run), I64(-(-form.outs // e.lanes))]
        over(e, sizes, lambda at: self._mend((at[0], at[1], e.b.mul(at[2], I64(e.lanes))), start, own, target))

    def _mend(self, place: tuple[Value, Value, Value], start: Value, own: tuple[Value, Value], target: Value) -> None:
        """Sum those of a register of output channels once more that are not finite."""
        e, form, (k, r, d) = self.e, self.form, place
        row = I64(form.outs * float32.itemsize)
        here = e.advance(e.advance(target, e.advance(r, k, I64(form.run)), row), d, _ITEM)
        mask = e.mask(e.minus(I64(form.outs), d))
        lanes = ir.IntType(e.lanes)
        found: Value = e.b.bitcast(self.unit.not_finite(e.load(here, float32, mask)), lanes)
        count = e.smaller(e.minus(I64(form.outs), d), I64(e.lanes))
        stop = e.b.select(e.b.icmp_unsigned("!=", found, lanes(0)), count, I64(0))
        with e.loop(I64(0), stop) as lane:
            bit = e.b.and_(e.b.lshr(e.b.zext(found, I64), lane), I64(1))
            with e.b.if_then(e.b.icmp_signed("!=", bit, I64(0))):
                total = self._anew((k, r, e.b.add(d, lane)), start, own)
                e.store_scalar(e.advance(here, lane, _ITEM), total, float32)

    def _anew(self, place: tuple[Value, Value, Value], start: Value, own: tuple[Value, Value]) -> Value:
        """One sum of a piece, by vectors of samples."""
        e, (k, r, d) = self.e, place
        masks = [e.mask(e.minus(self.batch, e.b.add(start, I64(half * ROWS)))) for half in range(2)]
        x = e.advance(e.advance(e.advance(self.x, k, self.x_h), r, self.x_c), start, _ITEM)
        x = e.advance(x, own[0], self.x_h)
        ct = e.advance(element(e, self.ct, self.ct_strides, [own[0], I64(0), d]), start, _ITEM)
        by_column = e.b.mul(self.x_c, I64(self.form.channels))

        def position(indices: list[Value], sums: list[Value]) -> list[Value]:
            left = element(e, x, [self.x_h, by_column], indices)
            right = element(e, ct, self.ct_strides[:2], indices)
            total = sums[0]
            for half, mask in enumerate(masks):
                a, b = (e.load(e.beside(side, half, float32), float32, mask) for side in (left, right))
                total = e.multiply_add(a, b, total)
            return [total]

        (total,) = carry(e, [e.minus(*own[::-1]), self.out_width], [e.constant(0, float32)], position)
        place_of = Place(e, float32, float32)
        return e.join_lanes(total, lambda a, b: LANES["add"](place_of, a, b))


def tile_gradient_kernel(form: GradForm) -> int:
    """The address of dw[piece, k, r, d] = sum over o, p, n of x[o + k, p, r, n] ct[o, p, d, n] of each piece."""
    return TileGradient(form).write()
