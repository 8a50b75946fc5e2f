"""Loops and numbers of a kernel in the making."""

import numpy as np
import pytest
from tests.backends.cpu.calls import call

from pellucid.backends.cpu.emit import I64, Emitter
from pellucid.dtypes import int64


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
