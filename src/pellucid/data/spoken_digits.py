"""The Free Spoken Digit Dataset: the digits 0 to 9, spoken in English, from the user's own files or downloaded.

It is read from the published folder or archive of .wav files, or from a pack ``fsdd.npz`` of the same recordings:
``audio`` int16, all takes joined; ``offsets`` [N + 1], of which two neighbours enclose a take; ``labels``, ``speakers``
and ``takes`` [N].

Source: Jackson et al., "Free Spoken Digit Dataset", https://github.com/Jakobovski/free-spoken-digit-dataset.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pellucid import config
from pellucid.data.dataset import Dataset
from pellucid.data.sound import SoundEncoder, SoundFeatures
from pellucid.data.spoken_archive import ADDRESS, ADDRESSES, FILE, RATE, downloaded, read_take
from pellucid.errors import DataError, unknown_name
from pellucid.fields import Interval, require

#: Seconds of one piece of a spectrum, 256 samples.
_SHORTEST = 256 / RATE

#: The takes of each speaker and digit that its authors hold out: 0 to 4 of 0 to 49.
_TEST_TAKES = 5


@dataclass(frozen=True, eq=False)
class Takes:
    """Recordings as they are.

    Args:
        audio: N sounds, int16 [samples_i] at 8,000 samples per second.
        labels: int32 [N], the digit.
        speakers: N names.
        takes: int64 [N], the number of the take of this digit by this speaker.
        source: Where they were read.
    """

    audio: tuple[np.ndarray, ...]
    labels: np.ndarray
    speakers: np.ndarray
    takes: np.ndarray
    source: str


def spoken_digits(
    *,
    features: SoundFeatures = "log_mel",
    seconds: float = 1.0,
    test_speaker: str | None = None,
    addresses: str | Sequence[str] = ADDRESSES,
) -> Dataset:
    """Load 3,000 recordings of spoken digits: 6 speakers, 50 takes of each digit, 8 kHz.

    Held out are the takes 0 to 4 of every speaker and digit, as the authors propose; or one speaker altogether, which
    asks whether the net understands a voice that it has never heard. The files are looked for in the folder of
    ``PELLUCID_DATA``; where that is not set, or there are none of them, in the cache, where they are downloaded once.

    Args:
        features: ``"log_mel"``: logarithm of the energy in 24 bands of pitch every 16 ms; ``"mfcc"``: 13 coefficients
            of it; ``"waveform"``: the samples, -1 to 1.
        seconds: Length of every sound; shorter ones are followed by silence, longer ones (20 of them exceed 1 s) cut.
        test_speaker: Name of the speaker to hold out; None holds out takes of all speakers.
        addresses: Where the archive is downloaded, one address or several that are tried in order.

    Returns:
        x float32 [N, frames, bands] or, for the waveform, [N, samples, 1]; y int32, 0 to 9.

    Raises:
        DataError: The files are damaged, or cannot be downloaded.
        ConfigurationError: An argument is outside its range.

    Source: Jackson et al., "Free Spoken Digit Dataset".

    >>> spoken_digits()                                                                       # doctest: +SKIP
    Dataset('spoken_digits': classification into 10 classes, 2,700 training and 300 test examples of shape [61, 24])
    """
    require("spoken_digits", "seconds", seconds, Interval(_SHORTEST, float("inf"), closed="left"))
    encoder = SoundEncoder(features, samples=round(seconds * RATE), rate=RATE)
    takes = load_takes(addresses=addresses)
    held = takes.takes < _TEST_TAKES
    if test_speaker is not None:
        if test_speaker not in takes.speakers:
            raise unknown_name("speaker", test_speaker, sorted(set(takes.speakers.tolist())))
        held = takes.speakers == test_speaker
    if held.all() or not held.any():
        raise DataError(f"{takes.source}: the recordings do not have both training and test takes.")
    x = encoder.encode(takes.audio)
    return Dataset(
        name="spoken_digits",
        task="classification",
        train=(x[~held], takes.labels[~held]),
        test=(x[held], takes.labels[held]),
        target_names=tuple("0123456789"),
        description=f"English digits spoken by {len(set(takes.speakers.tolist()))} people, 8 kHz, as {features}.",
        source=takes.source,
        licence="CC BY-SA 4.0",
        encoder=encoder,
    )


def load_takes(*, addresses: str | Sequence[str] = ADDRESSES) -> Takes:
    """The recordings with their digits, speakers and takes.

    Args:
        addresses: As for :func:`spoken_digits`.

    Raises:
        DataError: The files are damaged, or cannot be downloaded.

    >>> load_takes().speakers[0]                                                              # doctest: +SKIP
    'george'
    """
    folder = config.data_folder()
    for place in () if folder is None else _places(folder):
        if (place / "fsdd.npz").is_file():
            return _from_pack(place / "fsdd.npz")
        files = sorted(path for path in place.glob("*.wav") if FILE.fullmatch(path.name)) if place.is_dir() else []
        if files:
            return _named({path.name: read_take(path) for path in files}, f"the user's files in {place}")
    recordings = downloaded((addresses,) if isinstance(addresses, str) else tuple(addresses))
    return _named(recordings, f"Jackson et al.: Free Spoken Digit Dataset; {ADDRESS}")


def _places(folder: Path) -> Iterator[Path]:
    for name in ("spoken_digits", "free-spoken-digit-dataset", "."):
        yield folder / name
        yield folder / name / "recordings"


def _from_pack(path: Path) -> Takes:
    import zipfile

    try:
        # Opened here: NumPy leaves a damaged file open.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as pack:
            audio, offsets, labels, speakers, takes = (
                pack[name] for name in ("audio", "offsets", "labels", "speakers", "takes")
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a pack of spoken digits ({error}).") from error
    rows = len(labels)
    shapes = (
        audio.ndim == labels.ndim == 1 and offsets.shape == (rows + 1,) and speakers.shape == takes.shape == (rows,)
    )
    if not shapes or audio.dtype != np.int16 or labels.dtype.kind not in "iu" or takes.dtype.kind not in "iu":
        raise DataError(f"{path}: the arrays audio, offsets, labels, speakers and takes do not fit together.")
    whole = (
        offsets.dtype.kind in "iu" and offsets[0] == 0 and offsets[-1] == len(audio) and (np.diff(offsets) > 0).all()
    )
    if not whole or rows == 0 or labels.max() > 9:
        raise DataError(f"{path}: the offsets do not cut the audio into takes, or a label is not a digit.")
    sounds = tuple(audio[start:stop] for start, stop in pairwise(offsets))
    return Takes(sounds, labels.astype(np.int32), speakers, takes.astype(np.int64), f"the user's file {path}")


def _named(recordings: Mapping[str, np.ndarray], source: str) -> Takes:
    """Recordings by the names of their files, which say what they are."""
    parts = [FILE.fullmatch(name) for name in recordings]
    fields = [part.groups() for part in parts if part is not None]
    return Takes(
        tuple(recordings.values()),
        np.array([int(digit) for digit, _, _ in fields], dtype=np.int32),
        np.array([speaker for _, speaker, _ in fields]),
        np.array([int(take) for _, _, take in fields], dtype=np.int64),
        source,
    )
