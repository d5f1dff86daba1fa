"""Waveform: what one recording of samples comes to: level of a band, spectral kurtosis, and plain sizes."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
LEAST = 64  # samples; fewer hold no spectrum
SEGMENT = 256  # samples of one short spectrum
SILENT_DB = -200.0  # where there is no energy at all


def band_level(samples: Samples, hz: float, low: float, high: float, reference: float = 1.0) -> float:
    """Energy of the samples between two frequencies, as a level in dB above the square of `reference`.

    Welch's mean of windowed spectra (IEEE Trans. Audio Electroacoust. 15, 1967; scipy.signal.welch), Hann
    window, half overlapping, mean taken away. A leak hisses: its level in the band of its pipe (plastic
    100-700 Hz, metal 500-1,500 Hz) stands above that of quiet nights.
    """
    from scipy.signal import welch

    frequency, density = welch(samples, fs=hz, nperseg=min(SEGMENT, len(samples)))
    inside = (frequency >= low) & (frequency <= high)
    energy = float(density[inside].sum() * (frequency[1] - frequency[0]))
    return 10.0 * float(np.log10(energy / reference**2)) if energy > 0.0 else SILENT_DB


def spectral_kurtosis(samples: Samples, hz: float, low: float, high: float) -> float:
    """The largest spectral kurtosis between two frequencies: <|X|^4> / <|X|^2>^2 - 2 over short spectra.

    0 for steady Gaussian noise, such as a leak's hiss or flow, -1 for a steady tone, such as a pump; large
    for knocks, footsteps and cracks, which a level alone cannot tell from a leak. With M spectra the value of
    steady noise spreads by sqrt(4 / M).
    Source: J. Antoni, "The spectral kurtosis", Mech. Syst. Signal Process. 20 (2006).
    """
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    width = min(SEGMENT, len(samples) // 8)
    short = ShortTimeFFT(hann(width, sym=False), hop=width, fs=hz)
    first, last = short.lower_border_end[1], short.upper_border_begin(len(samples))[1]
    square = np.abs(short.stft(samples - samples.mean())[:, first:last]) ** 2
    inside = (short.f >= low) & (short.f <= high)
    mean = square[inside].mean(axis=1)
    loud = mean > 1e-12 * max(float(mean.max(initial=0.0)), np.finfo(np.float64).tiny)
    if not loud.any():
        return 0.0
    fourth = (square[inside][loud] ** 2).mean(axis=1)
    return float((fourth / mean[loud] ** 2 - 2.0).max())


def rms(samples: Samples) -> float:
    """Root mean square about the mean, in the unit of the samples."""
    return float(samples.std())


def peak(samples: Samples) -> float:
    """The largest distance from the mean, in the unit of the samples."""
    return float(np.abs(samples - samples.mean()).max())


def swing(samples: Samples) -> float:
    """Largest minus smallest sample: what a pressure surge has moved."""
    return float(samples.max() - samples.min())
