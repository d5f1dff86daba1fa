"""Thermal: a cable or transformer that its current heats beyond what it bears, or beyond all it ever bore."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.quantities import QUANTITIES
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, WARNING, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, local_hour

DAY_S = 86400.0
HOURS = 24
WORTH = 0.25  # of the highest level: below it no load is an overload, whatever is usual


@dataclass(frozen=True)
class Thermal(SubjectDetector):
    """The thermal level of a current: H + (I^2 / (k I_B)^2 - H) dt / (tau + dt), with I_B the rating.

    The rating is the channel's nominal value (of a `transformer_load`: 100 %); active power, which goes with
    the current, is taken as one. Alarm at `alarm`, warning at
    `warning` of the level that the rating itself would reach after hours, times k^2. A short peak over the
    rating heats little, and a long one trips: that is what a fixed limit with a delay cannot tell.
    Without a rating the level is compared with the highest that this channel had before today, which fades
    with `half_life_s`: a warning at `beyond_own` times it, or at `beyond_hour` times what is usual at this
    hour of the day if that is at least a quarter of the highest; from `known_s` on. It is over `deadband`
    below. So a hot week in which everything draws a third more is none of its business.
    After an epoch or a gap the level starts anew from the first reading, as if it had lasted.
    Sources: IEC 60255-149 (2013) 4.4 for the equation and the alarm level; k 1.05 and 90 % are usual
    settings there; `beyond_own` is 1.45 squared, the current at which IEC 60364-4-43 has a device trip; tau
    1800 s is that of a low-voltage cable in a duct (IEC 60853; hours in the ground) (D).
    """

    tau_s: float = 1800.0
    k: float = 1.05
    warning: float = 0.9
    alarm: float = 1.0
    deadband: float = 0.05
    beyond_own: float = 2.1
    beyond_hour: float = 2.5
    known_s: float = 3 * DAY_S
    half_life_s: float = 14 * DAY_S
    timezone: str = "Asia/Shanghai"

    roles: ClassVar[tuple[str, ...]] = ("load",)
    pace_s: ClassVar[int] = 300
    momentary: ClassVar[tuple[str, ...]] = ("level",)
    replaces: ClassVar[tuple[str, ...]] = ("drift", "rhythm", "regime", "plateau", "novelty")

    def rules(self) -> Sequence[Rule]:
        return (Rule("power.thermal_overload", "overload", ("load",), 300.0, 900.0, 2),)

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        wanted = ("current", "transformer_load", "active_power")
        numbers = sorted(range(len(channels)), key=lambda n: channels.ids[n])
        return [
            {"load": n} for n in numbers if channels.medium[n] == "power" and channels.quantity[n] in wanted
        ]

    def lessons(self, site: Site) -> Memory:
        numbers = site.member[:, 0]
        nominal = np.abs(site.channels.nominal[numbers]) * site.scale[:, 0]
        is_load = np.array([site.channels.quantity[n] == "transformer_load" for n in numbers], dtype=bool)
        rating = np.where(is_load & ~(nominal > 0.0), 100.0, np.where(nominal > 0.0, nominal, np.nan))
        return {
            "rating": rating,  # NaN: not known
            "level": np.full(len(site), np.nan),  # of the square of the current, or of the rating
            "highest": np.zeros(len(site)),  # up to a day ago or more
            "lately": np.zeros(len(site)),  # since then
            "since_s": np.zeros(len(site)),
            "known_s": np.zeros(len(site)),
            "most": np.full(len(site), np.nan),  # what its level was compared with
            "usual": np.full((len(site), HOURS), np.nan),  # level by hour of the day
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size = len(moment.site)
        heard, load, _ = moment.of("load")
        rating, level = memory["rating"][:size], memory["level"][:size]
        highest, known_s = memory["highest"][:size], memory["known_s"][:size]
        rated = np.isfinite(rating)
        square = (load / np.where(rated, self.k * rating, 1.0)) ** 2
        passed_s = moment.since_s("load", 10.0)
        share = passed_s / (self.tau_s + passed_s)
        np.copyto(level, np.where(np.isnan(level), square, level + share * (square - level)), where=heard)
        judged: BoolArray = heard & (rated | (known_s >= self.known_s))
        held = memory["severity"][:size]
        hour = local_hour(moment.time_ns[:, 0], self.timezone).astype(np.intp)
        most = np.where(rated, 1.0, self._most(hour, highest, memory, size))
        np.copyto(memory["most"][:size], most, where=heard)
        part = np.nan_to_num(level) / most
        deadband = np.where(rated, self.deadband, self.deadband * self.beyond_own)
        alarming = rated & (part >= self.alarm - deadband * (held == ALARM))
        warned = np.where(rated, self.warning, self.beyond_own)
        warning = part >= warned - deadband * (held > 0)
        severity = np.where(alarming, ALARM, np.where(warning, WARNING, 0)).astype(np.uint8)
        np.copyto(held, severity, where=judged)
        past = np.maximum(part - warned, 0.0) / deadband
        np.copyto(memory["surprise"][:size], np.where(severity > 0, 7.0 + past, 0.0), where=judged)
        self._learn(heard & (severity == 0), passed_s, hour, memory, size)
        return judged

    def instead(self, site: Site) -> NDArray[np.int64]:
        return site.member[:, 0]

    def _most(self, hour: NDArray[np.intp], highest: FloatArray, memory: Memory, size: int) -> FloatArray:
        """What `beyond_own` is counted from: the highest so far, or less where this hour is a calm one."""
        usual = memory["usual"][np.arange(size), hour]
        by_hour = np.maximum(usual * (self.beyond_hour / self.beyond_own), WORTH * highest)
        most = np.where(np.isnan(usual), highest, np.minimum(highest, by_hour))
        return np.where(highest > 0.0, most, np.inf)

    def _learn(
        self, calm: BoolArray, passed_s: FloatArray, hour: NDArray[np.intp], memory: Memory, size: int
    ) -> None:
        """A day's highest level counts from the next day on, or a slow overload would be its own measure."""
        cell = (np.arange(size), hour)
        usual, level = memory["usual"][cell], memory["level"][:size]
        rate = 1.0 - 0.5 ** (passed_s * HOURS / (3 * DAY_S))  # three visits of the hour
        new = np.where(np.isnan(usual), level, usual + rate * (level - usual))
        memory["usual"][cell] = np.where(calm, new, usual)
        highest, lately, since_s = (memory[name][:size] for name in ("highest", "lately", "since_s"))
        passed_s = passed_s * calm
        memory["known_s"][:size] += passed_s
        since_s += passed_s
        highest *= 0.5 ** (passed_s / self.half_life_s)
        np.maximum(lately, np.nan_to_num(memory["level"][:size]), out=lately, where=calm)
        over = since_s >= DAY_S
        np.maximum(highest, lately, out=highest, where=over)
        lately[over], since_s[over] = 0.0, 0.0

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        channel = site.channel_of(point)
        value = float(memory["value"][point, 0])
        unit = QUANTITIES[channel.quantity].unit
        level, rating = float(memory["level"][point]), float(memory["rating"][point])
        observed = {"value": value, "unit": unit, "quality": "good"}
        if np.isfinite(rating):
            sentence = f"{value:.4g} {unit} has heated it to {100 * level:.0f} % of what it bears for long"
            bears = self.k * rating * float(np.sqrt(self.warning))
            numbers = {"value": value, "limit": rating, "level": level, "high": bears}
            return Explanation(sentence, 1, observed, numbers)
        times = level / max(float(memory["most"][point]), 1e-12)
        sentence = f"{value:.4g} {unit} has heated it {times:.1f} times as much as is usual at its worst"
        bears = float(np.sqrt(self.beyond_own * memory["most"][point]))  # for long
        return Explanation(sentence, 1, observed, {"value": value, "level": times, "high": bears})
