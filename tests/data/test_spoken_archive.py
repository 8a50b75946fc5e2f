from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from tests.data.mirror import Mirror

from pellucid.data import load, load_takes
from pellucid.data import spoken_archive as module
from pellucid.errors import DataError

ZIP = "master.zip"
TAKES = {
    f"{digit}_{speaker}_{take}.wav": np.random.default_rng(digit + take).integers(-999, 999, 300).astype(np.int16)
    for digit in (0, 1)
    for speaker in ("ann", "bob")
    for take in (0, 7)
}


def zipped(takes: dict[str, np.ndarray] = TAKES, folder: str = "free-spoken-digit-dataset-master/recordings") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, audio in reversed(takes.items()):
            sound = io.BytesIO()
            wavfile.write(sound, 8000, audio)
            archive.writestr(f"{folder}/{name}", sound.getvalue())
        archive.writestr("free-spoken-digit-dataset-master/README.md", "about the data")
        archive.writestr(f"{folder}/acquire.py", "no recording")
    return out.getvalue()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small recordings in place of the published ones."""
    monkeypatch.setattr(module, "_SHA256", module.digest(TAKES))


def test_the_checksum_is_that_of_the_real_recordings(spoken_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_DATA", str(spoken_folder.parent))
    takes = load_takes()
    names = [f"{d}_{s}_{t}.wav" for d, s, t in zip(takes.labels, takes.speakers, takes.takes, strict=True)]
    assert module.digest(dict(zip(names, takes.audio, strict=True))) == module._SHA256


def test_a_download_is_checked_unpacked_and_kept(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], own_settings: Path
) -> None:
    mirror = serve({ZIP: zipped()})
    for _ in range(2):
        takes = load_takes(addresses=[mirror.address + "missing.zip", mirror.address + ZIP])
        assert takes.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
        assert takes.speakers.tolist() == ["ann", "ann", "bob", "bob"] * 2
        assert takes.takes.tolist() == [0, 7] * 4
        assert all(np.array_equal(a, TAKES[name]) for a, name in zip(takes.audio, sorted(TAKES), strict=True))
    assert mirror.requests == ["missing.zip", ZIP]
    assert [path.name for path in (own_settings / "spoken_digits").iterdir()] == ["free-spoken-digit-dataset.zip"]
    data = load("spoken_digits", addresses=mirror.address + ZIP, seconds=0.1)
    assert (len(data.x_train), len(data.x_test)) == (4, 4)
    assert data.source == (
        "Jackson et al.: Free Spoken Digit Dataset; https://github.com/Jakobovski/free-spoken-digit-dataset"
    )


def test_an_archive_packed_in_another_way_has_the_same_checksum(
    published: None, serve: Callable[[dict[str, bytes]], Mirror]
) -> None:
    again = zipped(dict(reversed(TAKES.items())), "free-spoken-digit-dataset-1.0/recordings")
    assert again != zipped()
    assert len(load_takes(addresses=serve({ZIP: again}).address + ZIP).audio) == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({**TAKES, "0_ann_0.wav": np.ones(300, np.int16)}), "the checksum is wrong: SHA-256 "),
        (zipped({**TAKES, "9_ann_0.wav": np.ones(300, np.int16)}), "the checksum is wrong: SHA-256 "),
        (zipped({**TAKES, "0_ann_0.wav": np.ones(300, np.float32)}), "0_ann_0.wav: the sound must be int16 [samples]"),
        (zipped(folder="elsewhere"), "the archive holds no recordings."),
        (zipped()[:900], "the file is not an archive of recordings ("),
        (b"<html>moved</html>", "the file is not an archive of recordings ("),
    ],
)
def test_a_download_of_other_content_is_refused_and_not_kept(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], own_settings: Path, content: bytes, message: str
) -> None:
    mirror = serve({ZIP: content})
    with pytest.raises(DataError, match="The Free Spoken Digit Dataset could not be downloaded") as caught:
        load_takes(addresses=mirror.address + ZIP)
    assert caught.value.details[0].startswith(f"{mirror.address}{ZIP}: {message}")
    assert list((own_settings / "spoken_digits").iterdir()) == []


def test_a_recording_that_would_unpack_to_too_much_is_refused(
    published: None, serve: Callable[[dict[str, bytes]], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    with pytest.raises(DataError) as caught:
        load_takes(addresses=serve({ZIP: zipped()}).address + ZIP)
    assert caught.value.details[0].endswith("in the archive is larger than 100 bytes.")


def test_the_archive_is_that_of_the_authors() -> None:
    assert all(address.startswith(f"{module.ADDRESS}/archive/") for address in module.ADDRESSES)
