"""Loops and numbers of a kernel in the making."""

import numpy as np
import pytest
from tests.backends.cpu.calls import call

from pellucid.backends.cpu.emit import I64, Emitter
from pellucid.dtypes import float32, int64


@pytest.mark.parametrize("together", [1, 2, 3, 5])
def test_a_loop_with_steps_written_out_makes_every_step_once_and_in_order(together):
    e = Emitter(4)
    start, stop, address = e.field(), e.field(), e.field()
    digits = e.unrolled_loop(start, stop, together, [I64(0)], lambda i, d: [e.b.add(e.b.mul(d[0], I64(10)), i)])
    e.store_scalar(address, digits[0], int64)
    kernel = e.finish()
    for first, end in [(0, 9), (3, 9), (1, 2), (4, 4), (7, 3), (0, 1), (2, 7)]:
        result = np.full(1, -1, np.int64)
        call(kernel, [first, end, result.ctypes.data])
        assert result[0] == int("0" + "".join(map(str, range(first, end))))


def test_a_number_of_unknown_origin_is_the_same_number():
    e = Emitter(4)
    number, address = e.field(), e.field()
    e.store_scalar(address, e.opaque(e.b.mul(number, I64(3))), int64)
    result = np.zeros(1, np.int64)
    call(e.finish(), [-(1 << 40), result.ctypes.data])
    assert result[0] == -3 * (1 << 40)


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_lanes_of_many_registers_are_joined_as_those_of_each(lanes):
    e = Emitter(lanes)
    source, joined, each = e.field(), e.field(), e.field()
    values = [e.load(e.beside(source, n, float32), float32) for n in range(lanes)]
    e.store(joined, e.join_each(values, e.b.fadd), float32)
    for n, value in enumerate(values):
        e.store_scalar(e.advance(each, I64(n), I64(4)), e.join_lanes(value, e.b.fadd), float32)
    numbers = np.random.default_rng(0).normal(size=(lanes, lanes)).astype("float32")
    found = np.zeros((2, lanes), np.float32)
    call(e.finish(), [numbers.ctypes.data, found[0].ctypes.data, found[1].ctypes.data])
    assert found[0].tobytes() == found[1].tobytes()
    np.testing.assert_allclose(found[0], numbers.sum(1), rtol=1e-5, atol=1e-5)
