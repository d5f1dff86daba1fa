"""Vitals: a vital sign of a wearer at rest that has left this wearer's own usual; and night-time dips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from detectors import tails
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, local_hour, of_places

DAY_S = 86400.0
HOURS = 24
HELD = 0.6  # what is strange stays so down to this part of what it took
STEP_S = 300  # signs that come faster are judged so often; movement is noted in every row
WINDOW = 3  # rest readings whose median is judged
TO_DEVIATION = 1.2533  # of a normal distribution: standard over mean absolute deviation
SIGNS = ("heart_rate", "spo2", "skin_temperature", "hrv_rmssd")
BESIDE = ("steps", "on_wrist")
_RULES = (  # rule, kind, sign, side, floor of the spread, hours that it must last and be over
    ("heart_rate_above_own", "tachycardia", "heart_rate", 1.0, 1.5, 0.25, 0.5),
    ("heart_rate_below_own", "bradycardia", "heart_rate", -1.0, 1.5, 0.25, 0.5),
    ("spo2_below_own", "hypoxia", "spo2", -1.0, 0.6, 0.25, 1.0),
    ("skin_above_own", "fever", "skin_temperature", 1.0, 0.15, 2.0, 4.0),
    ("pulse_irregular", "atrial_fibrillation", "hrv_rmssd", 1.0, 3.0, 0.0, 2.0),
    ("spo2_dips", "hypoxia", "spo2", -1.0, 0.6, 0.0, 3.0),
)
DIPS = len(_RULES) - 1
_SENTENCES = (
    "The heart beats faster than is usual for this wearer at rest",
    "The heart beats more slowly than is usual for this wearer at rest",
    "The oxygen saturation at rest is lower than is usual for this wearer",
    "The skin has been warmer than is usual for this wearer, for hours",
    "The pulse at rest is more irregular than is usual for this wearer",
    "The oxygen saturation dips again and again",
)


@dataclass(frozen=True)
class Vitals(SubjectDetector):
    """The median of the last rest readings against the wearer's own level at rest for this hour of the day.

    At rest: no reading of more than `rest_steps` within `rest_s`, and not off the wrist; a band without
    steps is always judged. Strange: both `z` own deviations away and so far that it matters: heart rate
    `heart_up` above or `heart_down` below, saturation `spo2_down` below, skin `skin_up` above for two hours,
    RMSSD `hrv_times` the own level; it stays so down to six tenths of that. Dips: readings `spo2_down`
    below the own level, each forgotten with a half-life of an hour, `dips` of them together.

    Level by hour of the day, from the medians at rest, with the weight of the readings seen in it (at most
    `days` visits), shared with the level of all hours until an hour has been seen for three readings; one
    mean absolute deviation for all hours. Nothing is judged before `known_s` of rest. What is strange
    teaches nothing, until it has lasted for `adopt_s`. Cold state: 24 levels and weights a sign.
    Sources: NEWS2 (RCP 2017) for what matters in heart rate and saturation; skin + 1.5 K over the own
    baseline for hours (1.2 K in the median of this hour); RMSSD 2 to 4 times the own baseline at rest.
    """

    rest_s: float = 600.0
    rest_steps: float = 10.0
    z: float = 5.0
    heart_up: float = 35.0
    heart_down: float = 18.0
    spo2_down: float = 4.0
    skin_up: float = 1.2
    hrv_times: float = 1.8
    dips: float = 3.0
    days: float = 14.0
    known_s: float = 12 * 3600.0
    adopt_s: float = 5 * DAY_S
    timezone: str = "Asia/Shanghai"

    roles: ClassVar[tuple[str, ...]] = (*SIGNS, *BESIDE)
    momentary: ClassVar[tuple[str, ...]] = ("recent", "moved_ns")

    def rules(self) -> Sequence[Rule]:
        return tuple(
            Rule(f"wristband.{name}", kind, (sign,), on * 3600.0, off * 3600.0, 2 if on else 1)
            for name, kind, sign, _, _, on, off in _RULES
        )

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        bands = of_places(channels, "wristband", self.roles)
        return [of for of in bands if any(sign in of for sign in SIGNS)]

    def lessons(self, site: Site) -> Memory:
        size, signs = len(site), len(SIGNS)
        return {
            "recent": np.full((size, signs, WINDOW), np.nan),
            "level": np.zeros((size, signs, HOURS)),
            "weight": np.zeros((size, signs, HOURS)),
            "usual": np.zeros((size, signs)),  # over all hours
            "deviation": np.zeros((size, signs)),
            "taught_s": np.zeros((size, signs)),
            "strange_s": np.zeros((size, signs)),
            "dips": np.zeros(size),
            "moved_ns": np.full(size, -(2**62), dtype=np.int64),
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size, signs = len(moment.site), len(SIGNS)
        heard = moment.heard[:, :signs] & self._rested(moment, memory, size)
        if not moment.whole(STEP_S):
            heard &= moment.site.period_s[:, :signs] >= STEP_S
        if not np.count_nonzero(heard):
            return np.zeros(len(moment.site.points), dtype=bool)
        value = moment.value[:, :signs]
        recent = memory["recent"][:size]
        recent[heard] = np.roll(recent[heard], -1, axis=-1)
        recent[heard, -1] = value[heard]
        known = heard & np.isfinite(recent[:, :, 1:]).all(axis=2)  # two of them at least
        ordered = np.sort(recent, axis=-1)  # NaN last
        middle = np.where(np.isnan(ordered[:, :, 2]), ordered[:, :, :2].mean(axis=-1), ordered[:, :, 1])
        median = np.where(known, middle, np.nan)
        hour = local_hour(moment.time_ns[:, :signs].max(axis=1), self.timezone).astype(np.intp)
        expected = self._expected(hour, memory, size)
        judged = known & (memory["taught_s"][:size] >= self.known_s)
        strange = self._judge(moment, median, expected, judged, memory)
        self._learn(moment, hour, median, expected, known, strange, memory)
        return np.concatenate([judged[:, SIGNS.index(sign)] for _, _, sign, *_ in _RULES])

    def instead(self, site: Site) -> NDArray[np.int64]:
        """Whatever a band measures: a heart may race up the stairs."""
        return np.flatnonzero(site.channels.is_wristband)

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        rule = point // len(site)
        return Explanation(_SENTENCES[rule], int(_RULES[rule][3]))

    def _rested(self, moment: Moment, memory: Memory, size: int) -> BoolArray:
        """(subjects, signs) whose newest reading was taken at rest, on the wrist."""
        moved_ns = memory["moved_ns"][:size]
        told, steps, told_ns = moment.of("steps")
        np.maximum(moved_ns, told_ns, out=moved_ns, where=told & (steps > self.rest_steps))
        _, worn, _ = moment.of("on_wrist")
        since_ns = moment.time_ns[:, : len(SIGNS)] - moved_ns[:, None]
        rested: BoolArray = since_ns > self.rest_s * 1e9
        rested[:, SIGNS.index("skin_temperature")] = True  # walking hardly warms a wrist
        return rested & ~(worn < 0.5)[:, None]

    def _expected(self, hour: NDArray[np.intp], memory: Memory, size: int) -> FloatArray:
        """(subjects, signs): this hour's level, drawn to that of all hours while it is young."""
        cell = (np.arange(size)[:, None], np.arange(len(SIGNS)), hour[:, None])
        weight = memory["weight"][cell]
        share = weight / (weight + 3.0)
        usual = memory["usual"][:size]
        return np.asarray(usual + share * (memory["level"][cell] - usual))

    def _judge(
        self, moment: Moment, median: FloatArray, expected: FloatArray, judged: BoolArray, memory: Memory
    ) -> BoolArray:
        """Severity of each rule; (subjects, signs) where a sign is strange."""
        size = len(moment.site)
        severity = memory["severity"].reshape(len(_RULES), size)
        surprise = memory["surprise"].reshape(len(_RULES), size)
        least = (
            self.heart_up, self.heart_down, self.spo2_down, self.skin_up,
            (self.hrv_times - 1.0) * expected[:, SIGNS.index("hrv_rmssd")],
        )  # fmt: skip
        strange = np.zeros(judged.shape, dtype=bool)
        for number, (_, _, sign, side, floor, *_) in enumerate(_RULES[:DIPS]):
            column = SIGNS.index(sign)
            here = judged[:, column]
            spread = np.maximum(memory["deviation"][:size, column] * TO_DEVIATION, floor)
            beyond = side * (median[:, column] - expected[:, column])
            held = np.where(severity[number] > 0, HELD, 1.0)
            far = here & (beyond >= held * least[number]) & (beyond >= held * self.z * spread)
            np.copyto(severity[number], far * np.uint8(ALARM), where=here)
            np.copyto(surprise[number], np.where(far, tails.gaussian(np.maximum(beyond / spread, 0.0)), 0.0),
                      where=here)  # fmt: skip
            strange[:, column] |= far
        self._count_dips(moment, expected, judged, memory)
        needed = np.where(severity[DIPS] > 0, HELD * self.dips, self.dips)
        severity[DIPS] = (memory["dips"][:size] >= needed) * np.uint8(ALARM)
        surprise[DIPS] = np.where(severity[DIPS] > 0, 7.0, 0.0)
        return strange

    def _count_dips(self, moment: Moment, expected: FloatArray, judged: BoolArray, memory: Memory) -> None:
        column = SIGNS.index("spo2")
        dips = memory["dips"][: len(moment.site)]
        passed_s = np.maximum(moment.site.period_s[:, column], STEP_S)
        dips *= np.where(judged[:, column], 0.5 ** (passed_s / 3600.0), 1.0)
        low = moment.value[:, column] <= expected[:, column] - self.spo2_down
        dips += low & judged[:, column]

    def _learn(
        self,
        moment: Moment,
        hour: NDArray[np.intp],
        median: FloatArray,
        expected: FloatArray,
        known: BoolArray,
        strange: BoolArray,
        memory: Memory,
    ) -> None:
        size, signs = len(moment.site), len(SIGNS)
        period_s = np.maximum(np.nan_to_num(moment.site.period_s[:, :signs], nan=STEP_S), STEP_S)
        strange_s, taught_s = memory["strange_s"][:size], memory["taught_s"][:size]
        np.copyto(strange_s, np.where(strange, strange_s + period_s, 0.0), where=known)
        pupils = known & (~strange | (strange_s >= self.adopt_s))
        usual, deviation = memory["usual"][:size], memory["deviation"][:size]
        rows = taught_s / period_s
        error = np.where(pupils, median - np.where(rows > 0, usual, median), 0.0)
        slow = 1.0 / (np.minimum(rows, self.days * DAY_S / period_s) + 1.0)
        usual += np.where(pupils, np.where(rows > 0, slow * error, np.nan_to_num(median)), 0.0)
        off = np.where(pupils, np.abs(median - np.where(rows > 0, expected, median)), 0.0)
        deviation += np.where(pupils, slow * (off - deviation), 0.0)
        cell = (np.arange(size)[:, None], np.arange(signs), hour[:, None])
        level, weight = memory["level"][cell], memory["weight"][cell]
        rate = 1.0 / (np.minimum(weight, self.days * 3600.0 / period_s) + 1.0)
        step = np.where(pupils, rate * (np.nan_to_num(median) - level), 0.0)
        memory["level"][cell] = level + step
        memory["weight"][cell] = weight + pupils
        taught_s += pupils * period_s
