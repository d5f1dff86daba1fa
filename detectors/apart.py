"""Apart: a sensor that slowly leaves its neighbours, while they agree among themselves: it drifts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from config.channels import ChannelTable
from config.defaults import Defaults
from detectors import tails
from detectors.base import BoolArray, Explanation, FloatArray, IntArray, Memory, Row
from detectors.groups import medians, padded
from detectors.windows import ROWS, WindowDetector

HOUR_S, DAY_S = 3600.0, 86400.0
BOUND = 4.0  # deviations at most by which one window moves what is usual
AGREE = 3.0  # deviations within which a neighbour has not left the others
MOST = 0.9  # of the neighbours must agree: another of many may be at fault as well
LEFT = 2.0  # deviations from which on a channel is on its way
SURE = 6.0  # deviations from which on what was concluded stands until the channel is back
GRADUAL = 0.5  # of the whole way a single window may take: a valve that is shut takes it at once
SHARED = frozenset([("gas", "pressure"), ("water", "pressure"), ("gas", "temperature"), ("power", "voltage")])
"""What one pipe, cable or weather imposes on all places of a zone. A flow, a current, methane or the heat of
a joint may rightly go its own way."""


def neighbours(channels: ChannelTable, defaults: Sequence[Defaults]) -> IntArray:
    """(channels,) the number of the group that a channel belongs to: like channels of a zone; -1 for none.

    Behind a gas regulator each pressure is one of its own.
    """
    names = []
    for channel, known in zip(channels.channels, defaults):
        shared = bool(channel.zone) and (channel.medium, channel.quantity) in SHARED and not known.regulated
        names.append((channel.zone, channel.medium, channel.quantity) if shared else ())
    numbers = {name: number for number, name in enumerate(sorted(set(names) - {()}))}
    return np.array([numbers.get(name, -1) for name in names], dtype=np.int32)


@dataclass(frozen=True)
class Apart(WindowDetector):
    """How far a channel has left its neighbours, in usual deviations, where it alone did, and step by step.

    The mean of ROWS rows of what the rhythm leaves, in deviations of such means, less the median of its
    group's, is the channel's own; judged is the exponential mean of that over `over_s`. It speaks where that
    has been off to one side for `lasts_s`, no single window took GRADUAL of the way, and at least `least` and
    MOST of the neighbours lie within AGREE of their own usual: a leak lowers several, a shut valve acts at
    once. Both spreads are learned while calm, and widened by 1 + 1/days until days are known.
    The numbers are choices of this project; that a drift is what neighbours do not share is the redundancy of
    sensors of data validation (Isermann, "Fault-Diagnosis Systems", 2006, ch. 2).
    """

    group: int | IntArray = -1  # channels of one number are neighbours; -1: it has none
    noise_floor: float | FloatArray = 0.0  # the least spread that is believed, in the channel's unit
    over_s: float = 2 * HOUR_S
    lasts_s: float = 3 * HOUR_S
    least: int = 3
    half_life_s: float = 14 * DAY_S
    lessons_s: float = (
        DAY_S  # calm time until a channel's own spread is believed; half of it places its level
    )

    kind: ClassVar[str] = "sensor_fault:drift"
    deseasoned: ClassVar[bool] = True

    def lessons_of(self, channels: int) -> Memory:
        names = ("level", "variance", "taught", "own_level", "own_variance", "own_taught", "lasted", "stride")
        memory: Memory = {name: np.zeros(channels) for name in names}
        memory["sure"] = np.zeros(channels, dtype=bool)
        return memory | {name: np.full(channels, np.nan) for name in ("mean", "own", "slow")}

    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        total = np.zeros(len(window))
        for number in range(ROWS):  # one after another: the order of a sum must not hang on its neighbours
            total += window[:, number]
        memory["mean"] = total * (1 / ROWS)
        placed = memory["judged"] & (memory["taught"] * ROWS * row.period_s >= 0.5 * self.lessons_s)
        off = np.where(placed, (memory["mean"] - memory["level"]) / self._spread(row, memory), np.nan)
        groups = self._groups(len(off))
        own = off - self._over_group(groups, off)
        before, slow = memory["own"], memory["slow"]
        heard = np.isfinite(own)
        rate = min(ROWS * row.period_s / self.over_s, 1.0)
        began = np.where(np.isnan(slow), own, slow)
        np.copyto(slow, began + rate * (own - began), where=heard)
        memory["own"] = np.where(heard, own, before)
        way = (slow - memory["own_level"]) / self._own_spread(row, memory)
        self._follow(way, np.abs(np.nan_to_num(own - before)), heard, row, memory)
        known = memory["own_taught"] * ROWS * row.period_s >= self.lessons_s
        alone = self._others_agree(groups, np.where(known & heard, np.abs(way), np.nan))
        gradual = memory["stride"] <= GRADUAL * np.abs(slow - memory["own_level"])
        lasting = memory["lasted"] * ROWS * row.period_s >= self.lasts_s
        size = np.abs(way)
        speaks = known & ((alone & gradual & lasting) | (memory["sure"] & (memory["lasted"] > 0.0)))
        np.copyto(memory["sure"], speaks & (memory["sure"] | (size >= SURE)), where=heard)
        nobody = np.broadcast_to(np.asarray(self.group) < 0, speaks.shape)
        return np.where(nobody | (known & ~speaks), 0.0, np.where(known, size, np.nan))

    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        forgetting = 1 - 0.5 ** (ROWS * row.period_s / self.half_life_s)
        placed = memory["taught"] * ROWS * row.period_s >= 0.5 * self.lessons_s
        _learn(pupils, memory, "", "mean", placed, self._spread(row, memory), forgetting)
        known = memory["own_taught"] * ROWS * row.period_s >= self.lessons_s
        own_pupils = pupils & np.isfinite(memory["slow"])
        _learn(own_pupils, memory, "own_", "slow", known, self._own_spread(row, memory), forgetting)

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """The baseline was moved, so that what it leaves lies around 0 again; the spreads are still known."""
        for name in ("level", "own_level", "lasted", "stride", "sure"):
            memory[name][chosen] = 0.0
        for name in ("own", "slow"):
            memory[name][chosen] = np.nan
        memory["raw"][chosen & np.isfinite(memory["raw"])] = 0.0

    def surprise(self, raw: FloatArray) -> FloatArray:
        return tails.gaussian(raw)

    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        strayed = float(np.nan_to_num(memory["slow"][channel]) - memory["own_level"][channel])
        way = "upwards" if strayed > 0 else "downwards"
        spread = float(self._spread(row, memory)[channel])
        numbers = {"shift": strayed * spread, "spread": spread}
        return Explanation(
            f"has slowly left its neighbours {way}, and they agree: the sensor may be drifting",
            direction=1 if strayed > 0 else -1,
            numbers=numbers,
        )

    def _follow(self, way: FloatArray, step: FloatArray, heard: BoolArray, row: Row, memory: Memory) -> None:
        """How many windows a channel has been on its way to one side, and the longest stride of them."""
        lasted, stride = memory["lasted"], memory["stride"]
        away = heard & (np.abs(way) >= LEFT)
        np.copyto(lasted, np.where(away, lasted + 1.0, 0.0), where=heard)
        fading = 0.5 ** (ROWS * row.period_s / DAY_S)
        np.copyto(stride, np.maximum(stride * fading, step), where=heard)

    def _groups(self, channels: int) -> IntArray:
        """(groups, longest) columns of each group of more than `least`, -1 behind the last."""
        group = np.broadcast_to(np.asarray(self.group), channels)
        found = [np.flatnonzero(group == number).tolist() for number in np.unique(group[group >= 0])]
        return padded([columns for columns in found if len(columns) > self.least])

    def _over_group(self, groups: IntArray, values: FloatArray) -> FloatArray:
        """(channels,) the median of a channel's group; NaN where too few of it are known."""
        shared = np.full(len(values), np.nan)
        if len(groups):
            there = groups >= 0
            of = np.where(there, values[groups], np.nan)
            middle, count = medians(of)
            middle = np.where(count > self.least, middle, np.nan)
            shared[groups[there]] = middle[np.nonzero(there)[0]]
        return shared

    def _others_agree(self, groups: IntArray, size: FloatArray) -> BoolArray:
        """(channels,) whether enough of the others, and most of them, have not left."""
        alone = np.zeros(len(size), dtype=bool)
        if len(groups):
            there = groups >= 0
            of = np.where(there, size[groups], np.nan)
            near = of <= AGREE
            others = np.isfinite(of).sum(axis=1)[:, None] - 1
            agree = near.sum(axis=1)[:, None] - near
            alone[groups[there]] = ((agree >= self.least) & (agree >= MOST * others))[there]
        return alone

    def _spread(self, row: Row, memory: Memory) -> FloatArray:
        """Of means of a window, in the channel's unit."""
        floor = np.multiply(self.noise_floor, 0.5) + np.abs(memory["level"]) * 1e-7 + 1e-12
        days = np.maximum(memory["taught"] * (ROWS * row.period_s / DAY_S), 0.1)
        spread: FloatArray = np.maximum(np.sqrt(memory["variance"]), floor) * (1.0 + 1.0 / days)
        return spread

    def _own_spread(self, row: Row, memory: Memory) -> FloatArray:
        """Of what is a channel's own, in deviations of such means."""
        days = np.maximum(memory["own_taught"] * (ROWS * row.period_s / DAY_S), 0.1)
        spread: FloatArray = np.maximum(np.sqrt(memory["own_variance"]), 0.1) * (1.0 + 1.0 / days)
        return spread


def _learn(
    pupils: BoolArray,
    memory: Memory,
    prefix: str,
    seen: str,
    known: BoolArray,
    spread: FloatArray,
    forgetting: float,
) -> None:
    """Level and variance of what was seen, by bounded steps once they are known."""
    level, variance, taught = (memory[prefix + name] for name in ("level", "variance", "taught"))
    rate = pupils * np.maximum(1.0 / (taught + 1.0), forgetting)
    error = np.where(pupils, memory[seen] - level, 0.0)
    bound = np.where(known, BOUND * spread, np.inf)
    step = np.minimum(np.maximum(error, -bound), bound)
    level += rate * step
    variance += rate * ((1.0 - rate) * step * step - variance)
    taught += pupils
