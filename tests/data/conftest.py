"""Fixtures of the data tests: the real files, a web server, a writer of small tables, and settings of their own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.data.mirror import Mirror


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No user folder, an empty cache, and no proxy between a test and its own server. Returns the cache folder."""
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def real_files(name: str) -> Path:
    """A folder of real data beside the repository."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("PELLUCID_TEST_DATA") or beside) / name
    if not folder.is_dir():
        pytest.skip(f"the files of {name} are not here (set PELLUCID_TEST_DATA to a folder that has {name}/)")
    return folder


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of the four gzipped MNIST files."""
    return real_files("mnist")


@pytest.fixture(scope="session")
def spam_folder() -> Path:
    """The folder of the SMS Spam Collection."""
    return real_files("sms_spam")


@pytest.fixture(scope="session")
def spoken_folder() -> Path:
    """The folder of the pack of spoken digits."""
    return real_files("spoken_digits")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PELLUCID_DATA set to an empty folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("PELLUCID_DATA", str(folder))
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, bytes]], Mirror]]:
    started: list[Mirror] = []

    def start(files: dict[str, bytes]) -> Mirror:
        started.append(Mirror(files))
        return started[-1]

    yield start
    for mirror in started:
        mirror.server.shutdown()
        mirror.server.server_close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a file into an empty working folder; errors then name it by its short relative path."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: str | bytes, name: str = "people.csv") -> str:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write_file
