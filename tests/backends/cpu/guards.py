"""Arrays that end where memory ends: whoever reads behind them dies."""

import ctypes
import mmap
import sys

import numpy as np
import pytest

from pellucid.backends.cpu import memory
from pellucid.backends.cpu.assembler import Assembler


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


def own_memory_at_the_end(monkeypatch):
    """What the first thread has for itself ends where memory ends, in plans that are made from now on."""
    begin, ask, place = Assembler.__init__, Assembler.scratch, memory.Memory.__init__
    asked, kept = {}, []

    def begun(self, *args, **kwargs):
        asked.clear()
        begin(self, *args, **kwargs)

    def remembered(self, own):
        view, entries = ask(self, own)
        asked[view.buffer] = own
        return view, entries

    def placed(self, *args, **kwargs):
        place(self, *args, **kwargs)
        for buffer, own in asked.items():
            kept.append(at_the_end_of_memory(np.full(own, 0xFF, np.uint8)))
            self._bases[buffer] = kept[-1].ctypes.data

    monkeypatch.setattr(Assembler, "__init__", begun)
    monkeypatch.setattr(Assembler, "scratch", remembered)
    monkeypatch.setattr(memory.Memory, "__init__", placed)
    return kept
