"""Plateau: the mean of a short window is off; a shift of level that single rows hide in their noise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors import tails
from detectors.base import BoolArray, Explanation, FloatArray, Memory, Row
from detectors.windows import ROWS, WindowDetector

BOUND = 4.0  # deviations at most by which one window moves what is usual
DAY_S = 86400.0


@dataclass(frozen=True)
class Plateau(WindowDetector):
    """How far the mean of ROWS rows of what the rhythm leaves lies from usual, in deviations of such means.

    The deviation of means is learned from means, never derived from that of rows: rows that follow each
    other closely are alike. Until days are known it is widened by 1 + 1/days, since the first days say
    little about how days differ. This is the tail probability of a short window of Ahmad and others,
    Neurocomputing 262 (2017), with windows side by side, so that each is counted once.
    """

    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    half_life_s: float = 14 * 86400.0
    lessons: int = 24  # calm windows a channel needs before it is scored

    deseasoned: ClassVar[bool] = True

    def lessons_of(self, channels: int) -> Memory:
        return {name: np.zeros(channels) for name in ("mean", "level", "variance", "taught")}

    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        total = np.zeros(len(window))
        for number in range(ROWS):  # one after another: the order of a sum must not hang on its neighbours
            total += window[:, number]
        mean = memory["mean"] = total * (1 / ROWS)
        size: FloatArray = np.abs(mean - memory["level"]) / self._spread(row, memory)
        return np.where(memory["taught"] >= self.lessons, size, np.nan)

    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        taught = memory["taught"]
        forgetting = 1 - 0.5 ** (ROWS * row.period_s / self.half_life_s)
        rate = pupils * np.maximum(1.0 / (taught + 1.0), forgetting)
        error = np.where(pupils, memory["mean"] - memory["level"], 0.0)
        bound = np.where(taught >= self.lessons, BOUND * self._spread(row, memory), np.inf)
        step = np.minimum(np.maximum(error, -bound), bound)
        memory["level"] += rate * step
        memory["variance"] += rate * ((1.0 - rate) * step * step - memory["variance"])
        taught += pupils

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """The baseline was moved, so that what it leaves lies around 0 again; the spread is still known."""
        memory["level"][chosen] = 0.0
        memory["raw"][chosen & np.isfinite(memory["raw"])] = 0.0

    def surprise(self, raw: FloatArray) -> FloatArray:
        return tails.gaussian(raw)

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """Where the mean of the window would have been usual."""
        level, reach = float(memory["level"][channel]), raw * float(self._spread(row, memory)[channel])
        return level - reach, level + reach

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        above = bool(memory["mean"][channel] > memory["level"][channel])
        return Explanation(
            f"has been {'higher' if above else 'lower'} than usual for a dozen rows",
            direction=1 if above else -1,
            numbers={
                "shift": float(memory["mean"][channel] - memory["level"][channel]),
                "spread": float(self._spread(row, memory)[channel]),
            },
        )

    def _spread(self, row: Row, memory: Memory) -> FloatArray:
        days = np.maximum(memory["taught"] * (ROWS * row.period_s / DAY_S), 0.1)
        spread: FloatArray = np.maximum(np.sqrt(memory["variance"]), np.multiply(self.noise_floor, 0.5))
        return (spread + np.abs(memory["level"]) * 1e-7 + 1e-12) * (1.0 + 1.0 / days)
