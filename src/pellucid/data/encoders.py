"""Encoders as plain data, and the files that they read: what a run needs to predict texts and sounds as they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data.dataset import Encoder
from pellucid.data.sound import SoundEncoder
from pellucid.data.text import BagOfWords
from pellucid.data.wav import read_sound
from pellucid.errors import ConfigurationError, DataError, FileFormatError

_KINDS: dict[str, type[BagOfWords] | type[SoundEncoder]] = {"bag of words": BagOfWords, "sounds": SoundEncoder}
_KIND_OF = {known: kind for kind, known in _KINDS.items()}
_SUFFIXES = {BagOfWords: ".txt", SoundEncoder: ".wav"}


def describe_encoder(encoder: Encoder | None) -> dict[str, Any] | None:
    """An encoder as plain data for JSON; None for none, and for one that is not Pellucid's.

    >>> describe_encoder(SoundEncoder("mfcc"))
    {'kind': 'sounds', 'features': 'mfcc', 'samples': 8000, 'rate': 8000}
    """
    if not isinstance(encoder, (BagOfWords, SoundEncoder)):
        return None
    return {"kind": _KIND_OF[type(encoder)], **asdict(encoder)}


def restore_encoder(given: Mapping[str, Any] | None) -> BagOfWords | SoundEncoder | None:
    """The encoder of :func:`describe_encoder`.

    Raises:
        FileFormatError: The data are not those of an encoder.

    >>> restore_encoder({"kind": "sounds", "features": "mfcc", "samples": 8000, "rate": 8000})
    SoundEncoder(features='mfcc', samples=8000, rate=8000)
    """
    if given is None:
        return None
    if not isinstance(given, Mapping) or given.get("kind") not in _KINDS:
        raise FileFormatError(f"The encoder is damaged: its kind is none of {', '.join(map(repr, _KINDS))}.")
    settings: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    try:
        return _KINDS[settings.pop("kind")](**settings)
    except (TypeError, ConfigurationError) as error:
        raise FileFormatError(f"The encoder is damaged: {error}") from None


def reads(encoder: Encoder | None, name: str) -> bool:
    """Whether a path names what an encoder reads: a .txt file of texts, a .wav file, or a folder of them."""
    suffix = _SUFFIXES.get(type(encoder))  # type: ignore[arg-type]
    if suffix is None:
        return False
    return Path(name).suffix.lower() == suffix or (suffix == ".wav" and Path(name).is_dir())


def encode_files(encoder: Encoder, name: str) -> tuple[np.ndarray, list[str]]:
    """The examples in a file or folder: each line of a .txt file is a text, each .wav file a sound.

    Returns:
        x [N, ...], and what each example is called: the text, or the file's name.

    Raises:
        DataError: There is nothing to read, or it cannot be read.
    """
    path = Path(name)
    if isinstance(encoder, SoundEncoder):
        files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".wav") if path.is_dir() else [path]
        if not files:
            raise DataError(f"The folder {name} holds no .wav file.")
        return encoder.encode([read_sound(file, encoder.rate) for file in files]), [file.name for file in files]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name} cannot be read as UTF-8 text ({error}).") from None
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise DataError(f"{name} holds no text: every line that is not empty is one.")
    return encoder.encode(texts), texts
