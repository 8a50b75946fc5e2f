"""The processor's matrix unit: squares of 16 rows of 64 bytes each, multiplied and added in one instruction.

Intel's AMX multiplies numbers of 8 significant bits (bfloat16) and adds float32. It is there from the fourth generation
of Xeon on, if the system allows a process to use it.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import lru_cache

from llvmlite import ir

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I8, I64, Emitter, Value

#: Rows of a tile, bytes of such a row, and bytes of a tile.
ROWS, WIDTH = 16, 64
TILE = ROWS * WIDTH
# Linux: the system call arch_prctl, its request for a part of a processor's state, and the number of that part.
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18
# Of 64 bytes that say what tiles hold: where the widths of 8 tiles and their numbers of rows begin.
_WIDTHS, _ROWS_AT, _TILES = 16, 48, 8


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

    def configure(self) -> None:
        """From here on all tiles are whole."""
        e = self.e
        kind = ir.ArrayType(I8, WIDTH)
        place = e.b.alloca(kind)
        numbers = [1] + [0] * (WIDTH - 1)
        for tile in range(_TILES):
            numbers[_WIDTHS + 2 * tile], numbers[_ROWS_AT + tile] = WIDTH, ROWS
        e.b.store(ir.Constant(kind, [I8(n) for n in numbers]), place)
        e.intrinsic("llvm.x86.ldtilecfg", ir.VoidType(), place)

    def release(self) -> None:
        """From here on the unit holds nothing, so that the system need not keep its state."""
        self.e.intrinsic("llvm.x86.tilerelease", ir.VoidType())

    def zero(self, tile: int) -> None:
        """Let a tile be 0."""
        self.e.intrinsic("llvm.x86.tilezero", ir.VoidType(), I8(tile))

    def load(self, tile: int, address: Value, stride: int = WIDTH) -> None:
        """Read a tile whose rows lie so many bytes apart."""
        self.e.intrinsic("llvm.x86.tileloadd64", ir.VoidType(), I8(tile), self.e.pointer(address), I64(stride))

    def store(self, tile: int, address: Value, stride: int = WIDTH) -> None:
        """Write a tile whose rows lie so many bytes apart."""
        self.e.intrinsic("llvm.x86.tilestored64", ir.VoidType(), I8(tile), self.e.pointer(address), I64(stride))

    def multiply_add(self, total: int, left: int, right: int) -> None:
        """Add the product of two tiles of bfloat16 to a tile of float32.

        C[m, n] += sum over k of A[m, 2 k] B[k, 2 n] + A[m, 2 k + 1] B[k, 2 n + 1]; denormal numbers count as 0.
        """
        self.e.intrinsic("llvm.x86.tdpbf16ps", ir.VoidType(), I8(total), I8(left), I8(right))
