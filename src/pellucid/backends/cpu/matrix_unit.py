"""The processor's matrix unit: squares of 16 rows of 64 bytes each, multiplied and added in one instruction.

Intel's AMX multiplies numbers of 8 significant bits (bfloat16) and adds float32. It is there from the fourth generation
of Xeon on, if the system allows a process to use it.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Sequence
from functools import lru_cache

from llvmlite import ir

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I1, I8, I32, I64, Emitter, Value

#: Tiles; rows of a tile, bytes of such a row, and bytes of a tile.
TILES, ROWS, WIDTH = 8, 16, 64
TILE = ROWS * WIDTH
# Linux: the system call arch_prctl, its request for a part of a processor's state, and the number of that part.
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18
# Of 64 bytes that say what tiles hold: where their widths and their numbers of rows begin.
_WIDTHS, _ROWS_AT = 16, 48
# Kinds of numbers, as bits, that AVX-512 looks for: both kinds of what is no number, and both infinities.
_NOT_FINITE = 0x01 | 0x80 | 0x08 | 0x10


@lru_cache(maxsize=1)
def is_available() -> bool:
    """Whether the processor has such a unit, and this process may use it."""
    features = target.processor().matrix_unit
    return features and sys.platform == "linux" and platform.machine() == "x86_64" and _permitted()


def _permitted() -> bool:
    """Ask the system for the unit, for all threads of this process."""
    try:
        return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0
    except (OSError, AttributeError):
        return False


class MatrixUnit:
    """Writes the unit's instructions into a kernel; its eight tiles have numbers.

    Args:
        e: The kernel in the making.
    """

    def __init__(self, e: Emitter) -> None:
        self.e = e

    def configure(self, shapes: Sequence[tuple[int, int]] = ((ROWS, WIDTH),) * TILES) -> None:
        """From here on the tiles have so many rows of so many bytes; by default all are whole."""
        e = self.e
        kind = ir.ArrayType(I8, WIDTH)
        place = e.b.alloca(kind)
        numbers = [1] + [0] * (WIDTH - 1)
        for tile, (rows, width) in enumerate(shapes):
            numbers[_WIDTHS + 2 * tile], numbers[_ROWS_AT + tile] = width, rows
        e.b.store(ir.Constant(kind, [I8(n) for n in numbers]), place)
        e.intrinsic("llvm.x86.ldtilecfg", ir.VoidType(), place)

    def release(self) -> None:
        """From here on the unit holds nothing, so that the system need not keep its state."""
        self.e.intrinsic("llvm.x86.tilerelease", ir.VoidType())

    def zero(self, tile: int) -> None:
        """Let a tile be 0."""
        self.e.intrinsic("llvm.x86.tilezero", ir.VoidType(), I8(tile))

    def load(self, tile: int, address: Value, stride: int | Value = WIDTH) -> None:
        """Read a tile whose rows lie so many bytes apart."""
        distance = I64(stride) if isinstance(stride, int) else stride
        self.e.intrinsic("llvm.x86.tileloadd64", ir.VoidType(), I8(tile), self.e.pointer(address), distance)

    def store(self, tile: int, address: Value, stride: int = WIDTH) -> None:
        """Write a tile whose rows lie so many bytes apart."""
        self.e.intrinsic("llvm.x86.tilestored64", ir.VoidType(), I8(tile), self.e.pointer(address), I64(stride))

    def multiply_add(self, total: int, left: int, right: int) -> None:
        """Add the product of two tiles of bfloat16 to a tile of float32.

        C[m, n] += sum over k of A[m, 2 k] B[k, 2 n] + A[m, 2 k + 1] B[k, 2 n + 1]; denormal numbers count as 0.
        """
        self.e.intrinsic("llvm.x86.tdpbf16ps", ir.VoidType(), I8(total), I8(left), I8(right))

    def not_finite(self, x: Value) -> Value:
        """The lanes of a register that hold an infinity or no number."""
        kind = ir.VectorType(I1, self.e.lanes)
        return self.e.intrinsic("llvm.x86.avx512.fpclass.ps.512", kind, x, I32(_NOT_FINITE))
