"""Rhythm: a value that is unusual for this hour of the day."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from config.daykinds import country_of
from detectors import days, tails
from detectors.base import BoolArray, Detector, Explanation, FloatArray, Memory, Row, only, where_heard
from detectors.days import HOUR_S, HOURS
from detectors.jump import TO_DEVIATION

BOUND = 4.0  # deviations at most by which one calm row moves the baseline
SHARED_ROWS = 5.0  # weight, in rows of an hour, of the channel's usual deviation beside that of the hour
ADOPTED_SHARE = 0.2  # of what an hour weighs is kept where staff adopted a new level
BY_TIMEZONE = "by timezone"
FIRST_ROWS = 3.0  # rows that an hour needs at least
OLD_VISITS = 8.0  # of an hour, from which its spread is believed as it is


@dataclass(frozen=True)
class Rhythm(Detector):
    """Deviation from the level of this hour of the day, between hours interpolated, in its usual deviations.

    Every hour has a level and a mean absolute deviation, both learned with the weight of the calm rows seen
    in it so far, up to `days`. An hour is judged from its second visit on (an hourly channel: the fourth);
    until the eighth its spread is widened, less each time, because few days say little about how days differ.
    Before an hour is known, the one before stands in for it, so that the first day already has a level (not
    a score). Weekends and holidays add their own offset to each hour, once they show that they differ
    (`days.py`). Cold state: 3 x 24 numbers a channel, and 19 x 24 of half the size for kinds of days.
    """

    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    timezone: str = "Asia/Shanghai"
    days: float = 10.0  # memory of the baseline, in visits of an hour
    holidays: str = BY_TIMEZONE  # country whose holidays count, such as "CN"; "" = weekends alone

    leaves_residual: ClassVar[bool] = True
    on_samples: ClassVar[int] = 3  # what comes suddenly is told by jump, which knows better what it is

    def fresh_memory(self, channels: int) -> Memory:
        memory: Memory = {name: np.zeros((HOURS, channels)).T for name in ("level", "deviation", "taught")}
        memory["usual"] = np.zeros(channels)  # mean absolute deviation over all hours
        memory["expected"] = np.zeros(channels)
        memory["spread"] = np.zeros(channels)
        memory["residual"] = np.full(channels, np.nan)
        memory["raw"] = np.full(channels, np.nan)
        memory["loading"] = np.full(channels, np.nan)  # how far demand moves each: for `demand.py`
        return memory | days.fresh(channels)

    @property
    def country(self) -> str:
        """Whose holidays count."""
        return country_of(self.timezone) if self.holidays == BY_TIMEZONE else self.holidays

    def lessons(self, period_s: float) -> float:
        """Rows of an hour from which it is judged."""
        return max(HOUR_S / period_s, FIRST_ROWS)

    def paces(self, period_s: float) -> tuple[float, float, float]:
        """Rows of an hour that move it freely; that it remembers; and the most one moves what is usual."""
        rows = HOUR_S / period_s
        return max(0.1 * rows, FIRST_ROWS), max(self.days * rows, self.days), 1 / (2 * HOURS * rows)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        moment = days.moment_of(self.timezone, row.end_ns, row.period_s)
        hour, before, after = moment.hour % HOURS, moment.before % HOURS, (moment.before + 1) % HOURS
        level, taught, raw = memory["level"], memory["taught"][:, hour], memory["raw"]
        expected = self._expected(level[:, before], level[:, after], moment.share)
        seen_before, seen_after = memory["taught"][:, before], memory["taught"][:, after]
        if np.count_nonzero(seen_before) < len(raw) or np.count_nonzero(seen_after) < len(raw):
            expected = np.where(seen_after == 0.0, level[:, before], expected)
            expected = np.where(seen_before == 0.0, level[:, after], expected)
        extra = days.added(moment, self.country, memory)
        if extra is not None:
            expected += extra
        shared = SHARED_ROWS / (taught + SHARED_ROWS)
        deviation = memory["deviation"][:, hour]
        deviation = deviation + shared * (memory["usual"] - deviation)
        spread = np.maximum(deviation * TO_DEVIATION, self.noise_floor) + np.abs(expected) * 1e-7 + 1e-12
        known = taught >= self.lessons(row.period_s)
        visits = taught * (row.period_s / HOUR_S)
        young = visits < OLD_VISITS
        if np.count_nonzero(young):
            spread *= 1.0 + young / np.maximum(visits, 1.0) ** 2
        memory["expected"], memory["spread"] = expected, spread
        left = memory["residual"] = where_heard(row.values - expected, row, np.nan)
        size = np.abs(left)
        size /= spread
        if np.count_nonzero(known) < len(known):
            left[~known] = np.nan
        np.copyto(raw, size, where=known if row.whole else known & row.heard)
        return raw

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        moment = days.moment_of(self.timezone, row.end_ns, row.period_s)
        days.hear(row, moment, calm, self.country, memory)
        hour = moment.hour % HOURS
        young_rows, memory_rows, slowest = self.paces(row.period_s)
        level, deviation, taught = (memory[name][:, hour] for name in ("level", "deviation", "taught"))
        pupils = calm if row.whole else calm & row.heard
        begun = np.count_nonzero(taught) == len(taught)
        if not begun:
            new = taught == 0.0
            np.copyto(level, memory["expected"], where=new)
            np.copyto(deviation, memory["usual"], where=new)
        bound = BOUND * memory["spread"]
        young = taught < young_rows
        if np.count_nonzero(young):
            bound[young] = np.inf
        error = row.values - memory["expected"]
        if np.count_nonzero(pupils) < len(pupils):
            error[~pupils] = 0.0
        step = np.minimum(np.maximum(error, -bound), bound)
        rate = 1.0 / np.minimum(taught + 1.0, memory_rows)
        only(rate, pupils)
        size = np.abs(step)
        level += rate * step
        if not begun:
            rate *= taught > 0.0  # the first value of an hour says nothing about how values differ
        deviation += rate * (size - deviation)
        usual = memory["usual"]
        usual += np.minimum(rate, slowest) * (size - usual)
        taught += pupils

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """Every hour moves with the level, and is then learned anew with the weight of two visits."""
        known = memory["taught"][chosen]
        memory["level"][chosen] += np.where(known > 0.0, shift[chosen][:, None], 0.0)
        memory["taught"][chosen] = np.minimum(known, ADOPTED_SHARE * known.max(axis=1, initial=0.0)[:, None])
        days.adopt(chosen, memory)

    def _expected(self, before: FloatArray, after: FloatArray, share: float) -> FloatArray:
        """Between the middles of two hours."""
        expected: FloatArray = after - before
        expected *= share
        expected += before
        return expected

    def surprise(self, raw: FloatArray) -> FloatArray:
        return tails.gaussian(raw)

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        expected, reach = float(memory["expected"][channel]), raw * float(memory["spread"][channel])
        return expected - reach, expected + reach

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        expected, spread = float(memory["expected"][channel]), float(memory["spread"][channel])
        high = bool(row.values[channel] > expected)
        return Explanation(
            f"is too {'high' if high else 'low'} for this hour of the day",
            direction=1 if high else -1,
            numbers={"expected": expected, "spread": spread, "raw": float(memory["raw"][channel])},
        )
