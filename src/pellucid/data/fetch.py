"""Files that are downloaded once, checked, and kept in the cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pellucid.errors import DataError

_TIMEOUT_SECONDS = 30

#: Reads and checks a file; raises DataError where its content is not what it should be.
Reader = Callable[[Path], bytes]


def fetch(path: Path, addresses: Sequence[str], read: Reader, what: str, hint: str) -> bytes:
    """The content of a file, from the cache if it is whole there, else from the first address that has it.

    Args:
        path: Its place in the cache.
        addresses: Where it can be downloaded, in the order to try.
        read: Reads and checks the content.
        what: Name of the data set, for the error.
        hint: What the user can do where nothing helps.

    Raises:
        DataError: No address gave the file; the details name each address and its failure.
    """
    if path.is_file():
        try:
            return read(path)
        except DataError:
            pass  # Damaged, or left half-written by another program: downloaded anew.
    failures = []
    for address in addresses:
        try:
            return _download(address, path, read)
        # The exceptions of the download library are OSErrors.
        except (OSError, DataError) as error:
            failures.append(f"{address}: {error.message if isinstance(error, DataError) else error}")
    raise DataError(
        f"{what} could not be downloaded: every attempt to get {path.name} failed.", details=failures, hint=hint
    )


def _download(address: str, path: Path, read: Reader) -> bytes:
    """Download next to the final place, check, then rename: no other process ever sees half a file."""
    import pooch

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        download = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS, chunk_size=1 << 16)
        download(address, str(part), None)  # type: ignore[arg-type]
        content = read(part)
        os.replace(part, path)
        return content
    finally:
        part.unlink(missing_ok=True)
