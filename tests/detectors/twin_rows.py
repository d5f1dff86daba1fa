"""The slow, obvious way of what looks at every row: one channel, one row after another, plain Python."""

from __future__ import annotations

import math

DAY_S = 86400.0
HOUR_S = 3600.0


def drift(values: list[float], end_s: list[float], period_s: float) -> list[float]:
    """Drift's raw score at each row; every row is calm."""
    level = variance = up = down = 0.0
    pace, blocks, sum_, rows, last, block_variance, product = 1.0, 0, 0.0, 0, 0.0, 0.0, 0.0
    forgetting, block_forgetting = 1 - 0.5 ** (period_s / (14 * DAY_S)), 1 - 0.5 ** (HOUR_S / (14 * DAY_S))
    scores = []
    for taught, (value, end) in enumerate(zip(values, end_s)):
        spread = math.sqrt(variance) + abs(level) * 1e-7 + 1e-12
        known = taught >= 30 and blocks >= 24
        strayed = min(max((value - level) / spread, -8.0), 8.0) if known else 0.0
        up = min(max(up + (strayed - 0.5) / pace, 0.0), 50.0)
        down = min(max(down + (-strayed - 0.5) / pace, 0.0), 50.0)
        scores.append(max(up, down) if known else math.nan)
        error = value - level
        if taught >= 30:
            error = min(max(error, -8 * spread), 8 * spread)
        rate = max(1 / (taught + 1), forgetting)
        level += rate * error
        variance += rate * ((1 - rate) * error * error - variance)
        if taught + 1 >= 30:
            sum_, rows = sum_ + error, rows + 1
        if end // HOUR_S != (end - period_s) // HOUR_S:
            expected = HOUR_S / period_s
            mean, full = 0.0, rows >= 0.5 * expected
            if full:
                mean = sum_ / rows
                rate = max(1 / (blocks + 1), block_forgetting)
                block_variance += rate * (mean * mean - block_variance)
                product += rate * (mean * last - product)
                blocks += 1
            last, sum_, rows = mean, 0.0, 0
            spread = math.sqrt(variance) + abs(level) * 1e-7 + 1e-12
            believed = (block_variance * blocks + 0.3 * spread**2 * 2) / (blocks + 2)
            follows = min(max(product / max(believed, 1e-300), 0.0), 0.95)
            pace = expected * believed / spread**2 * (1 + follows) / (1 - follows)
            pace = min(max(pace, 1.0), expected * 1.95 / 0.05)
    return scores


def rhythm(values: list[float], end_s: list[float], period_s: float, days: float = 10.0) -> list[float]:
    """Rhythm's raw score at each row in UTC, on days that are all alike; every row is calm."""
    level, deviation, taught = [0.0] * 24, [0.0] * 24, [0] * 24
    usual, an_hour, scores = 0.0, HOUR_S / period_s, []
    for value, end in zip(values, end_s):
        hours = (end - period_s / 2) / HOUR_S
        hour, before = math.floor(hours) % 24, math.floor(hours - 0.5) % 24
        after, share = (before + 1) % 24, hours - 0.5 - math.floor(hours - 0.5)
        expected = level[before] + share * (level[after] - level[before])
        if taught[after] == 0:
            expected = level[before]
        if taught[before] == 0:
            expected = level[after]
        weight = 5 / (taught[hour] + 5)
        spread = 1.2533 * (deviation[hour] + weight * (usual - deviation[hour]))
        spread += abs(expected) * 1e-7 + 1e-12
        visits = taught[hour] / an_hour
        if visits < 8:
            spread *= 1 + 1 / max(visits, 1) ** 2
        error = value - expected
        scores.append(abs(error) / spread if taught[hour] >= max(an_hour, 3) else math.nan)
        if taught[hour] == 0:
            level[hour], deviation[hour] = expected, usual
        if taught[hour] >= max(0.1 * an_hour, 3):
            error = min(max(error, -4 * spread), 4 * spread)
        rate = 1 / min(taught[hour] + 1, days * an_hour)
        level[hour] += rate * error
        if taught[hour] > 0:
            deviation[hour] += rate * (abs(error) - deviation[hour])
            usual += min(rate, 1 / (48 * an_hour)) * (abs(error) - usual)
        taught[hour] += 1
    return scores


def stuck(values: list[float], end_s: list[float], period_s: float) -> list[float]:
    """Stuck's raw score at each row, values equal only where they are the same; every row is calm."""
    last, run, longest, repeats, changes, scores = math.nan, 0, 0.0, 0.0, 0, []
    for taught, value in enumerate(values):
        before, run = run, run + 1 if value == last else 0
        known = changes >= 30 and taught * period_s >= DAY_S
        beyond = max(run - 1.5 * longest, 0.0) if value != 0.0 else 0.0
        cost = -math.log10(min(max(repeats, 0.05), 0.995))
        scores.append(beyond * cost if known else math.nan)
        longest *= 0.5 ** (period_s / (7 * DAY_S))
        if last != 0.0:
            longest = max(longest, float(before)) if run == 0 else longest
            repeats += ((run > 0) - repeats) / min(taught + 1, 2000)
        changes += run == 0
        last = value
    return scores


def silence(values: list[float], end_s: list[float], period_s: float) -> list[float]:
    """Silence's raw score at each row, NaN for a missing reading."""
    since, known, habit, scores = end_s[0] - period_s, False, 0.0, []
    for value, end in zip(values, end_s):
        heard, age = value == value, end - since
        known = known or heard
        limit = max(5 * period_s, 60.0, habit)
        scores.append(0.0 if heard else age / limit if known else math.nan)
        habit *= 0.5 ** (period_s / (7 * DAY_S))
        if heard:
            if age > 1.5 * period_s:
                habit = max(habit, min(1.5 * age, 1.5 * max(5 * period_s, 60.0, habit)))
            since = end
    return scores
