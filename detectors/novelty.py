"""Novelty: a value far from every earlier one, however the channel came there."""

from dataclasses import dataclass

import numpy as np

from detectors.base import BoolArray, Explanation, FloatArray, Memory, Row
from detectors.tails import LN10
from detectors.windows import ROWS, WindowDetector, middle

KEPT = 48  # earlier values that are remembered
NOWHERE = 1e300  # stands for a value not yet known: infinitely far from all
GRAIN = 2.0 / KEPT  # a value nearer to a known one than this share of their range adds nothing to know


@dataclass(frozen=True)
class Novelty(WindowDetector):
    """Distance of a window's median to the nearest earlier one, over the usual such distance.

    KEPT earlier medians are remembered; one that is near to a known one is not added, so that they cover the
    range instead of the time; should all places be taken, the oldest is overwritten. A value that was seen
    before is never news, however rare. What is usual is learned from this channel's own distances.
    Source: nearest-neighbour distance as in Knorr and Ng, VLDB (1998); `watchline score` rests on it too.
    """

    noise_floor: float | FloatArray = 0.0  # distances smaller than this are none, in the channel's unit
    half_life_s: float = 14 * 86400.0
    lessons: int = 24  # calm windows a channel needs before it is scored

    def lessons_of(self, channels: int) -> Memory:
        memory: Memory = {"known": np.full((KEPT, channels), NOWHERE).T}
        for name in ("median", "distance", "usual", "taught", "lowest", "highest"):
            memory[name] = np.zeros(channels)
        memory["next"] = np.zeros(channels, dtype=np.int64)
        return memory

    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        median = memory["median"] = middle(window)
        away = np.full(len(window), NOWHERE)
        between = np.empty(len(window))
        for number in range(KEPT):  # column by column: a channel's own values lie far apart in memory
            np.subtract(memory["known"][:, number], median, out=between)
            np.abs(between, out=between)
            np.minimum(away, between, out=away)
        distance = memory["distance"] = np.where(memory["taught"] > 0.0, away, 0.0)
        ratio: FloatArray = distance / self._usual(memory)
        return np.where(memory["taught"] >= self.lessons, ratio, np.nan)

    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        usual, taught, distance = memory["usual"], memory["taught"], memory["distance"]
        median, lowest, highest = memory["median"], memory["lowest"], memory["highest"]
        new = pupils & ((distance > GRAIN * (highest - lowest)) | (taught == 0.0))
        (rows,) = new.nonzero()
        if len(rows):
            memory["known"][rows, memory["next"][rows]] = median[rows]
            memory["next"][rows] = (memory["next"][rows] + 1) % KEPT
            first = taught[rows] == 0.0
            lowest[rows] = np.where(first, median[rows], np.minimum(lowest[rows], median[rows]))
            highest[rows] = np.where(first, median[rows], np.maximum(highest[rows], median[rows]))
        forgetting = 1 - 0.5 ** (ROWS * row.period_s / self.half_life_s)
        rate = pupils * np.maximum(1.0 / (taught + 1.0), forgetting)
        bounded = np.minimum(distance, np.where(taught >= self.lessons, 8.0 * self._usual(memory), np.inf))
        usual += rate * (bounded - usual)
        taught += pupils

    def surprise(self, raw: FloatArray) -> FloatArray:
        """As if distances were exponential; the pool shows how they really are."""
        return raw * (1 / LN10)

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """Around the earlier value that is nearest: a window there would have been no news."""
        nearest = self._nearest(channel, memory)
        reach = raw * float(self._usual(memory)[channel])
        return nearest - reach, nearest + reach

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        nearest = self._nearest(channel, memory)
        above = bool(memory["median"][channel] > nearest)
        return Explanation(
            f"is {'higher' if above else 'lower'} than anything like it before",
            direction=1 if above else -1,
            numbers={"nearest": nearest, "usual_distance": float(self._usual(memory)[channel])},
        )

    def _usual(self, memory: Memory) -> FloatArray:
        usual: FloatArray = np.maximum(memory["usual"], self.noise_floor)
        return usual + np.abs(memory["median"]) * 1e-7 + 1e-12

    def _nearest(self, channel: int, memory: Memory) -> float:
        """The earlier value nearest to the last window; one that was added with that window is none."""
        known, here = memory["known"][channel], memory["median"][channel]
        known = known[(known < NOWHERE) & (known != here)]
        return float(known[np.argmin(np.abs(known - here))]) if len(known) else float(here)
