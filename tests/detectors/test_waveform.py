"""A leak hisses, a pump hums and a hammer knocks: level and spectral kurtosis tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.waveform import SILENT_DB, band_level, peak, rms, spectral_kurtosis, swing

HZ = 4000.0
SECONDS = 16
Samples = NDArray[np.float64]


def hiss(size: float, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).normal(0.0, size, round(HZ * SECONDS))


def hum(hertz: float, size: float) -> Samples:
    return np.asarray(size * np.sin(2 * np.pi * hertz * np.arange(round(HZ * SECONDS)) / HZ))


def knocks(size: float, every: int = 8000) -> Samples:
    samples = hiss(0.01)
    for start in range(1000, len(samples) - 200, every):
        samples[start : start + 200] += size * np.exp(-np.arange(200) / 30.0) * np.cos(np.arange(200) * 1.2)
    return samples


def slow_band_level(samples: Samples, low: float, high: float) -> float:
    """The obvious twin: one long spectrum."""
    power = np.abs(np.fft.rfft(samples - samples.mean())) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / HZ)
    inside = (frequency >= low) & (frequency <= high)
    return float(10 * np.log10(2 * power[inside].sum() / len(samples) ** 2))


@pytest.mark.parametrize(("low", "high"), [(100.0, 700.0), (400.0, 1500.0)])
def test_the_level_of_a_band_is_that_of_one_long_spectrum(low: float, high: float) -> None:
    for samples in (hiss(0.3), hiss(0.1) + hum(550.0, 0.5)):
        assert band_level(samples, HZ, low, high) == pytest.approx(
            slow_band_level(samples, low, high), abs=0.5
        )


def test_a_tone_of_one_unit_is_three_decibels_below_one_and_a_reference_shifts_it() -> None:
    tone = hum(1000.0, 1.0)

    assert band_level(tone, HZ, 800.0, 1200.0) == pytest.approx(-3.01, abs=0.1)
    assert band_level(tone, HZ, 800.0, 1200.0, reference=0.1) == pytest.approx(16.99, abs=0.1)
    assert band_level(tone, HZ, 100.0, 500.0) < -40.0
    assert band_level(np.full(4096, 5.0), HZ, 100.0, 500.0) <= -200.0 or SILENT_DB == -200.0


def test_hiss_has_no_kurtosis_a_hum_less_and_knocks_much() -> None:
    spread = np.sqrt(4 / (HZ * SECONDS / 256))

    assert (
        abs(np.median([spectral_kurtosis(hiss(0.3, seed), HZ, 990.0, 1010.0) for seed in range(9)])) < spread
    )
    assert spectral_kurtosis(hum(1000.0, 1.0) + hiss(1e-3), HZ, 990.0, 1010.0) == pytest.approx(
        -1.0, abs=0.05
    )
    assert spectral_kurtosis(knocks(3.0), HZ, 100.0, 1500.0) > 5.0


def test_sizes_do_not_depend_on_where_zero_lies() -> None:
    samples = hum(50.0, 2.0)

    assert rms(samples + 300.0) == pytest.approx(2.0 / np.sqrt(2.0), rel=1e-3)
    assert peak(samples + 300.0) == pytest.approx(2.0, rel=1e-2)
    assert swing(samples + 300.0) == pytest.approx(4.0, rel=1e-2)
