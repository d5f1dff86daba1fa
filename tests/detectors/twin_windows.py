"""The slow, obvious way of what looks at windows: one channel, one window after another, plain Python."""

from __future__ import annotations

import itertools
import math
from statistics import median

ROWS = 12


def plateau(windows: list[list[float]], period_s: float, lessons: int = 24) -> list[float]:
    """Plateau's raw score after each whole window; every window is calm."""
    level = variance = 0.0
    scores = []
    for taught, window in enumerate(windows):
        mean = sum(window) / ROWS
        days = max(taught * ROWS * period_s / 86400.0, 0.1)
        spread = (math.sqrt(variance) + abs(level) * 1e-7 + 1e-12) * (1 + 1 / days)
        scores.append(abs(mean - level) / spread if taught >= lessons else math.nan)
        rate = max(1 / (taught + 1), 1 - 0.5 ** (ROWS * period_s / (14 * 86400.0)))
        step = mean - level
        if taught >= lessons:
            step = min(max(step, -4 * spread), 4 * spread)
        level += rate * step
        variance += rate * ((1 - rate) * step * step - variance)
    return scores


def novelty(windows: list[list[float]], period_s: float, lessons: int = 24, kept: int = 48) -> list[float]:
    """Novelty's raw score after each whole window; every window is calm."""
    known: list[float] = []
    seen: list[float] = []
    usual, scores = 0.0, []
    for taught, window in enumerate(windows):
        here = median([window[1], window[5], window[9]])
        distance = min((abs(value - here) for value in known), default=0.0)
        floor = abs(here) * 1e-7 + 1e-12
        scores.append(distance / (usual + floor) if taught >= lessons else math.nan)
        if not seen or distance > 2 / kept * (max(seen) - min(seen)):
            known = [*known, here][-kept:]
            seen.append(here)
        rate = max(1 / (taught + 1), 1 - 0.5 ** (ROWS * period_s / (14 * 86400.0)))
        bounded = min(distance, 8 * (usual + floor)) if taught >= lessons else distance
        usual += rate * (bounded - usual)
    return scores


def jump(values: list[float], period_s: float, lessons: int = 60) -> list[float]:
    """Jump's raw score at each row; every row is calm."""
    level, deviation, before, scores = values[0], 0.0, 0.0, []
    for taught, value in enumerate(values):
        error = value - level
        spread = 1.2533 * deviation + abs(level) * 1e-7 + 1e-12
        strayed = error / spread
        both = max(min(strayed, before), min(-strayed, -before), 0.0)
        scores.append(both if taught >= lessons else math.nan)
        before = strayed
        step = min(max(error, -3 * spread), 3 * spread) if taught >= lessons else error
        level += step / 6
        rate = max(1 / (taught + 1), 1 - 0.5 ** (period_s / 86400.0))
        deviation += rate * (abs(step) - deviation)
    return scores


def unrest(windows: list[list[float]], period_s: float, lessons: int = 24) -> list[float]:
    """Unrest's raw score after each whole window; every window is calm."""
    level = variance = 0.0
    scores = []
    for taught, window in enumerate(windows):
        steps = [abs(after - before) for before, after in itertools.pairwise(window)]
        size = math.log(max(median(steps), abs(window[-1]) * 1e-9 + 1e-12))
        spread = max(math.sqrt(variance), 0.35)
        scores.append(max(size - level, 0.0) / spread if taught >= lessons else math.nan)
        rate = max(1 / (taught + 1), 1 - 0.5 ** (ROWS * period_s / (14 * 86400.0)))
        step = size - level
        if taught >= lessons:
            step = min(max(step, -4 * spread), 4 * spread)
        level += rate * step
        variance += rate * ((1 - rate) * step * step - variance)
    return scores


def spike(windows: list[list[float]], period_s: float, lessons: int = 24, count: float = 3.0) -> list[float]:
    """Spike's raw score after each whole window; every window is calm."""
    usual = recent = habit = 0.0
    scores = []
    for taught, window in enumerate(windows):
        unit = usual + abs(window[-1]) * 1e-7 + 1e-12
        found = 0
        for left, value, right in zip(window, window[1:], window[2:]):
            out = min(abs(value - left), abs(value - right))
            found += out > 12 * unit and abs(left - right) < 4 * unit
        recent = recent * 0.5 ** (ROWS * period_s / (3 * 3600.0)) + found
        scores.append(max(recent - 2 * habit, 0.0) / count if taught >= lessons else math.nan)
        rate = max(1 / (taught + 1), 1 - 0.5 ** (ROWS * period_s / (7 * 86400.0)))
        step = abs(window[5] - window[4])
        usual += rate * ((min(step, 3 * usual) if taught else step) - usual)
        habit += rate * (min(recent, count) - habit)
    return scores


