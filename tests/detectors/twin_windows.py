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
