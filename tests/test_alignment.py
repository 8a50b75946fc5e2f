import numpy as np
import pytest

from pellucid.alignment import ALIGNMENT, aligned_bytes, aligned_copy


@pytest.mark.parametrize("shape", [(), (0,), (3,), (5, 7), (4, 0, 2)])
@pytest.mark.parametrize("kind", ["float32", "float64", "int8", "bool", "uint32"])
def test_copies_begin_at_a_cache_line_whatever_they_hold(shape, kind):
    values = np.ones(shape, kind)
    copy = aligned_copy(values)
    np.testing.assert_array_equal(copy, values, strict=True)
    assert copy.ctypes.data % ALIGNMENT == 0 or copy.size == 0
    assert copy.flags.c_contiguous
    assert copy.flags.writeable
    assert not np.shares_memory(copy, values)


def test_columns_become_rows():
    values = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    copy = aligned_copy(values)
    assert copy.strides == (24, 8)
    np.testing.assert_array_equal(copy, values)


def test_bytes_are_as_many_as_asked_for_and_zero():
    for count in (0, 1, 63, 64, 1000):
        assert aligned_bytes(count).shape == (count,)
        assert not aligned_bytes(count).any()
