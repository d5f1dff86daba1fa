"""Drift: a small shift of level that lasts, such as a gas joint that has begun to seep."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row, only, where_heard
from detectors.tails import LN10

STRAY = 8.0  # deviations at most that one row adds: a spike is not a drift
BLOCKS = 24  # blocks that must have been seen before the pace is believed
PRIOR_BLOCKS, PRIOR_SHARE = 2.0, 0.3  # until then: block means vary by this share of the rows' variance
LAZIEST = 0.95  # correlation from block to block at most
END_OFFSET = 0.583  # Siegmund's correction of a boundary for the overshoot of Gaussian steps


@dataclass(frozen=True)
class Drift(Detector):
    """Two-sided CUSUM of the deviation from a level learned slowly, while the channel was calm.

    Score (channels,): the larger accumulated shift in standard deviations; NaN until taught.
    Rows that follow each other closely say the same thing again: `pace` rows count as one, learned from how
    much the means of `block_s` vary, and how they follow each other, beside single rows. On independent
    noise the pace is 1 and this is the textbook's CUSUM, which exceeds h about every exp(h + 1.17) rows
    when half a deviation is forgiven; real noise is worse, so levels come from the alarm budget.
    Sources: Page, Biometrika 41 (1954); Siegmund, "Sequential Analysis" (1985).
    """

    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    forgiven: float = 0.5  # standard deviations a row may stray at no cost
    ceiling: float = 50.0  # the sum stops here, so that a channel that recovers can be seen to
    half_life_s: float = 14 * 86400.0  # long, or the level would follow the drift
    block_s: float = 3600.0
    lessons: int = 30  # calm rows that place the level; then BLOCKS blocks are needed before it is scored

    deseasoned: ClassVar[bool] = True
    momentary: ClassVar[tuple[str, ...]] = ("block_sum", "block_rows")

    def fresh_memory(self, channels: int) -> Memory:
        memory = {
            name: np.zeros(channels) for name in ("level", "variance", "taught", "up", "down", "blocks")
        }
        for name in ("sum", "rows", "last", "variance", "product"):
            memory[f"block_{name}"] = np.zeros(channels)
        memory["pace"] = np.ones(channels)
        memory["spread"] = np.zeros(channels)
        memory["placed"] = np.zeros(channels, dtype=bool)
        return memory

    def score(self, row: Row, memory: Memory) -> FloatArray:
        placed = memory["taught"] >= self.lessons
        known = placed & (memory["blocks"] >= BLOCKS)
        spread = self._spread(memory)
        moved = known if row.whole else known & row.heard  # silence moves nothing, least of all towards calm
        strayed = row.values - memory["level"]
        if np.count_nonzero(moved) < len(moved):
            strayed[~moved] = 0.0
        strayed /= spread
        np.minimum(np.maximum(strayed, -STRAY, out=strayed), STRAY, out=strayed)
        counted = where_heard(1.0 / memory["pace"], row, 0.0)
        shift, forgiven = strayed * counted, self.forgiven * counted
        for name, step in (("up", shift), ("down", -shift)):
            total = memory[name]
            total += step
            total -= forgiven
            np.maximum(total, 0.0, out=total)
            np.minimum(total, self.ceiling, out=total)
        memory["spread"], memory["placed"] = spread, placed
        score: FloatArray = np.maximum(memory["up"], memory["down"])
        if np.count_nonzero(known) < len(known):
            score[~known] = np.nan
        return score

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        pupils = calm if row.whole else calm & row.heard
        taught, placed = memory["taught"], memory["placed"]
        forgetting = 1 - 0.5 ** (row.period_s / self.half_life_s)
        rate = only(np.maximum(1.0 / (taught + 1.0), forgetting), pupils)
        error = row.values - memory["level"]
        if np.count_nonzero(pupils) < len(pupils):
            error[~pupils] = 0.0
        taught += pupils
        bound = STRAY * memory["spread"]
        if np.count_nonzero(placed) < len(placed):
            bound[~placed] = np.inf
        error = np.minimum(np.maximum(error, -bound), bound)
        placed = pupils & (taught >= self.lessons)  # deviations from a level that is known
        memory["level"] += rate * error
        memory["variance"] += rate * ((1.0 - rate) * error * error - memory["variance"])
        memory["block_sum"] += error * placed
        memory["block_rows"] += placed
        self.end_block(row, memory)

    def end_block(self, row: Row, memory: Memory) -> None:
        """Where a block ends with this row, take its means."""
        block_ns = round(self.block_s * 1e9)
        if row.end_ns // block_ns != (row.end_ns - round(row.period_s * 1e9)) // block_ns:
            self._close_block(row, memory)

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """The sums begin anew at the level that the baseline now leaves; noise and pace are still known."""
        for name in ("level", "up", "down", "block_sum", "block_rows", "block_last"):
            memory[name][chosen] = 0.0

    def surprise(self, raw: FloatArray) -> FloatArray:
        exponent = 2.0 * self.forgiven * (raw + END_OFFSET) - np.log(2.0)
        surprise: FloatArray = np.maximum(exponent * (1 / LN10), 0.0)
        return surprise

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """What is forgiven: a channel that stays in there adds nothing to its sum."""
        level = float(memory["level"][channel])
        reach = self.forgiven * float(memory["spread"][channel])
        return level - reach, level + reach

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        up, down = float(memory["up"][channel]), float(memory["down"][channel])
        direction = 1 if up > down else -1
        return Explanation(
            f"has been drifting {'upwards' if direction > 0 else 'downwards'}",
            direction=direction,
            numbers={"spread": float(self._spread(memory)[channel]), "raw": max(up, down)},
        )

    def _spread(self, memory: Memory) -> FloatArray:
        spread: FloatArray = np.maximum(np.sqrt(memory["variance"]), self.noise_floor)
        return spread + (np.abs(memory["level"]) * 1e-7 + 1e-12)

    def _close_block(self, row: Row, memory: Memory) -> None:
        """Learn from the means of a block how many rows say as much as one independent row."""
        expected_rows = max(self.block_s / row.period_s, 1.0)
        full = memory["block_rows"] >= 0.5 * expected_rows
        mean = np.where(full, memory["block_sum"] / np.maximum(memory["block_rows"], 1.0), 0.0)
        blocks = memory["blocks"]
        rate = full * np.maximum(1.0 / (blocks + 1.0), 1 - 0.5 ** (self.block_s / self.half_life_s))
        memory["block_variance"] += rate * (mean * mean - memory["block_variance"])
        memory["block_product"] += rate * (mean * memory["block_last"] - memory["block_product"])
        memory["block_last"] = np.where(full, mean, 0.0)
        blocks += full
        variance = self._spread(memory) ** 2
        prior = PRIOR_SHARE * variance * PRIOR_BLOCKS
        believed = (memory["block_variance"] * blocks + prior) / (blocks + PRIOR_BLOCKS)
        follows = np.clip(memory["block_product"] / np.maximum(believed, 1e-300), 0.0, LAZIEST)
        pace = expected_rows * believed / variance * (1.0 + follows) / (1.0 - follows)
        longest = expected_rows * (1.0 + LAZIEST) / (1.0 - LAZIEST)
        memory["pace"] = np.clip(pace, 1.0, longest)
        memory["block_sum"][:] = 0.0
        memory["block_rows"][:] = 0.0
