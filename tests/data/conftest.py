"""Fixtures of the data tests: the real MNIST files, a writer of small tables, and settings of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No user folder, an empty cache, and no proxy between a test and its own server. Returns the cache folder."""
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of the four gzipped MNIST files."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("PELLUCID_TEST_DATA") or beside) / "mnist"
    if not folder.is_dir():
        pytest.skip("the MNIST files are not here (set PELLUCID_TEST_DATA to a folder that has mnist/)")
    return folder


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a file into an empty working folder; errors then name it by its short relative path."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: str | bytes, name: str = "people.csv") -> str:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write_file
