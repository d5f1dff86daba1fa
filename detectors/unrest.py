"""Unrest: a channel that has grown noisy, such as a loose contact, a dying battery or cavitation."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors import tails
from detectors.base import BoolArray, Explanation, FloatArray, Memory, Row
from detectors.windows import ROWS, WindowDetector, middle

BOUND = 4.0  # deviations at most by which one window moves what is usual
SPREAD = 0.35  # the least deviation of the logarithm: that of the median step of twelve Gaussian rows


@dataclass(frozen=True)
class Unrest(WindowDetector):
    """How far the median step between the rows of a window lies above usual, on the scale of logarithms.

    The median does not see one step or one spike, only noise. A smaller one is not judged here: what moves
    too little is `stuck`. A change of variance is told on the logarithm because it multiplies (Box,
    Biometrika 40, 1953).
    """

    noise_floor: float | FloatArray = 0.0  # steps smaller than this are no noise, in the channel's unit
    half_life_s: float = 14 * 86400.0
    lessons: int = 24  # calm windows a channel needs before it is scored

    kind: ClassVar[str] = "sensor_fault:battery_death"
    deseasoned: ClassVar[bool] = True

    def lessons_of(self, channels: int) -> Memory:
        return {name: np.zeros(channels) for name in ("size", "level", "variance", "taught", "middle")}

    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        memory["middle"] = middle(window)
        steps = np.abs(np.diff(window, axis=1))
        steps.sort(axis=1)
        floor = np.maximum(self.noise_floor, np.abs(window[:, -1]) * 1e-9 + 1e-12)
        size = memory["size"] = np.log(np.maximum(steps[:, steps.shape[1] // 2], floor))
        over: FloatArray = np.maximum(size - memory["level"], 0.0) / self._spread(memory)
        return np.where(memory["taught"] >= self.lessons, over, np.nan)

    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        taught = memory["taught"]
        forgetting = 1 - 0.5 ** (ROWS * row.period_s / self.half_life_s)
        rate = pupils * np.maximum(1.0 / (taught + 1.0), forgetting)
        error = np.where(pupils, memory["size"] - memory["level"], 0.0)
        bound = np.where(taught >= self.lessons, BOUND * self._spread(memory), np.inf)
        step = np.minimum(np.maximum(error, -bound), bound)
        memory["level"] += rate * step
        memory["variance"] += rate * ((1.0 - rate) * step * step - memory["variance"])
        taught += pupils

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """Noise does not hang on the level."""

    def surprise(self, raw: FloatArray) -> FloatArray:
        return tails.gaussian(raw)

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """Around the middle of the window, no wider than one step may be: in there no step is too large."""
        level, spread = float(memory["level"][channel]), float(self._spread(memory)[channel])
        reach = 0.5 * float(np.exp(min(level + raw * spread, 700.0)))
        middle_of = float(memory["middle"][channel])
        return middle_of - reach, middle_of + reach

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        times = float(np.exp(min(memory["size"][channel] - memory["level"][channel], 700.0)))
        return Explanation(
            "has grown noisy",
            numbers={"usual_step": float(np.exp(memory["level"][channel])), "times_usual": times},
        )

    def _spread(self, memory: Memory) -> FloatArray:
        return np.maximum(np.sqrt(memory["variance"]), SPREAD)
