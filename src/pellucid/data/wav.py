"""Sound files: WAV as arrays."""

from __future__ import annotations

import math
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pellucid.errors import DataError


def read_wav(path: Path, stream: BinaryIO | None = None) -> tuple[int, np.ndarray]:
    """The rate in Hz and the samples of a WAV file as it stores them: [samples] or [samples, channels].

    Args:
        path: The file.
        stream: Its content, where it is read from elsewhere; ``path`` is then its name in errors.

    Raises:
        DataError: It is not a WAV file that can be read.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that hold no sound
            return wavfile.read(path if stream is None else stream)
    except (OSError, ValueError, EOFError, struct.error) as error:
        raise DataError(f"{path} is not a sound file that can be read ({error}).") from error


def read_sound(path: Path, rate: float) -> np.ndarray:
    """The sound of a WAV file as float32 [samples] in [-1, 1]: channels averaged, resampled to ``rate`` Hz.

    Raises:
        DataError: It is not a WAV file that can be read, or holds no sound.
    """
    from scipy.signal import resample_poly

    own, audio = read_wav(path)
    if audio.size == 0:
        raise DataError(f"{path} holds no sound.")
    if audio.dtype.kind == "u":
        audio = audio.astype(np.float32) / 128 - 1
    elif audio.dtype.kind == "i":
        audio = audio.astype(np.float32) / -float(np.iinfo(audio.dtype).min)
    sound = audio.astype(np.float32).reshape(len(audio), -1).mean(axis=1)
    wanted = round(rate)
    if own != wanted:
        common = math.gcd(own, wanted)
        sound = resample_poly(sound, wanted // common, own // common).astype(np.float32)
    return sound
