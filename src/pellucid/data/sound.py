"""Sounds as numbers: the waveform itself, the energy in bands of pitch, and its cosine coefficients.

These are the stations of hand-made speech features: waveform, windows, power spectrum, mel filter bank, logarithm,
cosine transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Choice, Integer, positive, require
from pellucid.shapes import show

SoundFeatures = Literal["waveform", "log_mel", "mfcc"]

#: Added to the power before the logarithm: about the power of the rounding to 16 bits, 2^-30 / 12.
POWER_FLOOR = 1e-10

#: Sounds whose spectra are in memory at a time.
_CHUNK = 256


def fit_length(waveforms: Sequence[Any], samples: int) -> np.ndarray:
    """Sounds of any lengths as rows of one length: short ones are followed by silence, long ones are cut.

    Args:
        waveforms: N sounds [samples_i]; int16 is scaled to [-1, 1), float numbers are taken as they are.
        samples: Length of the rows.

    Returns:
        float32 [N, samples].

    Raises:
        DataError: A sound is not one row of numbers.
        ConfigurationError: ``samples`` is not a whole number of at least 1.

    >>> fit_length([np.array([16384], "int16"), np.array([0.1, 0.2, 0.3])], 2)
    array([[0.5, 0. ],
           [0.1, 0.2]], dtype=float32)
    """
    require("fit_length", "samples", samples, Integer(1))
    rows = np.zeros((len(waveforms), samples), dtype=np.float32)
    for number, (row, wave) in enumerate(zip(rows, waveforms, strict=True)):
        wave = np.asarray(wave)
        if wave.ndim != 1 or (wave.dtype != np.int16 and wave.dtype.kind != "f"):
            raise DataError(
                f"fit_length: sound {number} must be int16 or float numbers [samples], "
                f"not {wave.dtype.name}{show(wave.shape)}."
            )
        wave = wave[:samples]
        row[: len(wave)] = wave / 32768 if wave.dtype == np.int16 else wave
    return rows


def power_spectrum(x: np.ndarray, *, window: int = 256, hop: int = 128) -> np.ndarray:
    """The power at every frequency in short, overlapping pieces of sounds.

    P[n, t, k] = |Σ_j h_j x[n, t hop + j] e^(-2πi jk / window)|² / Σ_j h_j², h the Hann window; pieces lie wholly within
    the sound.

    Args:
        x: Sounds [N, samples].
        window: Samples per piece.
        hop: Samples from the start of a piece to that of the next.

    Returns:
        float32 [N, frames, window // 2 + 1], frames = 1 + (samples - window) // hop; column k is the frequency
        k / window of the sampling rate.

    Raises:
        DataError: The sounds are shorter than a piece or not [N, samples].
        ConfigurationError: An argument is outside its range.

    >>> power_spectrum(np.zeros((2, 8000), "float32")).shape
    (2, 61, 129)
    """
    from scipy.fft import rfft

    x = _sounds("power_spectrum", x, window, hop)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(x, window, axis=1)[:, ::hop]
    spectrum = np.asarray(rfft(pieces * hann, axis=2))
    return np.abs(spectrum) ** 2 / np.sum(hann**2)


def mel_filters(bands: int, window: int, rate: float) -> np.ndarray:
    """Triangular filters, evenly spaced in mel, that gather a power spectrum into bands of pitch.

    mel(f) = 2595 log10(1 + f / 700); band b rises from centre b - 1 to its own centre, where it is 1, and falls to
    centre b + 1; the centres divide 0 to rate / 2 evenly.

    Args:
        bands: Number of bands.
        window: Samples per piece of the spectrum.
        rate: Sampling rate in Hz.

    Returns:
        float32 [window // 2 + 1, bands].

    Raises:
        ConfigurationError: An argument is outside its range, or a band is too narrow to hold a frequency of the
            spectrum.

    Source: Davis, Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980;
    the formula of the scale as in O'Shaughnessy, "Speech Communication", 1987.

    >>> mel_filters(20, 256, 8000).shape
    (129, 20)
    """
    require("mel_filters", "bands", bands, Integer(1))
    require("mel_filters", "window", window, Integer(2))
    require("mel_filters", "rate", rate, positive)
    edges = 700 * (10 ** (np.linspace(0, _mel(rate / 2), bands + 2) / 2595) - 1)
    frequencies = np.arange(window // 2 + 1) * (rate / window)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - low) / (centre - low)
    falling = (high - frequencies[:, None]) / (high - centre)
    filters = np.maximum(np.minimum(rising, falling), 0)
    empty = np.flatnonzero(filters.sum(axis=0) == 0)
    if len(empty):
        raise ConfigurationError(
            f"mel_filters: band {empty[0]} ({low[empty[0]]:.0f} to {high[empty[0]]:.0f} Hz) lies between two of the "
            f"frequencies of the spectrum, which are {rate / window:.1f} Hz apart.",
            hint="take fewer bands or a longer window",
        )
    return filters.astype(np.float32)


def log_mel(x: np.ndarray, *, rate: float = 8000, window: int = 256, hop: int = 128, bands: int = 24) -> np.ndarray:
    """The logarithm of the energy in bands of pitch over time: what the ear's filters give, roughly.

    L = ln(P M + 1e-10), P the power spectrum, M the mel filters.

    Args:
        x: Sounds [N, samples], in [-1, 1].
        rate: Sampling rate in Hz.
        window: Samples per piece; 256 are 32 ms at 8 kHz.
        hop: Samples from piece to piece.
        bands: Number of bands.

    Returns:
        float32 [N, frames, bands], natural logarithm of power; silence is -23.03.

    Raises:
        DataError: The sounds are shorter than a piece or not [N, samples].
        ConfigurationError: An argument is outside its range.

    >>> log_mel(np.zeros((2, 8000), "float32")).shape
    (2, 61, 24)
    """
    filters = mel_filters(bands, window, rate)
    x = _sounds("log_mel", x, window, hop)
    out = np.empty((len(x), 1 + (x.shape[1] - window) // hop, bands), dtype=np.float32)
    for start in range(0, len(x), _CHUNK):
        power = power_spectrum(x[start : start + _CHUNK], window=window, hop=hop)
        out[start : start + _CHUNK] = np.log(power @ filters + np.float32(POWER_FLOOR))
    return out


def mfcc(
    x: np.ndarray,
    *,
    rate: float = 8000,
    window: int = 256,
    hop: int = 128,
    bands: int = 24,
    coefficients: int = 13,
) -> np.ndarray:
    """Mel-frequency cepstral coefficients: the outline of each log-mel spectrum, from coarse to fine.

    C = DCT-II(L), orthonormal, of which the first are kept; C[..., 0] is the loudness.

    Args:
        x: Sounds [N, samples], in [-1, 1].
        rate: Sampling rate in Hz.
        window: Samples per piece.
        hop: Samples from piece to piece.
        bands: Number of mel bands.
        coefficients: How many are kept, at most ``bands``.

    Returns:
        float32 [N, frames, coefficients].

    Raises:
        DataError: The sounds are shorter than a piece or not [N, samples].
        ConfigurationError: An argument is outside its range.

    Source: Davis, Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980.

    >>> mfcc(np.zeros((2, 8000), "float32")).shape
    (2, 61, 13)
    """
    from scipy.fft import dct

    require("mfcc", "coefficients", coefficients, Integer(1))
    if coefficients > bands:
        raise ConfigurationError(f"mfcc: {bands} bands have {bands} coefficients, not {coefficients}.")
    bank = log_mel(x, rate=rate, window=window, hop=hop, bands=bands)
    return np.ascontiguousarray(np.asarray(dct(bank, type=2, norm="ortho", axis=2))[:, :, :coefficients])


@dataclass(frozen=True)
class SoundEncoder:
    """How sounds become examples: one length for all, then waveform, log-mel energies or cepstral coefficients.

    Args:
        features: ``"waveform"`` [samples, 1], ``"log_mel"`` [frames, 24] or ``"mfcc"`` [frames, 13].
        samples: Length of every sound: shorter ones are followed by silence, longer ones are cut.
        rate: Sampling rate in Hz.

    Raises:
        ConfigurationError: A setting is outside its range.

    >>> SoundEncoder("mfcc").encode([np.zeros(5000, "int16"), np.zeros(9000, "int16")]).shape
    (2, 61, 13)
    """

    features: SoundFeatures = "log_mel"
    samples: int = 8000
    rate: float = 8000

    def __post_init__(self) -> None:
        require("SoundEncoder", "features", self.features, Choice(*get_args(SoundFeatures)))
        require("SoundEncoder", "samples", self.samples, Integer(256))
        require("SoundEncoder", "rate", self.rate, positive)

    def encode(self, raw: Sequence[Any]) -> np.ndarray:
        """Examples of sounds.

        Args:
            raw: N sounds [samples_i], int16 or float in [-1, 1].

        Returns:
            float32 [N, samples, 1], [N, frames, 24] or [N, frames, 13].

        Raises:
            DataError: A sound is not one row of numbers.
        """
        x = fit_length(raw, self.samples)
        if self.features == "waveform":
            return x[:, :, np.newaxis]
        return log_mel(x, rate=self.rate) if self.features == "log_mel" else mfcc(x, rate=self.rate)


def _mel(frequency: float) -> float:
    return 2595 * float(np.log10(1 + frequency / 700))


def _sounds(owner: str, x: Any, window: int, hop: int) -> np.ndarray:
    require(owner, "window", window, Integer(2))
    require(owner, "hop", hop, Integer(1))
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 2 or x.shape[1] < window:
        raise DataError(
            f"{owner} takes sounds [N, samples] of at least {window} samples (one window), not {show(x.shape)}."
        )
    return x
