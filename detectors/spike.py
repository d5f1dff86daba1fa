"""Spike: single rows far off that the next row takes back, again and again; a loose contact, not an event."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Explanation, FloatArray, Memory, Row
from detectors.windows import ROWS, WindowDetector

FAR = 12.0  # usual steps by which a spike strays from both rows beside it …
BACK = 4.0  # … which are no farther than this from each other
STEPS = 3.0  # usual steps at most by which one window moves what is usual


@dataclass(frozen=True)
class Spike(WindowDetector):
    """How many spikes were seen lately, over how many are a fault; 1 is one.

    A spike is a row that strays to one side of both rows beside it while these agree. Counted are those
    inside of windows; the count fades with `half_life_s`. What a step usually is is the mean of one
    step a window while calm. A channel that spikes when healthy learns to: its usual count is taken off.
    Source: the three-point despiking of Goring and Nikora, J. Hydraulic Engineering 128 (2002), simplified.
    """

    noise_floor: float | FloatArray = 0.0  # the least usual step that is believed, in the channel's unit
    count: float = 3.0
    half_life_s: float = 3 * 3600.0
    habit_half_life_s: float = 7 * 86400.0
    lessons: int = 24  # calm windows a channel needs before it is scored

    kind: ClassVar[str] = "sensor_fault:spike"
    calibrated: ClassVar[bool] = False

    def lessons_of(self, channels: int) -> Memory:
        names = ("step", "usual", "recent", "habit", "taught", "largest", "beside", "reach")
        return {name: np.zeros(channels) for name in names}

    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        usual = self._usual(window, memory)
        lowest, highest = window[:, 0].copy(), window[:, 0].copy()
        for number in range(1, ROWS):
            np.minimum(lowest, window[:, number], out=lowest)
            np.maximum(highest, window[:, number], out=highest)
        (suspects,) = (highest - lowest > FAR * usual).nonzero()
        found = np.zeros(len(window))
        for at in suspects.tolist():
            middle, unit = window[at, 1:-1], usual[at]
            left, right = window[at, :-2], window[at, 2:]
            out = np.minimum(np.abs(middle - left), np.abs(middle - right))
            hits = (out > FAR * unit) & (np.abs(left - right) < BACK * unit)
            found[at] = np.count_nonzero(hits)
            if found[at]:
                furthest = int(np.argmax(np.where(hits, out, -1.0)))
                memory["largest"][at] = middle[furthest] - left[furthest]
                memory["beside"][at], memory["reach"][at] = left[furthest], FAR * unit
        memory["step"] = np.abs(window[:, 5] - window[:, 4])
        recent = memory["recent"]
        recent *= 0.5 ** (ROWS * row.period_s / self.half_life_s)
        recent += np.where(memory["judged"], found, 0.0)
        score: FloatArray = np.maximum(recent - 2.0 * memory["habit"], 0.0) / self.count
        return np.where(memory["taught"] >= self.lessons, score, np.nan)

    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        taught, usual = memory["taught"], memory["usual"]
        window_s = ROWS * row.period_s
        rate = pupils * np.maximum(1.0 / (taught + 1.0), 1 - 0.5 ** (window_s / self.habit_half_life_s))
        step = np.where(
            taught > 0, np.minimum(memory["step"], STEPS * usual + self.noise_floor), memory["step"]
        )
        usual += rate * (step - usual)
        memory["habit"] += rate * (np.minimum(memory["recent"], self.count) - memory["habit"])
        taught += pupils

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """Steps do not hang on the level."""

    def surprise(self, raw: FloatArray) -> FloatArray:
        return 6.0 * raw

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """Around the row beside the largest spike that was seen last: no spike lies in there."""
        beside, reach = float(memory["beside"][channel]), float(memory["reach"][channel])
        return (beside - reach, beside + reach) if reach > 0.0 else (np.nan, np.nan)

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        size = float(memory["largest"][channel])
        return Explanation(
            "shows single values far off that the next one takes back",
            direction=1 if size > 0 else -1,
            numbers={"spikes": float(memory["recent"][channel]), "largest": size},
        )

    def _usual(self, window: FloatArray, memory: Memory) -> FloatArray:
        usual: FloatArray = np.maximum(memory["usual"], self.noise_floor)
        return usual + np.abs(window[:, -1]) * 1e-7 + 1e-12
