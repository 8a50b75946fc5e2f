"""Compiled kernels on disk, so that a machine compiles each only once.

A file is trusted only in a folder that belongs to the user and that nobody else may write to, and only if its checksum
holds; anything else counts as absent and is compiled anew. Several processes may fill the folder at once: files appear
whole, under the name of their content's key.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
import warnings
from pathlib import Path

from pellucid import config

_DIGEST = 32
#: How the keys begin under which another key is kept instead of machine code.
RECIPE = "recipe-"
#: Files that are being written, and the age in seconds from which on nobody does so any more.
_PART, _ABANDONED = ".part", 3600.0


class ObjectCache:
    """Machine code by key, below the user's cache folder.

    Attributes:
        failed: Whether something could not be kept.
    """

    def __init__(self) -> None:
        self.failed = False
        self._swept = False

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return config.cache_folder() / "kernels"

    def load(self, key: str) -> bytes | None:
        """The machine code of a key, or None where there is none that can be trusted."""
        path = self.folder / f"{key}.o"
        try:
            if not _private(self.folder) or not _ours(os.lstat(path)) or path.is_symlink():
                return None
            content = path.read_bytes()
        except OSError:
            return None
        payload = content[_DIGEST:]
        return payload if content[:_DIGEST] == _digest(key, payload) else None

    def store(self, key: str, code: bytes) -> None:
        """Keep machine code; a folder that cannot be used means one warning."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(self.folder):
                raise PermissionError(13, "others may write to it, or it belongs to someone else")
            if not self._swept:
                self._sweep()
            handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=_PART)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_digest(key, code) + code)
                os.replace(temporary, self.folder / f"{key}.o")
            except OSError:
                os.unlink(temporary)
                raise
        except OSError as error:
            self._warn(error)

    def sizes(self) -> list[int]:
        """The bytes of each kernel's machine code."""
        return [path.stat().st_size for path in self.folder.glob("*.o") if not path.name.startswith(RECIPE)]

    def _sweep(self) -> None:
        """Remove what processes that were killed while they wrote have left behind."""
        self._swept = True
        for part in self.folder.glob(f"*{_PART}"):
            try:
                if time.time() - part.stat().st_mtime > _ABANDONED:
                    part.unlink()
            except OSError:
                continue  # another process was quicker

    def _warn(self, error: OSError) -> None:
        if not self.failed:
            self.failed = True
            warnings.warn(
                f"Compiled kernels cannot be kept in {self.folder} ({error.strerror}): every process compiles them "
                f"anew. Set {config.CACHE.variable} to a folder of your own.",
                RuntimeWarning,
                stacklevel=2,
            )


def _digest(key: str, code: bytes) -> bytes:
    return hashlib.sha256(key.encode() + code).digest()


def _ours(status: os.stat_result) -> bool:
    """Whether a file belongs to the user and nobody else may write to it (Windows keeps that by the profile folder)."""
    if os.name == "nt":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _private(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and _ours(folder.stat())
