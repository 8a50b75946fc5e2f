from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pellucid.data import read_idx
from pellucid.data.idx import decode_idx
from pellucid.errors import DataError


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)))
def test_what_was_written_is_read(array: np.ndarray) -> None:
    read = decode_idx(idx(array), "file")
    assert read.dtype == np.uint8
    assert read.shape == array.shape
    assert np.array_equal(read, array)


@given(st.binary(max_size=40))
def test_any_bytes_give_an_array_or_a_data_error(content: bytes) -> None:
    try:
        array = decode_idx(content, "file")
    except DataError:
        return
    assert len(content) == 4 + 4 * array.ndim + math.prod(array.shape)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_gzip_is_recognised_by_content_not_by_name(tmp_path: Path, pack) -> None:
    path = tmp_path / "labels"
    path.write_bytes(pack(idx(np.array([3, 1, 2], np.uint8))))
    assert read_idx(path, rank=1).tolist() == [3, 1, 2]


IMAGES = idx(np.zeros((2, 3, 4), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "images is not an IDX file: it begins with nothing, not 00 00."),
        (b"PK\x03\x04....", "images is not an IDX file: it begins with 50 4b 03 04, not 00 00."),
        (b"\0\0\x0d" + IMAGES[3:], "images: the elements must be uint8 (type 8), not float32."),
        (b"\0\0\x63" + IMAGES[3:], "images: the elements must be uint8 (type 8), not unknown type 99."),
        (idx(np.zeros(5, np.uint8)), "images: the array must have 3 axes, not 1."),
        (IMAGES[:9], "images is cut short: its header needs 16 bytes, the file has 9."),
        (IMAGES[:-1], "images is cut short: the shape [2, 3, 4] in its header needs 40 bytes, the file has 39."),
        (IMAGES + b"!", "images is too long: the shape [2, 3, 4] in its header needs 40 bytes, the file has 41."),
    ],
)
def test_a_header_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx("images", rank=3)
    assert str(caught.value) == message


def test_an_array_without_axes_is_refused() -> None:
    with pytest.raises(DataError, match=r"^file: the array must have at least one axis, not 0\.$"):
        decode_idx(b"\0\0\x08\0!", "file")


def test_a_header_of_absurd_sizes_asks_for_no_memory() -> None:
    with pytest.raises(DataError, match="is cut short"):
        decode_idx(b"\0\0\x08\x03" + b"\xff" * 12 + b"data", "file")


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:30] + b"\xff\xff" + b[32:], lambda b: b + b"junk"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, 500, dtype=np.uint8)
    Path("labels.gz").write_bytes(damage(gzip.compress(idx(noise))))
    with pytest.raises(DataError, match=r"^labels\.gz: the gzip file is damaged \("):
        read_idx("labels.gz")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError) as caught:
        read_idx("nowhere")
    assert str(caught.value) == "The file nowhere cannot be read: No such file or directory."
