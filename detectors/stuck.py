"""Stuck: a value that has not changed for longer than its noise and resolution explain."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row, only

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
        return memory

    def score(self, row: Row, memory: Memory) -> FloatArray:
        same = np.abs(row.values - memory["last"]) <= np.multiply(self.resolution, 0.25)
        before, raw = memory["run"], memory["raw"]
        run = (before + 1.0) * same
        if not row.whole:
            np.copyto(run, before, where=row.missing)
        memory["before"], memory["run"] = before, run
        known = (memory["changes"] >= self.lessons) & (memory["taught_s"] >= self.lessons_s)
        beyond = np.maximum(run - PATIENCE * memory["longest"], 0.0)
        (long,) = beyond.nonzero()
        if len(long):
            beyond[long] *= self.cost(row.values[long], memory["repeats"][long])
        np.copyto(raw, beyond, where=known if row.whole else known & row.heard)
        return raw

    def cost(self, values: FloatArray, repeats: FloatArray) -> FloatArray:
        """What each further row of a run is charged, by the values and the chance that a row repeats."""
        chance = np.minimum(np.maximum(repeats, LEAST), MOST)
        cost: FloatArray = -np.log10(chance) * (values != self.resting)
        return cost

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        changed = memory["run"] == 0.0
        pupils = calm & (memory["last"] != self.resting)
        if not row.whole:
            changed &= row.heard
            pupils &= row.heard
        longest, repeats = memory["longest"], memory["repeats"]
        longest *= 0.5 ** (row.period_s / self.habit_half_life_s)
        if np.count_nonzero(changed):
            np.maximum(longest, memory["before"] * (changed & pupils), out=longest)
        taught_rows = memory["taught_s"] * (1 / row.period_s)
        rate = only(1.0 / np.minimum(taught_rows + 1.0, MEMORY_ROWS), pupils)
        repeats += rate * (row.heard & ~changed) - rate * repeats
        memory["taught_s"] += row.period_s if row.whole else row.heard * row.period_s
        memory["changes"] += changed
        np.copyto(memory["last"], row.values, where=True if row.whole else row.heard)

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """What it knows does not hang on the level."""

    def surprise(self, raw: FloatArray) -> FloatArray:
        return raw

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        lasted_s = float(memory["run"][channel]) * row.period_s
        longest_s = float(memory["longest"][channel]) * row.period_s
        return Explanation(
            "has not changed for too long",
            numbers={"unchanged_s": lasted_s, "longest_s": longest_s, "limit_s": PATIENCE * longest_s},
        )
