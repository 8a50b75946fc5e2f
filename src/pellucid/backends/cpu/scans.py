"""Kernels of boosting and of sliding windows; ``pellucid.backends.scans`` says in NumPy what they compute.

Best cuts: every lane has a column of its own and runs along its order, so that sums are added one after another.
Sums of rectangles: every lane has a window. Cascades: every lane has one of neighbouring windows, and a block of
windows ends with the stage that rejects the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from llvmlite import ir

from pellucid.backends.cpu.emit import I1, I32, I64, Emitter, Value, lanes_for
from pellucid.backends.cpu.runner import table_row
from pellucid.backends.cpu.threads import POOL, Job
from pellucid.backends.scans import CascadeTable, Corners, WindowScan
from pellucid.dtypes import float32, float64, int32, int64

#: Registers of windows that the sums of rectangles compute at once: their additions do not wait for each other.
_REGISTERS = 4


def lanes() -> int:
    """Columns or windows that are computed at once."""
    return lanes_for(float64)


class Engine:
    """The scans as machine code."""

    @staticmethod
    def arranged(order: np.ndarray) -> np.ndarray:
        """Orders [F, N] as [blocks, N, lanes]: a register's columns lie side by side; missing columns have no cut."""
        width = lanes()
        blocks = -(-len(order) // width)
        kept = np.zeros((blocks * width, order.shape[1]), np.int32)
        kept[: len(order)] = order
        return np.ascontiguousarray(kept.reshape(blocks, width, -1).transpose(0, 2, 1))

    @staticmethod
    def error_cuts(arranged: np.ndarray, count: int, signed: np.ndarray) -> tuple[np.ndarray, ...]:
        """The lowest and the highest sum of signed weights up to a cut, and where (the first such cut)."""
        size = len(arranged) * arranged.shape[2]
        signed = np.ascontiguousarray(signed, np.float64)
        results = (np.empty(size), np.empty(size, np.int64), np.empty(size), np.empty(size, np.int64))
        _run(_error_kernel(), *arranged.shape[:2], arranged, signed, *results)
        return tuple(result[:count] for result in results)

    @staticmethod
    def gini_cuts(arranged: np.ndarray, count: int, signed: np.ndarray) -> tuple[np.ndarray, ...]:
        """The cut with the least Gini impurity, and the sum of signed weights on its left."""
        size = len(arranged) * arranged.shape[2]
        signed = np.ascontiguousarray(signed, np.float64)
        totals = np.array([np.cumsum(signed)[-1], np.cumsum(np.abs(signed))[-1]])
        results = (np.empty(size), np.empty(size, np.int64), np.empty(size))
        _run(_gini_kernel(), *arranged.shape[:2], arranged, signed, totals, *results)
        return tuple(result[:count] for result in results)

    @staticmethod
    def rectangle_sums(integrals: np.ndarray, corners: Corners, inverse: np.ndarray) -> np.ndarray:
        """Features of many windows: the weighted sums of corners times one factor a window."""
        samples, height, width = integrals.shape
        padded = -(-samples // (_REGISTERS * lanes())) * _REGISTERS * lanes()
        # Pixel by pixel, the windows side by side.
        tables = np.zeros((height * width, padded), np.int32)
        tables[:, :samples] = integrals.reshape(samples, height * width).T
        factors = np.zeros(padded)
        factors[:samples] = inverse
        columns = np.empty((len(corners), padded), np.float32)
        offsets = (corners.row * width + corners.column) * tables.strides[0]
        _run(_sums_kernel(), len(corners), padded, tables, corners.first, offsets, corners.weight, factors, columns)
        return columns[:, :samples]

    @staticmethod
    def scan_windows(integral: np.ndarray, inverse: np.ndarray, table: CascadeTable, step: int) -> WindowScan:
        """A cascade on every window of an image; the stages of a window end with the first that rejects it."""
        integral, inverse = np.ascontiguousarray(integral, np.int32), np.ascontiguousarray(inverse, np.float64)
        found = WindowScan(
            np.empty(inverse.shape, np.int32), np.empty(inverse.shape, np.int32), np.empty(inverse.shape)
        )
        corners = table.corners
        offsets = corners.row * integral.strides[0] + corners.column * integral.strides[1]
        _run(
            _cascade_kernel(step == 1), *inverse.shape, len(table.threshold), step * integral.strides[0], step * 4,
            integral, inverse, corners.first, offsets, corners.weight, table.cut, table.left, table.right,
            table.first, table.threshold, table.scale, found.passed, found.features, found.confidence,
        )  # fmt: skip
        return found


def _run(kernel: int, *entries: int | np.ndarray) -> None:
    """Call a kernel on all threads; its record holds numbers, and addresses of arrays."""
    values = [e.ctypes.data if isinstance(e, np.ndarray) else int(e) for e in entries]
    record = np.array(values, np.int64)
    job = Job(np.array([table_row(kernel, record.ctypes.data)], np.int64), flush=False)
    POOL.run(job.script(0, 1), POOL.size())


class _Cuts:
    """One scan along orders in the making.

    Record: blocks, samples; address of the orders and of the signed weights; what the scan needs else; addresses of
    the results.
    """

    def __init__(self, extra: int, results: int) -> None:
        self.e = e = Emitter(lanes())
        self.blocks, self.samples, self.order, self.signed = (e.field() for _ in range(4))
        self.extra = [e.field() for _ in range(extra)]
        self.results = [e.field() for _ in range(results)]

    def write(self, start: list[Value], step: Callable[..., list[Value]], kept: Callable[..., list[Value]]) -> int:
        """The kernel's address: ``step(i, weights, cut, carried)`` for every sample, ``kept(carried)`` at the end."""
        e = self.e
        register = I64(4 * e.lanes)
        low, high = e.my_share(self.blocks)
        with e.loop(low, high) as block:
            rows = e.advance(self.order, e.b.mul(block, self.samples), register)

            def sample(i: Value, carried: list[Value]) -> list[Value]:
                entries = e.load(e.advance(rows, i, register), int32)
                cut = e.b.trunc(entries, ir.VectorType(I1, e.lanes))
                return step(e.splat(i), self._weights(entries), cut, carried)

            ended = e.reduce_loop(I64(0), self.samples, 1, start, sample)
            for address, value in zip(self.results, kept(ended), strict=True):
                kind = int64 if isinstance(value.type.element, ir.IntType) else float64
                e.store(e.advance(address, block, I64(8 * e.lanes)), value, kind)
        return e.finish()

    def _weights(self, entries: Value) -> Value:
        """The signed weights of the samples of a register of entries."""
        e, b = self.e, self.e.b
        numbers = b.zext(b.lshr(entries, _all(e, I32, 1)), ir.VectorType(I64, e.lanes))
        addresses = b.add(e.splat(self.signed), b.shl(numbers, _all(e, I64, 3)))
        return e.gather_at(addresses, float64, _all(e, I1, 1))


def _all(e: Emitter, kind: ir.IntType, value: int) -> Value:
    return ir.Constant(ir.VectorType(kind, e.lanes), [kind(value)] * e.lanes)


def _take(e: Emitter, better: Value, new: list[Value], old: list[Value]) -> list[Value]:
    return [e.b.select(better, x, y) for x, y in zip(new, old, strict=True)]


@lru_cache(maxsize=1)
def _error_kernel() -> int:
    cuts = _Cuts(0, 4)
    e, nothing, nowhere = cuts.e, cuts.e.constant(0.0, float64), cuts.e.constant(-1, int64)

    def step(i: Value, weights: Value, cut: Value, carried: list[Value]) -> list[Value]:
        total = e.b.fadd(carried[0], weights)
        lower = e.b.and_(cut, e.b.fcmp_ordered("<", total, carried[1]))
        higher = e.b.and_(cut, e.b.fcmp_ordered(">", total, carried[3]))
        return [total, *_take(e, lower, [total, i], carried[1:3]), *_take(e, higher, [total, i], carried[3:5])]

    return cuts.write([nothing, nothing, nowhere, nothing, nowhere], step, lambda carried: carried[1:])


@lru_cache(maxsize=1)
def _gini_kernel() -> int:
    cuts = _Cuts(1, 3)
    e, nothing, nowhere = cuts.e, cuts.e.constant(0.0, float64), cuts.e.constant(-1, int64)
    signed_total = e.splat(e.load_scalar(cuts.extra[0], float64))
    total = e.splat(e.load_scalar(e.b.add(cuts.extra[0], I64(8)), float64))
    start = e.b.fdiv(e.b.fmul(signed_total, signed_total), total)

    def step(i: Value, weights: Value, cut: Value, carried: list[Value]) -> list[Value]:
        b = e.b
        signed_left = b.fadd(carried[0], weights)
        weight_left = b.fadd(carried[1], e.on_vectors("fabs", weights))
        signed_right, weight_right = b.fsub(signed_total, signed_left), b.fsub(total, weight_left)
        left = b.fdiv(b.fmul(signed_left, signed_left), weight_left)
        score = b.fadd(left, b.fdiv(b.fmul(signed_right, signed_right), weight_right))
        usable = b.and_(b.fcmp_ordered(">", weight_left, nothing), b.fcmp_ordered(">", weight_right, nothing))
        better = b.and_(b.and_(cut, usable), b.fcmp_ordered(">", score, carried[2]))
        return [signed_left, weight_left, *_take(e, better, [score, i, signed_left], carried[2:])]

    return cuts.write([nothing, nothing, start, nowhere, nothing], step, lambda carried: carried[2:])


class _CornerFields:
    """The part of a record that holds the corners of features: where they start, their places and weights."""

    def __init__(self, e: Emitter) -> None:
        self.e = e
        self.first, self.offset, self.weight = e.field(), e.field(), e.field()

    def sums(self, feature: Value, registers: int, load: Callable[[Value, int], Value]) -> list[Value]:
        """The weighted sums of a feature's corners; ``load(offset, register)`` reads a corner of windows."""
        e = self.e

        def corner(i: Value, carried: list[Value]) -> list[Value]:
            offset = _number(e, self.offset, i)
            weight = e.splat(e.load_scalar(e.advance(self.weight, i, I64(4)), int32))
            return [e.b.add(x, e.b.mul(weight, load(offset, v))) for v, x in enumerate(carried)]

        start = [e.constant(0, int32)] * registers
        return e.reduce_loop(*_range(e, self.first, feature), 1, start, corner)


def _number(e: Emitter, address: Value, index: Value) -> Value:
    return e.load_scalar(e.advance(address, index, I64(8)), int64)


def _range(e: Emitter, address: Value, index: Value) -> tuple[Value, Value]:
    """Where the parts of a thing start and end."""
    return _number(e, address, index), _number(e, address, e.b.add(index, I64(1)))


def _value(e: Emitter, total: Value, factor: Value) -> Value:
    """A feature's value: the sum of its rectangles times the window's factor, rounded to float32."""
    wide = e.b.sitofp(total, ir.VectorType(ir.DoubleType(), e.lanes))
    return e.b.fptrunc(e.b.fmul(wide, factor), ir.VectorType(ir.FloatType(), e.lanes))


@lru_cache(maxsize=1)
def _sums_kernel() -> int:
    """Record: features, windows (a multiple of the registers); summed-area tables; corners; factors; columns."""
    e = Emitter(lanes())
    features, windows, tables = (e.field() for _ in range(3))
    corners = _CornerFields(e)
    factors, columns = e.field(), e.field()
    low, high = e.my_share(features)
    with e.loop(low, high) as feature, e.loop(I64(0), windows, _REGISTERS * e.lanes) as window:
        here = e.advance(tables, window, I64(4))

        def load(offset: Value, register: int) -> Value:
            return e.load(e.beside(e.b.add(here, offset), register, int32), int32)

        column = e.advance(columns, e.b.add(e.b.mul(feature, windows), window), I64(4))
        factor = e.advance(factors, window, I64(8))
        for register, total in enumerate(corners.sums(feature, _REGISTERS, load)):
            value = _value(e, total, e.load(e.beside(factor, register, float64), float64))
            e.store(e.beside(column, register, float32), value, float32)
    return e.finish()


class _Cascade:
    """The kernel of a cascade in the making.

    Record: rows and columns of windows, stages, bytes between windows down and along; summed-area table; factors;
    corners; cuts, votes at or below them, votes above; stages' starts, thresholds, scales; the three results.
    """

    def __init__(self, neighbouring: bool) -> None:
        self.e = e = Emitter(lanes())
        self.neighbouring = neighbouring
        self.rows, self.columns, self.stages, self.down, self.along = (e.field() for _ in range(5))
        self.integral, self.inverse = e.field(), e.field()
        self.corners = _CornerFields(e)
        self.cut, self.left, self.right, self.first, self.threshold, self.scale = (e.field() for _ in range(6))
        self.results = [e.field() for _ in range(3)]

    def write(self) -> int:
        """The kernel's address."""
        e = self.e
        low, high = e.my_share(self.rows)
        with e.loop(low, high) as row, e.loop(I64(0), self.columns, e.lanes) as column:
            place = e.b.add(e.b.mul(row, self.columns), column)
            mask = e.mask(e.minus(self.columns, column))
            factor = e.load(e.advance(self.inverse, place, I64(8)), float64, mask)
            here = e.advance(e.advance(self.integral, row, self.down), column, self.along)
            ended = self._stages(here, factor, mask)
            for address, value, kind in zip(self.results, ended, (int32, int32, float64), strict=True):
                e.store(e.advance(address, place, I64(kind.itemsize)), value, kind, mask)
        return e.finish()

    def _stages(self, here: Value, factor: Value, mask: Value) -> list[Value]:
        """Stages passed, features and confidence of a register of windows."""
        e, b = self.e, self.e.b
        none, nothing = e.constant(0, int32), e.constant(0.0, float64)
        looked_at = b.fcmp_ordered(">", factor, nothing)  # lanes outside the mask have the factor 0
        start = [b.select(looked_at, none, e.constant(-1, int32)), none, nothing]
        with self._while_alive(looked_at, start) as (stage, alive, (passed, features, confidence), go_on):
            first, last = _range(e, self.first, stage)
            score = self._score(first, last, here, factor, mask)
            margin = b.fsub(score, self._double(self.threshold, stage))
            gained = b.fmul(margin, self._double(self.scale, stage))
            good = b.and_(alive, b.fcmp_ordered(">=", margin, nothing))
            count = e.splat(b.trunc(e.minus(last, first), I32))
            go_on(
                good,
                [
                    b.add(passed, b.select(good, e.constant(1, int32), none)),
                    b.add(features, b.select(alive, count, none)),
                    b.select(alive, b.fadd(confidence, gained), confidence),
                ],
            )
        return [passed, features, confidence]

    @contextmanager
    def _while_alive(self, mask: Value, start: list[Value]) -> Iterator[tuple[Value, Value, list[Value], Callable]]:
        """A loop over the stages that ends early once no window is left; its values stay good after it."""
        e, b = self.e, self.e.b
        before = b.block
        head, body, done = (e.function.append_basic_block(name) for name in ("stage", "enter", "rejected"))
        b.branch(head)
        b.position_at_end(head)
        carried = [b.phi(value.type) for value in (I64(0), mask, *start)]
        for phi, value in zip(carried, (I64(0), mask, *start), strict=True):
            phi.add_incoming(value, before)
        stage, alive, *values = carried
        b.cbranch(b.and_(e.any(alive), b.icmp_signed("<", stage, self.stages)), body, done)
        b.position_at_end(body)

        def go_on(still: Value, following: list[Value]) -> None:
            for phi, value in zip(carried, (b.add(stage, I64(1)), still, *following), strict=True):
                phi.add_incoming(value, b.block)

        yield stage, alive, values, go_on
        b.branch(head)
        b.position_at_end(done)

    def _score(self, first: Value, last: Value, here: Value, factor: Value, mask: Value) -> Value:
        """The votes of a stage's stumps."""
        e = self.e

        def load(offset: Value, register: int) -> Value:
            address = e.b.add(here, offset)
            return e.load(address, int32, mask) if self.neighbouring else e.gather(address, self.along, int32, mask)

        def stump(i: Value, carried: list[Value]) -> list[Value]:
            (total,) = self.corners.sums(i, 1, load)
            value = e.b.fpext(_value(e, total, factor), ir.VectorType(ir.DoubleType(), e.lanes))
            above = e.b.fcmp_ordered(">", value, self._double(self.cut, i))
            vote = e.b.select(above, self._double(self.right, i), self._double(self.left, i))
            return [e.b.fadd(carried[0], vote)]

        return e.reduce_loop(first, last, 1, [e.constant(0.0, float64)], stump)[0]

    def _double(self, address: Value, index: Value) -> Value:
        """A number of a table in every lane."""
        return self.e.splat(self.e.load_scalar(self.e.advance(address, index, I64(8)), float64))


@lru_cache(maxsize=2)
def _cascade_kernel(neighbouring: bool) -> int:
    return _Cascade(neighbouring).write()
