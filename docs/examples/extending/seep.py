"""Seep: gas that no longer clears away, such as from a joint that leaks a little all the time."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors import tails
from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row

TO_DEVIATION = 1.2533  # standard deviation over mean absolute deviation, for Gaussian noise


@dataclass(frozen=True)
class Seep(Detector):
    """How far the lowest value of a stretch lies above the usual lowest, in its usual deviations.

    Traffic and sewage raise methane for minutes and the draught clears it away; a leak that goes on raises
    the floor itself. Score (channels,): judged when a stretch ends, kept until the next; NaN until `lessons`
    calm stretches are known. Source: minimum night flow, applied to concentration.
    """

    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    stretch_s: float = 6 * 3600.0  # how long gas may stand without being strange
    lessons: int = 6  # calm stretches that a channel needs before it is scored
    memory_stretches: float = 40.0  # of the usual floor

    kind: ClassVar[str] = ""  # methane that rises slowly: the incident's evidence names it
    momentary: ClassVar[tuple[str, ...]] = ("lowest",)  # an epoch begins with a new stretch

    def fresh_memory(self, channels: int) -> Memory:
        memory: Memory = {name: np.zeros(channels) for name in ("floor", "deviation", "taught")}
        return memory | {name: np.full(channels, np.nan) for name in ("lowest", "raw")}

    def score(self, row: Row, memory: Memory) -> FloatArray:
        values = np.where(row.heard, row.values, np.nan)
        memory["lowest"] = np.fmin(memory["lowest"], values)
        if self._ends_stretch(row):
            judged = np.isfinite(values) & (memory["taught"] >= self.lessons)  # silence calms nobody
            excess = np.where(judged, memory["lowest"] - memory["floor"], 0.0)
            raw = np.maximum(excess / self._spread(memory), 0.0)
            memory["raw"] = np.where(judged, raw, memory["raw"])
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        if not self._ends_stretch(row):
            return
        taught = memory["taught"]
        pupils = calm & np.isfinite(memory["lowest"])
        error = np.where(pupils, memory["lowest"] - memory["floor"], 0.0)
        rate = pupils / np.minimum(taught + 1.0, self.memory_stretches)
        memory["floor"] += rate * error
        memory["deviation"] += (taught > 0) * rate * (np.abs(error) - memory["deviation"])
        taught += pupils
        memory["lowest"] = np.full(len(taught), np.nan)

    def surprise(self, raw: FloatArray) -> FloatArray:
        return tails.gaussian(raw)

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        return Explanation(
            "no longer falls back to its usual floor",
            direction=1,
            numbers={
                "expected": float(memory["floor"][channel]),
                "spread": float(self._spread(memory)[channel]),
            },
        )

    def _spread(self, memory: Memory) -> FloatArray:
        spread: FloatArray = np.maximum(memory["deviation"] * TO_DEVIATION, self.noise_floor)
        return spread + (np.abs(memory["floor"]) * 1e-7 + 1e-12)

    def _ends_stretch(self, row: Row) -> bool:
        stretch_ns = round(self.stretch_s * 1e9)
        before_ns = row.end_ns - round(row.period_s * 1e9)
        return row.end_ns // stretch_ns != before_ns // stretch_ns
