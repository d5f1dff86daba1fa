"""Waveforms: recordings of samples in MQTT messages, and the readings that channel names make of them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from detectors import waveform

MOST_SAMPLES = 65_536
_NAME = re.compile(
    r"(?P<wave>\w+?)_(?:(?P<of_band>band|kurtosis)_(?P<low>\d+)_(?P<high>\d+)|(?P<plain>rms|peak|swing))"
)
_PLAIN = {"rms": waveform.rms, "peak": waveform.peak, "swing": waveform.swing}


class Waveform(msgspec.Struct, gc=False):
    """One recording: samples `x`, `hz` of them a second; levels in dB are above `ref`, in their unit."""

    hz: float
    x: list[float]
    ref: float = 1.0


class Unheard(Exception):
    """A recording of which nothing can be made; its argument says why."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What one channel wants of a recording."""

    name: str  # band, kurtosis, rms, peak, swing
    low: float = 0.0  # Hz
    high: float = 0.0

    def of(self, wave: Waveform) -> float:
        """Its value. Raises Unheard."""
        if not 0.0 < wave.hz < float("inf") or not 0.0 < wave.ref < float("inf"):
            raise Unheard("hz and ref must be positive numbers")
        if not waveform.LEAST <= len(wave.x) <= MOST_SAMPLES:
            raise Unheard(f"{len(wave.x)} samples; {waveform.LEAST} to {MOST_SAMPLES:,} are taken")
        samples = np.array(wave.x, dtype=np.float64)
        if not np.abs(samples).max() < 1e15:
            raise Unheard("a sample is no finite number")
        if self.name in _PLAIN:
            return _PLAIN[self.name](samples)
        if self.high > wave.hz / 2 or self.low >= self.high:
            raise Unheard(f"no band of {self.low:g} to {self.high:g} Hz in {wave.hz:g} samples a second")
        if self.name == "band":
            return waveform.band_level(samples, wave.hz, self.low, self.high, wave.ref)
        return waveform.spectral_kurtosis(samples, wave.hz, self.low, self.high)


def features(points: Mapping[str, int]) -> dict[str, list[tuple[int, Feature]]]:
    """By name of the recording, the channels that are made of it: {point: channel number} of one device.

    `noise_band_400_1500` is the level of the recording `noise` between 400 and 1,500 Hz.
    """
    found: dict[str, list[tuple[int, Feature]]] = {}
    for point, number in points.items():
        if match := _NAME.fullmatch(point):
            name = match["of_band"] or match["plain"]
            feature = Feature(name, float(match["low"] or 0), float(match["high"] or 0))
            found.setdefault(match["wave"], []).append((number, feature))
    return found


def heard(
    waves: Mapping[str, Waveform], wanted: Mapping[str, list[tuple[int, Feature]]]
) -> Iterator[tuple[int, float] | tuple[str, str]]:
    """(channel number, value) of each channel that the recordings fill, else (recording, why not)."""
    for name, wave in waves.items():
        if name not in wanted:
            yield name, f"no channel is made of it, such as <device>.{name}_band_400_1500"
        for number, feature in wanted.get(name, ()):
            try:
                yield number, feature.of(wave)
            except Unheard as error:
                yield name, str(error)
