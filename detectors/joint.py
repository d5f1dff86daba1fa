"""Joint: a cable joint that is hotter than its load, its surroundings and its sister phases explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from detectors import tails
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, WARNING, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, phase_of

DAY_S = 86400.0
TO_DEVIATION = 1.2533  # of a normal distribution: standard over mean absolute deviation
SISTERS = ("sister_1", "sister_2")
KIN = tuple(f"kin_{number}" for number in range(1, 7))  # joints of the zone, for one without a current
FARTHER = 0.25  # of the square of how many standard deviations a heat lies from those that taught
SUMS = 5  # weight, x, y, xx, xy


@dataclass(frozen=True)
class Joint(SubjectDetector):
    """Temperature against what the square of the current has warmed, and against the other phases.

    Expected: a + b x, with x the square of the current behind a first-order lag of `lag_s`, and the line
    fitted by least squares with a memory of `half_life_s` while nothing was strange, and trusted less far
    from the heats that it was learned from; where the place measures
    `temperature`, the line is that of the warmth above it. Judged from `known_s` on. Warning: `z` usual
    deviations and `least_k` above it, or `sister_warning_k` above the mean of the sister phases; alarm:
    `alarm_k`, or `sister_alarm_k` above the sisters. Without a current at the place, x is the mean of up to
    six other joints of its zone; without these the line is the usual temperature.
    Sisters are the other joint temperatures of the place; phase a's current is that of phase a's joint.
    Sources: IEC 60287 (losses go with the square of the current), first-order warming of a buried joint in
    60 to 120 min; 15 K and 25 K above a sister phase are choices of this project after thermography
    practice (DL/T 664 counts differences between phases under the same load).
    """

    lag_s: float = 5400.0
    half_life_s: float = 14 * DAY_S
    known_s: float = 2 * DAY_S
    z: float = 5.0
    least_k: float = 4.0
    alarm_k: float = 25.0
    sister_warning_k: float = 15.0
    sister_alarm_k: float = 25.0
    floor_k: float = 0.4
    adopt_s: float = 7 * DAY_S

    roles: ClassVar[tuple[str, ...]] = ("joint_temperature", "current", "temperature", *SISTERS, *KIN)
    pace_s: ClassVar[int] = 300

    def rules(self) -> Sequence[Rule]:
        carriers = ("joint_temperature",)
        return (
            Rule("power.joint.hot_for_load", "joint_overheat", carriers, 900.0, 3600.0, 2),
            Rule("power.joint.hotter_than_sisters", "joint_overheat", carriers, 900.0, 3600.0, 2),
        )

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        at: dict[tuple[str, str], list[int]] = {}
        for n in sorted(range(len(channels)), key=lambda n: channels.ids[n]):
            at.setdefault((channels.place[n], channels.quantity[n]), []).append(n)
        zones: dict[str, list[int]] = {}
        for n in sorted(range(len(channels)), key=lambda n: channels.ids[n]):
            if channels.quantity[n] == "joint_temperature" and channels.zone[n]:
                zones.setdefault(channels.zone[n], []).append(n)
        found = []
        for (place, quantity), joints in sorted(at.items()):
            if quantity != "joint_temperature":
                continue
            currents, ambient = at.get((place, "current"), []), at.get((place, "temperature"), [])
            for joint in joints:
                of = {"joint_temperature": joint}
                phase = phase_of(channels.ids[joint])
                same = [n for n in currents if phase and phase_of(channels.ids[n]) == phase] or currents
                of |= {"current": same[0]} if same else {}
                of |= {"temperature": ambient[0]} if ambient else {}
                of |= dict(zip(SISTERS, [other for other in joints if other != joint]))
                zone = zones.get(channels.zone[joint], []) if not same else []
                of |= dict(zip(KIN, [n for n in zone if channels.place[n] != place]))
                found.append(of)
        return found

    def lessons(self, site: Site) -> Memory:
        size = len(site)
        return {
            "heat": np.full(size, np.nan),  # square of the current, lagged
            "sums": np.zeros((size, SUMS)),
            "deviation": np.zeros(size),
            "taught_s": np.zeros(size),
            "strange_s": np.zeros(size),
            "expected": np.full(size, np.nan),
            "reach": np.full(size, np.nan),  # how far above that is still nothing, K
            "sister": np.full(size, np.nan),
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size = len(moment.site)
        heat = memory["heat"][:size]
        told, current, _ = moment.of("current")
        share = 1.0 - np.exp(-moment.since_s("current", 10.0) / self.lag_s)
        square = current**2
        np.copyto(heat, np.where(np.isnan(heat), square, heat + share * (square - heat)), where=told)
        heard, joint, _ = moment.of("joint_temperature")
        kin, _ = _mean(moment, KIN)
        np.copyto(heat, kin, where=heard & np.isfinite(kin))
        _, ambient, _ = moment.of("temperature")
        above = np.where(np.isnan(ambient), 0.0, ambient)
        line, stretch = self._line(heat, memory, size)
        expected = line + above
        np.copyto(memory["expected"][:size], expected, where=heard)
        known = heard & (memory["taught_s"][:size] >= self.known_s) & np.isfinite(expected)
        spread = np.maximum(memory["deviation"][:size] * TO_DEVIATION, self.floor_k) * stretch
        beyond = joint - expected
        reach = np.maximum(self.z * spread, self.least_k * stretch)
        np.copyto(memory["reach"][:size], reach, where=heard)
        hot = known & (beyond >= reach)
        sister, count = _mean(moment, SISTERS)
        np.copyto(memory["sister"][:size], sister, where=heard)
        over = np.where(heard & (count > 0), joint - sister, 0.0)
        for number, (here, reached, alarming, surprise) in enumerate(
            (
                (known, hot, beyond >= self.alarm_k, tails.gaussian(np.where(hot, beyond / spread, 0.0))),
                (
                    heard & (count > 0),
                    over >= self.sister_warning_k,
                    over >= self.sister_alarm_k,
                    np.full(size, 7.0),
                ),
            )
        ):
            at = slice(number * size, (number + 1) * size)
            severity = reached * np.where(alarming, ALARM, WARNING)
            np.copyto(memory["severity"][at], severity.astype(np.uint8), where=here)
            np.copyto(memory["surprise"][at], np.where(reached, surprise, 0.0), where=here)
        self._learn(moment, joint - above, heat, line, heard, hot, memory)
        return np.concatenate([known, heard & (count > 0)])

    def instead(self, site: Site) -> NDArray[np.int64]:
        return site.member[:, 0][_explained(site)]

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        subject = point % len(site)
        value = float(memory["value"][subject, 0])
        numbers = {"value": value}
        if point < len(site):
            numbers["expected"] = float(memory["expected"][subject])
            numbers["spread"] = max(float(memory["deviation"][subject]) * TO_DEVIATION, self.floor_k)
            numbers["high"] = numbers["expected"] + float(memory["reach"][subject])
            than = f"its load explains: expected {numbers['expected']:.1f}"
        else:
            numbers["expected"] = float(memory["sister"][subject])
            numbers["high"] = numbers["expected"] + self.sister_warning_k
            than = f"the other phases, which are at {numbers['expected']:.1f}"
        return Explanation(
            f"Joint temperature is {value:.1f} Cel, hotter than {than} Cel",
            1,
            {"value": value, "unit": "Cel", "quality": "good"},
            {name: number for name, number in numbers.items() if np.isfinite(number)},
        )

    def _line(self, heat: FloatArray, memory: Memory, size: int) -> tuple[FloatArray, FloatArray]:
        """(a + b x at the present heat, b never negative, NaN before the first lesson; how much less it is
        trusted there than among the heats that it was learned from)."""
        weight, x, y, xx, xy = memory["sums"][:size].T
        total = np.maximum(weight, 1e-12)
        mean_x, mean_y = x / total, y / total
        spread = xx / total - mean_x**2
        firm = spread > 1e-6 * np.maximum(mean_x**2, 1e-12)
        slope = np.where(firm, (xy / total - mean_x * mean_y) / np.where(firm, spread, 1.0), 0.0)
        warmed = np.where(np.isnan(heat), 0.0, np.maximum(slope, 0.0) * (np.nan_to_num(heat) - mean_x))
        away = np.where(firm & ~np.isnan(heat), np.nan_to_num(heat) - mean_x, 0.0)
        stretch = np.sqrt(1.0 + FARTHER * away**2 / np.where(firm, spread, 1.0))
        return np.where(weight > 0.0, mean_y + warmed, np.nan), stretch

    def _learn(
        self,
        moment: Moment,
        warmth: FloatArray,
        heat: FloatArray,
        line: FloatArray,
        heard: BoolArray,
        hot: BoolArray,
        memory: Memory,
    ) -> None:
        size = len(moment.site)
        passed_s = moment.since_s("joint_temperature")
        strange_s, taught_s = memory["strange_s"][:size], memory["taught_s"][:size]
        np.copyto(strange_s, np.where(hot, strange_s + passed_s, 0.0), where=heard)
        pupils = heard & (~hot | (strange_s >= self.adopt_s))
        pupils &= np.isfinite(heat) | ~_explained(moment.site)
        x = np.where(pupils, np.nan_to_num(heat), 0.0)
        y = np.where(pupils, warmth, 0.0)
        kept = np.where(pupils, 0.5 ** (passed_s / self.half_life_s), 1.0)[:, None]
        memory["sums"][:size] *= kept
        memory["sums"][:size] += np.stack([pupils.astype(np.float64), x, y, x * x, x * y], axis=1)
        settled = pupils & (taught_s >= self.known_s / 4)
        missed = np.where(settled, np.abs(warmth - line), 0.0)
        rows = np.maximum(
            taught_s / np.maximum(np.nan_to_num(moment.site.period_s[:, 0], nan=60.0), 1.0), 1.0
        )
        rate = np.maximum(1.0 / rows, 1e-3)
        memory["deviation"][:size] += np.where(settled, rate * (missed - memory["deviation"][:size]), 0.0)
        taught_s += pupils * passed_s


def _explained(site: Site) -> BoolArray:
    """(subjects,) those whose temperature something explains: a current, or other joints."""
    explained: BoolArray = site.has[:, site.role("current")] | site.has[:, site.role(KIN[0])]
    return explained


def _mean(moment: Moment, roles: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """(mean of what was heard of these roles, NaN where nothing was; how many) each (subjects,)."""
    value = moment.value[:, [moment.site.role(name) for name in roles]]
    told = np.isfinite(value)
    count = told.sum(axis=1).astype(np.float64)
    total = np.where(told, value, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan), count
