"""Unbalance: negative over positive sequence voltage, worked out from three voltages of a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from config.channels import ChannelTable
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, WARNING, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, phase_of

PHASES = ("a", "b", "c")
LINE_V = 300.0  # a voltage above it is that between two phases
DEAD = 0.1  # of the largest of the three: below it nothing is left to be unbalanced


@dataclass(frozen=True)
class Unbalance(SubjectDetector):
    """|V2| / |V1| in per cent, as a mean over `mean_s`: warning from `warning`, alarm from `alarm` on.

    Between phases the three magnitudes close a triangle, and the ratio follows exactly:
    sqrt((1 - s) / (1 + s)), s = sqrt(3 - 6 b), b = sum of fourth powers over square of sum of squares.
    From phase to neutral the angles are not known and taken as 120 degrees: right for small unbalance.
    It is over when it is back by more than `deadband`. A place whose meter tells `unbalance` is left to it;
    voltages that are not of one class, or fewer than three named phases, are no subject.
    Sources: IEC 61000-4-30 (2015) 5.7 for the formula; GB/T 15543-2008: 2 % in normal operation, 4 % for a
    short time, 10-minute means. (max - min) / mean is another quantity, and is not used.
    """

    warning: float = 2.0
    alarm: float = 4.0
    deadband: float = 0.2
    mean_s: float = 600.0

    roles: ClassVar[tuple[str, ...]] = PHASES
    momentary: ClassVar[tuple[str, ...]] = ("percent", "seen_s")

    def rules(self) -> Sequence[Rule]:
        return (Rule("power.voltage.unbalance", "limit", PHASES, off_delay_s=600.0),)

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        measured = {p for p, q in zip(channels.place, channels.quantity) if q == "unbalance"}
        found: dict[tuple[str, float], dict[str, int]] = {}
        for n in sorted(range(len(channels)), key=lambda n: channels.ids[n]):
            phase = phase_of(channels.ids[n])
            if channels.quantity[n] == "voltage" and channels.place[n] not in measured and phase:
                nominal = float(np.nan_to_num(channels.nominal[n]))
                found.setdefault((channels.place[n], nominal), {}).setdefault(phase, n)
        return [of for _, of in sorted(found.items()) if len(of) == len(PHASES)]

    def lessons(self, site: Site) -> Memory:
        return {
            "percent": np.full(len(site), np.nan),
            "seen_s": np.zeros(len(site)),
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size = len(moment.site)
        percent, seen_s = memory["percent"][:size], memory["seen_s"][:size]
        heard = moment.heard.all(axis=1)
        now = unbalance(moment.value)
        heard &= np.isfinite(now)
        passed_s = moment.since_s("a")
        share = np.where(np.isnan(percent), 1.0, 1.0 - np.exp(-passed_s / self.mean_s))
        np.copyto(percent, np.where(np.isnan(percent), now, percent + share * (now - percent)), where=heard)
        seen_s += passed_s * heard
        judged: BoolArray = heard & (seen_s >= self.mean_s)
        held = memory["severity"][:size]
        alarming = percent >= self.alarm - self.deadband * (held == ALARM)
        warning = percent >= self.warning - self.deadband * (held > 0)
        severity = np.where(alarming, ALARM, np.where(warning, WARNING, 0)).astype(np.uint8)
        np.copyto(held, severity, where=judged)
        past = np.maximum(np.nan_to_num(percent) - self.warning, 0.0) / self.deadband
        np.copyto(memory["surprise"][:size], np.where(severity > 0, 7.0 + past, 0.0), where=judged)
        return judged

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        value = float(memory["percent"][point])
        limit = self.alarm if memory["severity"][point] == ALARM else self.warning
        place = site.channel_of(point).place
        return Explanation(
            f"Voltage unbalance (negative sequence) at {place} is {value:.2f} %, at or above {limit:g} %",
            1,
            {"value": value, "unit": "%", "limit": limit, "op": ">=", "quality": "good"},
            {"value": value, "limit": limit},
        )


def unbalance(volts: FloatArray) -> FloatArray:
    """Per cent (subjects,) of three magnitudes (subjects, 3); NaN where the place is dead or no triangle."""
    largest = volts.max(axis=1, initial=0.0)
    scaled = volts / np.where(largest > 0.0, largest, 1.0)[:, None]
    line = largest >= LINE_V
    squares = scaled**2
    beta = (squares**2).sum(axis=1) / np.maximum(squares.sum(axis=1), 1e-12) ** 2
    root = np.sqrt(np.clip(3.0 - 6.0 * beta, 0.0, 1.0))
    between = np.sqrt((1.0 - root) / (1.0 + root))
    turn = np.exp(2j * np.pi / 3)
    a, b, c = scaled.T
    positive, negative = np.abs(a + b + c), np.abs(a + turn * b + turn**2 * c)
    neutral = negative / np.maximum(positive, 1e-12)
    dead = ~(largest > 0.0) | (np.sort(scaled, axis=1)[:, 1] < DEAD)
    return np.where(dead, np.nan, 100.0 * np.where(line, between, neutral))
