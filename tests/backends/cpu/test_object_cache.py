import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.backends.cpu.object_cache import ObjectCache

posix = pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")

PROGRAM = """
import sys
import numpy as np
from pellucid import compile, ops
f = compile(lambda x: ops.tanh(x) * 2.0 + ops.exp(x), backend="cpu")
print(np.asarray(f(np.linspace(-1, 1, 33, dtype="float32"))).tobytes().hex())
"""


@pytest.fixture
def cache(tmp_path, monkeypatch) -> ObjectCache:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return ObjectCache()


def test_what_was_stored_is_loaded_and_anything_else_is_absent(cache):
    assert cache.load("a") is None
    cache.store("a", b"machine code")
    assert cache.load("a") == b"machine code"
    assert cache.load("b") is None


@posix
def test_the_folder_belongs_to_the_user_alone(cache):
    cache.store("a", b"code")
    assert cache.folder.stat().st_mode & 0o777 == 0o700


@given(st.data())
def test_damage_anywhere_counts_as_absent(tmp_path_factory, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("cache")))
        cache = ObjectCache()
        cache.store("a", bytes(range(100)))
        path = cache.folder / "a.o"
        content = bytearray(path.read_bytes())
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        else:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(content))
        assert cache.load("a") is None


def test_code_under_another_key_is_not_taken(cache):
    cache.store("a", b"code")
    os.replace(cache.folder / "a.o", cache.folder / "b.o")
    assert cache.load("b") is None


@posix
def test_a_folder_that_others_may_write_to_is_not_trusted(cache):
    cache.store("a", b"code")
    cache.folder.chmod(0o777)
    assert cache.load("a") is None
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        cache.store("b", b"code")


@posix
def test_a_planted_link_or_open_file_is_not_followed(cache, tmp_path):
    cache.store("a", b"code")
    (tmp_path / "planted").write_bytes((cache.folder / "a.o").read_bytes())
    (cache.folder / "a.o").unlink()
    (cache.folder / "a.o").symlink_to(tmp_path / "planted")
    assert cache.load("a") is None
    cache.store("c", b"code")
    (cache.folder / "c.o").chmod(0o666)
    assert cache.load("c") is None


def test_a_folder_that_cannot_be_made_means_one_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "file"))
    cache = ObjectCache()
    with pytest.warns(RuntimeWarning, match="Compiled kernels cannot be kept"):
        cache.store("a", b"code")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.store("b", b"code")
    assert cache.load("a") is None


def run_program(folder) -> str:
    environment = {**os.environ, "PELLUCID_CACHE": str(folder)}
    found = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return found.stdout


def test_processes_share_the_folder_and_survive_its_damage(tmp_path):
    environment = {**os.environ, "PELLUCID_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (process.communicate(timeout=60)[0] for process in both)
    assert first == second
    assert np.frombuffer(bytes.fromhex(first.strip()), "float32").size == 33
    files = sorted((tmp_path / "kernels").glob("*.o"))
    assert files
    assert not list((tmp_path / "kernels").glob("*.part"))
    assert run_program(tmp_path) == first
    for path in files:
        path.write_bytes(path.read_bytes()[:-7])
    assert run_program(tmp_path) == first
