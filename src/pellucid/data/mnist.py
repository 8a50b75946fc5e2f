"""The MNIST handwritten digits: from the user's own files, from the cache, or downloaded.

The checksums are those of the unpacked files, because mirrors wrap the same content in different gzip files. A file
is checked whenever it is read, so that a damaged cache is noticed and replaced.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid import config
from pellucid.data.dataset import Dataset, Examples
from pellucid.data.fetch import fetch
from pellucid.data.idx import decode_idx, read_content
from pellucid.errors import DataError
from pellucid.shapes import show

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

_OWN_FILES_HINT = "put the four MNIST files into a folder and set PELLUCID_DATA to it"


@dataclass(frozen=True)
class _File:
    """One of the four files: its name, its number of axes, and the SHA-256 of its unpacked content."""

    name: str
    rank: int
    sha256: str

    @property
    def spellings(self) -> tuple[str, ...]:
        """The names under which people keep the file."""
        dotted = self.name.replace("-idx", ".idx")
        return (self.name, f"{self.name}.gz", dotted, f"{dotted}.gz")


_FILES = (
    _File("train-images-idx3-ubyte", 3, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    _File("train-labels-idx1-ubyte", 1, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    _File("t10k-images-idx3-ubyte", 3, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    _File("t10k-labels-idx1-ubyte", 1, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)


def mnist(*, mirrors: str | Sequence[str] = MIRRORS) -> Dataset:
    """Load the 70,000 handwritten digits of MNIST: 28 x 28 grey pixels, ten classes.

    Where the environment variable ``PELLUCID_DATA`` is set, the files are taken from that folder or its subfolder
    ``mnist``; where it is not, or there is none of them, from the cache, where they are downloaded once.

    Args:
        mirrors: Base address to download from, or several that are tried in order.

    Returns:
        x float32 [60000, 28, 28, 1] and [10000, 28, 28, 1], 0 (paper) to 1 (ink); y int32, 0 to 9.

    Raises:
        DataError: Files are missing or damaged, or cannot be downloaded.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.

    >>> mnist()                                                             # doctest: +SKIP
    Dataset('mnist': classification into 10 classes, 60,000 training and 10,000 test examples of shape [28, 28, 1])
    """
    folder = config.data_folder()
    mirrors = (mirrors,) if isinstance(mirrors, str) else mirrors
    contents, source = (_own_files(folder) if folder is not None else None) or _cached_files(mirrors)
    arrays = [decode_idx(content, name, file.rank) for file, (name, content) in zip(_FILES, contents, strict=True)]
    names = [name for name, _ in contents]
    return Dataset(
        name="mnist",
        task="classification",
        train=_examples(arrays[0], arrays[1], names[0], names[1]),
        test=_examples(arrays[2], arrays[3], names[2], names[3]),
        feature_names=tuple(f"pixel_{i}_{j}" for i in range(arrays[0].shape[1]) for j in range(arrays[0].shape[2])),
        target_names=tuple(str(digit) for digit in range(10)),
        description="Handwritten digits, 28 x 28 grey pixels from 0 (paper) to 1 (ink).",
        source=source,
        licence="CC BY-SA 3.0",
    )


def _examples(images: np.ndarray, labels: np.ndarray, images_name: str, labels_name: str) -> Examples:
    if images.shape[1:] != (28, 28):
        raise DataError(f"{images_name}: the images must have the shape [28, 28], not {show(images.shape[1:])}.")
    if len(images) != len(labels):
        raise DataError(f"{images_name} has {len(images):,} images, but {labels_name} has {len(labels):,} labels.")
    if len(labels) == 0 or labels.max() > 9:
        largest = f"up to {labels.max()}" if len(labels) else "none"
        raise DataError(f"{labels_name}: the labels must be 0 to 9, found {largest}.")
    x = np.divide(images, np.float32(255), dtype=np.float32)
    return x[..., np.newaxis], labels.astype(np.int32)


def _own_files(folder: Path) -> tuple[list[tuple[str, bytes]], str] | None:
    """Names and contents of the user's four files, from the first folder that has them all; None where it has none."""
    candidates = [_present(place) for place in (folder, folder / "mnist")]
    found = max(candidates, key=len)
    if not found:
        return None
    missing = [file.name for file in _FILES if file not in found]
    if missing:
        raise DataError(
            f"PELLUCID_DATA is set to {folder}, but neither that folder nor its subfolder 'mnist' has all four MNIST "
            f"files; missing: {', '.join(missing)}.",
            hint="put them there (with or without .gz), or remove the others: then all are downloaded",
        )
    contents = [(str(found[file]), read_content(found[file])) for file in _FILES]
    published = all(_is_published(file, content) for file, (_, content) in zip(_FILES, contents, strict=True))
    note = "" if published else "; they differ from the published MNIST files"
    return contents, f"the user's files in {next(iter(found.values())).parent}{note}"


def _present(folder: Path) -> dict[_File, Path]:
    paths = {file: [folder / name for name in file.spellings if (folder / name).is_file()] for file in _FILES}
    return {file: found[0] for file, found in paths.items() if found}


def _cached_files(mirrors: Sequence[str]) -> tuple[list[tuple[str, bytes]], str]:
    folder = config.cache_folder() / "mnist"
    contents = [(str(folder / f"{file.name}.gz"), _fetch(file, folder, mirrors)) for file in _FILES]
    return contents, "LeCun, Cortes, Burges: The MNIST database of handwritten digits (1998)"


def _is_published(file: _File, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == file.sha256


def _fetch(file: _File, folder: Path, mirrors: Sequence[str]) -> bytes:
    path = folder / f"{file.name}.gz"
    addresses = [f"{mirror.rstrip('/')}/{path.name}" for mirror in mirrors]
    return fetch(path, addresses, lambda place: _checked_content(file, place), "MNIST", _OWN_FILES_HINT)


def _checked_content(file: _File, path: Path) -> bytes:
    content = read_content(path)
    if not _is_published(file, content):
        found = hashlib.sha256(content).hexdigest()
        raise DataError(f"the checksum is wrong: SHA-256 {found[:16]}..., expected {file.sha256[:16]}...")
    return content
