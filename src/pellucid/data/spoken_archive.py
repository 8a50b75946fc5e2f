"""The published archive of the spoken digits: downloaded once, checked by what it says, and unpacked in memory.

The archive is packed anew whenever it is asked for, and its bytes may change with that. So the checksum is one of the
recordings: of each one's name and samples, in the order of the names.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from pellucid import config
from pellucid.data.fetch import fetch
from pellucid.data.wav import read_wav
from pellucid.errors import DataError

ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset"
ADDRESSES = (f"{ADDRESS}/archive/refs/heads/master.zip",)
HINT = f"download {ADDRESS}, call its folder spoken_digits and set PELLUCID_DATA to the folder above it"

#: Samples per second of every take.
RATE = 8000

#: Digit, speaker and number of a take.
FILE = re.compile(r"(\d)_([a-zA-Z]+)_(\d+)\.wav")

#: Of the 3,000 recordings of six speakers.
_SHA256 = "129f5025b817f638b8cf07e28394159ae32468a3d0306f18500a623382670a71"

#: No recording is longer than 40 kB; a larger one is none.
_MOST_BYTES = 1_000_000


def read_take(path: Path, stream: BinaryIO | None = None) -> np.ndarray:
    """The samples of one recording, int16 [samples]: those of the file, or of a stream that stands for it.

    Raises:
        DataError: It is not a recording of this kind.
    """
    rate, audio = read_wav(path, stream)
    if rate != RATE or audio.ndim != 1 or audio.dtype != np.int16 or len(audio) == 0:
        found = f"{rate:,} Hz, {audio.dtype.name}{list(audio.shape)}"
        raise DataError(f"{path}: the sound must be int16 [samples] at {RATE:,} Hz, not {found}.")
    return audio


def downloaded(addresses: Sequence[str]) -> dict[str, np.ndarray]:
    """The samples of every recording by its name, from the cache or from the first address that has the archive.

    Raises:
        DataError: No address gave it.
    """
    path = config.cache_folder() / "spoken_digits" / "free-spoken-digit-dataset.zip"
    return _unpack(fetch(path, addresses, _checked, "The Free Spoken Digit Dataset", HINT))


def digest(recordings: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of recordings by name.

    >>> digest({"0_ann_0.wav": np.array([1, -1], "int16")})[:16]
    '5eaf30fdcb6e0512'
    """
    found = hashlib.sha256()
    for name in sorted(recordings):
        found.update(name.encode() + b"\n" + recordings[name].astype("<i2").tobytes())
    return found.hexdigest()


def _checked(path: Path) -> bytes:
    content = path.read_bytes()
    found = digest(_unpack(content))
    if found != _SHA256:
        raise DataError(f"the checksum is wrong: SHA-256 {found[:16]}..., expected {_SHA256[:16]}...")
    return content


def _unpack(content: bytes) -> dict[str, np.ndarray]:
    import zipfile

    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                place = PurePosixPath(member.filename)
                if place.parent.name != "recordings" or not FILE.fullmatch(place.name):
                    continue
                if member.file_size > _MOST_BYTES:
                    raise DataError(f"{place.name} in the archive is larger than {_MOST_BYTES:,} bytes.")
                found[place.name] = read_take(Path(place.name), io.BytesIO(archive.read(member)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"the file is not an archive of recordings ({error}).") from error
    if not found:
        raise DataError("the archive holds no recordings.")
    return {name: found[name] for name in sorted(found)}
