"""Rhythms: how a city's demand moves with the hour, the day of the week and the season, in Chinese time."""

import numpy as np

from simulators.noise import FloatArray

HOUR_S, DAY_S, WEEK_S = 3600.0, 86400.0, 604800.0
UTC_PLUS_8_S = 8 * HOUR_S  # Asia/Shanghai has known no other offset since 1991
_MONDAY_S = 4 * DAY_S  # 1970-01-05, the first Monday of Unix time, began so many seconds in

# Share of the mean in each hour from midnight, working days and weekends: shapes typical of residential
# districts; simulation-facts, "gas: lowest pressure 7-9 h and 18-21 h", "water: night minimum 2-4 h".
_SHAPES: dict[str, tuple[list[float], list[float]]] = {
    "water": (
        [0.42, 0.35, 0.32, 0.32, 0.36, 0.58, 1.10, 1.55, 1.50, 1.25, 1.12, 1.15,
         1.22, 1.08, 0.95, 0.92, 1.00, 1.22, 1.55, 1.62, 1.48, 1.22, 0.92, 0.62],
        [0.48, 0.38, 0.34, 0.33, 0.36, 0.48, 0.78, 1.15, 1.48, 1.52, 1.38, 1.28,
         1.28, 1.15, 1.02, 0.98, 1.05, 1.22, 1.52, 1.58, 1.45, 1.22, 0.98, 0.68],
    ),
    "gas": (
        [0.35, 0.30, 0.28, 0.28, 0.32, 0.62, 1.35, 1.70, 1.25, 0.85, 1.05, 1.55,
         1.30, 0.75, 0.62, 0.68, 1.05, 1.70, 1.95, 1.65, 1.25, 0.95, 0.70, 0.48],
        [0.38, 0.32, 0.29, 0.28, 0.31, 0.45, 0.92, 1.40, 1.45, 1.10, 1.20, 1.60,
         1.38, 0.85, 0.70, 0.75, 1.10, 1.70, 1.90, 1.60, 1.25, 0.98, 0.75, 0.52],
    ),
    "power": (
        [0.62, 0.54, 0.50, 0.48, 0.48, 0.54, 0.75, 0.98, 1.02, 1.00, 1.04, 1.15,
         1.16, 1.02, 0.98, 1.00, 1.08, 1.25, 1.50, 1.62, 1.58, 1.42, 1.12, 0.82],
        [0.68, 0.58, 0.52, 0.50, 0.49, 0.52, 0.65, 0.88, 1.05, 1.10, 1.15, 1.22,
         1.22, 1.10, 1.05, 1.05, 1.12, 1.25, 1.48, 1.58, 1.52, 1.38, 1.12, 0.85],
    ),
}  # fmt: skip


def _week(shape: tuple[list[float], list[float]]) -> FloatArray:
    """168 hours from Monday midnight and the first hour once more, scaled to a mean of 1."""
    working, free = shape
    hours = np.array(working * 5 + free * 2)
    hours /= hours.mean()
    return np.append(hours, hours[0])


_WEEKS = {name: _week(shape) for name, shape in _SHAPES.items()}
_WEEK_HOURS = np.arange(169.0)


def demand(name: str, time_s: FloatArray) -> FloatArray:
    """Share of the mean demand of `water`, `gas` or `power` at each moment (times,); a week's mean is 1."""
    hour_of_week = (time_s + UTC_PLUS_8_S - _MONDAY_S) % WEEK_S / HOUR_S
    return np.interp(hour_of_week, _WEEK_HOURS, _WEEKS[name])


def hour_of_day(time_s: FloatArray) -> FloatArray:
    """Local hours since midnight, in [0, 24)."""
    return (time_s + UTC_PLUS_8_S) % DAY_S / HOUR_S


def warmth(time_s: FloatArray) -> FloatArray:
    """How warm this part of the day is: -1 at four in the morning, 1 at four in the afternoon."""
    return np.asarray(np.sin((hour_of_day(time_s) - 10.0) * (np.pi / 12)))


def season(time_s: FloatArray) -> FloatArray:
    """How warm this part of the year is: -1 in late January, 1 in late July."""
    return np.asarray(-np.cos((time_s / DAY_S - 25.0) * (2 * np.pi / 365.25)))
