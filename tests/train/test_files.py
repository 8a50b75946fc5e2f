import os
import stat

import pytest

from pellucid.train.files import write_atomically


def test_the_file_holds_the_bytes(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "file", b"\x00\r\n\xff")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"\x00\r\n\xff"
    write_atomically(tmp_path / "a" / "b" / "file", b"")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b""
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_the_old_file_alone(tmp_path, monkeypatch, step, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*args):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_bytes_are_flushed_before_the_file_appears(tmp_path, monkeypatch):
    order = []
    for step in ("fsync", "replace"):
        real = getattr(os, step)
        monkeypatch.setattr(os, step, lambda *args, real=real, step=step: (order.append(step), real(*args))[1])
    write_atomically(tmp_path / "file", b"new")
    assert order[:2] == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_permissions_are_those_of_an_ordinary_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"")
        (tmp_path / "ordinary").touch()
        assert os.umask(mask) == mask  # left as it was
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "ordinary")]
    assert modes == [0o666 & ~mask] * 2
