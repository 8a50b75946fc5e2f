"""Texts and sounds as they come, for networks that were trained on others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.io import wavfile

from pellucid.data import BagOfWords, SoundEncoder
from pellucid.data.encoders import describe_encoder, encode_files, reads, restore_encoder
from pellucid.errors import DataError, FileFormatError

BAG = BagOfWords.of(["free prize", "see you at home", "free home loan"], "tfidf")
SOUNDS = SoundEncoder("waveform", samples=400, rate=8000)


@pytest.mark.parametrize("encoder", [BAG, SOUNDS, SoundEncoder("mfcc")])
def test_an_encoder_survives_json(encoder):
    assert restore_encoder(json.loads(json.dumps(describe_encoder(encoder)))) == encoder


def test_no_encoder_is_none():
    assert describe_encoder(None) is None
    assert restore_encoder(None) is None


@pytest.mark.parametrize(
    "damaged", [{}, {"kind": "os.system"}, {"kind": "sounds", "features": "none"}, {"kind": "sounds", "x": 1}, [1]]
)
def test_damaged_encoders_are_refused(damaged):
    with pytest.raises(FileFormatError, match="The encoder is damaged"):
        restore_encoder(damaged)


def test_each_line_that_is_not_empty_is_a_text(tmp_path):
    path = tmp_path / "messages.TXT"
    path.write_text("Free prize!\n\n  \nsee you at home\n", encoding="utf-8")
    assert reads(BAG, str(path))
    x, called = encode_files(BAG, str(path))
    np.testing.assert_array_equal(x, BAG.encode(["Free prize!", "see you at home"]))
    assert called == ["Free prize!", "see you at home"]


def test_a_text_file_without_texts_is_refused(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("\n \n")
    with pytest.raises(DataError, match="holds no text"):
        encode_files(BAG, str(path))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "binary.txt"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        encode_files(BAG, str(path))


def test_a_sound_is_read_as_the_training_ones_were(tmp_path):
    audio = (np.sin(np.arange(300)) * 12000).astype(np.int16)
    wavfile.write(tmp_path / "a.wav", 8000, audio)
    assert reads(SOUNDS, str(tmp_path / "a.wav"))
    x, called = encode_files(SOUNDS, str(tmp_path / "a.wav"))
    np.testing.assert_array_equal(x, SOUNDS.encode([audio]))
    assert called == ["a.wav"]


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32"])
def test_other_rates_channels_and_types_are_converted(tmp_path, dtype):
    time = np.arange(1600) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 300 * time)
    scale = {"int16": 32768, "int32": 2**31, "uint8": 128, "float32": 1}[dtype]
    stored = np.round(tone * scale) + 128 if dtype == "uint8" else tone * scale
    wavfile.write(tmp_path / "a.wav", 16000, np.stack([stored, stored], 1).astype(dtype))
    x, _ = encode_files(SoundEncoder("waveform", samples=800, rate=8000), str(tmp_path / "a.wav"))
    inner = slice(50, 750)  # the resampling filter does not know what lies beyond the ends
    np.testing.assert_allclose(x[0, inner, 0], tone[::2][inner], atol=0.02)


def test_a_folder_of_sounds_is_read_in_the_order_of_its_names(tmp_path):
    for name, level in (("b.wav", 200), ("a.wav", 100)):
        wavfile.write(tmp_path / name, 8000, np.full(400, level, np.int16))
    (tmp_path / "notes.md").write_text("")
    x, called = encode_files(SOUNDS, str(tmp_path))
    assert called == ["a.wav", "b.wav"]
    assert x[0, 0, 0] < x[1, 0, 0]


def test_folders_without_sounds_and_empty_sounds_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.wav file"):
        encode_files(SOUNDS, str(tmp_path))
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(0, np.int16))
    with pytest.raises(DataError, match="holds no sound"):
        encode_files(SOUNDS, str(tmp_path))


def test_other_files_are_not_for_an_encoder(tmp_path):
    assert not reads(BAG, "a.csv")
    assert not reads(BAG, str(tmp_path))
    assert not reads(None, "a.txt")
    assert not reads(SOUNDS, "a.txt")
