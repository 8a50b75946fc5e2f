"""Arrays that end where memory ends: whoever reads behind them dies."""

import ctypes
import mmap
import sys

import numpy as np
import pytest


def at_the_end_of_memory(array):
    """A copy of an array whose last byte is the last one of its page; the next page may not be read."""
    if sys.platform == "win32":
        pytest.skip("pages are guarded by mprotect here")
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    whole = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    pages = np.frombuffer(mmap.mmap(-1, whole + mmap.PAGESIZE), np.uint8)
    assert protect(pages.ctypes.data + whole, mmap.PAGESIZE, 0) == 0
    copy = pages[whole - array.nbytes : whole].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
