"""Plots: the last readings before an alarm as a small SVG drawing; the page needs no script for it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 30
LEVELS = ("expected", "low", "high", "limit")
STYLE = (
    "<style>svg{background:#fff;font:11px system-ui,sans-serif}"
    ".line{fill:none;stroke:#1c5d8c;stroke-width:2}.last{fill:#1c5d8c}.axis{fill:#5b6875}"
    ".end{text-anchor:end}.middle{text-anchor:middle}.start{text-anchor:start}.grid{stroke:#d9e0e6}"
    ".band{fill:#1f7a63;fill-opacity:.1}.low,.high{stroke:#1f7a63;stroke-dasharray:2 4}"
    ".expected{stroke:#1f7a63;stroke-dasharray:6 4}.limit{stroke:#c62828;stroke-dasharray:6 4}"
    ".event{stroke:#d9660a}</style>"
)
MOST_AFTER = 60  # an event so many steps after the last level would flatten all before it
MOST_POINTS = 600  # more are thinned: two to a pixel is plenty


@dataclass(frozen=True)
class Series:
    """What is drawn: times in UTC nanoseconds, values with NaN for gaps, and levels to compare with."""

    time_ns: Sequence[int]
    value: Sequence[float]
    unit: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)  # by name, of LEVELS
    event_ns: int | None = None


def series_of(plot: Any, event_ns: int | None = None) -> Series | None:
    """The series in an alert's `data.plot`, or None where it holds nothing that can be drawn.

    `values` (null = gap) lie `period_s` apart and end at `end` (RFC 3339); beside them, where they mean
    something, `unit`, `limit`, `expected`, `low` and `high` (the band that is usual), and `observed`, shown
    where the event came after the last value. `event_ns` is marked.
    """
    if not isinstance(plot, Mapping) or not isinstance(plot.get("values"), list):
        return None
    end_ns, period_s = _time_ns(plot.get("end")), _number(plot.get("period_s"))
    if end_ns is None or period_s is None or not 0 < period_s < 1e7:
        return None
    values = [math.nan if (number := _number(value)) is None else number for value in plot["values"]]
    step = -(-len(values) // MOST_POINTS) or 1
    values = values[::-1][::step][::-1]  # the newest is always among them
    if sum(math.isfinite(value) for value in values) < 2:
        return None
    apart_ns = round(period_s * step * 1e9)
    unit = plot.get("unit")
    levels = {name: _number(plot.get(name)) for name in LEVELS}
    times_ns = [end_ns - apart_ns * back for back in range(len(values) - 1, -1, -1)]
    observed = _number(plot.get("observed"))
    if observed is not None and event_ns is not None and 0 < event_ns - end_ns <= MOST_AFTER * apart_ns:
        times_ns, values = [*times_ns, event_ns], [*values, observed]
    return Series(
        times_ns,
        values,
        unit if isinstance(unit, str) else "",
        {name: level for name, level in levels.items() if level is not None},
        event_ns,
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
    if {"low", "high"} <= series.levels.keys():
        top, bottom = (y(min(max(series.levels[end], low), high)) for end in ("high", "low"))
        parts.append(
            f'<rect class="band" x="{LEFT}" width="{right - LEFT}" y="{top:.1f}"'
            f' height="{max(bottom - top, 0.0):.1f}"/>'
        )
    for name, level in series.levels.items():
        if low <= level <= high:
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
    if unit := plain_unit(series.unit):
        parts.append(f'<text class="axis start" x="{LEFT + 4}" y="{TOP + 8}">{escape(unit)}</text>')
    return "".join([*parts, "</svg>"])


def draw_alone(series: Series, timezone: tzinfo, title: str) -> str:
    """The same as a file of its own, with its colours in it: an SVG of a few kilobytes."""
    drawn = draw(series, timezone, title)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
    opened = drawn.index(">") + 1
    return head + drawn[len("<svg") : opened] + STYLE + drawn[opened:]


def plain_unit(unit: str) -> str:
    """A UCUM unit as people write it: `%{LEL}` is %LEL, `{NTU}` NTU, `Cel` °C, `1` nothing."""
    return {"Cel": "°C", "1": ""}.get(unit, re.sub(r"[{}\[\]]", "", unit))


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
    for level in series.levels.values():
        if low - 4 * reach <= level <= high + 4 * reach:
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
    try:
        return round(datetime.fromisoformat(value).timestamp() * 1e9)
    except (TypeError, ValueError, OverflowError):
        return None
