"""Methane: gas that rises fast, or stays through the cold of the night, as from a leak and no sewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, local_hour

DAY_S = 86400.0
HOUR_S = 3600.0
HOURS = 24
WARM = slice(12, 20)  # hours of the day in which a sewer breathes most


@dataclass(frozen=True)
class Methane(SubjectDetector):
    """Below the levels of `limits`, which page by themselves, two things tell of a leak.

    Rising: `rise` %LEL a minute, or `step` %LEL from one reading to the next within half an hour, up to a
    value of `least` at least. An alarm while it rises; over when the value has fallen below `least`, or has
    stood for an hour.
    Seeping: the mean of an hour in the cold of the night (`cold`) lies `seep` %LEL above what is usual at
    that hour, and at least `breath` of the most that the day before lay above it, and some of it had been
    there in the afternoon. Sewage and marsh gas come
    with the warmth of the day and are nearly gone at four in the morning; a leak stays, and grows. Where the
    excess has gone down to less than `breath` of its own day's peak, it is taken for such gas and told to
    nobody. Usual: the mean by hour of the day of the last ten days or so, learned while nothing seeps,
    judged from `known_s` on.
    Sources: rise above 5 %LEL a minute and the check of the diurnal pattern against biogas are common
    practice for spaces beside gas pipes; the numbers are choices of this project.
    """

    rise: float = 5.0
    step: float = 10.0
    least: float = 10.0
    seep: float = 2.0
    breath: float = 0.6
    cold: tuple[int, int] = (2, 7)
    known_s: float = 2 * DAY_S
    floor: float = 0.3
    timezone: str = "Asia/Shanghai"

    roles: ClassVar[tuple[str, ...]] = ("ch4",)
    momentary: ClassVar[tuple[str, ...]] = ("before", "calm_s", "hour_mean", "hour_rows")

    def rules(self) -> Sequence[Rule]:
        return (
            Rule("gas.ch4.rising", "well_gas", ("ch4",), off_delay_s=600.0),
            Rule("gas.ch4.seeping", "slow_leak", ("ch4",), off_delay_s=6 * HOUR_S),
        )

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        numbers = sorted(range(len(channels)), key=lambda n: channels.ids[n])
        return [{"ch4": n} for n in numbers if channels.quantity[n] == "ch4" and channels.medium[n] == "gas"]

    def lessons(self, site: Site) -> Memory:
        size = len(site)
        return {
            "before": np.full(size, np.nan),
            "calm_s": np.zeros(size),  # how long it has not risen
            "hour": np.full(size, -1, dtype=np.int64),  # the hour since 1970 that is being averaged
            "hour_mean": np.zeros(size),
            "hour_rows": np.zeros(size),
            "usual": np.zeros((size, HOURS)),
            "visits": np.zeros((size, HOURS)),
            "spread": np.zeros(size),
            "excess": np.full((size, HOURS), np.nan),  # of the last 24 hours, by hour of the day
            "known_s": np.zeros(size),
            "silent_below": np.full((size, 2), np.nan),  # when it last spoke: rising, and seeping …
            "seeped_from": np.full(size, np.nan),  # … and what had been usual then
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size = len(moment.site)
        heard, value, time_ns = moment.of("ch4")
        rising = self._rising(moment, heard, value, memory, size)
        local = time_ns // 10**9 // 3600
        ended = heard & (memory["hour"][:size] != local)
        told = ended & (memory["hour_rows"][:size] > 0)
        if np.count_nonzero(told):
            self._end_hour(moment, told, memory, size)
        rows, mean = memory["hour_rows"][:size], memory["hour_mean"][:size]
        np.copyto(memory["hour"][:size], local, where=heard)
        rows[ended], mean[ended] = 0.0, 0.0
        rows += heard
        mean += np.where(heard, (value - mean) / np.maximum(rows, 1.0), 0.0)
        memory["known_s"][:size] += moment.since_s("ch4")
        return np.concatenate([rising, told & (memory["known_s"][:size] >= self.known_s)])

    def instead(self, site: Site) -> NDArray[np.int64]:
        return site.member[:, 0]

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        subject = point % len(site)
        channel = site.channel_of(point)
        value = float(memory["value"][subject, 0])
        observed = {"value": value, "unit": "%{LEL}", "quality": "good"}
        numbers = {"high": float(memory["silent_below"][subject, point // len(site)])}
        if point < len(site):
            sentence = f"Methane at {channel.place} is rising fast: {value:.1f} %LEL"
            return Explanation(sentence, 1, observed, _known(numbers))
        excess = memory["excess"][subject]
        numbers["above"] = float(excess[np.isfinite(excess)].min(initial=np.inf))
        numbers["expected"] = float(memory["seeped_from"][subject])
        return Explanation(
            f"Methane at {channel.place} stays through the cold hours of the night, as from a leak and not "
            f"from a sewer: {value:.1f} %LEL",
            1,
            observed,
            _known(numbers),
        )

    def _rising(
        self, moment: Moment, heard: BoolArray, value: FloatArray, memory: Memory, size: int
    ) -> BoolArray:
        before, calm_s = memory["before"][:size], memory["calm_s"][:size]
        passed_s = moment.since_s("ch4", 100.0)
        known = heard & np.isfinite(before) & (passed_s > 0.0) & (passed_s <= 1800.0)
        rise = np.where(known, value - before, 0.0)
        needed = np.minimum(self.rise * passed_s / 60.0, self.step)
        fast = known & (rise >= needed) & (value >= self.least)
        below = np.maximum(before + needed, self.least)
        np.copyto(memory["silent_below"][:size, 0], below, where=fast)
        calm_s += passed_s * heard
        calm_s[fast] = 0.0
        held = memory["severity"][:size]
        over = heard & ((value < self.least) | (calm_s >= HOUR_S))
        np.copyto(held, np.where(fast, ALARM, np.where(over, 0, held)).astype(np.uint8), where=heard)
        memory["surprise"][:size] = np.where(held > 0, 8.0, 0.0)
        np.copyto(before, value, where=heard)
        return known

    def _end_hour(self, moment: Moment, told: BoolArray, memory: Memory, size: int) -> None:
        """An hour is over: what it was above the usual, whether that is a leak, and what it teaches."""
        hour_ns = memory["hour"][:size] * 3600 * 10**9
        hour = local_hour(np.where(told, hour_ns, 0), self.timezone).astype(np.intp)
        cell = (np.arange(size), hour)
        mean, visits = memory["hour_mean"][:size], memory["visits"][cell]
        seen = memory["visits"][:size].sum(axis=1)
        overall = memory["usual"][:size].sum(axis=1) / np.maximum(
            (memory["visits"][:size] > 0).sum(axis=1), 1
        )
        usual = np.where(visits > 0, memory["usual"][cell], np.where(seen > 0, overall, mean))
        excess = mean - usual
        spread = np.maximum(memory["spread"][:size], self.floor)
        memory["excess"][cell] = np.where(told, excess, memory["excess"][cell])
        lately = memory["excess"][:size]
        others = lately.copy()
        others[cell] = np.nan
        most = _largest(lately)
        first, last = self.cold
        high = excess >= np.maximum(self.seep, 4.0 * spread)
        stays = high & (hour >= first) & (hour < last) & (excess >= self.breath * most)
        stays &= (
            np.nan_to_num(lately[:, WARM]).max(axis=1) >= 0.5 * self.seep
        )  # it was there in the afternoon
        fresh = told & stays
        reach = np.maximum(np.maximum(self.seep, 4.0 * spread), self.breath * _largest(others))
        np.copyto(memory["silent_below"][:size, 1], usual + reach, where=fresh)
        np.copyto(memory["seeped_from"][:size], usual, where=fresh)
        held = memory["severity"][size : 2 * size]
        gone = excess < np.maximum(0.5 * self.seep, self.breath * 0.5 * most)
        judged = told & (memory["known_s"][:size] >= self.known_s)
        severity = np.where(stays, ALARM, np.where(gone, 0, held)).astype(np.uint8)
        np.copyto(held, severity, where=judged)
        memory["surprise"][size : 2 * size] = np.where(held > 0, 7.0, 0.0)
        calm = told & (held == 0)
        rate = 1.0 / np.minimum(visits + 1.0, 10.0)
        start = np.where(visits > 0, memory["usual"][cell], mean)
        step = np.clip(rate * (mean - start), -spread, spread)  # a leak is not learned in its first night
        memory["usual"][cell] = np.where(calm, start + step, memory["usual"][cell])
        memory["visits"][cell] = visits + calm
        pace = 1.0 / np.minimum(seen + 1.0, 240.0)
        memory["spread"][:size] += np.where(
            calm, pace * (np.minimum(np.abs(excess), 3 * spread) - memory["spread"][:size]), 0.0
        )


def _largest(excess: FloatArray) -> FloatArray:
    """(subjects,) the largest of each that is known, -inf where none is."""
    largest: FloatArray = np.where(np.isfinite(excess), excess, -np.inf).max(axis=1, initial=-np.inf)
    return largest


def _known(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: number for name, number in numbers.items() if np.isfinite(number)}
