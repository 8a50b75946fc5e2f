from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from pellucid.data import load, load_takes
from pellucid.errors import ConfigurationError, DataError


def pack(folder: Path, **changes: Any) -> None:
    """Two speakers, two digits, ten takes, each take a tone of its own length."""
    r = np.random.default_rng(0)
    rows = [(digit, speaker, take) for digit in (0, 1) for speaker in ("ann", "bob") for take in range(10)]
    lengths = r.integers(400, 900, len(rows))
    arrays: dict[str, Any] = {
        "audio": r.integers(-1000, 1000, int(lengths.sum())).astype(np.int16),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "labels": np.array([digit for digit, _, _ in rows], np.uint8),
        "speakers": np.array([speaker for _, speaker, _ in rows]),
        "takes": np.array([take for _, _, take in rows], np.uint8),
    }
    folder.mkdir(exist_ok=True, parents=True)
    np.savez(folder / "fsdd.npz", **(arrays | changes))


def test_the_real_recordings_have_their_known_numbers(spoken_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_DATA", str(spoken_folder.parent))
    takes = load_takes()
    assert len(takes.audio) == 3000
    assert np.bincount(takes.labels).tolist() == [300] * 10
    assert sorted(set(takes.speakers.tolist())) == ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
    assert sum(len(take) > 8000 for take in takes.audio) == 20
    data = load("spoken_digits", features="mfcc")
    assert data.x_train.shape == (2700, 61, 13)
    assert np.bincount(data.y_test).tolist() == [30] * 10
    assert data.encoder is not None
    held = [take for take, number in zip(takes.audio, takes.takes, strict=True) if number < 5]
    assert np.array_equal(data.encoder.encode(held), data.x_test)


def test_the_takes_zero_to_four_are_held_out(own: Path) -> None:
    pack(own / "spoken_digits")
    data = load("spoken_digits", features="waveform", seconds=0.1)
    assert data.x_train.shape == (20, 800, 1)
    assert data.x_test.shape == (20, 800, 1)
    takes = load_takes()
    first = takes.audio[0]
    assert data.x_test[0, : len(first), 0] == pytest.approx(first[:800] / 32768)
    assert data.y_test.tolist() == [0] * 10 + [1] * 10
    assert data.source == f"the user's file {own / 'spoken_digits' / 'fsdd.npz'}"


def test_a_speaker_can_be_held_out(own: Path) -> None:
    pack(own)
    data = load("spoken_digits", test_speaker="bob", seconds=0.1)
    takes = load_takes()
    assert data.encoder is not None
    bobs = [take for take, name in zip(takes.audio, takes.speakers, strict=True) if name == "bob"]
    assert np.array_equal(data.x_test, data.encoder.encode(bobs))
    with pytest.raises(ConfigurationError) as caught:
        load("spoken_digits", test_speaker="bobby", seconds=0.1)
    assert str(caught.value) == "Unknown speaker 'bobby'; known are: ann, bob.\nHint: did you mean 'bob'?"


@pytest.mark.parametrize(
    "place", ["spoken_digits", "spoken_digits/recordings", "free-spoken-digit-dataset/recordings", "recordings", "."]
)
def test_the_published_folder_of_sound_files_gives_the_same_as_the_pack(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    pack(tmp_path / "packed")
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "packed"))
    packed = load_takes()
    folder = own / place
    folder.mkdir(parents=True, exist_ok=True)
    for audio, label, speaker, take in zip(packed.audio, packed.labels, packed.speakers, packed.takes, strict=True):
        wavfile.write(folder / f"{label}_{speaker}_{take}.wav", 8000, audio)
    (folder / "notes.wav").write_bytes(b"not a take")
    monkeypatch.setenv("PELLUCID_DATA", str(own))
    files = load_takes()
    for read, kept in zip(files.audio, packed.audio, strict=True):
        assert np.array_equal(read, kept)
    assert np.array_equal(files.labels, packed.labels)
    assert np.array_equal(files.speakers, packed.speakers)
    assert np.array_equal(files.takes, packed.takes)
    assert files.source == f"the user's files in {own / place}"


