import os
import subprocess
import sys
import time
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


def test_what_a_killed_process_left_behind_is_removed_in_time(cache):
    cache.store("a", b"code")
    old, new = cache.folder / "old.part", cache.folder / "new.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    ObjectCache().store("b", b"code")
    assert not old.exists()
    assert new.exists()


def test_a_full_disk_leaves_nothing_behind(cache, monkeypatch):
    def full(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        cache.store("a", b"code")
    assert list(cache.folder.iterdir()) == []


TRAINING = """
import numpy as np
from pellucid import Input, Sequential, set_seed
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D
set_seed(0)
net = Sequential([Input((12, 12, 1)), Conv2D(6, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(3, "softmax")])
net.compile("categorical_crossentropy", "adam", backend="cpu")
x = np.random.default_rng(0).normal(size=(64, 12, 12, 1)).astype("float32")
net.fit(x, np.arange(64) % 3, batch_size=16, epochs=1, seed=0, verbose=0)
print(b"".join(w.tobytes() for w in net.get_weights().values()).hex())
"""


@pytest.mark.slow
def test_killed_processes_leave_a_cache_that_serves_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))

    def start(folder):
        environment = {**os.environ, "PELLUCID_CACHE": str(folder)}
        return subprocess.Popen([sys.executable, "-c", TRAINING], env=environment, stdout=subprocess.PIPE)

    whole = start(tmp_path / "other")
    started = time.monotonic()
    expected, _ = whole.communicate(timeout=120)
    seconds = time.monotonic() - started
    kernels = tmp_path / "cache" / "kernels"
    counts = []
    for turn in range(1, 7):
        process = start(tmp_path / "cache")
        time.sleep(seconds * turn / 7)
        process.kill()
        process.communicate()
        counts.append(len(list(kernels.glob("*.o"))) if kernels.is_dir() else 0)
        assert all(ObjectCache().load(path.stem) for path in kernels.glob("*.o"))
    last = start(tmp_path / "cache")
    found, _ = last.communicate(timeout=120)
    assert (last.returncode, found) == (0, expected)
    assert counts[-1] > 0, "every process was killed before it wrote a kernel"


WRITING = """
import sys
import numpy as np
from pellucid.backends.cpu import emit
written = []
finish = emit.Emitter.finish
emit.Emitter.finish = lambda self: written.append(1) or finish(self)
from pellucid import compile, ops
f = compile(lambda x, w: ops.tanh(x @ w) + ops.max(x), backend="cpu")
x = np.linspace(-1, 1, 64, dtype="float32").reshape(8, 8)
print(np.asarray(f(x, x)).tobytes().hex(), len(written) > 0)
"""


def test_a_second_process_does_not_even_write_the_kernels(tmp_path):
    def run(**settings):
        environment = {**os.environ, "PELLUCID_CACHE": str(tmp_path), "PELLUCID_VERIFY": "", **settings}
        done = subprocess.run([sys.executable, "-c", WRITING], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    first, second = run(), run()
    assert (first[1], second[1]) == ("True", "False")
    assert first[0] == second[0]
    assert run(PELLUCID_VERIFY="1") == [first[0], "True"]
    for path in (tmp_path / "kernels").glob("recipe-*"):
        path.write_bytes(b"damaged")
    assert run() == [first[0], "True"]
    for path in (tmp_path / "kernels").glob("[0-9a-f]*.o"):
        path.unlink()
    assert run() == [first[0], "True"]
