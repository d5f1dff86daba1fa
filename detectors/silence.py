"""Silence: a channel that has not been heard for longer than its reporting period explains."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row


@dataclass(frozen=True)
class Silence(Detector):
    """Age of the last reading over the age that is too old; 1 is too old, and 3 for sure.

    Too old is 5 periods and at least a minute (domain practice: stale after 5 samples). A channel that is
    known for longer gaps gets more patience: gaps that ended by themselves raise its habit, each at most by
    half of what was too old, and the habit fades. The clock starts with the first reading heard, and
    again with each epoch.
    """

    stale_after_s: float | FloatArray = 0.0  # 0 = five of the row's periods, at least a minute
    habit_half_life_s: float = 7 * 86400.0

    kind: ClassVar[str] = "sensor_fault:dropout"
    hears_silence: ClassVar[bool] = True
    calibrated: ClassVar[bool] = False
    momentary: ClassVar[tuple[str, ...]] = ("since_ns",)

    def fresh_memory(self, channels: int) -> Memory:
        return {
            "since_ns": np.zeros(channels, dtype=np.int64),  # age counts from here; 0 = from the next row
            "known": np.zeros(channels, dtype=bool),  # heard at least once
            "habit_s": np.zeros(channels),  # patience that the channel has earned by its usual gaps
            "age_s": np.zeros(channels),
        }

    def score(self, row: Row, memory: Memory) -> FloatArray:
        since, known = memory["since_ns"], memory["known"]
        if np.count_nonzero(since) < len(since):
            np.copyto(since, row.end_ns - round(row.period_s * 1e9), where=since == 0)
        memory["age_s"] = (row.end_ns - since) * 1e-9
        if row.whole:
            known.fill(True)
            return np.zeros(len(since))
        known |= row.heard
        score = memory["age_s"] / self._limit(row, memory)
        score[row.heard] = 0.0
        if np.count_nonzero(known) < len(known):
            score[~known] = np.nan
        return score

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        habit_s = memory["habit_s"]
        habit_s *= 0.5 ** (row.period_s / self.habit_half_life_s)
        ended = memory["age_s"] > 1.5 * row.period_s  # a gap
        if np.count_nonzero(ended):
            ended &= row.heard
            earned = np.minimum(1.5 * memory["age_s"], 1.5 * self._limit(row, memory))
            np.copyto(habit_s, np.maximum(habit_s, earned), where=ended)
        if row.whole:
            memory["since_ns"].fill(row.end_ns)
        else:
            memory["since_ns"][row.heard] = row.end_ns

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """What it knows does not hang on the level."""

    def surprise(self, raw: FloatArray) -> FloatArray:
        return 6.0 * raw

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        limit = float(np.broadcast_to(self._limit(row, memory), memory["age_s"].shape)[channel])
        age = float(memory["age_s"][channel])
        return Explanation("has not been heard for too long", numbers={"age_s": age, "limit_s": limit})

    def _limit(self, row: Row, memory: Memory) -> FloatArray:
        limit: FloatArray = np.maximum(self.stale_s(row), memory["habit_s"])
        return limit

    def stale_s(self, row: Row) -> FloatArray:
        """The age that is too old where no habit is known; one for all channels, or (channels,)."""
        return np.where(np.equal(self.stale_after_s, 0.0), max(5 * row.period_s, 60.0), self.stale_after_s)