def apart(group: list[list[list[float]]], period_s: float, least: int = 3) -> list[list[float]]:
    """Apart's raw scores after each window, of channels that are all of one group; every window is calm.

    group: for each channel its windows.
    """
    channels = [_Leaving(period_s) for _ in group]
    scores: list[list[float]] = []
    for at in range(len(group[0])):
        off = [channel.off(windows[at]) for channel, windows in zip(channels, group)]
        known = [one for one in off if not math.isnan(one)]
        shared = median(known) if len(known) > least else math.nan
        ways = [channel.move(one - shared) for channel, one in zip(channels, off)]
        near = [abs(way) <= 3.0 for way in ways]
        others = len([way for way in ways if not math.isnan(way)]) - 1
        scores.append([])
        for channel, way, mine in zip(channels, ways, near):
            agree = sum(near) - mine
            speaks = channel.concludes(way, agree >= max(least, 0.9 * others))
            scores[-1].append(math.nan if math.isnan(way) else abs(way) if speaks else 0.0)
            channel.learn()
    return scores


class _Leaving:
    """What Apart knows of one channel."""

    def __init__(self, period_s: float) -> None:
        self.window_s = ROWS * period_s
        self.level = self.variance = self.own_level = self.own_variance = 0.0
        self.taught = self.own_taught = self.lasted = 0
        self.mean = self.stride = 0.0
        self.own = self.slow = math.nan
        self.sure = False

    def spread(self) -> float:
        floor = abs(self.level) * 1e-7 + 1e-12
        days = max(self.taught * self.window_s / 86400.0, 0.1)
        return max(math.sqrt(self.variance), floor) * (1 + 1 / days)

    def own_spread(self) -> float:
        days = max(self.own_taught * self.window_s / 86400.0, 0.1)
        return max(math.sqrt(self.own_variance), 0.1) * (1 + 1 / days)

    def off(self, window: list[float]) -> float:
        self.mean = sum(window) / ROWS
        placed = self.taught * self.window_s >= 43200.0
        return (self.mean - self.level) / self.spread() if placed else math.nan

    def move(self, own: float) -> float:
        """Its way in its own deviations; NaN before it is known."""
        if math.isnan(own):
            return math.nan
        step = 0.0 if math.isnan(self.own) else abs(own - self.own)
        began = own if math.isnan(self.slow) else self.slow
        self.own, self.slow = own, began + min(self.window_s / 7200.0, 1.0) * (own - began)
        way = (self.slow - self.own_level) / self.own_spread()
        self.lasted = self.lasted + 1 if abs(way) >= 2.0 else 0
        self.stride = max(self.stride * 0.5 ** (self.window_s / 86400.0), step)
        return way if self.own_taught * self.window_s >= 86400.0 else math.nan

    def concludes(self, way: float, alone: bool) -> bool:
        gradual = self.stride <= 0.5 * abs(self.slow - self.own_level)
        speaks = alone and gradual and self.lasted * self.window_s >= 10800.0
        speaks = speaks or (self.sure and self.lasted > 0)
        self.sure = speaks and (self.sure or abs(way) >= 6.0)
        return speaks

    def learn(self) -> None:
        placed, known = self.taught * self.window_s >= 43200.0, self.own_taught * self.window_s >= 86400.0
        forgetting = 1 - 0.5 ** (self.window_s / (14 * 86400.0))
        own_spread = self.own_spread()
        rate, step = max(1 / (self.taught + 1), forgetting), self.mean - self.level
        if placed:
            step = min(max(step, -4 * self.spread()), 4 * self.spread())
        self.level += rate * step
        self.variance += rate * ((1 - rate) * step * step - self.variance)
        self.taught += 1
        if math.isnan(self.slow):
            return
        rate, step = max(1 / (self.own_taught + 1), forgetting), self.slow - self.own_level
        if known:
            step = min(max(step, -4 * own_spread), 4 * own_spread)
        self.own_level += rate * step
        self.own_variance += rate * ((1 - rate) * step * step - self.own_variance)
        self.own_taught += 1
