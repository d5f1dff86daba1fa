"""Clips: seconds of pulse wave, where a minute's mean says nothing of how regular the heart beats."""

from functools import lru_cache

import numpy as np

from simulators.noise import FloatArray, stream

RATE_HZ = 50  # of a wristband's optical sensor
CALM, FIBRILLATING = 0.05, 0.35  # randomness of the intervals between beats, as a share of their mean
CLIP_S = 120


@lru_cache(maxsize=64)
def pulse_wave(seed: int, heart_rate: float, randomness: float, seconds: int = CLIP_S) -> FloatArray:
    """A photoplethysmogram at `RATE_HZ` by neurokit2, arbitrary units."""
    import neurokit2

    state = int(stream(seed, "clip", f"{heart_rate}", f"{randomness}") % np.uint64(2**31))
    clip = neurokit2.ppg_simulate(
        duration=seconds, sampling_rate=RATE_HZ, heart_rate=heart_rate, ibi_randomness=randomness,
        motion_amplitude=0.02, random_state=state, random_state_distort="spawn",
    )  # fmt: skip
    return np.asarray(clip, dtype=np.float64)


def variability_ms(clip: FloatArray) -> float:
    """RMSSD: root mean square of the differences between neighbouring beat intervals, ms."""
    import neurokit2

    beats = neurokit2.ppg_findpeaks(clip, sampling_rate=RATE_HZ)["PPG_Peaks"]
    intervals_ms = np.diff(np.asarray(beats, dtype=np.float64)) * 1000.0 / RATE_HZ
    return float(np.sqrt(np.mean(np.diff(intervals_ms) ** 2)))


def irregularity(seed: int, heart_rate: float) -> float:
    """How many times more a fibrillating heart varies than a calm one, from a clip of each."""
    calm, wild = (variability_ms(pulse_wave(seed, heart_rate, share)) for share in (CALM, FIBRILLATING))
    return wild / calm
