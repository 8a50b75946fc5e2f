from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct
from scipy.signal import ShortTimeFFT, get_window

from pellucid.data import SoundEncoder, fit_length, log_mel, mel_filters, mfcc, power_spectrum
from pellucid.errors import ConfigurationError, DataError


def tone(frequency: float, rate: float = 8000, samples: int = 8000, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(samples) / rate)).astype(np.float32)


def test_sounds_of_any_length_become_rows_of_one_length() -> None:
    long, short = np.arange(10, dtype=np.int16), np.array([-32768, 32767], dtype=np.int16)
    rows = fit_length([long, short], 4)
    assert rows.dtype == np.float32
    assert rows[0] == pytest.approx(np.arange(4) / 32768)
    assert rows[1] == pytest.approx([-1, 32767 / 32768, 0, 0])
    assert fit_length([], 4).shape == (0, 4)


@pytest.mark.parametrize("wave", [np.zeros((3, 2), np.int16), np.zeros(3, np.int32), ["a"]])
def test_what_is_no_sound_is_refused(wave: object) -> None:
    with pytest.raises(DataError, match=r"^fit_length: sound 1 must be int16 or float numbers \[samples\], not "):
        fit_length([np.zeros(3), wave], 4)


@given(st.integers(0, 1000), st.sampled_from([16, 64, 256]), st.sampled_from([8, 50, 128]))
def test_the_power_is_that_of_scipys_short_time_fourier_transform(seed: int, window: int, hop: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, 600)).astype(np.float32)
    hann = get_window("hann", window)
    power = power_spectrum(x, window=window, hop=hop)
    theirs = np.abs(ShortTimeFFT(hann, hop, fs=1.0, phase_shift=None).stft_detrend(x, None)) ** 2 / np.sum(hann**2)
    # SciPy's pieces are centred on multiples of the hop; ours begin at them.
    if window // 2 % hop == 0:
        first = window // 2 // hop - ShortTimeFFT(hann, hop, fs=1.0).p_min
        assert power == pytest.approx(theirs[:, :, first : first + power.shape[1]].transpose(0, 2, 1), abs=1e-4)
    start = hop * (power.shape[1] - 1)
    last = np.abs(np.fft.rfft(x[:, start : start + window] * hann)) ** 2 / np.sum(hann**2)
    assert power[:, -1] == pytest.approx(last, rel=1e-3, abs=1e-4)
    assert power.dtype == np.float32


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    x = np.random.default_rng(0).normal(0, 0.1, (20, 8000)).astype(np.float32)
    assert power_spectrum(x).mean() == pytest.approx(0.01, rel=0.02)


def test_between_the_outer_centres_the_mel_filters_sum_to_one() -> None:
    filters = mel_filters(20, 512, 8000)
    inside = slice(int(filters[:, 0].argmax()) + 1, int(filters[:, -1].argmax()))
    assert filters.sum(axis=1)[inside] == pytest.approx(np.ones(inside.stop - inside.start), abs=1e-5)
    assert (filters >= 0).all()
    assert np.all(np.diff(filters.argmax(axis=0)) >= 0)


@pytest.mark.parametrize("frequency", [150.0, 440.0, 1000.0, 3500.0])
def test_a_tone_is_loudest_in_the_band_of_its_pitch(frequency: float) -> None:
    bank = log_mel(tone(frequency)[None])
    mel = 2595 * np.log10(1 + np.array([frequency, 4000.0]) / 700)
    nearest = round(float(mel[0] / (mel[1] / 25))) - 1
    assert set(bank[0].argmax(axis=1).tolist()) <= {nearest - 1, nearest, nearest + 1}


def test_twice_the_amplitude_is_ln_4_more_in_every_band_that_is_heard() -> None:
    quiet, loud = log_mel(np.stack([tone(440), tone(440, amplitude=1.0)]))
    heard = quiet > -10
    assert heard.any()
    assert (loud - quiet)[heard] == pytest.approx(np.full(heard.sum(), np.log(4)), abs=1e-3)
    assert log_mel(np.zeros((1, 256)))[0, 0] == pytest.approx(np.full(24, np.log(1e-10)), abs=1e-3)


def test_many_sounds_are_as_each_alone() -> None:
    x = np.random.default_rng(1).normal(size=(600, 400)).astype(np.float32)
    whole = log_mel(x)
    assert whole.shape == (600, 2, 24)
    assert whole[[0, 300, 599]] == pytest.approx(log_mel(x[[0, 300, 599]]), abs=1e-5)


def test_cepstral_coefficients_are_the_cosine_transform_and_lose_nothing_when_all_are_kept() -> None:
    x = tone(440)[None]
    bank = log_mel(x, bands=16)
    full = mfcc(x, bands=16, coefficients=16)
    assert dct(full, type=3, norm="ortho", axis=2) == pytest.approx(bank, abs=1e-4)
    assert mfcc(x, bands=16, coefficients=5) == pytest.approx(full[..., :5], abs=1e-5)
    assert full[..., 0] == pytest.approx(bank.sum(axis=2) / 4, abs=1e-3)  # the loudness, over sqrt(16)


@pytest.mark.parametrize(("features", "shape"), [("waveform", (1000, 1)), ("log_mel", (6, 24)), ("mfcc", (6, 13))])
def test_an_encoder_gives_what_its_name_says(features: str, shape: tuple[int, ...]) -> None:
    sounds = [tone(300, samples=1500), tone(600, samples=700)]
    x = SoundEncoder(features, samples=1000).encode(sounds)  # type: ignore[arg-type]
    assert x.shape == (2, *shape)
    assert x.dtype == np.float32
    if features == "waveform":
        assert np.array_equal(x[0, :, 0], sounds[0][:1000])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mel_filters(120, 256, 8000), r"^mel_filters: band 0 \(0 to \d+ Hz\) lies between two of the"),
        (lambda: mfcc(np.zeros((1, 300)), coefficients=25), r"^mfcc: 24 bands have 24 coefficients, not 25\.$"),
        (lambda: log_mel(np.zeros((1, 300)), hop=0), r"^log_mel: hop must be a whole number of at least 1, not 0\.$"),
        (lambda: SoundEncoder("mel"), r"^SoundEncoder: features must be one of 'waveform', 'log_mel', 'mfcc'"),  # type: ignore[arg-type]
        (lambda: SoundEncoder(samples=100), r"^SoundEncoder: samples must be a whole number of at least 256, not 100"),
    ],
)
def test_arguments_outside_their_range_are_refused(call: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        call()  # type: ignore[operator]


def test_sounds_shorter_than_a_window_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        log_mel(np.zeros((2, 255)))
    assert str(caught.value) == "log_mel takes sounds [N, samples] of at least 256 samples (one window), not [2, 255]."
