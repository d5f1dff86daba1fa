"""Scale: all values by the same factor off, noise and all; a unit or a range that was set wrongly."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Explanation, FloatArray, Memory, Row
from detectors.windows import ROWS, WindowDetector, middle

LEAST = 3.0  # factor, up or down, from which a unit is suspected
LIKE = 2.0  # the relative noise may have grown or shrunk by this factor
QUIET = 0.1  # channels whose usual step is a larger share of their level are not judged
TINY = 1e-30
OUTSIDE = 1.2  # a wrong unit takes a channel so far below its calm windows: a quiet night does not
LOWEST = 0.25  # of the usual level: what is believed to be a quiet night
FLOOR = 1e-6  # relative steps smaller than this are rounding


@dataclass(frozen=True)
class Scale(WindowDetector):
    """Windows in a row in which level and noise are off by one factor, over how many say so; 1 does.

    A wrong unit multiplies all: the level, and what one row differs from the next. What happens in a pipe
    does not: a pressure that has fallen to a seventh keeps its noise, and a dead sensor has none. So the
    ratio of the window's middle to the usual level is compared with that of its steps to the usual step,
    both learned while calm; they must agree within LIKE, far from 1, and stay where they are. A flow whose
    noise goes with it is far below its mean each night: below, the window must lie under all calm ones, too.
    """

    noise_floor: float | FloatArray = 0.0  # the least step that is noise, in the channel's unit
    windows: float = 3.0
    half_life_s: float = 14 * 86400.0
    lessons: int = 24  # calm windows a channel needs before it is scored

    kind: ClassVar[str] = "sensor_fault:wrong_unit"
    calibrated: ClassVar[bool] = False

    def lessons_of(self, channels: int) -> Memory:
        names = ("median", "step", "level", "usual", "factor", "lasted", "taught", "lowest")
        return {name: np.zeros(channels) for name in names}

    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        median = memory["median"] = np.abs(middle(window))
        memory["step"] = np.abs(window[:, 5] - window[:, 4])
        level, usual = memory["level"], np.maximum(memory["usual"], memory["level"] * FLOOR)
        factor = np.maximum(median, TINY) / np.maximum(level, TINY)
        off = (np.maximum(factor, 1.0 / factor) >= LEAST) & (usual < QUIET * level)
        off &= (factor > 1.0) | (OUTSIDE * median < memory["lowest"])
        agree = np.zeros(len(off), dtype=bool)
        (suspects,) = off.nonzero()
        if len(suspects):
            steps = np.abs(np.diff(window[suspects], axis=1))
            noise = np.maximum(np.sort(steps, axis=1)[:, 2:-2].mean(axis=1), TINY) / usual[suspects]
            agree[suspects] = np.abs(np.log(noise) - np.log(factor[suspects])) <= np.log(LIKE)
        before = memory["factor"]
        same = (before == 0.0) | (np.abs(np.log(factor) - before) < np.log(1.5))
        judged, lasted = memory["judged"], memory["lasted"]
        unsure = np.where(off & same, np.maximum(lasted - 0.5, 0.0), 0.0)
        counted = np.minimum(np.where(off & same & agree, lasted + 1.0, unsure), 4.0 * self.windows)
        np.copyto(lasted, counted, where=judged)
        memory["factor"] = np.where(off, np.log(factor), 0.0)
        return np.where(memory["taught"] >= self.lessons, memory["lasted"] / self.windows, np.nan)

    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        taught = memory["taught"]
        forgetting = 1 - 0.5 ** (ROWS * row.period_s / self.half_life_s)
        rate = pupils * np.maximum(1.0 / (taught + 1.0), forgetting)
        for name, seen in (("level", "median"), ("usual", "step")):
            learned = memory[name]
            bounded = np.where(
                taught > 0, np.minimum(memory[seen], 2.0 * learned + self.noise_floor), memory[seen]
            )
            learned += rate * (bounded - learned)
        lowest, level = memory["lowest"], memory["level"]
        faded = lowest + forgetting * (level - lowest)
        median = np.maximum(memory["median"], LOWEST * level)
        np.copyto(lowest, np.where(lowest > 0.0, np.minimum(faded, median), median), where=pupils)
        taught += pupils

    def surprise(self, raw: FloatArray) -> FloatArray:
        return 6.0 * raw

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """Levels that are no factor away from the usual one, on the side of zero where the channel lies."""
        level = float(memory["level"][channel])
        near, far = level / LEAST, level * LEAST
        return (near, far) if row.values[channel] >= 0.0 else (-far, -near)

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        level = float(memory["level"][channel])
        factor = float(memory["median"][channel]) / level if level else 0.0
        return Explanation(
            "is off by one factor, noise and all: unit or range may be set wrongly",
            direction=1 if factor > 1 else -1,
            numbers={"expected": level, "factor": factor},
        )