@pytest.mark.parametrize("folder", [True, False])
def test_what_cannot_be_downloaded_is_told_with_what_to_do(
    own: Path, folder: bool, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not folder:
        monkeypatch.delenv("PELLUCID_DATA")
    with pytest.raises(DataError) as caught:
        load("spoken_digits", addresses=f"http://127.0.0.1:{closed_port}/master.zip")
    assert caught.value.message == (
        "The Free Spoken Digit Dataset could not be downloaded: every attempt to get free-spoken-digit-dataset.zip "
        "failed."
    )
    assert caught.value.hint == (
        "download https://github.com/Jakobovski/free-spoken-digit-dataset, call its folder spoken_digits and set "
        "PELLUCID_DATA to the folder above it"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": np.zeros(3, np.uint8)},
            "the arrays audio, offsets, labels, speakers and takes do not fit together",
        ),
        ({"audio": np.zeros(100, np.float32)}, "the arrays audio, offsets, labels, speakers and takes do not fit"),
        ({"offsets": np.arange(41)}, "the offsets do not cut the audio into takes, or a label is not a digit"),
        ({"labels": np.full(40, 10, np.uint8)}, "the offsets do not cut the audio into takes, or a label is not"),
        ({"speakers": np.array([{}] * 40, dtype=object)}, "is not a pack of spoken digits (Object arrays cannot be"),
    ],
)
def test_a_pack_that_does_not_fit_is_refused(own: Path, changes: dict[str, Any], message: str) -> None:
    pack(own, **changes)
    with pytest.raises(DataError) as caught:
        load_takes()
    assert str(own / "fsdd.npz") in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"junk", lambda b: b""])
def test_a_damaged_pack_is_refused(own: Path, damage: Callable[[bytes], bytes]) -> None:
    pack(own)
    (own / "fsdd.npz").write_bytes(damage((own / "fsdd.npz").read_bytes()))
    with pytest.raises(DataError, match=r"fsdd\.npz is not a pack of spoken digits \("):
        load_takes()


@pytest.mark.parametrize(
    ("rate", "audio", "found"),
    [
        (16000, np.zeros(10, np.int16), "16,000 Hz, int16[10]"),
        (8000, np.zeros((10, 2), np.int16), "8,000 Hz, int16[10, 2]"),
        (8000, np.zeros(10, np.float32), "8,000 Hz, float32[10]"),
    ],
)
def test_sound_files_of_another_form_are_named(own: Path, rate: int, audio: np.ndarray, found: str) -> None:
    path = own / "3_ann_0.wav"
    wavfile.write(path, rate, audio)
    with pytest.raises(DataError) as caught:
        load_takes()
    assert str(caught.value) == f"{path}: the sound must be int16 [samples] at 8,000 Hz, not {found}."
    path.write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"3_ann_0\.wav is not a sound file that can be read \("):
        load_takes()


def test_one_part_without_takes_is_refused(own: Path) -> None:
    wavfile.write(own / "3_ann_7.wav", 8000, np.zeros(300, np.int16))
    with pytest.raises(DataError, match=r"the recordings do not have both training and test takes\.$"):
        load("spoken_digits")


@pytest.mark.slow
def test_hand_made_features_carry_a_dense_net_where_the_raw_waveform_does_not(
    spoken_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid import Sequential, set_seed
    from pellucid.nn import Dense

    monkeypatch.setenv("PELLUCID_DATA", str(spoken_folder.parent))
    accuracy = {}
    for features in ("log_mel", "waveform"):
        data = load("spoken_digits", features=features).standardized().flat()
        set_seed(0)
        model = Sequential([Dense(64, activation="relu"), Dense(10, activation="softmax")])
        model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
        model.fit(data.x_train, data.y_train, batch_size=32, epochs=10, seed=0, verbose=0)
        accuracy[features] = model.evaluate(data.x_test, data.y_test)[1]
    assert accuracy["log_mel"] > 0.9
    assert accuracy["waveform"] < 0.4


@pytest.mark.parametrize("seconds", [0, -1.0, 0.03, float("nan"), float("inf"), "1", True])
def test_seconds_that_hold_no_piece_of_a_spectrum_are_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("spoken_digits", seconds=seconds)
    assert str(caught.value) == f"spoken_digits: seconds must be a number in [0.032, inf), not {seconds!r}."
