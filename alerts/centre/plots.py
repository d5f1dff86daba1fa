"""Plots: the last readings before an alarm as a small SVG drawing; the page needs no script for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 30
MOST_POINTS = 600  # more are thinned: two to a pixel is plenty


@dataclass(frozen=True)
class Series:
    """What is drawn: times in UTC nanoseconds, values with NaN for gaps, and levels to compare with."""

    time_ns: Sequence[int]
    value: Sequence[float]
    unit: str = ""
    limit: float | None = None
    expected: float | None = None
    event_ns: int | None = None


def series_of(plot: Any) -> Series | None:
    """The series in an alert's `data.plot`, or None where it holds nothing that can be drawn.

    Understood: `time_ns` or `t` (ns, seconds or RFC 3339), `value` or `v` (null = gap), `unit`, `limit`,
    `expected`, `event_ns`.
    """
    if not isinstance(plot, Mapping):
        return None
    times = next((plot[name] for name in ("time_ns", "times", "time", "t") if name in plot), None)
    values = next((plot[name] for name in ("value", "values", "v") if name in plot), None)
    if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
        return None
    pairs = [(_time_ns(time), _number(value)) for time, value in zip(times, values)]
    known = sorted((time, math.nan if value is None else value) for time, value in pairs if time is not None)
    if sum(math.isfinite(value) for _, value in known) < 2 or known[0][0] == known[-1][0]:
        return None
    step = -(-len(known) // MOST_POINTS)
    kept = known[::-1][::step][::-1]  # the newest is always among them
    unit = plot.get("unit")
    return Series(
        [time for time, _ in kept],
        [value for _, value in kept],
        unit if isinstance(unit, str) else "",
        _number(plot.get("limit")),
        _number(plot.get("expected")),
        _time_ns(plot.get("event_ns")),
    )


def draw(series: Series, timezone: tzinfo, title: str) -> str:
    """An SVG element. Colours come from the page's style by class; every text is escaped."""
    low, high = _span(series)
    right = WIDTH - RIGHT
    start, end = series.time_ns[0], series.time_ns[-1]

    def x(time_ns: float) -> float:
        return LEFT + (time_ns - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
        ' preserveAspectRatio="xMidYMid meet"><title>' + escape(title) + "</title>"
    ]
    for tick in _ticks(low, high):
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        )
        parts.append(f'<text class="axis end" x="{LEFT - 8}" y="{y(tick) + 4:.1f}">{tick:g}</text>')
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        moment = datetime.fromtimestamp((start + share * (end - start)) / 1e9, timezone)
        at = LEFT + share * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text class="axis {anchor}" x="{at:.1f}" y="{HEIGHT - 8}">{moment:%H:%M:%S}</text>')
    for name, level in (("expected", series.expected), ("limit", series.limit)):
        if level is not None and low <= level <= high:
            parts.append(
                f'<line class="{name}" x1="{LEFT}" x2="{right}" y1="{y(level):.1f}" y2="{y(level):.1f}"/>'
            )
    if series.event_ns is not None and start <= series.event_ns <= end:
        at = x(series.event_ns)
        parts.append(f'<line class="event" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    for run in _runs(series):
        points = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in run)
        parts.append(f'<polyline class="line" points="{points}"/>')
    last_time, last_value = next(
        (time, value)
        for time, value in zip(reversed(series.time_ns), reversed(series.value))
        if math.isfinite(value)
    )
    parts.append(f'<circle class="last" cx="{x(last_time):.1f}" cy="{y(last_value):.1f}" r="4"/>')
    if series.unit:
        parts.append(
            f'<text class="axis unit end" x="{WIDTH - RIGHT}" y="{TOP + 8}">{escape(series.unit)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _runs(series: Series) -> list[list[tuple[int, float]]]:
    """Stretches without a gap: nothing is drawn where nothing was read."""
    runs: list[list[tuple[int, float]]] = [[]]
    for time, value in zip(series.time_ns, series.value):
        if math.isfinite(value):
            runs[-1].append((time, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _span(series: Series) -> tuple[float, float]:
    """The range of the axis: the readings, and the levels where these do not flatten them."""
    finite = [value for value in series.value if math.isfinite(value)]
    low, high = min(finite), max(finite)
    reach = max(high - low, abs(high) * 1e-3, 1e-9)
    for level in (series.limit, series.expected):
        if level is not None and low - 4 * reach <= level <= high + 4 * reach:
            low, high = min(low, level), max(high, level)
    margin = max((high - low) * 0.08, abs(high) * 1e-3, 1e-9)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers inside the range."""
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step) + 1)]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e15 else None


def _time_ns(value: Any) -> int | None:
    if isinstance(value, str):
        try:
            return round(datetime.fromisoformat(value).timestamp() * 1e9)
        except (ValueError, OverflowError):
            return None
    number = _number(value) if not isinstance(value, int) or isinstance(value, bool) else value
    if number is None or not 0 < number < 4e18:
        return None
    return int(number) if number > 1e15 else round(number * 1e9)
