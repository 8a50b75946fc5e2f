"""The IDX format of the MNIST files: a header of big-endian sizes, then the numbers.

Layout: two zero bytes, the element type (8 is unsigned byte), the number of axes, one uint32 per axis, the data.
Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", section "the IDX file format".
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from pellucid.errors import DataError
from pellucid.shapes import show

_UNSIGNED_BYTE = 8
_GZIP_MAGIC = b"\x1f\x8b"
_TYPE_NAMES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}


def read_idx(path: str | os.PathLike[str], rank: int | None = None) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: The file; whether it is gzipped is read from its content, not from its name.
        rank: Number of axes that the file must have; None takes any.

    Returns:
        uint8 array, read-only, of the shape in the header.

    Raises:
        DataError: The file is absent, damaged, cut short, too long or of another kind.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    return decode_idx(read_content(path), str(path), rank)


def read_content(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, unpacked where they are gzipped.

    Raises:
        DataError: The file cannot be read, or its gzip wrapping is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.") from error
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged ({error}).") from error


def decode_idx(content: bytes, source: str, rank: int | None = None) -> np.ndarray:
    """The array in the bytes of an IDX file of unsigned bytes; ``source`` is the file's name for errors.

    Raises:
        DataError: The bytes are cut short, too many or of another kind.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{source} is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}, not 00 00.")
    kind, axes = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        name = _TYPE_NAMES.get(kind, f"unknown type {kind}")
        raise DataError(f"{source}: the elements must be uint8 (type 8), not {name}.")
    if axes == 0 or (rank is not None and axes != rank):
        wanted = "at least one axis" if rank is None else f"{rank} axes" if rank > 1 else "1 axis"
        raise DataError(f"{source}: the array must have {wanted}, not {axes}.")
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{source} is cut short: its header needs {start} bytes, the file has {len(content):,}.")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, offset=4))
    expected = start + math.prod(shape)
    if len(content) != expected:
        what = "is cut short" if len(content) < expected else "is too long"
        raise DataError(
            f"{source} {what}: the shape {show(shape)} in its header needs {expected:,} bytes, "
            f"the file has {len(content):,}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
