"""Supply: what a water zone's pressures and flows tell together: burst, supply lost, cut off, demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from detectors.base import BoolArray, FloatArray, IntArray, Memory
from detectors.days import HOURS, moment_of
from detectors.findings import ALARM, WARNING, Explanation
from detectors.groups import medians, padded
from detectors.levels import SECOND_NS
from detectors.subjects import Moment, Rule, Site, SubjectDetector

DAY_S = 86400.0
LEAST_PRESSURES, LEAST_METERS = 3, 3  # of a zone, to be judged; of those that must agree on demand
PAST = 6  # visits that are kept; the middle of the first half is what went before
STALE_PERIODS = 3.0
VISITS = 10.0  # memory of what is usual, in days
BOUND = 0.2  # share of the usual by which a reading moves it at most
BURST, SUPPLY_LOST, CUT_OFF, DRAW, DEMAND = range(5)  # its rules, in order


@dataclass(frozen=True)
class Supply(SubjectDetector):
    """Each pressure of a water zone beside the others, and beside the flow at the zone's inlet.

    Compared are ratios to the usual of this hour of the day, so that the day's course drops out; *suddenly*
    is against the middle of the ratios of four to six readings before. The inlet is the meter with the most
    flow. Where a pressure has fallen by `drop` suddenly,
    the inflow has risen by `rise`: a burst draws water and bends pressure down towards itself;
    at `most_share` of the places or more, and the inflow has fallen: what feeds the zone has stopped;
    the inflow has not risen, and it is `shut` or more: something is closed between the inlet and there.
    An inflow that has risen suddenly by less than `rise`, but `draw`, is for half an hour no more than that:
    a hydrant, a tank lorry, a flushing. Where three quarters of at least three meters are off by one ratio
    for an hour, `demand` or more, and pressures do not go along with them, people use more or less than
    usual: weekends, festivals, frost.
    Sources: water balance and minimum flow of metered districts (IWA Water Loss task force); that a burst
    bends pressure down where it is while a lost supply lowers all alike is plain hydraulics; the numbers are
    choices of this project.
    """

    drop: float = 0.1
    shut: float = 0.25
    rise: float = 0.25
    draw: float = 0.06
    beyond: float = 4.0  # times their usual size, all sudden changes must be
    most_share: float = 0.6
    demand: float = 0.1
    known_s: float = 1.5 * DAY_S
    timezone: str = "Asia/Shanghai"

    roles: ClassVar[tuple[str, ...]] = ("pressure", "flow", "speaker")
    pace_s: ClassVar[int] = 300
    momentary: ClassVar[tuple[str, ...]] = ("past", "slow")

    def rules(self) -> Sequence[Rule]:
        return (
            Rule("water.zone.burst", "burst", ("pressure",), off_delay_s=1800.0, on_samples=2),
            Rule("water.zone.supply_lost", "pump_trip", ("pressure",), off_delay_s=1800.0, on_samples=2),
            Rule("water.zone.cut_off", "low_pressure", ("pressure",), off_delay_s=1800.0, on_samples=2),
            Rule("water.zone.draw", "brief_draw", ("speaker",), off_delay_s=1800.0),
            Rule("water.zone.demand", "demand_change", ("speaker",), off_delay_s=7200.0),
        )

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        zones: dict[str, dict[str, list[int]]] = {}
        for n in sorted(range(len(channels)), key=lambda n: channels.ids[n]):
            if channels.medium[n] == "water" and channels.zone[n]:
                of = zones.setdefault(channels.zone[n], {})
                of.setdefault(channels.quantity[n], []).append(n)
        found: list[Mapping[str, int]] = []
        for _, of in sorted(zones.items()):
            pressures, flows = of.get("pressure", []), of.get("flow", [])
            if len(pressures) >= LEAST_PRESSURES and flows:
                found += [{"pressure": pressures[0], "speaker": pressures[0]}]
                found += [{"pressure": n} for n in pressures[1:]] + [{"flow": n} for n in flows]
        return found

    def lessons(self, site: Site) -> Memory:
        size = len(site)
        return {
            "usual": np.zeros((size, HOURS)),  # level by hour of the day
            "visits": np.zeros((size, HOURS)),
            "past": np.full((size, PAST), np.nan),  # ratios to the usual, the newest last
            "slow": np.full(size, np.nan),  # the same, an hour's mean
            "known_s": np.zeros(size),
            "sudden": np.full(size, np.nan),  # how the ratio changed suddenly, as a share
            "swing": np.zeros(size),  # its usual size
            "risen": np.full(size, np.nan),  # the inflow of its zone, likewise
            "shared": np.zeros(size),  # logarithm of the ratio that the zone's meters agree on
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        site, size = moment.site, len(moment.site)
        pressed = site.has[:, 0]
        heard = np.where(pressed, moment.heard[:, 0], moment.heard[:, 1])
        value = np.where(pressed, moment.value[:, 0], moment.value[:, 1])
        time_ns = np.where(pressed, moment.time_ns[:, 0], moment.time_ns[:, 1])
        period_s = np.maximum(np.where(pressed, site.period_s[:, 0], site.period_s[:, 1]), self.pace_s)
        fresh = moment.end_ns - time_ns <= STALE_PERIODS * period_s * SECOND_NS
        expected = self._expected(moment, memory, size)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(fresh & (expected > 0.0), value / expected, np.nan)
            sudden = ratio / medians(memory["past"][:size, : PAST // 2])[0] - 1.0
        rate = np.minimum(period_s / 3600.0, 1.0)
        slow = memory["slow"][:size]
        moved = np.where(np.isnan(slow), ratio, slow + rate * (ratio - slow))
        np.copyto(slow, moved, where=heard & np.isfinite(ratio))
        zones = _zones(site)
        inflow = np.where(pressed | ~fresh, -1.0, expected)
        risen = _spread(zones, _at_largest(zones, inflow, sudden))
        swing = _spread(zones, _at_largest(zones, inflow, memory["swing"][:size]))
        shared = _spread(zones, self._shared(zones, np.where(np.isfinite(ratio), slow, np.nan), pressed))
        known_s = memory["known_s"][:size]
        judged = heard & pressed & (known_s >= self.known_s)
        sure = risen >= np.minimum(self.beyond * swing, 2.0 * self.rise)
        speaks = judged & site.has[:, site.role("speaker")]
        self._decide(zones, -sudden, risen, sure, shared, judged, speaks, memory)
        for name, news in (("sudden", sudden), ("risen", risen), ("shared", shared)):
            np.copyto(memory[name][:size], news, where=heard)
        self._remember(moment, ratio, heard, value, 3600.0 / period_s, memory)
        known_s += heard * period_s
        return np.concatenate([judged, judged, judged, speaks, speaks])

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        rule, subject = divmod(point, len(site))
        channel = site.channel_of(point)
        value = float(memory["value"][subject, 0])
        observed = {"value": value, "unit": "kPa", "quality": "good"}
        fallen, risen = -100.0 * float(memory["sudden"][subject]), 100.0 * float(memory["risen"][subject])
        shared = 100.0 * (float(np.exp(memory["shared"][subject])) - 1.0)
        numbers = {"value": value, "fallen_percent": fallen, "inflow_percent": risen}
        if rule == DEMAND:
            sentence = (
                f"All meters of {channel.zone} are off alike, by {shared:+.0f} %: use of water has changed"
            )
            return Explanation(sentence, 1 if shared > 0 else -1, None, {"shared_percent": shared})
        if rule == DRAW:
            sentence = f"Inflow of {channel.zone} rose by {risen:.0f} % at once, as when a hydrant is opened"
            return Explanation(sentence, 1, None, {"inflow_percent": risen})
        fell = f"Pressure at {channel.place} fell by {fallen:.0f} % at once"
        means = {
            BURST: f"while the zone's inflow rose by {risen:.0f} %",
            SUPPLY_LOST: f"with most of the zone, and its inflow by {-risen:.0f} %",
            CUT_OFF: "without more inflow to the zone: something may be shut on the way",
        }
        return Explanation(f"{fell}, {means[rule]}", -1, observed, numbers)

    def _decide(
        self,
        zones: IntArray,
        fallen: FloatArray,
        risen: FloatArray,
        sure: BoolArray,
        shared: FloatArray,
        judged: BoolArray,
        speaks: BoolArray,
        memory: Memory,
    ) -> None:
        """Severity and surprise of every rule at the pressures that are judged."""
        size = len(fallen)
        low = judged & (fallen >= np.maximum(self.drop, self.beyond * memory["swing"][:size]))
        share = _spread(zones, _count(zones, low) / np.maximum(_count(zones, judged), 1))
        most = share >= self.most_share
        rises = sure & (risen >= self.rise)
        holds = memory["severity"][DEMAND * size : (DEMAND + 1) * size] > 0
        states = {
            BURST: (low & rises, ALARM),
            SUPPLY_LOST: (low & most & (risen <= -self.drop), ALARM),
            CUT_OFF: (
                low & (fallen >= self.shut) & (risen < self.draw) & ~(most & (risen <= -self.drop)),
                WARNING,
            ),
            DRAW: (speaks & sure & (risen >= self.draw) & (risen < self.rise), WARNING),
            DEMAND: (speaks & (np.abs(shared) >= np.log1p(self.demand) * np.where(holds, 0.6, 1.0)), WARNING),
        }
        for rule, (on, severity) in states.items():
            at = slice(rule * size, (rule + 1) * size)
            np.copyto(memory["severity"][at], (on * severity).astype(np.uint8), where=judged)
            np.copyto(memory["surprise"][at], on * 7.0, where=judged)

    def _shared(self, zones: IntArray, slow: FloatArray, pressed: BoolArray) -> FloatArray:
        """(zones,) logarithm of the ratio on which meters agree; 0: they do not, or pressure goes along."""
        with np.errstate(divide="ignore", invalid="ignore"):
            meters = _of_zone(zones, np.where(pressed, np.nan, np.log(slow)))
            middle, count = medians(meters)
        near = np.abs(meters - middle[:, None]) <= np.maximum(0.5 * np.abs(middle), 0.06)[:, None]
        agree = (count >= LEAST_METERS) & (near.sum(axis=1) >= 0.75 * count)
        level, _ = medians(_of_zone(zones, np.where(pressed, slow, np.nan)))
        along = (level - 1.0) * np.sign(middle) > 0.03
        return np.where(agree & ~along, np.nan_to_num(middle), 0.0)

    def _expected(self, moment: Moment, memory: Memory, size: int) -> FloatArray:
        """What is usual now, (subjects,), 0 where it is not known."""
        now = moment_of(self.timezone, moment.end_ns, float(self.pace_s))
        before, after, share = now.before % HOURS, (now.before + 1) % HOURS, now.share
        usual, visits = memory["usual"][:size], memory["visits"][:size]
        known = (visits[:, before] > 0.0) & (visits[:, after] > 0.0)
        return np.where(known, usual[:, before] * (1.0 - share) + usual[:, after] * share, 0.0)

    def _remember(
        self,
        moment: Moment,
        ratio: FloatArray,
        heard: BoolArray,
        value: FloatArray,
        an_hour: FloatArray,
        memory: Memory,
    ) -> None:
        """Each reading is one more of the past, and moves what is usual by a bounded step."""
        size = len(ratio)
        news = heard & np.isfinite(ratio)
        past = memory["past"][:size]
        sudden = memory["sudden"][:size]
        far = np.where(heard & np.isfinite(sudden), np.minimum(np.abs(sudden), 0.1), np.nan)
        swing = memory["swing"][:size]
        swing += np.nan_to_num(np.minimum(1.0 / (24.0 * an_hour), 1.0) * (far - swing))
        past[news] = np.concatenate([past[news, 1:], ratio[news, None]], axis=1)
        hour = moment_of(self.timezone, moment.end_ns, float(self.pace_s)).hour % HOURS
        usual, visits = memory["usual"][:size, hour], memory["visits"][:size, hour]
        rate = 1.0 / np.minimum(visits + 1.0, np.maximum(VISITS * an_hour, VISITS))
        error = np.where(heard, value - usual, 0.0)
        bound = np.where(visits < an_hour, np.inf, BOUND * np.abs(usual))
        usual += rate * np.minimum(np.maximum(error, -bound), bound)
        visits += heard


@lru_cache(maxsize=16)
def _zones(site: Site) -> IntArray:
    """(zones, longest): the subjects of each zone, -1 behind the last."""
    of: dict[str, list[int]] = {}
    for subject, channel in enumerate(site.member.max(axis=1).tolist()):
        of.setdefault(site.channels.zone[channel], []).append(subject)
    return padded(list(of.values()))


def _of_zone(zones: IntArray, values: FloatArray) -> FloatArray:
    """(zones, longest) each one's values, NaN behind the last."""
    return np.where(zones >= 0, values[zones], np.nan)


def _spread(zones: IntArray, told: FloatArray) -> FloatArray:
    """(subjects,) what was said of the zone of each."""
    there = zones >= 0
    each = np.empty(np.count_nonzero(there))
    each[zones[there]] = np.broadcast_to(told[:, None], zones.shape)[there]
    return each


def _count(zones: IntArray, chosen: BoolArray) -> NDArray[np.intp]:
    """(zones,) how many are chosen."""
    counted: NDArray[np.intp] = (chosen[zones] & (zones >= 0)).sum(axis=1)
    return counted


def _at_largest(zones: IntArray, size: FloatArray, values: FloatArray) -> FloatArray:
    """(zones,) the value of that one whose size is the largest, NaN where none is above 0."""
    sizes = np.where(zones >= 0, size[zones], -1.0)
    at = np.argmax(sizes, axis=1)
    first = np.arange(len(zones))
    return np.where(sizes[first, at] > 0.0, values[zones[first, at]], np.nan)
