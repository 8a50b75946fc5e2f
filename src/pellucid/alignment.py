"""Arrays that begin at a cache line.

A register of 64 bytes that does not begin at a line lies in two of them, and takes two accesses to read or write. NumPy
aligns to 16 bytes only, by which speed would be a matter of luck.
"""

from __future__ import annotations

import numpy as np

#: Bytes of a cache line, and of the widest vector register.
ALIGNMENT = 64


def aligned_bytes(count: int) -> np.ndarray:
    """Zeros that begin at a cache line.

    Args:
        count: How many bytes.

    >>> aligned_bytes(100).ctypes.data % ALIGNMENT
    0
    """
    memory = np.zeros(count + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count]


def aligned_copy(values: np.ndarray) -> np.ndarray:
    """A copy in row order that begins at a cache line.

    >>> copy = aligned_copy(np.arange(6.0).reshape(2, 3).T)
    >>> copy.shape, copy.flags.c_contiguous, copy.ctypes.data % ALIGNMENT
    ((3, 2), True, 0)
    """
    copy = aligned_bytes(values.nbytes).view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy
