"""Calling a kernel by its address."""

import ctypes

import numpy as np

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def call(address, record):
    """Run a kernel in one thread on the numbers of its record."""
    numbers = np.array(record, np.int64)
    KERNEL(address)(numbers.ctypes.data, 0, 1)
