"""Regime: a channel that has lived at another level for a day; a new meter, another zone: staff are asked."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row

BLOCK_S = 3600.0
FAR, NEAR = 4.0, 2.0  # deviations of hourly means: farther than FAR is away, nearer than NEAR is back
STEADY = 0.5  # an hour belongs to the new level within this share of its distance
BLOCKS = 24  # calm hours that must have been seen
BELIEVED = 0.1  # memory of the new level: a tenth of what each further hour says


@dataclass(frozen=True)
class Regime(Detector):
    """Days at another level over the days after which that is a question; 1 asks.

    The means of whole hours are compared with those of calm hours. An hour counts while it is farther than
    FAR of their deviations from the old level and on the new one, which it helps to place; an hour back
    at the old level ends the story, one in between counts for nothing. No answer is needed: channels that
    stay strange are learned from again after some days, slowly. `adopt_regime` does it at once.
    A row costs two sums. Source of "asked, not assumed": ISA-18.2 rationalisation (a changed plant is a
    reviewed change), and the run rule of one side, Western Electric (1956), on hours instead of samples.
    """

    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    ask_after_s: float = 86400.0
    half_life_s: float = 14 * 86400.0  # of the old level

    kind: ClassVar[str] = "regime_change"
    calibrated: ClassVar[bool] = False
    deseasoned: ClassVar[bool] = True
    momentary: ClassVar[tuple[str, ...]] = ("sum", "rows", "calm_rows")

    def fresh_memory(self, channels: int) -> Memory:
        names = "level variance blocks sum rows calm_rows away_s shift"
        memory = {name: np.zeros(channels) for name in names.split()}
        memory["raw"] = np.full(channels, np.nan)
        return memory

    def score(self, row: Row, memory: Memory) -> FloatArray:
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        if row.whole:
            memory["sum"] += row.values
            memory["rows"] += 1.0
            memory["calm_rows"] += calm
        else:
            heard = row.heard
            memory["sum"] += np.where(heard, row.values, 0.0)
            memory["rows"] += heard
            memory["calm_rows"] += calm & heard
        self.end_block(row, memory)

    def end_block(self, row: Row, memory: Memory) -> None:
        """Where an hour ends with this row, judge it."""
        block_ns = round(BLOCK_S * 1e9)
        if row.end_ns // block_ns != (row.end_ns - round(row.period_s * 1e9)) // block_ns:
            self._close_block(row, memory)

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """The old level becomes 0, which is where the residual of a baseline that was moved lies."""
        for name in ("level", "away_s", "shift", "sum", "rows", "calm_rows"):
            memory[name][chosen] = 0.0
        memory["raw"][chosen & np.isfinite(memory["raw"])] = 0.0

    def surprise(self, raw: FloatArray) -> FloatArray:
        return 6.0 * raw

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        shift = float(memory["shift"][channel])
        return Explanation(
            f"has been {'higher' if shift > 0 else 'lower'} than it was for a day or more: was a meter "
            "exchanged or a zone changed? If this is normal from now on, adopt it (adopt_regime)",
            direction=1 if shift > 0 else -1,
            numbers={"shift": shift, "lasted_s": float(memory["away_s"][channel])},
        )

    def _close_block(self, row: Row, memory: Memory) -> None:
        rows, level, blocks = memory["rows"], memory["level"], memory["blocks"]
        expected_rows = max(BLOCK_S / row.period_s, 1.0)
        full = rows >= 0.5 * expected_rows
        mean = np.where(full, memory["sum"] / np.maximum(rows, 1.0), level)
        spread = np.maximum(np.sqrt(memory["variance"]), self.noise_floor) + np.abs(level) * 1e-7 + 1e-12
        known = blocks >= BLOCKS
        strayed = mean - level
        size = np.abs(strayed) / spread
        away_s, shift = memory["away_s"], memory["shift"]
        away = full & known & (size > FAR)
        begun = away_s > 0.0
        fits = np.abs(strayed - shift) <= STEADY * np.abs(shift)
        away_s += np.where(away & (fits | ~begun), BLOCK_S, 0.0)
        moves = np.where(begun, BELIEVED, 1.0) * away
        shift += moves * (strayed - shift)
        back = full & (size < NEAR)
        away_s[back] = 0.0
        shift[back] = 0.0
        pupils = full & (memory["calm_rows"] >= 0.9 * rows) & ~away
        rate = pupils * np.maximum(1.0 / (blocks + 1.0), 1 - 0.5 ** (BLOCK_S / self.half_life_s))
        bound = np.where(known, FAR * spread, np.inf)
        step = np.minimum(np.maximum(strayed, -bound), bound)
        level += rate * step
        memory["variance"] += rate * ((1.0 - rate) * step * step - memory["variance"])
        blocks += pupils
        np.copyto(memory["raw"], away_s * (1 / self.ask_after_s), where=known)
        for name in ("sum", "rows", "calm_rows"):
            memory[name][:] = 0.0
