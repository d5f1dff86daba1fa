"""Stuck: a value that has not changed for longer than its noise and resolution explain."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row, audible

PATIENCE = 1.5  # a run is strange only beyond so many times the longest that was normal
LEAST, MOST = 0.05, 0.995  # bounds of the believed chance that a row repeats the one before
MEMORY_ROWS = 2000.0  # of that chance


@dataclass(frozen=True)
class Stuck(Detector):
    """-log10 of the chance that a healthy channel repeats itself for so long.

    Each channel learns how often a calm row repeats the one before, and the longest calm run (which fades
    with `habit_half_life_s`). What a run exceeds PATIENCE times that longest one is charged at the learned
    chance. A channel that never changes is never known, and resting at `resting` (no flow, no gas) is no
    fault: neither is judged.
    """

    resolution: float | FloatArray = 0.0  # values closer than a quarter of it are the same
    resting: float = 0.0
    lessons: int = 30  # changes that must have been seen …
    lessons_s: float = 86400.0  # … and how long, so that a night has been
    habit_half_life_s: float = 7 * 86400.0

    kind: ClassVar[str] = "sensor_fault:stuck"
    momentary: ClassVar[tuple[str, ...]] = ("run", "before")

    def fresh_memory(self, channels: int) -> Memory:
        names = "last run before longest repeats taught_s changes"
        memory = {name: np.zeros(channels) for name in names.split()}
        memory["last"] = np.full(channels, np.nan)
        memory["raw"] = np.full(channels, np.nan)
        memory["heard"] = np.zeros(channels, dtype=bool)
        return memory

    def score(self, row: Row, memory: Memory) -> FloatArray:
        heard = audible(row.values)
        same = np.abs(row.values - memory["last"]) <= np.multiply(self.resolution, 0.25)
        run = memory["run"]
        memory["before"], memory["heard"] = run, heard
        memory["run"] = np.where(heard, (run + 1.0) * same, run)
        known = (memory["changes"] >= self.lessons) & (memory["taught_s"] >= self.lessons_s)
        beyond = np.maximum(memory["run"] - PATIENCE * memory["longest"], 0.0)
        cost = -np.log10(np.minimum(np.maximum(memory["repeats"], LEAST), MOST))
        moving = row.values != self.resting
        memory["raw"] = np.where(heard & known, beyond * cost * moving, memory["raw"])
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        heard = memory["heard"]
        changed = heard & (memory["run"] == 0.0)
        moving = memory["last"] != self.resting
        pupils = heard & calm & moving
        memory["longest"] *= 0.5 ** (row.period_s / self.habit_half_life_s)
        ended = np.where(changed & pupils, memory["before"], 0.0)
        np.maximum(memory["longest"], ended, out=memory["longest"])
        taught_rows = memory["taught_s"] * (1 / row.period_s)
        rate = pupils / np.minimum(taught_rows + 1.0, MEMORY_ROWS)
        memory["repeats"] += rate * (heard & ~changed) - rate * memory["repeats"]
        memory["taught_s"] += heard * row.period_s
        memory["changes"] += changed
        memory["last"] = np.where(heard, row.values, memory["last"])

    def surprise(self, raw: FloatArray) -> FloatArray:
        return raw

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        lasted_s = float(memory["run"][channel]) * row.period_s
        return Explanation(
            "has not changed for too long",
            numbers={"unchanged_s": lasted_s, "longest_s": float(memory["longest"][channel]) * row.period_s},
        )
