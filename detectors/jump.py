"""Jump: a sudden change of level, such as a burst main or a regulator that fails."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors import tails
from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row, only, where_heard

TO_DEVIATION = 1.2533  # standard deviation over mean absolute deviation, for Gaussian noise
BOUND = 3.0  # deviations at most by which one row moves the short level, or counts for the spread
PRECISION, TINY = 1e-7, 1e-12  # a spread below the precision of the level itself is rounding, not noise
TWO_SIDES = float(np.log10(2.0))
BLIND_ROWS = 8.0  # a short level is not short any more after so many rows without a reading


@dataclass(frozen=True)
class Jump(Detector):
    """How far two rows in a row strayed to one side of a short level, in its usual deviations.

    The level is an exponential average whose steps are bounded: it follows whatever happens within some
    `level_rows` steps, so that a jump is news for a while and then history; only calm rows teach the spread.
    A spike that returns at once is one row, and the lesser of two counts.
    Sources: exponentially weighted average, Roberts, Technometrics 1 (1959); bounded steps, Huber, Annals of
    Mathematical Statistics 35 (1964).
    """

    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    level_rows: float = 6.0  # memory of the short level
    half_life_s: float = 86400.0  # of the spread
    lessons: int = 60  # calm rows a channel needs before it is scored

    spans: ClassVar[int] = 2
    momentary: ClassVar[tuple[str, ...]] = ("unheard", "strayed")

    def fresh_memory(self, channels: int) -> Memory:
        memory = {name: np.zeros(channels) for name in ("level", "deviation", "taught", "error", "strayed")}
        memory["unheard"] = np.full(channels, 2 * BLIND_ROWS)  # rows since the last reading
        memory["raw"] = np.full(channels, np.nan)
        memory["spread"] = np.zeros(channels)
        memory["known"] = np.zeros(channels, dtype=bool)
        return memory

    def score(self, row: Row, memory: Memory) -> FloatArray:
        level, raw = memory["level"], memory["raw"]
        lost = memory["unheard"] > BLIND_ROWS
        if np.count_nonzero(lost):
            np.copyto(level, row.values, where=lost & row.heard)
        error = where_heard(row.values - level, row, 0.0)
        spread = np.maximum(memory["deviation"] * TO_DEVIATION, self.noise_floor)
        spread += np.abs(level) * PRECISION + TINY
        known = memory["taught"] >= self.lessons
        before, strayed = memory["strayed"], error / spread
        both = np.maximum(np.minimum(strayed, before), -np.maximum(strayed, before))
        np.maximum(both, 0.0, out=both)
        if row.whole:
            memory["strayed"] = strayed
        else:
            np.copyto(before, strayed, where=row.heard)
        np.copyto(raw, both, where=known if row.whole else known & row.heard)
        memory["error"], memory["spread"], memory["known"] = error, spread, known
        return raw

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        error, deviation, taught = memory["error"], memory["deviation"], memory["taught"]
        bound = BOUND * memory["spread"]
        known = memory["known"]
        if np.count_nonzero(known) < len(known):
            bound[~known] = np.inf
        step = np.minimum(np.maximum(error, -bound), bound)
        memory["level"] += step * (1 / self.level_rows)
        pupils = calm if row.whole else calm & row.heard
        forgetting = 1 - 0.5 ** (row.period_s / self.half_life_s)
        rate = only(np.maximum(1.0 / (taught + 1.0), forgetting), pupils)
        deviation += rate * (np.abs(step) - deviation)
        taught += pupils
        if row.whole:
            memory["unheard"].fill(0.0)
        else:
            memory["unheard"] += 1.0
            memory["unheard"][row.heard] = 0.0

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """Its level is short and has followed already."""
        memory["strayed"][chosen] = 0.0

    def surprise(self, raw: FloatArray) -> FloatArray:
        """Two independent Gaussian rows beyond `raw` on the same side: 2 Q(raw)^2."""
        return 2.0 * tails.gaussian(raw) + TWO_SIDES

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        level = float(row.values[channel] - memory["error"][channel])
        reach = raw * float(memory["spread"][channel])
        return level - reach, level + reach

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        value = float(row.values[channel])
        error = float(memory["error"][channel])
        spread = float(memory["spread"][channel])
        rising = error > 0
        return Explanation(
            "rose suddenly" if rising else "fell suddenly",
            direction=1 if rising else -1,
            numbers={"expected": value - error, "spread": spread, "raw": float(memory["raw"][channel])},
        )
